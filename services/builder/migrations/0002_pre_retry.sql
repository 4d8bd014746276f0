-- Expand: a build that met a passing trouble is begun again, and says how often it was.
-- Contract: nothing to drop. Rollback: older code ignores both columns.
ALTER TABLE build ADD COLUMN attempts integer NOT NULL DEFAULT 0;
ALTER TABLE build ADD COLUMN due_at timestamptz NOT NULL DEFAULT now();
