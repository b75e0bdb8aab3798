//! What is promised of measurements, verdicts, the ledger, incidents and messages.

use std::sync::Arc;

use assay_model::change::Answer;
use assay_model::check::Severity;
use assay_model::ids::{CheckId, DatasetId};
use assay_model::incident::{Incident, IncidentStatus, OutboxEntry};
use assay_model::ledger::LedgerState;
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricStatus, MetricValue};
use assay_model::outcome::{Outcome, OutcomeCounts};
use assay_model::output::{Discovery, MeasuredPartition, Remarks, TaskOutput};
use assay_model::partition::{PartitionKey, PartitionVersion};
use assay_model::task::{EvaluateMode, TaskState};

use super::Store;
use super::fixtures::{
    Bench, at, check_result, day, discovery, evaluation, measured, ok, sighting, tasks,
};
use crate::error::StoreError;
use crate::port::ResultFilter;

const D20: &str = "2026-11-20";
const D21: &str = "2026-11-21";
const D22: &str = "2026-11-22";

fn key(text: &str) -> PartitionKey {
    PartitionKey(text.to_owned())
}

/// States are merged in the order of the tasks, whatever the order of the question.
pub async fn states_come_back_in_the_order_of_the_tasks(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench
        .planned("a", &[(D20, "v1"), (D20, "v1"), (D20, "v1")])
        .await;
    for no in [3, 1, 2] {
        let state = vec![u8::try_from(no).unwrap_or(0); 3];
        bench.finish(run, no, &measured(D20, &state)).await;
    }
    let states = ok(bench.store.states(run, &key(D20), &[2, 3, 1]).await);
    assert_eq!(states, [(1, vec![1; 3]), (2, vec![2; 3]), (3, vec![3; 3])]);
    let some = ok(bench.store.states(run, &key(D20), &[3]).await);
    assert_eq!(some, [(3, vec![3; 3])]);
}

/// A batch may hold rows of many partitions.
pub async fn a_batch_of_many_partitions_keeps_each_state(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.planned("a", &[(D20, "v1")]).await;
    let parts = (0..700_u32).map(|n| MeasuredPartition {
        partition: key(&n.to_string()),
        rows: u64::from(n),
        state: n.to_le_bytes().to_vec(),
    });
    bench
        .finish(run, 1, &TaskOutput::Measured(parts.collect()))
        .await;
    for n in [0_u32, 499, 500, 699] {
        let states = ok(bench.store.states(run, &key(&n.to_string()), &[1]).await);
        assert_eq!(states, [(1, n.to_le_bytes().to_vec())]);
    }
    assert!(ok(bench.store.states(run, &key("700"), &[1]).await).is_empty());
}

/// Only committed states are read.
pub async fn states_of_unfinished_tasks_are_not_read(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.planned("a", &[(D20, "v1")]).await;
    bench.assign(run, 1, 1).await;
    assert!(ok(bench.store.states(run, &key(D20), &[1]).await).is_empty());
}

/// A state that went into a verdict is gone, and says so.
pub async fn a_merged_state_is_not_read_again(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench
        .judged("a", evaluation(D20, "v1", 10, Outcome::Pass))
        .await;
    let gone = bench.store.states(run, &key(D20), &[1]).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
}

/// What a discovery saw is in the ledger, and its plan can be asked for.
pub async fn a_discovery_fills_the_ledger(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let mut plan = discovery(&[(D21, "v1"), (D20, "v1")]);
    plan.sightings
        .push(sighting(D22, "v1", LedgerState::Discovered));
    plan.ignored = vec!["a: odd".to_owned(), "b: odd".to_owned()];
    plan.notices = vec!["a word".to_owned()];
    assert_eq!(ok(bench.store.remarks(run, 1).await), Remarks::default());
    bench
        .finish(run, 0, &TaskOutput::Discovered(plan.clone()))
        .await;
    let ledger = ok(bench.store.ledger(bench.id()).await);
    let keys: Vec<_> = ledger.iter().map(|e| e.partition.key.as_str()).collect();
    assert_eq!(keys, [D20, D21, D22]);
    assert_eq!(ledger[0].partition, day(D20));
    assert_eq!(ledger[2].state, LedgerState::Discovered);
    assert_eq!((ledger[0].objects, ledger[0].bytes), (2, 1000));
    assert_eq!(ledger[0].first_seen, at(3));
    assert_eq!(ledger[0].last_modified, Some(at(-60)));
    assert_eq!((ledger[0].revision, ledger[0].verdict), (0, None));
    let task = assay_model::ids::TaskId { run, no: 0 };
    let page = ok(bench.store.plan_page(task, 1).await);
    assert_eq!(page.map(|page| page.tasks), Some(plan.tasks(run).collect()));
    let remarks = ok(bench.store.remarks(run, 1).await);
    assert_eq!((remarks.ignored_count, remarks.ignored.len()), (2, 1));
    assert_eq!(remarks.notices, ["a word"]);
}

