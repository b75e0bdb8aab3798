//! The reads, as text: every one of them has an index, and a test that asks SQLite for its plan.

/// The columns of a run, for [`super::rows::Cells::run`].
macro_rules! run_columns {
    () => {
        "r.id AS r_id, r.dataset_id AS r_dataset_id, r.definition AS r_definition, \
         r.trigger_word AS r_trigger_word, r.slot AS r_slot, r.priority AS r_priority, \
         r.selection AS r_selection, r.retries AS r_retries, r.task_timeout_ms AS r_task_timeout_ms, \
         r.state AS r_state, r.reason AS r_reason, r.created_at AS r_created_at, \
         r.started_at AS r_started_at, r.finished_at AS r_finished_at, \
         r.deadline_at AS r_deadline_at, r.planned_tasks AS r_planned_tasks"
    };
}

/// The columns of a task, for [`super::rows::Cells::task`].
macro_rules! task_columns {
    () => {
        "t.run_id AS t_run_id, t.no AS t_no, s.spec AS t_spec, s.depends_on AS t_depends_on, \
         t.state AS t_state, t.wait AS t_wait, t.not_before AS t_not_before, \
         t.attempt AS t_attempt, t.charged AS t_charged, t.crashes AS t_crashes, \
         t.nonce AS t_nonce, t.node AS t_node, t.incarnation AS t_incarnation, \
         t.assigned_at AS t_assigned_at, t.started_at AS t_started_at, t.reason AS t_reason, \
         t.twin_nonce AS t_twin_nonce, t.twin_node AS t_twin_node, \
         t.twin_incarnation AS t_twin_incarnation, t.twin_assigned_at AS t_twin_assigned_at"
    };
}

/// The states of a run that has not ended, as the partial index spells them.
macro_rules! unfinished {
    () => {
        "state IN ('queued', 'planning', 'running', 'finalising')"
    };
}

/// The text of a verdict's metrics, as `history` reads it. The invariants compare it with
/// the rows by the same expression.
macro_rules! page {
    () => {
        "coalesce(group_concat(series_id || ' ' || substr(status, 1, 1) \
         || CASE WHEN error_bound IS NULL THEN substr(kind, 1, 1) \
         ELSE upper(substr(kind, 1, 1)) || printf('%!.17g', error_bound) || ' ' END \
         || CASE kind WHEN 'text' THEN json_quote(value) ELSE coalesce(value, '') END, \
         char(10) ORDER BY series_id), '')"
    };
}

pub(crate) use page;
pub(super) use {run_columns, task_columns};

/// ?1 a run, or all that have not ended.
pub(crate) const LOAD_RUNS: &str = concat!(
    "SELECT ",
    run_columns!(),
    ", r.planned_at IS NOT NULL AS planned FROM run r WHERE r.",
    unfinished!(),
    " AND (?1 IS NULL OR r.id = ?1) ORDER BY r.created_at, r.id"
);

/// ?1 run. The discovery aside.
pub(crate) const LOAD_GROUPS: &str = "SELECT g.*, (SELECT x.reason FROM task x \
     WHERE x.run_id = g.run_id AND x.no = g.first) AS reason \
     FROM (SELECT t.run_id, t.state, count(*) AS tasks, \
     count(*) FILTER (WHERE t.kind = 'evaluate') AS judges, min(t.no) AS first, max(t.no) AS last \
     FROM task t WHERE t.run_id = ?1 AND t.no > 0 GROUP BY t.run_id, t.state) g";

/// ?1 run. The discovery, and all that is at work.
pub(crate) const LOAD_AT_WORK: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM task t JOIN task_spec s ON s.task_id = t.id \
     WHERE t.run_id = ?1 AND (t.no = 0 OR t.node IS NOT NULL) ORDER BY t.no"
);

