//! The owner's SQL in a document: queries, rows that break a rule, and filters.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use assay_contract::parse_with;
use assay_model::metric::Metric;

#[test]
fn queries_failed_rows_and_filters_are_rules_of_ours() {
    let text = include_str!("orders.odcs.yaml");
    let rule = |implementation: &str| {
        let rule = format!(
            "      - id: asked\n        type: custom\n        engine: assay\n        implementation: {{ {implementation}, mustBe: 0 }}\n      - id: no_negative_amounts\n"
        );
        let text = text.replace("      - id: no_negative_amounts\n", &rule);
        let env = |name: &str| (name == "ORDERS_DATA").then(|| "/lake".to_owned());
        parse_with("orders.odcs.yaml", &text, Path::new("/base"), &env)
    };
    let metric = |implementation: &str| {
        let parsed = rule(implementation);
        assert!(!parsed.has_errors(), "{:#?}", parsed.diagnostics);
        let checks = parsed.dataset.unwrap().checks;
        checks
            .into_iter()
            .find(|c| c.id.as_str() == "asked")
            .unwrap()
            .metric
    };
    let rows = metric("metric: failedRows, query: 'SELECT * FROM {object}'");
    assert_eq!(rows.metric, Metric::FailedRows);
    assert_eq!(rows.sql().as_deref(), Some("SELECT * FROM {object}"));
    let kept = metric("metric: rowCount, filter: ' amount > 1 '");
    assert_eq!(
        (kept.metric, kept.filter.as_str()),
        (Metric::RowCount, "amount > 1")
    );
    for wrong in [
        "metric: failedRows",
        "metric: byteCount, filter: 'amount > 1'",
        "metric: query, query: 'SELECT 1', filter: 'amount > 1'",
    ] {
        assert!(rule(wrong).has_errors(), "{wrong}");
    }
}
