//! What opens an incident, what is told of it, and what it takes to be in order again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use assay_manager::ManagerHandle;
use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity};
use assay_model::dataset::{Column, Dataset, Sealing};
use assay_model::ids::CheckId;
use assay_model::incident::Incident;
use assay_model::metric::{Metric, MetricKey};
use assay_model::outcome::{CheckResult, Outcome};
use assay_model::run::{RunState, Selection, Trigger};
use assay_proto::link::Door;
use assay_store::port::ResultFilter;
use cluster::{Cluster, TestNode, within};
use jiff::{Timestamp, ToSpan};

struct World {
    cluster: Cluster,
    manager: ManagerHandle,
    _node: TestNode,
}

impl World {
    async fn new() -> Self {
        let cluster = Cluster::new().await;
        let manager = cluster.manager("m1");
        let node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
        within("leadership", manager.leads()).await;
        Self {
            cluster,
            manager,
            _node: node,
        }
    }

    fn write(&self, day: &str, text: &str) {
        let name = format!("orders_{day}.csv");
        std::fs::write(self.cluster.folder.path().join(name), text).unwrap();
    }

    /// A day of `rows` rows under `header`, whose values differ from day to day.
    fn write_august(&self, day: u32, header: &str, rows: u32) {
        let columns = header.split(',').count();
        let mut text = format!("{header}\n");
        for row in 0..rows {
            let of = |c: usize| (row * 7 + day * 3 + u32::try_from(c).unwrap() * 5) % 101;
            let values: Vec<String> = (0..columns).map(|c| of(c).to_string()).collect();
            text.push_str(&format!("{}\n", values.join(",")));
        }
        self.write(&format!("2026-08-{day:02}"), &text);
    }

    async fn run(&self, dataset: Dataset, trigger: Trigger) {
        let selection = Selection::default();
        let submitted = self.manager.submit(dataset, trigger, selection, None);
        let run = submitted.await.unwrap().run;
        let ended = within("the end", self.manager.wait(run)).await.unwrap();
        assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    }

    async fn results(&self, partition: &str) -> Vec<CheckResult> {
        let filter = ResultFilter {
            limit: 100_000,
            ..ResultFilter::default()
        };
        let id = self.cluster.dataset().id;
        let rows = self.cluster.metrics.results(&id, &filter).await.unwrap();
        let of = rows
            .into_iter()
            .filter(|r| r.partition.key.as_str() == partition);
        of.map(|r| r.result).collect()
    }

    async fn result(&self, partition: &str, check: &str) -> CheckResult {
        let mut results = self.results(partition).await;
        results.retain(|r| r.check.as_str() == check);
        results
            .pop()
            .unwrap_or_else(|| panic!("no {check} in {partition}"))
    }

    async fn open(&self) -> Vec<Incident> {
        let id = self.cluster.dataset().id;
        let open = self.cluster.metrics.incidents(Some(&id), true, 1000).await;
        open.unwrap()
    }

    /// The checks of the open incidents, by name.
    async fn open_checks(&self) -> Vec<String> {
        let open = self.open().await;
        let mut checks: Vec<String> = open.iter().map(|i| i.check.to_string()).collect();
        checks.sort_unstable();
        checks
    }

    /// The events about `check` that wait to be sent.
    async fn told(&self, check: &str) -> Vec<String> {
        let told = self.cluster.metrics.outbox(100_000).await.unwrap();
        told.iter()
            .filter(|m| m.body["incident"]["check"] == check)
            .map(|m| m.event.clone())
            .collect()
    }
}

fn check(id: &str, metric: MetricKey, expect: Expectation) -> Check {
    Check {
        id: CheckId::new(id),
        metric,
        expect,
        severity: Severity::Error,
        origin: CheckOrigin::Declared,
        dimension: None,
        description: None,
        line: None,
        tags: Vec::new(),
    }
}

