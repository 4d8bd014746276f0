-- Expand: images: uploads in pieces, blobs and manifests by repository, tags and
-- what keeps them from moving.
-- Contract: nothing to drop. Rollback: the tables are new.
-- A repository is its name: it exists while it has a blob or a manifest.
CREATE TABLE oci_upload (
    id           uuid        PRIMARY KEY,
    org_id       uuid        NOT NULL,
    repository   text        NOT NULL,
    offset_bytes bigint      NOT NULL DEFAULT 0 CHECK (offset_bytes >= 0),
    alive_at     timestamptz NOT NULL
);

CREATE INDEX oci_upload_alive_idx ON oci_upload (alive_at);

-- Each request's bytes lie by themselves, as a blob does, until the upload is over.
CREATE TABLE oci_piece (
    upload_id  uuid   NOT NULL REFERENCES oci_upload (id) ON DELETE CASCADE,
    first      bigint NOT NULL,
    digest     text   NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    chunks     bytea  NOT NULL,
    location   text   NOT NULL,
    CONSTRAINT oci_piece_pkey PRIMARY KEY (upload_id, first)
);

CREATE UNIQUE INDEX oci_piece_location_key ON oci_piece (location);

-- What counts is the link: bytes without one of the organisation's are not there for it.
CREATE TABLE oci_blob (
    org_id     uuid NOT NULL,
    repository text NOT NULL,
    digest     text NOT NULL REFERENCES blob (digest),
    touched_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT oci_blob_pkey PRIMARY KEY (org_id, repository, digest)
);

CREATE INDEX oci_blob_digest_idx ON oci_blob (digest);

-- Names by other algorithms under which an organisation sent bytes; these are kept as sha256.
CREATE TABLE oci_digest (
    org_id uuid NOT NULL,
    digest text NOT NULL,
    blob   text NOT NULL REFERENCES blob (digest) ON DELETE CASCADE,
    CONSTRAINT oci_digest_pkey PRIMARY KEY (org_id, digest)
);

CREATE INDEX oci_digest_blob_idx ON oci_digest (blob);

-- content as it was sent: its digest is what it is known by. descriptor is what referrers list.
CREATE TABLE oci_manifest (
    org_id        uuid        NOT NULL,
    repository    text        NOT NULL,
    digest        text        NOT NULL,
    media_type    text        NOT NULL,
    artifact_type text,
    subject       text,
    descriptor    text        NOT NULL,
    content       bytea       NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT oci_manifest_pkey PRIMARY KEY (org_id, repository, digest)
);

-- What a manifest needs, by the name that it is kept by.
CREATE TABLE oci_edge (
    org_id     uuid NOT NULL,
    repository text NOT NULL,
    manifest   text NOT NULL,
    blob       text NOT NULL,
    CONSTRAINT oci_edge_pkey PRIMARY KEY (org_id, repository, manifest, blob),
    CONSTRAINT oci_edge_manifest_fkey FOREIGN KEY (org_id, repository, manifest)
        REFERENCES oci_manifest (org_id, repository, digest) ON DELETE CASCADE,
    CONSTRAINT oci_edge_blob_fkey FOREIGN KEY (org_id, repository, blob)
        REFERENCES oci_blob (org_id, repository, digest) ON DELETE CASCADE
);

CREATE INDEX oci_edge_blob_idx ON oci_edge (org_id, repository, blob);

CREATE INDEX oci_manifest_subject_idx ON oci_manifest (org_id, repository, subject, digest)
    WHERE subject IS NOT NULL;

CREATE TABLE oci_tag (
    org_id     uuid             NOT NULL,
    repository text             NOT NULL,
    name       text COLLATE "C" NOT NULL,
    digest     text             NOT NULL,
    CONSTRAINT oci_tag_pkey PRIMARY KEY (org_id, repository, name),
    CONSTRAINT oci_tag_manifest_fkey FOREIGN KEY (org_id, repository, digest)
        REFERENCES oci_manifest (org_id, repository, digest) ON DELETE CASCADE
);

CREATE INDEX oci_tag_digest_idx ON oci_tag (org_id, repository, digest);

-- Tags that match one of the patterns stay where they are.
CREATE TABLE oci_rule (
    org_id     uuid   NOT NULL,
    repository text   NOT NULL,
    patterns   text[] NOT NULL,
    CONSTRAINT oci_rule_pkey PRIMARY KEY (org_id, repository)
);
