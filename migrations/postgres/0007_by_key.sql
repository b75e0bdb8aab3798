-- What many attempts do at once finds each task by its key, whatever the planner thinks of the sizes.
-- Plans are made while tables are small, and kept: a join that was cheap then read every task of every
-- run later. A subquery that is `LATERAL … OFFSET 0` (or locks) stays a look-up per row, and a row
-- that is updated by its place (ctid) is found in no other way. The place is looked up in the
-- statement that updates, after the row is locked, so that it is that of the version in force.

-- Locks tasks in the order that everybody locks them in. `o_item` is the place in the arrays.
CREATE FUNCTION lock_tasks(p_runs uuid[], p_nos bigint[])
RETURNS TABLE (o_item bigint, o_task bigint, o_has_twin boolean) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    SELECT k.item, t.id, t.has_twin
      FROM (SELECT i.item, i.run, i.no FROM unnest(p_runs, p_nos) WITH ORDINALITY AS i (run, no, item)
             ORDER BY i.run, i.no) k
     CROSS JOIN LATERAL (SELECT x.id, x.twin_nonce IS NOT NULL AS has_twin FROM task x
                          WHERE x.run_id = k.run AND x.no = k.no FOR NO KEY UPDATE) t;
END $$;

-- As before: ready → assigned, for tasks that commit_changes has locked.
CREATE OR REPLACE FUNCTION assign_tasks(p_epoch bigint, c jsonb) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v_done bigint[];
    v_answers text[];
BEGIN
    PERFORM 1 FROM node WHERE id IN (SELECT x ->> 'node' FROM jsonb_array_elements(c -> 'tasks') x)
      ORDER BY id FOR SHARE;
    WITH input AS (
        SELECT x.ordinality AS item, (x.value ->> 'run')::uuid AS run, (x.value ->> 'no')::bigint AS no,
               (x.value ->> 'attempt')::bigint AS attempt, (x.value ->> 'nonce')::uuid AS nonce,
               x.value ->> 'node' AS node, (x.value ->> 'incarnation')::bigint AS incarnation,
               instant((x.value ->> 'at')::bigint) AS at
          FROM jsonb_array_elements(c -> 'tasks') WITH ORDINALITY x
    ), found AS (
        SELECT i.*, t.place FROM input i
         CROSS JOIN LATERAL (SELECT ctid AS place FROM task
                              WHERE run_id = i.run AND no = i.no OFFSET 0) t
         CROSS JOIN LATERAL (SELECT 1 FROM node n WHERE n.id = i.node AND n.incarnation = i.incarnation
                                AND n.state = 'live' OFFSET 0) n
    ), done AS (
        UPDATE task t SET state = 'assigned', wait = NULL, not_before = NULL, attempt = i.attempt,
               nonce = i.nonce, node = i.node, incarnation = i.incarnation, assigned_at = i.at,
               started_at = NULL
          FROM found i
         WHERE t.ctid = i.place AND t.state = 'ready' AND t.attempt = i.attempt - 1
           AND (t.not_before IS NULL OR t.not_before <= i.at)
        RETURNING i.item, t.*
    ), attempts AS (
        INSERT INTO task_attempt (task_id, attempt, generation, nonce, node, incarnation, assigned_at)
        SELECT id, attempt, generation, nonce, node, incarnation, assigned_at FROM done
    ), events AS (
        INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, node, incarnation, state)
        SELECT assigned_at, p_epoch, 'task_assigned', run_id, id, attempt, node, incarnation, state
          FROM done ORDER BY item
    ), begun AS (
        UPDATE run r SET started_at = d.at
          FROM (SELECT run_id, min(assigned_at) AS at FROM done GROUP BY run_id) d
         WHERE r.id = d.run_id AND r.started_at IS NULL
    )
    SELECT array_agg(item) INTO v_done FROM done;
    IF cardinality(v_done) = jsonb_array_length(c -> 'tasks') THEN
        RETURN array_fill('ok'::text, ARRAY[cardinality(v_done)]);
    END IF;
    SELECT array_agg(CASE
               WHEN x.ordinality = ANY (v_done) THEN 'ok'
               WHEN EXISTS (SELECT 1 FROM task t JOIN task_attempt a ON a.task_id = t.id
                            WHERE t.run_id = (x.value ->> 'run')::uuid AND t.no = (x.value ->> 'no')::bigint
                              AND a.attempt = (x.value ->> 'attempt')::bigint
                              AND a.nonce = (x.value ->> 'nonce')::uuid AND a.node = x.value ->> 'node'
                              AND a.incarnation = (x.value ->> 'incarnation')::bigint) THEN 'already'
               ELSE 'fenced' END ORDER BY x.ordinality)
      INTO v_answers FROM jsonb_array_elements(c -> 'tasks') WITH ORDINALITY x;
    RETURN v_answers;
