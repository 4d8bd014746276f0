-- Expand: who made a repository, as clients want to see it. Null where that was never recorded.
-- Contract: nothing to drop. Rollback: old code ignores the column.
ALTER TABLE repository ADD COLUMN creator jsonb;
