-- The state of record: leaders, definitions, runs, tasks, attempts, nodes, and the log of events.
--
-- Instants are INTEGER microseconds since 1970-01-01T00:00:00Z (TIMESTAMPTZ in Postgres has the same
-- precision). Ids are TEXT as people see them. Words are spelt as in the API; a CHECK lists them.
-- Every table is STRICT, so that a value of another type is an error and not a surprise.

-- One row: the epoch whose writes are accepted.
CREATE TABLE leader_epoch (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    epoch     INTEGER NOT NULL CHECK (epoch >= 0),
    holder    TEXT    NOT NULL,
    minted_at INTEGER NOT NULL
) STRICT;
INSERT INTO leader_epoch (id, epoch, holder, minted_at) VALUES (1, 0, '', 0);

-- Definitions by digest; never changed.
CREATE TABLE definition (
    digest     TEXT    PRIMARY KEY,
    dataset_id TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    tenant     TEXT,
    body       TEXT    NOT NULL CHECK (json_valid(body)),
    stored_at  INTEGER NOT NULL,
    UNIQUE (digest, dataset_id)
) STRICT;
CREATE INDEX definition_by_dataset ON definition (dataset_id, stored_at);

-- Up to which slot each dataset's schedule has been turned into runs.
CREATE TABLE schedule (
    dataset_id      TEXT PRIMARY KEY,
    emitted_through INTEGER NOT NULL
) STRICT;

CREATE TABLE run (
    id              TEXT    PRIMARY KEY,
    dataset_id      TEXT    NOT NULL,
    definition      TEXT    NOT NULL,
    trigger_word    TEXT    NOT NULL CHECK (trigger_word IN ('schedule', 'manual', 'backfill', 'arrival')),
    slot            INTEGER,
    priority        TEXT    NOT NULL CHECK (priority IN ('live', 'backfill')),
    selection       TEXT    NOT NULL CHECK (json_valid(selection)),
    retries         INTEGER NOT NULL CHECK (retries >= 0),
    task_timeout_ms INTEGER NOT NULL CHECK (task_timeout_ms >= 0),
    state           TEXT    NOT NULL CHECK (state IN ('queued', 'planning', 'running', 'finalising',
                        'succeeded', 'partial', 'failed', 'cancelled', 'skipped_stale')),
    reason          TEXT,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    finished_at     INTEGER,
    deadline_at     INTEGER NOT NULL,
    planned_at      INTEGER,
    planned_tasks   INTEGER NOT NULL DEFAULT 0 CHECK (planned_tasks >= 0),
    FOREIGN KEY (definition, dataset_id) REFERENCES definition (digest, dataset_id)
) STRICT;
CREATE INDEX run_by_age ON run (created_at DESC, id DESC);
CREATE INDEX run_by_dataset ON run (dataset_id, created_at DESC, id DESC);
CREATE INDEX run_unfinished ON run (created_at DESC, id DESC)
    WHERE state IN ('queued', 'planning', 'running', 'finalising');
CREATE UNIQUE INDEX run_of_slot ON run (dataset_id, slot) WHERE trigger_word = 'schedule' AND slot IS NOT NULL;

-- A node's present life; earlier lives are in the log of events.
CREATE TABLE node (
    id            TEXT    PRIMARY KEY,
    incarnation   INTEGER NOT NULL CHECK (incarnation >= 1),
    state         TEXT    NOT NULL CHECK (state IN ('registering', 'live', 'suspect', 'draining',
                      'excluded', 'dead', 'gone')),
    slots         INTEGER NOT NULL CHECK (slots >= 0),
    memory_bytes  INTEGER NOT NULL CHECK (memory_bytes >= 0),
    zone          TEXT    NOT NULL,
    registered_at INTEGER NOT NULL,
    moved_at      INTEGER NOT NULL,
    reason        TEXT
) STRICT;

