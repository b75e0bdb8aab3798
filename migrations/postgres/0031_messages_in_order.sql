-- What somebody is told of one incident comes in its order: a message that waits for another attempt
-- holds up the later ones of its incident to its subscription, and no others.
CREATE INDEX delivery_pending_of_cause ON delivery (subscription_id, cause_id, created_at, id)
    WHERE state = 'pending';

-- As before, but for that.
CREATE OR REPLACE FUNCTION claim_deliveries(p_epoch bigint, p_at bigint, p_until bigint, p_limit bigint)
RETURNS SETOF delivery LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    v_at timestamptz := instant(p_at);
BEGIN
    PERFORM fence(p_epoch);
    IF EXISTS (SELECT 1 FROM outbox_hold) THEN
        RETURN;
    END IF;
    RETURN QUERY UPDATE delivery d SET attempts = d.attempts + 1, claim_epoch = p_epoch,
           claim_until = instant(p_until)
     WHERE d.id IN (SELECT f.id FROM (
        SELECT DISTINCT ON (w.subscription_id) w.id, w.next_at FROM delivery w
          JOIN subscription s ON s.id = w.subscription_id AND s.live
         WHERE w.state = 'pending' AND w.next_at <= v_at AND NOT EXISTS (
            SELECT 1 FROM delivery o WHERE o.subscription_id = w.subscription_id AND o.state = 'pending'
               AND o.claim_epoch = p_epoch AND o.claim_until > v_at)
           AND NOT EXISTS (
            SELECT 1 FROM delivery e WHERE e.subscription_id = w.subscription_id AND e.state = 'pending'
               AND e.cause_id = w.cause_id AND (e.created_at, e.id) < (w.created_at, w.id))
         ORDER BY w.subscription_id, w.next_at, w.created_at, w.id) f
        ORDER BY f.next_at LIMIT p_limit)
    RETURNING d.*;
END $$;
