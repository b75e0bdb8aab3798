//! What is promised of the reads around a partition, which cost the same however long the past is.

use std::sync::Arc;

use assay_model::history::Later;
use assay_model::ledger::LedgerState;
use assay_model::metric::{Metric, MetricKey};
use assay_model::outcome::Outcome;
use assay_model::output::{Discovery, Evaluation};
use assay_model::partition::{Partition, PartitionKey};
use jiff::Timestamp;

use super::Store;
use super::fixtures::{Bench, day_of, evaluation, ok, sighting};

const DAYS: [&str; 4] = ["2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23"];

fn of(partition: Partition, rows: i64, outcome: Outcome) -> Evaluation {
    let plain = evaluation(partition.key.as_str(), "v1", rows, outcome);
    Evaluation { partition, ..plain }
}

/// Four days of two regions; the second and the last day of eu fail, and the first of lu.
async fn two_regions(bench: &Bench) {
    for (n, date) in (0_i64..).zip(DAYS) {
        for (region, rows, fails) in [("eu", 3000 + n, n % 2 == 1), ("lu", 100 + n, n == 0)] {
            let outcome = if fails { Outcome::Fail } else { Outcome::Pass };
            let evaluation = of(day_of(date, region), rows, outcome);
            bench.judged(&format!("{date} {region}"), evaluation).await;
        }
    }
}

fn keys<'a>(partitions: impl Iterator<Item = &'a Partition>) -> Vec<String> {
    partitions.map(|p| p.key.to_string()).collect()
}

fn eu(days: &[&str]) -> Vec<String> {
    days.iter().map(|day| day_of(day, "eu").key.0).collect()
}

/// Both ends belong to a stretch, another series does not, and a bound takes the first ones.
pub async fn a_stretch_of_the_ledger_is_of_one_series(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    two_regions(&bench).await;
    let whole = ok(bench.store.ledger(bench.id()).await);
    let read = async |from: &str, to: &str, limit| {
        let (from, to) = (day_of(from, "eu"), day_of(to, "eu"));
        ok(bench
            .store
            .ledger_between(bench.id(), &from, &to, limit)
            .await)
    };
    let middle = read(DAYS[1], DAYS[2], 9).await;
    assert_eq!(keys(middle.iter().map(|e| &e.partition)), eu(&DAYS[1..3]));
    assert!(middle.iter().all(|entry| whole.contains(entry)));
    let first = read(DAYS[1], DAYS[3], 2).await;
    assert_eq!(keys(first.iter().map(|e| &e.partition)), eu(&DAYS[1..3]));
    assert!(read("2026-12-01", "2026-12-02", 9).await.is_empty());
}

/// Partitions are found by their keys, whatever their series, each once and in their order.
pub async fn partitions_are_found_by_their_keys(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    two_regions(&bench).await;
    let whole = ok(bench.store.ledger(bench.id()).await);
    let (late, early) = (day_of(DAYS[3], "eu").key, day_of(DAYS[0], "lu").key);
    let unknown = PartitionKey("never".to_owned());
    let asked = [late.clone(), unknown, early.clone(), late.clone()];
    let found = ok(bench.store.ledger_of(bench.id(), &asked).await);
    let expected = [early.to_string(), late.to_string()];
    assert_eq!(keys(found.iter().map(|e| &e.partition)), expected);
    assert!(found.iter().all(|entry| whole.contains(entry)));
    assert!(ok(bench.store.ledger_of(bench.id(), &[]).await).is_empty());
}

/// Verdicts and values of the same partitions come together: those that the reads of each give.
pub async fn what_was_judged_before_a_place_comes_together(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    two_regions(&bench).await;
    let id = bench.id();
    let place = day_of(DAYS[3], "eu");
    for limit in [0, 1, 2, 9] {
        let read = ok(bench.store.judged_before(id, &place, limit).await);
        let history = ok(bench.store.history(id, Some(&place), limit).await);
        assert_eq!(read.history, history);
        let all = ok(bench.store.verdicts(id, Some("region=eu"), 9).await);
        let before = &all[..3];
        let newest = &before[before.len().saturating_sub(limit as usize)..];
        assert_eq!(read.verdicts, newest);
        for point in read.history.iter().flat_map(|(_, points)| points) {
            assert_eq!(read.verdicts[point.at].partition, *point.partition);
        }
    }
    let none = ok(bench
        .store
        .judged_before(id, &day_of(DAYS[0], "eu"), 9)
        .await);
    assert!(none.verdicts.is_empty() && none.history.is_empty());
}

