-- A page tells how far an estimate may be off: its kind in capitals, then the error, then the value.
-- Pages that were written without are made again from their rows.
CREATE OR REPLACE FUNCTION page_of(p_verdict bigint) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(series_id || ' ' || left(status, 1)
           || CASE WHEN error_bound IS NULL THEN left(kind, 1)
              ELSE upper(left(kind, 1)) || error_bound || ' ' END
           || CASE kind WHEN 'text' THEN to_json(value)::text ELSE coalesce(value, '') END,
           E'\n' ORDER BY series_id), '')
      FROM metric WHERE verdict_id = p_verdict
$$;

UPDATE metric_page SET page = page_of(verdict_id)
 WHERE verdict_id IN (SELECT verdict_id FROM metric WHERE error_bound IS NOT NULL);
