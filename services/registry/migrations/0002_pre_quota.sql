-- Expand: limits per organisation, what each one uses, and whose bytes a version is receiving.
-- Contract: nothing to drop. Rollback: the new columns have defaults, the tables are new.
CREATE TABLE limits (
    org_id  uuid   NOT NULL,
    name    text   NOT NULL,
    maximum bigint NOT NULL CHECK (maximum >= 0),
    CONSTRAINT limits_pkey PRIMARY KEY (org_id, name)
);

-- Written with the version in one transaction: reserved is the sum of version.reserved_bytes,
-- committed that of the blobs versions point to. No two share one: an archive names its version.
CREATE TABLE usage (
    org_id          uuid   PRIMARY KEY,
    reserved_bytes  bigint NOT NULL CHECK (reserved_bytes >= 0),
    committed_bytes bigint NOT NULL CHECK (committed_bytes >= 0)
);

-- upload_id is set while bytes flow, and only who knows it may end the upload.
ALTER TABLE version
    ADD COLUMN reserved_bytes  bigint NOT NULL DEFAULT 0 CHECK (reserved_bytes >= 0),
    ADD COLUMN upload_id       uuid,
    ADD COLUMN upload_alive_at timestamptz;

INSERT INTO usage (org_id, reserved_bytes, committed_bytes)
SELECT org_id, 0, sum(size_bytes) FROM version JOIN blob USING (digest) GROUP BY org_id;

UPDATE version SET upload_alive_at = updated_at WHERE upload_status = 'uploading';

CREATE INDEX version_uploading_idx ON version (upload_alive_at) WHERE upload_status = 'uploading';
