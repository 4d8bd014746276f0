-- Expand: how far each era of the stream is known to be in the log, which weeks are past and
-- settled, and how one is dropped. An era ends where a stream has lost facts: the same sequence
-- then means another fact.
-- Contract: nothing to drop. Rollback: table and functions are new.
CREATE TABLE outbox_era (
    since      timestamptz NOT NULL DEFAULT now(),
    logged_seq bigint      NOT NULL DEFAULT 0,
    CONSTRAINT outbox_era_pkey PRIMARY KEY (since)
);

INSERT INTO outbox_era (since) SELECT stream_created FROM outbox_relay;

-- A fact is settled once the log has it, a claim when it is as old as its week must be. The
-- default partition is no week and stays.
CREATE FUNCTION past_weeks(before timestamptz) RETURNS TABLE (part text, settled boolean)
LANGUAGE plpgsql AS $$
DECLARE
    said boolean;
BEGIN
    FOR part, said IN
        SELECT child.relname::text, inhparent = 'outbox'::regclass
        FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
        WHERE inhparent IN ('outbox'::regclass, 'inbox'::regclass)
          AND child.relname ~ '_\d{8}$'
          AND to_date(right(child.relname, 8), 'YYYYMMDD') + 7 <= (before AT TIME ZONE 'UTC')::date
        ORDER BY 1
    LOOP
        IF said THEN
            EXECUTE format(
                'SELECT NOT EXISTS (SELECT FROM %I AS fact
                 WHERE fact.published_at IS NULL OR fact.stream_seq IS NULL
                    OR fact.stream_seq > coalesce(
                        (SELECT logged_seq FROM outbox_era WHERE since <= fact.published_at
                         ORDER BY since DESC LIMIT 1), 0))', part) INTO settled;
        ELSE
            EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I WHERE claimed_at >= $1)', part)
            INTO settled USING before;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;

-- Its lock stops the parent's readers and writers: whoever waits for it longer gives up.
CREATE FUNCTION drop_week(part text) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS %I', part);
END
$$;
