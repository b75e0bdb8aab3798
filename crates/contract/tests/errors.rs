//! Every kind of mistake is told at its line and column, with what to do about it.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use assay_contract::{Code, Diagnostic, Parsed, parse, parse_bytes, parse_with, render_fancy};
use assay_model::check::{Bound, Expectation, Severity};
use assay_model::dataset::{CatchUp, FormatKind, Location};
use assay_model::metric::Metric;

const GOOD: &str = "\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
servers:
  - server: local
    type: local
    path: ./data/*.parquet
    format: parquet
schema:
  - name: orders
    properties:
      - name: status
        quality:
          - id: known
            metric: invalidValues
            arguments: { validValues: [a, b] }
            mustBe: 0
    quality:
      - id: rows
        metric: rowCount
        mustBeGreaterThan: 0
customProperties:
  - property: assayRun
    value:
      schedule: \"15 * * * *\"
      timeZone: Europe/Berlin
";

fn read(text: &str) -> Parsed {
    parse("orders.yaml", text, Path::new("/base"))
}

/// The one error of `GOOD` with `from` replaced by `to`.
fn mistake(from: &str, to: &str) -> Diagnostic {
    assert_eq!(GOOD.matches(from).count(), 1, "{from:?} is there once");
    let parsed = read(&GOOD.replace(from, to));
    assert!(parsed.dataset.is_none(), "{to:?} gives no dataset");
    let mut errors: Vec<Diagnostic> = parsed
        .diagnostics
        .into_iter()
        .filter(Diagnostic::is_error)
        .collect();
    assert_eq!(errors.len(), 1, "{to:?}: {errors:#?}");
    errors.remove(0)
}

#[track_caller]
fn told(d: &Diagnostic, code: Code, line: u32, column: u32, text: &str, hint: &str) {
    assert_eq!(
        (d.code, d.line, d.column, d.text.as_str()),
        (code, line, column, text),
        "{d}"
    );
    let given = d.hint.as_deref().unwrap_or_default();
    assert!(given.contains(hint), "{d}");
}

#[test]
fn the_good_file_is_good() {
    let parsed = read(GOOD);
    assert_eq!(parsed.diagnostics, []);
    let dataset = parsed.dataset.unwrap();
    assert_eq!(
        dataset.source.location,
        Location::Local {
            path: "/base/data/*.parquet".to_owned()
        }
    );
    let ids: Vec<&str> = dataset.checks.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids, ["known", "rows"]);
    assert_eq!(dataset.checks[0].line, Some(16));
    assert_eq!(
        dataset.checks[0].metric.args,
        r#"{"validValues":["a","b"]}"#
    );
    assert_eq!(dataset.run.time_zone, "Europe/Berlin");
}

#[test]
fn text_that_is_not_yaml_is_told_where_it_breaks() {
    let d = mistake("id: orders\n", "id: 'orders\n");
    assert_eq!(d.code, Code::NotYaml);
    assert!(d.message.starts_with("this is not YAML"), "{d}");
    let d = mistake("    type: local\n", "\ttype: local\n");
    assert_eq!((d.code, d.line), (Code::NotYaml, 8), "{d}");
    assert!(d.hint.unwrap().contains("tabs"));
    let flow = "  - { server: s, type: local, path: ./o/dt={dt}/*.csv, format: csv }";
    let d = read(&format!("servers:\n{flow}\n")).diagnostics.remove(0);
    assert_eq!(d.code, Code::NotYaml, "{d}");
    assert!(d.hint.unwrap().contains("quote a value that has braces"));
    let d = read("just a text").diagnostics.remove(0);
    told(&d, Code::WrongType, 1, 1, "just a text", "");
    assert!(d.message.contains("a mapping"), "{d}");
    assert_eq!(read("# nothing\n").diagnostics[0].code, Code::Empty);
    assert_eq!(
        read(&format!("{GOOD}---\na: b\n")).diagnostics[0].code,
        Code::SeveralDocuments
    );
}

#[test]
fn an_unknown_key_has_a_suggestion() {
    let d = mistake("    path: ./data", "    paht: x\n    path: ./data");
    told(&d, Code::UnknownKey, 9, 5, "paht", "did you mean `path`?");
    assert_eq!(d.path, "servers[0].paht");
    assert_eq!(
        d.to_string(),
        "orders.yaml:9:5  servers[0].paht: unknown key `paht`; did you mean `path`?"
    );
}

#[test]
fn an_unknown_metric_has_a_suggestion_also_in_the_words_of_other_tools() {
    for (word, meant) in [
        ("rowcount", "`rowCount`"),
        ("row_count", "`rowCount`"),
        ("nulls", "`nullValues`"),
        ("mean", "engine: assay"),
        ("freshness", "slaProperties"),
    ] {
        let d = mistake("metric: rowCount", &format!("metric: {word}"));
        told(&d, Code::UnknownMetric, 22, 17, word, meant);
        assert_eq!(d.path, "schema[0].quality[0].metric");
    }
}

#[test]
fn an_unknown_operator_has_a_suggestion() {
    let d = mistake("mustBeGreaterThan: 0", "mustBeGreaterThen: 0");
    told(
        &d,
        Code::UnknownOperator,
        23,
        9,
        "mustBeGreaterThen",
        "`mustBeGreaterThan`",
    );
    let d = mistake("mustBeGreaterThan: 0", "must_be_less_than_or_equal: 0");
    told(
        &d,
        Code::UnknownOperator,
        23,
        9,
        "must_be_less_than_or_equal",
        "`mustBeLessOrEqualTo`",
    );
    let d = mistake("        mustBeGreaterThan: 0\n", "");
    told(&d, Code::NoOperator, 21, 9, "id", "mustBe: 0");
}

#[test]
fn two_operators_are_an_error_unless_they_are_exactly_a_between() {
    let d = mistake(
        "mustBeGreaterThan: 0",
        "mustBeGreaterOrEqualTo: 0\n        mustBeLessThan: 9",
    );
    told(&d, Code::TwoOperators, 24, 9, "mustBeLessThan", "two rules");
    let d = mistake("mustBeGreaterThan: 0", "mustBe: 1\n        mustNotBe: 2");
    told(&d, Code::TwoOperators, 24, 9, "mustNotBe", "mustBeBetween");
    let between = "mustBeGreaterThan: 0.10\n        mustBeLessThan: 9";
    let parsed = read(&GOOD.replace("mustBeGreaterThan: 0", between));
    assert_eq!(parsed.diagnostics.len(), 1);
    told(
        &parsed.diagnostics[0],
        Code::ReadAsBetween,
        24,
        9,
        "mustBeLessThan",
        "one operator",
    );
    let bound = |t: &str| Bound::new(t).unwrap();
    let checks = parsed.dataset.unwrap().checks;
    assert_eq!(
        checks[1].expect,
        Expectation::MustBeBetween(bound("0.10"), bound("9"))
    );
    let d = mistake("mustBeGreaterThan: 0", "mustBeBetween: [5, 5]");
    told(&d, Code::InvalidValue, 23, 24, "[5, 5]", "must differ");
    let d = mistake("mustBeGreaterThan: 0", "mustBeGreaterThan: '0'");
    told(&d, Code::WrongType, 23, 28, "'0'", "without quotes");
}

#[test]
fn a_password_is_an_error_that_never_shows_it() {
    let text = GOOD.replace(
        "    format: parquet\n",
        "    format: parquet\n    password: hunter2\n",
    );
    let parsed = read(&text);
    let d = &parsed.diagnostics[0];
    told(d, Code::Secret, 11, 5, "password", "credentialRef");
    assert_eq!(parsed.diagnostics.len(), 1);
    let shown = render_fancy(&text, &parsed.diagnostics, false);
    assert!(
        shown.contains("password: *******") && !shown.contains("hunter2"),
        "{shown}"
    );
    let d = mistake("path: ./data/*.parquet", "path: http://ada:pw@example/x");
    assert_eq!(d.code, Code::Secret);
}

#[test]
fn a_bad_schedule_and_a_bad_zone_are_told() {
    let d = mistake("\"15 * * * *\"", "\"61 * * * *\"");
    told(
        &d,
        Code::InvalidCron,
        27,
        17,
        "\"61 * * * *\"",
        "five fields",
    );
    assert_eq!(d.path, "customProperties[0].value.schedule");
    let d = mistake("\"15 * * * *\"", "0 0 * * * *");
    told(&d, Code::InvalidCron, 27, 17, "0 0 * * * *", "five fields");
    let d = mistake("Europe/Berlin", "Europe/Berln");
    told(
        &d,
        Code::UnknownZone,
        28,
        17,
        "Europe/Berln",
        "did you mean `Europe/Berlin`?",
    );
}

#[test]
fn every_missing_root_key_is_told_at_once() {
    let parsed = read("name: x\n");
    let missing: Vec<&str> = parsed
        .diagnostics
        .iter()
        .filter(|d| d.code == Code::MissingKey)
        .map(|d| d.path.as_str())
        .collect();
    assert_eq!(missing, ["apiVersion", "id", "kind", "status", "version"]);
    for d in parsed
        .diagnostics
        .iter()
        .filter(|d| d.code == Code::MissingKey)
    {
        told(d, Code::MissingKey, 1, 1, "name", "write");
    }
}

#[test]
fn a_duplicate_id_names_the_other() {
    let d = mistake("id: rows", "id: known");
    told(&d, Code::DuplicateId, 21, 13, "known", "its own");
    assert!(d.message.contains("line 16"), "{d}");
    let d = mistake(
        "    format: parquet\n",
        "    format: parquet\n    format: csv\n",
    );
    told(&d, Code::DuplicateKey, 11, 5, "format", "line 10");
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_and_in_order() {
    let text = GOOD
        .replace("status: active", "statsu: active")
        .replace("metric: rowCount", "metric: rows")
        .replace("Europe/Berlin", "Mars")
        .replace("[a, b]", "a");
    let parsed = read(&text);
    let codes: Vec<Code> = parsed.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(
        codes,
        [
            Code::MissingKey,
            Code::UnknownKey,
            Code::WrongType,
            Code::UnknownMetric,
            Code::UnknownZone
        ]
    );
    assert!(
        parsed
            .diagnostics
            .windows(2)
            .all(|w| w[0].line <= w[1].line)
    );
}

#[test]
fn other_mistakes_are_told_too() {
    for (from, to, code, hint) in [
        ("id: orders\n", "id: or/ders\n", Code::InvalidId, "A-Z"),
        ("id: rows", "id: stale", Code::InvalidId, "another `id`"),
        (
            "id: rows\n        metric: rowCount\n        mustBeGreaterThan: 0",
            "id: empty\n        metric: rowCount\n        mustBeGreaterThan: 5",
            Code::InvalidId,
            "another `id`",
        ),
        ("status: active", "status: [active]", Code::WrongType, ""),
        (
            "property: assayRun",
            "property: assayRnu",
            Code::UnknownKey,
            "`assayRun`",
        ),
        (
            "property: assayRun",
            "property: assayNothing",
            Code::UnknownKey,
            "assayScan",
        ),
        (
            "timeZone: Europe/Berlin",
            "timeout: soon",
            Code::InvalidValue,
            "20m",
        ),
        (
            "timeZone: Europe/Berlin",
            "catchUp: some",
            Code::UnknownWord,
            "latest",
        ),
        (
            "format: parquet",
            "format: parqet",
            Code::UnknownWord,
            "`parquet`",
        ),
        ("type: local", "type: lokal", Code::UnknownWord, "`local`"),
        (
            "{ validValues: [a, b] }",
            "{ pattern: '(' }",
            Code::InvalidPattern,
            "look-around",
        ),
        (
            "{ validValues: [a, b] }",
            "{}",
            Code::MissingKey,
            "validValues",
        ),
        (
            "metric: rowCount",
            "metric: nullValues",
            Code::MisplacedMetric,
            "column",
        ),
        (
            "metric: invalidValues",
            "metric: rowCount",
            Code::MisplacedMetric,
            "table",
        ),
        (
            "metric: rowCount",
            "metric: rowCount\n        unit: percent",
            Code::InvalidValue,
            "unit",
        ),
        (
            "metric: rowCount",
            "metric: rowCount\n        dimension: acuracy",
            Code::UnknownWord,
            "`accuracy`",
        ),
        (
            "path: ./data",
            "path: ${NOT_SET_ANYWHERE}",
            Code::UnsetVariable,
            ":-value",
        ),
        (
            "id: orders\n",
            "? [a]\n: b\nid: orders\n",
            Code::KeyNotText,
            "key: value",
        ),
    ] {
        let parsed = read(&GOOD.replace(from, to));
        assert!(parsed.dataset.is_none());
        let found = parsed.diagnostics.iter().find(|d| d.code == code);
        let found = found.unwrap_or_else(|| panic!("{to}: {:#?}", parsed.diagnostics));
        assert!(
            found.hint.as_deref().unwrap_or_default().contains(hint),
            "{found}"
        );
    }
}

#[test]
fn aliases_that_multiply_and_nests_without_end_are_refused() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let refs = vec![format!("*a{}", n - 1); 9].join(", ");
        laughs.push_str(&format!("a{n}: &a{n} [{refs}]\n"));
    }
    assert_eq!(read(&laughs).diagnostics[0].code, Code::TooLarge);
    let deep = format!("a: {}{}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(read(&deep).diagnostics[0].code, Code::TooLarge);
    let block: String = (0..3000)
        .map(|n| format!("{}a:\n", " ".repeat(n)))
        .collect();
    assert_eq!(read(&block).diagnostics[0].code, Code::TooLarge);
    assert_eq!(read("a: &a [*a]\n").diagnostics[0].code, Code::TooLarge);
    let huge = "# comment\n".repeat(1 << 19);
    assert_eq!(read(&huge).diagnostics[0].code, Code::TooLarge);
}

#[test]
fn anchors_and_merge_keys_are_followed() {
    let text = GOOD
        .replace("arguments: { validValues: [a, b] }", "arguments: &args { validValues: [a, b] }")
        .replace("      - id: rows", "      - id: again\n        type: custom\n        engine: assay\n        implementation: { metric: invalidValues, column: status, arguments: { <<: *args }, mustBe: 0 }\n      - id: rows");
    let parsed = read(&text);
    assert_eq!(parsed.diagnostics, []);
    let checks = parsed.dataset.unwrap().checks;
    assert_eq!(checks[0].metric, checks[1].metric);
}

#[test]
fn missing_without_placeholders_is_null() {
    let rule = "metric: missingValues\n            arguments: { missingValues: [null] }";
    let parsed = read(&GOOD.replace(
        "metric: invalidValues\n            arguments: { validValues: [a, b] }",
        rule,
    ));
    assert_eq!(parsed.diagnostics, []);
    let checks = parsed.dataset.unwrap().checks;
    assert_eq!(checks[0].metric.to_string(), "nullCount(status)");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let plain = read(GOOD).dataset.unwrap();
    let windows = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
    let parsed = read(&windows);
    assert_eq!(parsed.diagnostics, []);
    assert_eq!(parsed.dataset.unwrap(), plain);
    let d = &read(&windows.replace("metric: rowCount", "metric: rowcount")).diagnostics[0];
    told(d, Code::UnknownMetric, 22, 17, "rowcount", "`rowCount`");
    let d = parse_bytes("x", b"id: a\nname: \xff\n", Path::new("/"))
        .diagnostics
        .remove(0);
    assert_eq!((d.code, d.line, d.column), (Code::NotUtf8, 2, 7));
}

#[test]
fn the_full_file_of_the_documentation_is_a_dataset() {
    let text = include_str!("orders.odcs.yaml");
    let env = |name: &str| (name == "ORDERS_DATA").then(|| "/lake".to_owned());
    let parsed = parse_with("orders.odcs.yaml", text, Path::new("/base"), &env);
    let codes: Vec<Code> = parsed.diagnostics.iter().map(|d| d.code).collect();
    assert!(!parsed.has_errors(), "{:#?}", parsed.diagnostics);
    assert_eq!(
        codes.iter().filter(|c| **c == Code::NotUsed).count(),
        5,
        "{codes:?}"
    );
    assert_eq!(
        codes.iter().filter(|c| **c == Code::NotRunHere).count(),
        0,
        "{codes:?}"
    );
    let dataset = parsed.dataset.unwrap();
    assert_eq!(
        dataset.source.location,
        Location::Local {
            path: "/lake/orders/*.parquet".to_owned()
        }
    );
    assert_eq!(dataset.source.format.kind, FormatKind::Parquet);
    assert_eq!(dataset.owner.as_deref(), Some("orders-team"));
    assert_eq!(dataset.subscribers.len(), 2);
    assert_eq!(
        (dataset.run.timeout_s, dataset.run.catch_up),
        (1200, CatchUp::Latest)
    );
    let ids: Vec<&str> = dataset.checks.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "order_id.required",
            "order_id.unique",
            "email_missing",
            "email_format",
            "status_known",
            "amount_mean_band",
            "row_count",
            "one_row_per_customer_minute",
            "no_negative_amounts",
            "fresh"
        ]
    );
    let check = |id: &str| dataset.checks.iter().find(|c| c.id.as_str() == id).unwrap();
    let missing = check("email_missing");
    assert_eq!(missing.metric.metric, Metric::MissingPercent);
    assert_eq!(missing.metric.args, r#"{"missingValues":["","n/a"]}"#);
    assert_eq!(missing.severity, Severity::Warning);
    assert_eq!(
        check("one_row_per_customer_minute").metric.column,
        "customer_email,updated_at"
    );
    assert_eq!(
        check("fresh").expect,
        Expectation::MustBeLessThan(Bound::from(7200))
    );
    assert_eq!(
        check("amount_mean_band").expect,
        Expectation::Band {
            within_stddev: 3.0,
            over_runs: 30,
            min_runs: 7
        }
    );
    let negative = check("no_negative_amounts");
    assert_eq!(negative.expect, Expectation::MustBe(Bound::from(0)));
    assert_eq!(
        negative.metric.sql().as_deref(),
        Some("SELECT COUNT(*) FROM {object} WHERE amount < 0")
    );
}

#[test]
fn a_report_shows_the_line_and_the_remedy() {
    let text = GOOD.replace("mustBeGreaterThan: 0", "mustBeGreaterThen: 0");
    let shown = render_fancy(&text, &read(&text).diagnostics, false);
    for part in [
        "error[ASY014]: unknown operator `mustBeGreaterThen`",
        "[orders.yaml:23:9]",
        "mustBeGreaterThen: 0",
        "did you mean `mustBeGreaterThan`?",
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
}

#[test]
fn a_service_level_that_is_not_checked_is_told_and_a_misspelt_latency_with_what_was_meant() {
    let level = |word: &str| {
        read(&format!(
            "{GOOD}slaProperties:\n  - {{ property: {word}, value: 2, unit: d, element: orders.status }}\n"
        ))
    };
    for word in ["latency", "Latency", "FRESHNESS", "ly"] {
        let parsed = level(word);
        assert_eq!(parsed.diagnostics, [], "{word}");
        assert_eq!(
            parsed.dataset.unwrap().checks[2].metric.metric,
            Metric::Latency,
            "{word}"
        );
    }
    for (word, hint) in [
        ("latencey", "did you mean `latency`?"),
        ("fresh_ness", "did you mean `freshness`?"),
        ("retention", ""),
        ("ry", ""),
    ] {
        let parsed = level(word);
        assert_eq!(parsed.diagnostics.len(), 1, "{word}");
        told(&parsed.diagnostics[0], Code::NotRunHere, 30, 17, word, hint);
        assert_eq!(parsed.dataset.unwrap().checks.len(), 2);
    }
}

#[test]
fn a_rule_that_states_an_exact_rule_may_have_its_id() {
    let parsed = read(&GOOD.replace("id: rows", "id: empty"));
    let dataset = parsed.dataset.unwrap();
    assert!(dataset.checks.iter().any(|c| c.id.as_str() == "empty"));
}
