//! Value rules: what counts as missing and what as invalid, tested value by value.
//!
//! In: the decoded arguments of a metric ([`ValueRule`]) and values. Out: for each value whether
//! the rule applies to it and whether it is met. Numbers are compared exactly, not as text: `1.50`
//! is the allowed value `1.5`, and a bound of `0.1` is not the double next to it.

mod number;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use assay_metrics::{BigInt, Number, decimal_text};
use assay_model::check::ValueRule;
use assay_model::dataset::LogicalType;
use jiff::{SignedDuration, Timestamp, civil};
use regex::bytes::Regex;

use self::number::{Bound, Value};
use crate::text::values;

/// One non-null value, as a rule sees it.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    /// A whole number.
    Int(i128),
    /// A decimal `unscaled · 10^-scale`.
    Decimal(i128, i8),
    /// A decimal of 256 bits, little-endian.
    Decimal256(&'a [u8; 32], i8),
    /// A double.
    Float(f64),
    /// A float of single precision.
    Single(f32),
    /// A truth value.
    Bool(bool),
    /// Days since 1970-01-01.
    Date(i64),
    /// Nanoseconds since midnight.
    Time(i64),
    /// Nanoseconds since 1970-01-01 UTC.
    Timestamp(i128),
    /// A field of a column of numbers, as written: a number where it reads as one, else a text.
    Number(&'a [u8]),
    /// A text, a field of no declared type, or bytes.
    Text(&'a [u8]),
}

/// What a rule asks of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Whether it stands for a missing value.
    Missing,
    /// Whether it is valid; not asked of placeholders for a missing value.
    Valid,
}

/// A compiled rule.
#[derive(Debug, Clone)]
pub struct Rule {
    id: String,
    question: Question,
    missing: Allowed,
    valid: Option<Allowed>,
    pattern: Option<Regex>,
    logical_type: Option<LogicalType>,
    min_length: Option<u64>,
    max_length: Option<u64>,
    min: Option<Bound>,
    max: Option<Bound>,
    exclusive_min: Option<Bound>,
    exclusive_max: Option<Bound>,
}

/// The rules of a column.
pub type ColumnRules = Vec<Rule>;

impl Rule {
    /// The identity of a rule's counts in the state.
    #[must_use]
    pub fn id_of(question: Question, args: &str) -> String {
        match question {
            Question::Missing => format!("missing{args}"),
            Question::Valid => format!("valid{args}"),
        }
    }

    /// Compiles the arguments of a metric: the canonical JSON of a [`ValueRule`], or nothing.
    ///
    /// # Errors
    /// What is wrong with the arguments: the JSON, the pattern, a bound that is no number.
    pub fn compile(question: Question, args: &str) -> Result<Self, String> {
        let rule = if args.is_empty() {
            ValueRule::default()
        } else {
            serde_json::from_str(args)
                .map_err(|error| format!("its arguments are unreadable: {error}"))?
        };
        let pattern = rule.pattern.as_deref().map(Regex::new).transpose();
        let number = |text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => match Bound::parse(text.as_bytes()) {
                Some(number) => Ok(Some(number)),
                None => Err(format!("the bound {text:?} is not a number")),
            },
        };
        Ok(Self {
            id: Self::id_of(question, args),
            question,
            missing: Allowed::new(&rule.missing_values),
            valid: rule.valid_values.as_deref().map(Allowed::new),
            pattern: pattern.map_err(|error| format!("its pattern is not usable: {error}"))?,
            logical_type: rule.logical_type,
            min_length: rule.min_length,
            max_length: rule.max_length,
            min: number(&rule.min)?,
            max: number(&rule.max)?,
            exclusive_min: number(&rule.exclusive_min)?,
            exclusive_max: number(&rule.exclusive_max)?,
        })
    }

    /// The identity of its counts.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it asks for the type of values and for nothing else: who reads fields as values of
    /// that type knows the answer.
    #[must_use]
    pub fn asks_for_type_alone(&self) -> bool {
        let values = self.missing.texts.is_empty() && self.valid.is_none();
        let lengths = self.min_length.is_none() && self.max_length.is_none();
        let bounds = [
            &self.min,
            &self.max,
            &self.exclusive_min,
            &self.exclusive_max,
        ];
        let bounds = bounds.iter().all(|bound| bound.is_none());
        let kind = self.question == Question::Valid && self.logical_type.is_some();
        kind && values && lengths && bounds && self.pattern.is_none()
    }

    /// Tests a value: `None` when the question is not asked of it.
    #[must_use]
    pub fn test(&self, cell: &Cell<'_>) -> Option<bool> {
        let missing = self.missing.has(cell);
        match self.question {
            Question::Missing => Some(missing),
            Question::Valid if missing => None,
            Question::Valid => Some(self.is_valid(cell)),
        }
    }

    fn is_valid(&self, cell: &Cell<'_>) -> bool {
        if self.logical_type.is_some_and(|kind| !is_of(cell, kind)) {
            return false;
        }
        if self.valid.as_ref().is_some_and(|valid| !valid.has(cell)) {
            return false;
        }
        let bounds = [
            (&self.min, Ordering::is_ge as fn(Ordering) -> bool),
            (&self.max, Ordering::is_le),
            (&self.exclusive_min, Ordering::is_gt),
            (&self.exclusive_max, Ordering::is_lt),
        ];
        if bounds.iter().any(|(bound, _)| bound.is_some()) {
            let Some(number) = Value::of(cell) else {
                return false;
            };
            let within = |(bound, is_within): &(&Option<Bound>, fn(Ordering) -> bool)| {
                let Some(bound) = bound else { return true };
                number.order(bound).is_some_and(is_within)
            };
            if !bounds.iter().all(within) {
                return false;
            }
        }
        if self.pattern.is_none() && self.min_length.is_none() && self.max_length.is_none() {
            return true;
        }
        with_text(cell, |text| {
            let length = assay_metrics::chars(text);
            self.pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(text))
                && self.min_length.is_none_or(|min| length >= min)
                && self.max_length.is_none_or(|max| length <= max)
        })
    }
}

