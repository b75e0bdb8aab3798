//! A text of all that was found out, the same for the same findings.
//!
//! Comes in: a store. Goes out: metrics, results, verdicts, the ledger and incidents, sorted by
//! their keys. It must never show what differs between two runs that found the same: ids, instants
//! of the clock, attempts, revisions' runs, ages. A metric that is an age (`latency`,
//! `lastModifiedAge`) is shown with its status and the outcome of its checks, without its value,
//! its limits and the words that repeat them.

use serde_json::Value;

use crate::error::StoreError;
use crate::examined::Examined;
use crate::values::corrupt;

#[cfg(feature = "postgres")]
pub(crate) mod postgres;

/// A part: its title, and a query that gives one JSON array per row, sorted.
pub(crate) type Part = (&'static str, &'static str);

/// Where in a row of the metrics the bound of the error stands: as text of as many digits as the
/// database needs, since databases round a double in JSON each in its own way.
const BOUND: usize = 13;

/// Digits, at least, of the instant that the key of a message may end with, in microseconds.
const MICROS: usize = 15;

/// The parts, as SQLite is asked.
pub(crate) const SQLITE: &[Part] = &[
    (
        "metrics",
        "SELECT json_array(v.dataset_id, v.ord, v.partition, v.revision, v.version, s.metric, \
         s.column_name, s.args, s.filter, s.semantics, m.status, m.kind, \
         CASE WHEN s.metric IN ('latency', 'lastModifiedAge') THEN 'an age' ELSE m.value END, \
         CASE WHEN m.error_bound IS NOT NULL THEN format('%!.17g', m.error_bound) END, \
         m.note) FROM verdict v JOIN metric m ON m.verdict_id = v.id \
         JOIN metric_series s ON s.id = m.series_id \
         ORDER BY v.dataset_id, v.ord, v.partition, v.revision, s.metric, s.column_name, s.args, \
         s.filter, s.semantics",
    ),
    (
        "results",
        "SELECT json_array(v.dataset_id, v.ord, v.partition, v.revision, v.version, c.check_id, \
         c.severity, c.origin, c.outcome, c.kind, \
         CASE WHEN s.metric IN ('latency', 'lastModifiedAge') THEN 'an age' \
         ELSE json_array(c.actual, c.expected, json(c.limits), c.reason) END, \
         s.metric, s.column_name, s.args, s.filter, s.semantics) \
         FROM verdict v JOIN check_result c ON c.verdict_id = v.id \
         JOIN metric_series s ON s.id = c.series_id \
         ORDER BY v.dataset_id, v.ord, v.partition, v.revision, c.check_id",
    ),
    (
        "verdicts",
        "SELECT json_array(dataset_id, ord, partition, revision, version, sealed, superseded, \
         metrics, planned, pass, warn, fail, error, missing, learning, skipped, overflow) \
         FROM verdict ORDER BY dataset_id, ord, partition, revision",
    ),
    (
        "ledger",
        "SELECT json_array(dataset_id, ord, partition, series, date, start_at, end_at, state, version, \
         judged, revision, objects, bytes, last_modified) \
         FROM ledger ORDER BY dataset_id, ord, partition",
    ),
    (
        "incidents",
        "SELECT json_array(dataset_id, check_id, column_name, severity, status, first_partition, \
         last_partition, partitions, CASE WHEN EXISTS (SELECT 1 FROM check_result c \
         JOIN metric_series s ON s.id = c.series_id WHERE s.dataset_id = incident.dataset_id \
         AND c.check_id = incident.check_id AND s.metric IN ('latency', 'lastModifiedAge')) \
         THEN 'an age' ELSE message END) FROM incident \
         ORDER BY dataset_id, check_id, first_partition",
    ),
    (
        // The word that a partition was judged is gone once somebody was told, or nobody asked.
        "messages",
        "SELECT json_array(key, event, dataset_id) FROM outbox \
         WHERE event <> 'partition.finished' ORDER BY key",
    ),
];

