-- Expand: repositories, their versions with labels, and the blobs that versions point to.
-- Contract: nothing to drop. Rollback: the tables are new.
CREATE TABLE repository (
    id          uuid        PRIMARY KEY,
    org_id      uuid        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('bento', 'model')),
    name        text        NOT NULL,
    description text        NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT repository_name_key UNIQUE (org_id, kind, name)
);

CREATE TABLE blob (
    digest     text        PRIMARY KEY,
    size_bytes bigint      NOT NULL,
    chunks     bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- manifest is text: what the client sent comes back unchanged, byte for byte.
CREATE TABLE version (
    id                 uuid        PRIMARY KEY,
    org_id             uuid        NOT NULL,
    repository_id      uuid        NOT NULL REFERENCES repository (id),
    version            text        NOT NULL,
    description        text        NOT NULL,
    manifest           text        NOT NULL,
    labels             jsonb       NOT NULL,
    build_at           timestamptz NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    upload_status      text        NOT NULL,
    upload_reason      text        NOT NULL DEFAULT '',
    upload_started_at  timestamptz,
    upload_finished_at timestamptz,
    image_status       text        NOT NULL DEFAULT 'pending',
    digest             text        REFERENCES blob (digest),
    traceparent        text,
    seq                bigint      NOT NULL DEFAULT 1,
    CONSTRAINT version_key UNIQUE (repository_id, version)
);

CREATE INDEX version_newest_idx ON version (org_id, created_at DESC);
CREATE INDEX version_digest_idx ON version (digest);