END $$;

-- As before; the locks are look-ups.
CREATE OR REPLACE FUNCTION commit_changes(p_epoch bigint, p_changes jsonb, p_runs uuid[], p_nos bigint[])
RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    c jsonb;
    v_answers text[] := '{}';
BEGIN
    PERFORM fence(p_epoch);
    PERFORM lock_tasks(p_runs, p_nos);
    FOR c IN SELECT value FROM jsonb_array_elements(p_changes) WITH ORDINALITY ORDER BY ordinality LOOP
        v_answers := v_answers || CASE c ->> 'do'
            WHEN 'assign' THEN assign_tasks(p_epoch, c)
            WHEN 'submit_run' THEN ARRAY[submit_run(p_epoch, c)]
            WHEN 'plan_run' THEN ARRAY[plan_run(p_epoch, c)]
            WHEN 'move_run' THEN ARRAY[move_run(p_epoch, c)]
            WHEN 'end_attempt' THEN ARRAY[end_attempt(p_epoch, c)]
            WHEN 'assign_twin' THEN ARRAY[assign_twin(p_epoch, c)]
            WHEN 'forgive' THEN ARRAY[forgive_attempt(p_epoch, c)]
            WHEN 'end_task' THEN ARRAY[end_task(p_epoch, c)]
            WHEN 'retry_run' THEN ARRAY[retry_run(p_epoch, c)]
            WHEN 'move_node' THEN ARRAY[move_node(p_epoch, c)]
            WHEN 'scale' THEN ARRAY[record_scale(p_epoch, c)]
        END;
    END LOOP;
    RETURN v_answers;
END $$;

-- As before: assigned → running, for many attempts; what each that runs needs.
CREATE OR REPLACE FUNCTION start_attempts(p_runs uuid[], p_nos bigint[], p_attempts bigint[], p_nonces uuid[],
                                          p_ats bigint[])
RETURNS SETOF task_of_run LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_items bigint[];
    v_tasks bigint[];
    v_has_twin boolean;
BEGIN
    SELECT array_agg(o_item), array_agg(o_task), bool_or(o_has_twin) INTO v_items, v_tasks, v_has_twin
      FROM lock_tasks(p_runs, p_nos);
    WITH begun AS (
        UPDATE task t SET state = 'running', started_at = instant(p_ats[i.item])
          FROM (SELECT k.item, x.place FROM unnest(v_items, v_tasks) AS k (item, task)
                 CROSS JOIN LATERAL (SELECT ctid AS place FROM task WHERE id = k.task OFFSET 0) x) i
         WHERE t.ctid = i.place AND t.attempt = p_attempts[i.item] AND t.nonce = p_nonces[i.item]
           AND t.state = 'assigned'
        RETURNING t.*
    ), attempts AS (
        UPDATE task_attempt a SET started_at = b.started_at FROM begun b
         WHERE a.task_id = b.id AND a.attempt = b.attempt AND a.nonce = b.nonce
    )
    INSERT INTO event (at, kind, run_id, task_id, attempt, node, incarnation, state)
    SELECT started_at, 'task_started', run_id, id, attempt, node, incarnation, state FROM begun;
    IF v_has_twin THEN
        -- A second copy begins beside the first.
        UPDATE task_attempt a SET started_at = instant(p_ats[i.item])
          FROM (SELECT k.item, x.place FROM unnest(v_items, v_tasks) AS k (item, task)
                 CROSS JOIN LATERAL (
                    SELECT y.ctid AS place FROM task_attempt y JOIN task t ON t.id = y.task_id
                     WHERE y.task_id = k.task AND y.attempt = p_attempts[k.item] AND y.twin
                       AND y.nonce = p_nonces[k.item] AND t.twin_nonce = y.nonce OFFSET 0) x) i
         WHERE a.ctid = i.place AND a.started_at IS NULL AND a.ended_at IS NULL;
    END IF;
    RETURN QUERY
    SELECT DISTINCT ON (t.run_id, t.no)
           r.id, r.dataset_id, r.definition, r.trigger_word, r.slot, r.priority, r.selection::text,
           r.retries, r.task_timeout_ms, r.state, r.reason, r.created_at, r.started_at, r.finished_at,
           r.deadline_at, r.planned_tasks,
           t.run_id, t.no, s.spec::text, s.depends_on::text, t.state, t.wait, t.not_before, t.attempt,
           t.charged, t.crashes, t.nonce, t.node, t.incarnation, t.assigned_at, t.started_at, t.reason,
           t.twin_nonce, t.twin_node, t.twin_incarnation, t.twin_assigned_at
      FROM unnest(v_items, v_tasks) AS k (item, task)
     CROSS JOIN LATERAL (SELECT * FROM task WHERE id = k.task OFFSET 0) t
     CROSS JOIN LATERAL (SELECT * FROM task_spec WHERE task_id = k.task OFFSET 0) s
     CROSS JOIN LATERAL (SELECT * FROM run WHERE id = t.run_id OFFSET 0) r
     WHERE t.attempt = p_attempts[k.item] AND p_nonces[k.item] IN (t.nonce, t.twin_nonce)
       AND t.state = 'running';
