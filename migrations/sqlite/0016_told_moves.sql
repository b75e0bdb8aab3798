-- How far the moves of runs have been told, for each who is told of them. The log of events is the
-- outbox: a move and its line are written as one.
CREATE TABLE told_moves (
    listener TEXT    PRIMARY KEY CHECK (length(listener) BETWEEN 1 AND 100),
    -- The last event that was told.
    seq      INTEGER NOT NULL CHECK (seq >= 0)
) STRICT;
CREATE INDEX event_of_moves ON event (seq) WHERE kind IN ('run_moved', 'run_retried');
