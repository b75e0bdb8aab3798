//! The reads, as text. Every one of them has an index; a test counts the tables that were read whole.
//!
//! A filter that is not asked for is a NULL parameter. Connections that read make a plan for each
//! set of parameters, which leaves out what is not asked for.

/// The columns of a run, for [`super::rows::Cells::run`].
macro_rules! run_columns {
    () => {
        "r.id AS r_id, r.dataset_id AS r_dataset_id, r.definition AS r_definition, \
         r.trigger_word AS r_trigger_word, r.slot AS r_slot, r.priority AS r_priority, \
         r.selection::text AS r_selection, r.retries AS r_retries, \
         r.task_timeout_ms AS r_task_timeout_ms, r.state AS r_state, r.reason AS r_reason, \
         r.created_at AS r_created_at, r.started_at AS r_started_at, \
         r.finished_at AS r_finished_at, r.deadline_at AS r_deadline_at, \
         r.planned_tasks AS r_planned_tasks"
    };
}

/// The columns of a task, for [`super::rows::Cells::task`].
macro_rules! task_columns {
    () => {
        "t.run_id AS t_run_id, t.no AS t_no, s.spec::text AS t_spec, \
         s.depends_on::text AS t_depends_on, t.state AS t_state, t.wait AS t_wait, \
         t.not_before AS t_not_before, t.attempt AS t_attempt, t.charged AS t_charged, \
         t.crashes AS t_crashes, t.nonce AS t_nonce, t.node AS t_node, \
         t.incarnation AS t_incarnation, t.assigned_at AS t_assigned_at, \
         t.started_at AS t_started_at, t.reason AS t_reason, t.twin_nonce AS t_twin_nonce, \
         t.twin_node AS t_twin_node, t.twin_incarnation AS t_twin_incarnation, \
         t.twin_assigned_at AS t_twin_assigned_at"
    };
}

/// The states of a run that has not ended, as the partial index spells them.
macro_rules! unfinished {
    () => {
        "r.state IN ('queued', 'planning', 'running', 'finalising')"
    };
}

pub(super) const EPOCH: &str = "SELECT epoch FROM leader_epoch WHERE id = 1";

/// $1 a run, or all that have not ended.
pub(super) const LOAD_RUNS: &str = concat!(
    "SELECT ",
    run_columns!(),
    ", r.planned_at IS NOT NULL AS planned FROM run r WHERE ",
    unfinished!(),
    " AND ($1::uuid IS NULL OR r.id = $1) ORDER BY r.created_at, r.id"
);

/// $1 a run, or all. The discovery aside.
pub(super) const LOAD_GROUPS: &str = concat!(
    "SELECT g.*, (SELECT x.reason FROM task x WHERE x.run_id = g.run_id AND x.no = g.first) AS reason \
     FROM (SELECT t.run_id, t.state, count(*) AS tasks, \
     count(*) FILTER (WHERE t.kind = 'evaluate') AS judges, min(t.no) AS first, max(t.no) AS last \
     FROM run r JOIN task t ON t.run_id = r.id AND t.no > 0 WHERE ",
    unfinished!(),
    " AND ($1::uuid IS NULL OR r.id = $1) GROUP BY t.run_id, t.state) g"
);

/// $1 a run, or all; $2 ready tasks of each, at most. The discovery always.
pub(super) const LOAD_TASKS: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM run r CROSS JOIN LATERAL (\
     SELECT x.* FROM task x WHERE x.run_id = r.id AND x.no = 0 \
     UNION ALL SELECT x.* FROM task x WHERE x.run_id = r.id AND x.no > 0 AND x.node IS NOT NULL \
     UNION ALL (SELECT x.* FROM task x WHERE x.run_id = r.id AND x.no > 0 AND x.state = 'ready' \
     ORDER BY x.no LIMIT $2)) t \
     CROSS JOIN LATERAL (SELECT * FROM task_spec WHERE task_id = t.id OFFSET 0) s WHERE ",
    unfinished!(),
    " AND ($1::uuid IS NULL OR r.id = $1) ORDER BY r.created_at, r.id, t.no"
);

/// $1 run, $2 after which number, $3 limit. What a task is told is looked up for those that are read only.
pub(super) const MORE_TASKS: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM (SELECT * FROM task WHERE run_id = $1 AND no > $2 \
     AND state IN ('ready', 'assigned', 'running') ORDER BY no LIMIT $3) t \
     CROSS JOIN LATERAL (SELECT * FROM task_spec WHERE task_id = t.id OFFSET 0) s ORDER BY t.no"
);

