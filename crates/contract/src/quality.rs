//! `quality`: the rules of a table or a column.
//!
//! In: the list of rules and its place. Out: one [`Check`] each, in order. A rule that this
//! version does not run is still a check, with the reason why it is skipped: a rule is never
//! dropped in silence.

use assay_model::check::{Check, CheckOrigin, Expectation, Severity};
use assay_model::ids::CheckId;
use assay_model::metric::{Metric, MetricKey};

use crate::context::Context;
use crate::decode::{At, DEFINITIONS, Keys, Map, Shape};
use crate::diagnostic::Code;
use crate::expectation::{self, OPERATOR_KEYS, OPERATORS};
use crate::rules::{self, Place};
use crate::suggest;
use crate::tree::{Span, Value};
use crate::units;

const T: Shape = Shape::Text;

const RULE_KEYS: Keys = &[
    ("id", T),
    ("authoritativeDefinitions", DEFINITIONS),
    ("businessImpact", T),
    ("customProperties", Shape::Custom),
    ("description", T),
    ("dimension", T),
    ("method", T),
    ("name", T),
    ("schedule", T),
    ("scheduler", T),
    ("severity", T),
    ("tags", Shape::Texts),
    ("type", T),
    ("unit", T),
    ("metric", T),
    ("rule", T),
    ("arguments", Shape::Mapping),
    ("query", T),
    ("engine", T),
    ("implementation", Shape::Any),
];

const IMPLEMENTATION_KEYS: Keys = &[
    ("!metric", T),
    ("column", T),
    ("unit", T),
    ("arguments", Shape::Mapping),
    ("q", Shape::Number),
    ("query", T),
    ("filter", T),
    ("learned", Shape::Boolean),
    ("expect", Shape::Any),
];

/// Longest query, in bytes.
const QUERY_BYTES_MAX: usize = 16 << 10;

const BAND_KEYS: Keys = &[
    ("!withinStddev", Shape::Number),
    ("overRuns", Shape::Integer),
    ("minRuns", Shape::Integer),
];

const DIMENSIONS: &[&str] = &[
    "accuracy",
    "completeness",
    "conformity",
    "consistency",
    "coverage",
    "timeliness",
    "uniqueness",
];

/// A check, and where the file declares it.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The check.
    pub check: Check,
    /// Where its id is written, or its first key.
    pub span: Span,
    /// The path of the rule.
    pub path: String,
    /// Whether the id was derived because the rule has none.
    pub derived: bool,
}

/// A schedule that is written somewhere else than in `assayRun`.
#[derive(Debug, Clone)]
pub struct Scheduled {
    /// The cron expression, already checked.
    pub cron: String,
    /// Where it is written.
    pub span: Span,
    /// The path.
    pub path: String,
}

/// What the decoders of rules collect.
#[derive(Debug, Default)]
pub struct Collected {
    /// The checks, in the order of the document.
    pub checks: Vec<Placed>,
    /// The schedules of rules and service levels.
    pub schedules: Vec<Scheduled>,
}

/// Decodes the rules at `place`; `owner` is the column's name in the document, empty for a table.
pub fn decode(
    cx: &mut Context<'_>,
    at: &At<'_>,
    place: Place<'_>,
    owner: &str,
    nested: bool,
    out: &mut Collected,
) {
    for item in at.items(cx) {
        decode_rule(cx, &item, place, owner, nested, out);
    }
}

fn decode_rule(
    cx: &mut Context<'_>,
    at: &At<'_>,
    place: Place<'_>,
    owner: &str,
    nested: bool,
    out: &mut Collected,
) -> Option<()> {
    let rule = at.map_of(cx, &[RULE_KEYS, OPERATOR_KEYS], expectation::explain)?;
    let id = declared_id(cx, &rule);
    let severity = severity(cx, &rule);
    if let Some(at) = rule.get("dimension") {
        at.word(cx, DIMENSIONS);
    }
    schedule(cx, &rule, out);
    // Every part has been looked at by here, so that all errors of a rule are told at once.
    let (word, metric, expect) = measured_and_expected(cx, &rule, place, nested)?;
    let derived = id.is_none();
    let id = id.unwrap_or_else(|| {
        if owner.is_empty() {
            word.clone()
        } else {
            format!("{owner}.{word}")
        }
    });
    if let Expectation::NotRunHere { reason } = &expect {
        let (span, path) = (rule.first(), rule.at.path.clone());
        cx.report(
            Code::NotRunHere,
            span,
            &path,
            format!("`{id}` is kept and skipped: {reason}"),
        );
    }
    let span = rule.get("id").map_or_else(|| rule.first(), |at| at.span);
    let check = Check {
        id: CheckId::new(id),
        metric,
        expect,
        severity,
        origin: CheckOrigin::Declared,
        dimension: rule.text("dimension"),
        description: rule.text("description").or_else(|| rule.text("name")),
        line: Some(cx.line(rule.first().start)),
        tags: rule.texts("tags"),
    };
    out.checks.push(Placed {
        check,
        span,
        path: rule.at.path.clone(),
        derived,
    });
    Some(())
}