/// ?1 run, ?2 limit.
pub(crate) const LOAD_READY: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM task t JOIN task_spec s ON s.task_id = t.id \
     WHERE t.run_id = ?1 AND t.no > 0 AND t.state = 'ready' ORDER BY t.no LIMIT ?2"
);

/// ?1 run, ?2 after which number, ?3 limit.
pub(crate) const MORE_TASKS: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM task t JOIN task_spec s ON s.task_id = t.id WHERE t.run_id = ?1 AND t.no > ?2 \
     AND t.state IN ('ready', 'assigned', 'running') ORDER BY t.no LIMIT ?3"
);

/// ?1 run, ?2 numbers of tasks, as a JSON list.
pub(crate) const UNENDED: &str = "SELECT t.no FROM json_each(?2) n CROSS JOIN task t \
     ON t.run_id = ?1 AND t.no = n.value \
     WHERE t.state IN ('ready', 'assigned', 'running') ORDER BY t.no";

pub(crate) const LOAD_NODES: &str = "SELECT id, incarnation, state, slots, memory_bytes, zone \
     FROM node WHERE state NOT IN ('dead', 'gone') ORDER BY id";

pub(crate) const NODES: &str = "SELECT id, incarnation, state, slots, memory_bytes, zone, moved_at, reason \
     FROM node WHERE state NOT IN ('dead', 'gone') OR moved_at >= ?1 \
     ORDER BY state IN ('dead', 'gone'), moved_at DESC, id LIMIT ?2";

pub(crate) const PLAN_OF: &str = "SELECT o.plan FROM task t JOIN task_output o ON o.task_id = t.id \
     WHERE t.run_id = ?1 AND t.no = ?2 AND o.plan IS NOT NULL";

/// ?1 run, ?2 task, ?3 the number of the first task that is wanted.
pub(crate) const PLAN_PAGE: &str = "SELECT p.first, p.body, NOT EXISTS (SELECT 1 FROM task_plan n \
     WHERE n.task_id = p.task_id AND n.attempt = p.attempt AND n.first > p.first) AS is_last \
     FROM task t JOIN task_output o ON o.task_id = t.id JOIN task_plan p ON p.task_id = t.id \
     AND p.attempt = o.attempt AND p.first BETWEEN 1 AND ?3 \
     WHERE t.run_id = ?1 AND t.no = ?2 ORDER BY p.first DESC LIMIT 1";

macro_rules! ledger {
    ($from:literal, $where:literal) => {
        concat!(
            "SELECT l.partition, l.ord, l.series, l.date, l.start_at, l.end_at, l.state, \
             l.version, l.judged, l.revision, l.objects, l.bytes, l.first_seen, l.last_modified, \
             v.id AS verdict_id, v.planned, v.pass, v.warn, v.fail, v.error, v.missing, \
             v.learning, v.skipped, v.overflow FROM ",
            $from,
            " LEFT JOIN verdict v ON v.dataset_id = l.dataset_id \
             AND v.partition = l.partition AND v.superseded = 0 WHERE l.dataset_id = ?1",
            $where,
            " ORDER BY l.ord, l.partition"
        )
    };
}

pub(crate) const LEDGER: &str = ledger!("ledger l", "");

/// ?1 dataset, ?2 series, ?3 and ?4 the first and the last place, ?5 limit.
pub(crate) const LEDGER_BETWEEN: &str = concat!(
    ledger!("ledger l", " AND l.series = ?2 AND l.ord BETWEEN ?3 AND ?4"),
    " LIMIT ?5"
);

/// ?1 dataset, ?2 keys of partitions, as a JSON list.
pub(crate) const LEDGER_OF: &str = ledger!(
    "(SELECT DISTINCT value FROM json_each(?2)) k CROSS JOIN ledger l",
    " AND l.partition = k.value"
);