/// Seen, judged, rewritten, judged again, gone: one row.
pub async fn the_ledger_follows_a_partition_through_its_life(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    bench
        .judged("a", evaluation(D20, "v1", 10, Outcome::Pass))
        .await;
    let entry = ok(bench.store.ledger(bench.id()).await).remove(0);
    assert_eq!((entry.state, entry.revision), (LedgerState::Scanned, 1));
    assert_eq!(entry.judged, Some(PartitionVersion("v1".to_owned())));
    assert_eq!(entry.verdict.map(|v| v.pass), Some(1));
    let run = bench.submit("b").await;
    let rewritten = Discovery {
        sightings: vec![sighting(D20, "v2", LedgerState::Rewritten)],
        ..Discovery::default()
    };
    bench
        .finish(run, 0, &TaskOutput::Discovered(rewritten))
        .await;
    let entry = ok(bench.store.ledger(bench.id()).await).remove(0);
    assert_eq!(entry.state, LedgerState::Rewritten);
    assert_eq!(entry.version.as_str(), "v2");
    assert_eq!(entry.judged, Some(PartitionVersion("v1".to_owned())));
    bench
        .judged("c", evaluation(D20, "v2", 12, Outcome::Fail))
        .await;
    let ledger = ok(bench.store.ledger(bench.id()).await);
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0].state, LedgerState::Scanned);
    assert_eq!(ledger[0].revision, 2);
    assert_eq!(ledger[0].verdict.map(|v| v.fail), Some(1));
    assert_eq!(ledger[0].first_seen, at(3));
}

/// A partition that has not come has a verdict; when it comes, it gets another.
pub async fn a_missing_partition_is_judged_and_may_come_later(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let mut plan = discovery(&[(D20, "missing")]);
    plan.measures.clear();
    plan.sightings[0].state = LedgerState::Missing;
    plan.evaluations[0].mode = EvaluateMode::Missing;
    plan.evaluations[0].measured_by.clear();
    bench
        .finish(run, 0, &TaskOutput::Discovered(plan.clone()))
        .await;
    let plan = assay_model::change::Change::PlanRun {
        run,
        tasks: tasks(run, &plan),
    };
    assert_eq!(bench.change(plan).await, Answer::Ok);
    let mut verdict = evaluation(D20, "missing", 0, Outcome::Missing);
    verdict.metrics.clear();
    verdict.state = LedgerState::Missing;
    bench
        .finish(run, 1, &TaskOutput::Evaluated(Box::new(verdict)))
        .await;
    let entry = ok(bench.store.ledger(bench.id()).await).remove(0);
    assert_eq!(entry.state, LedgerState::Missing);
    assert_eq!(entry.verdict.map(|v| v.missing), Some(1));
    assert!(ok(bench.store.history(bench.id(), None, 10).await).is_empty());
    bench
        .judged("b", evaluation(D20, "v1", 10, Outcome::Pass))
        .await;
    let entry = ok(bench.store.ledger(bench.id()).await).remove(0);
    assert_eq!((entry.state, entry.revision), (LedgerState::Scanned, 2));
}

