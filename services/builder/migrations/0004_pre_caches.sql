-- Expand: when an image was last found again, so that those of which nobody builds are forgotten.
-- Contract: nothing to drop. Rollback: nothing to do.
ALTER TABLE image ADD COLUMN used_at timestamptz NOT NULL DEFAULT now();
