-- A partition belongs to a series, and is judged against the history of that series only. Whoever
-- looks at the data tells the series (discovery writes it again where it differs); '' is the series
-- of a dataset whose whole key moves in time.
ALTER TABLE ledger ADD COLUMN series text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX ledger_in_series ON ledger (dataset_id, series, ord, partition);

-- As before, with the series. p_sightings: {partition, series, ord, date, start, end, state, version,
-- objects, bytes, last_modified} each; the last one of a partition holds.
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
    RETURN 'ok';
END $$;

-- As before, with the series.
CREATE OR REPLACE FUNCTION judged_partition(p_task bigint, p_dataset text, e jsonb) RETURNS ledger
LANGUAGE plpgsql AS $$
DECLARE
    v_spec json;
    v_ledger ledger;
BEGIN
    SELECT spec INTO v_spec FROM task_spec WHERE task_id = p_task;
    IF v_spec -> 'partition' ->> 'key' IS DISTINCT FROM e ->> 'partition'
       OR v_spec ->> 'version' IS DISTINCT FROM e ->> 'version' THEN
        RAISE EXCEPTION 'the task is to judge % in version %, not % in version %',
            v_spec -> 'partition' ->> 'key', v_spec ->> 'version', e ->> 'partition', e ->> 'version'
            USING ERRCODE = 'AS003', TABLE = 'verdict';
    END IF;
    INSERT INTO ledger (dataset_id, partition, ord, date, start_at, end_at, state, version, objects,
                        bytes, first_seen, series)
    VALUES (p_dataset, e ->> 'partition', e ->> 'ord', (e ->> 'date')::date,
            instant((e ->> 'start')::bigint), instant((e ->> 'end')::bigint), e ->> 'state',
            e ->> 'version', (v_spec ->> 'objects')::bigint, (v_spec ->> 'bytes')::bigint,
            instant((e ->> 'judged_at')::bigint), coalesce(e ->> 'series', ''))
    ON CONFLICT (dataset_id, partition) DO NOTHING;
    SELECT * INTO v_ledger FROM ledger
     WHERE dataset_id = p_dataset AND partition = e ->> 'partition' FOR NO KEY UPDATE;
    RETURN v_ledger;
END $$;
