//! `logicalTypeOptions`: what the values of a type may be.
//!
//! In: the options of a column. Out: one check that no value is outside the bounds, lengths and
//! pattern that they state; and one for each option that this version does not check, with the
//! reason why it is skipped. An option is never dropped in silence.

use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity, ValueRule};
use assay_model::dataset::LogicalType;
use assay_model::ids::CheckId;
use assay_model::metric::{Metric, MetricKey};

use crate::context::Context;
use crate::decode::{At, Keys, Map, Shape};
use crate::diagnostic::Code;
use crate::quality::{Collected, Placed};
use crate::rules;

const B: Shape = Shape::Boolean;
const T: Shape = Shape::Text;

const NUMBER_OPTIONS: Keys = &[
    ("multipleOf", Shape::Number),
    ("maximum", Shape::Number),
    ("exclusiveMaximum", Shape::Number),
    ("minimum", Shape::Number),
    ("exclusiveMinimum", Shape::Number),
    ("format", T),
];

const TIME_OPTIONS: Keys = &[
    ("format", T),
    ("exclusiveMaximum", T),
    ("maximum", T),
    ("exclusiveMinimum", T),
    ("minimum", T),
    ("timezone", B),
    ("defaultTimezone", T),
];

/// The options of a logical type, in the standard's words.
fn options_of(kind: LogicalType) -> Keys {
    match kind {
        LogicalType::String => &[
            ("minLength", Shape::Integer),
            ("maxLength", Shape::Integer),
            ("pattern", T),
            ("format", T),
        ],
        LogicalType::Date | LogicalType::Timestamp | LogicalType::Time => TIME_OPTIONS,
        LogicalType::Number | LogicalType::Integer => NUMBER_OPTIONS,
        LogicalType::Object => &[
            ("maxProperties", Shape::Integer),
            ("minProperties", Shape::Integer),
            ("required", Shape::Texts),
        ],
        LogicalType::Array => &[
            ("maxItems", Shape::Integer),
            ("minItems", Shape::Integer),
            ("uniqueItems", B),
        ],
        LogicalType::Boolean => &[],
    }
}

/// The column whose options are read.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'o> {
    /// Its name in the document.
    pub name: &'o str,
    /// Its name in the data; `None` inside objects and arrays, where nothing is measured.
    pub physical: Option<&'o str>,
    /// Its type.
    pub kind: Option<LogicalType>,
}

/// Adds the checks that the options at `at` imply.
pub fn decode(cx: &mut Context<'_>, at: &At<'_>, owner: Owner<'_>, out: &mut Collected) {
    let Some(kind) = owner.kind else {
        at.report(
            cx,
            Code::NotUsed,
            "`logicalTypeOptions` are not checked without a `logicalType`",
        )
        .hint("say what they are options of: `logicalType: number`, `string`, …");
        return;
    };
    let Some(map) = at.map(cx, options_of(kind)) else {
        return;
    };
    let mut checked = Vec::new();
    if let Some(column) = owner.physical {
        checked = checked_here(kind);
        if let Some(rule) = rule(cx, &map, &checked)
            && rule != ValueRule::default()
        {
            let key = MetricKey::column(Metric::InvalidCount, column);
            if let Some(metric) = rules::with_rule(key, &rule) {
                let id = format!("{}.options", owner.name);
                let expect = Expectation::MustBe(Bound::from(0));
                out.checks.push(placed(cx, id, metric, expect, at));
            }
        }
    }
    for (key, _) in options_of(kind) {
        if !checked.contains(key)
            && let Some(at) = map.key_at(key)
        {
            skipped(cx, key, owner, &at, out);
        }
    }
}

/// The options that are checked. Bounds of dates and times are not: rules compare numbers.
fn checked_here(kind: LogicalType) -> Vec<&'static str> {
    match kind {
        LogicalType::String => vec!["minLength", "maxLength", "pattern"],
        LogicalType::Number | LogicalType::Integer => {
            vec!["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]
        }
        _ => Vec::new(),
    }
}

/// What the options say of a valid value; `None` when one of them cannot be used.
fn rule(cx: &mut Context<'_>, map: &Map<'_>, checked: &[&str]) -> Option<ValueRule> {
    let given = |key: &str| checked.contains(&key).then(|| map.get(key)).flatten();
    let number = |cx: &mut Context<'_>, key: &str| {
        let bound = given(key).and_then(|at| at.number(cx));
        bound.map(|bound| bound.as_str().to_owned())
    };
    let length = |cx: &mut Context<'_>, key: &str| {
        let length = given(key).and_then(|at| at.integer(cx, 0, i64::MAX));
        length.map(i64::unsigned_abs)
    };
    Some(ValueRule {
        pattern: match given("pattern") {
            Some(at) => Some(rules::pattern(cx, &at)?),
            None => None,
        },
        min_length: length(cx, "minLength"),
        max_length: length(cx, "maxLength"),
        min: number(cx, "minimum"),
        max: number(cx, "maximum"),
        exclusive_min: number(cx, "exclusiveMinimum"),
        exclusive_max: number(cx, "exclusiveMaximum"),
        ..ValueRule::default()
    })
}

/// Keeps an option that is not checked, as a check that says so.
fn skipped(cx: &mut Context<'_>, key: &str, owner: Owner<'_>, at: &At<'_>, out: &mut Collected) {
    let reason = if owner.physical.is_none() {
        "columns inside objects and arrays are not measured by this version".to_owned()
    } else {
        format!("the option `{key}` is not checked by this version")
    };
    let id = format!("{}.{key}", owner.name);
    at.report(
        cx,
        Code::NotRunHere,
        format!("`{id}` is kept and skipped: {reason}"),
    );
    let metric = MetricKey::table(Metric::RowCount);
    let expect = Expectation::NotRunHere { reason };
    out.checks.push(placed(cx, id, metric, expect, at));
}

fn placed(
    cx: &Context<'_>,
    id: String,
    metric: MetricKey,
    expect: Expectation,
    at: &At<'_>,
) -> Placed {
    Placed {
        check: Check {
            id: CheckId::new(id),
            metric,
            expect,
            severity: Severity::Error,
            origin: CheckOrigin::Implied,
            dimension: Some("conformity".to_owned()),
            description: None,
            line: Some(cx.line(at.span.start)),
            tags: Vec::new(),
        },
        span: at.span,
        path: at.path.clone(),
        derived: true,
    }
}
