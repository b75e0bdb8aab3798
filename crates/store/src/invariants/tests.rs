//! The checker is checked: a world that is right, then one corruption at a time.

use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::incident::{Incident, IncidentStatus, OutboxEntry};
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricValue};
use assay_model::outcome::Outcome;
use assay_model::run::{RunState, Trigger};
use assay_model::task::{AttemptOutcome, TaskState, WaitReason};

use super::*;
use crate::conformance::fixtures::{Bench, at, evaluation, live, measured, ok};
use crate::port::JobStore;
use crate::sqlite::{OpenOptions, SqliteStore};

/// A store with a bit of everything: judged days, a failed run, a retry, a scheduled run at work,
/// a node that came back, two leaders.
async fn world() -> (SqliteStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assay.db");
    let store = SqliteStore::open(path, OpenOptions::default())
        .await
        .unwrap();
    let mut bench = Bench::new(Arc::new(store.clone())).await;
    let mut first = evaluation("2026-11-20", "v1", 10, Outcome::Pass);
    first.metrics.push(MetricPoint::computed(
        MetricKey::column(Metric::Mean, "amount"),
        MetricValue::Float(0.1),
    ));
    let check = assay_model::ids::CheckId::new("rows_exist");
    first.incidents.push(Incident {
        id: Incident::id_of(bench.id(), &check, &first.partition.key),
        dataset: bench.id().clone(),
        check,
        column: String::new(),
        severity: assay_model::check::Severity::Error,
        status: IncidentStatus::Open,
        series: String::new(),
        first_partition: first.partition.key.clone(),
        last_partition: first.partition.key.clone(),
        partitions: 1,
        message: "odd".to_owned(),
        opened_at: at(1),
        updated_at: at(1),
        resolved_at: None,
    });
    first.outbox.push(OutboxEntry {
        key: "k".to_owned(),
        event: "incident.opened".to_owned(),
        dataset: bench.id().clone(),
        body: serde_json::json!({}),
        after: None,
    });
    bench.judged("a", first).await;
    bench
        .judged("b", evaluation("2026-11-20", "v2", 11, Outcome::Fail))
        .await;
    failed_and_retried(&bench).await;
    crate::conformance::notices::one_told(&bench).await;
    bench.epoch = ok(store.mint_epoch("manager-2").await);
    let slot = at(0);
    let mut run = bench.run_of("scheduled", 0);
    run.trigger = Trigger::Schedule;
    run.slot = Some(slot);
    run.id = RunId::of_slot(bench.id(), slot);
    assert_eq!(bench.change(bench.submission(&run)).await, Answer::Ok);
    // Registrations are stamped by the real clock; so is what comes before and after one.
    let (_, mut assign) = bench.assignment(run.id, 0, 1);
    if let Change::Assign { at, .. } = &mut assign {
        *at = Timestamp::now();
    }
    assert_eq!(bench.change(assign).await, Answer::Ok);
    bench.incarnation = ok(store.register(bench.epoch, &live(&bench.node)).await);
    let (_, mut assign) = bench.assignment(run.id, 0, 2);
    if let Change::Assign { at, .. } = &mut assign {
        *at = Timestamp::now();
    }
    assert_eq!(bench.change(assign).await, Answer::Ok);
    (store, folder)
}

async fn failed_and_retried(bench: &Bench) {
    let run = bench.planned("c", &[("2026-11-21", "v1")]).await;
    for attempt in 1..=3 {
        let (token, mut assign) = bench.assignment(run, 1, attempt);
        let seconds = i64::from(attempt) * 10;
        if let Change::Assign { at: when, .. } = &mut assign {
            *when = at(seconds);
        }
        assert_eq!(bench.change(assign).await, Answer::Ok);
        let last = attempt == 3;
        let end = Change::EndAttempt {
            token,
            outcome: AttemptOutcome::Retryable,
            next: if last {
                TaskState::Failed
            } else {
                TaskState::Ready
            },
            not_before: (!last).then(|| at(seconds + 9)),
            wait: (!last).then_some(WaitReason::Backoff),
            reason: "a hiccup".to_owned(),
            at: at(seconds + 1),
        };
        assert_eq!(bench.change(end).await, Answer::Ok);
    }
    let cancel = Change::EndTask {
        task: assay_model::ids::TaskId { run, no: 2 },
        state: TaskState::Cancelled,
        reason: "its measurement failed".to_owned(),
        at: at(40),
    };
    let end = Change::MoveRun {
        run,
        state: RunState::Failed,
        reason: Some("nothing could be evaluated".to_owned()),
        at: at(41),
    };
    let retry = Change::RetryRun {
        run,
        at: at(50),
        deadline_at: at(9000),
    };
    assert_eq!(bench.commit(&[cancel, end, retry]).await, [Answer::Ok; 3]);
    let (token, mut assign) = bench.assignment(run, 1, 4);
    if let Change::Assign { at: when, .. } = &mut assign {
        *when = at(51);
    }
    assert_eq!(bench.change(assign).await, Answer::Ok);
    let state = measured("2026-11-21", b"state");
    let done = ok(bench.store.complete(&token, &state, at(52)).await);
    assert_eq!(done, Answer::Ok);
}

