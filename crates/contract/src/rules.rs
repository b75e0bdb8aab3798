//! What a rule measures: metric, unit and arguments.
//!
//! In: the mapping of a rule. Out: a [`MetricKey`] with canonical arguments. It must never guess
//! between two metrics: an unknown one is an error with a suggestion.

use assay_model::check::ValueRule;
use assay_model::metric::{Metric, MetricKey};

use crate::context::Context;
use crate::decode::{At, Keys, Map, Shape};
use crate::diagnostic::Code;
use crate::suggest;
use crate::units;

/// The metrics of the standard's library.
pub const LIBRARY: &[&str] = &[
    "rowCount",
    "nullValues",
    "missingValues",
    "invalidValues",
    "duplicateValues",
];

const ARGUMENT_KEYS: Keys = &[
    ("missingValues", Shape::Items),
    ("validValues", Shape::Items),
    ("pattern", Shape::Text),
    ("minLength", Shape::Integer),
    ("maxLength", Shape::Integer),
    ("min", Shape::Number),
    ("max", Shape::Number),
    ("properties", Shape::Texts),
    ("q", Shape::Number),
];

/// Where a rule is written: at the table, or at a column.
#[derive(Debug, Clone, Copy)]
pub enum Place<'p> {
    /// At the table, whose columns are known by their names in the document and in the data.
    Table(&'p [(String, String)]),
    /// At the column with this name in the data.
    Column(&'p str),
}

/// Every metric that `engine: assay` takes: those of the library and our own.
fn assay_words() -> Vec<&'static str> {
    let ours = Metric::ALL.iter().map(|m| m.as_str());
    LIBRARY
        .iter()
        .copied()
        .chain(ours.filter(|w| !LIBRARY.contains(w)))
        .collect()
}

/// The metric of a library rule.
pub fn library(cx: &mut Context<'_>, rule: &Map<'_>, place: Place<'_>) -> Option<MetricKey> {
    let at = rule.get("metric")?;
    let word = at.text(cx)?;
    if !LIBRARY.contains(&word) {
        let report = |cx: &mut Context<'_>, hint| {
            at.report(cx, Code::UnknownMetric, format!("unknown metric `{word}`"))
                .hint(hint);
        };
        let ours = assay_words();
        let hint = if let Some(meant) = suggest::metric(word, LIBRARY) {
            format!("did you mean `{meant}`?")
        } else if let Some(meant) = suggest::metric(word, &ours) {
            let remedy = "write `type: custom`, `engine: assay`, `implementation: { metric: ";
            if meant == "latency" {
                "write a `latency` under `slaProperties`".to_owned()
            } else {
                format!("{remedy}{meant}, … }}`")
            }
        } else {
            format!("use one of {}", suggest::listed(LIBRARY))
        };
        report(cx, hint);
        return None;
    }
    measured(cx, rule, &at, word, place)
}

/// The metric of an `engine: assay` implementation.
pub fn assay(cx: &mut Context<'_>, rule: &Map<'_>, place: Place<'_>) -> Option<MetricKey> {
    let at = rule.get("metric")?;
    let word = at.text(cx)?;
    let words = assay_words();
    if !words.contains(&word) {
        let hint = suggest::metric(word, &words).map_or_else(
            || format!("use one of {}", suggest::listed(&words)),
            |meant| format!("did you mean `{meant}`?"),
        );
        at.report(cx, Code::UnknownMetric, format!("unknown metric `{word}`"))
            .hint(hint);
        return None;
    }
    measured(cx, rule, &at, word, place)
}

fn measured(
    cx: &mut Context<'_>,
    rule: &Map<'_>,
    at: &At<'_>,
    word: &str,
    place: Place<'_>,
) -> Option<MetricKey> {
    let percent = unit(cx, rule, word)?;
    let metric = match (word, percent) {
        ("nullValues", false) => Metric::NullCount,
        ("nullValues", true) => Metric::NullPercent,
        ("missingValues", false) => Metric::MissingCount,
        ("missingValues", true) => Metric::MissingPercent,
        ("invalidValues", false) => Metric::InvalidCount,
        ("invalidValues", true) => Metric::InvalidPercent,
        ("duplicateValues", false) => Metric::DuplicateCount,
        ("duplicateValues", true) => Metric::DuplicatePercent,
        _ => word.parse().ok()?,
    };
    let arguments = match rule.get("arguments") {
        Some(at) => Some(at.map(cx, ARGUMENT_KEYS)?),
        None => None,
    };
    let column = column_of(cx, rule, arguments.as_ref(), at, metric, place)?;
    let key = MetricKey::column(metric, column);
    match metric {
        Metric::MissingCount | Metric::MissingPercent => {
            let value = missing_rule(cx, arguments.as_ref(), at)?;
            if value == ValueRule::default() {
                return Some(only_null(key));
            }
            with_rule(key, &value)
        }
        Metric::InvalidCount | Metric::InvalidPercent => {
            let value = invalid_rule(cx, arguments.as_ref(), at)?;
            with_rule(key, &value)
        }
        Metric::Quantile => {
            let inner = arguments.as_ref().and_then(|a| a.get("q"));
            let Some(q_at) = rule.get("q").or(inner) else {
                at.report(cx, Code::MissingKey, "`quantile` needs to know which")
                    .hint("add `q: 0.5` for the median");
                return None;
            };
            let q = q_at.float(cx, 0.0, 1.0)?;
            Some(MetricKey::quantile(key.column, q))
        }
        _ => Some(key),
    }
}

