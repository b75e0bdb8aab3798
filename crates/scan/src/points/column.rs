//! Metrics of one column, and of keys made of several.
//!
//! In: a column's merged state. Out: one point, exact where the state is exact, with what was left
//! out and how far an estimate may be off.

use assay_metrics::{
    ColumnState, HLL_STANDARD_ERROR, KeyCounts, Kind, Partial, QUANTILE_ERROR_BOUND, RuleCount,
    Scalar, SumValue, Unavailable,
};
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricStatus, MetricValue};
use jiff::Timestamp;

use super::table::seconds;
use super::{Class, Subject, shows_value, unavailable};
use crate::clock;
use crate::discover::keys::parse_datetime;
use crate::parquet::columns::is_local_time;
use crate::plan::{STATED_NULLS, question};
use crate::rules::{Rule, date_text, time_text, timestamp_text};

/// A value, or why there is none.
type Given = Result<MetricPoint, Unavailable>;

impl Subject<'_> {
    /// The class of a column, by the values met and, without any, by its type.
    pub(super) fn class(&self, name: &str) -> Class {
        let state = self.state.columns.get(name);
        if let Some(state) = state.filter(|state| !state.kinds.is_empty()) {
            let only = |kinds: &[Kind]| state.kinds.iter().all(|kind| kinds.contains(kind));
            return match () {
                () if state.is_numeric() => Class::Number,
                () if only(&[Kind::Date, Kind::Time, Kind::Timestamp]) => Class::Time,
                () if only(&[Kind::Bool]) => Class::Bool,
                () if only(&[Kind::Binary]) => Class::Binary,
                () if only(&[Kind::Other]) => Class::Nested,
                () => Class::Text,
            };
        }
        let types = self
            .state
            .schema
            .columns
            .get(name)
            .map(|shape| &shape.types);
        let Some(first) = types.and_then(|types| types.first()) else {
            return Class::Text;
        };
        let starts = |fronts: &[&str]| fronts.iter().any(|front| first.starts_with(front));
        match () {
            () if starts(&["list<", "struct<", "map<", "repeated<"]) => Class::Nested,
            () if starts(&["int", "uint", "float", "decimal", "number", "null"]) => Class::Number,
            () if starts(&["date", "time"]) => Class::Time,
            () if starts(&["bool"]) => Class::Bool,
            () if starts(&["binary", "fixed", "uuid"]) => Class::Binary,
            () => Class::Text,
        }
    }

    /// Whether a column holds IEEE floats: by the values met and, without any, by its type.
    pub(super) fn is_float(&self, name: &str) -> bool {
        let state = self.state.columns.get(name);
        if let Some(state) = state.filter(|state| !state.kinds.is_empty()) {
            return state.kinds.contains(&Kind::Float);
        }
        let shape = self.state.schema.columns.get(name);
        shape.is_some_and(|shape| shape.types.iter().any(|text| text.starts_with("float")))
    }

    pub(super) fn column_point(&self, key: MetricKey) -> MetricPoint {
        let Some(state) = self.state.columns.get(&key.column) else {
            return unavailable(key, &Unavailable::NotCollected);
        };
        if let Some(why) = self.why_not_of_type(&key) {
            return MetricPoint::failed(key, MetricStatus::Error, why);
        }
        let copy = key.clone();
        let mut point = self
            .value(key, state)
            .unwrap_or_else(|why| unavailable(copy, &why));
        if point.note.is_none() {
            point.note = self.stated(&point.key);
        }
        point
    }

    /// How the NULLs of a column are known, where they were not counted.
    fn stated(&self, key: &MetricKey) -> Option<String> {
        let of_nulls = match key.metric {
            Metric::NullCount | Metric::NullPercent => true,
            Metric::MissingCount | Metric::MissingPercent => key.args.is_empty(),
            _ => false,
        };
        let flag = format!("{STATED_NULLS}{}", key.column);
        let rows = *self.state.flags.get(&flag).filter(|_| of_nulls)?;
        Some(if rows == self.state.rows {
            "as the footers of the files state".to_owned()
        } else {
            format!("of {rows} rows as the footers of their files state")
        })
    }

    /// Why a column of this type, or a masked one, has no such metric.
    fn why_not_of_type(&self, key: &MetricKey) -> Option<String> {
        let (name, class) = (&key.column, self.class(&key.column));
        if shows_value(key.metric) && self.is_masked(name) {
            return Some(format!(
                "the column `{name}` is masked: its values are not shown"
            ));
        }
        let (needs, holds) = match key.metric {
            Metric::Sum | Metric::Mean | Metric::Stddev | Metric::Quantile => {
                ("numbers", class == Class::Number)
            }
            Metric::LengthMin | Metric::LengthMax | Metric::LengthMean => {
                let fields = self.state.columns.get(name).is_some_and(|state| {
                    state.kinds.contains(&Kind::Untyped) || state.kinds.contains(&Kind::Numeric)
                });
                ("text", class == Class::Text || fields)
            }
            // The greatest text is not the latest time: offsets and spellings differ.
            Metric::Latency => {
                let state = self.state.columns.get(name);
                let empty = state.is_some_and(|state| state.counts.non_null() == 0);
                ("times", class == Class::Time || empty)
            }
            Metric::NullCount | Metric::NullPercent => return None,
            Metric::MissingCount | Metric::MissingPercent if key.args.is_empty() => return None,
            _ => ("single values", class != Class::Nested),
        };
        if holds {
            return None;
        }
        let types = self
            .state
            .schema
            .columns
            .get(name)
            .map(|shape| &shape.types);
        let types: Vec<&str> = types.into_iter().flatten().map(String::as_str).collect();
        Some(format!(
            "{} needs {needs}, and the column `{name}` is {}",
            key.metric,
            types.join("|")
        ))
    }

    fn value(&self, key: MetricKey, state: &ColumnState) -> Given {
        let rows = state.counts.rows;
        let count = |key, n: u64| {
            Ok(MetricPoint::computed(
                key,
                MetricValue::integer(i128::from(n)),
            ))
        };
        match key.metric {
            Metric::NullCount => count(key, state.counts.nulls),
            Metric::NullPercent => Ok(percent(key, state.counts.nulls, rows)),
            Metric::MissingCount
            | Metric::MissingPercent
            | Metric::InvalidCount
            | Metric::InvalidPercent => self.rule_point(key, state),
            Metric::NanCount | Metric::InfCount => {
                let n = not_numbers(state, &key.metric)?;
                count(key, n)
            }
            Metric::NonNumericCount => count(key, state.nonnumeric_count()?),
            Metric::DistinctCount => {
                let (distinct, error) = state.distinct_count()?;
                let value = if error.is_some() {
                    // No estimate may say more than there are values.
                    MetricValue::Float(distinct.min(state.counts.non_null()) as f64)
                } else {
                    MetricValue::integer(i128::from(distinct))
                };
                let mut point = MetricPoint::computed(key, value);
                point.error_bound = error.map(|error| error.max(HLL_STANDARD_ERROR));
                Ok(point)
            }
            Metric::DuplicateCount => duplicates(key, state.duplicates()?, rows, false),
            Metric::DuplicatePercent => duplicates(key, state.duplicates()?, rows, true),
            Metric::Sum => Ok(partial(key, state.sum()?, |sum| match sum {
                SumValue::Int(digits) | SumValue::Decimal(digits) => MetricValue::Exact(digits),
                SumValue::Float(value) => MetricValue::Float(value),
            })),
            Metric::Min => {
                let both = self.extremes(&key.column, state)?;
                Ok(extreme(key, both, |both| both.0))
            }
            Metric::Max => {
                let both = self.extremes(&key.column, state)?;
                Ok(extreme(key, both, |both| both.1))
            }
            Metric::Mean => Ok(partial(key, state.mean()?, MetricValue::Float)),
            Metric::Stddev => Ok(partial(key, state.stddev()?, MetricValue::Float)),
            Metric::Quantile => quantile(key, state),
            Metric::LengthMin | Metric::LengthMax | Metric::LengthMean => lengths(key, state),
            Metric::Latency => self.latency(key, state),
            _ => Err(Unavailable::NotCollected),
        }
    }

    fn rule_point(&self, key: MetricKey, state: &ColumnState) -> Given {
        let rows = state.counts.rows;
        let is_percent = matches!(key.metric, Metric::MissingPercent | Metric::InvalidPercent);
        if let Some(question) = question(&key)
            && let Err(why) = Rule::compile(question, &key.args)
        {
            return Ok(MetricPoint::failed(key, MetricStatus::Error, why));
        }
        let hits = hits(&key, state)?;
        if is_percent {
            return Ok(percent(key, hits, rows));
        }
        Ok(MetricPoint::computed(
            key,
            MetricValue::integer(i128::from(hits)),
        ))
    }

    /// Duplicates of a key of several columns.
    pub(super) fn key_point(&self, key: MetricKey) -> MetricPoint {
        let is_percent = match key.metric {
            Metric::DuplicateCount => false,
            Metric::DuplicatePercent => true,
            _ => {
                let why = format!("{} is of one column, not of several", key.metric);
                return MetricPoint::failed(key, MetricStatus::Error, why);
            }
        };
        let copy = key.clone();
        let counts = self.state.key(&key.column);
        counts
            .and_then(|counts| duplicates(key, counts, self.state.rows, is_percent))
            .unwrap_or_else(|why| unavailable(copy, &why))
    }

    /// The least and the greatest value. Times without a zone were read off the wall clock of the
    /// dataset's zone; beside times with one, they have no common order.
    fn extremes(
        &self,
        name: &str,
        state: &ColumnState,
    ) -> Result<Option<Partial<(Scalar, Scalar)>>, Unavailable> {
        let both = state.extremes()?;
        let Some(Partial {
            value: (Scalar::Timestamp(low), Scalar::Timestamp(high)),
            left_out,
        }) = both
        else {
            return Ok(both);
        };
        let types = self.state.schema.columns.get(name);
        let types = types.into_iter().flat_map(|shape| &shape.types);
        let (local, absolute): (Vec<&String>, _) = types.partition(|text| is_local_time(text));
        if local.is_empty() {
            return Ok(both);
        }
        if !absolute.is_empty() {
            let kinds = "times with a zone, times without".to_owned();
            return Err(Unavailable::MixedTypes { kinds });
        }
        let zone = clock::zone(&self.dataset.partitions.time_zone);
        let instant = |reading| {
            let instant = zone.as_ref().and_then(|zone| clock::instant(reading, zone));
            instant.map(Scalar::Timestamp).ok_or(Unavailable::Overflow)
        };
        let value = (instant(low)?, instant(high)?);
        Ok(Some(Partial { value, left_out }))
    }

    /// Seconds from the latest time to the moment of judging. Dates count from their first instant
    /// in the dataset's zone. One value that is no time makes the latest one unknown.
    fn latency(&self, key: MetricKey, state: &ColumnState) -> Given {
        let extremes = self.extremes(&key.column, state)?;
        let extremes = extremes.map(|both| both.value);
        if let Some((_, Scalar::Timestamp(nanos))) = extremes {
            let Ok(latest) = Timestamp::from_nanosecond(nanos) else {
                return Err(Unavailable::Overflow);
            };
            return Ok(MetricPoint::computed(key, seconds(latest, self.now)));
        }
        let Some((_, greatest)) = extremes else {
            return Ok(MetricPoint::computed(key, MetricValue::Null));
        };
        let text = scalar_text(&greatest);
        let zone = clock::zone(&self.dataset.partitions.time_zone);
        let latest = zone.and_then(|zone| zone.to_timestamp(parse_datetime(&text, &zone)?).ok());
        Ok(match latest {
            Some(latest) => MetricPoint::computed(key, seconds(latest, self.now)),
            None => {
                let why = "the greatest value of the column is not a date or time";
                MetricPoint::failed(key, MetricStatus::Error, why)
            }
        })
    }
}

