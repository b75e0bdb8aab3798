-- That a task has succeeded is told to the leader by its node: a hint, which may be wrong. What rests on
-- it is refused here when the rows say otherwise.

-- As before; a run ends after all of its tasks, and succeeds only when all of them have.
CREATE OR REPLACE FUNCTION move_run(p_epoch bigint, c jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_run uuid := (c ->> 'run')::uuid;
    v_at timestamptz := instant((c ->> 'at')::bigint);
    v_ends boolean := (c ->> 'ends')::boolean;
    v_succeeds boolean := c ->> 'state' = 'succeeded';
BEGIN
    UPDATE run SET state = c ->> 'state', reason = c ->> 'reason',
           finished_at = CASE WHEN v_ends THEN v_at END
     WHERE id = v_run AND state IN ('queued', 'planning', 'running', 'finalising')
       AND NOT (v_ends AND EXISTS (SELECT 1 FROM task WHERE run_id = v_run
                AND (state IN ('ready', 'assigned', 'running') OR (v_succeeds AND state <> 'succeeded'))));
    IF NOT FOUND THEN
        RETURN 'fenced';
    END IF;
    INSERT INTO event (at, epoch, kind, run_id, state, detail)
    VALUES (v_at, p_epoch, 'run_moved', v_run, c ->> 'state', c ->> 'reason');
    RETURN 'ok';
END $$;

-- As before; what judges is assigned only after all that it needs has ended.
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
         CROSS JOIN LATERAL (SELECT e.ctid AS place FROM task e
                              WHERE e.run_id = i.run AND e.no = i.no
                                AND (e.kind <> 'evaluate' OR NOT EXISTS (
                                    SELECT 1 FROM task_spec s
                                     CROSS JOIN LATERAL json_array_elements_text(s.depends_on) AS d (need)
                                      JOIN task n ON n.run_id = i.run AND n.no = d.need::bigint
                                     WHERE s.task_id = e.id AND n.state IN ('ready', 'assigned', 'running')))
                             OFFSET 0) t
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
