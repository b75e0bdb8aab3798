//! The invariants of the protocol, as questions that a right store answers with nothing.
//!
//! Comes in: a store, at rest or at work. Goes out: each broken invariant with the row that breaks
//! it. It must never write, and never pass over a row.
//!
//! The ids are those of the protocol (I1 to I20); D1 to D3 are of the data, N1 and N2 of what
//! people are told. What is compared with
//! something outside of the store is checked where that is: metrics with the ground truth and I17's
//! sink in the drills, I19 by comparing two [dumps](crate::dump::dump_final), I21 in Postgres.

use assay_model::ids::{DatasetId, RunId};
use jiff::Timestamp;

use crate::error::StoreError;
use crate::examined::Examined;
use crate::sqlite::sql::page;

#[cfg(feature = "postgres")]
pub(crate) mod postgres;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub id: &'static str,
    /// What breaks it, in words.
    pub detail: String,
}

/// What a database is asked, in its dialect.
pub(crate) struct Questions {
    /// Each invariant: its id, and a query that gives one text per violation.
    invariants: &'static [(&'static str, &'static str)],
    /// A text for all that is unfinished.
    unsettled: &'static str,
    /// Scheduled runs, as `[id, dataset, slot]`.
    slots: &'static str,
}

/// All that SQLite is asked.
pub(crate) const SQLITE: Questions = Questions {
    invariants: INVARIANTS,
    unsettled: UNSETTLED,
    slots: SLOTS,
};