fn percent(key: MetricKey, hits: u64, rows: u64) -> MetricPoint {
    let value = match rows {
        0 => MetricValue::Null,
        // Correctly rounded as long as the product is exact: to 9·10^13 hits.
        _ => MetricValue::Float(hits as f64 * 100.0 / rows as f64),
    };
    MetricPoint::computed(key, value)
}

fn duplicates(key: MetricKey, counts: KeyCounts, rows: u64, is_percent: bool) -> Given {
    if is_percent {
        return Ok(percent(key, counts.duplicates, rows));
    }
    Ok(MetricPoint::computed(
        key,
        MetricValue::integer(i128::from(counts.duplicates)),
    ))
}

fn noted(mut point: MetricPoint, left_out: u64) -> MetricPoint {
    if left_out > 0 {
        point.note = Some(match left_out {
            1 => "1 value that is not a finite number is left out".to_owned(),
            n => format!("{n} values that are not finite numbers are left out"),
        });
    }
    point
}

fn partial<T>(
    key: MetricKey,
    value: Option<Partial<T>>,
    to: impl FnOnce(T) -> MetricValue,
) -> MetricPoint {
    match value {
        None => MetricPoint::computed(key, MetricValue::Null),
        Some(Partial { value, left_out }) => noted(MetricPoint::computed(key, to(value)), left_out),
    }
}

