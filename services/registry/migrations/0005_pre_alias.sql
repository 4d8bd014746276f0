-- Expand: names that point to versions and may be moved, and who moved them when.
-- Contract: nothing to drop. Rollback: both tables are new.
CREATE TABLE alias (
    id            uuid        PRIMARY KEY,
    repository_id uuid        NOT NULL REFERENCES repository (id) ON DELETE CASCADE,
    name          text        NOT NULL,
    version_id    uuid        NOT NULL REFERENCES version (id),
    protected     boolean     NOT NULL DEFAULT false,
    seq           bigint      NOT NULL DEFAULT 1,
    moved_at      timestamptz NOT NULL,
    CONSTRAINT alias_name_key UNIQUE (repository_id, name)
);

CREATE INDEX alias_version_idx ON alias (version_id);

-- Stays when the alias is removed; a version is named, since it may be gone one day.
CREATE TABLE alias_move (
    id            uuid        PRIMARY KEY,
    repository_id uuid        NOT NULL REFERENCES repository (id) ON DELETE CASCADE,
    alias         text        NOT NULL,
    before        text,
    after         text,
    actor         text        NOT NULL,
    moved_at      timestamptz NOT NULL
);

CREATE INDEX alias_move_idx ON alias_move (repository_id, alias, id DESC);