/// Each invariant: its id, and a query that gives one text per violation.
const INVARIANTS: &[(&str, &str)] = &[
    (
        "I1",
        "SELECT 'task ' || t.run_id || '/' || t.no || ' is ' || t.state || ' with ' \
         || count(a.attempt) || ' successful attempts' \
         FROM task t LEFT JOIN task_attempt a ON a.task_id = t.id AND a.outcome = 'ok' \
         AND a.generation = t.generation GROUP BY t.id HAVING (t.state = 'succeeded') <> (count(a.attempt) = 1) \
         OR count(a.attempt) > 1 \
         UNION ALL SELECT 'task ' || task_id || ' succeeded ' || count(*) || ' times in one round' \
         FROM task_attempt WHERE outcome = 'ok' GROUP BY task_id, generation \
         HAVING count(*) > 1 \
         UNION ALL SELECT 'task ' || t.id || ' succeeded as a ' || t.kind || ' and was begun anew' \
         FROM task t JOIN task_attempt a ON a.task_id = t.id AND a.outcome = 'ok' \
         WHERE a.generation < t.generation AND t.kind <> 'evaluate'",
    ),
    (
        "I2",
        "SELECT 'state of ' || s.partition || ' by task ' || s.task_id || ' is of attempt ' \
         || s.attempt FROM metric_state s WHERE NOT EXISTS (SELECT 1 FROM task_attempt a \
         WHERE a.task_id = s.task_id AND a.attempt = s.attempt AND a.outcome = 'ok') \
         UNION ALL SELECT 'output of task ' || o.task_id || ' is of attempt ' || o.attempt \
         FROM task_output o WHERE NOT EXISTS (SELECT 1 FROM task_attempt a \
         WHERE a.task_id = o.task_id AND a.attempt = o.attempt AND a.outcome = 'ok') \
         UNION ALL SELECT 'verdict of task ' || v.task_id || ' is of attempt ' || v.attempt \
         FROM verdict v WHERE NOT EXISTS (SELECT 1 FROM task_attempt a \
         WHERE a.task_id = v.task_id AND a.attempt = v.attempt AND a.outcome = 'ok') \
         UNION ALL SELECT 'task ' || t.id || ' wrote ' || o.parts || ' parts and ' \
         || (SELECT count(*) FROM metric_state s WHERE s.task_id = t.id) || ' are there' \
         FROM task t JOIN task_output o ON o.task_id = t.id WHERE t.kind = 'measure' \
         AND o.parts <> (SELECT count(*) FROM metric_state s WHERE s.task_id = t.id)",
    ),
    (
        "I3",
        "SELECT 'task ' || t.id || ' is ' || t.state || ' and left a result' FROM task t \
         WHERE t.state <> 'succeeded' AND (EXISTS (SELECT 1 FROM task_output o \
         WHERE o.task_id = t.id) OR EXISTS (SELECT 1 FROM metric_state s WHERE s.task_id = t.id) \
         OR EXISTS (SELECT 1 FROM verdict v JOIN task_attempt a ON a.task_id = v.task_id \
         AND a.attempt = v.attempt AND a.generation = t.generation WHERE v.task_id = t.id)) \
         UNION ALL SELECT 'task ' || t.id || ' succeeded and left nothing' FROM task t \
         WHERE t.state = 'succeeded' AND (NOT EXISTS (SELECT 1 FROM task_output o \
         WHERE o.task_id = t.id) OR (t.kind = 'evaluate' \
         AND NOT EXISTS (SELECT 1 FROM verdict v JOIN task_attempt a ON a.task_id = v.task_id \
         AND a.attempt = v.attempt AND a.generation = t.generation WHERE v.task_id = t.id)))",
    ),
    (
        "I4",
        concat!(
            "SELECT 'the page of verdict ' || p.verdict_id || ' is not its rows' \
             FROM metric_page p WHERE p.page <> (SELECT ",
            page!(),
            " FROM metric WHERE verdict_id = p.verdict_id) \
             UNION ALL SELECT 'verdict ' || v.id || ' has no page' FROM verdict v \
             WHERE NOT EXISTS (SELECT 1 FROM metric_page p WHERE p.verdict_id = v.id) \
             UNION ALL SELECT 'verdict ' || v.id || ' has not its ' || v.metrics || ' metrics' \
             FROM verdict v WHERE v.metrics <> (SELECT count(*) FROM metric m \
             WHERE m.verdict_id = v.id) \
             UNION ALL SELECT 'metric ' || series_id || ' of verdict ' || verdict_id || ' is ' \
             || value || ' and charted as ' || coalesce(number, 'nothing') FROM metric \
             WHERE kind IN ('exact', 'float') AND value NOT IN ('inf', '-inf', 'NaN') \
             AND abs(CAST(value AS REAL)) < 1e308 AND (number IS NULL \
             OR abs(CAST(value AS REAL) - number) > 1e-12 * abs(number))"
        ),
    ),
    (
        "I5",
        "SELECT 'run ' || r.id || ' has ' || (SELECT count(*) FROM task t \
         WHERE t.run_id = r.id AND t.no > 0) || ' of ' || r.planned_tasks || ' planned tasks' \
         FROM run r WHERE r.planned_at IS NOT NULL AND r.planned_tasks <> (SELECT count(*) \
         FROM task t WHERE t.run_id = r.id AND t.no > 0) \
         UNION ALL SELECT 'run ' || r.id || ' is ' || r.state || ' without the whole of its plan' FROM run r \
         WHERE r.state IN ('succeeded', 'partial') AND r.planned_at IS NULL \
         UNION ALL SELECT 'run ' || r.id || ' has no discovery' FROM run r WHERE NOT EXISTS \
         (SELECT 1 FROM task t WHERE t.run_id = r.id AND t.no = 0 AND t.kind = 'discover') \
         UNION ALL SELECT 'tasks of run ' || run_id || ' are not numbered without a gap' \
         FROM task GROUP BY run_id HAVING max(no) <> count(*) - 1 \
         UNION ALL SELECT 'slot ' || r.slot || ' of ' || r.dataset_id || ' is past its watermark' \
         FROM run r WHERE r.trigger_word = 'schedule' AND r.slot IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM schedule s WHERE s.dataset_id = r.dataset_id \
         AND s.emitted_through >= r.slot) \
         UNION ALL SELECT 'task ' || t.id || ' has no orders' FROM task t WHERE NOT EXISTS \
         (SELECT 1 FROM task_spec s WHERE s.task_id = t.id) \
         UNION ALL SELECT 'the batches of ' || (s.spec ->> '$.partitions[0].key') || ' in ' \
         || t.run_id || ' do not make ' || (s.spec ->> '$.batches') \
         FROM task t JOIN task_spec s ON s.task_id = t.id WHERE t.kind = 'measure' \
         AND json_array_length(s.spec, '$.partitions') = 1 \
         GROUP BY t.run_id, s.spec ->> '$.partitions[0].key' \
         HAVING count(*) <> max(s.spec ->> '$.batches') \
         OR count(DISTINCT s.spec ->> '$.batch') <> count(*)",
    ),
    (
        "I6",
        "SELECT 'run ' || r.id || ' is ' || r.state || ' and its task ' || t.no || ' is ' \
         || t.state FROM run r JOIN task t ON t.run_id = r.id \
         WHERE r.state IN ('succeeded', 'partial', 'failed', 'cancelled', 'skipped_stale') \
         AND t.state IN ('ready', 'assigned', 'running') \
         UNION ALL SELECT 'run ' || r.id || ' succeeded and its task ' || t.no || ' is ' \
         || t.state FROM run r JOIN task t ON t.run_id = r.id \
         WHERE r.state = 'succeeded' AND t.state <> 'succeeded' \
         UNION ALL SELECT 'run ' || id || ' is ' || state || ' and ' \
         || CASE WHEN finished_at IS NULL THEN 'has no end' ELSE 'has an end' END FROM run \
         WHERE (finished_at IS NOT NULL) <> (state IN ('succeeded', 'partial', 'failed', \
         'cancelled', 'skipped_stale'))",
    ),
    (
        "I7",
        "SELECT 'task ' || t.id || ' is charged ' || t.charged || ' and its attempts ' \
         || coalesce(sum(a.charged), 0) FROM task t LEFT JOIN task_attempt a \
         ON a.task_id = t.id AND a.generation = t.generation GROUP BY t.id \
         HAVING t.charged <> coalesce(sum(a.charged), 0) \
         UNION ALL SELECT 'task ' || t.id || ' is charged ' || t.charged || ' with ' \
         || r.retries || ' retries' FROM task t JOIN run r ON r.id = t.run_id \
         WHERE t.charged > r.retries + 1 \
         UNION ALL SELECT 'task ' || id || ' is ' || state || ' without a reason' FROM task \
         WHERE state IN ('failed', 'quarantined', 'cancelled') AND reason IS NULL",
    ),
    (
        "I8",
        "SELECT 'attempt ' || attempt || ' of task ' || task_id || ' ended as ' || outcome \
         || ' and is charged ' || charged FROM task_attempt WHERE outcome IS NOT NULL \
         AND charged <> (outcome IN ('retryable', 'permanent', 'timed_out', 'crashed', \
         'node_lost'))",
    ),
    (
        "I9",
        "SELECT 'event ' || e.seq || ' is of epoch ' || e.epoch || ' while ' || m.epoch \
         || ' is in force' FROM event e JOIN event m ON m.kind = 'epoch_minted' \
         AND m.seq = (SELECT max(seq) FROM event p WHERE p.kind = 'epoch_minted' \
         AND p.seq <= e.seq) WHERE e.epoch IS NOT NULL AND e.epoch <> m.epoch \
         UNION ALL SELECT 'epoch ' || epoch || ' does not follow the one before' FROM \
         (SELECT epoch, lag(epoch, 1, 0) OVER (ORDER BY seq) AS before FROM event \
         WHERE kind = 'epoch_minted') WHERE epoch <= before \
         UNION ALL SELECT 'epoch ' || l.epoch || ' is in force and was never minted' \
         FROM leader_epoch l WHERE l.epoch <> (SELECT coalesce(max(epoch), 0) FROM event \
         WHERE kind = 'epoch_minted')",
    ),
    (
        "I10",
        "SELECT 'task ' || t.id || ' has begun ' || t.attempt || ' attempts and has ' \
         || count(a.attempt) FROM task t LEFT JOIN task_attempt a ON a.task_id = t.id \
         AND a.twin = 0 GROUP BY t.id HAVING count(a.attempt) <> t.attempt \
         OR coalesce(max(a.attempt), 0) <> t.attempt \
         UNION ALL SELECT 'attempt ' || a.attempt || ' of task ' || t.id || ' is open and not \
         the one at work' FROM task t JOIN task_attempt a ON a.task_id = t.id \
         WHERE a.ended_at IS NULL AND (t.nonce IS NULL OR t.attempt <> a.attempt \
         OR (t.nonce <> a.nonce AND t.twin_nonce IS NOT a.nonce)) \
         UNION ALL SELECT 'the second copy of task ' || t.id || ' is not an open attempt' \
         FROM task t WHERE t.twin_nonce IS NOT NULL AND (t.nonce IS NULL OR t.node = t.twin_node \
         OR NOT EXISTS (SELECT 1 FROM task_attempt a WHERE a.task_id = t.id \
         AND a.attempt = t.attempt AND a.nonce = t.twin_nonce AND a.ended_at IS NULL)) \
         UNION ALL SELECT 'the second copy of attempt ' || w.attempt || ' of task ' || w.task_id \
         || ' has no first, or its node' FROM task_attempt w LEFT JOIN task_attempt a \
         ON a.task_id = w.task_id AND a.attempt = w.attempt AND a.twin = 0 \
         WHERE w.twin = 1 AND (a.node IS NULL OR a.node = w.node \
         OR w.assigned_at < a.assigned_at) \
         UNION ALL SELECT 'task ' || t.id || ' is at work without an open attempt' FROM task t \
         WHERE t.nonce IS NOT NULL AND NOT EXISTS (SELECT 1 FROM task_attempt a \
         WHERE a.task_id = t.id AND a.nonce = t.nonce AND a.ended_at IS NULL) \
         UNION ALL SELECT 'attempt ' || b.attempt || ' of task ' || b.task_id \
         || ' began before the one before it ended' FROM task_attempt b JOIN task_attempt a \
         ON a.task_id = b.task_id AND a.attempt = b.attempt - 1 \
         WHERE a.ended_at IS NULL OR (b.assigned_at < a.ended_at AND a.outcome <> 'ok')",
    ),
    (
        "I11",
        "SELECT 'task ' || e.task_id || ' was given to ' || e.node || ' (life ' || e.incarnation \
         || ') after it was ' || d.state FROM event e JOIN event d ON d.kind = 'node_moved' \
         AND d.node = e.node AND d.incarnation = e.incarnation AND d.seq < e.seq \
         AND d.state IN ('dead', 'gone', 'draining') WHERE e.kind = 'task_assigned' \
         AND NOT EXISTS (SELECT 1 FROM event l WHERE l.kind = 'node_moved' AND l.node = e.node \
         AND l.incarnation = e.incarnation AND l.state = 'live' AND l.seq BETWEEN d.seq AND e.seq) \
         UNION ALL SELECT 'attempt ' || a.attempt || ' of task ' || a.task_id || ' is open on life ' \
         || a.incarnation || ' of ' || a.node || ', which is in life ' || n.incarnation \
         FROM task_attempt a JOIN node n ON n.id = a.node \
         WHERE a.ended_at IS NULL AND a.incarnation <> n.incarnation",
    ),
    (
        "I12",
        "SELECT 'node ' || n.id || ' has gone and task ' || a.task_id || ' is open on it' \
         FROM node n JOIN task_attempt a ON a.node = n.id AND a.incarnation = n.incarnation \
         WHERE n.state = 'gone' AND a.ended_at IS NULL",
    ),
    (
        "I13",
        "SELECT 'task ' || t.id || ' is ' || t.state || ' after ' || t.crashes || ' crashes and ' \
         || count(a.attempt) || ' crashed attempts' FROM task t LEFT JOIN task_attempt a \
         ON a.task_id = t.id AND a.generation = t.generation AND a.outcome = 'crashed' \
         GROUP BY t.id HAVING t.crashes <> count(a.attempt) \
         OR (t.state = 'quarantined' AND t.crashes < 2) OR t.crashes > 2",
    ),
    (
        "I14",
        "SELECT 'attempt ' || b.attempt || ' of task ' || b.task_id || ' began while its source \
         was away' FROM task_attempt b JOIN task_attempt a ON a.task_id = b.task_id \
         AND a.attempt = b.attempt - 1 AND a.generation = b.generation \
         WHERE a.outcome = 'dependency_down' AND b.assigned_at < a.retry_at",
    ),
    (
        "I15",
        "SELECT 'attempt ' || b.attempt || ' of task ' || b.task_id || ' did not wait for its \
         time' FROM task_attempt b JOIN task_attempt a ON a.task_id = b.task_id \
         AND a.attempt = b.attempt - 1 AND a.generation = b.generation \
         WHERE a.charged = 1 AND b.assigned_at < a.retry_at",
    ),
    (
        // Time-out, the node's lease of 9 s, five seconds, and a minute for a whole outage.
        "I16",
        "SELECT 'attempt ' || a.attempt || ' of task ' || a.task_id || ' was open for ' \
         || ((coalesce(a.ended_at, (SELECT max(at) FROM event)) - a.assigned_at) / 1000000) \
         || ' s' \
         FROM task_attempt a JOIN task t ON t.id = a.task_id JOIN run r ON r.id = t.run_id \
         WHERE coalesce(a.ended_at, (SELECT max(at) FROM event)) - a.assigned_at \
         > r.task_timeout_ms * 1000 + 74000000",
    ),
    (
        "I17",
        "SELECT 'message ' || key || ' was sent before it was written' FROM outbox \
         WHERE sent_at < created_at UNION ALL SELECT 'message ' || seq || ' has no key' \
         FROM outbox WHERE key = '' UNION ALL SELECT 'message ' || key || ' has no body' \
         FROM outbox WHERE NOT json_valid(body) UNION ALL SELECT 'message ' || key \
         || ' is there ' || count(*) || ' times' FROM outbox GROUP BY key HAVING count(*) > 1",
    ),
    (
        "I18",
        "SELECT 'verdict ' || v.id || ' is of ' || v.dataset_id || ' and its run of ' \
         || r.dataset_id FROM verdict v JOIN task t ON t.id = v.task_id \
         JOIN run r ON r.id = t.run_id WHERE r.dataset_id <> v.dataset_id OR r.id <> v.run_id \
         UNION ALL SELECT 'metric ' || m.series_id || ' of verdict ' || v.id || ' is of ' \
         || s.dataset_id FROM metric m JOIN verdict v ON v.id = m.verdict_id \
         JOIN metric_series s ON s.id = m.series_id WHERE s.dataset_id <> v.dataset_id \
         UNION ALL SELECT 'result ' || c.check_id || ' of verdict ' || v.id || ' is of ' \
         || s.dataset_id FROM check_result c JOIN verdict v ON v.id = c.verdict_id \
         JOIN metric_series s ON s.id = c.series_id WHERE s.dataset_id <> v.dataset_id \
         UNION ALL SELECT 'definition ' || digest || ' is of ' || (body ->> '$.id') \
         FROM definition WHERE body ->> '$.id' <> dataset_id \
         OR body ->> '$.tenant' IS NOT tenant \
         UNION ALL SELECT 'run ' || r.id || ' is of ' || r.dataset_id || ' and its definition not' \
         FROM run r WHERE NOT EXISTS (SELECT 1 FROM definition d WHERE d.digest = r.definition \
         AND d.dataset_id = r.dataset_id)",
    ),
    (
        "I19",
        "SELECT 'task ' || t.id || ' is ' || t.state || ' and was last recorded as ' \
         || coalesce(e.state, 'ready') FROM task t LEFT JOIN (SELECT task_id, state, max(seq) \
         FROM event WHERE task_id IS NOT NULL GROUP BY task_id) e ON e.task_id = t.id \
         WHERE t.state <> coalesce(e.state, 'ready') \
         UNION ALL SELECT 'run ' || r.id || ' is ' || r.state || ' and was last recorded as ' \
         || coalesce(e.state, 'unknown') FROM run r LEFT JOIN (SELECT run_id, state, max(seq) \
         FROM event WHERE kind IN ('run_submitted', 'run_moved', 'run_retried') \
         GROUP BY run_id) e ON e.run_id = r.id WHERE r.state IS NOT e.state \
         UNION ALL SELECT 'node ' || n.id || ' is ' || n.state || ' and was last recorded as ' \
         || coalesce(e.state, 'unknown') FROM node n LEFT JOIN (SELECT node, state, max(seq) \
         FROM event WHERE kind IN ('node_registered', 'node_moved') GROUP BY node) e \
         ON e.node = n.id WHERE n.state IS NOT e.state",
    ),
    (
        "I20",
        "SELECT 'of ' || max(seq) || ' events ' || count(*) || ' are there' FROM event \
         HAVING count(*) <> coalesce(max(seq), 0) \
         UNION ALL SELECT 'run ' || run_id || ' was submitted and is not there' FROM event \
         WHERE kind = 'run_submitted' AND run_id NOT IN (SELECT id FROM run) \
         UNION ALL SELECT 'row ' || coalesce(rowid, '?') || ' of ' || \"table\" || ' points to a \
         row of ' || parent || ' that is not there' FROM pragma_foreign_key_check",
    ),
    (
        "D1",
        "SELECT 'verdict ' || v.id || ' counts ' || o.word || ' differently from its results' \
         FROM verdict v JOIN (SELECT 'pass' AS word UNION ALL SELECT 'warn' UNION ALL \
         SELECT 'fail' UNION ALL SELECT 'error' UNION ALL SELECT 'missing' UNION ALL \
         SELECT 'learning' UNION ALL SELECT 'skipped' UNION ALL SELECT 'overflow') o \
         WHERE (SELECT count(*) FROM check_result c WHERE c.verdict_id = v.id \
         AND c.outcome = o.word) <> CASE o.word WHEN 'pass' THEN v.pass WHEN 'warn' THEN v.warn \
         WHEN 'fail' THEN v.fail WHEN 'error' THEN v.error WHEN 'missing' THEN v.missing \
         WHEN 'learning' THEN v.learning WHEN 'skipped' THEN v.skipped ELSE v.overflow END \
         UNION ALL SELECT 'verdict ' || id || ' planned ' || planned || ' checks' FROM verdict \
         WHERE planned <> pass + warn + fail + error + missing + learning + skipped + overflow",
    ),
    (
        "D2",
        "SELECT l.partition || ' of ' || l.dataset_id || ' has ' || count(v.id) \
         || ' verdicts in force' FROM ledger l LEFT JOIN verdict v \
         ON v.dataset_id = l.dataset_id AND v.partition = l.partition AND v.superseded = 0 \
         GROUP BY l.dataset_id, l.partition \
         HAVING count(v.id) <> (l.judged IS NOT NULL) OR (count(v.id) = 1 \
         AND max(v.version) <> l.judged) \
         UNION ALL SELECT l.partition || ' of ' || l.dataset_id || ' is in revision ' \
         || l.revision FROM ledger l WHERE l.revision <> (SELECT coalesce(max(revision), 0) \
         FROM verdict v WHERE v.dataset_id = l.dataset_id AND v.partition = l.partition) \
         UNION ALL SELECT l.partition || ' of ' || l.dataset_id || ' is scanned in a version that \
         was not judged' FROM ledger l WHERE l.state = 'scanned' AND l.version IS NOT l.judged",
    ),
    (
        "D3",
        "SELECT 'state of ' || partition || ' by task ' || task_id || ' has not its ' || bytes \
         || ' bytes' FROM metric_state WHERE payload IS NOT NULL AND length(payload) <> bytes \
         UNION ALL SELECT 'incident ' || id || ' is ' || status || ' and ' \
         || CASE WHEN resolved_at IS NULL THEN 'has no end' ELSE 'has an end' END FROM incident \
         WHERE (status = 'resolved') <> (resolved_at IS NOT NULL)",
    ),
    (
        "N1",
        "SELECT 'incident ' || c.id || ' is ' || c.status || ' with ' || count(m.incident_id) \
         || ' broken checks' FROM cause c LEFT JOIN cause_member m ON m.cause_id = c.id \
         GROUP BY c.id HAVING (c.status = 'resolved') <> (count(m.incident_id) = 0) \
         UNION ALL SELECT 'incident ' || id || ' is ' || status || ' and said to be ' \
         || coalesce(doc ->> '$.status', 'nothing') FROM cause WHERE doc ->> '$.status' IS NOT status",
    ),
    (
        "N2",
        "SELECT 'message ' || id || ' was delivered by no attempt' FROM delivery \
         WHERE state = 'delivered' AND attempts = 0 UNION ALL SELECT 'message ' || id \
         || ' is told under another id' FROM delivery WHERE event ->> '$.id' IS NOT replace(id, '-', '') \
         UNION ALL SELECT 'message ' || id || ' ended before it was written' FROM delivery \
         WHERE ended_at < created_at",
    ),
];

