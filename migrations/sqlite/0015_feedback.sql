-- What people answer back to the judge. An answer is withdrawn, never changed otherwise and never
-- deleted.
CREATE TABLE feedback (
    id               TEXT    PRIMARY KEY,
    dataset_id       TEXT    NOT NULL,
    kind             TEXT    NOT NULL CHECK (kind IN ('mark_as_normal', 'train_as_new_normal',
                             'exclude_window')),
    -- `"dataset"`, or an object with the column or the metric.
    scope            TEXT    NOT NULL CHECK (json_valid(scope)),
    -- Absent: all series.
    series           TEXT,
    from_partition   TEXT    NOT NULL,
    to_partition     TEXT,
    answered_by      TEXT    NOT NULL CHECK (length(answered_by) >= 1),
    answered_at      INTEGER NOT NULL,
    reason           TEXT    NOT NULL CHECK (length(reason) >= 1),
    withdrawn_by     TEXT,
    withdrawn_at     INTEGER,
    withdrawn_reason TEXT,
    CHECK ((kind = 'exclude_window') = (to_partition IS NOT NULL)),
    CHECK ((withdrawn_by IS NULL) = (withdrawn_at IS NULL)),
    CHECK ((withdrawn_by IS NULL) = (withdrawn_reason IS NULL))
) STRICT;
CREATE INDEX feedback_of_dataset ON feedback (dataset_id, withdrawn_at IS NULL, answered_at, id);

CREATE TRIGGER feedback_is_never_deleted BEFORE DELETE ON feedback
BEGIN SELECT raise(ABORT, 'an answer is withdrawn, not deleted'); END;
CREATE TRIGGER feedback_is_only_withdrawn BEFORE UPDATE ON feedback
WHEN old.withdrawn_at IS NOT NULL OR new.withdrawn_at IS NULL
    OR new.id IS NOT old.id OR new.dataset_id IS NOT old.dataset_id OR new.kind IS NOT old.kind
    OR new.scope IS NOT old.scope OR new.series IS NOT old.series
    OR new.from_partition IS NOT old.from_partition OR new.to_partition IS NOT old.to_partition
    OR new.answered_by IS NOT old.answered_by OR new.answered_at IS NOT old.answered_at
    OR new.reason IS NOT old.reason
BEGIN SELECT raise(ABORT, 'an answer is withdrawn once, and not changed otherwise'); END;
