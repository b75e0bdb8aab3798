-- What people are told: incidents by their cause, who asked to be told, what each was told, messages
-- on their way. Documents are kept as JSON beside the columns that are searched by.

-- An incident as people handle it: one for each dataset, dimension and column.
CREATE TABLE cause (
    id          TEXT    PRIMARY KEY,
    dataset_id  TEXT    NOT NULL,
    dimension   TEXT    NOT NULL,
    column_name TEXT    NOT NULL,
    status      TEXT    NOT NULL CHECK (status IN ('open', 'acknowledged', 'resolved')),
    severity    TEXT    NOT NULL CHECK (severity IN ('info', 'warning', 'error')),
    opened_at   INTEGER NOT NULL,
    -- When somebody may have to be told next, if nothing else happens.
    wake_at     INTEGER,
    doc         TEXT    NOT NULL CHECK (json_valid(doc)),
    is_resolved INTEGER NOT NULL GENERATED ALWAYS AS (status = 'resolved') STORED,
    UNIQUE (dataset_id, dimension, column_name)
) STRICT;
CREATE INDEX cause_by_age ON cause (is_resolved, opened_at DESC, id);
CREATE INDEX cause_due ON cause (wake_at) WHERE wake_at IS NOT NULL;

-- The broken checks of causes that are open.
CREATE TABLE cause_member (
    incident_id TEXT PRIMARY KEY REFERENCES incident (id),
    cause_id    TEXT NOT NULL REFERENCES cause (id)
) STRICT;
CREATE INDEX cause_member_by_cause ON cause_member (cause_id);

-- What happened to causes, and who did it.
CREATE TABLE cause_event (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    cause_id TEXT    NOT NULL REFERENCES cause (id),
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    by_whom  TEXT    NOT NULL,
    detail   TEXT    NOT NULL
) STRICT;
CREATE INDEX cause_event_by_cause ON cause_event (cause_id, seq);

CREATE TABLE subscription (
    id         TEXT    PRIMARY KEY,
    dataset_id TEXT,
    -- Neither paused nor removed.
    live       INTEGER NOT NULL CHECK (live IN (0, 1)),
    removed    INTEGER NOT NULL CHECK (removed IN (0, 1)),
    doc        TEXT    NOT NULL CHECK (json_valid(doc))
) STRICT;
CREATE INDEX subscription_by_dataset ON subscription (dataset_id);

-- What a subscription was told of a cause last.
CREATE TABLE told (
    cause_id        TEXT NOT NULL REFERENCES cause (id),
    subscription_id TEXT NOT NULL REFERENCES subscription (id),
    doc             TEXT NOT NULL CHECK (json_valid(doc)),
    PRIMARY KEY (cause_id, subscription_id)
) STRICT, WITHOUT ROWID;

-- Messages to be delivered, and how they ended.
CREATE TABLE delivery (
    id              TEXT    PRIMARY KEY,
    subscription_id TEXT    NOT NULL REFERENCES subscription (id),
    cause_id        TEXT    REFERENCES cause (id),
    dataset_id      TEXT,
    kind            TEXT    NOT NULL CHECK (kind IN ('opened', 'escalated', 'still_open', 'resolved', 'finished', 'test')),
    event           TEXT    NOT NULL CHECK (json_valid(event)),
    created_at      INTEGER NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts        INTEGER NOT NULL CHECK (attempts >= 0),
    next_at         INTEGER,
    -- Who is at it: an epoch, until an instant.
    claim_epoch     INTEGER,
    claim_until     INTEGER,
    ended_at        INTEGER,
    error           TEXT,
    CHECK ((state = 'pending') = (next_at IS NOT NULL)),
    CHECK ((state = 'pending') = (ended_at IS NULL)),
    CHECK ((claim_epoch IS NULL) = (claim_until IS NULL))
) STRICT;
CREATE INDEX delivery_due ON delivery (next_at) WHERE state = 'pending';
CREATE INDEX delivery_of_subscription ON delivery (subscription_id, created_at DESC, id);
CREATE INDEX delivery_by_age ON delivery (created_at DESC, id);
CREATE INDEX delivery_ended ON delivery (ended_at) WHERE state <> 'pending';

-- Nobody was there to take what was written before: causes that are open are found by their
-- incidents, and nobody is told of what is long over.
UPDATE outbox SET sent_at = created_at WHERE sent_at IS NULL;
