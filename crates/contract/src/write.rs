//! A first dataset file for data that has none yet.
//!
//! In: what was found by looking at the data. Out: a short ODCS document that parses to the same
//! without a diagnostic, whatever the names are. It must never write a secret or a value of the
//! data other than what a check needs.

mod server;

use std::fmt::Write;

use assay_model::check::{Check, CheckOrigin, Expectation, Severity, ValueRule};
use assay_model::dataset::{
    Cadence, Column, Credential, Format, FormatKind, Layout, Location, Partitioning, Sealing,
};
use assay_model::ids::DatasetId;
use assay_model::metric::Metric;

/// Where the data of a suggestion is.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// Files of this machine: a path as it is to be written, absolute or relative to the base
    /// folder.
    Local(String),
    /// Elsewhere, with what logs in there.
    Remote(Location, Option<Credential>),
}

/// What a new dataset file is to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// The dataset's name.
    pub id: DatasetId,
    /// Where the data is.
    pub place: Place,
    /// How they are written.
    pub format: Format,
    /// How they fall into partitions.
    pub partitions: Partitioning,
    /// The columns that were found.
    pub columns: Vec<Column>,
    /// Rules; those that columns imply are written with the columns.
    pub checks: Vec<Check>,
}

/// The document of a suggestion. It is a draft: it runs by hand until its status is `active`.
/// Checks that no rule can state (`NotRunHere`, `NotStale`) are left out.
#[must_use]
pub fn write(suggestion: &Suggestion) -> String {
    let mut out = String::from("apiVersion: v3.1.0\nkind: DataContract\n");
    let id = scalar(suggestion.id.as_str());
    line(&mut out, 0, &format!("id: {id}"));
    line(&mut out, 0, "version: 0.1.0");
    line(
        &mut out,
        0,
        "status: draft  # `active` lets it run by its schedule",
    );
    line(&mut out, 0, "\nservers:");
    server::write(&mut out, suggestion);
    line(&mut out, 0, "\nschema:");
    line(&mut out, 1, &format!("- name: {id}"));
    if let Place::Remote(Location::Database(database), _) = &suggestion.place
        && database.table != suggestion.id.as_str()
    {
        line(
            &mut out,
            2,
            &format!("physicalName: {}", scalar(&database.table)),
        );
    }
    if !suggestion.columns.is_empty() {
        line(&mut out, 2, "properties:");
    }
    for column in &suggestion.columns {
        write_column(&mut out, column, &suggestion.checks);
    }
    let of_table = |c: &&Check| {
        !suggestion
            .columns
            .iter()
            .any(|col| col.name == c.metric.column)
    };
    let rules: Vec<&Check> = suggestion.checks.iter().filter(of_table).collect();
    write_rules(&mut out, 2, &rules);
    write_custom(&mut out, suggestion);
    out
}

fn line(out: &mut String, indent: usize, text: &str) {
    out.push_str(&"  ".repeat(indent));
    out.push_str(text);
    out.push('\n');
}

fn write_column(out: &mut String, column: &Column, checks: &[Check]) {
    line(out, 3, &format!("- name: {}", scalar(&column.name)));
    if let Some(kind) = column.logical_type {
        line(out, 4, &format!("logicalType: {kind}"));
    }
    if let Some(kind) = &column.physical_type {
        line(out, 4, &format!("physicalType: {}", scalar(kind)));
    }
    if let Some(place) = column.primary_key {
        line(out, 4, "primaryKey: true");
        line(out, 4, &format!("primaryKeyPosition: {place}"));
    }
    for (key, set) in [("required", column.required), ("unique", column.unique)] {
        if set {
            line(out, 4, &format!("{key}: true"));
        }
    }
    let rules: Vec<&Check> = checks
        .iter()
        .filter(|c| c.metric.column == column.name)
        .collect();
    write_rules(out, 4, &rules);
}

fn write_rules(out: &mut String, indent: usize, checks: &[&Check]) {
    let mut rules = checks
        .iter()
        .filter(|c| c.origin != CheckOrigin::Implied)
        .filter_map(|c| {
            let mut text = String::new();
            write_rule(&mut text, indent + 1, c)?;
            Some(text)
        });
    if let Some(first) = rules.next() {
        line(out, indent, "quality:");
        out.push_str(&first);
        rules.for_each(|rule| out.push_str(&rule));
    }
}

