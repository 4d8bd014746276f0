-- Expand: the route table, a projection of the deployer's facts, and who follows it.
-- Contract: nothing to drop. Rollback: the tables are new; both can be rebuilt.

-- Locked by every change, so that versions become visible in their own order.
CREATE TABLE route_table (
    only_row boolean CONSTRAINT route_table_pkey PRIMARY KEY DEFAULT true CHECK (only_row),
    version  bigint  NOT NULL
);
INSERT INTO route_table (version) VALUES (0);

-- (namespace, deployment) is not unique: a deleted deployment's row stays as a tombstone, and a
-- late fact about it may arrive after its name was given to another.
CREATE TABLE route (
    deployment_id        uuid        CONSTRAINT route_pkey PRIMARY KEY,
    org_id               uuid        NOT NULL,
    namespace            text        NOT NULL,
    deployment           text        NOT NULL,
    state                text        NOT NULL,
    generation           bigint      NOT NULL,
    reason               text        NOT NULL,
    access_authorization boolean,
    upstreams            text[]      NOT NULL,
    version              bigint      NOT NULL,
    fact_epoch           bigint      NOT NULL DEFAULT 0,
    fact_seq             bigint      NOT NULL DEFAULT 0,
    applied_generation   bigint      NOT NULL DEFAULT 0,
    cause_event          uuid,
    correlation_id       text        NOT NULL DEFAULT '',
    traceparent          text,
    updated_at           timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT route_state_known CHECK (state IN ('starting', 'serving', 'failed', 'terminated', 'deleted'))
);

CREATE INDEX route_version_idx ON route (version);
CREATE INDEX route_unapplied_idx ON route (version) WHERE applied_generation < generation;

-- A data plane is live while its lease is; a silent one is waited for, but not for ever.
CREATE TABLE data_plane (
    name            text        CONSTRAINT data_plane_pkey PRIMARY KEY,
    applied_version bigint      NOT NULL,
    seen_at         timestamptz NOT NULL
);
