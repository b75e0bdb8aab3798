-- Second copies: a task that is far slower than its peers may have one more copy of its attempt at
-- work on another node. Both carry the number of the attempt and a nonce of their own; the first
-- result stands, the other copy is fenced. One second copy per attempt, marked `twin`.
--
-- All functions that look at the copies of an attempt are here.

ALTER TABLE task
    ADD COLUMN twin_nonce       uuid CHECK (twin_nonce IS NULL OR nonce IS NOT NULL),
    ADD COLUMN twin_node        text COLLATE "C" REFERENCES node (id),
    ADD COLUMN twin_incarnation bigint,
    ADD COLUMN twin_assigned_at timestamptz;
CREATE INDEX task_twin_at_work ON task (twin_node) WHERE twin_node IS NOT NULL;
ALTER TABLE task_attempt
    ADD COLUMN twin boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT task_attempt_pkey,
    ADD PRIMARY KEY (task_id, attempt, twin);

-- A task with its run, as a node needs both.
CREATE VIEW task_of_run AS
SELECT r.id AS r_id, r.dataset_id AS r_dataset_id, r.definition AS r_definition,
       r.trigger_word AS r_trigger_word, r.slot AS r_slot, r.priority AS r_priority,
       r.selection::text AS r_selection, r.retries AS r_retries,
       r.task_timeout_ms AS r_task_timeout_ms, r.state AS r_state, r.reason AS r_reason,
       r.created_at AS r_created_at, r.started_at AS r_started_at, r.finished_at AS r_finished_at,
       r.deadline_at AS r_deadline_at, r.planned_tasks AS r_planned_tasks,
       t.run_id AS t_run_id, t.no AS t_no, s.spec::text AS t_spec, s.depends_on::text AS t_depends_on,
       t.state AS t_state, t.wait AS t_wait, t.not_before AS t_not_before, t.attempt AS t_attempt,
       t.charged AS t_charged, t.crashes AS t_crashes, t.nonce AS t_nonce, t.node AS t_node,
       t.incarnation AS t_incarnation, t.assigned_at AS t_assigned_at, t.started_at AS t_started_at,
       t.reason AS t_reason, t.twin_nonce AS t_twin_nonce, t.twin_node AS t_twin_node,
       t.twin_incarnation AS t_twin_incarnation, t.twin_assigned_at AS t_twin_assigned_at
FROM task t JOIN task_spec s ON s.task_id = t.id JOIN run r ON r.id = t.run_id;

-- One copy per attempt, on another node than the first, and only beside one that is running.
CREATE FUNCTION assign_twin(p_epoch bigint, c jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_run uuid := (c ->> 'run')::uuid;
    v_no bigint := (c ->> 'no')::bigint;
    v_attempt bigint := (c ->> 'attempt')::bigint;
    v_nonce uuid := (c ->> 'nonce')::uuid;
    v_node text := c ->> 'node';
    v_incarnation bigint := (c ->> 'incarnation')::bigint;
    v_at timestamptz := instant((c ->> 'at')::bigint);
    v_task task;
BEGIN
    PERFORM 1 FROM node WHERE id = v_node FOR SHARE;
    UPDATE task t SET twin_nonce = v_nonce, twin_node = v_node, twin_incarnation = v_incarnation,
           twin_assigned_at = v_at
     WHERE t.run_id = v_run AND t.no = v_no AND t.attempt = v_attempt AND t.state = 'running'
       AND t.nonce <> v_nonce AND t.node <> v_node AND t.twin_nonce IS NULL
       AND NOT EXISTS (SELECT 1 FROM task_attempt a WHERE a.task_id = t.id AND a.attempt = v_attempt AND a.twin)
       AND EXISTS (SELECT 1 FROM node n WHERE n.id = v_node AND n.incarnation = v_incarnation
                   AND n.state = 'live')
    RETURNING t.* INTO v_task;
    IF NOT FOUND THEN
        PERFORM 1 FROM task t JOIN task_attempt a ON a.task_id = t.id
          WHERE t.run_id = v_run AND t.no = v_no AND a.attempt = v_attempt AND a.nonce = v_nonce AND a.twin;
        RETURN CASE WHEN FOUND THEN 'already' ELSE 'fenced' END;
    END IF;
    INSERT INTO task_attempt (task_id, attempt, twin, generation, nonce, node, incarnation, assigned_at)
    VALUES (v_task.id, v_attempt, true, v_task.generation, v_nonce, v_node, v_incarnation, v_at);
    INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, node, incarnation, state, detail)
    VALUES (v_at, p_epoch, 'task_assigned', v_run, v_task.id, v_attempt, v_node, v_incarnation,
            v_task.state, 'second copy');
    RETURN 'ok';
