//! What the options of a type say of its values is checked, or said to be skipped.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use assay_contract::{Code, Parsed, parse};
use assay_model::check::{Check, CheckOrigin, Expectation};
use assay_model::metric::Metric;

/// A document whose one column has these lines.
fn read(column: &str) -> Parsed {
    let lines: String = column
        .lines()
        .map(|line| format!("        {line}\n"))
        .collect();
    let text = format!(
        "apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
servers:
  - {{ server: local, type: local, path: ./data/*.parquet, format: parquet }}
schema:
  - name: orders
    properties:
      - name: amount
        physicalName: AMT
{lines}"
    );
    parse("orders.yaml", &text, Path::new("/base"))
}

fn checks(column: &str) -> Vec<Check> {
    let parsed = read(column);
    let dataset = parsed.dataset;
    dataset
        .unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics))
        .checks
}

#[test]
fn bounds_lengths_and_patterns_are_checks_of_the_values() {
    for (column, args) in [
        (
            "logicalType: number\nlogicalTypeOptions: { minimum: 0, maximum: 10.5 }",
            r#"{"max":"10.5","min":"0"}"#,
        ),
        (
            "logicalType: integer\nlogicalTypeOptions: { exclusiveMinimum: 0, exclusiveMaximum: 9 }",
            r#"{"exclusiveMax":"9","exclusiveMin":"0"}"#,
        ),
        (
            "logicalType: string\nlogicalTypeOptions: { minLength: 1, maxLength: 5, pattern: '^[A-Z]+$' }",
            r#"{"maxLength":5,"minLength":1,"pattern":"^[A-Z]+$"}"#,
        ),
    ] {
        let checks = checks(column);
        assert_eq!(checks.len(), 1, "{column}");
        let check = &checks[0];
        assert_eq!(check.id.as_str(), "amount.options");
        assert_eq!(check.metric.metric, Metric::InvalidCount);
        assert_eq!(
            (check.metric.column.as_str(), check.metric.args.as_str()),
            ("AMT", args)
        );
        assert_eq!(check.origin, CheckOrigin::Implied);
        assert!(matches!(&check.expect, Expectation::MustBe(bound) if bound.as_str() == "0"));
        assert_eq!(read(column).diagnostics, []);
    }
    assert_eq!(checks("logicalType: number\nlogicalTypeOptions: {}"), []);
}

#[test]
fn an_option_that_is_not_checked_is_kept_and_skipped() {
    for (column, id) in [
        (
            "logicalType: number\nlogicalTypeOptions: { multipleOf: 5 }",
            "amount.multipleOf",
        ),
        (
            "logicalType: date\nlogicalTypeOptions: { minimum: '2020-01-01' }",
            "amount.minimum",
        ),
        (
            "logicalType: string\nlogicalTypeOptions: { format: uuid }",
            "amount.format",
        ),
        (
            "logicalType: object\nproperties:\n  - name: net\n    logicalType: number\n    logicalTypeOptions: { minimum: 0 }",
            "amount.net.minimum",
        ),
    ] {
        let parsed = read(column);
        assert_eq!(parsed.diagnostics.len(), 1, "{column}");
        assert_eq!(parsed.diagnostics[0].code, Code::NotRunHere);
        let checks = checks(column);
        assert_eq!(checks.len(), 1, "{column}");
        assert_eq!(checks[0].id.as_str(), id);
        assert!(matches!(checks[0].expect, Expectation::NotRunHere { .. }));
    }
}

#[test]
fn options_that_cannot_be_used_are_told() {
    let parsed = read("logicalTypeOptions: { minimum: 0 }");
    assert_eq!(parsed.diagnostics[0].code, Code::NotUsed);
    for (options, code) in [
        ("{ pattern: '(' }", Code::InvalidPattern),
        ("{ minLength: -1 }", Code::InvalidValue),
        ("{ minimum: 0 }", Code::UnknownKey),
    ] {
        let column = format!("logicalType: string\nlogicalTypeOptions: {options}");
        assert_eq!(read(&column).diagnostics[0].code, code, "{options}");
    }
}