/// Each corruption, and the invariant that it breaks.
const CORRUPTIONS: &[(&str, &str)] = &[
    (
        "I1",
        "UPDATE task SET state = 'succeeded' WHERE state = 'ready'",
    ),
    (
        "I1",
        "UPDATE task_attempt SET outcome = 'retryable' WHERE task_id = 1",
    ),
    (
        "I1",
        "UPDATE task SET state = 'ready', generation = generation + 1 WHERE id = 2",
    ),
    ("I2", "UPDATE metric_state SET attempt = attempt + 1"),
    ("I2", "DELETE FROM metric_state WHERE task_id = 2"),
    (
        "I2",
        "INSERT INTO metric_state SELECT task_id, 'another', attempt, rows, bytes, payload \
      FROM metric_state LIMIT 1",
    ),
    ("I2", "UPDATE verdict SET attempt = 7 WHERE id = 1"),
    (
        "I3",
        "UPDATE task SET state = 'failed', reason = 'x' WHERE id = 2",
    ),
    ("I3", "DELETE FROM task_output WHERE task_id = 1"),
    (
        "I4",
        "UPDATE metric SET value = '12', number = 12 WHERE verdict_id = 1 AND series_id = 1",
    ),
    ("I4", "UPDATE metric SET number = 0.2 WHERE value = '0.1'"),
    (
        "I4",
        "DELETE FROM metric WHERE verdict_id = 1 AND series_id = 1",
    ),
    (
        "I5",
        "UPDATE run SET planned_tasks = planned_tasks + 1 WHERE planned_tasks > 0",
    ),
    ("I5", "UPDATE task SET no = no + 10 WHERE no = 2"),
    (
        "I5",
        "UPDATE run SET slot = slot - 1000000 WHERE slot IS NOT NULL",
    ),
    ("I5", "UPDATE schedule SET emitted_through = 0"),
    (
        "I5",
        "UPDATE task_spec SET spec = json_set(spec, '$.batches', 2) \
      WHERE spec ->> '$.kind' = 'measure'",
    ),
    (
        "I6",
        "UPDATE run SET state = 'partial', finished_at = 1 WHERE state = 'queued'",
    ),
    (
        "I6",
        "UPDATE run SET finished_at = NULL WHERE state = 'succeeded'",
    ),
    ("I7", "UPDATE task SET charged = 1 WHERE id = 1"),
    (
        "I7",
        "UPDATE task_attempt SET charged = 1, outcome = 'node_lost' \
      WHERE outcome = 'orphaned'",
    ),
    (
        "I8",
        "UPDATE task_attempt SET charged = 1 WHERE outcome = 'orphaned'",
    ),
    (
        "I9",
        "UPDATE event SET epoch = 1 WHERE kind = 'node_registered' AND epoch = 2",
    ),
    ("I9", "UPDATE leader_epoch SET epoch = 9"),
    (
        "I9",
        "UPDATE event SET epoch = 1 WHERE kind = 'epoch_minted'",
    ),
    (
        "I10",
        "UPDATE task SET attempt = attempt + 1 WHERE state = 'assigned'",
    ),
    (
        "I10",
        "UPDATE task SET nonce = 'another' WHERE state = 'assigned'",
    ),
    (
        "I10",
        "UPDATE task_attempt SET assigned_at = 0 WHERE attempt = 3",
    ),
    ("I10", "DELETE FROM task_attempt WHERE attempt = 2"),
    (
        "I11",
        "UPDATE task_attempt SET incarnation = 1 WHERE ended_at IS NULL",
    ),
    (
        "I11",
        "UPDATE event SET kind = 'node_moved', state = 'draining' \
      WHERE kind = 'node_registered'",
    ),
    ("I12", "UPDATE node SET state = 'gone'"),
    ("I13", "UPDATE task SET crashes = 1 WHERE id = 1"),
    (
        "I13",
        "UPDATE task SET state = 'quarantined', reason = 'x' WHERE state = 'ready'",
    ),
    (
        "I14",
        "UPDATE task_attempt SET outcome = 'dependency_down', charged = 0, \
      retry_at = ended_at + 3600000000 WHERE attempt = 1 AND retry_at IS NOT NULL",
    ),
    (
        "I15",
        "UPDATE task_attempt SET retry_at = ended_at + 3600000000 WHERE retry_at IS NOT NULL",
    ),
    (
        "I16",
        "UPDATE task_attempt SET assigned_at = assigned_at - 3600000000 WHERE task_id = 1",
    ),
    ("I17", "UPDATE outbox SET sent_at = created_at - 1"),
    ("I17", "UPDATE outbox SET body = '{'"),
    (
        "I18",
        "UPDATE verdict SET dataset_id = 'another' WHERE id = 1",
    ),
    (
        "I18",
        "UPDATE metric_series SET dataset_id = 'another' WHERE id = 1",
    ),
    ("I18", "UPDATE definition SET tenant = 'another'"),
    (
        "I19",
        "UPDATE task SET state = 'running' WHERE state = 'assigned'",
    ),
    ("I19", "UPDATE node SET state = 'suspect'"),
    ("I20", "DELETE FROM event WHERE seq = 3"),
    ("I20", "DELETE FROM run WHERE state = 'succeeded'"),
    ("I20", "DELETE FROM metric_series WHERE id = 1"),
    (
        "D1",
        "UPDATE check_result SET outcome = 'pass' WHERE outcome = 'fail'",
    ),
    ("D1", "DELETE FROM check_result WHERE verdict_id = 1"),
    ("D1", "UPDATE verdict SET planned = planned + 1"),
    ("D2", "UPDATE verdict SET superseded = 1"),
    (
        "D2",
        "UPDATE ledger SET revision = revision + 1 WHERE judged IS NOT NULL",
    ),
    (
        "D2",
        "UPDATE ledger SET version = 'v9' WHERE state = 'scanned'",
    ),
    (
        "D3",
        "UPDATE metric_state SET payload = x'00' WHERE payload IS NOT NULL",
    ),
    ("D3", "UPDATE incident SET resolved_at = 1"),
    ("N1", "DELETE FROM cause_member"),
    ("N1", "UPDATE cause SET status = 'acknowledged'"),
    ("N2", "UPDATE delivery SET id = 'another'"),
    (
        "N2",
        "UPDATE delivery SET state = 'delivered', next_at = NULL, ended_at = created_at",
    ),
];

#[tokio::test]
async fn a_right_store_breaks_no_invariant() {
    let (store, _folder) = world().await;
    assert_eq!(check_invariants(&store).await.unwrap(), []);
    assert!(!check_settled(&store).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_corruption_is_flagged_with_the_right_id() {
    let (store, folder) = world().await;
    store.close().await;
    let right = folder.path().join("assay.db");
    for (n, (id, corruption)) in CORRUPTIONS.iter().enumerate() {
        let path = folder.path().join(format!("{n}.db"));
        std::fs::copy(&right, &path).unwrap();
        let store = SqliteStore::open(&path, OpenOptions::default())
            .await
            .unwrap();
        store.corrupt(corruption).await;
        let found = check_invariants(&store).await.unwrap();
        store.close().await;
        assert!(
            found.iter().any(|v| v.id == *id),
            "{id} is not flagged by: {corruption}\n{found:#?}"
        );
    }
}

#[test]
fn every_invariant_has_a_corruption() {
    for (id, _) in INVARIANTS {
        assert!(CORRUPTIONS.iter().any(|(of, _)| of == id), "{id}");
    }
}
