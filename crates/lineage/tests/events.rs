//! Events against the schemas of OpenLineage (folder `spec`, Apache-2.0, as they were published), and
//! that nothing is called good that is not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod spec;

use assay_lineage::{RunFacts, ended, started, working};
use assay_model::check::{CheckOrigin, Severity};
use assay_model::dataset::{
    Dataset, DatasetStatus, Format, FormatKind, LimitPolicy, Location, Partitioning, Profile,
    RunPolicy, ScanPolicy, Source, StoragePolicy,
};
use assay_model::ids::{CheckId, DatasetId, RunId};
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricStatus, MetricValue};
use assay_model::outcome::{CheckResult, Outcome};
use assay_model::partition::{Partition, PartitionKey};
use assay_model::run::{Priority, Run, RunState, Selection, Trigger};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn dataset() -> Dataset {
    Dataset {
        others: Vec::new(),
        storage: StoragePolicy::default(),
        id: DatasetId::new("orders").unwrap(),
        version: "1".to_owned(),
        status: DatasetStatus::Active,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Source {
            credential: None,
            server: "s".to_owned(),
            location: Location::Local {
                path: "/data/orders".to_owned(),
            },
            format: Format::of(FormatKind::Parquet),
        },
        partitions: Partitioning::default(),
        columns: Vec::new(),
        checks: Vec::new(),
        profile: Profile::default(),
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    }
}

fn run(state: RunState) -> Run {
    Run {
        id: RunId(Uuid::from_u128(7)),
        dataset: DatasetId::new("orders").unwrap(),
        definition: "d".to_owned(),
        trigger: Trigger::Schedule,
        slot: Some(at(0)),
        priority: Priority::Live,
        selection: Selection::default(),
        retries: 2,
        task_timeout_ms: 1,
        state,
        reason: Some("the disk of `node <1>` is full".to_owned()),
        created_at: at(1),
        started_at: Some(at(2)),
        finished_at: None,
        deadline_at: at(100),
        planned_tasks: 3,
    }
}

fn point(key: MetricKey, value: MetricValue) -> MetricPoint {
    MetricPoint {
        key,
        status: MetricStatus::Computed,
        value,
        error_bound: None,
        note: None,
    }
}

fn points() -> Vec<MetricPoint> {
    let exact = |digits: &str| MetricValue::Exact(digits.to_owned());
    let mut distinct = point(
        MetricKey::column(Metric::DistinctCount, "amount"),
        exact("20000"),
    );
    distinct.error_bound = Some(0.0081);
    let mut overflow = point(MetricKey::column(Metric::Sum, "weight"), MetricValue::Null);
    overflow.status = MetricStatus::Overflow;
    vec![
        point(MetricKey::table(Metric::RowCount), exact("1204311")),
        point(MetricKey::table(Metric::ByteCount), exact("88080384")),
        point(
            MetricKey::table(Metric::Schema),
            MetricValue::Text("amount: decimal(38,2), note: string".to_owned()),
        ),
        point(
            MetricKey::column(Metric::Sum, "amount"),
            exact("123456789012345678901234567890.25"),
        ),
        point(MetricKey::column(Metric::NullCount, "amount"), exact("3")),
        point(
            MetricKey::column(Metric::Min, "amount"),
            MetricValue::Float(-0.5),
        ),
        point(
            MetricKey::column(Metric::Max, "amount"),
            MetricValue::Float(f64::INFINITY),
        ),
        point(
            MetricKey::column(Metric::Min, "note"),
            MetricValue::Text("a".to_owned()),
        ),
        point(MetricKey::quantile("amount", 0.5), MetricValue::Float(12.5)),
        distinct,
        overflow,
    ]
}

fn result(check: &str, outcome: Outcome) -> CheckResult {
    CheckResult {
        check: CheckId::new(check),
        metric: MetricKey::column(Metric::Sum, "amount"),
        severity: Severity::Error,
        origin: CheckOrigin::Declared,
        outcome,
        actual: MetricValue::Float(1.5),
        expected: "> 2".to_owned(),
        limits: None,
        error_bound: None,
        note: None,
        reason: None,
    }
}

fn day(key: &str) -> Partition {
    Partition {
        order: key.to_owned(),
        key: PartitionKey(key.to_owned()),
        date: Some(key.parse().unwrap()),
        start: None,
        end: None,
        series: String::new(),
    }
}

/// Every outcome of the newest partition, and a failure of the one before.
fn results() -> Vec<(PartitionKey, CheckResult)> {
    let newest = Outcome::ALL.iter().map(|outcome| {
        let key = PartitionKey("2026-11-21".to_owned());
        (key, result(outcome.as_str(), *outcome))
    });
    let before = PartitionKey("2026-11-20".to_owned());
    newest
        .chain([(before, result("earlier", Outcome::Fail))])
        .collect()
}

