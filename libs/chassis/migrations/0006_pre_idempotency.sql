-- Expand: answers of requests that carried an `Idempotency-Key`, for a day.
-- Contract: nothing to drop. Rollback: older code takes no notice of the header.
CREATE TABLE idempotency (
    org_id      uuid        NOT NULL,
    actor       text        NOT NULL,
    key         text        NOT NULL,
    fingerprint bytea       NOT NULL,
    status      integer,
    body        bytea,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_pkey PRIMARY KEY (org_id, actor, key)
);

CREATE INDEX idempotency_created_idx ON idempotency (created_at);
