-- A run that is tried again judges again what it could not measure before: its task leaves a verdict
-- of a later attempt beside the one that it takes the place of.
ALTER TABLE verdict DROP CONSTRAINT verdict_task_id_key;
ALTER TABLE verdict ADD CONSTRAINT verdict_of_attempt UNIQUE (task_id, attempt);

-- An ended run goes back into the queue with its failed tasks, and with the judgements that were made
-- without a measurement that is tried again. Their verdicts stay in force until the next ones take
-- their places.
CREATE OR REPLACE FUNCTION retry_run(p_epoch bigint, c jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_run uuid := (c ->> 'run')::uuid;
    v_at timestamptz := instant((c ->> 'at')::bigint);
    v_in_vain bigint[];
BEGIN
    UPDATE run SET state = 'queued', reason = NULL, finished_at = NULL,
           deadline_at = instant((c ->> 'deadline_at')::bigint)
     WHERE id = v_run AND state IN ('succeeded', 'partial', 'failed', 'cancelled', 'skipped_stale')
       AND (planned_at IS NULL OR EXISTS (SELECT 1 FROM task WHERE run_id = v_run
            AND state IN ('failed', 'quarantined', 'cancelled')));
    IF NOT FOUND THEN
        RETURN 'fenced';
    END IF;
    INSERT INTO event (at, epoch, kind, run_id, state) VALUES (v_at, p_epoch, 'run_retried', v_run, 'queued');
    SELECT array_agg(e.id) INTO v_in_vain FROM task e JOIN task_spec s ON s.task_id = e.id
     WHERE e.run_id = v_run AND e.kind = 'evaluate' AND e.state = 'succeeded'
       AND EXISTS (SELECT 1 FROM json_array_elements_text(s.spec -> 'measured_by') n
            JOIN task m ON m.run_id = v_run AND m.no = n::bigint
             AND m.state IN ('failed', 'quarantined', 'cancelled'));
    DELETE FROM task_output WHERE task_id = ANY (v_in_vain);
    WITH again AS (
        UPDATE task t SET state = 'ready', charged = 0, crashes = 0, generation = generation + 1,
               not_before = NULL, wait = CASE WHEN json_array_length(s.depends_on) > 0 THEN 'dependency' END,
               reason = CASE WHEN t.id = ANY (v_in_vain)
                        THEN 'it is judged again: a measurement of it is tried again' ELSE t.reason END
          FROM task_spec s
         WHERE t.run_id = v_run AND s.task_id = t.id
           AND (t.state IN ('failed', 'quarantined', 'cancelled') OR t.id = ANY (v_in_vain))
        RETURNING t.run_id, t.id, t.no, t.attempt
    )
    INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, state)
    SELECT v_at, p_epoch, 'task_retried', run_id, id, attempt, 'ready' FROM again ORDER BY no;
    RETURN 'ok';
END $$;

-- As before, with two differences. A verdict by an earlier definition does not take the place of one
-- by a later definition on the same content. And states of a partition that could not be measured
-- whole are kept: they are merged when the rest has been tried again.
CREATE OR REPLACE FUNCTION complete_evaluation(p_run uuid, p_no bigint, p_attempt bigint, p_nonce uuid,
                                               p_at bigint, e jsonb)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_task bigint;
    v_dataset text;
    v_ledger ledger;
    -- A newer version has been judged, or this one by a later definition: this verdict is kept, and
    -- is not in force.
    v_outdated boolean;
    v_verdict bigint;
    n bigint[] := ARRAY(SELECT x::bigint FROM jsonb_array_elements_text(e -> 'counts') x);
