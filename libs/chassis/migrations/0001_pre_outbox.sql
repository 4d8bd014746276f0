-- Expand: the outbox, which is the service's retained event log, and the place its relay has
-- reached in the stream. Range-partitioned on the id: a UUIDv7 begins with its milliseconds.
-- Contract: nothing to drop. Rollback: the tables are new.
CREATE TABLE outbox (
    id           uuid        NOT NULL,
    org_id       uuid        NOT NULL,
    entity_id    uuid        NOT NULL,
    entity_seq   bigint      NOT NULL,
    subject      text        NOT NULL,
    type         text        NOT NULL,
    body         bytea       NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    stream_seq   bigint,
    CONSTRAINT outbox_pkey PRIMARY KEY (id)
) PARTITION BY RANGE (id);

CREATE TABLE outbox_default PARTITION OF outbox DEFAULT;

CREATE INDEX outbox_unpublished_idx ON outbox (id) WHERE published_at IS NULL;
CREATE INDEX outbox_entity_idx ON outbox (entity_id, entity_seq);
CREATE INDEX outbox_stream_seq_idx ON outbox (stream_seq) WHERE stream_seq IS NOT NULL;

-- stream_created tells one life of the stream from the next: a broker that lost its disk
-- comes back with the same name and another birthday.
CREATE TABLE outbox_relay (
    stream         text        NOT NULL,
    stream_created timestamptz NOT NULL,
    last_seq       bigint      NOT NULL,
    CONSTRAINT outbox_relay_pkey PRIMARY KEY (stream)
);

CREATE FUNCTION uuid_v7_floor(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0')
            || '00000000000000000000')::uuid
$$;

-- One partition of one week. Rows that a late call let fall into the default partition move
-- with it. ATTACH blocks neither readers nor writers of the parent.
CREATE FUNCTION ensure_week(parent text, week timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    part text := format('%s_%s', parent, to_char(week AT TIME ZONE 'UTC', 'YYYYMMDD'));
    low  uuid := uuid_v7_floor(week);
    high uuid := uuid_v7_floor(week + interval '7 days');
BEGIN
    IF to_regclass(part) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, parent);
    EXECUTE format(
        'WITH moved AS (DELETE FROM %I WHERE %I >= %L AND %I < %L RETURNING *)
         INSERT INTO %I SELECT * FROM moved',
        parent || '_default', CASE parent WHEN 'inbox' THEN 'event_id' ELSE 'id' END, low,
        CASE parent WHEN 'inbox' THEN 'event_id' ELSE 'id' END, high, part);
    EXECUTE format(
        'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, low, high);
END
$$;