/// $1 run, $2 numbers of tasks.
pub(super) const UNENDED: &str = "SELECT t.no FROM task t WHERE t.run_id = $1 AND t.no = ANY ($2) \
     AND t.state IN ('ready', 'assigned', 'running') ORDER BY t.no";

pub(super) const LOAD_NODES: &str = "SELECT id, incarnation, state, slots, memory_bytes, zone \
     FROM node WHERE state NOT IN ('dead', 'gone') ORDER BY id";

pub(super) const NODES: &str = "SELECT id, incarnation, state, slots, memory_bytes, zone, moved_at, reason \
     FROM node WHERE state NOT IN ('dead', 'gone') OR moved_at >= instant($1) \
     ORDER BY state IN ('dead', 'gone'), moved_at DESC, id LIMIT $2";

/// $1 run, $2 task.
pub(super) const PLAN_OF: &str = "SELECT o.plan::text AS plan FROM task t \
     JOIN task_output o ON o.task_id = t.id \
     WHERE t.run_id = $1 AND t.no = $2 AND o.plan IS NOT NULL";

/// $1 run, $2 task, $3 the number of the first task that is wanted.
pub(super) const PLAN_PAGE: &str = "SELECT p.first, p.body::text AS body, NOT EXISTS (SELECT 1 \
     FROM task_plan n WHERE n.task_id = p.task_id AND n.attempt = p.attempt AND n.first > p.first) \
     AS is_last FROM task t JOIN task_output o ON o.task_id = t.id \
     JOIN task_plan p ON p.task_id = t.id AND p.attempt = o.attempt AND p.first BETWEEN 1 AND $3 \
     WHERE t.run_id = $1 AND t.no = $2 ORDER BY p.first DESC LIMIT 1";

pub(super) const DEFINITIONS_BY_DIGEST: &str =
    "SELECT digest, body::text AS body FROM definition WHERE digest = ANY ($1)";

pub(super) const DEFINITION: &str = "SELECT body::text AS body FROM definition \
     WHERE dataset_id = $1 ORDER BY stored_at DESC LIMIT 1";

/// $1 digest.
pub(super) const DEFINITION_BY: &str =
    "SELECT body::text AS body FROM definition WHERE digest = $1";

pub(super) const DEFINITIONS: &str = "SELECT DISTINCT ON (dataset_id) body::text AS body \
     FROM definition WHERE $2::text IS NULL OR dataset_id > $2 \
     ORDER BY dataset_id, stored_at DESC LIMIT $1";

macro_rules! ledger {
    ($where:literal) => {
        concat!(
            "SELECT l.partition, l.ord, l.series, l.date::text AS date, l.start_at, l.end_at, \
             l.state, l.version, l.judged, l.revision, l.objects, l.bytes, l.first_seen, \
             l.last_modified, v.id AS verdict_id, v.planned, v.pass, v.warn, v.fail, v.error, \
             v.missing, v.learning, v.skipped, v.overflow \
             FROM ledger l LEFT JOIN verdict v ON v.dataset_id = l.dataset_id \
             AND v.partition = l.partition AND NOT v.superseded WHERE l.dataset_id = $1",
            $where,
            " ORDER BY l.ord, l.partition"
        )
    };
}

pub(super) const LEDGER: &str = ledger!("");

/// $1 dataset, $2 series, $3 and $4 the first and the last place, $5 limit.
pub(super) const LEDGER_BETWEEN: &str = concat!(
    ledger!(" AND l.series = $2 AND l.ord BETWEEN $3 AND $4"),
    " LIMIT $5"
);

/// $1 dataset, $2 keys of partitions.
pub(super) const LEDGER_OF: &str = ledger!(" AND l.partition = ANY ($2)");

/// $1 dataset, $2 series, $3 a place, $4 when. The second condition is that of
/// `PartitionVersion::is_content`.
pub(super) const LATER: &str = "SELECT EXISTS (SELECT 1 FROM ledger WHERE dataset_id = $1 \
     AND series = $2 AND ord > $3 AND (start_at IS NULL OR start_at <= instant($4))) AS is_any, \
     EXISTS (SELECT 1 FROM ledger WHERE dataset_id = $1 AND series = $2 AND ord > $3 \
     AND (start_at IS NULL OR start_at <= instant($4)) AND version NOT IN ('missing', 'refused') \
     AND NOT starts_with(version, 'gone:')) AS is_data";