/// What is unfinished, for a store that should be at rest.
const UNSETTLED: &str = "SELECT 'run ' || id || ' is ' || state FROM run \
     WHERE state IN ('queued', 'planning', 'running', 'finalising') \
     UNION ALL SELECT 'task ' || run_id || '/' || no || ' is ' || state FROM task \
     WHERE state IN ('assigned', 'running')";

/// Scheduled runs, to compare their ids with their slots.
const SLOTS: &str = "SELECT json_array(id, dataset_id, slot) FROM run \
     WHERE trigger_word = 'schedule' AND slot IS NOT NULL";

/// Every broken invariant of `store`; nothing when all is well, also while it is at work.
///
/// # Errors
/// When the store cannot be read.
pub async fn check_invariants(store: &impl Examined) -> Result<Vec<Violation>, StoreError> {
    let mut found = Vec::new();
    let questions = store.dialect().questions();
    for (id, query) in questions.invariants {
        let broken = store.texts(query).await?;
        found.extend(broken.into_iter().map(|detail| Violation { id, detail }));
    }
    for text in store.texts(questions.slots).await? {
        if !is_of_its_slot(&text) {
            found.push(Violation {
                id: "I5",
                detail: format!("the id of a run is not that of its slot: {text}"),
            });
        }
    }
    Ok(found)
}

/// Whether `[id, dataset, slot]` belong together.
fn is_of_its_slot(text: &str) -> bool {
    let Ok((id, dataset, slot)) = serde_json::from_str::<(String, String, i64)>(text) else {
        return false;
    };
    let (Ok(dataset), Ok(slot)) = (DatasetId::new(dataset), Timestamp::from_microsecond(slot))
    else {
        return false;
    };
    RunId::of_slot(&dataset, slot).to_string() == id
}

/// What is still at work in a store that should be at rest (I6, after a drill has healed).
///
/// # Errors
/// When the store cannot be read.
pub async fn check_settled(store: &impl Examined) -> Result<Vec<Violation>, StoreError> {
    let unsettled = store.texts(store.dialect().questions().unsettled).await?;
    Ok(unsettled
        .into_iter()
        .map(|detail| Violation { id: "I6", detail })
        .collect())
}

#[cfg(test)]
mod tests;
