-- Contract: the name of a version in the trash may be used again (0011_pre_deletion).
-- Rollback: older code needs the constraint; it is made again once no name is used twice.
ALTER TABLE version DROP CONSTRAINT version_key;
