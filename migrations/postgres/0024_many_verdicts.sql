-- A task may judge several partitions of a series: it leaves a verdict on each of them.
ALTER TABLE verdict DROP CONSTRAINT verdict_of_attempt;
ALTER TABLE verdict ADD CONSTRAINT verdict_of_attempt UNIQUE (task_id, attempt, partition);

-- As before, of one partition of a task: v_spec are its orders.
CREATE FUNCTION judged_partition(p_spec json, p_dataset text, e jsonb) RETURNS ledger
LANGUAGE plpgsql AS $$
DECLARE
    v_ledger ledger;
BEGIN
    IF p_spec -> 'partition' ->> 'key' IS DISTINCT FROM e ->> 'partition'
       OR p_spec ->> 'version' IS DISTINCT FROM e ->> 'version' THEN
        RAISE EXCEPTION 'the task is to judge % in version %, not % in version %',
            p_spec -> 'partition' ->> 'key', p_spec ->> 'version', e ->> 'partition', e ->> 'version'
            USING ERRCODE = 'AS003', TABLE = 'verdict';
    END IF;
    INSERT INTO ledger (dataset_id, partition, ord, date, start_at, end_at, state, version, objects,
                        bytes, first_seen, series)
    VALUES (p_dataset, e ->> 'partition', e ->> 'ord', (e ->> 'date')::date,
            instant((e ->> 'start')::bigint), instant((e ->> 'end')::bigint), e ->> 'state',
            e ->> 'version', (p_spec ->> 'objects')::bigint, (p_spec ->> 'bytes')::bigint,
            instant((e ->> 'judged_at')::bigint), coalesce(e ->> 'series', ''))
    ON CONFLICT (dataset_id, partition) DO NOTHING;
    SELECT * INTO v_ledger FROM ledger
     WHERE dataset_id = p_dataset AND partition = e ->> 'partition' FOR NO KEY UPDATE;
    RETURN v_ledger;
END $$;
DROP FUNCTION judged_partition(bigint, text, jsonb);

-- One verdict of a task that has succeeded.
CREATE FUNCTION write_verdict(p_run uuid, p_task bigint, p_attempt bigint, p_dataset text, p_at bigint,
                              p_spec json, e jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_ledger ledger;
    -- A newer version has been judged, or this one by a later definition: this verdict is kept, and
    -- is not in force.
    v_outdated boolean;
    v_verdict bigint;
    n bigint[] := ARRAY(SELECT x::bigint FROM jsonb_array_elements_text(e -> 'counts') x);
BEGIN
    IF EXISTS (SELECT 1 FROM jsonb_array_elements(e -> 'incidents') x WHERE x ->> 1 <> p_dataset) THEN
        RAISE EXCEPTION 'it is not of %', p_dataset USING ERRCODE = 'AS003', TABLE = 'incident';
    END IF;
    v_ledger := judged_partition(p_spec, p_dataset, e);
    v_outdated := coalesce(v_ledger.judged = v_ledger.version AND v_ledger.version <> e ->> 'version', false)
        OR (coalesce(v_ledger.judged = e ->> 'version', false) AND EXISTS (
            SELECT 1 FROM verdict v
              JOIN run r ON r.id = v.run_id JOIN definition d ON d.digest = r.definition
              JOIN run m ON m.id = p_run JOIN definition o ON o.digest = m.definition
             WHERE v.dataset_id = p_dataset AND v.partition = e ->> 'partition' AND NOT v.superseded
               AND d.stored_at > o.stored_at));
    -- A version seen while this one was being judged keeps its state: it is still to be judged.
    UPDATE ledger SET revision = v_ledger.revision + 1,
           judged = CASE WHEN v_outdated THEN judged ELSE e ->> 'version' END,
           state = CASE WHEN v_outdated THEN state WHEN version = e ->> 'version' THEN e ->> 'state'
                   WHEN state <> 'sealed' THEN state ELSE 'rewritten' END
     WHERE dataset_id = p_dataset AND partition = e ->> 'partition';
    IF NOT v_outdated THEN
        UPDATE verdict SET superseded = true
         WHERE dataset_id = p_dataset AND partition = e ->> 'partition' AND NOT superseded;
    END IF;
    INSERT INTO verdict (dataset_id, partition, ord, version, revision, sealed, superseded, run_id, task_id,
                         attempt, judged_at, metrics, planned, pass, warn, fail, error, missing, learning,
                         skipped, overflow)
    VALUES (p_dataset, e ->> 'partition', e ->> 'ord', e ->> 'version', v_ledger.revision + 1,
            (e ->> 'sealed')::boolean, v_outdated, p_run, p_task, p_attempt,
            instant((e ->> 'judged_at')::bigint), jsonb_array_length(e -> 'metrics'),
            n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9])
    RETURNING id INTO v_verdict;
    PERFORM write_measurements(v_verdict, p_dataset, e);
    IF NOT v_outdated THEN
        PERFORM write_told(e, p_at);
    END IF;
