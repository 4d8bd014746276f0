-- Expand: labels of repositories, and the newest versions of one found at once.
-- Contract: nothing to drop. Rollback: older code ignores both.
ALTER TABLE repository ADD COLUMN labels jsonb NOT NULL DEFAULT '{}';
CREATE INDEX version_of_repository_idx ON version (repository_id, created_at DESC, id DESC);
