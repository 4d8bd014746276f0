-- Expand: messages that were given up, with their bytes, and the strikes of those that may be.
-- Contract: nothing to drop. Rollback: the tables are new.
CREATE TABLE dead_letter (
    consumer    text        NOT NULL,
    message_id  text        NOT NULL,
    event_id    uuid,
    subject     text        NOT NULL,
    code        text        NOT NULL,
    reason      text        NOT NULL,
    attempts    integer     NOT NULL,
    body        bytea       NOT NULL,
    buried_at   timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    CONSTRAINT dead_letter_pkey PRIMARY KEY (consumer, message_id)
);

CREATE INDEX dead_letter_open_idx ON dead_letter (buried_at) WHERE resolved_at IS NULL;

-- A strike is an attempt that ended in an unknown exception, or never ended: the process died.
CREATE TABLE delivery_strike (
    consumer   text        NOT NULL,
    message_id text        NOT NULL,
    strikes    integer     NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT delivery_strike_pkey PRIMARY KEY (consumer, message_id)
);