pub(super) const STATES: &str = "SELECT t.no, s.payload FROM task t \
     JOIN metric_state s ON s.task_id = t.id AND s.partition = $2 \
     WHERE t.run_id = $1 AND t.no = ANY ($3) AND t.state = 'succeeded' ORDER BY t.no";

pub(super) const SERIES: &str = "SELECT id, metric, column_name, args, filter, semantics \
     FROM metric_series WHERE dataset_id = $1 ORDER BY id";

/// $1 dataset, $2 limit.
pub(super) const HISTORY: &str = "SELECT v.partition, v.ord, l.series, l.date::text AS date, l.start_at, \
     l.end_at, v.version, p.page \
     FROM verdict v JOIN ledger l ON l.dataset_id = v.dataset_id AND l.partition = v.partition \
     JOIN metric_page p ON p.verdict_id = v.id \
     WHERE v.dataset_id = $1 AND NOT v.superseded \
     ORDER BY v.ord DESC, v.partition DESC LIMIT $2";

/// $1 dataset, $2 limit, $3 and $4 the order and key to end before, $5 series.
pub(super) const HISTORY_BEFORE: &str = "SELECT l.partition, l.ord, l.series, \
     l.date::text AS date, l.start_at, l.end_at, v.version, p.page \
     FROM ledger l JOIN verdict v ON v.dataset_id = l.dataset_id AND v.partition = l.partition \
     AND NOT v.superseded JOIN metric_page p ON p.verdict_id = v.id \
     WHERE l.dataset_id = $1 AND l.series = $5 AND (l.ord, l.partition) < ($3, $4) \
     ORDER BY l.ord DESC, l.partition DESC LIMIT $2";

/// $1 dataset, $2 to $6 the metric, $7 limit.
pub(super) const VALUES_OF_METRIC: &str = "SELECT v.partition, m.kind, m.value \
     FROM metric_series s JOIN verdict v ON v.dataset_id = s.dataset_id AND NOT v.superseded \
     JOIN metric m ON m.verdict_id = v.id AND m.series_id = s.id \
     WHERE s.dataset_id = $1 AND s.metric = $2 AND s.column_name = $3 AND s.args = $4 \
     AND s.filter = $5 AND s.semantics = $6 ORDER BY v.ord, v.partition LIMIT $7";

/// $1 dataset, $2 limit, $3 and $4 the order and key to end before, $5 series.
pub(super) const JUDGED_BEFORE: &str = "SELECT v.run_id, \
     (SELECT r.definition FROM run r WHERE r.id = v.run_id) AS definition, v.partition, l.ord, l.series, \
     l.date::text AS date, l.start_at, l.end_at, v.version, v.revision, v.sealed, v.superseded, \
     v.judged_at, v.planned, v.pass, v.warn, v.fail, v.error, v.missing, v.learning, v.skipped, \
     v.overflow, p.page FROM ledger l JOIN verdict v ON v.dataset_id = l.dataset_id \
     AND v.partition = l.partition AND NOT v.superseded JOIN metric_page p ON p.verdict_id = v.id \
     WHERE l.dataset_id = $1 AND l.series = $5 AND (l.ord, l.partition) < ($3, $4) \
     ORDER BY l.ord DESC, l.partition DESC LIMIT $2";

pub(super) const VERDICTS: &str = "SELECT v.run_id, \
     (SELECT r.definition FROM run r WHERE r.id = v.run_id) AS definition, v.partition, v.ord, l.series, l.date::text AS date, \
     l.start_at, l.end_at, v.version, v.revision, v.sealed, v.superseded, v.judged_at, v.planned, \
     v.pass, v.warn, v.fail, v.error, v.missing, v.learning, v.skipped, v.overflow \
     FROM verdict v JOIN ledger l ON l.dataset_id = v.dataset_id AND l.partition = v.partition \
     WHERE v.dataset_id = $1 AND NOT v.superseded ORDER BY v.ord DESC, v.partition DESC LIMIT $2";

/// $1 dataset, $2 limit, $3 series.
pub(super) const VERDICTS_OF_SERIES: &str = "SELECT v.run_id, \
     (SELECT r.definition FROM run r WHERE r.id = v.run_id) AS definition, v.partition, l.ord, l.series, \
     l.date::text AS date, l.start_at, l.end_at, v.version, v.revision, v.sealed, v.superseded, \
     v.judged_at, v.planned, v.pass, v.warn, v.fail, v.error, v.missing, v.learning, v.skipped, \
     v.overflow FROM ledger l JOIN verdict v ON v.dataset_id = l.dataset_id \
     AND v.partition = l.partition AND NOT v.superseded \
     WHERE l.dataset_id = $1 AND l.series = $3 ORDER BY l.ord DESC, l.partition DESC LIMIT $2";