fn extreme(
    key: MetricKey,
    both: Option<Partial<(Scalar, Scalar)>>,
    pick: impl FnOnce((Scalar, Scalar)) -> Scalar,
) -> MetricPoint {
    let Some(Partial { value, left_out }) = both else {
        return MetricPoint::computed(key, MetricValue::Null);
    };
    let scalar = pick(value);
    let value = match &scalar {
        Scalar::Int(_) | Scalar::Decimal { .. } => MetricValue::Exact(scalar.to_string()),
        Scalar::Float(value) => MetricValue::Float(*value),
        Scalar::Text(bound) if bound.unbounded => {
            let why = "its first KiB has no text above it, so that no bound of it can be shown";
            return MetricPoint::failed(key, MetricStatus::Error, why);
        }
        other => MetricValue::Text(scalar_text(other)),
    };
    let mut point = noted(MetricPoint::computed(key, value), left_out);
    if matches!(&scalar, Scalar::Text(bound) if bound.cut) {
        point.note = Some("a bound of a text that is longer than 1 KiB".to_owned());
    }
    point
}

fn scalar_text(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Date(days) => date_text(*days),
        Scalar::Time(nanos) => time_text(*nanos),
        Scalar::Timestamp(nanos) => timestamp_text(*nanos),
        other => other.to_string(),
    }
}

