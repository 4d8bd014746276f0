-- Expand: which of buildah's layers are in the registry for other builders, and when one was last
-- fetched or left there, so that those that nobody needs are removed.
-- Contract: nothing to drop. Rollback: nothing to do.
CREATE TABLE shared_layer (
    org_id  uuid        NOT NULL,
    org     text        NOT NULL,
    tag     text        NOT NULL,
    used_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT shared_layer_pkey PRIMARY KEY (org_id, tag)
);
CREATE INDEX shared_layer_used_idx ON shared_layer (used_at);
