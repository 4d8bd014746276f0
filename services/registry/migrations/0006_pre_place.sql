-- Expand: where a blob lies is the store's to say, and what is known of its bytes is kept.
-- No location: older code put it below the same folder, at a place that its digest names.
-- Contract: nothing to drop. Rollback: older code does not find what newer code stored.
ALTER TABLE blob
    ADD COLUMN location    text,
    ADD COLUMN place       text GENERATED ALWAYS AS
        (coalesce(location, 'sha256/' || substr(digest, 8, 2) || '/' || substr(digest, 8))) STORED,
    ADD COLUMN state       text        NOT NULL DEFAULT 'stored'
        CHECK (state IN ('stored', 'damaged', 'deleting')),
    ADD COLUMN state_at    timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN verified_at timestamptz NOT NULL DEFAULT now();

UPDATE blob SET verified_at = created_at;

CREATE INDEX blob_verified_idx ON blob (verified_at) WHERE state = 'stored';
CREATE UNIQUE INDEX blob_place_key ON blob (place);