/// ?1 dataset, ?2 series, ?3 a place, ?4 when. The second condition is that of
/// `PartitionVersion::is_content`.
pub(crate) const LATER: &str = "SELECT EXISTS (SELECT 1 FROM ledger WHERE dataset_id = ?1 \
     AND series = ?2 AND ord > ?3 AND (start_at IS NULL OR start_at <= ?4)) AS is_any, \
     EXISTS (SELECT 1 FROM ledger WHERE dataset_id = ?1 AND series = ?2 AND ord > ?3 \
     AND (start_at IS NULL OR start_at <= ?4) AND version NOT IN ('missing', 'refused') \
     AND substr(version, 1, 5) <> 'gone:') AS is_data";

pub(crate) const STATES: &str = "SELECT t.no, s.payload FROM json_each(?3) n CROSS JOIN task t \
     ON t.run_id = ?1 AND t.no = n.value AND t.state = 'succeeded' \
     JOIN metric_state s ON s.task_id = t.id AND s.partition = ?2 ORDER BY t.no";

/// ?1 run, ?2 partitions with the numbers of their tasks, as a JSON list of pairs.
pub(crate) const STATES_OF: &str = "SELECT k.key AS place, k.value ->> 0 AS partition, t.no, \
     s.payload FROM json_each(?2) k CROSS JOIN json_each(k.value, '$[1]') n CROSS JOIN task t \
     ON t.run_id = ?1 AND t.no = n.value AND t.state = 'succeeded' \
     JOIN metric_state s ON s.task_id = t.id AND s.partition = k.value ->> 0 \
     ORDER BY k.key, t.no";

pub(crate) const SERIES: &str = "SELECT id, metric, column_name, args, filter, semantics \
     FROM metric_series WHERE dataset_id = ?1 ORDER BY id";

pub(crate) const HISTORY: &str = "SELECT v.partition, v.ord, l.series, l.date, l.start_at, l.end_at, \
     v.version, p.page \
     FROM verdict v JOIN ledger l ON l.dataset_id = v.dataset_id AND l.partition = v.partition \
     JOIN metric_page p ON p.verdict_id = v.id \
     WHERE v.dataset_id = ?1 AND v.superseded = 0 ORDER BY v.ord DESC, v.partition DESC LIMIT ?2";

/// ?1 dataset, ?2 limit, ?3 and ?4 the order and key to end before, ?5 series.
pub(crate) const HISTORY_BEFORE: &str = "SELECT l.partition, l.ord, l.series, l.date, l.start_at, l.end_at, \
     v.version, p.page \
     FROM ledger l CROSS JOIN verdict v ON v.dataset_id = l.dataset_id \
     AND v.partition = l.partition AND v.superseded = 0 \
     CROSS JOIN metric_page p ON p.verdict_id = v.id \
     WHERE l.dataset_id = ?1 AND l.series = ?5 AND (l.ord, l.partition) < (?3, ?4) \
     ORDER BY l.ord DESC, l.partition DESC LIMIT ?2";

/// ?1 dataset, ?2 to ?6 the metric, ?7 limit.
pub(crate) const VALUES_OF_METRIC: &str = "SELECT v.partition, m.kind, m.value \
     FROM metric_series s CROSS JOIN verdict v ON v.dataset_id = s.dataset_id AND v.superseded = 0 \
     CROSS JOIN metric m ON m.verdict_id = v.id AND m.series_id = s.id \
     WHERE s.dataset_id = ?1 AND s.metric = ?2 AND s.column_name = ?3 AND s.args = ?4 \
     AND s.filter = ?5 AND s.semantics = ?6 ORDER BY v.ord, v.partition LIMIT ?7";

macro_rules! verdicts {
    ($from:literal) => {
        verdicts!("v.ord", $from)
    };
    ($place:literal, $from:literal) => {
        concat!(
            "SELECT v.run_id, (SELECT r.definition FROM run r WHERE r.id = v.run_id) AS definition, \
             v.partition, ",
            $place,
            ", l.series, l.date, l.start_at, l.end_at, v.version, v.revision, v.sealed, v.superseded, v.judged_at, v.planned, \
             v.pass, v.warn, v.fail, v.error, v.missing, v.learning, v.skipped, v.overflow ",
            $from
        )
    };
}

