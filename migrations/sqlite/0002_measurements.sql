-- What was measured and judged: the ledger, states, metrics, results, verdicts, incidents, outbox.

-- One row per partition for as long as the dataset lives.
CREATE TABLE ledger (
    dataset_id    TEXT    NOT NULL,
    partition     TEXT    NOT NULL,
    -- Sorts as the partition's values do; compared as bytes.
    ord           TEXT    NOT NULL,
    date          TEXT,
    start_at      INTEGER,
    end_at        INTEGER,
    state         TEXT    NOT NULL CHECK (state IN ('discovered', 'sealed', 'scanned', 'rewritten', 'gone', 'missing')),
    version       TEXT    NOT NULL,
    judged        TEXT,
    revision      INTEGER NOT NULL DEFAULT 0 CHECK (revision >= 0),
    objects       INTEGER NOT NULL CHECK (objects >= 0),
    bytes         INTEGER NOT NULL CHECK (bytes >= 0),
    first_seen    INTEGER NOT NULL,
    last_modified INTEGER,
    PRIMARY KEY (dataset_id, partition),
    CHECK ((judged IS NULL) = (revision = 0))
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_in_order ON ledger (dataset_id, ord, partition);

-- A batch's state of one partition. The payload is emptied when it has been merged; its size stays.
CREATE TABLE metric_state (
    task_id   INTEGER NOT NULL REFERENCES task (id),
    partition TEXT    NOT NULL,
    attempt   INTEGER NOT NULL,
    rows      INTEGER NOT NULL CHECK (rows >= 0),
    bytes     INTEGER NOT NULL CHECK (bytes >= 0),
    payload   BLOB,
    PRIMARY KEY (task_id, partition)
) STRICT;

-- The verdict on one partition version. Each judgement is a revision; one of them is in force.
CREATE TABLE verdict (
    id         INTEGER PRIMARY KEY,
    dataset_id TEXT    NOT NULL,
    partition  TEXT    NOT NULL,
    ord        TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    revision   INTEGER NOT NULL CHECK (revision >= 1),
    sealed     INTEGER NOT NULL CHECK (sealed IN (0, 1)),
    superseded INTEGER NOT NULL CHECK (superseded IN (0, 1)),
    run_id     TEXT    NOT NULL REFERENCES run (id),
    task_id    INTEGER NOT NULL UNIQUE REFERENCES task (id),
    attempt    INTEGER NOT NULL,
    judged_at  INTEGER NOT NULL,
    metrics    INTEGER NOT NULL CHECK (metrics >= 0),
    planned    INTEGER NOT NULL,
    pass       INTEGER NOT NULL CHECK (pass >= 0),
    warn       INTEGER NOT NULL CHECK (warn >= 0),
    fail       INTEGER NOT NULL CHECK (fail >= 0),
    error      INTEGER NOT NULL CHECK (error >= 0),
    missing    INTEGER NOT NULL CHECK (missing >= 0),
    learning   INTEGER NOT NULL CHECK (learning >= 0),
    skipped    INTEGER NOT NULL CHECK (skipped >= 0),
    overflow   INTEGER NOT NULL CHECK (overflow >= 0),
    UNIQUE (dataset_id, partition, revision),
    FOREIGN KEY (dataset_id, partition) REFERENCES ledger (dataset_id, partition),
    -- Every planned check has exactly one outcome.
    CHECK (planned = pass + warn + fail + error + missing + learning + skipped + overflow)
) STRICT;
CREATE UNIQUE INDEX verdict_in_force ON verdict (dataset_id, partition) WHERE superseded = 0;
CREATE INDEX verdict_in_order ON verdict (dataset_id, ord, partition) WHERE superseded = 0;
CREATE INDEX verdict_by_order ON verdict (dataset_id, ord, partition, revision);
CREATE INDEX verdict_by_run ON verdict (run_id, dataset_id, ord, partition, revision);

-- The identity of a metric of a dataset, spelt out once.
CREATE TABLE metric_series (
    id         INTEGER PRIMARY KEY,
    dataset_id TEXT    NOT NULL,
    metric     TEXT    NOT NULL,
    column_name TEXT   NOT NULL,
    args       TEXT    NOT NULL,
    filter     TEXT    NOT NULL,
    semantics  INTEGER NOT NULL,
    UNIQUE (dataset_id, metric, column_name, args, filter, semantics)
) STRICT;

-- Exact values are the digits of `value`; `number` is the nearest double, for charts only.
CREATE TABLE metric (
    verdict_id  INTEGER NOT NULL REFERENCES verdict (id),
    series_id   INTEGER NOT NULL REFERENCES metric_series (id),
    status      TEXT    NOT NULL CHECK (status IN ('computed', 'error', 'overflow')),
    kind        TEXT    NOT NULL CHECK (kind IN ('null', 'exact', 'float', 'text')),
    value       TEXT,
    number      REAL,
    error_bound REAL,
    note        TEXT,
    PRIMARY KEY (verdict_id, series_id),
    CHECK ((kind = 'null') = (value IS NULL)),
    CHECK (status = 'computed' OR kind = 'null')
) STRICT, WITHOUT ROWID;

-- The metrics of one verdict as one text, made by SQL from the rows above in the transaction that
-- writes them: a year of history is read as 365 rows and not as 73,000.
CREATE TABLE metric_page (
    verdict_id INTEGER PRIMARY KEY REFERENCES verdict (id),
    page       TEXT    NOT NULL
) STRICT;

CREATE TABLE check_result (
    verdict_id    INTEGER NOT NULL REFERENCES verdict (id),
    check_id      TEXT    NOT NULL,
    place         INTEGER NOT NULL,
    series_id     INTEGER NOT NULL REFERENCES metric_series (id),
    severity      TEXT    NOT NULL CHECK (severity IN ('info', 'warning', 'error')),
    origin        TEXT    NOT NULL CHECK (origin IN ('declared', 'implied', 'profiled', 'built_in')),
    outcome       TEXT    NOT NULL CHECK (outcome IN ('pass', 'warn', 'fail', 'error', 'missing',
                      'learning', 'skipped', 'overflow')),
    kind          TEXT    NOT NULL CHECK (kind IN ('null', 'exact', 'float', 'text')),
    actual        TEXT,
    actual_number REAL,
    expected      TEXT    NOT NULL,
    limits        TEXT    CHECK (limits IS NULL OR json_valid(limits)),
    reason        TEXT,
    PRIMARY KEY (verdict_id, check_id),
    CHECK ((kind = 'null') = (actual IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE incident (
    id              TEXT    PRIMARY KEY,
    dataset_id      TEXT    NOT NULL,
    check_id        TEXT    NOT NULL,
    column_name     TEXT    NOT NULL,
    severity        TEXT    NOT NULL CHECK (severity IN ('info', 'warning', 'error')),
    status          TEXT    NOT NULL CHECK (status IN ('open', 'acknowledged', 'resolved')),
    first_partition TEXT    NOT NULL,
    last_partition  TEXT    NOT NULL,
    partitions      INTEGER NOT NULL CHECK (partitions >= 0),
    message         TEXT    NOT NULL,
    opened_at       INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    resolved_at     INTEGER,
    is_resolved     INTEGER NOT NULL GENERATED ALWAYS AS (status = 'resolved') STORED
) STRICT;
CREATE INDEX incident_by_dataset ON incident (dataset_id, is_resolved, opened_at DESC, id);
CREATE INDEX incident_by_age ON incident (is_resolved, opened_at DESC, id);

CREATE TABLE outbox (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    key        TEXT    NOT NULL UNIQUE,
    event      TEXT    NOT NULL,
    dataset_id TEXT    NOT NULL,
    body       TEXT    NOT NULL CHECK (json_valid(body)),
    created_at INTEGER NOT NULL,
    sent_at    INTEGER
) STRICT;
CREATE INDEX outbox_unsent ON outbox (seq) WHERE sent_at IS NULL;
