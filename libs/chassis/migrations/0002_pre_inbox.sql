-- Expand: which events each consumer has applied, partitioned like the outbox, and the function
-- that keeps both supplied with partitions.
-- Contract: nothing to drop. Rollback: the table is new.
CREATE TABLE inbox (
    consumer   text        NOT NULL,
    event_id   uuid        NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT inbox_pkey PRIMARY KEY (consumer, event_id)
) PARTITION BY RANGE (event_id);

CREATE TABLE inbox_default PARTITION OF inbox DEFAULT;

-- This week, the one before (late events) and the weeks ahead. One caller at a time.
CREATE FUNCTION ensure_partitions(moment timestamptz, ahead integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    monday timestamptz := date_trunc('week', moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ensure_partitions', 0));
    FOR week IN -1 .. ahead LOOP
        PERFORM ensure_week('outbox', monday + week * interval '7 days');
        PERFORM ensure_week('inbox', monday + week * interval '7 days');
    END LOOP;
END
$$;