/// The newest judgement is in force; the older one is kept.
pub async fn a_second_revision_supersedes_the_first(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    bench
        .judged("a", evaluation(D20, "v1", 10, Outcome::Pass))
        .await;
    bench
        .judged("b", evaluation(D20, "v2", 12, Outcome::Fail))
        .await;
    let verdicts = ok(bench.store.verdicts(bench.id(), None, 10).await);
    assert_eq!(verdicts.len(), 1);
    assert_eq!((verdicts[0].revision, verdicts[0].superseded), (2, false));
    assert_eq!(verdicts[0].counts.fail, 1);
    let breaches = ok(bench.store.breaches(bench.id(), "", 10).await);
    let broken: Vec<_> = breaches.iter().map(|b| b.partition.as_str()).collect();
    assert_eq!(broken, [D20], "the first version's pass is superseded");
    let history = ok(bench.store.history(bench.id(), None, 10).await);
    assert_eq!(history[0].1.len(), 1);
    assert_eq!(history[0].1[0].value, MetricValue::integer(12));
    let mut filter = ResultFilter {
        limit: 10,
        ..ResultFilter::default()
    };
    let found = ok(bench.store.results(bench.id(), &filter).await);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].result.outcome, Outcome::Fail);
    filter.superseded = true;
    let found = ok(bench.store.results(bench.id(), &filter).await);
    let versions: Vec<_> = found.iter().map(|r| r.version.as_str()).collect();
    assert_eq!(versions, ["v2", "v1"]);
    // What opens an incident is broken: a warning, too, unless it only informs.
    bench
        .judged("c", evaluation(D21, "v1", 10, Outcome::Warn))
        .await;
    let mut told = evaluation(D22, "v1", 10, Outcome::Warn);
    told.results[0].severity = Severity::Info;
    bench.judged("d", told).await;
    let breaches = ok(bench.store.breaches(bench.id(), "", 10).await);
    let broken: Vec<_> = breaches.iter().map(|b| b.partition.as_str()).collect();
    assert_eq!(broken, [D21, D20]);
}

/// A slow run that judges a version that has been replaced changes no verdict in force.
pub async fn a_late_verdict_on_an_older_version_is_not_in_force(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let slow = bench.planned("slow", &[(D20, "v1")]).await;
    bench.finish(slow, 1, &measured(D20, b"old")).await;
    bench
        .judged("quick", evaluation(D20, "v2", 12, Outcome::Pass))
        .await;
    let mut late = evaluation(D20, "v1", 10, Outcome::Fail);
    late.incidents.push(incident(&bench, "rows_exist", D20, 1));
    bench
        .finish(slow, 2, &TaskOutput::Evaluated(Box::new(late)))
        .await;
    let verdicts = ok(bench.store.verdicts(bench.id(), None, 10).await);
    assert_eq!(verdicts.len(), 1);
    assert_eq!(verdicts[0].version.as_str(), "v2");
    let entry = ok(bench.store.ledger(bench.id()).await).remove(0);
    assert_eq!(entry.judged, Some(PartitionVersion("v2".to_owned())));
    assert_eq!(entry.verdict.map(|v| v.pass), Some(1));
    assert!(ok(bench.store.incidents(None, false, 10).await).is_empty());
    assert_eq!(bench.task(slow, 2).await.state, TaskState::Succeeded);
}

async fn three_days(bench: &Bench) {
    for (run, (day, rows)) in [("b", (D21, 21)), ("a", (D20, 20)), ("c", (D22, 22))] {
        bench
            .judged(run, evaluation(day, "v1", rows, Outcome::Pass))
            .await;
    }
}

/// History is in the order of the partitions, and a partition is not its own past.
pub async fn history_is_in_order_and_ends_before_what_is_asked(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    three_days(&bench).await;
    let history = ok(bench.store.history(bench.id(), None, 10).await);
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].0, MetricKey::table(Metric::RowCount));
    let days: Vec<_> = history[0]
        .1
        .iter()
        .map(|p| (*p.partition).clone())
        .collect();
    assert_eq!(days, [day(D20), day(D21), day(D22)]);
    let past = ok(bench.store.history(bench.id(), Some(&day(D22)), 10).await);
    let values: Vec<_> = past[0].1.iter().map(|p| p.value.to_string()).collect();
    assert_eq!(values, ["20", "21"]);
    let none = ok(bench.store.history(bench.id(), Some(&day(D20)), 10).await);
    assert!(none.is_empty());
}

/// A bound keeps the newest.
pub async fn history_takes_the_newest_when_it_is_bounded(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    three_days(&bench).await;
    let history = ok(bench.store.history(bench.id(), None, 2).await);
    let values: Vec<_> = history[0].1.iter().map(|p| p.value.to_string()).collect();
    assert_eq!(values, ["21", "22"]);
    let history = ok(bench.store.history(bench.id(), Some(&day(D22)), 1).await);
    assert_eq!(history[0].1[0].value.to_string(), "21");
}