/// Whether the unit is percent.
fn unit(cx: &mut Context<'_>, rule: &Map<'_>, word: &str) -> Option<bool> {
    let Some(at) = rule.get("unit") else {
        return Some(false);
    };
    let unit = at.word(cx, &["rows", "percent"])?;
    let counts = LIBRARY.contains(&word) && word != "rowCount";
    if unit == "percent" && !counts {
        at.report(cx, Code::InvalidValue, format!("`{word}` has no percent"))
            .hint(
                "leave `unit` out; null, missing, invalid and duplicate values can be in percent",
            );
        return None;
    }
    Some(unit == "percent")
}

/// The column that is measured; empty for a metric of the table.
fn column_of(
    cx: &mut Context<'_>,
    rule: &Map<'_>,
    arguments: Option<&Map<'_>>,
    at: &At<'_>,
    metric: Metric,
    place: Place<'_>,
) -> Option<String> {
    let properties = arguments.and_then(|a| a.get("properties"));
    match place {
        Place::Column(_) if metric.is_of_table() => {
            at.report(
                cx,
                Code::MisplacedMetric,
                format!("`{metric}` is of the whole table"),
            )
            .hint("move the rule to the `quality` of the table");
            None
        }
        Place::Column(column) => {
            if let Some(at) = properties {
                at.report(
                    cx,
                    Code::MisplacedMetric,
                    "`properties` is for rules of the table",
                )
                .hint("move the rule to the `quality` of the table");
                return None;
            }
            Some(column.to_owned())
        }
        Place::Table(_) if metric.is_of_table() => Some(String::new()),
        Place::Table(columns) => {
            if let Some(list) = properties {
                return compound(cx, &list, metric, columns);
            }
            if let Some(one) = rule.get("column") {
                let name = one.text(cx)?;
                return Some(resolve(cx, &one, name, columns));
            }
            let hint = if matches!(metric, Metric::DuplicateCount | Metric::DuplicatePercent) {
                "add `arguments: { properties: [column, …] }`, or move the rule to a column"
            } else {
                "move the rule to the `quality` of a column"
            };
            at.report(
                cx,
                Code::MisplacedMetric,
                format!("`{metric}` needs a column"),
            )
            .hint(hint);
            None
        }
    }
}

