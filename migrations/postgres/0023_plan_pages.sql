-- A plan of many tasks is kept and written in pages: no statement, and no leader, has to take the whole
-- of it.

-- The pages of a plan that is not kept in task_output: the first one (0) is the discovery without its
-- plan; each of the others holds tasks from the number `first` on, as [{spec, depends_on}, …]. Those of
-- the attempt that succeeded count.
CREATE TABLE task_plan (
    task_id bigint NOT NULL REFERENCES task (id),
    attempt bigint NOT NULL CHECK (attempt >= 1),
    first   bigint NOT NULL CHECK (first >= 0),
    body    json   NOT NULL,
    PRIMARY KEY (task_id, attempt, first)
);

-- Keeps a page for an attempt at work; `fenced` when it is none. A repeat changes nothing.
CREATE FUNCTION keep_plan_page(p_run uuid, p_no bigint, p_attempt bigint, p_nonce uuid, p_first bigint,
                               p_body json)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_task bigint;
BEGIN
    SELECT id INTO v_task FROM task
     WHERE run_id = p_run AND no = p_no AND kind = 'discover' AND attempt = p_attempt AND nonce = p_nonce
       AND state IN ('assigned', 'running');
    IF NOT FOUND THEN
        RETURN 'fenced';
    END IF;
    INSERT INTO task_plan (task_id, attempt, first, body) VALUES (v_task, p_attempt, p_first, p_body)
    ON CONFLICT (task_id, attempt, first) DO NOTHING;
    RETURN 'ok';
END $$;
REVOKE ALL ON FUNCTION keep_plan_page(uuid, bigint, bigint, uuid, bigint, json) FROM PUBLIC;

-- The tasks of a plan, or of a part of it, when they are the next ones: `already` when they or the whole
-- plan are there.
CREATE FUNCTION plan_tasks(p_epoch bigint, c jsonb, p_whole boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_run uuid := (c ->> 'run')::uuid;
    v_first bigint := (c -> 'tasks' -> 0 ->> 'no')::bigint;
    v_last bigint := (c -> 'tasks' -> -1 ->> 'no')::bigint;
    v_there bigint;
    v_row run;
    v_now timestamptz := clock_timestamp();
BEGIN
    SELECT * INTO v_row FROM run WHERE id = v_run FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'fenced';
    END IF;
    SELECT coalesce(max(no), 0) INTO v_there FROM task WHERE run_id = v_run;
    IF v_row.planned_at IS NOT NULL OR (NOT p_whole AND v_last <= v_there) THEN
        RETURN 'already';
    END IF;
    IF v_first <> v_there + 1 OR v_row.state NOT IN ('queued', 'planning', 'running', 'finalising') THEN
        RETURN 'fenced';
    END IF;
    PERFORM insert_tasks(v_run, c -> 'tasks');
    IF p_whole THEN
        v_there := greatest(v_there, v_last);
        UPDATE run SET planned_at = v_now, planned_tasks = v_there WHERE id = v_run;
        INSERT INTO event (at, epoch, kind, run_id, detail)
        VALUES (v_now, p_epoch, 'run_planned', v_run, v_there::text);
    END IF;
    RETURN 'ok';
END $$;

-- As before, and only when the tasks before are there.
CREATE OR REPLACE FUNCTION plan_run(p_epoch bigint, c jsonb) RETURNS text LANGUAGE sql AS
$$ SELECT plan_tasks(p_epoch, c, true) $$;

-- As before; a run that has a part of its plan only does not succeed, in part neither.
CREATE OR REPLACE FUNCTION move_run(p_epoch bigint, c jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_run uuid := (c ->> 'run')::uuid;
    v_at timestamptz := instant((c ->> 'at')::bigint);
    v_ends boolean := (c ->> 'ends')::boolean;
    v_succeeds boolean := c ->> 'state' = 'succeeded';
    v_needs_plan boolean := c ->> 'state' IN ('succeeded', 'partial');
BEGIN
    UPDATE run SET state = c ->> 'state', reason = c ->> 'reason',
           finished_at = CASE WHEN v_ends THEN v_at END
     WHERE id = v_run AND state IN ('queued', 'planning', 'running', 'finalising')
       AND NOT (v_needs_plan AND planned_at IS NULL)
       AND NOT (v_ends AND EXISTS (SELECT 1 FROM task WHERE run_id = v_run
                AND (state IN ('ready', 'assigned', 'running') OR (v_succeeds AND state <> 'succeeded'))));
    IF NOT FOUND THEN
        RETURN 'fenced';
    END IF;
    INSERT INTO event (at, epoch, kind, run_id, state, detail)
    VALUES (v_at, p_epoch, 'run_moved', v_run, c ->> 'state', c ->> 'reason');
    RETURN 'ok';
END $$;

-- As before, with parts of plans.
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
