-- A database that was put back from a copy must tell nobody anything until people have looked: what it
-- would tell may have been told already, or be about data that has changed since. While the outbox is
-- held, messages are written as ever and none is handed on.

CREATE TABLE outbox_hold (
    id     smallint    PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    since  timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason text        NOT NULL CHECK (length(reason) BETWEEN 1 AND 1000)
);

-- Holds the outbox; one that is held already keeps its first reason.
CREATE FUNCTION hold_outbox(p_reason text) RETURNS void
LANGUAGE sql SET search_path FROM CURRENT AS $$
    INSERT INTO outbox_hold (reason) VALUES (p_reason) ON CONFLICT (id) DO NOTHING
$$;

-- Lets messages go again. Answers how many wait.
CREATE FUNCTION release_outbox() RETURNS bigint
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM outbox_hold;
    RETURN (SELECT count(*) FROM outbox WHERE sent_at IS NULL);
END $$;

-- As before, and holds the outbox.
CREATE OR REPLACE FUNCTION raise_epoch(p_by bigint DEFAULT 1000000) RETURNS bigint
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    v_raised leader_epoch;
BEGIN
    IF p_by < 1 THEN
        RAISE EXCEPTION 'an epoch is raised by 1 or more, not by %', p_by;
    END IF;
    PERFORM hold_outbox('the epoch was raised by hand');
    UPDATE leader_epoch SET holder = '', minted_at = clock_timestamp(), timeline = server_timeline(),
           epoch = epoch + p_by
     WHERE id = 1 RETURNING * INTO v_raised;
    INSERT INTO event (at, epoch, kind, detail)
    VALUES (v_raised.minted_at, v_raised.epoch, 'epoch_minted', 'raised by hand');
    RETURN v_raised.epoch;
END $$;
