//! What the owner's SQL gave, on its way from the plan to the points.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use assay_metrics::{Answer, AnswerValue, TableState};
use assay_model::dataset::FormatKind;
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricStatus, MetricValue};
use assay_scan::plan::of_filter;
use assay_scan::points::metric_points;
use common::{check, dataset, now, run};

fn sum_of_paid() -> MetricKey {
    MetricKey {
        filter: "paid".to_owned(),
        ..MetricKey::column(Metric::Sum, "v")
    }
}

#[test]
fn a_partition_with_queries_has_one_batch_more_which_counts_no_row_twice() {
    let folder = tempfile::tempdir().unwrap();
    for day in ["2026-11-19", "2026-11-20"] {
        std::fs::write(folder.path().join(format!("{day}.csv")), "v\n1\n2\n").unwrap();
    }
    let mut asking = dataset(folder.path(), FormatKind::Csv);
    let plain = run(&asking).unwrap().plan;
    assert_eq!(plain.measures.len(), 2);
    asking.checks = vec![check(MetricKey::query(Metric::Query, "", "SELECT 1"))];
    let found = run(&asking).unwrap();
    let queries: Vec<bool> = found.plan.measures.iter().map(|m| m.queries).collect();
    assert_eq!(queries, [false, false, true, true]);
    for evaluation in &found.plan.evaluations {
        assert_eq!(evaluation.measured_by.len(), 2);
        let key = &evaluation.partition.key;
        for no in &evaluation.measured_by {
            let measure = &found.plan.measures[*no as usize - 1];
            assert_eq!(measure.partitions[0].key, *key);
        }
        assert_eq!(found.states[key.as_str()].rows, 2);
    }
}

#[test]
fn answers_and_metrics_of_filtered_rows_are_points_or_say_why_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), "v\n1\n2\n").unwrap();
    let query = |sql: &str| MetricKey::query(Metric::Query, "", sql);
    let rows = MetricKey::query(Metric::FailedRows, "", "SELECT * FROM {object}");
    let mut asking = dataset(folder.path(), FormatKind::Csv);
    let keys = [
        query("a"),
        query("b"),
        query("c"),
        rows.clone(),
        sum_of_paid(),
    ];
    asking.checks = keys.iter().cloned().map(check).collect();
    let found = run(&asking).unwrap();
    let spec = found.plan.evaluations[0].clone();
    let key = spec.partition.key.0.clone();
    let points = |state: TableState| metric_points(&asking, &spec, state, now());
    let of = |points: &[MetricPoint], key: &MetricKey| {
        points
            .iter()
            .find(|point| point.key == *key)
            .unwrap()
            .clone()
    };
    let unasked = points(found.states[&key].clone());
    for key in &keys {
        let point = of(&unasked, key);
        assert_eq!(point.status, MetricStatus::Error, "{key}");
        assert!(point.note.unwrap().contains("assay-query"));
    }
    let mut state = found.states[&key].clone();
    let mut answer = |key: &MetricKey, value, samples: &[&str]| {
        let samples = samples.iter().map(|s| (*s).to_owned()).collect();
        state.answers.insert(key.asked(), Answer { value, samples });
    };
    answer(&keys[0], Ok(AnswerValue::Exact("12.50".to_owned())), &[]);
    answer(&keys[1], Ok(AnswerValue::Null), &[]);
    answer(&keys[2], Err("it ran out of memory".to_owned()), &[]);
    answer(
        &rows,
        Ok(AnswerValue::Exact("2".to_owned())),
        &["{\"v\":1}"],
    );
    // The rows that the filter keeps, measured as any rows are.
    let own = of_filter(&asking, "paid");
    assert_eq!(own.checks[0].metric, MetricKey::column(Metric::Sum, "v"));
    let kept = run(&own).unwrap();
    state
        .filtered
        .insert("paid".to_owned(), kept.states[&key].clone());
    let points = points(state);
    assert_eq!(
        of(&points, &keys[0]).value,
        MetricValue::Exact("12.50".to_owned())
    );
    assert_eq!(of(&points, &keys[1]).value, MetricValue::Null);
    assert_eq!(of(&points, &keys[1]).status, MetricStatus::Computed);
    assert_eq!(of(&points, &keys[2]).note.unwrap(), "it ran out of memory");
    assert!(of(&points, &rows).note.unwrap().contains("{\"v\":1}"));
    assert_eq!(
        of(&points, &sum_of_paid()).value,
        MetricValue::Exact("3".to_owned())
    );
    assert_eq!(
        of(&points, &MetricKey::table(Metric::RowCount)).value,
        MetricValue::integer(2)
    );
}
