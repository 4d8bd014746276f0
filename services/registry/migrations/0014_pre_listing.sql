-- Expand: which files an archive has, as JSON, compressed; made when somebody first looks.
-- Contract: nothing to drop. Rollback: the table is new.
CREATE TABLE listing (
    digest  text  PRIMARY KEY REFERENCES blob (digest) ON DELETE CASCADE,
    entries bytea NOT NULL
);
