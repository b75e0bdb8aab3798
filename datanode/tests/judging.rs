//! What a cluster says about data: learned limits, incidents, rewritten and broken partitions.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use assay_manager::{ManagerHandle, OutboxSink};
use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity};
use assay_model::dataset::{Dataset, KeyKind, KeySpec, Layout};
use assay_model::ids::CheckId;
use assay_model::incident::{IncidentStatus, OutboxEntry};
use assay_model::metric::{Metric, MetricKey};
use assay_model::outcome::{CheckResult, Outcome, Span};
use assay_model::run::{Run, RunState, Selection, Trigger};
use assay_proto::link::Door;
use assay_store::port::ResultFilter;
use async_trait::async_trait;
use cluster::{Cluster, within};

/// A sink that keeps what it takes, and refuses the first offer.
#[derive(Default)]
struct Shelf {
    offers: Mutex<u32>,
    taken: Mutex<Vec<OutboxEntry>>,
}

#[async_trait]
impl OutboxSink for Shelf {
    async fn take(&self, entry: &OutboxEntry) -> Result<(), String> {
        let mut offers = self.offers.lock().unwrap();
        *offers += 1;
        if *offers == 1 {
            return Err("not now".to_owned());
        }
        self.taken.lock().unwrap().push(entry.clone());
        Ok(())
    }
}

fn write_day(cluster: &Cluster, day: u32, rows: u32) {
    let (month, day) = if day <= 31 { (8, day) } else { (9, day - 31) };
    let mut text = String::from("id,amount\n");
    for row in 0..rows {
        // A different spread each day, so that no day repeats another.
        text.push_str(&format!("{row},{}\n", (row * 7 + day * 3) % 101));
    }
    let name = format!("orders_2026-{month:02}-{day:02}.csv");
    std::fs::write(cluster.folder.path().join(name), text).unwrap();
}

async fn run(manager: &ManagerHandle, dataset: Dataset, trigger: Trigger) -> Run {
    let submitted = manager.submit(dataset, trigger, Selection::default(), None);
    let run = submitted.await.unwrap().run;
    within("the end", manager.wait(run)).await.unwrap()
}

async fn outcome(cluster: &Cluster, partition: &str, check: &str) -> Outcome {
    result(cluster, partition, check).await.outcome
}