/// Values come back as they went in.
pub async fn history_keeps_every_digit_and_every_bit(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let values = [
        MetricValue::integer(i128::MAX),
        MetricValue::Exact("-0.30".to_owned()),
        MetricValue::Exact("9".repeat(400)),
        MetricValue::Float(0.1 + 0.2),
        MetricValue::Float(f64::MIN_POSITIVE),
        MetricValue::Float(5e-324),
        MetricValue::Float(-0.0),
        MetricValue::Float(f64::MAX),
        MetricValue::Float(f64::INFINITY),
        MetricValue::Text("two\nlines, a \"quote\", a \\ and \u{1F980} \u{1}".to_owned()),
        MetricValue::Text(String::new()),
        MetricValue::Null,
    ];
    let mut verdict = evaluation(D20, "v1", 1, Outcome::Pass);
    for (n, value) in values.iter().enumerate() {
        let named = MetricKey::column(Metric::Max, format!("c{n:02}"));
        verdict
            .metrics
            .push(MetricPoint::computed(named, value.clone()));
    }
    let failed = MetricKey::column(Metric::Max, "d");
    verdict.metrics.push(MetricPoint::failed(
        failed.clone(),
        MetricStatus::Overflow,
        "too large",
    ));
    bench.judged("a", verdict).await;
    let history = ok(bench.store.history(bench.id(), None, 10).await);
    let of = |key: &MetricKey| history.iter().find(|(k, _)| k == key).map(|(_, v)| &v[0]);
    for (n, value) in values.iter().enumerate() {
        let named = MetricKey::column(Metric::Max, format!("c{n:02}"));
        let found = of(&named).map(|p| format!("{:?}", p.value));
        assert_eq!(found, Some(format!("{value:?}")));
    }
    assert_eq!(of(&failed).map(|p| p.status), Some(MetricStatus::Overflow));
}

/// Verdicts are listed as the partitions come.
pub async fn verdicts_are_in_the_order_of_the_partitions(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    three_days(&bench).await;
    let verdicts = ok(bench.store.verdicts(bench.id(), None, 2).await);
    let days: Vec<_> = verdicts.iter().map(|v| v.partition.key.as_str()).collect();
    assert_eq!(days, [D21, D22]);
    assert_eq!(verdicts[0].judged_at, at(100));
    assert!(verdicts[0].sealed && verdicts[0].counts.is_complete());
    // A verdict tells the definition that it was issued by.
    let digest = &verdicts[0].definition;
    assert_eq!(*digest, bench.dataset.digest());
    let by = ok(bench.store.definition_by(digest).await);
    assert_eq!(by.as_ref(), Some(&bench.dataset));
    assert_eq!(ok(bench.store.definition_by("none").await), None);
}

