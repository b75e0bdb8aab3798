//! Dimensions, and sentences without a value of a row.

use super::*;
use assay_model::check::{Expectation, Severity};
use assay_model::ids::{CheckId, DatasetId};
use assay_model::incident::IncidentStatus;
use assay_model::metric::MetricKey;
use assay_model::outcome::Outcome;
use assay_model::partition::PartitionKey;
use jiff::Timestamp;

/// A value of a row, which nobody must be told.
const CANARY: &str = "CANARY-4242";

fn incident(check: &str, column: &str) -> Incident {
    let dataset = DatasetId::new("orders").unwrap();
    let partition = PartitionKey("2026-11-20".to_owned());
    let check = CheckId::new(check);
    Incident {
        id: Incident::id_of(&dataset, &check, &partition),
        dataset,
        check,
        column: column.to_owned(),
        severity: Severity::Error,
        status: IncidentStatus::Open,
        series: String::new(),
        first_partition: partition.clone(),
        last_partition: partition,
        partitions: 1,
        message: format!("it is {CANARY}"),
        opened_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        resolved_at: None,
    }
}

fn result(metric: Metric, actual: MetricValue) -> CheckResult {
    CheckResult {
        check: CheckId::new("c"),
        metric: MetricKey::column(metric, "email"),
        severity: Severity::Error,
        origin: CheckOrigin::Declared,
        outcome: Outcome::Fail,
        actual,
        error_bound: None,
        note: Some(CANARY.to_owned()),
        expected: "= 0".to_owned(),
        limits: None,
        reason: Some(format!("cannot read {CANARY}")),
    }
}

fn check(origin: CheckOrigin, dimension: Option<&str>) -> Check {
    Check {
        id: CheckId::new("c"),
        metric: MetricKey::column(Metric::NullCount, "email"),
        expect: Expectation::Learned,
        severity: Severity::Error,
        origin,
        dimension: dimension.map(str::to_owned),
        description: None,
        line: None,
        tags: Vec::new(),
    }
}

#[test]
fn counts_are_told_and_values_of_rows_are_not() {
    let incident = incident("c", "email");
    let told = finding(
        &incident,
        Some(&result(Metric::InvalidCount, MetricValue::integer(412))),
    );
    assert_eq!(told.actual.as_deref(), Some("412"));
    assert_eq!(
        told.message,
        "orders.email: invalidCount is 412 in partition 2026-11-20, expected = 0"
    );
    let canary = || MetricValue::Text(CANARY.to_owned());
    let number = || MetricValue::Exact("4242".to_owned());
    for metric in [
        Metric::Min,
        Metric::Max,
        Metric::Quantile,
        Metric::Sum,
        Metric::Mean,
        Metric::Query,
        Metric::Schema,
    ] {
        for value in [canary(), number()] {
            let told = finding(&incident, Some(&result(metric, value)));
            assert_eq!(told.actual, None, "{metric}");
            assert!(!format!("{told:?}").contains("4242"), "{told:?}");
        }
    }
    let told = finding(&incident, Some(&result(Metric::NullCount, canary())));
    assert!(!format!("{told:?}").contains(CANARY), "{told:?}");
}

#[test]
fn what_has_no_result_is_told_without_the_words_of_the_incident() {
    for (check, says) in [
        ("missing", "has not come by its deadline"),
        ("gone", "was taken away"),
        ("unjudged", "could not be evaluated"),
        ("other", "other is broken"),
    ] {
        let told = finding(&incident(check, ""), None);
        assert!(told.message.contains(says), "{}", told.message);
        assert!(!told.message.contains(CANARY), "{}", told.message);
    }
}

#[test]
fn what_is_said_of_a_partition_is_not_said_of_the_metric_that_carries_it() {
    let rows = |origin| CheckResult {
        origin,
        expected: "as it was when it was judged".to_owned(),
        ..result(Metric::RowCount, MetricValue::integer(60_160))
    };
    let built_in = rows(CheckOrigin::BuiltIn);
    let told = finding(&incident("restated", ""), Some(&built_in));
    assert_eq!(
        told.message,
        "orders: partition 2026-11-20 was changed after it was judged"
    );
    assert_eq!((told.metric.as_str(), told.actual), ("", None));
    let told = finding(&incident("stale", ""), Some(&built_in));
    assert!(told.message.ends_with("repeats an earlier one"));
    // An owner's check that happens to have such a name is the owner's.
    let own = finding(
        &incident("restated", ""),
        Some(&rows(CheckOrigin::Declared)),
    );
    assert!(own.message.contains("rowCount is 60160"), "{}", own.message);
}

#[test]
fn what_the_owner_wrote_is_told_apart_from_what_is_measured_besides() {
    let of = |origin| is_declared(Some(&check(origin, None)), None);
    assert!(of(CheckOrigin::Declared) && of(CheckOrigin::Implied));
    assert!(!of(CheckOrigin::Profiled) && !of(CheckOrigin::BuiltIn));
    let rows = result(Metric::RowCount, MetricValue::Null);
    assert!(is_declared(None, Some(&rows)) && !is_declared(None, None));
}

#[test]
fn the_dimension_is_the_owners_word_or_that_of_the_metric() {
    let c = incident("c", "email");
    let declared = CheckOrigin::Declared;
    assert_eq!(
        dimension(&c, Some(&check(declared, Some("accuracy"))), None),
        "accuracy"
    );
    assert_eq!(
        dimension(&c, Some(&check(declared, None)), None),
        "completeness"
    );
    let rows = result(Metric::RowCount, MetricValue::Null);
    assert_eq!(dimension(&c, None, Some(&rows)), "coverage");
    assert_eq!(dimension(&incident("unjudged", ""), None, None), EVALUATION);
    assert_eq!(
        dimension(&incident("missing", ""), None, None),
        "timeliness"
    );
    // An owner's check that happens to have such a name is the owner's.
    let own = check(declared, None);
    assert_eq!(
        dimension(&incident("missing", ""), Some(&own), None),
        "completeness"
    );
}
