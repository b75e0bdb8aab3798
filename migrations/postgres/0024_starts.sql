-- That an attempt has begun need not outlive a crash of the server: it completes by its token from
-- `assigned` as well, and its node tells the next leader that it has it. So its node does not wait for the
-- disk before it begins. The commit that ends the attempt waits, and with it all that came before.

-- As before: assigned → running, for many attempts; what each that runs needs.
CREATE OR REPLACE FUNCTION start_attempts(p_runs uuid[], p_nos bigint[], p_attempts bigint[], p_nonces uuid[],
                                          p_ats bigint[])
RETURNS SETOF task_of_run LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_items bigint[];
    v_tasks bigint[];
    v_has_twin boolean;
BEGIN
    -- Of this transaction only.
    PERFORM set_config('synchronous_commit', 'off', true);
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