fn quantile(key: MetricKey, state: &ColumnState) -> Given {
    let args: Option<serde_json::Value> = serde_json::from_str(&key.args).ok();
    let q = args
        .and_then(|args| args.get("q")?.as_f64())
        .filter(|q| (0.0..=1.0).contains(q));
    let Some(q) = q else {
        let why = "it names no quantile from 0 to 1, as in {\"q\":0.5}";
        return Ok(MetricPoint::failed(key, MetricStatus::Error, why));
    };
    let mut point = partial(key, state.quantile(q)?, MetricValue::Float);
    if point.value != MetricValue::Null {
        point.error_bound = Some(QUANTILE_ERROR_BOUND);
    }
    Ok(point)
}

/// NaN or infinite values; types that can hold neither have none.
fn not_numbers(state: &ColumnState, metric: &Metric) -> Result<u64, Unavailable> {
    let can_hold = [Kind::Float, Kind::Untyped, Kind::Numeric];
    if !can_hold.iter().any(|kind| state.kinds.contains(kind)) {
        return Ok(0);
    }
    match metric {
        Metric::NanCount => state.nan_count(),
        _ => state.inf_count(),
    }
}

fn lengths(key: MetricKey, state: &ColumnState) -> Given {
    let lengths = state.text_lengths()?;
    let value = match (key.metric, lengths.chars()) {
        (_, None) => MetricValue::Null,
        (Metric::LengthMin, Some(chars)) => MetricValue::integer(i128::from(chars.min)),
        (Metric::LengthMax, Some(chars)) => MetricValue::integer(i128::from(chars.max)),
        (_, Some(_)) => lengths
            .mean_chars()
            .map_or(MetricValue::Null, MetricValue::Float),
    };
    let mut point = MetricPoint::computed(key, value);
    let others = state.counts.non_null().saturating_sub(lengths.count());
    if others > 0 {
        point.note = Some(match others {
            1 => "1 value that is no text is left out".to_owned(),
            n => format!("{n} values that are no texts are left out"),
        });
    }
    Ok(point)
}

/// The rows that a rule's metric counts.
fn hits(key: &MetricKey, state: &ColumnState) -> Result<u64, Unavailable> {
    let Some(question) = question(key) else {
        // Without placeholders, missing is NULL.
        return Ok(state.counts.nulls);
    };
    let id = Rule::id_of(question, &key.args);
    let RuleCount {
        tested, matched, ..
    } = state.rule(&id)?;
    Ok(match question {
        crate::rules::Question::Missing => state.counts.nulls.saturating_add(matched),
        crate::rules::Question::Valid => tested.saturating_sub(matched),
    })
}

/// The rows that break the rule of `key`, of a metric that counts single rows; `None` where they
/// were not counted.
#[must_use]
pub fn broken_rows(key: &MetricKey, state: &ColumnState) -> Option<u64> {
    match key.metric {
        Metric::NullCount | Metric::NullPercent => Some(state.counts.nulls),
        Metric::NanCount | Metric::InfCount => not_numbers(state, &key.metric).ok(),
        Metric::NonNumericCount => state.nonnumeric_count().ok(),
        // That is told by the rows of all batches only.
        metric if metric.is_of_keys() => None,
        metric if metric.is_of_single_rows() => hits(key, state).ok(),
        _ => None,
    }
}
