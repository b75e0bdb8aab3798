-- Second copies: a task that is far slower than its peers may have one more copy of its attempt at
-- work on another node. Both carry the number of the attempt and a nonce of their own; the first
-- result stands, the other copy is fenced. One second copy per attempt, marked `twin`.

ALTER TABLE task ADD COLUMN twin_nonce       TEXT CHECK (twin_nonce IS NULL OR nonce IS NOT NULL);
ALTER TABLE task ADD COLUMN twin_node        TEXT REFERENCES node (id);
ALTER TABLE task ADD COLUMN twin_incarnation INTEGER;
ALTER TABLE task ADD COLUMN twin_assigned_at INTEGER;
CREATE INDEX task_twin_at_work ON task (twin_node) WHERE twin_node IS NOT NULL;

-- As before, with the mark in the key.
CREATE TABLE task_attempt_marked (
    task_id     INTEGER NOT NULL REFERENCES task (id),
    attempt     INTEGER NOT NULL CHECK (attempt >= 1),
    twin        INTEGER NOT NULL DEFAULT 0 CHECK (twin IN (0, 1)),
    generation  INTEGER NOT NULL,
    nonce       TEXT    NOT NULL,
    node        TEXT    NOT NULL REFERENCES node (id),
    incarnation INTEGER NOT NULL,
    assigned_at INTEGER NOT NULL,
    started_at  INTEGER,
    ended_at    INTEGER,
    outcome     TEXT    CHECK (outcome IN ('ok', 'retryable', 'permanent', 'timed_out', 'crashed',
                    'node_lost', 'drained', 'orphaned', 'dispatch_lost', 'dependency_down', 'cancelled')),
    charged     INTEGER NOT NULL DEFAULT 0 CHECK (charged IN (0, 1)),
    reason      TEXT,
    -- When the task could be tried again, as decided at this attempt's end.
    retry_at    INTEGER,
    PRIMARY KEY (task_id, attempt, twin),
    CHECK ((ended_at IS NULL) = (outcome IS NULL)),
    CHECK (outcome IS NULL
        OR charged = (outcome IN ('retryable', 'permanent', 'timed_out', 'crashed', 'node_lost')))
) STRICT, WITHOUT ROWID;
INSERT INTO task_attempt_marked (task_id, attempt, generation, nonce, node, incarnation, assigned_at,
    started_at, ended_at, outcome, charged, reason, retry_at)
SELECT task_id, attempt, generation, nonce, node, incarnation, assigned_at, started_at, ended_at,
    outcome, charged, reason, retry_at FROM task_attempt;
DROP TABLE task_attempt;
ALTER TABLE task_attempt_marked RENAME TO task_attempt;