/// A partition that has no values at all keeps its place among those that have some.
pub async fn a_partition_without_values_is_among_what_was_judged(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let mut empty = of(day_of(DAYS[1], "eu"), 0, Outcome::Error);
    empty.metrics.clear();
    empty.state = LedgerState::Sealed;
    let first = of(day_of(DAYS[0], "eu"), 1, Outcome::Pass);
    let third = of(day_of(DAYS[2], "eu"), 3, Outcome::Pass);
    for (key, evaluation) in [("a", first), ("b", empty), ("c", third)] {
        bench.judged(key, evaluation).await;
    }
    let place = day_of(DAYS[3], "eu");
    let read = ok(bench.store.judged_before(bench.id(), &place, 9).await);
    assert_eq!(
        keys(read.verdicts.iter().map(|v| &v.partition)),
        eu(&DAYS[..3])
    );
    let points = read.history.iter().flat_map(|(_, points)| points);
    let places: Vec<usize> = points.map(|point| point.at).collect();
    assert_eq!(places, [0, 2]);
}

/// What lies behind a place counts when its time has begun, and as data when there is some.
pub async fn what_lies_behind_a_place_is_told(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let seen = |date: &str, version: &str| assay_model::ledger::Sighting {
        partition: day_of(date, "eu"),
        ..sighting(date, version, LedgerState::Sealed)
    };
    let sightings = [
        (DAYS[0], "v1"),
        (DAYS[1], "missing"),
        (DAYS[2], "gone:v1"),
        (DAYS[3], "v1"),
        ("2026-11-24", "refused"),
    ];
    let plan = Discovery {
        sightings: sightings.iter().map(|(d, v)| seen(d, v)).collect(),
        ..Discovery::default()
    };
    bench.planned_as("a", plan).await;
    let later = async |date: &str, region: &str, now: &str| {
        let now: Timestamp = ok(now.parse());
        let found = bench
            .store
            .later(bench.id(), &day_of(date, region), now)
            .await;
        let Later { any, data } = ok(found);
        (any, data)
    };
    let end = "2026-12-01T00:00:00Z";
    assert_eq!(later(DAYS[0], "eu", end).await, (true, true));
    assert_eq!(later(DAYS[2], "eu", end).await, (true, true));
    assert_eq!(later(DAYS[3], "eu", end).await, (true, false));
    assert_eq!(later("2026-11-24", "eu", end).await, (false, false));
    assert_eq!(later(DAYS[0], "lu", end).await, (false, false));
    // As long as the fourth day has not begun there is no later data.
    let third = "2026-11-22T23:59:59.999999Z";
    assert_eq!(later(DAYS[0], "eu", third).await, (true, false));
    assert_eq!(
        later(DAYS[0], "eu", "2026-11-20T12:00:00Z").await,
        (false, false)
    );
    assert_eq!(
        later(DAYS[2], "eu", "2026-11-23T00:00:00Z").await,
        (true, true)
    );
}

/// The broken checks of some partitions are those that the series has of them.
pub async fn broken_checks_are_found_by_their_partitions(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    two_regions(&bench).await;
    let id = bench.id();
    let all = ok(bench.store.breaches(id, "region=eu", 9).await);
    assert_eq!(all.len(), 2);
    let asked = |days: &[&str]| -> Vec<PartitionKey> {
        days.iter().map(|day| day_of(day, "eu").key).collect()
    };
    let found = ok(bench.store.breaches_of(id, &asked(&DAYS)).await);
    assert_eq!(found, all);
    let found = ok(bench.store.breaches_of(id, &asked(&DAYS[..3])).await);
    assert_eq!(found, all[1..]);
    assert!(ok(bench.store.breaches_of(id, &asked(&DAYS[..1])).await).is_empty());
    assert!(ok(bench.store.breaches_of(id, &[]).await).is_empty());
}

/// The values in force of one metric are those of its history, in their order.
pub async fn one_metric_is_read_without_the_others(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    two_regions(&bench).await;
    let again = of(day_of(DAYS[1], "lu"), 7, Outcome::Pass);
    bench.judged("again", again).await;
    let id = bench.id();
    let key = MetricKey::table(Metric::RowCount);
    let history = ok(bench.store.history(id, None, 99).await);
    let of_key = history.iter().find(|(known, _)| *known == key);
    let points = of_key.into_iter().flat_map(|(_, points)| points);
    let expected: Vec<_> = points
        .map(|p| (p.partition.key.clone(), p.value.clone()))
        .collect();
    assert_eq!(expected.len(), 8);
    assert_eq!(
        ok(bench.store.values_of_metric(id, &key, 99).await),
        expected
    );
    let first = ok(bench.store.values_of_metric(id, &key, 3).await);
    assert_eq!(first, expected[..3]);
    let other = MetricKey::column(Metric::RowCount, "amount");
    assert!(ok(bench.store.values_of_metric(id, &other, 9).await).is_empty());
}
