-- What operators are told of the cluster's own work: one alert for each kind and subject.
CREATE TABLE alert (
    -- Its kind and its subject: `run_failed/orders`.
    key     TEXT    PRIMARY KEY,
    -- When it happened last.
    at      INTEGER NOT NULL,
    -- When it is to be looked at, if nothing else happens.
    wake_at INTEGER,
    doc     TEXT    NOT NULL CHECK (json_valid(doc))
) STRICT;
CREATE INDEX alert_due ON alert (wake_at) WHERE wake_at IS NOT NULL;

-- Those who tell operators begin with what moves from here on, not with their first look.
INSERT INTO told_moves (listener, seq) SELECT 'operators', coalesce(max(seq), 0) FROM event
 WHERE kind IN ('run_moved', 'run_retried');

-- Messages of those kinds.
CREATE TABLE delivery_anew (
    id              TEXT    PRIMARY KEY,
    subscription_id TEXT    NOT NULL REFERENCES subscription (id),
    cause_id        TEXT    REFERENCES cause (id),
    dataset_id      TEXT,
    kind            TEXT    NOT NULL CHECK (kind IN ('opened', 'escalated', 'still_open', 'resolved', 'finished', 'test',
                        'run_failed', 'node_lost', 'dataset_stale')),
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
INSERT INTO delivery_anew SELECT id, subscription_id, cause_id, dataset_id, kind, event, created_at, state, attempts,
       next_at, claim_epoch, claim_until, ended_at, error FROM delivery;
DROP TABLE delivery;
ALTER TABLE delivery_anew RENAME TO delivery;
CREATE INDEX delivery_due ON delivery (next_at) WHERE state = 'pending';
CREATE INDEX delivery_of_subscription ON delivery (subscription_id, created_at DESC, id);
CREATE INDEX delivery_by_age ON delivery (created_at DESC, id);
CREATE INDEX delivery_ended ON delivery (ended_at) WHERE state <> 'pending';

-- Operators who are told of all that there was are told of these as well.
UPDATE subscription SET doc = json_set(doc, '$.events', json('["opened","escalated","still_open","resolved",
        "run_failed","node_lost","dataset_stale"]'))
 WHERE doc ->> '$.operator' AND json(doc -> '$.events') = '["opened","escalated","still_open","resolved"]';
