-- Expand: what was made of what, by name, so that also what is not here has its place; and the
-- packages of every lock. Versions that are there already are described anew by the service.
-- Contract: nothing to drop. Rollback: both tables are new.
CREATE TABLE edge (
    org_id      uuid NOT NULL,
    parent_kind text NOT NULL,
    parent      text NOT NULL,
    child_kind  text NOT NULL,
    child       text NOT NULL,
    version_id  uuid NOT NULL REFERENCES version (id) ON DELETE CASCADE,
    CONSTRAINT edge_pkey PRIMARY KEY (org_id, child_kind, child, parent_kind, parent)
);

CREATE INDEX edge_parent_idx ON edge (org_id, parent_kind, parent);
CREATE INDEX edge_version_idx ON edge (version_id);

CREATE TABLE package (
    version_id uuid NOT NULL REFERENCES version (id) ON DELETE CASCADE,
    name       text NOT NULL,
    version    text NOT NULL,
    CONSTRAINT package_pkey PRIMARY KEY (version_id, name)
);

CREATE INDEX package_name_idx ON package (name);

UPDATE version SET described = false;