fn at_least(id: &str, rows: i64) -> Check {
    let expect = Expectation::MustBeGreaterOrEqualTo(Bound::from(rows));
    check(id, MetricKey::table(Metric::RowCount), expect)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_vanished_is_told_every_day_until_it_is_back() {
    let world = World::new().await;
    for day in 1..=10 {
        world.write_august(day, "id,amount", 100 + day % 3);
    }
    world.run(world.cluster.dataset(), Trigger::Backfill).await;
    let lost = "profile:nullPercent(amount)";
    for day in 11..=13 {
        world.write_august(day, "id", 100 + day % 3);
        world.run(world.cluster.dataset(), Trigger::Arrival).await;
        let key = format!("2026-08-{day}");
        let schema = world.result(&key, "schema").await;
        assert_eq!(schema.outcome, Outcome::Fail, "{key}");
        let reason = schema.reason.unwrap();
        assert!(reason.contains("column `amount` is gone"), "{reason}");
        assert_eq!(world.result(&key, lost).await.outcome, Outcome::Fail);
        assert!(world.open_checks().await.contains(&"schema".to_owned()));
    }
    assert_eq!(world.told("schema").await, ["incident.opened"]);
    world.write_august(14, "id,amount", 100);
    world.run(world.cluster.dataset(), Trigger::Arrival).await;
    let back = world.result("2026-08-14", "schema").await;
    assert_eq!(back.outcome, Outcome::Pass, "{back:?}");
    assert_eq!(world.open_checks().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_column_is_told_until_the_definition_names_it() {
    let world = World::new().await;
    for day in 1..=3 {
        world.write_august(day, "id,amount", 100 + day);
    }
    let mut dataset = world.cluster.dataset();
    world.run(dataset.clone(), Trigger::Backfill).await;
    for day in 4..=5 {
        world.write_august(day, "id,amount,note", 100 + day);
        world.run(dataset.clone(), Trigger::Arrival).await;
        let schema = world.result(&format!("2026-08-0{day}"), "schema").await;
        assert_eq!(schema.outcome, Outcome::Fail, "{schema:?}");
    }
    let column = |name: &str| -> Column {
        serde_json::from_value(serde_json::json!({ "name": name })).unwrap()
    };
    dataset.columns = ["id", "amount", "note"].map(column).to_vec();
    world.write_august(6, "id,amount,note", 106);
    world.run(dataset, Trigger::Arrival).await;
    let schema = world.result("2026-08-06", "schema").await;
    assert_eq!(schema.outcome, Outcome::Pass, "{schema:?}");
    assert_eq!(world.open_checks().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_grows_alarms_nobody_until_it_is_complete() {
    let world = World::new().await;
    let marker = |marker: &str| Sealing::Marker {
        name: marker.to_owned(),
    };
    let mut dataset = world.cluster.dataset();
    dataset.partitions.sealing = marker("_SUCCESS");
    dataset.checks = vec![at_least("enough", 300)];
    for rows in [100, 200] {
        world.write_august(1, "id,amount", rows);
        world.run(dataset.clone(), Trigger::Arrival).await;
        let day = "2026-08-01";
        assert_eq!(world.result(day, "enough").await.outcome, Outcome::Fail);
        assert_eq!(
            world.result(day, "restated").await.outcome,
            Outcome::Skipped
        );
        assert_eq!(world.open_checks().await, [""; 0]);
    }
    std::fs::write(world.cluster.folder.path().join("_SUCCESS"), "").unwrap();
    world.run(dataset.clone(), Trigger::Arrival).await;
    assert_eq!(world.open_checks().await, ["enough"]);
    // What is changed after it was complete is restated.
    world.write_august(1, "id,amount", 310);
    world.run(dataset, Trigger::Arrival).await;
    assert_eq!(world.open_checks().await, ["restated"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_begins_in_a_backfill_is_told_by_the_first_live_day_that_has_it() {
    let world = World::new().await;
    let mut dataset = world.cluster.dataset();
    dataset.checks = vec![at_least("enough", 100)];
    for day in 1..=6 {
        // The newest day of the backfill is in order, and comes first.
        world.write_august(day, "id,amount", if day < 6 { 50 + day } else { 120 });
    }
    let newest = world.cluster.folder.path().join("orders_2026-08-06.csv");
    let aside = std::fs::read(&newest).unwrap();
    for day in 1..=5 {
        let name = format!("orders_2026-08-{day:02}.csv");
        let path = world.cluster.folder.path().join(name);
        std::fs::rename(&path, path.with_extension("later")).unwrap();
    }
    world.run(dataset.clone(), Trigger::Arrival).await;
    for day in 1..=5 {
        let name = format!("orders_2026-08-{day:02}.later");
        let path = world.cluster.folder.path().join(name);
        std::fs::rename(&path, path.with_extension("csv")).unwrap();
    }
    assert_eq!(std::fs::read(&newest).unwrap(), aside);
    world.run(dataset.clone(), Trigger::Backfill).await;
    assert_eq!(world.open_checks().await, ["enough"]);
    assert_eq!(world.told("enough").await, [""; 0]);
    for day in 7..=8 {
        world.write_august(day, "id,amount", 50 + day);
        world.run(dataset.clone(), Trigger::Arrival).await;
    }
    assert_eq!(world.told("enough").await, ["incident.opened"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_that_cannot_be_evaluated_are_told_in_one_message() {
    let world = World::new().await;
    let mut dataset = world.cluster.dataset();
    dataset.checks = ["a", "b"]
        .map(|id| {
            let key = MetricKey::column(Metric::NullCount, "absent");
            check(id, key, Expectation::MustBeLessThan(Bound::from(1)))
        })
        .to_vec();
    world.write_august(1, "id,amount", 100);
    world.run(dataset, Trigger::Arrival).await;
    let errors = world.result("2026-08-01", "a").await;
    assert_eq!(errors.outcome, Outcome::Error);
    let open = world.open().await;
    assert_eq!(open.len(), 1, "{open:?}");
    assert!(
        open[0].message.starts_with("2 of "),
        "{:?}",
        open[0].message
    );
    assert_eq!(world.told("unjudged").await, ["incident.opened"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_evaluated_stays_so_beside_a_newer_partition_that_could() {
    let world = World::new().await;
    let mut dataset = world.cluster.dataset();
    let key = MetricKey::column(Metric::NullCount, "note");
    let none = Expectation::MustBeLessThan(Bound::from(1));
    dataset.checks = vec![check("noted", key, none)];
    // Both come in the same look.
    world.write_august(1, "id,amount", 100);
    world.write_august(2, "id,amount,note", 100);
    world.run(dataset.clone(), Trigger::Arrival).await;
    let of = async |day: &str| world.result(day, "noted").await.outcome;
    assert_eq!(of("2026-08-01").await, Outcome::Error);
    assert_eq!(of("2026-08-02").await, Outcome::Pass);
    let open = world.open().await;
    let open = open.iter().find(|i| i.check.as_str() == "unjudged");
    assert_eq!(open.unwrap().last_partition.as_str(), "2026-08-01");
    assert_eq!(world.told("unjudged").await, ["incident.opened"]);
    world.write_august(1, "id,amount,note", 90);
    world.run(dataset, Trigger::Arrival).await;
    assert_eq!(of("2026-08-01").await, Outcome::Pass);
    assert!(!world.open_checks().await.contains(&"unjudged".to_owned()));
    let told = ["incident.opened", "incident.resolved"];
    assert_eq!(world.told("unjudged").await, told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_date_in_the_future_is_told_and_does_not_end_the_judging_of_freshness() {
    let world = World::new().await;
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let (real, future) = (today - 3.days(), today + 400.days());
    world.write(&future.to_string(), "id,at\n1,2026-01-01T00:00:00Z\n");
    world.write(
        &real.to_string(),
        &format!("id,at\n1,{real}T00:00:00Z\n2,{real}T01:00:00Z\n"),
    );
    let mut dataset = world.cluster.dataset();
    let key = MetricKey::column(Metric::Latency, "at");
    let bound = Expectation::MustBeLessThan(Bound::from(86_400));
    dataset.checks = vec![check("fresh", key, bound)];
    world.run(dataset, Trigger::Arrival).await;
    let real = real.to_string();
    let fresh = world.result(&real, "fresh").await;
    assert_eq!(fresh.outcome, Outcome::Fail, "{fresh:?}");
    let told = world.result(&future.to_string(), "future").await;
    assert_eq!(told.outcome, Outcome::Warn);
    let of_real = world.results(&real).await;
    assert!(of_real.iter().all(|r| r.check.as_str() != "future"));
    assert_eq!(world.told("future").await, ["incident.opened"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_of_another_metric_does_not_switch_an_exact_rule_off() {
    let world = World::new().await;
    let mut dataset = world.cluster.dataset();
    let sum = MetricKey::column(Metric::Max, "amount");
    let bound = Expectation::MustBeGreaterThan(Bound::from(0));
    dataset.checks = vec![check("positive", sum, bound)];
    world.write("2026-08-01", "id,amount\n");
    world.run(dataset, Trigger::Arrival).await;
    let empty = world.result("2026-08-01", "empty").await;
    assert_eq!(empty.outcome, Outcome::Warn, "{empty:?}");
}