BEGIN
    SELECT o_task INTO v_task
      FROM succeed('evaluate', ARRAY[p_run], ARRAY[p_no], ARRAY[p_attempt], ARRAY[p_nonce], ARRAY[p_at]);
    IF NOT FOUND THEN
        RETURN explain_completion('evaluate', p_run, p_no, p_attempt, p_nonce);
    END IF;
    SELECT dataset_id INTO v_dataset FROM run WHERE id = p_run;
    IF EXISTS (SELECT 1 FROM jsonb_array_elements(e -> 'incidents') x WHERE x ->> 1 <> v_dataset) THEN
        RAISE EXCEPTION 'it is not of %', v_dataset USING ERRCODE = 'AS003', TABLE = 'incident';
    END IF;
    v_ledger := judged_partition(v_task, v_dataset, e);
    v_outdated := coalesce(v_ledger.judged = v_ledger.version AND v_ledger.version <> e ->> 'version', false)
        OR (coalesce(v_ledger.judged = e ->> 'version', false) AND EXISTS (
            SELECT 1 FROM verdict v
              JOIN run r ON r.id = v.run_id JOIN definition d ON d.digest = r.definition
              JOIN run m ON m.id = p_run JOIN definition o ON o.digest = m.definition
             WHERE v.dataset_id = v_dataset AND v.partition = e ->> 'partition' AND NOT v.superseded
               AND d.stored_at > o.stored_at));
    -- A version seen while this one was being judged keeps its state: it is still to be judged.
    UPDATE ledger SET revision = v_ledger.revision + 1,
           judged = CASE WHEN v_outdated THEN judged ELSE e ->> 'version' END,
           state = CASE WHEN v_outdated THEN state WHEN version = e ->> 'version' THEN e ->> 'state'
                   WHEN state <> 'sealed' THEN state ELSE 'rewritten' END
     WHERE dataset_id = v_dataset AND partition = e ->> 'partition';
    IF NOT v_outdated THEN
        UPDATE verdict SET superseded = true
         WHERE dataset_id = v_dataset AND partition = e ->> 'partition' AND NOT superseded;
    END IF;
    INSERT INTO verdict (dataset_id, partition, ord, version, revision, sealed, superseded, run_id, task_id,
                         attempt, judged_at, metrics, planned, pass, warn, fail, error, missing, learning,
                         skipped, overflow)
    VALUES (v_dataset, e ->> 'partition', e ->> 'ord', e ->> 'version', v_ledger.revision + 1,
            (e ->> 'sealed')::boolean, v_outdated, p_run, v_task, p_attempt,
            instant((e ->> 'judged_at')::bigint), jsonb_array_length(e -> 'metrics'),
            n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9])
    RETURNING id INTO v_verdict;
    INSERT INTO task_output (task_id, attempt, parts) VALUES (v_task, p_attempt, 1);
    PERFORM write_measurements(v_verdict, v_dataset, e);
    IF NOT v_outdated THEN
        PERFORM write_told(e, p_at);
    END IF;
    -- Empties the states that are merged: their rows and sizes stay.
    UPDATE metric_state SET payload = NULL
     WHERE partition = e ->> 'partition' AND payload IS NOT NULL AND task_id IN (
        SELECT t.id FROM task_spec s CROSS JOIN LATERAL json_array_elements_text(s.spec -> 'measured_by') m
          JOIN task t ON t.run_id = p_run AND t.no = m::bigint WHERE s.task_id = v_task)
       AND NOT EXISTS (
        SELECT 1 FROM task_spec s CROSS JOIN LATERAL json_array_elements_text(s.spec -> 'measured_by') m
          JOIN task t ON t.run_id = p_run AND t.no = m::bigint AND t.state <> 'succeeded'
         WHERE s.task_id = v_task);
    RETURN 'ok';
END $$;

-- As before, with the whole story of an incident. One that is opened anew is opened at the instant of
-- that, so that people are told of it anew. A message may name another that it follows (its last
-- part): where that was never told, it is not told either.
CREATE OR REPLACE FUNCTION write_told(e jsonb, p_at bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO incident AS i (id, dataset_id, check_id, column_name, severity, status, first_partition,
                               last_partition, partitions, message, opened_at, updated_at, resolved_at)
    SELECT (x ->> 0)::uuid, x ->> 1, x ->> 2, x ->> 3, x ->> 4, x ->> 5, x ->> 6, x ->> 7,
           (x ->> 8)::bigint, x ->> 9, instant((x ->> 10)::bigint), instant((x ->> 11)::bigint),
           instant((x ->> 12)::bigint)
      FROM jsonb_array_elements(e -> 'incidents') x ORDER BY 1
    ON CONFLICT (id) DO UPDATE SET severity = excluded.severity,
        opened_at = CASE WHEN i.status = 'resolved' AND excluded.status <> 'resolved'
                    THEN excluded.opened_at ELSE i.opened_at END,
        status = CASE WHEN i.status = 'acknowledged' AND excluded.status = 'open' THEN i.status
                 ELSE excluded.status END,
        last_partition = excluded.last_partition, partitions = excluded.partitions,
        message = excluded.message, updated_at = excluded.updated_at, resolved_at = excluded.resolved_at;
    INSERT INTO outbox (key, event, dataset_id, body, created_at)
    SELECT x ->> 0, x ->> 1, x ->> 2, (x ->> 3)::json, instant(p_at)
      FROM jsonb_array_elements(e -> 'outbox') WITH ORDINALITY AS o (x, place)
     WHERE x ->> 4 IS NULL OR EXISTS (SELECT 1 FROM outbox t WHERE t.key = x ->> 4) ORDER BY place
    ON CONFLICT (key) DO NOTHING;
END $$;
