//! The dump, as Postgres is asked.
//!
//! Comes in: nothing. Goes out: the queries, the twins of those for SQLite. They must give the same
//! values in the same order.

use super::Part;

/// The parts, as Postgres is asked.
pub(crate) const PARTS: &[Part] = &[
    (
        "metrics",
        "SELECT json_build_array(v.dataset_id, v.ord, v.partition, v.revision, v.version, s.metric, \
         s.column_name, s.args, s.filter, s.semantics, m.status, m.kind, \
         CASE WHEN s.metric IN ('latency', 'lastModifiedAge') THEN 'an age' ELSE m.value END, \
         m.error_bound::text, \
         m.note)::text FROM verdict v JOIN metric m ON m.verdict_id = v.id \
         JOIN metric_series s ON s.id = m.series_id \
         ORDER BY v.dataset_id, v.ord, v.partition, v.revision, s.metric, s.column_name, s.args, \
         s.filter, s.semantics",
    ),
    (
        "results",
        "SELECT json_build_array(v.dataset_id, v.ord, v.partition, v.revision, v.version, c.check_id, \
         c.severity, c.origin, c.outcome, c.kind, \
         CASE WHEN s.metric IN ('latency', 'lastModifiedAge') THEN to_json('an age'::text) \
         ELSE json_build_array(c.actual, c.expected, c.limits, c.reason) END, \
         s.metric, s.column_name, s.args, s.filter, s.semantics)::text \
         FROM verdict v JOIN check_result c ON c.verdict_id = v.id \
         JOIN metric_series s ON s.id = c.series_id \
         ORDER BY v.dataset_id, v.ord, v.partition, v.revision, c.check_id",
    ),
    (
        "verdicts",
        "SELECT json_build_array(dataset_id, ord, partition, revision, version, sealed::int, superseded::int, \
         metrics, planned, pass, warn, fail, error, missing, learning, skipped, overflow)::text \
         FROM verdict ORDER BY dataset_id, ord, partition, revision",
    ),
    (
        "ledger",
        "SELECT json_build_array(dataset_id, ord, partition, series, date::text, \
         (extract(epoch FROM start_at) * 1000000)::bigint, \
         (extract(epoch FROM end_at) * 1000000)::bigint, state, version, \
         judged, revision, objects, bytes, \
         (extract(epoch FROM last_modified) * 1000000)::bigint)::text \
         FROM ledger ORDER BY dataset_id, ord, partition",
    ),
    (
        "incidents",
        "SELECT json_build_array(dataset_id, check_id, column_name, severity, status, first_partition, \
         last_partition, partitions, CASE WHEN EXISTS (SELECT 1 FROM check_result c \
         JOIN metric_series s ON s.id = c.series_id WHERE s.dataset_id = incident.dataset_id \
         AND c.check_id = incident.check_id AND s.metric IN ('latency', 'lastModifiedAge')) \
         THEN 'an age' ELSE message END)::text FROM incident \
         ORDER BY dataset_id, check_id, first_partition",
    ),
    (
        "messages",
        "SELECT json_build_array(key, event, dataset_id)::text FROM outbox \
         WHERE event <> 'partition.finished' ORDER BY key",
    ),
];
