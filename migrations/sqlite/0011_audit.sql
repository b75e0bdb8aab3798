-- The audit log: who asked for which change, and what came of it. A row's hash is that of its own words
-- and of the hash before it, so that a row that is altered, taken out or put in between breaks the chain
-- from there on; the head says how long the chain is.

CREATE TABLE audit_log (
    seq      INTEGER PRIMARY KEY CHECK (seq >= 1),
    at       INTEGER NOT NULL,
    request  TEXT    NOT NULL,
    stage    TEXT    NOT NULL CHECK (stage IN ('asked', 'done', 'failed')),
    who      TEXT    NOT NULL CHECK (who <> ''),
    rights   TEXT    NOT NULL,
    action   TEXT    NOT NULL CHECK (action <> ''),
    object   TEXT    NOT NULL,
    detail   TEXT    NOT NULL,
    previous TEXT    NOT NULL CHECK (length(previous) = 64),
    hash     TEXT    NOT NULL CHECK (length(hash) = 64),
    UNIQUE (request, stage)
) STRICT;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit_log
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit_log
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;

-- An insert that replaces would delete without a trigger.
CREATE TRIGGER audit_is_never_replaced BEFORE INSERT ON audit_log
WHEN EXISTS (SELECT 1 FROM audit_log WHERE seq = new.seq
             OR (request = new.request AND stage = new.stage))
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;

CREATE TABLE audit_head (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    seq  INTEGER NOT NULL CHECK (seq >= 0),
    hash TEXT    NOT NULL CHECK (length(hash) = 64)
) STRICT;
INSERT INTO audit_head (id, seq, hash)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');