/// Whether a value is of a declared type; text is what did not read as the type.
fn is_of(cell: &Cell<'_>, kind: LogicalType) -> bool {
    match cell {
        Cell::Bool(_) => kind == LogicalType::Boolean,
        Cell::Date(_) => kind == LogicalType::Date,
        Cell::Time(_) => kind == LogicalType::Time,
        Cell::Timestamp(_) => kind == LogicalType::Timestamp,
        Cell::Int(_) => matches!(kind, LogicalType::Integer | LogicalType::Number),
        Cell::Number(text) => match kind {
            LogicalType::Integer => values::is_whole(text),
            LogicalType::Number => values::number(text) != Number::None,
            _ => false,
        },
        // Some writers put a point behind every number: 1.0 is whole.
        Cell::Float(value) => is_number(*value, kind),
        Cell::Single(value) => is_number(f64::from(*value), kind),
        Cell::Decimal(..) | Cell::Decimal256(..) => kind == LogicalType::Number,
        Cell::Text(_) => matches!(
            kind,
            LogicalType::String | LogicalType::Object | LogicalType::Array
        ),
    }
}

fn is_number(value: f64, kind: LogicalType) -> bool {
    let whole = value.is_finite() && value.fract() == 0.0;
    kind == LogicalType::Number || (kind == LogicalType::Integer && whole)
}

/// A list of values, to be met as text or as number.
#[derive(Debug, Clone)]
struct Allowed {
    texts: BTreeSet<Vec<u8>>,
    numbers: Vec<Bound>,
    /// NaN and infinities.
    odd: Vec<f64>,
}

impl Allowed {
    fn new(values: &[String]) -> Self {
        let cells = || values.iter().map(|value| Cell::Text(value.as_bytes()));
        Self {
            texts: values
                .iter()
                .map(|value| value.as_bytes().to_vec())
                .collect(),
            numbers: values
                .iter()
                .filter_map(|value| Bound::parse(value.as_bytes()))
                .collect(),
            odd: cells().filter_map(|cell| Value::of(&cell)?.odd()).collect(),
        }
    }

