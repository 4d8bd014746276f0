-- Expand: uploads that do not come as one request to …/upload: bytes sent by a signed URL, whole
-- or in parts, to the store or to us; and how each organisation's clients are told to send.
-- Contract: nothing to drop. Rollback: what is being verified stays so until newer code is back.
CREATE TABLE transfer (
    id           uuid        PRIMARY KEY,
    org_id       uuid        NOT NULL,
    version_id   uuid        NOT NULL REFERENCES version (id) ON DELETE CASCADE,
    in_parts     boolean     NOT NULL,
    location     text,
    store_upload text,
    parts        jsonb       NOT NULL DEFAULT '[]',
    state        text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'verifying')),
    actor        text        NOT NULL,
    correlation  text        NOT NULL,
    traceparent  text,
    tried_at     timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL
);

CREATE INDEX transfer_version_idx ON transfer (version_id, id DESC);
CREATE INDEX transfer_verifying_idx ON transfer (tried_at) WHERE state = 'verifying';
CREATE INDEX transfer_expires_idx ON transfer (expires_at);

-- A part that was sent to us, as a blob lies.
CREATE TABLE transfer_part (
    transfer_id uuid    NOT NULL REFERENCES transfer (id) ON DELETE CASCADE,
    number      integer NOT NULL CHECK (number BETWEEN 1 AND 10000),
    digest      text    NOT NULL,
    size_bytes  bigint  NOT NULL,
    chunks      bytea   NOT NULL,
    location    text    NOT NULL,
    CONSTRAINT transfer_part_pkey PRIMARY KEY (transfer_id, number)
);

CREATE UNIQUE INDEX transfer_part_location_key ON transfer_part (location);

CREATE TABLE org_setting (
    org_id   uuid PRIMARY KEY,
    strategy text NOT NULL CHECK (strategy IN ('proxy', 'presigned', 'multipart'))
);