END $$;

-- As before; e is one evaluation, or a list with one for each partition that the task is to judge.
CREATE OR REPLACE FUNCTION complete_evaluation(p_run uuid, p_no bigint, p_attempt bigint, p_nonce uuid,
                                               p_at bigint, e jsonb)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_task bigint;
    v_dataset text;
    v_spec json;
    v_all jsonb := CASE jsonb_typeof(e) WHEN 'array' THEN e ELSE jsonb_build_array(e) END;
    v_orders json[];
    v_keys text[];
BEGIN
    SELECT o_task INTO v_task
      FROM succeed('evaluate', ARRAY[p_run], ARRAY[p_no], ARRAY[p_attempt], ARRAY[p_nonce], ARRAY[p_at]);
    IF NOT FOUND THEN
        RETURN explain_completion('evaluate', p_run, p_no, p_attempt, p_nonce);
    END IF;
    SELECT dataset_id INTO v_dataset FROM run WHERE id = p_run;
    SELECT spec INTO v_spec FROM task_spec WHERE task_id = v_task;
    IF v_spec -> 'of' IS NULL THEN
        v_orders := ARRAY[v_spec];
    ELSE
        v_orders := ARRAY(SELECT x.value FROM json_array_elements(v_spec -> 'of') WITH ORDINALITY x
                           ORDER BY x.ordinality);
    END IF;
    IF cardinality(v_orders) <> jsonb_array_length(v_all) THEN
        RAISE EXCEPTION 'the task is to judge % partitions, and % verdicts came',
            cardinality(v_orders), jsonb_array_length(v_all) USING ERRCODE = 'AS003', TABLE = 'verdict';
    END IF;
    FOR i IN 1 .. cardinality(v_orders) LOOP
        PERFORM write_verdict(p_run, v_task, p_attempt, v_dataset, p_at, v_orders[i], v_all -> (i - 1));
        v_keys := v_keys || (v_all -> (i - 1) ->> 'partition');
    END LOOP;
    INSERT INTO task_output (task_id, attempt, parts) VALUES (v_task, p_attempt, cardinality(v_orders));
    -- Empties the states that are merged: their rows and sizes stay. Those of a partition that could not
    -- be measured whole, and of those judged with it, are merged when the rest has been tried again.
    UPDATE metric_state SET payload = NULL
     WHERE partition = ANY (v_keys) AND payload IS NOT NULL AND task_id IN (
        SELECT t.id FROM json_array_elements_text(v_spec -> 'measured_by') m
          JOIN task t ON t.run_id = p_run AND t.no = m::bigint)
       AND NOT EXISTS (
        SELECT 1 FROM json_array_elements_text(v_spec -> 'measured_by') m
          JOIN task t ON t.run_id = p_run AND t.no = m::bigint AND t.state <> 'succeeded');
    RETURN 'ok';
END $$;

REVOKE ALL ON FUNCTION judged_partition(json, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION write_verdict(uuid, bigint, bigint, text, bigint, json, jsonb) FROM PUBLIC;
