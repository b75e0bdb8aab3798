//! The operators of a rule.
//!
//! In: the mapping of a rule. Out: the one [`Expectation`] that its operators state, bounds as
//! written. It must never widen or narrow what is written: two operators become a between only
//! when they mean exactly that.

use assay_model::check::{Bound, Expectation};

use crate::context::Context;
use crate::decode::{At, Keys, Map, Shape};
use crate::diagnostic::Code;
use crate::suggest;

/// The operators of the standard.
pub const OPERATORS: &[&str] = &[
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
];

/// The operators as keys of a mapping; their values are decoded here.
pub const OPERATOR_KEYS: Keys = &[
    ("mustBe", Shape::Any),
    ("mustNotBe", Shape::Any),
    ("mustBeGreaterThan", Shape::Any),
    ("mustBeGreaterOrEqualTo", Shape::Any),
    ("mustBeLessThan", Shape::Any),
    ("mustBeLessOrEqualTo", Shape::Any),
    ("mustBeBetween", Shape::Any),
    ("mustNotBeBetween", Shape::Any),
];

/// Explains an unknown key that was meant to be an operator.
pub fn explain(key: &str) -> Option<(Code, String, Option<String>)> {
    let meant = suggest::operator(key, OPERATORS);
    if meant.is_none() && !key.to_ascii_lowercase().starts_with("must") {
        return None;
    }
    let hint = meant.map_or_else(
        || format!("use one of {}", suggest::listed(OPERATORS)),
        |word| format!("did you mean `{word}`?"),
    );
    Some((
        Code::UnknownOperator,
        format!("unknown operator `{key}`"),
        Some(hint),
    ))
}

/// Whether the rule has an operator, or a key that was meant to be one.
pub fn any(map: &Map<'_>) -> bool {
    map.keys()
        .any(|key| OPERATORS.contains(&key) || explain(key).is_some())
}

/// The expectation of the rule's operators. A rule without one is reported unless a misspelt
/// operator has been.
pub fn decode(cx: &mut Context<'_>, map: &Map<'_>) -> Option<Expectation> {
    let given: Vec<At<'_>> = OPERATORS
        .iter()
        .filter_map(|name| map.key_at(name))
        .collect();
    let names: Vec<&str> = OPERATORS
        .iter()
        .copied()
        .filter(|n| map.key_at(n).is_some())
        .collect();
    match (given.as_slice(), names.as_slice()) {
        ([], _) => {
            if !any(map) {
                let (span, path) = (map.first(), map.at.path.clone());
                cx.report(Code::NoOperator, span, &path, "this rule expects nothing").hint(
                    "add an operator, such as `mustBe: 0`; to measure without a rule use `assayProfile`",
                );
            }
            None
        }
        ([_], [name]) => one(cx, map, name),
        ([_, second], ["mustBeGreaterThan", "mustBeLessThan"]) => {
            let low = map.get_any("mustBeGreaterThan")?.number(cx)?;
            let high = map.get_any("mustBeLessThan")?.number(cx)?;
            second
                .report(
                    cx,
                    Code::ReadAsBetween,
                    format!("two operators in one rule, read as `mustBeBetween: [{low}, {high}]`"),
                )
                .hint("the standard allows one operator; write the between");
            ordered(cx, second, low, high).map(|(low, high)| Expectation::MustBeBetween(low, high))
        }
        ([first, rest @ ..], _) => {
            let last = rest.iter().chain([first]).max_by_key(|at| at.span.start)?;
            last.report(
                cx,
                Code::TwoOperators,
                format!(
                    "{} operators in one rule: {}",
                    names.len(),
                    names.join(", ")
                ),
            )
            .hint(remedy(&names));
            None
        }
    }
}

fn remedy(names: &[&str]) -> &'static str {
    let closed = |n: &&str| matches!(*n, "mustBeGreaterOrEqualTo" | "mustBeLessOrEqualTo");
    if names.iter().any(closed) {
        "write two rules with ids of their own (`mustBeBetween` leaves both ends out)"
    } else {
        "use `mustBeBetween: [low, high]`, or write two rules with ids of their own"
    }
}

fn one(cx: &mut Context<'_>, map: &Map<'_>, name: &str) -> Option<Expectation> {
    let at = map.get_any(name)?;
    if name.ends_with("Between") {
        let items = at.items(cx);
        let [low, high] = items.as_slice() else {
            if matches!(at.node.value, crate::tree::Value::List(_)) {
                at.report(
                    cx,
                    Code::InvalidValue,
                    format!("`{name}` takes two numbers"),
                )
                .hint(format!("write `{name}: [0, 100]`"));
            }
            return None;
        };
        let (low, high) = (low.number(cx), high.number(cx));
        let (low, high) = ordered(cx, &at, low?, high?)?;
        return Some(if name == "mustBeBetween" {
            Expectation::MustBeBetween(low, high)
        } else {
            Expectation::MustNotBeBetween(low, high)
        });
    }
    let bound = at.number(cx)?;
    Some(match name {
        "mustBe" => Expectation::MustBe(bound),
        "mustNotBe" => Expectation::MustNotBe(bound),
        "mustBeGreaterThan" => Expectation::MustBeGreaterThan(bound),
        "mustBeGreaterOrEqualTo" => Expectation::MustBeGreaterOrEqualTo(bound),
        "mustBeLessThan" => Expectation::MustBeLessThan(bound),
        _ => Expectation::MustBeLessOrEqualTo(bound),
    })
}

/// Both bounds, when the first is less than the second.
fn ordered(cx: &mut Context<'_>, at: &At<'_>, low: Bound, high: Bound) -> Option<(Bound, Bound)> {
    if low.as_f64() < high.as_f64() {
        return Some((low, high));
    }
    at.report(
        cx,
        Code::InvalidValue,
        format!("nothing lies between {low} and {high}"),
    )
    .hint("write the lesser number first; both ends are left out, so they must differ");
    None
}
