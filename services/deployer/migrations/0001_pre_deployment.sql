-- Expand: deployments, their immutable revisions and the processes that serve them.
-- Contract: nothing to drop. Rollback: the tables are new.

-- A namespace belongs to the organisation that used it first.
CREATE TABLE namespace (
    cluster text NOT NULL,
    name    text NOT NULL,
    org_id  uuid NOT NULL,
    CONSTRAINT namespace_pkey PRIMARY KEY (cluster, name)
);

-- version is the entityseq of the deployment's events. generation counts its routings;
-- applied_generation is the last one that every data plane serves.
CREATE TABLE deployment (
    id                 uuid        NOT NULL,
    org_id             uuid        NOT NULL,
    org                text        NOT NULL,
    cluster            text        NOT NULL,
    namespace          text        NOT NULL,
    name               text        NOT NULL,
    version            bigint      NOT NULL DEFAULT 0,
    goal               text        NOT NULL,
    labels             jsonb       NOT NULL,
    creator            jsonb       NOT NULL,
    cause              jsonb       NOT NULL,
    generation         bigint      NOT NULL DEFAULT 0,
    applied_generation bigint      NOT NULL DEFAULT 0,
    applied_at         timestamptz,
    routed_revision_id uuid,
    upstreams          jsonb       NOT NULL DEFAULT '[]',
    ended_at           timestamptz,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    CONSTRAINT deployment_pkey PRIMARY KEY (id),
    CONSTRAINT deployment_name_key UNIQUE (cluster, namespace, name),
    CONSTRAINT deployment_goal_check CHECK (goal IN ('run', 'stop', 'remove'))
);

CREATE INDEX deployment_org_idx ON deployment (org_id, created_at DESC);

-- bento is what the registry answered when the revision was made, digests and wire form: a
-- later push changes nothing here. layout is what has to run, derived from bento and config.
CREATE TABLE revision (
    id                   uuid        NOT NULL,
    deployment_id        uuid        NOT NULL,
    number               integer     NOT NULL,
    stage                text        NOT NULL,
    bento                jsonb       NOT NULL,
    config               jsonb       NOT NULL,
    layout               jsonb       NOT NULL,
    access_authorization boolean     NOT NULL,
    creator              jsonb       NOT NULL,
    cause                jsonb       NOT NULL,
    image_uri            text,
    image_digest         text,
    held                 boolean     NOT NULL DEFAULT false,
    routed_generation    bigint,
    code                 text        NOT NULL DEFAULT '',
    reason               text        NOT NULL DEFAULT '',
    trouble              text        NOT NULL DEFAULT '',
    created_at           timestamptz NOT NULL,
    CONSTRAINT revision_pkey PRIMARY KEY (id),
    CONSTRAINT revision_number_key UNIQUE (deployment_id, number),
    CONSTRAINT revision_deployment_fkey
        FOREIGN KEY (deployment_id) REFERENCES deployment (id) ON DELETE CASCADE,
    CONSTRAINT revision_stage_check CHECK (
        stage IN ('pending', 'built', 'routed', 'serving', 'failed', 'image-failed', 'retired'))
);

CREATE INDEX revision_live_idx ON revision (deployment_id) WHERE stage <> 'retired';

-- One process group of one service. A port belongs to one replica from before it starts until
-- after it has ended.
CREATE TABLE replica (
    id            uuid    NOT NULL,
    deployment_id uuid    NOT NULL,
    revision_id   uuid    NOT NULL,
    service       text    NOT NULL,
    position      integer NOT NULL,
    port          integer NOT NULL,
    CONSTRAINT replica_pkey PRIMARY KEY (id),
    CONSTRAINT replica_place_key UNIQUE (revision_id, service, position),
    CONSTRAINT replica_port_key UNIQUE (port),
    CONSTRAINT replica_revision_fkey
        FOREIGN KEY (revision_id) REFERENCES revision (id) ON DELETE CASCADE
);

CREATE INDEX replica_deployment_idx ON replica (deployment_id);

-- Under which values are fingerprinted in events. Never leaves this database.
CREATE TABLE fingerprint_key (
    id    smallint NOT NULL DEFAULT 1,
    value bytea    NOT NULL,
    CONSTRAINT fingerprint_key_pkey PRIMARY KEY (id),
    CONSTRAINT fingerprint_key_id_check CHECK (id = 1)
);