/// ?1 dataset, ?2 limit, ?3 series.
pub(crate) const VERDICTS: &str = verdicts!(
    "FROM verdict v JOIN ledger l ON l.dataset_id = v.dataset_id AND l.partition = v.partition \
     WHERE v.dataset_id = ?1 AND v.superseded = 0 ORDER BY v.ord DESC, v.partition DESC LIMIT ?2"
);
pub(crate) const VERDICTS_OF_SERIES: &str = verdicts!(
    "FROM ledger l CROSS JOIN verdict v ON v.dataset_id = l.dataset_id \
     AND v.partition = l.partition AND v.superseded = 0 \
     WHERE l.dataset_id = ?1 AND l.series = ?3 ORDER BY l.ord DESC, l.partition DESC LIMIT ?2"
);

/// ?1 dataset, ?2 limit, ?3 and ?4 the order and key to end before, ?5 series.
pub(crate) const JUDGED_BEFORE: &str = verdicts!(
    "l.ord",
    ", p.page FROM ledger l CROSS JOIN verdict v ON v.dataset_id = l.dataset_id \
     AND v.partition = l.partition AND v.superseded = 0 \
     CROSS JOIN metric_page p ON p.verdict_id = v.id \
     WHERE l.dataset_id = ?1 AND l.series = ?5 AND (l.ord, l.partition) < (?3, ?4) \
     ORDER BY l.ord DESC, l.partition DESC LIMIT ?2"
);

/// The condition is that of `CheckResult::is_breach`.
macro_rules! breaches {
    ($from:literal, $where:literal) => {
        concat!(
            "SELECT v.partition, c.check_id, m.metric, m.column_name, m.args, m.filter, \
             m.semantics FROM ",
            $from,
            " CROSS JOIN verdict v ON v.dataset_id = l.dataset_id \
             AND v.partition = l.partition AND v.superseded = 0 AND (v.fail > 0 OR v.warn > 0) \
             CROSS JOIN check_result c ON c.verdict_id = v.id \
             AND (c.outcome = 'fail' OR (c.outcome = 'warn' AND c.severity <> 'info')) \
             JOIN metric_series m ON m.id = c.series_id WHERE l.dataset_id = ?1",
            $where,
            " ORDER BY l.ord DESC, l.partition DESC, c.place"
        )
    };
}

/// ?1 dataset, ?2 limit, ?3 series.
pub(crate) const BREACHES: &str = concat!(breaches!("ledger l", " AND l.series = ?3"), " LIMIT ?2");

/// ?1 dataset, ?2 keys of partitions, as a JSON list.
pub(crate) const BREACHES_OF: &str = breaches!(
    "(SELECT DISTINCT value FROM json_each(?2)) k CROSS JOIN ledger l",
    " AND l.partition = k.value"
);

macro_rules! results {
    ($place:literal, $check:literal) => {
        concat!(
            "SELECT v.run_id, v.partition, v.ord, l.series, l.date, l.start_at, l.end_at, v.version, \
             v.judged_at, c.check_id, c.severity, c.origin, c.outcome, c.kind, c.actual, \
             c.expected, c.limits, c.reason, m.metric, m.column_name, m.args, m.filter, \
             m.semantics, e.error_bound, \
             CASE e.status WHEN 'computed' THEN e.note END AS note \
             FROM verdict v CROSS JOIN check_result c ON c.verdict_id = v.id",
            $check,
            " JOIN metric_series m ON m.id = c.series_id \
             LEFT JOIN metric e ON e.verdict_id = v.id AND e.series_id = c.series_id \
             JOIN ledger l ON l.dataset_id = v.dataset_id AND l.partition = v.partition \
             WHERE v.dataset_id = ?1 AND (?2 OR v.superseded = 0)",
            $place,
            " ORDER BY v.ord DESC, v.partition DESC, v.revision DESC, c.place LIMIT ?3"
        )
    };
}

