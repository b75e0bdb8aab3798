-- The audit log: who asked for which change, and what came of it. A row's hash is that of its own words
-- and of the hash before it, so that a row that is altered, taken out or put in between breaks the chain
-- from there on; the head says how long the chain is.
--
-- Rows are written by `append_audit` alone, which runs with the rights of its owner: a gateway is granted
-- that function and SELECT, and can neither choose its clock nor its place in the chain.

CREATE TABLE audit_log (
    seq      bigint      PRIMARY KEY CHECK (seq >= 1),
    at       timestamptz NOT NULL,
    request  uuid        NOT NULL,
    stage    text        COLLATE "C" NOT NULL CHECK (stage IN ('asked', 'done', 'failed')),
    who      text        NOT NULL CHECK (who <> ''),
    rights   text        NOT NULL,
    action   text        NOT NULL CHECK (action <> ''),
    object   text        NOT NULL,
    detail   text        NOT NULL,
    previous text        NOT NULL CHECK (length(previous) = 64),
    hash     text        NOT NULL CHECK (length(hash) = 64),
    UNIQUE (request, stage)
);

CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit();
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit();

CREATE TABLE audit_head (
    id   bigint PRIMARY KEY CHECK (id = 1),
    seq  bigint NOT NULL CHECK (seq >= 0),
    hash text   NOT NULL CHECK (length(hash) = 64)
);
INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, repeat('0', 64));

-- A word as it is hashed: with its length in bytes, so that no two lists of words are hashed alike.
CREATE FUNCTION audit_word(word text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT octet_length(convert_to(word, 'UTF8')) || ':' || word || ',' $$;

-- The next row of the chain. A repeat of a request's stage answers the row that is there.
CREATE FUNCTION append_audit(p_request uuid, p_stage text, p_who text, p_rights text, p_action text,
                             p_object text, p_detail text)
RETURNS audit_log LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_head audit_head;
    v_row  audit_log;
BEGIN
    -- One at a time: the lock is held to the end of the statement.
    SELECT * INTO STRICT v_head FROM audit_head WHERE id = 1 FOR UPDATE;
    SELECT * INTO v_row FROM audit_log WHERE request = p_request AND stage = p_stage;
    IF FOUND THEN
        RETURN v_row;
    END IF;
    v_row.seq := v_head.seq + 1;
    v_row.at := clock_timestamp();
    v_row.request := p_request;
    v_row.stage := p_stage;
    v_row.who := p_who;
    v_row.rights := p_rights;
    v_row.action := p_action;
    v_row.object := p_object;
    v_row.detail := p_detail;
    v_row.previous := v_head.hash;
    v_row.hash := encode(sha256(convert_to(
        v_row.previous || audit_word(v_row.seq::text)
        || audit_word((extract(epoch FROM v_row.at) * 1000000)::bigint::text)
        || audit_word(v_row.request::text) || audit_word(v_row.stage) || audit_word(v_row.who)
        || audit_word(v_row.rights) || audit_word(v_row.action) || audit_word(v_row.object)
        || audit_word(v_row.detail), 'UTF8')), 'hex');
    INSERT INTO audit_log SELECT v_row.*;
    UPDATE audit_head SET seq = v_row.seq, hash = v_row.hash WHERE id = 1;
    RETURN v_row;
END $$;
REVOKE ALL ON FUNCTION append_audit(uuid, text, text, text, text, text, text) FROM PUBLIC;
