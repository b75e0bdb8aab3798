//! What is drawn of a metric, and what is drawn again.

use super::*;
use assay_model::ids::RunId;
use assay_model::ledger::LedgerState;
use assay_model::metric::{Metric, MetricStatus, MetricValue};
use assay_model::outcome::OutcomeCounts;
use assay_model::partition::{Partition, PartitionVersion};

fn points(values: &[f64]) -> Vec<Point> {
    let entry = |n: usize| LedgerEntry {
        partition: assay_model::partition::Partition {
            key: PartitionKey(format!("p{n:03}")),
            ..assay_model::partition::Partition::all()
        },
        state: LedgerState::Scanned,
        version: assay_model::partition::PartitionVersion("v".to_owned()),
        judged: None,
        revision: 0,
        objects: 0,
        bytes: 0,
        first_seen: jiff::Timestamp::UNIX_EPOCH,
        last_modified: None,
        verdict: None,
    };
    let made = values.iter().enumerate().map(|(n, value)| Point {
        value: Value::Float(*value),
        ..without_value(&entry(n), Outcome::Missing, None)
    });
    made.collect()
}

#[test]
fn what_is_reduced_keeps_every_peak() {
    let mut values: Vec<f64> = (0..1000).map(|n| f64::from(n % 7)).collect();
    values[503] = 1e9;
    values[777] = -1e9;
    let kept = reduced(points(&values), 100);
    assert!(kept.len() <= 100);
    let numbers: Vec<f64> = kept.iter().filter_map(|p| p.value.as_f64()).collect();
    assert!(numbers.contains(&1e9) && numbers.contains(&-1e9));
    assert!(kept.is_sorted_by(|a, b| a.partition < b.partition));
    assert_eq!(reduced(points(&values), 0).len(), 1000);
}

fn verdict(n: u32, run: u128, planned: u64) -> Verdict {
    Verdict {
        run: RunId(uuid::Uuid::from_u128(run)),
        definition: "d".to_owned(),
        partition: partition(n),
        version: version(),
        revision: 1,
        sealed: true,
        counts: OutcomeCounts {
            planned,
            pass: planned,
            ..OutcomeCounts::default()
        },
        superseded: false,
        judged_at: jiff::Timestamp::UNIX_EPOCH,
    }
}

fn partition(n: u32) -> Partition {
    Partition {
        key: PartitionKey(format!("p{n}")),
        order: format!("p{n}"),
        ..Partition::all()
    }
}

fn version() -> PartitionVersion {
    PartitionVersion("v".to_owned())
}

fn rows() -> MetricKey {
    MetricKey::table(Metric::RowCount)
}

/// A result of a verdict.
fn result(of: &Verdict, check: &str, outcome: Outcome) -> ResultRow {
    ResultRow {
        run: of.run,
        partition: of.partition.clone(),
        version: of.version.clone(),
        judged_at: of.judged_at,
        result: assay_store::conformance::fixtures::check_result(check, outcome),
    }
}

/// Verdicts with a value each.
fn past(verdicts: Vec<Verdict>) -> (Vec<HistoryPoint>, Past) {
    let values = verdicts
        .iter()
        .enumerate()
        .map(|(at, verdict)| HistoryPoint {
            at,
            partition: Arc::new(verdict.partition.clone()),
            version: Arc::new(verdict.version.clone()),
            status: MetricStatus::Computed,
            value: MetricValue::integer(7),
            error_bound: None,
        });
    let values = values.collect();
    let past = Past {
        history: Vec::new(),
        verdicts,
    };
    (values, past)
}

fn told(points: Vec<Point>, total: u64) -> Points {
    Points {
        dataset: "orders".to_owned(),
        key: MetricName::from(&rows()),
        total,
        older: false,
        changes: Vec::new(),
        incidents: Vec::new(),
        points,
    }
}

#[test]
fn what_is_drawn_again_rests_on_verdicts_that_are_all_known() {
    let key = rows();
    let old: Vec<Verdict> = (0..3).map(|n| verdict(n, 1, 2)).collect();
    let results = |of: &Verdict| {
        [Outcome::Pass, Outcome::Warn].map(|outcome| result(of, outcome.as_str(), outcome))
    };
    let recent =
        |verdicts: &[Verdict]| Recent::new(Vec::new(), verdicts.iter().flat_map(results).collect());
    let empty = told(Vec::new(), 0);
    let draw = |of: &(Vec<HistoryPoint>, Past), recent: &Recent, before: &Points| {
        redrawn((&key, &of.0), &of.1, recent, before)
    };
    let before = past(old.clone());
    let drawn = draw(&before, &recent(&old), &empty).unwrap();
    assert_eq!(drawn.len(), 3);
    assert!(drawn.iter().all(|p| p.outcome == Some(Outcome::Warn)));
    let known = told(drawn.clone(), 3);
    // All are as they were: nothing else is asked.
    assert_eq!(draw(&before, &recent(&[]), &known), Some(drawn.clone()));
    // One was judged again, and one has come.
    let mut new = old.clone();
    new[1] = verdict(1, 2, 2);
    new.push(verdict(3, 2, 2));
    let after = past(new.clone());
    let again = draw(&after, &recent(&new[1..]), &known).unwrap();
    assert_eq!((&again[0], &again[2]), (&drawn[0], &drawn[2]));
    assert_eq!(
        again[1].run_id.as_deref(),
        Some(new[1].run.to_string().as_str())
    );
    assert_eq!(draw(&after, &recent(&new), &empty).as_ref(), Some(&again));
    // What is not all there, or of another reading, is no answer.
    let mut part = recent(&new[1..]);
    part.results.pop();
    assert_eq!(draw(&after, &part, &known), None);
    assert_eq!(draw(&after, &recent(&old), &known), None);
    let reduced = told(drawn.clone(), 4);
    assert_eq!(draw(&after, &recent(&new[1..]), &reduced), None);
}

#[test]
fn a_metric_is_named_in_whole_or_by_its_column() {
    let sum = MetricKey::column(Metric::Sum, "amount");
    assert!(is_meant(&sum, "sum(amount)", None));
    assert!(is_meant(&sum, "sum", Some("amount")));
    assert!(!is_meant(&sum, "sum", None));
    assert!(!is_meant(&sum, "sum", Some("other")));
    let rows = MetricKey::table(Metric::RowCount);
    assert!(is_meant(&rows, "rowCount", None));
    let half = MetricKey::quantile("amount", 0.5);
    assert!(is_meant(&half, r#"quantile(amount){"q":0.5}"#, None));
    assert!(
        !is_meant(&half, "quantile", Some("amount")),
        "which of them?"
    );
}
