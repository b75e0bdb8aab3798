-- A task may judge several partitions of a series: it leaves a verdict on each of them.
--
-- The table is made anew with the other key; what points to its rows finds them again at the end.
PRAGMA defer_foreign_keys = ON;
CREATE TEMP TABLE verdict_before AS SELECT * FROM verdict;
DROP TABLE verdict;
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
    task_id    INTEGER NOT NULL REFERENCES task (id),
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
    UNIQUE (task_id, attempt, partition),
    FOREIGN KEY (dataset_id, partition) REFERENCES ledger (dataset_id, partition),
    -- Every planned check has exactly one outcome.
    CHECK (planned = pass + warn + fail + error + missing + learning + skipped + overflow)
) STRICT;
INSERT INTO verdict (id, dataset_id, partition, ord, version, revision, sealed, superseded, run_id,
    task_id, attempt, judged_at, metrics, planned, pass, warn, fail, error, missing, learning, skipped,
    overflow)
SELECT id, dataset_id, partition, ord, version, revision, sealed, superseded, run_id, task_id, attempt,
    judged_at, metrics, planned, pass, warn, fail, error, missing, learning, skipped, overflow
FROM verdict_before;
DROP TABLE verdict_before;
CREATE UNIQUE INDEX verdict_in_force ON verdict (dataset_id, partition) WHERE superseded = 0;
CREATE INDEX verdict_in_order ON verdict (dataset_id, ord, partition) WHERE superseded = 0;
CREATE INDEX verdict_by_order ON verdict (dataset_id, ord, partition, revision);
CREATE INDEX verdict_by_run ON verdict (run_id, dataset_id, ord, partition, revision);
