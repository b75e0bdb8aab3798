-- How far the moves of runs have been told, for each who is told of them. The log of events is the
-- outbox: a move and its line are written as one, by one leader at a time, so that no later line is
-- seen before an earlier one.

CREATE TABLE told_moves (
    listener text   COLLATE "C" PRIMARY KEY CHECK (length(listener) BETWEEN 1 AND 100),
    -- The last event that was told.
    seq      bigint NOT NULL CHECK (seq >= 0)
);
CREATE INDEX event_of_moves ON event (seq) WHERE kind IN ('run_moved', 'run_retried');

-- Where a listener stands. One that is new begins with what moves from here on.
CREATE FUNCTION begin_telling(p_epoch bigint, p_listener text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM fence(p_epoch);
    INSERT INTO told_moves (listener, seq)
    SELECT p_listener, coalesce((SELECT max(seq) FROM event WHERE kind IN ('run_moved', 'run_retried')), 0)
    ON CONFLICT (listener) DO NOTHING;
    RETURN (SELECT seq FROM told_moves WHERE listener = p_listener);
END $$;

-- A listener was told of all up to an event; it never goes back.
CREATE FUNCTION tell_moves(p_epoch bigint, p_listener text, p_seq bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM fence(p_epoch);
    UPDATE told_moves SET seq = p_seq WHERE listener = p_listener AND seq < p_seq;
END $$;

REVOKE ALL ON FUNCTION begin_telling(bigint, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION tell_moves(bigint, text, bigint) FROM PUBLIC;