-- What changes of a task. What it is told to do never changes and lies in task_spec, so that a
-- change of state does not rewrite it.
CREATE TABLE task (
    id          INTEGER PRIMARY KEY,
    run_id      TEXT    NOT NULL REFERENCES run (id),
    no          INTEGER NOT NULL CHECK (no >= 0),
    kind        TEXT    NOT NULL CHECK (kind IN ('discover', 'measure', 'evaluate')),
    state       TEXT    NOT NULL CHECK (state IN ('ready', 'assigned', 'running', 'succeeded', 'failed',
                    'quarantined', 'cancelled')),
    wait        TEXT    CHECK (wait IN ('dependency', 'backoff', 'no_capacity', 'no_node', 'dependency_down')),
    not_before  INTEGER,
    attempt     INTEGER NOT NULL CHECK (attempt >= 0),
    charged     INTEGER NOT NULL CHECK (charged >= 0),
    crashes     INTEGER NOT NULL CHECK (crashes >= 0),
    -- Bumped when a person has the task tried again: attempts are charged per generation.
    generation  INTEGER NOT NULL DEFAULT 1 CHECK (generation >= 1),
    nonce       TEXT,
    node        TEXT    REFERENCES node (id),
    incarnation INTEGER,
    assigned_at INTEGER,
    started_at  INTEGER,
    reason      TEXT,
    UNIQUE (run_id, no),
    CHECK ((state IN ('assigned', 'running')) = (nonce IS NOT NULL)),
    CHECK ((state IN ('assigned', 'running')) = (node IS NOT NULL)),
    CHECK (state = 'ready' OR (wait IS NULL AND not_before IS NULL))
) STRICT;
CREATE INDEX task_at_work ON task (node) WHERE node IS NOT NULL;

CREATE TABLE task_spec (
    task_id    INTEGER PRIMARY KEY REFERENCES task (id),
    spec       TEXT    NOT NULL CHECK (json_valid(spec)),
    depends_on TEXT    NOT NULL CHECK (json_valid(depends_on))
) STRICT;

CREATE TABLE task_attempt (
    task_id     INTEGER NOT NULL REFERENCES task (id),
    attempt     INTEGER NOT NULL CHECK (attempt >= 1),
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
    PRIMARY KEY (task_id, attempt),
    CHECK ((ended_at IS NULL) = (outcome IS NULL)),
    CHECK (outcome IS NULL
        OR charged = (outcome IN ('retryable', 'permanent', 'timed_out', 'crashed', 'node_lost')))
) STRICT, WITHOUT ROWID;

-- What a succeeded task left: the plan of a discovery as JSON, and how many parts it wrote.
CREATE TABLE task_output (
    task_id INTEGER PRIMARY KEY REFERENCES task (id),
    attempt INTEGER NOT NULL,
    parts   INTEGER NOT NULL CHECK (parts >= 0),
    plan    TEXT    CHECK (plan IS NULL OR json_valid(plan))
) STRICT;

CREATE TABLE scale_event (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    from_nodes INTEGER NOT NULL,
    to_nodes   INTEGER NOT NULL,
    reason     TEXT    NOT NULL
) STRICT;

-- Append-only: what happened, when, and under which leader. `state` is the subject's state after it.
CREATE TABLE event (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    epoch       INTEGER,
    kind        TEXT    NOT NULL CHECK (kind IN ('epoch_minted', 'run_submitted', 'run_planned', 'run_moved',
                    'run_retried', 'task_retried', 'task_assigned', 'task_started', 'attempt_ended',
                    'task_succeeded', 'task_ended', 'node_registered', 'node_moved', 'scaled')),
    run_id      TEXT,
    task_id     INTEGER,
    attempt     INTEGER,
    node        TEXT,
    incarnation INTEGER,
    state       TEXT,
    detail      TEXT
) STRICT;
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
BEGIN SELECT raise(ABORT, 'the log of events is append-only'); END;
CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event
BEGIN SELECT raise(ABORT, 'the log of events is append-only'); END;
