-- A server that was promoted or restored is another one: what was confirmed last may be missing, and
-- a leader that goes on with what it remembers would decide on rows that are not there. Servers tell
-- themselves apart by the timeline of their log. It is kept with the epoch: another timeline fences the
-- leader, who reads everything anew, and the next epoch leaps over all that may have been minted and
-- lost.

-- Absent where the server does not tell, or no leader was elected since.
ALTER TABLE leader_epoch ADD COLUMN timeline text;

-- The timeline that the server writes; absent where it does not tell.
CREATE FUNCTION server_timeline() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8);
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

-- As before, and refuses an epoch that was minted on another timeline.
CREATE OR REPLACE FUNCTION fence(p_epoch bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM leader_epoch WHERE id = 1 AND epoch = p_epoch
        AND CASE WHEN timeline IS NULL THEN true
                 ELSE timeline = left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END
        FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'FENCED_EPOCH' USING ERRCODE = 'AS001';
    END IF;
END $$;

-- As before; after a change of timeline the epoch leaps.
CREATE OR REPLACE FUNCTION mint_epoch(p_holder text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_timeline text := server_timeline();
    v_minted leader_epoch;
BEGIN
    UPDATE leader_epoch SET holder = p_holder, minted_at = clock_timestamp(), timeline = v_timeline,
           epoch = epoch + CASE WHEN timeline IS NOT NULL AND timeline IS DISTINCT FROM v_timeline
                                THEN 1000000 ELSE 1 END
     WHERE id = 1 RETURNING * INTO v_minted;
    INSERT INTO event (at, epoch, kind, detail)
    VALUES (v_minted.minted_at, v_minted.epoch, 'epoch_minted', p_holder);
    RETURN v_minted.epoch;
END $$;

-- For whoever puts rows back in a way that leaves no trace (a dump, a copy of the files): fences every
-- leader, and leaps over all epochs that may have been minted and lost. Answers the epoch in force.
CREATE FUNCTION raise_epoch(p_by bigint DEFAULT 1000000) RETURNS bigint
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    v_raised leader_epoch;
BEGIN
    IF p_by < 1 THEN
        RAISE EXCEPTION 'an epoch is raised by 1 or more, not by %', p_by;
    END IF;
    UPDATE leader_epoch SET holder = '', minted_at = clock_timestamp(), timeline = server_timeline(),
           epoch = epoch + p_by
     WHERE id = 1 RETURNING * INTO v_raised;
    INSERT INTO event (at, epoch, kind, detail)
    VALUES (v_raised.minted_at, v_raised.epoch, 'epoch_minted', 'raised by hand');
    RETURN v_raised.epoch;
END $$;

-- A session that sits in a transaction holds rows, and with them the cluster. Connections of the
-- cluster say so themselves; this is for everybody else who comes to this database. Whoever needs
-- longer sets it for the session.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET idle_in_transaction_session_timeout = %L',
                   current_database(), '3s');
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'only the owner of the database can limit idle transactions: ALTER DATABASE % SET idle_in_transaction_session_timeout = ''3s''',
        current_database();
END $$;