/// One rule; `None` when no rule of a document can state it.
fn write_rule(out: &mut String, indent: usize, check: &Check) -> Option<()> {
    let expect = expectation(&check.expect)?;
    let operator = matches!(&expect, Stated::Operator(_));
    let plain = operator && check.metric.filter.is_empty();
    let library = library_metric(check.metric.metric).filter(|_| plain);
    line(out, indent, &format!("- id: {}", scalar(check.id.as_str())));
    let mut inner = indent + 1;
    let (word, percent) = if let Some((word, percent)) = library {
        (word, percent)
    } else {
        line(out, inner, "type: custom");
        line(out, inner, "engine: assay");
        line(out, inner, "implementation:");
        inner += 1;
        library_metric(check.metric.metric).unwrap_or((check.metric.metric.as_str(), false))
    };
    line(out, inner, &format!("metric: {word}"));
    if percent {
        line(out, inner, "unit: percent");
    }
    match check.metric.sql() {
        Some(sql) => line(out, inner, &format!("query: {}", scalar(&sql))),
        None => write_arguments(out, inner, check),
    }
    if !check.metric.filter.is_empty() {
        let filter = scalar(&check.metric.filter);
        line(out, inner, &format!("filter: {filter}"));
    }
    match expect {
        Stated::Operator(text) => line(out, inner, &text),
        Stated::Learned => line(out, inner, "learned: true"),
        Stated::Band(text) => line(out, inner, &text),
        Stated::Nothing => {}
    }
    if let Some(dimension) = &check.dimension {
        line(
            out,
            indent + 1,
            &format!("dimension: {}", scalar(dimension)),
        );
    }
    if let Some(text) = &check.description {
        line(out, indent + 1, &format!("description: {}", scalar(text)));
    }
    if check.severity != Severity::Error {
        line(out, indent + 1, &format!("severity: {}", check.severity));
    }
    if !check.tags.is_empty() {
        line(out, indent + 1, &format!("tags: {}", list(&check.tags)));
    }
    Some(())
}

/// How an expectation is written.
enum Stated {
    Operator(String),
    Learned,
    Band(String),
    Nothing,
}

fn expectation(expect: &Expectation) -> Option<Stated> {
    Some(Stated::Operator(match expect {
        Expectation::MustBe(b) => format!("mustBe: {b}"),
        Expectation::MustNotBe(b) => format!("mustNotBe: {b}"),
        Expectation::MustBeGreaterThan(b) => format!("mustBeGreaterThan: {b}"),
        Expectation::MustBeGreaterOrEqualTo(b) => format!("mustBeGreaterOrEqualTo: {b}"),
        Expectation::MustBeLessThan(b) => format!("mustBeLessThan: {b}"),
        Expectation::MustBeLessOrEqualTo(b) => format!("mustBeLessOrEqualTo: {b}"),
        Expectation::MustBeBetween(a, b) => format!("mustBeBetween: [{a}, {b}]"),
        Expectation::MustNotBeBetween(a, b) => format!("mustNotBeBetween: [{a}, {b}]"),
        Expectation::Learned => return Some(Stated::Learned),
        Expectation::Band {
            within_stddev,
            over_runs,
            min_runs,
        } => {
            return Some(Stated::Band(format!(
                "expect: {{ withinStddev: {within_stddev}, overRuns: {over_runs}, minRuns: {min_runs} }}"
            )));
        }
        Expectation::SameSchema => return Some(Stated::Nothing),
        // What Assay checks by itself, and what is only kept.
        _ => return None,
    }))
}

/// The standard's word for a metric, and whether it is in percent.
fn library_metric(metric: Metric) -> Option<(&'static str, bool)> {
    Some(match metric {
        Metric::RowCount => ("rowCount", false),
        Metric::NullCount => ("nullValues", false),
        Metric::NullPercent => ("nullValues", true),
        Metric::MissingCount => ("missingValues", false),
        Metric::MissingPercent => ("missingValues", true),
        Metric::InvalidCount => ("invalidValues", false),
        Metric::InvalidPercent => ("invalidValues", true),
        Metric::DuplicateCount => ("duplicateValues", false),
        Metric::DuplicatePercent => ("duplicateValues", true),
        _ => return None,
    })
}

fn write_arguments(out: &mut String, indent: usize, check: &Check) {
    let mut parts: Vec<String> = Vec::new();
    if check.metric.column.contains(',') {
        let columns: Vec<String> = check.metric.column.split(',').map(str::to_owned).collect();
        parts.push(format!("properties: {}", list(&columns)));
    }
    if check.metric.metric == Metric::Quantile {
        let args = serde_json::from_str::<serde_json::Value>(&check.metric.args);
        if let Some(q) = args.ok().as_ref().and_then(|v| v.get("q")) {
            line(out, indent, &format!("q: {q}"));
        }
    } else if let Ok(rule) = serde_json::from_str::<ValueRule>(&check.metric.args) {
        if !rule.missing_values.is_empty() {
            parts.push(format!("missingValues: {}", list(&rule.missing_values)));
        }
        if let Some(values) = &rule.valid_values {
            parts.push(format!("validValues: {}", list(values)));
        }
        if let Some(pattern) = &rule.pattern {
            parts.push(format!("pattern: {}", scalar(pattern)));
        }
        let numbers = [
            ("minLength", rule.min_length.map(|n| n.to_string())),
            ("maxLength", rule.max_length.map(|n| n.to_string())),
            ("min", rule.min.clone()),
            ("max", rule.max.clone()),
        ];
        for (key, value) in numbers {
            parts.extend(value.map(|v| format!("{key}: {v}")));
        }
    } else if check.metric.metric == Metric::MissingCount
        || check.metric.metric == Metric::MissingPercent
    {
        parts.push("missingValues: []".to_owned());
    }
    if !parts.is_empty() {
        line(out, indent, "arguments:");
    }
    for part in parts {
        line(out, indent + 1, &part);
    }
}

