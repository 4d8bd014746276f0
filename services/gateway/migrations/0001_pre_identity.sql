-- Expand: who may call: organisations with their cluster and namespace, users, tokens.
-- Contract: nothing to drop. Rollback: the tables are new.
CREATE TABLE org (
    id          uuid        CONSTRAINT org_pkey PRIMARY KEY,
    name        text        NOT NULL CONSTRAINT org_name_key UNIQUE,
    description text        NOT NULL DEFAULT '',
    version     bigint      NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE cluster (
    id         uuid        CONSTRAINT cluster_pkey PRIMARY KEY,
    name       text        NOT NULL CONSTRAINT cluster_name_key UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A namespace is unique in its cluster and belongs to one organisation.
CREATE TABLE namespace (
    id         uuid        CONSTRAINT namespace_pkey PRIMARY KEY,
    org_id     uuid        NOT NULL REFERENCES org (id),
    cluster_id uuid        NOT NULL REFERENCES cluster (id),
    name       text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT namespace_name_key UNIQUE (cluster_id, name)
);

CREATE TABLE person (
    id         uuid        CONSTRAINT person_pkey PRIMARY KEY,
    name       text        NOT NULL CONSTRAINT person_name_key UNIQUE,
    email      text        NOT NULL,
    first_name text        NOT NULL,
    last_name  text        NOT NULL,
    version    bigint      NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE member (
    org_id    uuid NOT NULL REFERENCES org (id),
    person_id uuid NOT NULL REFERENCES person (id),
    CONSTRAINT member_pkey PRIMARY KEY (org_id, person_id)
);

-- Only the SHA-256 of a token is kept. The token fixes the organisation.
CREATE TABLE token (
    id         uuid        CONSTRAINT token_pkey PRIMARY KEY,
    org_id     uuid        NOT NULL,
    person_id  uuid        NOT NULL,
    label      text        NOT NULL,
    digest     bytea       NOT NULL,
    version    bigint      NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT token_digest_key UNIQUE (digest),
    CONSTRAINT token_digest_length CHECK (octet_length(digest) = 32),
    CONSTRAINT token_member_fkey FOREIGN KEY (org_id, person_id) REFERENCES member (org_id, person_id)
);