async fn result(cluster: &Cluster, partition: &str, check: &str) -> CheckResult {
    let filter = ResultFilter {
        limit: 100_000,
        ..ResultFilter::default()
    };
    let results = cluster
        .metrics
        .results(&cluster.dataset().id, &filter)
        .await
        .unwrap();
    let row = results
        .iter()
        .find(|r| r.partition.key.as_str() == partition && r.result.check.as_str() == check);
    row.unwrap().result.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_out_of_its_limits_opens_an_incident_and_its_repair_resolves_it() {
    let cluster = Cluster::new().await;
    for day in 1..=45 {
        write_day(&cluster, day, 1000 + (day * 37) % 50);
    }
    let manager = cluster.manager("m1");
    let shelf = Arc::new(Shelf::default());
    manager.hand_on_messages(shelf.clone());
    let door = Door::Local(manager.doorway());
    let _nodes = [
        cluster.node("n1", vec![door.clone()]),
        cluster.node("n2", vec![door]),
    ];
    within("leadership", manager.leads()).await;
    let began = Instant::now();
    let backfill = run(&manager, cluster.dataset(), Trigger::Backfill).await;
    println!("{} tasks in {:?}", backfill.planned_tasks, began.elapsed());
    assert_eq!(backfill.state, RunState::Succeeded, "{backfill:?}");
    let check = "profile:rowCount";
    assert_eq!(
        outcome(&cluster, "2026-08-03", check).await,
        Outcome::Learning
    );
    assert_eq!(outcome(&cluster, "2026-09-14", check).await, Outcome::Pass);

    // Most of a day is missing.
    write_day(&cluster, 46, 90);
    let live = run(&manager, cluster.dataset(), Trigger::Arrival).await;
    assert_eq!((live.state, live.planned_tasks), (RunState::Succeeded, 2));
    assert_eq!(outcome(&cluster, "2026-09-15", check).await, Outcome::Fail);
    let id = cluster.dataset().id;
    let open = cluster
        .metrics
        .incidents(Some(&id), true, 100)
        .await
        .unwrap();
    let ours = open.iter().find(|i| i.check.as_str() == check).unwrap();
    assert_eq!(ours.first_partition.as_str(), "2026-09-15");

    // The day is written again, whole.
    write_day(&cluster, 46, 1031);
    let repair = run(&manager, cluster.dataset(), Trigger::Arrival).await;
    assert_eq!(
        (repair.state, repair.planned_tasks),
        (RunState::Succeeded, 2)
    );
    assert_eq!(outcome(&cluster, "2026-09-15", check).await, Outcome::Pass);
    assert_eq!(
        outcome(&cluster, "2026-09-15", "restated").await,
        Outcome::Warn
    );
    let all = cluster
        .metrics
        .incidents(Some(&id), false, 1000)
        .await
        .unwrap();
    let ours = all.iter().find(|i| i.id == ours.id).unwrap();
    assert_eq!(ours.status, IncidentStatus::Resolved);
    let told = async {
        loop {
            let taken = shelf.taken.lock().unwrap().clone();
            let of_ours = taken
                .iter()
                .filter(|e| e.key.starts_with(&ours.id.to_string()));
            let events: Vec<String> = of_ours.map(|e| e.event.clone()).collect();
            if events.len() == 2 {
                return events;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let events = within("the messages", told).await;
    assert_eq!(events, ["incident.opened", "incident.resolved"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_cannot_be_read_is_an_error_and_the_others_stand() {
    let cluster = Cluster::new().await;
    cluster.write_days(3);
    // A column more than the header names.
    let broken = cluster.folder.path().join("orders_2026-10-02.csv");
    std::fs::write(&broken, "id,amount\n1,2,3\n\"4").unwrap();
    let manager = cluster.manager("m1");
    let _node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
    within("leadership", manager.leads()).await;
    let first = run(&manager, cluster.dataset(), Trigger::Manual).await;
    assert_eq!(first.state, RunState::Partial, "{first:?}");
    assert_eq!(
        outcome(&cluster, "2026-10-01", "empty").await,
        Outcome::Pass
    );
    assert_eq!(
        outcome(&cluster, "2026-10-02", "empty").await,
        Outcome::Error
    );
    assert_eq!(
        outcome(&cluster, "2026-10-03", "empty").await,
        Outcome::Pass
    );
    let tasks = cluster.metrics.tasks(first.id).await.unwrap();
    let failed: Vec<_> = tasks.iter().filter(|(t, _)| t.reason.is_some()).collect();
    assert!(
        failed[0]
            .0
            .reason
            .as_ref()
            .unwrap()
            .contains("orders_2026-10-02.csv")
    );
    assert_eq!(
        failed[0].1.len(),
        1,
        "what cannot be read is not tried again"
    );
    cluster.write_days(3);
    let second = run(&manager, cluster.dataset(), Trigger::Manual).await;
    assert_eq!(second.state, RunState::Succeeded, "{second:?}");
    cluster.assert_right(3).await;
}

fn failing(id: &str, metric: MetricKey) -> Check {
    Check {
        id: CheckId::new(id),
        metric,
        expect: Expectation::MustBeLessThan(Bound::from(0)),
        severity: Severity::Error,
        origin: CheckOrigin::Declared,
        dimension: None,
        description: None,
        line: None,
        tags: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_always_fails_holds_back_what_it_makes_suspect_and_nothing_else() {
    let cluster = Cluster::new().await;
    for day in 1..=12 {
        write_day(&cluster, day, 100 + (day * 37) % 50);
    }
    let manager = cluster.manager("m1");
    let _node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
    within("leadership", manager.leads()).await;
    let mut dataset = cluster.dataset();
    dataset.checks = vec![failing(
        "few_ids",
        MetricKey::column(Metric::LengthMean, "id"),
    )];
    let ended = run(&manager, dataset, Trigger::Manual).await;
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");

    let last = "2026-08-12";
    assert_eq!(outcome(&cluster, last, "few_ids").await, Outcome::Fail);
    // Neither the rows nor the other column have to do with it: they learn from all days.
    for free in ["profile:rowCount", "profile:nullPercent(amount)"] {
        let result = result(&cluster, last, free).await;
        let limits = result
            .limits
            .unwrap_or_else(|| panic!("{free}: {:?}", result.reason));
        assert_eq!(Span::count(&limits.learned_from), 11, "{free}");
        assert!(limits.held_back.is_empty(), "{free}");
    }
    let held = result(&cluster, last, "profile:nullPercent(id)").await;
    assert_eq!(held.outcome, Outcome::Learning);
    let reason = held.reason.unwrap();
    assert!(
        reason.ends_with("learning held back by few_ids (11 partitions)"),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_data_is_a_warning_with_an_incident_until_it_is_back() {
    let cluster = Cluster::new().await;
    cluster.write_days(4);
    let manager = cluster.manager("m1");
    let _node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
    within("leadership", manager.leads()).await;
    run(&manager, cluster.dataset(), Trigger::Manual).await;
    let lost = cluster.folder.path().join("orders_2026-10-03.csv");
    let bytes = std::fs::read(&lost).unwrap();
    std::fs::remove_file(&lost).unwrap();
    let second = run(&manager, cluster.dataset(), Trigger::Manual).await;
    assert_eq!(second.state, RunState::Succeeded, "{second:?}");
    let gone = result(&cluster, "2026-10-03", "gone").await;
    assert_eq!(gone.outcome, Outcome::Warn);
    assert!(gone.reason.unwrap().contains("is gone"));
    assert_eq!(
        outcome(&cluster, "2026-10-03", "empty").await,
        Outcome::Skipped
    );
    assert_eq!(losses(&cluster).await, 1);
    std::fs::write(&lost, bytes).unwrap();
    run(&manager, cluster.dataset(), Trigger::Manual).await;
    assert_eq!(
        outcome(&cluster, "2026-10-03", "empty").await,
        Outcome::Pass
    );
    assert_eq!(losses(&cluster).await, 0);
}

/// Open incidents about data that was taken away.
async fn losses(cluster: &Cluster) -> usize {
    let id = cluster.dataset().id;
    let open = cluster.metrics.incidents(Some(&id), true, 100).await;
    let open = open.unwrap();
    open.iter().filter(|i| i.check.as_str() == "gone").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_whose_name_tells_no_day_is_an_error_and_the_others_are_judged() {
    let cluster = Cluster::new().await;
    cluster.write_days(3);
    let odd = cluster.folder.path().join("orders_2026-13-01.csv");
    std::fs::write(&odd, "id,amount\n1,2\n").unwrap();
    let manager = cluster.manager("m1");
    let _node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
    within("leadership", manager.leads()).await;
    let mut dataset = cluster.dataset();
    dataset.partitions.layout = Layout::Template("orders_{of}.csv".to_owned());
    dataset.partitions.keys = vec![KeySpec {
        name: "of".to_owned(),
        kind: KeyKind::Date,
    }];
    run(&manager, dataset, Trigger::Manual).await;
    assert_eq!(
        outcome(&cluster, "2026-10-02", "empty").await,
        Outcome::Pass
    );
    let refused = result(&cluster, "2026-13-01", "empty").await;
    assert_eq!(refused.outcome, Outcome::Error);
    let reason = refused.reason.unwrap();
    assert!(reason.contains("orders_2026-13-01.csv"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_that_was_a_warning_does_not_teach_after_it_is_over() {
    let cluster = Cluster::new().await;
    let manager = cluster.manager("m1");
    let _node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
    within("leadership", manager.leads()).await;
    let rows = |day: u32| 1000 + (day * 37) % 50;
    for day in 1..=12 {
        write_day(&cluster, day, rows(day));
    }
    run(&manager, cluster.dataset(), Trigger::Arrival).await;
    let check = "profile:rowCount";
    // Half of a day is lost while limits are provisional, then a day is in order, then half is lost.
    for (day, rows, expected) in [
        (13, 480, Outcome::Warn),
        (14, rows(14), Outcome::Pass),
        (15, 520, Outcome::Warn),
    ] {
        write_day(&cluster, day, rows);
        run(&manager, cluster.dataset(), Trigger::Arrival).await;
        let result = result(&cluster, &format!("2026-08-{day}"), check).await;
        assert_eq!(result.outcome, expected, "day {day}: {:?}", result.limits);
        let learned_from = result.limits.unwrap().learned_from;
        let lost = "2026-08-13";
        let beside = |span: &Span| span.last.as_str() < lost || span.first.as_str() > lost;
        assert!(learned_from.iter().all(beside), "{day}: {learned_from:?}");
    }
}

/// A Hive layout of a day and a region; the ids differ from day to day.
fn write_region(cluster: &Cluster, day: u32, region: &str, rows: u32) {
    let (month, of_month) = if day <= 31 { (8, day) } else { (9, day - 31) };
    let path = format!("day=2026-{month:02}-{of_month:02}/region={region}/part.csv");
    let path = cluster.folder.path().join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut text = String::from("id,amount\n");
    for row in 0..rows {
        text.push_str(&format!("{row},{}\n", (row * 7 + day * 3) % 101));
    }
    std::fs::write(path, text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_loses_its_rows_is_not_excused_by_a_smaller_one() {
    let cluster = Cluster::new().await;
    for day in 1..=39 {
        write_region(&cluster, day, "eu", 3000 + (day * 37) % 50);
        write_region(&cluster, day, "lu", 100 + (day * 3) % 7);
    }
    let manager = cluster.manager("m1");
    let _node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
    within("leadership", manager.leads()).await;
    let backfill = run(&manager, cluster.dataset(), Trigger::Backfill).await;
    assert_eq!(backfill.state, RunState::Succeeded, "{backfill:?}");
    let check = "profile:rowCount";
    let first_of_lu = result(&cluster, "day=2026-08-01/region=lu", check).await;
    assert_eq!(first_of_lu.outcome, Outcome::Learning, "{first_of_lu:?}");

    // Of eu, 95 % are lost; lu is as ever.
    write_region(&cluster, 40, "eu", 150);
    write_region(&cluster, 40, "lu", 103);
    let live = run(&manager, cluster.dataset(), Trigger::Arrival).await;
    assert_eq!(live.state, RunState::Succeeded, "{live:?}");
    let lost = result(&cluster, "day=2026-09-09/region=eu", check).await;
    assert_eq!(lost.outcome, Outcome::Fail, "{lost:?}");
    let limits = lost.limits.unwrap();
    let (lower, upper) = (limits.lower.unwrap(), limits.upper.unwrap());
    assert!(lower > 2000.0 && upper < 4000.0, "{lower} to {upper}");
    let other = result(&cluster, "day=2026-09-09/region=lu", check).await;
    assert_eq!(other.outcome, Outcome::Pass, "{other:?}");
    let (lower, upper) = other.limits.map(|l| (l.lower, l.upper)).unwrap();
    assert!(
        lower > Some(50.0) && upper < Some(200.0),
        "{lower:?} {upper:?}"
    );

    // The incident is eu's: that lu passes, on that day and the next, does not resolve it.
    let id = cluster.dataset().id;
    let of_rows = async |only_open| {
        let all = cluster.metrics.incidents(Some(&id), only_open, 1000).await;
        let mut all = all.unwrap();
        all.retain(|incident| incident.check.as_str() == check);
        all
    };
    write_region(&cluster, 41, "lu", 104);
    run(&manager, cluster.dataset(), Trigger::Arrival).await;
    let open = of_rows(true).await;
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(open[0].series, "region=eu");
    assert_eq!(open[0].first_partition.as_str(), "day=2026-09-09/region=eu");

    // Both are bad: each has an incident of its own; that eu is whole again resolves eu's only.
    write_region(&cluster, 42, "lu", 2);
    run(&manager, cluster.dataset(), Trigger::Arrival).await;
    assert_eq!(of_rows(true).await.len(), 2);
    write_region(&cluster, 41, "eu", 3011);
    write_region(&cluster, 42, "eu", 3023);
    run(&manager, cluster.dataset(), Trigger::Arrival).await;
    let open = of_rows(true).await;
    let series: Vec<&str> = open.iter().map(|i| i.series.as_str()).collect();
    assert_eq!(series, ["region=lu"], "{open:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_of_one_region_does_not_hold_back_what_another_learns() {
    let cluster = Cluster::new().await;
    for day in 1..=12 {
        write_region(&cluster, day, "eu", 900 + (day * 37) % 50);
        write_region(&cluster, day, "lu", 100 + (day * 3) % 7);
    }
    let manager = cluster.manager("m1");
    let _node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
    within("leadership", manager.leads()).await;
    let mut dataset = cluster.dataset();
    let mut few = failing("few_rows", MetricKey::table(Metric::RowCount));
    few.expect = Expectation::MustBeLessThan(Bound::from(500));
    dataset.checks = vec![few];
    run(&manager, dataset.clone(), Trigger::Manual).await;
    let open = cluster.metrics.incidents(Some(&dataset.id), true, 9).await;
    let open = open.unwrap();
    assert_eq!(open.len(), 1, "{open:?}");
    assert_eq!(
        (open[0].series.as_str(), open[0].partitions),
        ("region=eu", 12)
    );

    write_region(&cluster, 13, "lu", 104);
    run(&manager, dataset, Trigger::Arrival).await;
    let of_lu = result(&cluster, "day=2026-08-13/region=lu", "profile:rowCount").await;
    let limits = of_lu.limits.unwrap_or_else(|| panic!("{:?}", of_lu.reason));
    assert!(limits.held_back.is_empty(), "{:?}", limits.held_back);
    assert_eq!(Span::count(&limits.learned_from), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_the_definition_drops_takes_its_incident_with_it() {
    let cluster = Cluster::new().await;
    write_day(&cluster, 1, 100);
    let manager = cluster.manager("m1");
    let _node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
    within("leadership", manager.leads()).await;
    let mut dataset = cluster.dataset();
    dataset.checks = vec![
        failing("few_rows", MetricKey::table(Metric::RowCount)),
        failing("few_ids", MetricKey::column(Metric::DistinctCount, "id")),
    ];
    run(&manager, dataset.clone(), Trigger::Manual).await;
    let open = async || {
        let id = cluster.dataset().id;
        let open = cluster.metrics.incidents(Some(&id), true, 9).await.unwrap();
        let mut names: Vec<String> = open.iter().map(|i| i.check.to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(open().await, ["few_ids", "few_rows"]);
    dataset.checks.remove(0);
    write_day(&cluster, 2, 107);
    run(&manager, dataset, Trigger::Manual).await;
    assert_eq!(open().await, ["few_ids"]);
}
