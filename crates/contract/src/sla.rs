//! `slaProperties`: service levels, of which latency becomes a check.
//!
//! In: the list and the tables that it may name. Out: checks on [`Metric::Latency`] of the named
//! column, or on [`Metric::LastModifiedAge`] when no column is named. Other service levels
//! (retention, availability, …) are facts for people: checked for form, and said to be skipped.

use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity};
use assay_model::ids::CheckId;
use assay_model::metric::{Metric, MetricKey};

use crate::context::Context;
use crate::decode::{At, Keys, Map, Shape};
use crate::diagnostic::Code;
use crate::quality::{self, Collected, Placed};
use crate::rules;
use crate::schema::Table;
use crate::suggest;
use crate::units;

const T: Shape = Shape::Text;

const SLA_KEYS: Keys = &[
    ("id", T),
    ("!property", T),
    ("value", Shape::Any),
    ("valueExt", Shape::Scalar),
    ("unit", T),
    ("element", T),
    ("driver", T),
    ("description", T),
    ("scheduler", T),
    ("schedule", T),
];

/// Decodes `slaProperties` into the checks of `tables`.
pub fn decode(
    cx: &mut Context<'_>,
    at: &At<'_>,
    default_element: Option<&At<'_>>,
    tables: &mut [Table],
    loose: &mut Collected,
) {
    for item in at.items(cx) {
        let Some(map) = item.map(cx, SLA_KEYS) else {
            continue;
        };
        if map.get_any("value").is_none() {
            map.missing(cx, "value");
        }
        quality::schedule_of(cx, &map, loose);
        let Some(property) = map.get("property") else {
            continue;
        };
        if is_latency(cx, &property) {
            latency(cx, &map, default_element, tables, loose);
        }
    }
}

/// The words for latency, and their abbreviations in the standard.
const LATENCY: &[&str] = &["latency", "freshness", "ly", "fy"];

/// The words of the standard for what is not measured here.
const OTHERS: &[&str] = &[
    "availability",
    "throughput",
    "errorRate",
    "generalAvailability",
    "endOfSupport",
    "endOfLife",
    "retention",
    "frequency",
    "timeOfAvailability",
    "timeToDetect",
    "timeToNotify",
    "timeToRepair",
];

/// Whether the property is latency. One that is not is said to be skipped: it looks like a rule,
/// and a misspelt one would be missed.
fn is_latency(cx: &mut Context<'_>, at: &At<'_>) -> bool {
    let word = at.scalar().unwrap_or_default();
    let is = |known: &&str| known.eq_ignore_ascii_case(word);
    if LATENCY.iter().any(is) {
        return true;
    }
    let meant = suggest::closest(word, OTHERS.iter().chain(LATENCY).copied());
    let hint = match meant.filter(|meant| LATENCY.contains(meant)) {
        // Of an abbreviation, any two letters are a misspelling.
        Some(meant) if word.len() > 3 => Some(format!("did you mean `{meant}`?")),
        _ => None,
    };
    at.report(
        cx,
        Code::NotRunHere,
        format!("the service level `{word}` is kept and not checked"),
    )
    .maybe(hint);
    false
}

fn latency(
    cx: &mut Context<'_>,
    map: &Map<'_>,
    default_element: Option<&At<'_>>,
    tables: &mut [Table],
    loose: &mut Collected,
) -> Option<()> {
    let seconds = limit_s(cx, map)?;
    let element = map.get("element").or_else(|| default_element.cloned());
    let Target {
        table: found,
        metric,
        owner,
        expect,
    } = target(
        cx,
        element.as_ref(),
        tables,
        Expectation::MustBeLessThan(seconds),
    )?;
    let derived = map.get("id").is_none();
    let id = map.text("id").unwrap_or_else(|| {
        if owner.is_empty() {
            "latency".to_owned()
        } else {
            format!("{owner}.latency")
        }
    });
    let placed = Placed {
        check: Check {
            id: CheckId::new(id),
            metric,
            expect,
            severity: Severity::Error,
            origin: CheckOrigin::Declared,
            dimension: Some("timeliness".to_owned()),
            description: map.text("description"),
            line: Some(cx.line(map.first().start)),
            tags: Vec::new(),
        },
        span: map.get("id").map_or_else(|| map.first(), |at| at.span),
        path: map.at.path.clone(),
        derived,
    };
    match found.and_then(|i| tables.get_mut(i)) {
        Some(table) => table.collected.checks.push(placed),
        None => loose.checks.push(placed),
    }
    Some(())
}

/// What a latency is measured of.
struct Target {
    /// The table, by its place in the file.
    table: Option<usize>,
    metric: MetricKey,
    /// The column's name in the document, or empty.
    owner: String,
    expect: Expectation,
}

/// Finds the element that a latency names; one that is not in the file is kept and skipped.
fn target(
    cx: &mut Context<'_>,
    element: Option<&At<'_>>,
    tables: &[Table],
    mut expect: Expectation,
) -> Option<Target> {
    let mut found: Option<usize> = (!tables.is_empty()).then_some(0);
    let (metric, owner) = match element {
        None => (MetricKey::table(Metric::LastModifiedAge), String::new()),
        Some(at) => {
            let text = at.name(cx)?;
            let (table, column) = text.split_once('.').unwrap_or(("", text.as_str()));
            let index = match tables.iter().position(|t| t.name == table) {
                Some(index) => Some(index),
                None if table.is_empty() && tables.len() <= 1 => found,
                None => {
                    let reason = format!("`{table}` is no table of this file");
                    at.report(
                        cx,
                        Code::ColumnNotDeclared,
                        format!("{reason}, the check is skipped"),
                    )
                    .hint("write `table.column`, with the table's `name` in `schema`");
                    expect = Expectation::NotRunHere { reason };
                    None
                }
            };
            found = index.or(found);
            let names = index.and_then(|i| tables.get(i)).map(|t| t.names.clone());
            let physical = match names {
                Some(names) => rules::resolve(cx, at, column, &names),
                None => column.to_owned(),
            };
            (
                MetricKey::column(Metric::Latency, physical),
                column.to_owned(),
            )
        }
    };
    Some(Target {
        table: found,
        metric,
        owner,
        expect,
    })
}

/// The limit in seconds.
fn limit_s(cx: &mut Context<'_>, map: &Map<'_>) -> Option<Bound> {
    let at = map.get("value")?;
    let value = at.number(cx)?;
    let Some(unit) = map.get("unit") else {
        map.missing(cx, "unit");
        return None;
    };
    let word = unit.scalar()?;
    let Some(factor) = units::unit_seconds(word) else {
        unit.report(
            cx,
            Code::UnknownWord,
            format!("`{word}` is no unit of latency"),
        )
        .hint("use `s`, `min`, `h` or `d`");
        return None;
    };
    let whole = value
        .as_str()
        .parse::<u64>()
        .ok()
        .and_then(|v| v.checked_mul(factor));
    let seconds = match whole {
        Some(seconds) => Bound::new(seconds.to_string()).ok(),
        None => {
            // A fraction of a unit: seconds are whole, and a limit is never made laxer.
            let seconds = value.as_f64() * f64::from(u32::try_from(factor).unwrap_or(u32::MAX));
            Bound::new(format!("{:.0}", seconds.floor())).ok()
        }
    };
    seconds.filter(|s| s.as_f64() > 0.0).or_else(|| {
        at.report(
            cx,
            Code::InvalidValue,
            format!("a latency of {value} {word} cannot be met"),
        )
        .hint("write a positive number");
        None
    })
}