/// A check that is counted twice, or not at all, is refused with all that comes with it.
pub async fn counts_that_are_not_those_of_the_results_are_refused(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.planned("a", &[(D20, "v1")]).await;
    bench.finish(run, 1, &measured(D20, b"state")).await;
    let token = bench.assign(run, 2, 1).await;
    let mut wrong = evaluation(D20, "v1", 10, Outcome::Pass);
    wrong.counts.planned = 2;
    let mut twice = evaluation(D20, "v1", 10, Outcome::Pass);
    twice
        .results
        .push(check_result("rows_exist", Outcome::Fail));
    twice.counts = OutcomeCounts::of(&twice.results);
    for bad in [wrong, twice] {
        let bad = TaskOutput::Evaluated(Box::new(bad));
        let refused = bench.store.complete(&token, &bad, at(3)).await;
        assert!(
            matches!(refused, Err(StoreError::Refused { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(bench.task(run, 2).await.state, TaskState::Assigned);
    assert!(ok(bench.store.verdicts(bench.id(), None, 9).await).is_empty());
    let good = evaluation(D20, "v1", 10, Outcome::Pass);
    let good = TaskOutput::Evaluated(Box::new(good));
    assert_eq!(bench.complete(&token, &good).await, Answer::Ok);
}

/// A task judges what it was told to judge.
pub async fn a_verdict_on_another_version_is_refused(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.planned("a", &[(D20, "v1")]).await;
    bench.finish(run, 1, &measured(D20, b"state")).await;
    let token = bench.assign(run, 2, 1).await;
    for (day, version) in [(D20, "v2"), (D21, "v1")] {
        let other = evaluation(day, version, 10, Outcome::Pass);
        let other = TaskOutput::Evaluated(Box::new(other));
        let refused = bench.store.complete(&token, &other, at(3)).await;
        assert!(
            matches!(refused, Err(StoreError::Refused { .. })),
            "{refused:?}"
        );
    }
}

/// Every combination of filters finds what it should.
pub async fn results_are_found_by_run_partition_and_check(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let mut runs = Vec::new();
    for (n, day) in [D20, D21].into_iter().enumerate() {
        let mut verdict = evaluation(day, "v1", 10, Outcome::Pass);
        verdict.results.push(check_result("second", Outcome::Warn));
        verdict.counts = OutcomeCounts::of(&verdict.results);
        runs.push(bench.judged(&n.to_string(), verdict).await);
    }
    for mask in 0..8_u32 {
        let filter = ResultFilter {
            run: (mask & 1 > 0).then(|| runs[0]),
            partition: (mask & 2 > 0).then(|| key(D20)),
            check: (mask & 4 > 0).then(|| CheckId::new("second")),
            superseded: false,
            bad: false,
            limit: 100,
        };
        let found = ok(bench.store.results(bench.id(), &filter).await);
        let days = if mask & 3 > 0 { 1 } else { 2 };
        let checks = if mask & 4 > 0 { 1 } else { 2 };
        assert_eq!(found.len(), days * checks, "{filter:?}");
        let newest = if mask & 3 > 0 { D20 } else { D21 };
        assert_eq!(found[0].partition.key.as_str(), newest);
        let first = if mask & 4 > 0 { "second" } else { "rows_exist" };
        assert_eq!(found[0].result.check.as_str(), first, "{filter:?}");
    }
    let one = ResultFilter {
        limit: 1,
        ..ResultFilter::default()
    };
    assert_eq!(ok(bench.store.results(bench.id(), &one).await).len(), 1);
}

pub(super) fn incident(bench: &Bench, check: &str, partition: &str, partitions: u32) -> Incident {
    let check = CheckId::new(check);
    Incident {
        id: Incident::id_of(bench.id(), &check, &key(D20)),
        dataset: bench.id().clone(),
        check,
        column: String::new(),
        severity: Severity::Error,
        status: IncidentStatus::Open,
        series: String::new(),
        first_partition: key(D20),
        last_partition: key(partition),
        partitions,
        message: "no rows".to_owned(),
        opened_at: at(i64::from(partitions)),
        updated_at: at(200),
        resolved_at: None,
    }
}

/// A message is told once, in the order of writing, until it is sent.
pub async fn a_message_is_told_once(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let message = |key: &str| OutboxEntry {
        key: key.to_owned(),
        event: "incident.opened".to_owned(),
        dataset: bench.id().clone(),
        body: serde_json::json!({ "partition": D20, "n": [1, 2.5, null] }),
        after: None,
    };
    let mut first = evaluation(D20, "v1", 0, Outcome::Fail);
    first.outbox = vec![message("z"), message("a")];
    let mut second = evaluation(D20, "v2", 0, Outcome::Fail);
    second.outbox = vec![message("a"), message("m")];
    bench.judged("a", first).await;
    bench.judged("b", second).await;
    let waiting = ok(bench.store.outbox(10).await);
    assert_eq!(waiting, [message("z"), message("a"), message("m")]);
    let keys = ["z".to_owned(), "a".to_owned(), "unknown".to_owned()];
    assert_eq!(ok(bench.store.sent(bench.epoch, &keys, at(9)).await), 2);
    assert_eq!(ok(bench.store.sent(bench.epoch, &keys, at(9)).await), 0);
    assert_eq!(ok(bench.store.outbox(10).await), [message("m")]);
    let mut third = evaluation(D20, "v3", 0, Outcome::Fail);
    third.outbox = vec![message("z")];
    bench.judged("c", third).await;
    assert_eq!(ok(bench.store.outbox(10).await), [message("m")]);
}

/// The same incident goes on.
pub async fn an_incident_is_updated_and_not_doubled(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let mut first = evaluation(D20, "v1", 0, Outcome::Fail);
    first.incidents.push(incident(&bench, "rows_exist", D20, 1));
    bench.judged("a", first).await;
    let mut second = evaluation(D21, "v1", 0, Outcome::Fail);
    let mut grown = incident(&bench, "rows_exist", D21, 2);
    grown.status = IncidentStatus::Resolved;
    grown.resolved_at = Some(at(200));
    second.incidents.push(grown.clone());
    bench.judged("b", second).await;
    let found = ok(bench.store.incidents(Some(bench.id()), false, 10).await);
    grown.opened_at = at(1);
    assert_eq!(found, [grown], "its opening stays");
}

/// Open ones first, then the newest.
pub async fn open_incidents_come_first(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let mut verdict = evaluation(D20, "v1", 0, Outcome::Fail);
    for (n, check) in (1..).zip(["a", "b", "c", "d"]) {
        let mut one = incident(&bench, check, D20, n);
        if n > 2 {
            one.status = IncidentStatus::Resolved;
            one.resolved_at = Some(at(200));
        }
        verdict.incidents.push(one);
    }
    bench.judged("a", verdict).await;
    for dataset in [None, Some(bench.id())] {
        let found = ok(bench.store.incidents(dataset, false, 10).await);
        let order: Vec<_> = found.iter().map(|i| i.check.as_str()).collect();
        assert_eq!(order, ["b", "a", "d", "c"]);
        let open = ok(bench.store.incidents(dataset, true, 10).await);
        assert_eq!(open.len(), 2);
        let one = ok(bench.store.incidents(dataset, false, 1).await);
        assert_eq!(one.len(), 1);
    }
}

/// A question about one dataset is answered from that dataset.
pub async fn datasets_do_not_see_one_another(store: Arc<dyn Store>) {
    let orders = Bench::of(Arc::clone(&store), "orders").await;
    orders
        .judged("a", evaluation(D20, "v1", 10, Outcome::Pass))
        .await;
    let trips = Bench::of(Arc::clone(&store), "trips").await;
    trips
        .judged("a", evaluation(D21, "v1", 20, Outcome::Pass))
        .await;
    let ledger = ok(store.ledger(orders.id()).await);
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0].partition.key.as_str(), D20);
    let history = ok(store.history(trips.id(), None, 10).await);
    assert_eq!(history[0].1.len(), 1);
    assert_eq!(history[0].1[0].value, MetricValue::integer(20));
    let none: DatasetId = ok(DatasetId::new("none"));
    assert!(ok(store.verdicts(&none, None, 10).await).is_empty());
    assert!(ok(store.incidents(Some(&none), false, 10).await).is_empty());
}

/// How far an estimate may be off is kept with its value and with the results on it.
pub async fn the_error_of_an_estimate_is_kept(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let mut judged = evaluation(D20, "v1", 10, Outcome::Pass);
    let mut estimate = MetricPoint::computed(
        MetricKey::column(Metric::DistinctCount, "id"),
        MetricValue::Float(12_345.0),
    );
    estimate.error_bound = Some(0.008_125);
    estimate.note = Some("3 values that are not finite numbers are left out".to_owned());
    judged.results[0].metric = estimate.key.clone();
    judged.results[0].actual = estimate.value.clone();
    judged.results[0].error_bound = estimate.error_bound;
    judged.results[0].note = estimate.note.clone();
    let result = judged.results[0].clone();
    judged.metrics.push(estimate.clone());
    bench.judged("a", judged).await;
    let history = ok(bench.store.history(bench.id(), None, 10).await);
    let of = |key: &MetricKey| {
        let found = history.iter().find(|(k, _)| k == key);
        found.map(|(_, points)| (points[0].value.clone(), points[0].error_bound))
    };
    assert_eq!(of(&estimate.key), Some((estimate.value, Some(0.008_125))));
    let rows = of(&MetricKey::table(Metric::RowCount));
    assert_eq!(rows, Some((MetricValue::integer(10), None)));
    let filter = ResultFilter {
        limit: 10,
        ..ResultFilter::default()
    };
    let results = ok(bench.store.results(bench.id(), &filter).await);
    assert_eq!(results[0].result, result);
}
