-- A page tells how far an estimate may be off: its kind in capitals, then the error, then the value.
-- Pages that were written without are made again from their rows.
UPDATE metric_page SET page = (
    SELECT coalesce(group_concat(series_id || ' ' || substr(status, 1, 1)
        || CASE WHEN error_bound IS NULL THEN substr(kind, 1, 1)
           ELSE upper(substr(kind, 1, 1)) || printf('%!.17g', error_bound) || ' ' END
        || CASE kind WHEN 'text' THEN json_quote(value) ELSE coalesce(value, '') END,
        char(10) ORDER BY series_id), '')
    FROM metric WHERE metric.verdict_id = metric_page.verdict_id)
WHERE verdict_id IN (SELECT verdict_id FROM metric WHERE error_bound IS NOT NULL);
