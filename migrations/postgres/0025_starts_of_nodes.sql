-- When the first task began in a life of a node: a question of the leader while the fleet grows, which
-- otherwise reads all of the log that came after the node did.
CREATE INDEX event_of_starts ON event (node, incarnation, seq) WHERE kind = 'task_started';