    fn has(&self, cell: &Cell<'_>) -> bool {
        if self.texts.is_empty() {
            return false;
        }
        if let Cell::Text(text) = cell {
            return self.texts.contains(*text);
        }
        let Some(number) = Value::of(cell) else {
            return with_text(cell, |text| self.texts.contains(text));
        };
        if let Some(odd) = number.odd() {
            let same = |other: &f64| *other == odd || (other.is_nan() && odd.is_nan());
            return self.odd.iter().any(same);
        }
        let mut numbers = self.numbers.iter();
        numbers.any(|allowed| number.order(allowed) == Some(Ordering::Equal))
    }
}

/// The value's text form: digits, ISO 8601, `true` and `false`, or the text itself.
pub fn with_text<T>(cell: &Cell<'_>, take: impl FnOnce(&[u8]) -> T) -> T {
    let text = match cell {
        Cell::Text(text) | Cell::Number(text) => return take(text),
        Cell::Int(value) => value.to_string(),
        Cell::Decimal(value, scale) => decimal_text(&BigInt::from(*value), *scale),
        Cell::Decimal256(bytes, scale) => {
            decimal_text(&BigInt::from_signed_bytes_le(*bytes), *scale)
        }
        Cell::Float(value) => value.to_string(),
        Cell::Single(value) => value.to_string(),
        Cell::Bool(value) => value.to_string(),
        Cell::Date(days) => date_text(*days),
        Cell::Time(nanos) => time_text(*nanos),
        Cell::Timestamp(nanos) => timestamp_text(*nanos),
    };
    take(text.as_bytes())
}

/// A date as ISO 8601; beyond the calendar, its number of days.
#[must_use]
pub fn date_text(days: i64) -> String {
    let span = SignedDuration::try_from_hours(days.saturating_mul(24));
    let date = span.and_then(|span| civil::date(1970, 1, 1).checked_add(span).ok());
    date.map_or_else(
        || format!("{days} days since 1970-01-01"),
        |date| date.to_string(),
    )
}

/// A time of day as ISO 8601.
#[must_use]
pub fn time_text(nanos: i64) -> String {
    let span = SignedDuration::from_nanos(nanos);
    let time = civil::Time::midnight().checked_add(span);
    time.map_or_else(
        |_| format!("{nanos} ns since midnight"),
        |time| time.to_string(),
    )
}

