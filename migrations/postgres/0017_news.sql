-- Whoever keeps answers hears of each commit that changes what is known of a dataset's partitions:
-- the name of the dataset, on the channel `assay_committed`, with the commit itself. Equal words of
-- one transaction are one word. A word holds nothing else, since every role may listen.

-- For each statement that writes verdicts or the ledger, in whatever function.
CREATE FUNCTION tell_committed() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_notify('assay_committed', changed.dataset_id)
       FROM (SELECT DISTINCT dataset_id FROM written) AS changed;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION tell_committed() FROM PUBLIC;

CREATE TRIGGER verdict_is_told AFTER INSERT ON verdict
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION tell_committed();
CREATE TRIGGER verdict_change_is_told AFTER UPDATE ON verdict
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION tell_committed();
CREATE TRIGGER ledger_is_told AFTER INSERT ON ledger
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION tell_committed();
CREATE TRIGGER ledger_change_is_told AFTER UPDATE ON ledger
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION tell_committed();
CREATE TRIGGER incident_is_told AFTER INSERT ON incident
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION tell_committed();
CREATE TRIGGER incident_change_is_told AFTER UPDATE ON incident
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION tell_committed();