END $$;

-- The copies change places: the one that was second is the one at work.
CREATE FUNCTION swap_copies(p_task bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE task t SET nonce = t.twin_nonce, node = t.twin_node, incarnation = t.twin_incarnation,
           assigned_at = t.twin_assigned_at, started_at = a.started_at,
           state = CASE WHEN a.started_at IS NULL THEN 'assigned' ELSE 'running' END,
           twin_nonce = t.nonce, twin_node = t.node, twin_incarnation = t.incarnation,
           twin_assigned_at = t.assigned_at
      FROM task_attempt a
     WHERE t.id = p_task AND a.task_id = t.id AND a.attempt = t.attempt AND a.nonce = t.twin_nonce
$$;

-- Takes back the charge of an attempt that its node's death ended.
CREATE FUNCTION forgive_attempt(p_epoch bigint, c jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_attempt bigint := (c ->> 'attempt')::bigint;
    v_nonce uuid := (c ->> 'nonce')::uuid;
    v_task task;
BEGIN
    SELECT * INTO v_task FROM task WHERE run_id = (c ->> 'run')::uuid AND no = (c ->> 'no')::bigint
       FOR NO KEY UPDATE;
    UPDATE task_attempt SET outcome = 'orphaned', charged = false, reason = c ->> 'reason'
     WHERE task_id = v_task.id AND attempt = v_attempt AND nonce = v_nonce AND outcome = 'node_lost'
       AND generation = v_task.generation
       AND v_task.state IN ('ready', 'assigned', 'running', 'succeeded');
    IF NOT FOUND THEN
        PERFORM 1 FROM task_attempt WHERE task_id = v_task.id AND attempt = v_attempt AND nonce = v_nonce
            AND outcome = 'orphaned';
        RETURN CASE WHEN FOUND THEN 'already' ELSE 'fenced' END;
    END IF;
    UPDATE task SET charged = charged - 1 WHERE id = v_task.id;
    INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, state, detail)
    VALUES (instant((c ->> 'at')::bigint), p_epoch, 'attempt_ended', v_task.run_id, v_task.id, v_attempt,
            v_task.state, 'forgiven');
    RETURN 'ok';
END $$;

-- An attempt without a result. With two copies and more to come, only the copy of the token ends.
CREATE FUNCTION end_attempt(p_epoch bigint, c jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_run uuid := (c ->> 'run')::uuid;
    v_no bigint := (c ->> 'no')::bigint;
    v_attempt bigint := (c ->> 'attempt')::bigint;
    v_nonce uuid := (c ->> 'nonce')::uuid;
    v_at timestamptz := instant((c ->> 'at')::bigint);
    v_retry_at timestamptz := instant((c ->> 'not_before')::bigint);
    v_task task;
    v_state text;
BEGIN
    SELECT * INTO v_task FROM task
     WHERE run_id = v_run AND no = v_no AND attempt = v_attempt AND v_nonce IN (nonce, twin_nonce)
       AND state IN ('assigned', 'running') FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM 1 FROM task t JOIN task_attempt a ON a.task_id = t.id
          WHERE t.run_id = v_run AND t.no = v_no AND a.attempt = v_attempt AND a.nonce = v_nonce
            AND a.outcome = c ->> 'outcome';
        RETURN CASE WHEN FOUND THEN 'already' ELSE 'fenced' END;
    END IF;
    IF v_task.twin_nonce IS NOT NULL AND c ->> 'next' = 'ready' THEN
        -- Only this copy ends.
        IF v_task.nonce = v_nonce THEN
            PERFORM swap_copies(v_task.id);
        END IF;
        UPDATE task SET charged = charged + (c ->> 'charged')::boolean::int,
               crashes = crashes + (c ->> 'crashed')::boolean::int, twin_nonce = NULL, twin_node = NULL,
               twin_incarnation = NULL, twin_assigned_at = NULL
         WHERE id = v_task.id RETURNING state INTO v_state;
        v_retry_at := NULL;
    ELSE
        UPDATE task SET state = c ->> 'next', wait = c ->> 'wait', not_before = v_retry_at,
               reason = c ->> 'reason', charged = charged + (c ->> 'charged')::boolean::int,
               crashes = crashes + (c ->> 'crashed')::boolean::int, nonce = NULL, node = NULL,
               incarnation = NULL, assigned_at = NULL, started_at = NULL, twin_nonce = NULL,
               twin_node = NULL, twin_incarnation = NULL, twin_assigned_at = NULL
         WHERE id = v_task.id RETURNING state INTO v_state;
        UPDATE task_attempt SET ended_at = v_at, outcome = 'cancelled', charged = false,
               reason = 'its task ended with the other copy'
         WHERE task_id = v_task.id AND attempt = v_attempt AND nonce <> v_nonce AND ended_at IS NULL;
    END IF;
    WITH ended AS (
        UPDATE task_attempt SET ended_at = v_at, outcome = c ->> 'outcome',
               charged = (c ->> 'charged')::boolean, reason = c ->> 'reason', retry_at = v_retry_at
         WHERE task_id = v_task.id AND attempt = v_attempt AND nonce = v_nonce
        RETURNING node, incarnation
    )
    INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, node, incarnation, state, detail)
    SELECT v_at, p_epoch, 'attempt_ended', v_run, v_task.id, v_attempt, node, incarnation, v_state,
           c ->> 'outcome' FROM ended;
    RETURN 'ok';
END $$;

-- All changes of a commit in their order, an answer for each. The tasks that nodes may be writing at
-- the same time are locked first, in the order that nodes lock them too.
CREATE FUNCTION commit_changes(p_epoch bigint, p_changes jsonb, p_runs uuid[], p_nos bigint[])
RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    c jsonb;
    v_answers text[] := '{}';
BEGIN
    PERFORM fence(p_epoch);
    PERFORM 1 FROM task t JOIN unnest(p_runs, p_nos) AS k (run, no) ON t.run_id = k.run AND t.no = k.no
      ORDER BY t.run_id, t.no FOR NO KEY UPDATE OF t;
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

-- Registers a node and releases what its earlier lives held.
CREATE FUNCTION register_node(p_epoch bigint, p_node text, p_slots bigint, p_memory bigint, p_zone text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_now timestamptz;
    v_node node;
BEGIN
    PERFORM fence(p_epoch);
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

-- Assigned → running, for many attempts; what each that runs needs.
CREATE FUNCTION start_attempts(p_runs uuid[], p_nos bigint[], p_attempts bigint[], p_nonces uuid[],
                               p_ats bigint[])
RETURNS SETOF task_of_run LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM 1 FROM unnest(p_runs, p_nos) AS k (run, no) JOIN task t ON t.run_id = k.run AND t.no = k.no
      ORDER BY t.run_id, t.no FOR NO KEY UPDATE OF t;
    WITH input AS (
        SELECT * FROM unnest(p_runs, p_nos, p_attempts, p_nonces, p_ats) AS i (run, no, attempt, nonce, at)
    ), begun AS (
        UPDATE task t SET state = 'running', started_at = instant(i.at) FROM input i
         WHERE t.run_id = i.run AND t.no = i.no AND t.attempt = i.attempt AND t.nonce = i.nonce
           AND t.state = 'assigned'
        RETURNING t.*
    ), attempts AS (
        UPDATE task_attempt a SET started_at = b.started_at FROM begun b
         WHERE a.task_id = b.id AND a.attempt = b.attempt AND a.nonce = b.nonce
    )
    INSERT INTO event (at, kind, run_id, task_id, attempt, node, incarnation, state)
    SELECT started_at, 'task_started', run_id, id, attempt, node, incarnation, state FROM begun;
    -- A second copy begins beside the first.
    UPDATE task_attempt a SET started_at = instant(i.at)
      FROM unnest(p_runs, p_nos, p_attempts, p_nonces, p_ats) AS i (run, no, attempt, nonce, at)
      JOIN task t ON t.run_id = i.run AND t.no = i.no AND t.twin_nonce = i.nonce
     WHERE a.task_id = t.id AND a.attempt = i.attempt AND a.twin AND a.nonce = i.nonce
       AND a.started_at IS NULL AND a.ended_at IS NULL;
    RETURN QUERY
    SELECT DISTINCT ON (v.t_run_id, v.t_no) v.* FROM unnest(p_runs, p_nos, p_attempts, p_nonces) AS k (run, no, attempt, nonce)
      JOIN task_of_run v ON v.t_run_id = k.run AND v.t_no = k.no
     WHERE v.t_attempt = k.attempt AND k.nonce IN (v.t_nonce, v.t_twin_nonce) AND v.t_state = 'running';
END $$;

-- Assigned or running → succeeded, for attempts of one kind of task; `item` is the place in the
-- arrays. The rows of the tasks are locked in one order, whoever comes first.
CREATE FUNCTION succeed(p_kind text, p_runs uuid[], p_nos bigint[], p_attempts bigint[], p_nonces uuid[],
                        p_ats bigint[])
RETURNS TABLE (o_item bigint, o_task bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM unnest(p_runs, p_nos) AS k (run, no) JOIN task t ON t.run_id = k.run AND t.no = k.no
      ORDER BY t.run_id, t.no FOR NO KEY UPDATE OF t;
    RETURN QUERY
    WITH input AS (
        SELECT * FROM unnest(p_runs, p_nos, p_attempts, p_nonces, p_ats) WITH ORDINALITY
            AS i (run, no, attempt, nonce, at, item)
    ), done AS (
        UPDATE task t SET state = 'succeeded', wait = NULL, not_before = NULL, reason = NULL, nonce = NULL,
               node = NULL, incarnation = NULL, assigned_at = NULL, started_at = NULL, twin_nonce = NULL,
               twin_node = NULL, twin_incarnation = NULL, twin_assigned_at = NULL
          FROM input i
         WHERE t.run_id = i.run AND t.no = i.no AND t.attempt = i.attempt
           AND i.nonce IN (t.nonce, t.twin_nonce)
           AND t.kind = p_kind AND t.state IN ('assigned', 'running')
        RETURNING i.item, i.at, i.nonce, t.id, t.run_id, t.attempt
    ), ended AS (
        UPDATE task_attempt a SET ended_at = instant(d.at), outcome = 'ok', charged = false FROM done d
         WHERE a.task_id = d.id AND a.attempt = d.attempt AND a.nonce = d.nonce
        RETURNING a.ended_at, d.run_id, a.task_id, a.attempt, a.node, a.incarnation
    ), others AS (
        UPDATE task_attempt a SET ended_at = instant(d.at), outcome = 'cancelled', charged = false,
               reason = 'the other copy was first'
          FROM done d
         WHERE a.task_id = d.id AND a.attempt = d.attempt AND a.nonce <> d.nonce AND a.ended_at IS NULL
    ), events AS (
        INSERT INTO event (at, kind, run_id, task_id, attempt, node, incarnation, state)
        SELECT ended_at, 'task_succeeded', run_id, task_id, attempt, node, incarnation, 'succeeded'
          FROM ended
    )
    SELECT item, id FROM done;
END $$;

-- Nobody may call what writes but those who are told so by name; what is called by these functions
-- runs with the rights of their owner.
DO $$
DECLARE
    v_function regprocedure;
BEGIN
    FOR v_function IN SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = current_schema::regnamespace AND prosecdef LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_function);
    END LOOP;
END $$;
