-- How the fleet was over time: its size and its work once a minute, for a day or so, and how each
-- change of the wanted number went.
CREATE TABLE fleet_sample (
    at      timestamptz PRIMARY KEY,
    -- Nodes that the backlog asked for, and nodes that took tasks.
    desired bigint NOT NULL CHECK (desired >= 0),
    ready   bigint NOT NULL CHECK (ready >= 0),
    -- Tasks that could have started if there had been a slot, and tasks at work.
    queued  bigint NOT NULL CHECK (queued >= 0),
    running bigint NOT NULL CHECK (running >= 0)
);

-- When the first new node was ready, or the first node had left.
ALTER TABLE scale_event ADD COLUMN first_at timestamptz;
-- When the first task began on a new node.
ALTER TABLE scale_event ADD COLUMN task_at timestamptz;
-- When there were as many nodes as it wanted.
ALTER TABLE scale_event ADD COLUMN done_at timestamptz;

-- The lives of nodes, and who is told when one ends.
CREATE INDEX event_of_nodes ON event (seq) WHERE kind IN ('node_registered', 'node_moved');
INSERT INTO told_moves (listener, seq) SELECT 'operators of nodes', coalesce(max(seq), 0) FROM event
 WHERE kind IN ('node_registered', 'node_moved');

-- What the leader saw. A phase that is known stays as it is.
CREATE FUNCTION note_fleet(p_epoch bigint, n jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM fence(p_epoch);
    INSERT INTO fleet_sample (at, desired, ready, queued, running)
    SELECT instant((x ->> 'at')::bigint), (x ->> 'desired')::bigint, (x ->> 'ready')::bigint,
           (x ->> 'queued')::bigint, (x ->> 'running')::bigint
      FROM jsonb_array_elements(n -> 'samples') x
    ON CONFLICT (at) DO NOTHING;
    UPDATE scale_event e SET first_at = coalesce(e.first_at, instant((x ->> 'first')::bigint)),
           task_at = coalesce(e.task_at, instant((x ->> 'task')::bigint)),
           done_at = coalesce(e.done_at, instant((x ->> 'done')::bigint))
      FROM jsonb_array_elements(n -> 'phases') x WHERE e.id = (x ->> 'id')::bigint;
    DELETE FROM fleet_sample WHERE at < instant((n ->> 'forgetSamples')::bigint);
    DELETE FROM scale_event WHERE at < instant((n ->> 'forgetEvents')::bigint);
END $$;
REVOKE ALL ON FUNCTION note_fleet(bigint, jsonb) FROM PUBLIC;

-- Whoever may read the log of events may read this, too.
DO $$
DECLARE
    v_role text;
BEGIN
    FOR v_role IN SELECT DISTINCT grantee FROM information_schema.role_table_grants
        WHERE table_schema = current_schema AND table_name = 'event' AND privilege_type = 'SELECT'
          AND grantee NOT IN ('PUBLIC', current_user) LOOP
        EXECUTE format('GRANT SELECT ON fleet_sample TO %I', v_role);
    END LOOP;
END $$;
