//! What is promised of partitions that belong to several series of one dataset.

use std::sync::Arc;

use assay_model::check::Severity;
use assay_model::ids::CheckId;
use assay_model::incident::{Incident, IncidentStatus};
use assay_model::ledger::LedgerState;
use assay_model::outcome::Outcome;
use assay_model::output::{Discovery, Evaluation, TaskOutput};
use assay_model::partition::Partition;

use super::Store;
use super::fixtures::{Bench, at, day, day_of, evaluation, ok, sighting};
use crate::port::MetricHistory;

const DAYS: [&str; 3] = ["2026-11-20", "2026-11-21", "2026-11-22"];
const EU: &str = "region=eu";
const LU: &str = "region=lu";

fn of(partition: Partition, rows: i64, outcome: Outcome) -> Evaluation {
    let plain = evaluation(partition.key.as_str(), "v1", rows, outcome);
    Evaluation { partition, ..plain }
}

/// Three days of two regions: the last day of eu and the first of lu fail.
async fn two_regions(bench: &Bench) {
    for (n, date) in (0_i64..).zip(DAYS) {
        for (region, rows, fails) in [("eu", 3000 + n, n == 2), ("lu", 100 + n, n == 0)] {
            let outcome = if fails { Outcome::Fail } else { Outcome::Pass };
            let evaluation = of(day_of(date, region), rows, outcome);
            bench.judged(&format!("{date} {region}"), evaluation).await;
        }
    }
}

fn rows(history: &MetricHistory) -> Vec<String> {
    let points = history.iter().flat_map(|(_, points)| points);
    points.map(|p| p.value.to_string()).collect()
}

/// The partitions of one series are read without those of another, whatever lies between them, and
/// a bound counts those of the series alone.
pub async fn a_series_is_read_without_another(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    two_regions(&bench).await;
    let (store, id) = (&bench.store, bench.id());
    let before = |region| day_of(DAYS[2], region);
    let history = async |region, limit| ok(store.history(id, Some(&before(region)), limit).await);
    assert_eq!(rows(&history("eu", 9).await), ["3000", "3001"]);
    assert_eq!(rows(&history("lu", 9).await), ["100", "101"]);
    assert_eq!(rows(&history("lu", 1).await), ["101"]);
    assert!(history("us", 9).await.is_empty());
    assert_eq!(rows(&ok(store.history(id, None, 9).await)).len(), 6);

    let verdicts = ok(store.verdicts(id, Some(LU), 2).await);
    let keys: Vec<_> = verdicts.iter().map(|v| v.partition.key.as_str()).collect();
    let lu = ["day=2026-11-21/region=lu", "day=2026-11-22/region=lu"];
    assert_eq!(keys, lu);
    assert!(verdicts.iter().all(|v| v.partition.series == LU));
    assert_eq!(ok(store.verdicts(id, None, 9).await).len(), 6);
    assert!(ok(store.verdicts(id, Some(""), 9).await).is_empty());

    for (series, broken) in [
        (EU, "day=2026-11-22/region=eu"),
        (LU, "day=2026-11-20/region=lu"),
    ] {
        let breaches = ok(store.breaches(id, series, 9).await);
        let keys: Vec<_> = breaches.iter().map(|b| b.partition.as_str()).collect();
        assert_eq!(keys, [broken]);
    }
    assert!(ok(store.breaches(id, "", 9).await).is_empty());
    let ledger = ok(store.ledger(id).await);
    let eu = ledger.iter().filter(|e| e.partition.series == EU).count();
    assert_eq!((eu, ledger.len()), (3, 6));
}

/// An incident is of the series of the partition that opened it.
pub async fn an_incident_is_of_a_series(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    for region in ["eu", "lu"] {
        let partition = day_of(DAYS[0], region);
        let check = CheckId::new("rows_exist");
        let mut judged = of(partition.clone(), 0, Outcome::Fail);
        judged.incidents.push(Incident {
            id: Incident::id_of(bench.id(), &check, &partition.key),
            dataset: bench.id().clone(),
            check,
            column: String::new(),
            severity: Severity::Error,
            status: IncidentStatus::Open,
            series: partition.series.clone(),
            first_partition: partition.key.clone(),
            last_partition: partition.key,
            partitions: 1,
            message: "no rows".to_owned(),
            opened_at: at(1),
            updated_at: at(1),
            resolved_at: None,
        });
        bench.judged(region, judged).await;
    }
    let found = ok(bench.store.incidents(Some(bench.id()), true, 9).await);
    let mut series: Vec<_> = found.iter().map(|i| i.series.as_str()).collect();
    series.sort_unstable();
    assert_eq!(series, [EU, LU]);
}

/// A look that tells another series of a known partition is believed: its verdict counts there.
pub async fn a_look_may_correct_the_series(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let partition = day_of(DAYS[0], "eu");
    let untold = Partition {
        key: partition.key.clone(),
        order: partition.order.clone(),
        ..day(DAYS[0])
    };
    bench.judged("a", of(untold, 3000, Outcome::Pass)).await;
    let (store, id) = (&bench.store, bench.id());
    assert!(ok(store.verdicts(id, Some(EU), 9).await).is_empty());
    let run = bench.submit("b").await;
    let mut seen = sighting(DAYS[0], "v1", LedgerState::Scanned);
    seen.partition = partition;
    let look = Discovery {
        sightings: vec![seen],
        unchanged: 1,
        ..Discovery::default()
    };
    bench.finish(run, 0, &TaskOutput::Discovered(look)).await;
    assert_eq!(ok(store.verdicts(id, Some(EU), 9).await).len(), 1);
    let history = store.history(id, Some(&day_of(DAYS[1], "eu")), 9).await;
    assert_eq!(rows(&ok(history)), ["3000"]);
    let entry = ok(store.ledger(id).await).remove(0);
    assert_eq!((entry.state, entry.revision), (LedgerState::Scanned, 1));
}