/// The last event of a run that ended so.
fn end(state: RunState) -> Value {
    let (dataset, run, results, points) = (dataset(), run(state), results(), points());
    let newest = day("2026-11-21");
    let facts = RunFacts {
        run: &run,
        dataset: &dataset,
        namespace: "assay",
        at: at(50),
        newest: Some((&newest, &points)),
        results: &results,
        results_left_out: 4,
    };
    ended(&facts).unwrap()
}

#[test]
fn every_event_keeps_to_the_schemas() {
    let (dataset, run) = (dataset(), run(RunState::Planning));
    let facts = RunFacts {
        run: &run,
        dataset: &dataset,
        namespace: "assay",
        at: at(3),
        newest: None,
        results: &[],
        results_left_out: 0,
    };
    assert!(ended(&facts).is_none());
    let mut events = vec![started(&facts), working(&facts)];
    let ends = [
        (RunState::Succeeded, "COMPLETE"),
        (RunState::Partial, "FAIL"),
        (RunState::Failed, "FAIL"),
        (RunState::Cancelled, "ABORT"),
        (RunState::SkippedStale, "ABORT"),
    ];
    for (state, kind) in ends {
        let event = end(state);
        assert_eq!(event["eventType"], kind);
        events.push(event);
    }
    for event in &events {
        let wrong = spec::faults(event);
        assert!(wrong.is_empty(), "{wrong:#?}\n{event:#}");
    }
}

#[test]
fn the_schemas_find_what_is_wrong() {
    let good = end(RunState::Failed);
    let broken: [fn(&mut Value); 6] = [
        |event| event["eventType"] = "DONE".into(),
        |event| event["run"]["runId"] = 7.into(),
        |event| event["inputs"][0]["inputFacets"]["dataQualityMetrics"]["rowCount"] = 1.5.into(),
        |event| event["run"]["facets"]["test"]["tests"][0]["status"] = Value::Null,
        |event| {
            let facet = &mut event["inputs"][0]["inputFacets"]["dataQualityAssertions"];
            facet["assertions"][0]["success"] = "yes".into();
        },
        |event| {
            let facets = event["run"]["facets"].as_object_mut().unwrap();
            facets["errorMessage"]
                .as_object_mut()
                .unwrap()
                .remove("message");
        },
    ];
    for (number, change) in broken.iter().enumerate() {
        let mut event = good.clone();
        change(&mut event);
        assert!(!spec::faults(&event).is_empty(), "change {number}");
    }
}

#[test]
fn only_a_pass_is_a_pass() {
    let event = end(RunState::Succeeded);
    let tests = event["run"]["facets"]["test"]["tests"].as_array().unwrap();
    let of = |status: &str| {
        let some = tests.iter().filter(|test| test["status"] == status);
        some.map(|test| test["name"].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("pass"), ["pass"]);
    assert_eq!(of("skip"), ["learning", "skipped"]);
    let failed = ["warn", "fail", "error", "missing", "overflow", "earlier"];
    assert_eq!(of("fail"), failed);
    assert_eq!(event["run"]["facets"]["test"]["assay_testsLeftOut"], 4);
    let facet = &event["inputs"][0]["inputFacets"]["dataQualityAssertions"];
    let assertions = facet["assertions"].as_array().unwrap();
    let held = assertions.iter().filter(|a| a["success"] == true).count();
    // Of the newest partition alone, and what was not evaluated is no assertion.
    assert_eq!((assertions.len(), held), (6, 1));
}

#[test]
fn numbers_are_told_as_they_are_or_not_at_all() {
    let event = end(RunState::Succeeded);
    let input = &event["inputs"][0];
    assert_eq!(
        (&input["namespace"], &input["name"]),
        (&"file".into(), &"/data/orders".into())
    );
    let metrics = &input["inputFacets"]["dataQualityMetrics"];
    assert_eq!(metrics["rowCount"], 1_204_311);
    assert_eq!(metrics["assay_partition"], "2026-11-21");
    let amount = &metrics["columnMetrics"]["amount"];
    assert_eq!(
        amount["assay_sumExact"],
        "123456789012345678901234567890.25"
    );
    assert_eq!(
        amount["sum"].as_f64(),
        Some(123_456_789_012_345_678_901_234_567_890.25)
    );
    assert_eq!(amount["min"].as_f64(), Some(-0.5));
    assert_eq!(amount["max"], Value::Null, "JSON has no infinity");
    assert_eq!(amount["quantiles"]["0.5"].as_f64(), Some(12.5));
    assert_eq!(amount["assay_distinctCountError"].as_f64(), Some(0.0081));
    assert_eq!(
        metrics["columnMetrics"]["weight"],
        Value::Null,
        "an overflow has no value"
    );
    assert_eq!(
        metrics["columnMetrics"]["note"],
        Value::Null,
        "a text is no number"
    );
    let fields = &input["facets"]["schema"]["fields"];
    assert_eq!(fields[1]["name"], "note");
}
