-- A discovery that is lost between the pages of its plan leaves those that it kept; nobody reads them.

-- As before; what earlier attempts kept of their plans goes.
CREATE OR REPLACE FUNCTION complete_discovery(p_run uuid, p_no bigint, p_attempt bigint, p_nonce uuid, p_at bigint,
                                   p_plan json, p_sightings jsonb)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_task bigint;
BEGIN
    SELECT o_task INTO v_task
      FROM succeed('discover', ARRAY[p_run], ARRAY[p_no], ARRAY[p_attempt], ARRAY[p_nonce], ARRAY[p_at]);
    IF NOT FOUND THEN
        RETURN explain_completion('discover', p_run, p_no, p_attempt, p_nonce);
    END IF;
    INSERT INTO task_output (task_id, attempt, parts, plan)
    VALUES (v_task, p_attempt, jsonb_array_length(p_sightings), p_plan);
    INSERT INTO ledger (dataset_id, partition, ord, date, start_at, end_at, state, version, objects, bytes,
                        first_seen, last_modified, series)
    SELECT DISTINCT ON (x.value ->> 'partition' COLLATE "C")
           r.dataset_id, x.value ->> 'partition', x.value ->> 'ord', (x.value ->> 'date')::date,
           instant((x.value ->> 'start')::bigint), instant((x.value ->> 'end')::bigint),
           x.value ->> 'state', x.value ->> 'version', (x.value ->> 'objects')::bigint,
           (x.value ->> 'bytes')::bigint, instant(p_at), instant((x.value ->> 'last_modified')::bigint),
           coalesce(x.value ->> 'series', '')
      FROM run r CROSS JOIN jsonb_array_elements(p_sightings) WITH ORDINALITY x
     WHERE r.id = p_run
     ORDER BY x.value ->> 'partition' COLLATE "C", x.ordinality DESC
    ON CONFLICT (dataset_id, partition) DO UPDATE SET ord = excluded.ord, date = excluded.date,
        start_at = excluded.start_at, end_at = excluded.end_at, state = excluded.state,
        version = excluded.version, objects = excluded.objects, bytes = excluded.bytes,
        last_modified = excluded.last_modified, series = excluded.series;
    DELETE FROM task_plan WHERE task_id = v_task AND attempt <> p_attempt;
    RETURN 'ok';
END $$;

-- Those of discoveries that have completed.
DELETE FROM task_plan p USING task_output o WHERE o.task_id = p.task_id AND o.attempt <> p.attempt;