/// The columns of a compound key, joined by commas.
fn compound(
    cx: &mut Context<'_>,
    list: &At<'_>,
    metric: Metric,
    columns: &[(String, String)],
) -> Option<String> {
    if !matches!(metric, Metric::DuplicateCount | Metric::DuplicatePercent) {
        list.report(
            cx,
            Code::MisplacedMetric,
            format!("`{metric}` has no `properties`"),
        )
        .hint("only `duplicateValues` takes several columns");
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    for item in list.items(cx) {
        let name = item.name(cx)?;
        let name = resolve(cx, &item, &name, columns);
        if name.contains(',') {
            item.report(
                cx,
                Code::InvalidValue,
                "a column with a comma in a compound key",
            )
            .hint("rename the column in the data, or check it alone");
            return None;
        }
        if names.contains(&name) {
            item.report(cx, Code::InvalidValue, format!("`{name}` is listed twice"))
                .hint("list each column once");
            return None;
        }
        names.push(name);
    }
    if names.is_empty() {
        list.report(cx, Code::InvalidValue, "no columns are listed")
            .hint("write `properties: [column, …]`");
        return None;
    }
    Some(names.join(","))
}

/// The name in the data of a column that the document names; a warning when it declares none.
pub fn resolve(
    cx: &mut Context<'_>,
    at: &At<'_>,
    name: &str,
    columns: &[(String, String)],
) -> String {
    if let Some((_, physical)) = columns
        .iter()
        .find(|(logical, p)| logical == name || p == name)
    {
        return physical.clone();
    }
    if !columns.is_empty() {
        let known: Vec<&str> = columns
            .iter()
            .map(|(logical, _)| logical.as_str())
            .collect();
        at.report(
            cx,
            Code::ColumnNotDeclared,
            format!("column `{name}` is not declared"),
        )
        .hint(suggest::closest(name, known).map_or_else(
            || "declare it under `properties`".to_owned(),
            |meant| format!("did you mean `{meant}`?"),
        ));
    }
    name.to_owned()
}

/// The key with the rule as its canonical arguments; a rule that says nothing leaves them empty.
pub fn with_rule(key: MetricKey, rule: &ValueRule) -> Option<MetricKey> {
    if *rule == ValueRule::default() {
        return Some(key);
    }
    serde_json::to_value(rule)
        .ok()
        .map(|value| key.with_args(&value))
}

fn missing_rule(
    cx: &mut Context<'_>,
    arguments: Option<&Map<'_>>,
    at: &At<'_>,
) -> Option<ValueRule> {
    refuse_other(cx, arguments, &["missingValues"], "missingValues");
    let list = arguments.and_then(|a| a.get("missingValues"));
    let missing_values = list.map(|l| values(cx, &l)).unwrap_or_default();
    if missing_values.is_empty() && arguments.is_none() {
        at.report(
            cx,
            Code::Ambiguous,
            "no placeholders are listed: only NULL counts as missing",
        )
        .hint("add `arguments: { missingValues: ['', n/a] }`, or use `nullValues`");
    }
    Some(ValueRule {
        missing_values,
        ..ValueRule::default()
    })
}

fn invalid_rule(
    cx: &mut Context<'_>,
    arguments: Option<&Map<'_>>,
    at: &At<'_>,
) -> Option<ValueRule> {
    let allowed = [
        "validValues",
        "pattern",
        "minLength",
        "maxLength",
        "min",
        "max",
        "missingValues",
    ];
    refuse_other(cx, arguments, &allowed, "invalidValues");
    let mut rule = ValueRule::default();
    if let Some(a) = arguments {
        rule.missing_values = a
            .get("missingValues")
            .map(|l| values(cx, &l))
            .unwrap_or_default();
        rule.valid_values = a.get("validValues").map(|l| values(cx, &l));
        if let Some(at) = a.get("pattern") {
            rule.pattern = Some(pattern(cx, &at)?);
        }
        let length = |cx: &mut Context<'_>, key: &str| {
            a.get(key)
                .and_then(|at| at.integer(cx, 0, i64::MAX))
                .map(i64::unsigned_abs)
        };
        rule.min_length = length(cx, "minLength");
        rule.max_length = length(cx, "maxLength");
        let bound = |cx: &mut Context<'_>, key: &str| {
            a.get(key)
                .and_then(|at| at.number(cx))
                .map(|b| b.as_str().to_owned())
        };
        rule.min = bound(cx, "min");
        rule.max = bound(cx, "max");
    }
    let says_nothing = ValueRule {
        missing_values: Vec::new(),
        ..rule.clone()
    } == ValueRule::default();
    if says_nothing {
        at.report(cx, Code::MissingKey, "nothing says which values are valid")
            .hint("add `arguments: { validValues: [a, b] }`, or `pattern`, `min`, `max`, `minLength`, `maxLength`");
        return None;
    }
    Some(rule)
}

/// A regular expression that can be used.
pub fn pattern(cx: &mut Context<'_>, at: &At<'_>) -> Option<String> {
    let text = at.text(cx)?;
    if let Err(why) = units::pattern(text) {
        at.report(
            cx,
            Code::InvalidPattern,
            format!("this is no regular expression: {why}"),
        )
        .hint("look-around and back-references are not supported; quote it with '…'");
        return None;
    }
    Some(text.to_owned())
}

/// Without placeholders, what is missing is what is NULL: the same metric, under one identity.
fn only_null(key: MetricKey) -> MetricKey {
    let metric = if key.metric == Metric::MissingPercent {
        Metric::NullPercent
    } else {
        Metric::NullCount
    };
    MetricKey { metric, ..key }
}

/// Reports arguments that the metric does not have.
fn refuse_other(cx: &mut Context<'_>, arguments: Option<&Map<'_>>, allowed: &[&str], metric: &str) {
    let Some(map) = arguments else {
        return;
    };
    for key in map.keys() {
        let known = ARGUMENT_KEYS.iter().any(|(name, _)| *name == key);
        if known
            && !allowed.contains(&key)
            && let Some(at) = map.key_at(key)
        {
            at.report(
                cx,
                Code::UnknownKey,
                format!("`{metric}` has no argument `{key}`"),
            )
            .hint(format!("it takes {}", suggest::listed(allowed)));
        }
    }
}

/// The values of a list as texts; NULL is left out, being missing and never invalid anyway.
fn values(cx: &mut Context<'_>, list: &At<'_>) -> Vec<String> {
    let mut texts = Vec::new();
    for item in list.items(cx) {
        if item.node.is_null() {
            continue;
        }
        match item.scalar() {
            Some(text) => texts.push(text.to_owned()),
            None => item.check(cx, Shape::Scalar),
        }
    }
    texts
}
