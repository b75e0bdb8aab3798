//! What is asked of a database after a drill: each query must give no row.
//!
//! Comes in: the truth. Goes out: queries that give one text per violation, under the ids of the
//! protocol.

use crate::data::Data;

/// Asked after every drill.
pub const ALWAYS: &[(&str, &str)] = &[
    (
        "I1",
        "SELECT 'task ' || task_id || ' was completed ' || count(*) || ' times' FROM event \
         WHERE kind = 'task_succeeded' GROUP BY task_id HAVING count(*) > 1",
    ),
    (
        "I2",
        "SELECT 'task ' || o.task_id || ' has the output of a copy that is not the winner' \
         FROM task_output o WHERE (SELECT count(*) FROM task_attempt a WHERE a.task_id = o.task_id \
         AND a.attempt = o.attempt AND a.outcome = 'ok') <> 1",
    ),
    (
        "I4",
        // What was merged is what was measured: rows of the batches and rows of the partition.
        "SELECT v.partition || ' counts ' || m.value || ' rows and its batches ' || s.rows \
         FROM verdict v JOIN metric m ON m.verdict_id = v.id \
         JOIN metric_series c ON c.id = m.series_id AND c.metric = 'rowCount' AND c.filter = '' \
         JOIN (SELECT t.run_id, s.partition, sum(s.rows) AS rows FROM metric_state s \
         JOIN task t ON t.id = s.task_id GROUP BY t.run_id, s.partition) s \
         ON s.run_id = v.run_id AND s.partition = v.partition \
         WHERE m.kind = 'exact' AND m.value::numeric <> s.rows",
    ),
    (
        "I7",
        "SELECT 'task ' || t.id || ' failed with ' || t.charged || ' charged attempts: ' \
         || coalesce(t.reason, 'no reason') FROM task t JOIN run r ON r.id = t.run_id \
         WHERE t.state = 'failed' AND t.charged <= r.retries AND NOT EXISTS (SELECT 1 \
         FROM task_attempt a WHERE a.task_id = t.id AND a.outcome = 'permanent') \
         AND (SELECT count(*) FROM task_attempt a WHERE a.task_id = t.id AND NOT a.charged) < 20 \
         AND NOT EXISTS (SELECT 1 FROM task d JOIN task_spec s ON s.task_id = t.id \
         WHERE d.run_id = t.run_id AND d.no IN (SELECT json_array_elements_text(s.depends_on)::bigint) \
         AND d.state <> 'succeeded')",
    ),
    (
        "I10",
        // Copies of an attempt are marked; no others are at work at the same time.
        "SELECT 'attempts ' || a.attempt || ' and ' || b.attempt || ' of task ' || a.task_id \
         || ' overlap' FROM task_attempt a JOIN task_attempt b ON b.task_id = a.task_id \
         AND b.attempt > a.attempt WHERE b.assigned_at < coalesce(a.ended_at, 'infinity')",
    ),
    (
        "I10",
        "SELECT 'attempt ' || attempt || ' of task ' || task_id || ' is open' FROM task_attempt \
         WHERE ended_at IS NULL",
    ),
    (
        "I13",
        "SELECT 'healthy task ' || id || ' is quarantined: ' || coalesce(reason, '') FROM task \
         WHERE state = 'quarantined'",
    ),
    (
        "I20",
        "SELECT 'run ' || run_word(r.id) || ' has ' || count(t.id) || ' tasks of ' \
         || r.planned_tasks + 1 FROM run r LEFT JOIN task t ON t.run_id = r.id \
         WHERE r.planned_at IS NOT NULL GROUP BY r.id HAVING count(t.id) <> r.planned_tasks + 1",
    ),
    (
        "I21",
        "SELECT 'session ' || pid || ' sits in a transaction: ' || left(query, 80) \
         FROM pg_stat_activity WHERE datname = current_database() \
         AND state LIKE 'idle in transaction%' \
         AND clock_timestamp() - state_change > interval '1 second'",
    ),
    (
        "I21",
        "SELECT 'session ' || pid || ' has waited for a lock for long: ' || left(query, 80) \
         FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' \
         AND clock_timestamp() - query_start > interval '5 seconds'",
    ),
];

/// Every run has found out all that there is.
pub const ALL_SUCCEEDED: &str = "SELECT 'run ' || run_word(id) || ' is ' || state || ': ' \
     || coalesce(reason, '') FROM run WHERE state <> 'succeeded'";

/// Nothing that happened may be charged to a task.
pub const NOTHING_CHARGED: &str = "SELECT 'attempt ' || attempt || ' of task ' || task_id \
     || ' on ' || node || ' ended as ' || outcome || ' and is charged: ' || coalesce(reason, '') \
     FROM task_attempt WHERE charged";

/// A node that was drained leaves nothing open, and nothing that it had is charged.
#[must_use]
pub fn of_drained(node: &str) -> String {
    format!(
        "SELECT 'attempt ' || attempt || ' of task ' || task_id || ' on the drained ' || node \
         || CASE WHEN charged THEN ' is charged as ' || outcome ELSE ' is open' END \
         FROM task_attempt WHERE node = '{node}' AND (ended_at IS NULL OR charged)"
    )
}

/// The partitions and values that are stored are those of the truth, one to one.
#[must_use]
pub fn of_truth(data: &Data) -> Vec<(&'static str, String)> {
    let dataset = data.dataset.id.as_str();
    let quoted = |text: &str| text.replace('\'', "''");
    let mut values = Vec::new();
    for truth in &data.truth {
        for (metric, column, value) in &truth.metrics {
            values.push(format!(
                "('{}', '{metric}', '{column}', '{}')",
                quoted(&truth.partition),
                quoted(value)
            ));
        }
    }
    let truth = format!(
        "WITH truth (partition, metric, col, value) AS (VALUES {})",
        values.join(", ")
    );
    let stored = format!(
        "stored AS (SELECT v.partition, s.metric, s.column_name, m.value, m.kind FROM verdict v \
         JOIN metric m ON m.verdict_id = v.id JOIN metric_series s ON s.id = m.series_id \
         WHERE v.dataset_id = '{dataset}' AND NOT v.superseded AND s.args = '' AND s.filter = '')"
    );
    vec![
        (
            "I4",
            format!(
                "{truth}, {stored} SELECT t.metric || '(' || t.col || ') of ' || t.partition \
                 || ' is ' || coalesce(s.value, 'not there') || ' and in truth ' || t.value \
                 FROM truth t LEFT JOIN stored s ON s.partition = t.partition \
                 AND s.metric = t.metric AND s.column_name = t.col \
                 WHERE s.value IS NULL OR CASE WHEN s.kind IN ('exact', 'float') \
                 THEN s.value::numeric <> t.value::numeric ELSE s.value <> t.value END"
            ),
        ),
        (
            "I5",
            format!(
                "{truth}, judged AS (SELECT partition, count(*) AS n FROM verdict \
                 WHERE dataset_id = '{dataset}' AND NOT superseded GROUP BY partition) \
                 SELECT coalesce(t.partition, j.partition) || ' is judged ' || coalesce(j.n, 0) \
                 || ' times' FROM (SELECT DISTINCT partition FROM truth) t \
                 FULL JOIN judged j ON j.partition = t.partition \
                 WHERE t.partition IS NULL OR j.n IS DISTINCT FROM 1"
            ),
        ),
    ]
}
