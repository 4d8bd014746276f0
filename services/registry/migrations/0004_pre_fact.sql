-- Expand: what a version's manifest says under `metadata`, a row for each scalar, so that it can
-- be asked for: nested names are joined by dots, booleans are words. Versions that are there
-- already are described by the service, which knows how to read manifests of any form.
-- Contract: nothing to drop. Rollback: older code ignores both, and newer code fills the gaps.
ALTER TABLE version ADD COLUMN described boolean NOT NULL DEFAULT false;
CREATE INDEX version_undescribed_idx ON version (id) WHERE NOT described;

CREATE TABLE fact (
    version_id uuid             NOT NULL REFERENCES version (id) ON DELETE CASCADE,
    key        text             NOT NULL,
    number     double precision,
    word       text,
    CONSTRAINT fact_pkey PRIMARY KEY (version_id, key)
);

CREATE INDEX fact_number_idx ON fact (key, number) WHERE number IS NOT NULL;

-- Which models a bento's manifest names: both directions of the lineage, one hop.
CREATE TABLE need (
    version_id uuid NOT NULL REFERENCES version (id) ON DELETE CASCADE,
    repository text NOT NULL,
    version    text NOT NULL,
    CONSTRAINT need_pkey PRIMARY KEY (version_id, repository, version)
);

CREATE INDEX need_model_idx ON need (repository, version);