/// ?1 dataset, ?2 also superseded ones, ?3 limit, ?4 check, ?5 run, ?6 partition. Of a run that was
/// tried again, what each of its tasks said last.
pub(crate) const RESULTS: &str = results!("", "");
pub(crate) const RESULTS_OF_CHECK: &str = results!("", " AND c.check_id = ?4");
pub(crate) const RESULTS_BAD: &str = results!(
    " AND v.warn + v.fail + v.error + v.missing + v.overflow > 0",
    " AND c.outcome IN ('warn', 'fail', 'error', 'missing', 'overflow')"
);
pub(crate) const RESULTS_OF_RUN: &str = results!(
    " AND v.run_id = ?5 AND (?6 IS NULL OR v.partition = ?6) \
     AND NOT EXISTS (SELECT 1 FROM verdict n WHERE n.task_id = v.task_id AND n.attempt > v.attempt)",
    ""
);
pub(crate) const RESULTS_OF_RUN_AND_CHECK: &str = results!(
    " AND v.run_id = ?5 AND (?6 IS NULL OR v.partition = ?6) \
     AND NOT EXISTS (SELECT 1 FROM verdict n WHERE n.task_id = v.task_id AND n.attempt > v.attempt)",
    " AND c.check_id = ?4"
);
pub(crate) const RESULTS_OF_PARTITION: &str = results!(" AND v.partition = ?6", "");
pub(crate) const RESULTS_OF_PARTITION_AND_CHECK: &str =
    results!(" AND v.partition = ?6", " AND c.check_id = ?4");

macro_rules! incidents {
    ($where:literal) => {
        concat!(
            "SELECT i.id, i.dataset_id, i.check_id, i.column_name, i.severity, i.status, \
             coalesce(l.series, '') AS series, i.first_partition, i.last_partition, i.partitions, \
             i.message, i.opened_at, i.updated_at, i.resolved_at \
             FROM incident i LEFT JOIN ledger l ON l.dataset_id = i.dataset_id \
             AND l.partition = i.first_partition WHERE ",
            $where,
            " ORDER BY i.is_resolved, i.opened_at DESC, i.id LIMIT ?1"
        )
    };
}

/// ?1 limit, ?2 dataset.
pub(crate) const INCIDENTS: &str = incidents!("true");
pub(crate) const INCIDENTS_OPEN: &str = incidents!("i.is_resolved = 0");
pub(crate) const INCIDENTS_OF: &str = incidents!("i.dataset_id = ?2");
pub(crate) const INCIDENTS_OPEN_OF: &str = incidents!("i.dataset_id = ?2 AND i.is_resolved = 0");

macro_rules! runs {
    ($where:expr) => {
        concat!(
            "SELECT ",
            run_columns!(),
            " FROM run r WHERE ",
            $where,
            " ORDER BY r.created_at DESC, r.id DESC LIMIT ?1"
        )
    };
}

/// ?1 limit, ?2 dataset.
pub(crate) const RUNS: &str = runs!("true");
pub(crate) const RUNS_UNFINISHED: &str = runs!(concat!("r.", unfinished!()));
pub(crate) const RUNS_OF: &str = runs!("r.dataset_id = ?2");
pub(crate) const RUNS_UNFINISHED_OF: &str =
    runs!(concat!("r.dataset_id = ?2 AND r.", unfinished!()));

pub(crate) const NEWEST_RUNS: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM run r WHERE r.id IN (SELECT (SELECT n.id FROM run n WHERE n.dataset_id = d.dataset_id \
     ORDER BY n.created_at DESC, n.id DESC LIMIT 1) \
     FROM (SELECT DISTINCT dataset_id FROM definition) d)"
);

/// ?1 run.
pub(crate) const RUN: &str = concat!("SELECT ", run_columns!(), " FROM run r WHERE r.id = ?1");

