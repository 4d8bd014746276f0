-- Contract: fact_number_version_idx has all that this one has.
DROP INDEX fact_number_idx;
