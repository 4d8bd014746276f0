-- Expand: the event log, one hash chain per organisation, and the platform chain of their heads.
-- Contract: nothing to drop. Rollback: the tables are new.
CREATE TABLE log_chain (
    org_id uuid PRIMARY KEY,
    seq    bigint NOT NULL,
    hash   bytea  NOT NULL,
    CONSTRAINT log_chain_hash_length CHECK (octet_length(hash) = 32)
);

-- body is nullable: erasing a payload leaves its digest, and so the chain, whole.
CREATE TABLE log_entry (
    org_id         uuid        NOT NULL,
    seq            bigint      NOT NULL,
    hash           bytea       NOT NULL,
    body_digest    bytea       NOT NULL,
    body           bytea,
    event_id       uuid        NOT NULL,
    short_name     text        NOT NULL,
    entity_id      uuid        NOT NULL,
    actor          text        NOT NULL,
    correlation_id text        NOT NULL,
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT log_entry_pkey PRIMARY KEY (org_id, seq),
    CONSTRAINT log_entry_event_key UNIQUE (event_id)
);

CREATE INDEX log_entry_name_idx ON log_entry (org_id, short_name, seq);
CREATE INDEX log_entry_entity_idx ON log_entry (org_id, entity_id, seq);
CREATE INDEX log_entry_correlation_idx ON log_entry (org_id, correlation_id, seq);

CREATE TABLE log_anchor (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash        bytea       NOT NULL,
    anchored_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE log_anchor_head (
    anchor bigint NOT NULL REFERENCES log_anchor (seq),
    org_id uuid   NOT NULL,
    seq    bigint NOT NULL,
    hash   bytea  NOT NULL,
    CONSTRAINT log_anchor_head_pkey PRIMARY KEY (anchor, org_id)
);

-- Append-only is a property of the table, not of the code's manners: the one change that is
-- allowed is the erasure of a payload.
CREATE FUNCTION log_entry_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.body IS NULL
       AND (to_jsonb(NEW) - 'body') = (to_jsonb(OLD) - 'body') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the event log is append-only' USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER log_entry_append_only BEFORE UPDATE OR DELETE ON log_entry
    FOR EACH ROW EXECUTE FUNCTION log_entry_is_append_only();
CREATE TRIGGER log_entry_no_truncate BEFORE TRUNCATE ON log_entry
    FOR EACH STATEMENT EXECUTE FUNCTION log_entry_is_append_only();