/// All that was found out, as text: equal texts mean equal findings. A line per row, a title per
/// table.
///
/// # Errors
/// When the store cannot be read.
pub async fn dump_final(store: &impl Examined) -> Result<String, StoreError> {
    let mut text = String::new();
    for (title, query) in store.dialect().parts() {
        text.push_str(&format!("# {title}\n"));
        for line in store.texts(query).await? {
            text.push_str(&canonical(title, &line)?);
            text.push('\n');
        }
    }
    Ok(text)
}

/// A row in the one spelling, whatever database it comes from.
fn canonical(title: &str, line: &str) -> Result<String, StoreError> {
    let unreadable = |e| corrupt("row", format!("{line}: {e}"));
    let mut row: Vec<Value> = serde_json::from_str(line).map_err(unreadable)?;
    if title == "metrics"
        && let Some(Value::String(bound)) = row.get(BOUND)
    {
        row[BOUND] = Value::from(bound.parse::<f64>().ok());
    }
    if title == "messages"
        && let Some(Value::String(key)) = row.first_mut()
        && let Some((stem, at)) = key.rsplit_once(':')
        && at.len() >= MICROS
        && at.bytes().all(|b| b.is_ascii_digit())
    {
        *key = stem.to_owned();
    }
    serde_json::to_string(&row).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use assay_model::incident::{Incident, IncidentStatus, OutboxEntry};
    use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricValue};
    use assay_model::outcome::Outcome;

    use super::*;
    use crate::conformance::fixtures::{Bench, evaluation};
    use crate::sqlite::SqliteStore;

    async fn found(runs: [&str; 2], rows: i64) -> String {
        let store = SqliteStore::in_memory().await.unwrap();
        let bench = Bench::new(Arc::new(store.clone())).await;
        for (run, day) in runs.into_iter().zip(["2026-11-20", "2026-11-21"]) {
            let mut verdict = evaluation(day, "v1", rows, Outcome::Pass);
            verdict.judged_at = jiff::Timestamp::now();
            bench.judged(run, verdict).await;
        }
        dump_final(&store).await.unwrap()
    }

    /// A judgement of a partition whose data is `age` seconds old.
    async fn aged(age: i64) -> String {
        let store = SqliteStore::in_memory().await.unwrap();
        let bench = Bench::new(Arc::new(store.clone())).await;
        let mut verdict = evaluation("2026-11-20", "v1", 10, Outcome::Fail);
        for metric in [Metric::Latency, Metric::LastModifiedAge] {
            let key = MetricKey::table(metric);
            let value = MetricValue::integer(age);
            verdict.metrics.push(MetricPoint::computed(key, value));
        }
        let result = &mut verdict.results[0];
        result.metric = MetricKey::table(Metric::LastModifiedAge);
        result.actual = MetricValue::integer(age);
        let id = Incident::id_of(bench.id(), &result.check, &verdict.partition.key);
        verdict.incidents.push(Incident {
            id,
            dataset: bench.id().clone(),
            check: result.check.clone(),
            column: String::new(),
            severity: result.severity,
            status: IncidentStatus::Open,
            series: String::new(),
            first_partition: verdict.partition.key.clone(),
            last_partition: verdict.partition.key.clone(),
            partitions: 1,
            message: format!("it is {age} seconds old"),
            opened_at: verdict.judged_at,
            updated_at: verdict.judged_at,
            resolved_at: None,
        });
        verdict.outbox.push(OutboxEntry {
            key: format!("{id}:incident.opened:{}", 1_795_264_135_128_000 + age),
            event: "incident.opened".to_owned(),
            dataset: bench.id().clone(),
            body: serde_json::json!({}),
            after: None,
        });
        bench.judged("a", verdict).await;
        dump_final(&store).await.unwrap()
    }

    #[tokio::test]
    async fn the_same_data_judged_a_moment_later_gives_the_same_text() {
        let text = aged(100).await;
        assert!(text.contains("lastModifiedAge"), "{text}");
        assert_eq!(text, aged(101).await);
    }

    #[tokio::test]
    async fn equal_findings_give_equal_texts_and_other_findings_do_not() {
        let one = found(["a", "b"], 10).await;
        assert!(
            one.contains("rowCount") && one.contains("2026-11-21"),
            "{one}"
        );
        assert_eq!(one, found(["c", "d"], 10).await);
        assert_ne!(one, found(["a", "b"], 11).await);
    }
}
