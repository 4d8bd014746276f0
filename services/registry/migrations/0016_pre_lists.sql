-- Expand: how many versions a repository shows, kept by the database itself, since whatever
-- writes versions would have to remember it; labels that are found by an index; who pushed a
-- version; and since when an operator of Yatai's looks after its image.
-- Contract: nothing to drop. Rollback: older code counts anew, and the triggers keep counting.
LOCK TABLE version IN SHARE ROW EXCLUSIVE MODE;
ALTER TABLE repository ADD COLUMN live_versions bigint NOT NULL DEFAULT 0;
ALTER TABLE repository ADD COLUMN uploaded_versions bigint NOT NULL DEFAULT 0;
UPDATE repository r SET live_versions = found.live, uploaded_versions = found.uploaded
FROM (SELECT repository_id, count(*) AS live,
             count(*) FILTER (WHERE upload_status = 'success') AS uploaded
      FROM version WHERE deleted_at IS NULL GROUP BY 1) AS found
WHERE found.repository_id = r.id;

ALTER TABLE version ADD COLUMN creator jsonb;
ALTER TABLE version ADD COLUMN image_synced_at timestamptz;

CREATE FUNCTION count_live_version() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    live     bigint := 0;
    uploaded bigint := 0;
BEGIN
    IF TG_OP <> 'DELETE' AND NEW.deleted_at IS NULL THEN
        live := live + 1;
        uploaded := uploaded + (NEW.upload_status = 'success')::int;
    END IF;
    IF TG_OP <> 'INSERT' AND OLD.deleted_at IS NULL THEN
        live := live - 1;
        uploaded := uploaded - (OLD.upload_status = 'success')::int;
    END IF;
    IF live <> 0 OR uploaded <> 0 THEN
        UPDATE repository SET live_versions = live_versions + live,
                              uploaded_versions = uploaded_versions + uploaded
        WHERE id = coalesce(NEW.repository_id, OLD.repository_id);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER version_counted AFTER INSERT OR DELETE OR UPDATE OF deleted_at, upload_status ON version
    FOR EACH ROW EXECUTE FUNCTION count_live_version();

CREATE INDEX version_labels_idx ON version USING gin (labels);

-- With the version in it, an index is enough for a condition on a number.
CREATE INDEX fact_number_version_idx ON fact (key, number) INCLUDE (version_id)
    WHERE number IS NOT NULL;

-- What a repository takes, counted without a look at its versions.
CREATE INDEX version_content_idx ON version (repository_id, digest)
    WHERE deleted_at IS NULL AND digest IS NOT NULL;