fn write_custom(out: &mut String, suggestion: &Suggestion) {
    let mut body = String::new();
    let mut settings: Vec<(&str, Vec<String>)> = Vec::new();
    let partitions = partition_lines(&suggestion.partitions);
    if !partitions.is_empty() {
        settings.push(("assayPartitions", partitions));
    }
    let masked: Vec<String> = suggestion
        .columns
        .iter()
        .filter(|c| c.masked)
        .map(|c| c.name.clone())
        .collect();
    if !masked.is_empty() {
        settings.push((
            "assayPrivacy",
            vec![format!("maskedColumns: {}", list(&masked))],
        ));
    }
    let format = format_lines(&suggestion.format);
    if !format.is_empty() {
        settings.push(("assayFormat", format));
    }
    for (name, lines) in settings {
        line(&mut body, 1, &format!("- property: {name}"));
        line(&mut body, 2, "value:");
        for text in lines {
            line(&mut body, 3, &text);
        }
    }
    if !body.is_empty() {
        line(out, 0, "\ncustomProperties:");
        out.push_str(&body);
    }
}

fn partition_lines(p: &Partitioning) -> Vec<String> {
    let mut lines = match &p.layout {
        Layout::Auto => Vec::new(),
        Layout::Single => vec!["layout: single".to_owned()],
        Layout::Hive => vec!["layout: hive".to_owned()],
        Layout::Template(text) => vec![format!("template: {}", scalar(text))],
        Layout::Column {
            column,
            granularity,
        } => {
            let mut lines = vec![format!("column: {}", scalar(column))];
            lines.extend(granularity.map(|g| format!("granularity: {g}")));
            lines
        }
    };
    if !p.keys.is_empty() {
        let keys: Vec<String> = p
            .keys
            .iter()
            .map(|k| format!("{{ name: {}, type: {} }}", scalar(&k.name), k.kind))
            .collect();
        lines.push(format!("keys: [{}]", keys.join(", ")));
    }
    if p.time_zone != Partitioning::default().time_zone {
        lines.push(format!("timeZone: {}", scalar(&p.time_zone)));
    }
    match &p.sealing {
        sealing if *sealing == Sealing::default() => {}
        Sealing::Quiet { quiet_s } => lines.push(format!("sealing: {{ quiet: {quiet_s}s }}")),
        Sealing::Marker { name } => lines.push(format!("sealing: {{ marker: {} }}", scalar(name))),
        Sealing::Immediately => lines.push("sealing: immediately".to_owned()),
    }
    lines.extend(p.deadline_s.map(|s| format!("deadline: {s}s")));
    lines.extend(p.cadence.map(|c: Cadence| format!("cadence: {c}")));
    lines
}

fn format_lines(format: &Format) -> Vec<String> {
    if format.kind != FormatKind::Csv {
        return Vec::new();
    }
    let usual = Format::of(FormatKind::Csv);
    let mut lines = Vec::new();
    if format.delimiter != usual.delimiter {
        lines.push(format!(
            "delimiter: {}",
            quoted(&format.delimiter.to_string())
        ));
    }
    if format.quote != usual.quote {
        lines.push(format!("quote: {}", quoted(&format.quote.to_string())));
    }
    if format.header != usual.header {
        lines.push(format!("header: {}", format.header));
    }
    if format.null_tokens != usual.null_tokens {
        lines.push(format!("nullTokens: {}", list(&format.null_tokens)));
    }
    lines
}

fn list(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|v| scalar(v)).collect();
    format!("[{}]", values.join(", "))
}

/// A text as a YAML scalar: plain where it is surely read as a text, quoted otherwise.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/' | b'.'));
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if plain && !word {
        text.to_owned()
    } else {
        quoted(text)
    }
}

fn quoted(text: &str) -> String {
    if text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_alphanumeric() || c == ' ' || c.is_ascii_graphic() => out.push(c),
            // Writing into a string cannot fail.
            c if u32::from(c) <= 0xffff => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c => drop(write!(out, "\\U{:08X}", u32::from(c))),
        }
    }
    out.push('"');
    out
}
