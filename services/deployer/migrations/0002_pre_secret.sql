-- Expand: secrets, whose values are sealed under a key that no database has.
-- Contract: nothing to drop. Rollback: older code refuses deployments that name any.
CREATE TABLE secret (
    id          uuid        PRIMARY KEY,
    org_id      uuid        NOT NULL,
    org         text        NOT NULL,
    name        text        NOT NULL,
    description text        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('env', 'mountfile')),
    stage       text        NOT NULL CHECK (stage IN ('build', 'runtime', 'all')),
    path        text,
    items       jsonb       NOT NULL,
    sealed      bytea       NOT NULL,
    creator     jsonb       NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    seq         bigint      NOT NULL DEFAULT 1,
    CONSTRAINT secret_name_key UNIQUE (org_id, name)
);
