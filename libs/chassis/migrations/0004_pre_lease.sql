-- Expand: leadership. The fence grows with every change of holder; writes of a holder that has
-- been overtaken can be refused by it.
-- Contract: nothing to drop. Rollback: the table is new.
CREATE TABLE lease (
    name       text        NOT NULL,
    holder     text        NOT NULL,
    fence      bigint      NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT lease_pkey PRIMARY KEY (name)
);