/// The id that the rule gives, when it is one.
fn declared_id(cx: &mut Context<'_>, rule: &Map<'_>) -> Option<String> {
    let at = rule.get("id")?;
    let text = at.scalar()?;
    let good = (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if !good {
        at.report(cx, Code::InvalidId, format!("`{text}` is not an id"))
            .hint("use 1 to 128 of the characters A-Z a-z 0-9 _ -");
    }
    Some(text.to_owned())
}

fn severity(cx: &mut Context<'_>, rule: &Map<'_>) -> Severity {
    let Some(at) = rule.get("severity") else {
        return Severity::Error;
    };
    let word = at.scalar().unwrap_or_default();
    match word.to_ascii_lowercase().as_str() {
        "info" => Severity::Info,
        "warning" | "warn" => Severity::Warning,
        "error" | "fatal" | "critical" => Severity::Error,
        _ => {
            // The standard leaves the word free; the gravest reading is the safe one.
            at.report(
                cx,
                Code::FreeWord,
                format!("the severity `{word}` is read as `error`"),
            )
            .maybe(suggest::hint(word, &["info", "warning", "error"]));
            Severity::Error
        }
    }
}

fn schedule(cx: &mut Context<'_>, map: &Map<'_>, out: &mut Collected) {
    let Some(at) = map.get("schedule") else {
        return;
    };
    let cron = map
        .text("scheduler")
        .is_none_or(|s| s.eq_ignore_ascii_case("cron"));
    let Some(text) = at.scalar().filter(|_| cron) else {
        return;
    };
    match units::schedule(text) {
        Ok(()) => out.schedules.push(Scheduled {
            cron: text.to_owned(),
            span: at.span,
            path: at.path.clone(),
        }),
        Err(why) => {
            at.report(cx, Code::InvalidCron, why).hint(
                "five fields: minute hour day-of-month month day-of-week, as in `15 * * * *`",
            );
        }
    }
}

/// Reads a `schedule` with its `scheduler`, as service levels have them too.
pub fn schedule_of(cx: &mut Context<'_>, map: &Map<'_>, out: &mut Collected) {
    schedule(cx, map, out);
}

/// The word that names the rule, what it measures and what it expects.
fn measured_and_expected(
    cx: &mut Context<'_>,
    rule: &Map<'_>,
    place: Place<'_>,
    nested: bool,
) -> Option<(String, MetricKey, Expectation)> {
    let kind = match rule.get("type") {
        Some(at) => at.word(cx, &["library", "text", "sql", "custom"])?,
        None => "library",
    };
    if let Some(at) = rule.key_at("rule") {
        let meant = rule
            .text("rule")
            .and_then(|word| suggest::metric(&word, rules::LIBRARY));
        at.report(
            cx,
            Code::Deprecated,
            "`rule` is deprecated, the standard calls it `metric`",
        )
        .hint(format!("write `metric: {}`", meant.unwrap_or("rowCount")));
    }
    match kind {
        "library" => {
            if rule.get("metric").is_none() {
                rule.missing(cx, "metric");
                return None;
            }
            let word = rule.text("metric")?;
            let metric = rules::library(cx, rule, place);
            let expect = expectation::decode(cx, rule);
            let (metric, expect) = (metric?, expect?);
            Some((word, metric, if nested { nested_column() } else { expect }))
        }
        "custom" => custom(cx, rule, place, nested),
        "sql" => {
            let metric = query(cx, rule, Metric::Query, place);
            let expect = expectation::decode(cx, rule);
            let (metric, expect) = (metric?, expect?);
            Some(("sql".to_owned(), metric, expect))
        }
        _ => Some(not_run("text", "a rule in words is for people".to_owned())),
    }
}

/// The owner's query of a rule, with the column that it is written at.
fn query(
    cx: &mut Context<'_>,
    rule: &Map<'_>,
    metric: Metric,
    place: Place<'_>,
) -> Option<MetricKey> {
    let Some(at) = rule.get("query") else {
        rule.missing(cx, "query");
        return None;
    };
    let sql = at.text(cx)?;
    if sql.len() > QUERY_BYTES_MAX {
        at.report(
            cx,
            Code::InvalidValue,
            format!("the query is {} bytes long", sql.len()),
        )
        .hint(format!("{QUERY_BYTES_MAX} are the most"));
        return None;
    }
    let column = match place {
        Place::Column(column) => column,
        Place::Table(_) => "",
    };
    Some(MetricKey::query(metric, column, sql.trim()))
}

/// The rows that a rule is about, where it names them.
fn filtered(cx: &mut Context<'_>, map: &Map<'_>, metric: MetricKey) -> Option<MetricKey> {
    let Some(at) = map.get("filter") else {
        return Some(metric);
    };
    let of_rows = !metric.metric.is_of_query()
        && (metric.metric == Metric::RowCount || !metric.metric.is_of_table());
    if !of_rows {
        let what = format!(
            "`{}` is not of rows that a filter could keep",
            metric.metric
        );
        at.report(cx, Code::InvalidValue, what)
            .hint("leave `filter` out, or write the condition into the query");
        return None;
    }
    let filter = at.text(cx)?.trim().to_owned();
    Some(MetricKey { filter, ..metric })
}

fn nested_column() -> Expectation {
    Expectation::NotRunHere {
        reason: "columns inside objects and arrays are not measured by this version".to_owned(),
    }
}

/// A rule that is kept and skipped; its metric is a stand-in that costs nothing to measure.
fn not_run(word: &str, reason: String) -> (String, MetricKey, Expectation) {
    let metric = MetricKey::table(Metric::RowCount);
    (word.to_owned(), metric, Expectation::NotRunHere { reason })
}

fn custom(
    cx: &mut Context<'_>,
    rule: &Map<'_>,
    place: Place<'_>,
    nested: bool,
) -> Option<(String, MetricKey, Expectation)> {
    let (engine, implementation) = (rule.get("engine"), rule.get("implementation"));
    if engine.is_none() {
        rule.missing(cx, "engine");
    }
    if implementation.is_none() {
        rule.missing(cx, "implementation");
    }
    let (engine, implementation) = (engine?, implementation?);
    let word = engine.scalar()?;
    if word != "assay" {
        if let Some("assay") = suggest::closest(word, ["assay", "soda", "dbt", "greatExpectations"])
        {
            engine
                .report(cx, Code::UnknownWord, format!("unknown engine `{word}`"))
                .hint("did you mean `assay`?");
            return None;
        }
        return Some(not_run(
            "custom",
            format!("engine `{word}` is not run here"),
        ));
    }
    if let Some(name) = OPERATORS.iter().find(|name| rule.key_at(name).is_some())
        && let Some(at) = rule.key_at(name)
    {
        at.report(
            cx,
            Code::UnknownKey,
            format!("a custom rule has no `{name}` of its own"),
        )
        .hint("move it into `implementation`");
    }
    let map = implementation.map_of(
        cx,
        &[IMPLEMENTATION_KEYS, OPERATOR_KEYS],
        expectation::explain,
    )?;
    let of_query = [Metric::Query, Metric::FailedRows];
    let word = map.text("metric");
    let asked = of_query
        .into_iter()
        .find(|m| word.as_deref() == Some(m.as_str()));
    let metric = match asked {
        Some(metric) => query(cx, &map, metric, place),
        None => rules::assay(cx, &map, place),
    };
    let metric = metric.and_then(|metric| filtered(cx, &map, metric));
    let expect = expected(cx, &map, metric.as_ref().map(|m| m.metric));
    let word = map.text("metric")?;
    let (metric, expect) = (metric?, expect?);
    Some((word, metric, if nested { nested_column() } else { expect }))
}

/// What an implementation of ours expects: operators, a band, learned limits, or the same schema.
fn expected(cx: &mut Context<'_>, map: &Map<'_>, metric: Option<Metric>) -> Option<Expectation> {
    let learned = map.truth("learned") == Some(true);
    let ways = usize::from(learned)
        + usize::from(map.get("expect").is_some())
        + usize::from(expectation::any(map));
    if ways > 1 {
        let (span, path) = (map.first(), map.at.path.clone());
        cx.report(
            Code::TwoOperators,
            span,
            &path,
            "this rule expects two things at once",
        )
        .hint("keep one of `learned`, `expect` and the operator");
        return None;
    }
    if learned {
        return Some(Expectation::Learned);
    }
    if let Some(at) = map.get("expect") {
        if at.scalar() == Some("learned") {
            return Some(Expectation::Learned);
        }
        if let Value::Map(entries) = &at.node.value
            && entries.iter().any(|e| OPERATORS.contains(&e.key.as_str()))
        {
            let inner = at.map_of(cx, &[OPERATOR_KEYS], expectation::explain)?;
            return expectation::decode(cx, &inner);
        }
        return band(cx, &at);
    }
    if metric == Some(Metric::Schema) {
        return Some(Expectation::SameSchema);
    }
    expectation::decode(cx, map)
}

fn band(cx: &mut Context<'_>, at: &At<'_>) -> Option<Expectation> {
    let map = at.map(cx, BAND_KEYS)?;
    let within_stddev = map.get("withinStddev")?.float(cx, 0.1, 100.0)?;
    let over_runs = match map.get("overRuns") {
        Some(at) => at.integer(cx, 2, 1000)?,
        None => 30,
    };
    let min_runs = match map.get("minRuns") {
        Some(at) => at.integer(cx, 2, 1000)?,
        None => over_runs.min(7),
    };
    if min_runs > over_runs {
        map.get("minRuns")
            .unwrap_or_else(|| at.clone())
            .report(
                cx,
                Code::InvalidValue,
                format!("`minRuns` {min_runs} is more than `overRuns` {over_runs}"),
            )
            .hint("the rule would be learning for ever; make `minRuns` the lesser");
        return None;
    }
    Some(Expectation::Band {
        within_stddev,
        over_runs: u32::try_from(over_runs).unwrap_or(u32::MAX),
        min_runs: u32::try_from(min_runs).unwrap_or(u32::MAX),
    })
}
