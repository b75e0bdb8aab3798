-- How the fleet was over time: its size and its work once a minute, for a day or so, and how each
-- change of the wanted number went.
CREATE TABLE fleet_sample (
    at      INTEGER PRIMARY KEY,
    -- Nodes that the backlog asked for, and nodes that took tasks.
    desired INTEGER NOT NULL CHECK (desired >= 0),
    ready   INTEGER NOT NULL CHECK (ready >= 0),
    -- Tasks that could have started if there had been a slot, and tasks at work.
    queued  INTEGER NOT NULL CHECK (queued >= 0),
    running INTEGER NOT NULL CHECK (running >= 0)
) STRICT;

-- When the first new node was ready, or the first node had left.
ALTER TABLE scale_event ADD COLUMN first_at INTEGER;
-- When the first task began on a new node.
ALTER TABLE scale_event ADD COLUMN task_at INTEGER;
-- When there were as many nodes as it wanted.
ALTER TABLE scale_event ADD COLUMN done_at INTEGER;

-- The lives of nodes, and who is told when one ends.
CREATE INDEX event_of_nodes ON event (seq) WHERE kind IN ('node_registered', 'node_moved');
INSERT INTO told_moves (listener, seq) SELECT 'operators of nodes', coalesce(max(seq), 0) FROM event
 WHERE kind IN ('node_registered', 'node_moved');