pub(crate) const DEFINITION: &str = "SELECT body FROM definition WHERE dataset_id = ?1 \
     ORDER BY stored_at DESC LIMIT 1";
/// ?1 digest.
pub(crate) const DEFINITION_BY: &str = "SELECT body FROM definition WHERE digest = ?1";
pub(crate) const DEFINITIONS: &str = "SELECT d.body FROM definition d WHERE d.stored_at = \
     (SELECT max(n.stored_at) FROM definition n WHERE n.dataset_id = d.dataset_id) \
     AND (?2 IS NULL OR d.dataset_id > ?2) ORDER BY d.dataset_id LIMIT ?1";

/// ?1 run, ?2 numbers of tasks, as a JSON list.
pub(crate) const TASKS: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM task t JOIN task_spec s ON s.task_id = t.id \
     WHERE t.run_id = ?1 AND t.no IN (SELECT value FROM json_each(?2)) ORDER BY t.no"
);

/// ?1 run, ?2 whether those that have succeeded or the others, ?3 limit.
pub(crate) const TASK_NUMBERS: &str = "SELECT t.no FROM task t WHERE t.run_id = ?1 \
     AND (t.state = 'succeeded') = ?2 ORDER BY t.no LIMIT ?3";

/// ?1 the runs, as a JSON list.
pub(crate) const RUN_TASKS: &str = "SELECT t.run_id, t.state, count(*) AS tasks \
     FROM json_each(?1) n CROSS JOIN task t ON t.run_id = n.value GROUP BY t.run_id, t.state";

/// ?1 run.
pub(crate) const UNJUDGED: &str = "SELECT count(*) AS tasks, \
     coalesce(sum(CASE WHEN t.kind = 'evaluate' AND t.state <> 'succeeded' THEN \
     (SELECT coalesce(json_array_length(s.spec, '$.of'), 1) FROM task_spec s \
     WHERE s.task_id = t.id) END), 0) AS unjudged \
     FROM task t WHERE t.run_id = ?1";

/// ?1 run, ?2 numbers of tasks, as a JSON list.
pub(crate) const UNSUCCESSFUL: &str = "SELECT no, state, reason FROM task WHERE run_id = ?1 \
     AND no = (SELECT min(t.no) FROM json_each(?2) n CROSS JOIN task t ON t.run_id = ?1 \
     AND t.no = n.value WHERE t.state <> 'succeeded')";

/// ?1 the runs, as a JSON list. Of each task, what it said last.
pub(crate) const RUN_VERDICTS: &str = "SELECT v.run_id, count(*) AS partitions, \
     sum(v.planned) AS planned, sum(v.pass) AS pass, sum(v.warn) AS warn, sum(v.fail) AS fail, \
     sum(v.error) AS error, sum(v.missing) AS missing, sum(v.learning) AS learning, \
     sum(v.skipped) AS skipped, sum(v.overflow) AS overflow \
     FROM json_each(?1) n CROSS JOIN verdict v ON v.run_id = n.value \
     AND NOT EXISTS (SELECT 1 FROM verdict o WHERE o.task_id = v.task_id \
     AND o.attempt > v.attempt) GROUP BY v.run_id";

pub(crate) const ATTEMPTS: &str = "SELECT t.run_id, t.no, a.attempt, a.nonce, a.node, \
     a.assigned_at, a.started_at, a.ended_at, a.outcome, a.charged, a.reason, a.twin \
     FROM task t JOIN task_attempt a ON a.task_id = t.id \
     WHERE t.run_id = ?1 AND t.no IN (SELECT value FROM json_each(?2)) \
     ORDER BY t.no, a.attempt, a.twin";

