-- Expand: versions go to the trash before they go for good; holds say what must stay; rules say
-- what may go by itself.
-- Contract: 0012_post_version_key. Rollback: older code shows what is in the trash.
ALTER TABLE version
    ADD COLUMN deleted_at timestamptz,
    ADD COLUMN purge_at   timestamptz,
    ADD COLUMN deleted_by text;

-- A name in the trash may be used again.
CREATE UNIQUE INDEX version_live_key ON version (repository_id, version) WHERE deleted_at IS NULL;
CREATE INDEX version_purge_idx ON version (purge_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX version_trash_idx ON version (org_id, deleted_at DESC) WHERE deleted_at IS NOT NULL;

ALTER TABLE repository ADD COLUMN deleted_at timestamptz;

-- Why nobody points to a blob any more, and who was the last; null while that is not so.
ALTER TABLE blob
    ADD COLUMN released_at  timestamptz,
    ADD COLUMN released_org uuid;
CREATE INDEX blob_deleting_idx ON blob (state_at) WHERE state = 'deleting';

-- Also pins the bytes: a version may be pushed anew while a revision runs the old ones.
CREATE TABLE hold (
    revision_id uuid        NOT NULL,
    org_id      uuid        NOT NULL,
    version_id  uuid        NOT NULL REFERENCES version (id),
    digest      text        REFERENCES blob (digest),
    deployment  text        NOT NULL,
    taken_at    timestamptz NOT NULL,
    renewed_at  timestamptz NOT NULL,
    CONSTRAINT hold_pkey PRIMARY KEY (revision_id, version_id)
);

CREATE INDEX hold_version_idx ON hold (version_id);
CREATE INDEX hold_digest_idx ON hold (digest);
CREATE INDEX hold_renewed_idx ON hold (renewed_at);

-- A version goes when every condition that is not null lets it go.
CREATE TABLE retention (
    repository_id uuid        PRIMARY KEY REFERENCES repository (id) ON DELETE CASCADE,
    keep_last     integer     CHECK (keep_last >= 1),
    keep_days     integer     CHECK (keep_days >= 0),
    keep_labels   jsonb       NOT NULL DEFAULT '{}',
    changed_by    text        NOT NULL,
    changed_at    timestamptz NOT NULL,
    CONSTRAINT retention_bounded_check CHECK (keep_last IS NOT NULL OR keep_days IS NOT NULL)
);

-- Everything that keeps bytes: whoever points to blobs from another table adds it here.
CREATE VIEW pointer AS
    SELECT digest FROM version WHERE digest IS NOT NULL
    UNION ALL
    SELECT digest FROM hold WHERE digest IS NOT NULL
    UNION ALL
    SELECT digest FROM oci_blob;
