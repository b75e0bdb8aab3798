-- The moves of runs and nodes are read from the log by their numbers, and a number that was passed is not
-- looked for again. So they are written one after another: a greater number is committed later. What
-- writes them waits for whatever else does until that is committed.
CREATE FUNCTION in_order() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('moves of ' || current_schema::text, 0));
END $$;

-- As before, in order.
CREATE OR REPLACE FUNCTION register_node(p_epoch bigint, p_node text, p_slots bigint, p_memory bigint, p_zone text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_now timestamptz;
    v_node node;
BEGIN
    PERFORM fence(p_epoch);
    PERFORM in_order();
    v_now := clock_timestamp();
    INSERT INTO node AS n (id, incarnation, state, slots, memory_bytes, zone, registered_at, moved_at)
    VALUES (p_node, 1, 'live', p_slots, p_memory, p_zone, v_now, v_now)
    ON CONFLICT (id) DO UPDATE SET incarnation = n.incarnation + 1, state = 'live',
        slots = excluded.slots, memory_bytes = excluded.memory_bytes, zone = excluded.zone,
        registered_at = excluded.registered_at, moved_at = excluded.moved_at, reason = NULL
    RETURNING * INTO v_node;
    INSERT INTO event (at, epoch, kind, node, incarnation, state)
    VALUES (v_now, p_epoch, 'node_registered', v_node.id, v_node.incarnation, v_node.state);
    PERFORM 1 FROM task WHERE node = p_node OR twin_node = p_node ORDER BY run_id, no FOR NO KEY UPDATE;
    -- A task that has a copy elsewhere goes on with it.
    PERFORM swap_copies(id) FROM task WHERE node = p_node AND twin_nonce IS NOT NULL;
    WITH held AS (
        SELECT run_id, id, attempt, twin_nonce, twin_node, twin_incarnation, state FROM task
         WHERE twin_node = p_node
    ), freed AS (
        UPDATE task SET twin_nonce = NULL, twin_node = NULL, twin_incarnation = NULL, twin_assigned_at = NULL
         WHERE id IN (SELECT id FROM held)
    ), ended AS (
        UPDATE task_attempt a SET ended_at = v_now, outcome = 'orphaned', charged = false,
               reason = 'its node registered anew'
          FROM held h WHERE a.task_id = h.id AND a.attempt = h.attempt AND a.nonce = h.twin_nonce
    )
    INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, node, incarnation, state, detail)
    SELECT v_now, p_epoch, 'attempt_ended', run_id, id, attempt, twin_node, twin_incarnation, state, 'orphaned'
      FROM held ORDER BY id;
    WITH held AS (
        SELECT run_id, id, attempt, nonce, node, incarnation FROM task WHERE node = p_node
    ), freed AS (
        UPDATE task SET state = 'ready', wait = NULL, not_before = NULL,
               reason = 'its node registered anew', nonce = NULL, node = NULL, incarnation = NULL,
               assigned_at = NULL, started_at = NULL
         WHERE id IN (SELECT id FROM held)
    ), ended AS (
        UPDATE task_attempt a SET ended_at = v_now, outcome = 'orphaned', charged = false,
               reason = 'its node registered anew'
          FROM held h WHERE a.task_id = h.id AND a.attempt = h.attempt AND a.nonce = h.nonce
    )
    INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, node, incarnation, state, detail)
    SELECT v_now, p_epoch, 'attempt_ended', run_id, id, attempt, node, incarnation, 'ready', 'orphaned'
      FROM held ORDER BY id;
    RETURN v_node.incarnation;
END $$;

-- As before, in order.
CREATE OR REPLACE FUNCTION commit_changes(p_epoch bigint, p_changes jsonb, p_runs uuid[], p_nos bigint[])
RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    c jsonb;
    v_answers text[] := '{}';
BEGIN
    PERFORM fence(p_epoch);
    PERFORM in_order();
    PERFORM lock_tasks(p_runs, p_nos);
    FOR c IN SELECT value FROM jsonb_array_elements(p_changes) WITH ORDINALITY ORDER BY ordinality LOOP
        v_answers := v_answers || CASE c ->> 'do'
            WHEN 'assign' THEN assign_tasks(p_epoch, c)
            WHEN 'submit_run' THEN ARRAY[submit_run(p_epoch, c)]
            WHEN 'plan_part' THEN ARRAY[plan_tasks(p_epoch, c, false)]
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
