-- What people answer back to the judge. An answer is withdrawn, never changed otherwise and never
-- deleted.

CREATE TABLE feedback (
    id               uuid        PRIMARY KEY,
    dataset_id       text        COLLATE "C" NOT NULL,
    kind             text        NOT NULL CHECK (kind IN ('mark_as_normal', 'train_as_new_normal',
                                 'exclude_window')),
    -- `"dataset"`, or an object with the column or the metric.
    scope            json        NOT NULL,
    -- Absent: all series.
    series           text        COLLATE "C",
    from_partition   text        COLLATE "C" NOT NULL,
    to_partition     text        COLLATE "C",
    answered_by      text        NOT NULL CHECK (length(answered_by) >= 1),
    answered_at      timestamptz NOT NULL,
    reason           text        NOT NULL CHECK (length(reason) >= 1),
    withdrawn_by     text,
    withdrawn_at     timestamptz,
    withdrawn_reason text,
    CHECK ((kind = 'exclude_window') = (to_partition IS NOT NULL)),
    CHECK (num_nulls(withdrawn_by, withdrawn_at, withdrawn_reason) IN (0, 3))
);
CREATE INDEX feedback_of_dataset ON feedback (dataset_id, (withdrawn_at IS NULL), answered_at, id);

CREATE FUNCTION refuse_change_of_feedback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' OR old.withdrawn_at IS NOT NULL OR new.withdrawn_at IS NULL
       OR (to_jsonb(new) - '{withdrawn_by,withdrawn_at,withdrawn_reason}'::text[])
          <> (to_jsonb(old) - '{withdrawn_by,withdrawn_at,withdrawn_reason}'::text[]) THEN
        RAISE EXCEPTION 'an answer is withdrawn once, and neither changed otherwise nor deleted';
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER feedback_is_only_withdrawn BEFORE UPDATE OR DELETE ON feedback
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_feedback();
CREATE TRIGGER feedback_is_never_emptied BEFORE TRUNCATE ON feedback
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_feedback();

-- Keeps an answer at the server's own instant, so that it lies before or after a verdict whatever the
-- clocks of managers and nodes say. Answers `ok`, `already`, `full` or `another`.
CREATE FUNCTION keep_feedback(p_epoch bigint, p_most bigint, e jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_id uuid := (e ->> 'id')::uuid;
    v_dataset text := e ->> 'dataset';
    v_known feedback;
BEGIN
    PERFORM fence(p_epoch);
    SELECT * INTO v_known FROM feedback WHERE id = v_id;
    IF FOUND THEN
        RETURN CASE WHEN v_known.dataset_id = v_dataset AND v_known.kind = e ->> 'kind'
                     AND v_known.scope::jsonb = e -> 'scope'
                     AND v_known.series IS NOT DISTINCT FROM e ->> 'series'
                     AND v_known.from_partition = e ->> 'from'
                     AND v_known.to_partition IS NOT DISTINCT FROM e ->> 'to'
               THEN 'already' ELSE 'another' END;
    END IF;
    IF (SELECT count(*) FROM feedback WHERE dataset_id = v_dataset AND (withdrawn_at IS NULL)) >= p_most THEN
        RETURN 'full';
    END IF;
    INSERT INTO feedback (id, dataset_id, kind, scope, series, from_partition, to_partition, answered_by,
                          answered_at, reason)
    VALUES (v_id, v_dataset, e ->> 'kind', (e -> 'scope')::json, e ->> 'series', e ->> 'from', e ->> 'to',
            e ->> 'by', clock_timestamp(), e ->> 'reason');
    RETURN 'ok';
END $$;

-- Withdraws an answer. One that was withdrawn before stays as it was.
CREATE FUNCTION withdraw_feedback(p_epoch bigint, p_dataset text, p_id uuid, p_by text, p_reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM fence(p_epoch);
    UPDATE feedback SET withdrawn_by = p_by, withdrawn_at = clock_timestamp(), withdrawn_reason = p_reason
     WHERE id = p_id AND dataset_id = p_dataset AND withdrawn_at IS NULL;
END $$;

REVOKE ALL ON FUNCTION keep_feedback(bigint, bigint, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION withdraw_feedback(bigint, text, uuid, text, text) FROM PUBLIC;