/// The condition is that of `CheckResult::is_breach`.
macro_rules! breaches {
    ($where:literal) => {
        concat!(
            "SELECT v.partition, c.check_id, m.metric, m.column_name, m.args, m.filter, \
             m.semantics \
             FROM ledger l JOIN verdict v ON v.dataset_id = l.dataset_id \
             AND v.partition = l.partition \
             AND NOT v.superseded AND (v.fail > 0 OR v.warn > 0) \
             JOIN check_result c ON c.verdict_id = v.id \
             AND (c.outcome = 'fail' OR (c.outcome = 'warn' AND c.severity <> 'info')) \
             JOIN metric_series m ON m.id = c.series_id WHERE l.dataset_id = $1",
            $where,
            " ORDER BY l.ord DESC, l.partition DESC, c.place"
        )
    };
}

/// $1 dataset, $2 limit, $3 series.
pub(super) const BREACHES: &str = concat!(breaches!(" AND l.series = $3"), " LIMIT $2");

/// $1 dataset, $2 keys of partitions.
pub(super) const BREACHES_OF: &str = breaches!(" AND l.partition = ANY ($2)");

/// The columns of a result, for [`super::results`].
macro_rules! result_columns {
    () => {
        "SELECT v.run_id, v.partition, v.ord, l.series, l.date::text AS date, \
         l.start_at, l.end_at, v.version, v.judged_at, c.check_id, c.severity, c.origin, c.outcome, \
         c.kind, c.actual, c.expected, c.limits::text AS limits, c.reason, m.metric, m.column_name, \
         m.args, m.filter, m.semantics, e.error_bound, \
         CASE e.status WHEN 'computed' THEN e.note END AS note \
         FROM verdict v JOIN check_result c ON c.verdict_id = v.id \
         JOIN metric_series m ON m.id = c.series_id \
         LEFT JOIN metric e ON e.verdict_id = v.id AND e.series_id = c.series_id \
         JOIN ledger l ON l.dataset_id = v.dataset_id AND l.partition = v.partition \
         WHERE v.dataset_id = $1 AND ($2 OR NOT v.superseded) "
    };
}

/// The order of results.
macro_rules! newest_first {
    () => {
        " ORDER BY v.ord DESC, v.partition DESC, v.revision DESC, c.place LIMIT $3"
    };
}

/// $1 dataset, $2 also superseded ones, $3 limit, $4 check, $5 run, $6 partition. Of a run that was
/// tried again, what each of its tasks said last.
pub(super) const RESULTS: &str = concat!(
    result_columns!(),
    "AND ($4::text IS NULL OR c.check_id = $4) AND ($5::uuid IS NULL OR v.run_id = $5 \
     AND NOT EXISTS (SELECT 1 FROM verdict n WHERE n.task_id = v.task_id AND n.attempt > v.attempt)) \
     AND ($6::text IS NULL OR v.partition = $6) \
     AND (NOT $7 OR v.warn + v.fail + v.error + v.missing + v.overflow > 0 \
     AND c.outcome IN ('warn', 'fail', 'error', 'missing', 'overflow'))",
    newest_first!()
);

/// Those of one check, which charts are drawn from: its plan is kept, since making one takes longer
/// than carrying it out. $1 dataset, $2 superseded ones, too, $3 limit, $4 check.
pub(super) const RESULTS_OF_CHECK: &str =
    concat!(result_columns!(), "AND c.check_id = $4", newest_first!());

/// $1 limit, $2 dataset, $3 only open ones.
pub(super) const INCIDENTS: &str = "SELECT i.id, i.dataset_id, i.check_id, i.column_name, i.severity, \
     i.status, coalesce(l.series, '') AS series, i.first_partition, i.last_partition, \
     i.partitions, i.message, i.opened_at, i.updated_at, i.resolved_at \
     FROM incident i LEFT JOIN ledger l ON l.dataset_id = i.dataset_id \
     AND l.partition = i.first_partition \
     WHERE ($2::text IS NULL OR i.dataset_id = $2) AND (NOT $3 OR NOT i.is_resolved) \
     ORDER BY is_resolved, opened_at DESC, id LIMIT $1";

