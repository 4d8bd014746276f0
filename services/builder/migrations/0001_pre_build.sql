-- Expand: builds, the locks they resolved once and for all, and who keeps an image.
-- Contract: nothing to drop. Rollback: the tables are new.
CREATE TABLE build (
    id                 uuid        PRIMARY KEY,
    org_id             uuid        NOT NULL,
    revision_id        uuid        NOT NULL,
    deployment_id      uuid        NOT NULL,
    target             text        NOT NULL,
    bento_id           uuid        NOT NULL,
    repository         text        NOT NULL,
    version            text        NOT NULL,
    bento_digest       text        NOT NULL,
    models             jsonb       NOT NULL,
    status             text        NOT NULL DEFAULT 'queued',
    environment_digest text,
    image_digest       text,
    uri                text,
    reused             boolean     NOT NULL DEFAULT false,
    seconds            double precision,
    code               text,
    reason             text,
    events             bigint      NOT NULL DEFAULT 0,
    actor              text        NOT NULL,
    correlation_id     text        NOT NULL,
    causation_id       uuid        NOT NULL,
    traceparent        text,
    created_at         timestamptz NOT NULL DEFAULT now(),
    started_at         timestamptz,
    ended_at           timestamptz,
    CONSTRAINT build_status_known CHECK (status IN ('queued', 'running', 'built', 'failed'))
);

CREATE INDEX build_open_idx ON build (id) WHERE status IN ('queued', 'running');
CREATE INDEX build_org_idx ON build (org_id, id);
CREATE INDEX build_image_idx ON build (image_digest) WHERE image_digest IS NOT NULL;

-- The first resolution of a bento's requirements is the one that stays.
CREATE TABLE requirements_lock (
    org_id       uuid NOT NULL,
    bento_digest text NOT NULL,
    python       text NOT NULL,
    platform     text NOT NULL,
    body         text NOT NULL,
    CONSTRAINT requirements_lock_pkey PRIMARY KEY (org_id, bento_digest, python, platform)
);

CREATE TABLE hold (
    revision_id  uuid        NOT NULL,
    org_id       uuid        NOT NULL,
    image_digest text        NOT NULL,
    held_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT hold_pkey PRIMARY KEY (org_id, revision_id)
);
