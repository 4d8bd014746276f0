-- Expand: builds of container images, which nobody's revision need have asked for, how each is
-- made and why, and what later builds find again instead of making it.
-- Contract: nothing to drop. Rollback: older code leaves builds of kind 'oci' alone only if none
-- is queued; cancel them first.
ALTER TABLE build ALTER COLUMN revision_id DROP NOT NULL;
ALTER TABLE build ALTER COLUMN deployment_id DROP NOT NULL;
ALTER TABLE build ALTER COLUMN causation_id DROP NOT NULL;
ALTER TABLE build ADD COLUMN kind text NOT NULL DEFAULT 'environment';
ALTER TABLE build ADD COLUMN wish jsonb NOT NULL DEFAULT '{}';
ALTER TABLE build ADD COLUMN org text NOT NULL DEFAULT '';
ALTER TABLE build ADD COLUMN awaited_by text NOT NULL DEFAULT 'deployment';
ALTER TABLE build ADD COLUMN resolved boolean NOT NULL DEFAULT true;
ALTER TABLE build ADD COLUMN turn text;
ALTER TABLE build ADD COLUMN strategy text;
ALTER TABLE build ADD COLUMN why jsonb NOT NULL DEFAULT '[]';
ALTER TABLE build ADD COLUMN plan_digest text;
ALTER TABLE build ADD COLUMN plan jsonb;
ALTER TABLE build ADD COLUMN steps jsonb NOT NULL DEFAULT '[]';
ALTER TABLE build ADD COLUMN cancel_asked_by text;
-- What lies beside the image (its bill of materials, its provenance, signatures) is due, or done.
ALTER TABLE build ADD COLUMN attest text NOT NULL DEFAULT 'none';
ALTER TABLE build ADD COLUMN attest_due_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE build ADD COLUMN attest_attempts integer NOT NULL DEFAULT 0;
ALTER TABLE build ADD CONSTRAINT build_attest_known
    CHECK (attest IN ('none', 'due', 'done', 'failed'));
CREATE INDEX build_attest_idx ON build (id) WHERE attest = 'due';
ALTER TABLE build DROP CONSTRAINT build_status_known;
ALTER TABLE build ADD CONSTRAINT build_status_known
    CHECK (status IN ('queued', 'running', 'built', 'failed', 'cancelled'));
ALTER TABLE build ADD CONSTRAINT build_awaited_by_known
    CHECK (awaited_by IN ('deployment', 'person', 'nobody'));
ALTER TABLE build ADD CONSTRAINT build_kind_known CHECK (kind IN ('environment', 'oci'));

-- What was read from a bento's archive once, so that the next plan need not fetch it.
CREATE TABLE bento_description (
    org_id uuid  NOT NULL,
    digest text  NOT NULL,
    body   jsonb NOT NULL,
    used_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT bento_description_pkey PRIMARY KEY (org_id, digest)
);

-- The images that others are built on, pinned: one row per platform.
CREATE TABLE base_image (
    org_id     uuid        NOT NULL,
    reference  text        NOT NULL,
    platform   text        NOT NULL,
    digest     text        NOT NULL,
    body       jsonb       NOT NULL,
    source     text        NOT NULL,
    pinned_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT base_image_pkey PRIMARY KEY (org_id, reference, platform)
);

-- Layers that were pushed, by what they are made of.
CREATE TABLE layer_cache (
    org_id     uuid        NOT NULL,
    key        text        NOT NULL,
    repository text        NOT NULL,
    layers     jsonb       NOT NULL,
    used_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT layer_cache_pkey PRIMARY KEY (org_id, key)
);

-- Images that were pushed, by the plan that they came of.
CREATE TABLE image (
    org_id      uuid        NOT NULL,
    plan_digest text        NOT NULL,
    digest      text        NOT NULL,
    size_bytes  bigint      NOT NULL,
    repository  text        NOT NULL,
    tag         text        NOT NULL,
    registry    text        NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT image_pkey PRIMARY KEY (org_id, plan_digest)
);

-- Requirements that name every version need no second resolution.
CREATE TABLE pinned_lock (
    org_id       uuid NOT NULL,
    requirements text NOT NULL,
    python       text NOT NULL,
    platform     text NOT NULL,
    body         text NOT NULL,
    used_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pinned_lock_pkey PRIMARY KEY (org_id, requirements, python, platform)
);

-- What organisations want; those without a row never said.
CREATE TABLE org_setting (
    org_id        uuid    PRIMARY KEY,
    org           text    NOT NULL,
    build_on_push boolean NOT NULL
);

-- What bills of materials are made of, read from each layer once.
CREATE TABLE layer_contents (
    org_id  uuid        NOT NULL,
    digest  text        NOT NULL,
    body    jsonb       NOT NULL,
    used_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT layer_contents_pkey PRIMARY KEY (org_id, digest)
);