/// $1 limit, $2 dataset, $3 only unfinished ones.
pub(super) const RUNS: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM run r WHERE ($2::text IS NULL OR r.dataset_id = $2) AND (NOT $3 OR ",
    unfinished!(),
    ") ORDER BY r.created_at DESC, r.id DESC LIMIT $1"
);

pub(super) const NEWEST_RUNS: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM run r WHERE r.id IN (SELECT (SELECT n.id FROM run n WHERE n.dataset_id = d.dataset_id \
     ORDER BY n.created_at DESC, n.id DESC LIMIT 1) \
     FROM (SELECT DISTINCT dataset_id FROM definition) d)"
);

/// $1 run.
pub(super) const RUN: &str = concat!("SELECT ", run_columns!(), " FROM run r WHERE r.id = $1");

/// $1 run, $2 numbers of tasks.
pub(super) const TASKS: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM task t JOIN task_spec s ON s.task_id = t.id \
     WHERE t.run_id = $1 AND t.no = ANY ($2) ORDER BY t.no"
);

/// $1 run, $2 whether those that have succeeded or the others, $3 limit.
pub(super) const TASK_NUMBERS: &str = "SELECT t.no FROM task t WHERE t.run_id = $1 \
     AND (t.state = 'succeeded') = $2 ORDER BY t.no LIMIT $3";

/// $1 the runs.
pub(super) const RUN_TASKS: &str = "SELECT t.run_id, t.state, count(*) AS tasks \
     FROM task t WHERE t.run_id = ANY ($1) GROUP BY t.run_id, t.state";

/// $1 run.
pub(super) const UNJUDGED: &str = "SELECT count(*) AS tasks, \
     coalesce(sum(CASE WHEN t.kind = 'evaluate' AND t.state <> 'succeeded' THEN \
     (SELECT coalesce(json_array_length(s.spec -> 'of'), 1) FROM task_spec s \
     WHERE s.task_id = t.id) END), 0)::bigint AS unjudged \
     FROM task t WHERE t.run_id = $1";

/// $1 run, $2 numbers of tasks.
pub(super) const UNSUCCESSFUL: &str = "SELECT no, state, reason FROM task WHERE run_id = $1 \
     AND no = (SELECT min(t.no) FROM task t WHERE t.run_id = $1 AND t.no = ANY ($2) \
     AND t.state <> 'succeeded')";

/// $1 the runs. Of each task, what it said last.
pub(super) const RUN_VERDICTS: &str = "SELECT v.run_id, count(*) AS partitions, \
     sum(v.planned)::bigint AS planned, sum(v.pass)::bigint AS pass, sum(v.warn)::bigint AS warn, \
     sum(v.fail)::bigint AS fail, sum(v.error)::bigint AS error, \
     sum(v.missing)::bigint AS missing, sum(v.learning)::bigint AS learning, \
     sum(v.skipped)::bigint AS skipped, sum(v.overflow)::bigint AS overflow \
     FROM verdict v WHERE v.run_id = ANY ($1) AND NOT EXISTS (SELECT 1 FROM verdict n \
     WHERE n.task_id = v.task_id AND n.attempt > v.attempt) GROUP BY v.run_id";

pub(super) const ATTEMPTS: &str = "SELECT t.run_id, t.no, a.attempt, a.nonce, a.node, \
     a.assigned_at, a.started_at, a.ended_at, a.outcome, a.charged, a.reason, a.twin \
     FROM task t JOIN task_attempt a ON a.task_id = t.id \
     WHERE t.run_id = $1 AND t.no = ANY ($2) ORDER BY t.no, a.attempt, a.twin";

pub(super) const REMARKS: &str = "SELECT coalesce(coalesce(o.plan, p.body) -> 'ignored', '[]')::text \
     AS ignored, coalesce(coalesce(o.plan, p.body) -> 'notices', '[]')::text AS notices FROM task t \
     JOIN task_output o ON o.task_id = t.id LEFT JOIN task_plan p ON p.task_id = t.id \
     AND p.attempt = o.attempt AND p.first = 0 \
     WHERE t.run_id = $1 AND t.no = 0 AND coalesce(o.plan, p.body) IS NOT NULL";

pub(super) const OUTBOX: &str = "SELECT key, event, dataset_id, body::text AS body FROM outbox \
     WHERE sent_at IS NULL AND NOT EXISTS (SELECT 1 FROM outbox_hold) ORDER BY seq LIMIT $1";

pub(super) const WATERMARK: &str = "SELECT emitted_through FROM schedule WHERE dataset_id = $1";
