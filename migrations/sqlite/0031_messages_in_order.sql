-- A message that waits for another attempt holds up the later ones of its incident to its subscription.
CREATE INDEX delivery_pending_of_cause ON delivery (subscription_id, cause_id, created_at, id)
    WHERE state = 'pending';
