-- What operators are told of the cluster's own work: one alert for each kind and subject.
CREATE TABLE alert (
    -- Its kind and its subject: `run_failed/orders`.
    key     text        COLLATE "C" PRIMARY KEY,
    -- When it happened last.
    at      timestamptz NOT NULL,
    -- When it is to be looked at, if nothing else happens.
    wake_at timestamptz,
    doc     json        NOT NULL
);
CREATE INDEX alert_due ON alert (wake_at) WHERE wake_at IS NOT NULL;

-- Those who tell operators begin with what moves from here on, not with their first look.
INSERT INTO told_moves (listener, seq) SELECT 'operators', coalesce(max(seq), 0) FROM event
 WHERE kind IN ('run_moved', 'run_retried');

-- Messages of those kinds.
ALTER TABLE delivery DROP CONSTRAINT delivery_kind_check;
ALTER TABLE delivery ADD CONSTRAINT delivery_kind_check CHECK (kind IN ('opened', 'escalated', 'still_open',
    'resolved', 'finished', 'test', 'run_failed', 'node_lost', 'dataset_stale'));

-- Operators who are told of all that there was are told of these as well.
UPDATE subscription SET doc = jsonb_set(doc::jsonb, '{events}', '["opened", "escalated", "still_open", "resolved",
        "run_failed", "node_lost", "dataset_stale"]')::json
 WHERE (doc ->> 'operator')::boolean
   AND (doc -> 'events')::jsonb = '["opened", "escalated", "still_open", "resolved"]';

-- Alerts as they stand, and those that are forgotten.
CREATE FUNCTION settle_alerts(n jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO alert (key, at, wake_at, doc)
    SELECT x ->> 'key', instant((x ->> 'at')::bigint), instant((x ->> 'wake')::bigint), (x -> 'doc')::json
      FROM jsonb_array_elements(n -> 'alerts') x ORDER BY 1
    ON CONFLICT (key) DO UPDATE SET at = excluded.at, wake_at = excluded.wake_at, doc = excluded.doc;
    DELETE FROM alert WHERE wake_at IS NULL AND at < instant((n ->> 'forget')::bigint);
END $$;

-- All that the leader writes at once. That a partition was judged is not kept once it is told.
CREATE OR REPLACE FUNCTION settle_notices(p_epoch bigint, n jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_keys text[] := ARRAY(SELECT k FROM jsonb_array_elements_text(n -> 'handled') k);
BEGIN
    PERFORM fence(p_epoch);
    PERFORM settle_causes(n);
    PERFORM settle_messages(n);
    PERFORM settle_alerts(n);
    -- The leader's instant is that of when it began to look: what came after it was told later.
    UPDATE outbox SET sent_at = GREATEST(instant((n ->> 'at')::bigint), created_at)
     WHERE sent_at IS NULL AND key = ANY (v_keys);
    DELETE FROM outbox WHERE key = ANY (v_keys) AND event = 'partition.finished';
END $$;