/// ?1 run.
pub(crate) const REMARKS: &str = "SELECT coalesce(coalesce(o.plan, p.body) -> '$.ignored', '[]') AS ignored, \
     coalesce(coalesce(o.plan, p.body) -> '$.notices', '[]') AS notices FROM task t \
     JOIN task_output o ON o.task_id = t.id LEFT JOIN task_plan p ON p.task_id = t.id \
     AND p.attempt = o.attempt AND p.first = 0 WHERE t.run_id = ?1 AND t.no = 0 \
     AND coalesce(o.plan, p.body) IS NOT NULL";

pub(crate) const OUTBOX: &str = "SELECT key, event, dataset_id, body FROM outbox \
     WHERE sent_at IS NULL ORDER BY seq LIMIT ?1";

pub(crate) const WATERMARK: &str = "SELECT emitted_through FROM schedule WHERE dataset_id = ?1";

/// Every read with its name, for the test of plans.
#[cfg(test)]
pub(crate) const ALL: &[(&str, &str)] = &[
    ("LOAD_RUNS", LOAD_RUNS),
    ("LOAD_GROUPS", LOAD_GROUPS),
    ("LOAD_AT_WORK", LOAD_AT_WORK),
    ("LOAD_READY", LOAD_READY),
    ("MORE_TASKS", MORE_TASKS),
    ("UNENDED", UNENDED),
    ("PLAN_OF", PLAN_OF),
    ("PLAN_PAGE", PLAN_PAGE),
    ("LEDGER", LEDGER),
    ("LEDGER_BETWEEN", LEDGER_BETWEEN),
    ("LEDGER_OF", LEDGER_OF),
    ("LATER", LATER),
    ("STATES", STATES),
    ("STATES_OF", STATES_OF),
    ("SERIES", SERIES),
    ("HISTORY", HISTORY),
    ("HISTORY_BEFORE", HISTORY_BEFORE),
    ("VERDICTS", VERDICTS),
    ("VERDICTS_OF_SERIES", VERDICTS_OF_SERIES),
    ("VALUES_OF_METRIC", VALUES_OF_METRIC),
    ("JUDGED_BEFORE", JUDGED_BEFORE),
    ("BREACHES", BREACHES),
    ("BREACHES_OF", BREACHES_OF),
    ("RESULTS", RESULTS),
    ("RESULTS_OF_CHECK", RESULTS_OF_CHECK),
    ("RESULTS_BAD", RESULTS_BAD),
    ("RESULTS_OF_RUN", RESULTS_OF_RUN),
    ("RESULTS_OF_RUN_AND_CHECK", RESULTS_OF_RUN_AND_CHECK),
    ("RESULTS_OF_PARTITION", RESULTS_OF_PARTITION),
    (
        "RESULTS_OF_PARTITION_AND_CHECK",
        RESULTS_OF_PARTITION_AND_CHECK,
    ),
    ("INCIDENTS", INCIDENTS),
    ("INCIDENTS_OPEN", INCIDENTS_OPEN),
    ("INCIDENTS_OF", INCIDENTS_OF),
    ("INCIDENTS_OPEN_OF", INCIDENTS_OPEN_OF),
    ("RUN", RUN),
    ("RUNS", RUNS),
    ("RUNS_UNFINISHED", RUNS_UNFINISHED),
    ("RUNS_OF", RUNS_OF),
    ("RUNS_UNFINISHED_OF", RUNS_UNFINISHED_OF),
    ("DEFINITION", DEFINITION),
    ("DEFINITION_BY", DEFINITION_BY),
    ("DEFINITIONS", DEFINITIONS),
    ("NEWEST_RUNS", NEWEST_RUNS),
    ("TASKS", TASKS),
    ("RUN_TASKS", RUN_TASKS),
    ("UNJUDGED", UNJUDGED),
    ("UNSUCCESSFUL", UNSUCCESSFUL),
    ("RUN_VERDICTS", RUN_VERDICTS),
    ("ATTEMPTS", ATTEMPTS),
    ("TASK_NUMBERS", TASK_NUMBERS),
    ("REMARKS", REMARKS),
    ("OUTBOX", OUTBOX),
    ("WATERMARK", WATERMARK),
];