/// A time as RFC 3339 in UTC; beyond the calendar, its number of nanoseconds.
#[must_use]
pub fn timestamp_text(nanos: i128) -> String {
    Timestamp::from_nanosecond(nanos).map_or_else(
        |_| format!("{nanos} ns since 1970-01-01"),
        |time| time.to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid(args: &str, cell: Cell<'_>) -> Option<bool> {
        Rule::compile(Question::Valid, args).unwrap().test(&cell)
    }

    #[test]
    fn numbers_are_compared_by_value_and_exactly() {
        let list = r#"{"validValues":["1.5","2"]}"#;
        assert_eq!(valid(list, Cell::Decimal(150, 2)), Some(true));
        assert_eq!(valid(list, Cell::Int(2)), Some(true));
        assert_eq!(valid(list, Cell::Float(1.5)), Some(true));
        assert_eq!(valid(list, Cell::Text(b"1.50")), Some(false));
        for same in [&b"1.50"[..], b"+1.5", b"02", b"2.0", b"2e0"] {
            assert_eq!(valid(list, Cell::Number(same)), Some(true));
        }
        assert_eq!(valid(list, Cell::Number(b"two")), Some(false));
        let nan = r#"{"validValues":["NaN","1"]}"#;
        assert_eq!(valid(nan, Cell::Float(f64::NAN)), Some(true));
        assert_eq!(valid(nan, Cell::Number(b"nan")), Some(true));
        assert_eq!(valid(nan, Cell::Float(f64::INFINITY)), Some(false));
        let bound = r#"{"min":"9007199254740993"}"#;
        assert_eq!(valid(bound, Cell::Int(9_007_199_254_740_992)), Some(false));
        assert_eq!(valid(bound, Cell::Int(9_007_199_254_740_993)), Some(true));
        assert_eq!(
            valid(r#"{"max":"1e3"}"#, Cell::Decimal(100_001, 2)),
            Some(false)
        );
        assert_eq!(valid(r#"{"max":"3"}"#, Cell::Float(f64::NAN)), Some(false));
        assert_eq!(valid(r#"{"max":"3"}"#, Cell::Text(b"n/a")), Some(false));
    }

    #[test]
    fn an_exclusive_bound_is_no_valid_number() {
        let bounds = r#"{"exclusiveMin":"0","exclusiveMax":"1.5"}"#;
        assert_eq!(valid(bounds, Cell::Int(0)), Some(false));
        assert_eq!(valid(bounds, Cell::Int(1)), Some(true));
        assert_eq!(valid(bounds, Cell::Text(b"1.49")), Some(true));
        assert_eq!(valid(bounds, Cell::Decimal(150, 2)), Some(false));
        assert_eq!(valid(bounds, Cell::Float(f64::NAN)), Some(false));
    }

    #[test]
    fn a_value_is_of_its_declared_type_or_invalid() {
        let date = r#"{"logicalType":"date"}"#;
        assert_eq!(valid(date, Cell::Date(3)), Some(true));
        assert_eq!(valid(date, Cell::Text(b"soon")), Some(false));
        assert_eq!(valid(date, Cell::Int(3)), Some(false));
        let whole = r#"{"logicalType":"integer"}"#;
        for text in [
            "1",
            "-0",
            "1.0",
            "1e3",
            "1.50e1",
            "+7",
            " 8 ",
            "9007199254740993",
        ] {
            assert_eq!(
                valid(whole, Cell::Number(text.as_bytes())),
                Some(true),
                "{text}"
            );
        }
        for text in [
            "1.5",
            ".5",
            "NaN",
            "Infinity",
            "1e400",
            "15e-1",
            "9007199254740993.5",
            "x",
        ] {
            assert_eq!(
                valid(whole, Cell::Number(text.as_bytes())),
                Some(false),
                "{text}"
            );
        }
        assert_eq!(valid(whole, Cell::Float(2.0)), Some(true));
        assert_eq!(valid(whole, Cell::Float(2.5)), Some(false));
        assert_eq!(valid(whole, Cell::Float(f64::NAN)), Some(false));
        let alone = |args: &str| {
            let rule = Rule::compile(Question::Valid, args).unwrap();
            rule.asks_for_type_alone()
        };
        assert!(alone(date));
        assert!(!alone(r#"{"logicalType":"date","pattern":"^2"}"#) && !alone(""));
    }

    #[test]
    fn a_placeholder_is_missing_and_neither_valid_nor_invalid() {
        let args = r#"{"missingValues":["n/a",""],"maxLength":2}"#;
        assert_eq!(valid(args, Cell::Text(b"n/a")), None);
        assert_eq!(valid(args, Cell::Text("äö".as_bytes())), Some(true));
        assert_eq!(valid(args, Cell::Text(b"abc")), Some(false));
        let missing = Rule::compile(Question::Missing, args).unwrap();
        assert_eq!(missing.test(&Cell::Text(b"")), Some(true));
        assert_eq!(missing.test(&Cell::Text(b"a")), Some(false));
    }

    #[test]
    fn a_pattern_that_cannot_be_used_is_told() {
        assert!(Rule::compile(Question::Valid, r#"{"pattern":"("}"#).is_err());
        let pattern = r#"{"pattern":"^2024-"}"#;
        assert_eq!(valid(pattern, Cell::Date(19_723)), Some(true));
        assert_eq!(valid(pattern, Cell::Timestamp(0)), Some(false));
    }
}