END $$;

-- As before: assigned or running → succeeded, for attempts of one kind of task.
CREATE OR REPLACE FUNCTION succeed(p_kind text, p_runs uuid[], p_nos bigint[], p_attempts bigint[],
                                   p_nonces uuid[], p_ats bigint[])
RETURNS TABLE (o_item bigint, o_task bigint) LANGUAGE plpgsql AS $$
DECLARE
    v_items bigint[];
    v_tasks bigint[];
BEGIN
    SELECT array_agg(l.o_item), array_agg(l.o_task) INTO v_items, v_tasks
      FROM lock_tasks(p_runs, p_nos) l;
    RETURN QUERY
    WITH done AS (
        UPDATE task t SET state = 'succeeded', wait = NULL, not_before = NULL, reason = NULL, nonce = NULL,
               node = NULL, incarnation = NULL, assigned_at = NULL, started_at = NULL, twin_nonce = NULL,
               twin_node = NULL, twin_incarnation = NULL, twin_assigned_at = NULL
          FROM (SELECT k.item, x.place, x.nonce, x.twin_nonce FROM unnest(v_items, v_tasks) AS k (item, task)
                 CROSS JOIN LATERAL (SELECT y.ctid AS place, y.nonce, y.twin_nonce FROM task y
                                      WHERE y.id = k.task OFFSET 0) x) i
         WHERE t.ctid = i.place AND t.attempt = p_attempts[i.item]
           AND p_nonces[i.item] IN (t.nonce, t.twin_nonce)
           AND t.kind = p_kind AND t.state IN ('assigned', 'running')
        RETURNING i.item, p_nonces[i.item] AS nonce, i.twin_nonce IS NOT NULL AS has_twin, t.id, t.run_id,
                  t.attempt
    ), ended AS (
        UPDATE task_attempt a SET ended_at = instant(p_ats[d.item]), outcome = 'ok', charged = false FROM done d
         WHERE a.task_id = d.id AND a.attempt = d.attempt AND a.nonce = d.nonce
        RETURNING a.ended_at, d.run_id, a.task_id, a.attempt, a.node, a.incarnation
    ), others AS (
        UPDATE task_attempt a SET ended_at = instant(p_ats[d.item]), outcome = 'cancelled', charged = false,
               reason = 'the other copy was first'
          FROM done d
         WHERE d.has_twin AND a.task_id = d.id AND a.attempt = d.attempt AND a.nonce <> d.nonce
           AND a.ended_at IS NULL
    ), events AS (
        INSERT INTO event (at, kind, run_id, task_id, attempt, node, incarnation, state)
        SELECT ended_at, 'task_succeeded', run_id, task_id, attempt, node, incarnation, 'succeeded'
          FROM ended
    )
    SELECT item, id FROM done;
END $$;
