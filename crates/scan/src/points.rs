//! The metrics that a merged state stands for.
//!
//! In: a dataset's definition, the partition that is judged with its merged state, and the moment
//! of judging. Out: one point for every metric that a check or the profile needs, each once. A
//! metric that has no value says why; it is never left out because it failed. Values of
//! masked columns (least, greatest, quantiles, the latest time) never leave this module. Pure.

mod column;
mod table;

pub use column::broken_rows;

use std::collections::BTreeSet;

use assay_metrics::{AnswerValue, TableState, Unavailable, Uniqueness};
use assay_model::beside::in_words;
use assay_model::dataset::Dataset;
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricStatus, MetricValue, ROWS};
use assay_model::outcome::ROWS_SUCH_AS;
use assay_model::task::EvaluateSpec;
use jiff::Timestamp;

use crate::plan::{composite_keys, key_columns, of_filter};

/// What the points are made from.
#[derive(Clone, Copy)]
struct Subject<'a> {
    dataset: &'a Dataset,
    spec: &'a EvaluateSpec,
    state: &'a TableState,
    now: Timestamp,
}

/// Every metric that checks and profile need of a partition, ordered by its identity; `state` is
/// the merge of all of its parts.
#[must_use]
pub fn metric_points(
    dataset: &Dataset,
    spec: &EvaluateSpec,
    mut state: TableState,
    now: Timestamp,
) -> Vec<MetricPoint> {
    complete(dataset, &mut state);
    for (filter, kept) in &mut state.filtered {
        complete(&of_filter(dataset, filter), kept);
    }
    let subject = Subject {
        dataset,
        spec,
        state: &state,
        now,
    };
    let mut keys: BTreeSet<MetricKey> = dataset.checks.iter().map(|c| c.metric.clone()).collect();
    for metric in Metric::ALL.iter().filter(|metric| metric.is_of_table()) {
        keys.insert(MetricKey::table(*metric));
    }
    keys.extend(subject.profiled());
    keys.into_iter().map(|key| subject.point(key)).collect()
}

/// Adds the rows that do not name a column, where rows name the columns, and the keys of which no
/// row has all parts.
fn complete(dataset: &Dataset, state: &mut TableState) {
    let columns = &state.schema.columns;
    let named = |part: &String| state.schema.is_named_by_rows(part);
    let keys: Vec<String> = composite_keys(dataset)
        .into_iter()
        .filter(|(id, parts)| !columns.contains_key(id) && parts.iter().all(named))
        .map(|(id, _)| id)
        .collect();
    for id in keys {
        let empty = || Uniqueness::with_limit(u64::from(dataset.scan.uniqueness_limit));
        state.keys.entry(id).or_insert_with(empty);
    }
    state.fill_unnamed();
}

impl Subject<'_> {
    /// The metrics of the profile that the types of the columns have.
    fn profiled(&self) -> Vec<MetricKey> {
        let mut keys = Vec::new();
        let profile = &self.dataset.profile;
        for name in self.columns() {
            if profile
                .columns
                .as_ref()
                .is_some_and(|only| only.iter().all(|c| c != name))
            {
                continue;
            }
            let class = self.class(name);
            for metric in profile.metrics.iter().filter(|metric| class.has(**metric)) {
                if shows_value(*metric) && self.is_masked(name) {
                    continue;
                }
                // No other type has values that are no numbers.
                let of_floats = matches!(metric, Metric::NanCount | Metric::InfCount);
                if of_floats && !self.is_float(name) {
                    continue;
                }
                if *metric == Metric::Quantile {
                    keys.extend(
                        profile
                            .quantiles
                            .iter()
                            .map(|q| MetricKey::quantile(name, *q)),
                    );
                } else {
                    keys.push(MetricKey::column(*metric, name));
                }
            }
        }
        keys
    }

    /// Names of the columns that the data has.
    fn columns(&self) -> impl Iterator<Item = &str> {
        self.state.schema.columns.keys().map(String::as_str)
    }

    fn is_masked(&self, name: &str) -> bool {
        self.dataset.is_masked(name)
    }

    fn point(&self, key: MetricKey) -> MetricPoint {
        if key.metric.is_of_query() {
            return self.with_beside(self.answer(key));
        }
        if !key.filter.is_empty() {
            return self.with_beside(self.of_filtered(key));
        }
        let point = self.of_all(key);
        self.with_rows(point, self.state)
    }

    /// The point of a metric with rows that it counts in `counted`, where some are to be shown.
    fn with_rows(&self, mut point: MetricPoint, counted: &TableState) -> MetricPoint {
        if point.status == MetricStatus::Computed
            && let Some(rows) = self.rows_of(&point, counted)
        {
            point.note = Some(match point.note {
                Some(note) => format!("{note}; {rows}"),
                None => rows,
            });
        }
        point
    }

    fn rows_of(&self, point: &MetricPoint, counted: &TableState) -> Option<String> {
        let key = &point.key;
        if !key.metric.is_of_single_rows() {
            return None;
        }
        let broken = match key.metric.is_of_keys() {
            // A percentage does not tell how many.
            true => point
                .value
                .as_f64()
                .filter(|value| *value > 0.0)
                .map(|_| u64::MAX),
            false => broken_rows(key, counted.columns.get(&key.column)?),
        }
        .unwrap_or(0);
        let rows = self.state.answers.get(&key.rows());
        let rows = rows.or_else(|| self.state.answers.get(ROWS))?;
        match &rows.value {
            _ if broken == 0 => None,
            Err(why) => Some(format!("rows that break it are not shown: {why}")),
            // They were counted apart: what does not agree is not shown as if it did.
            Ok(_) if rows.samples.is_empty() || rows.samples.len() as u64 > broken => None,
            Ok(_) => Some(format!("{ROWS_SUCH_AS}{}", rows.samples.join(", "))),
        }
    }

    /// The point with what was read beside the partition for it: where the note of a value begins,
    /// and where the reason ends that there is none.
    fn with_beside(&self, mut point: MetricPoint) -> MetricPoint {
        let read = self.state.answers.get(&point.key.beside());
        let read = read.map(|answer| answer.samples.as_slice());
        let Some(words) = in_words(read.unwrap_or_default()) else {
            return point;
        };
        point.note = Some(match (point.note, point.status) {
            (None, _) => words,
            (Some(note), MetricStatus::Computed) => format!("{words}; {note}"),
            (Some(why), _) => format!("{why}; {words}"),
        });
        point
    }

    /// The metric of all rows.
    fn of_all(&self, key: MetricKey) -> MetricPoint {
        if key.metric.is_of_table() {
            return self.table_point(key);
        }
        let parts = key_columns(&key.column, |name| {
            self.state.schema.columns.contains_key(name)
        });
        if let Some(why) = parts.iter().find_map(|part| self.why_absent(part)) {
            return MetricPoint::failed(key, MetricStatus::Error, why);
        }
        if parts.len() > 1 {
            self.key_point(key)
        } else {
            self.column_point(key)
        }
    }

    /// What the owner's query gave.
    fn answer(&self, key: MetricKey) -> MetricPoint {
        let Some(answer) = self.state.answers.get(&key.asked()) else {
            return MetricPoint::failed(key, MetricStatus::Error, UNASKED);
        };
        let value = match &answer.value {
            Ok(AnswerValue::Null) => MetricValue::Null,
            Ok(AnswerValue::Exact(digits)) => MetricValue::Exact(digits.clone()),
            Ok(AnswerValue::Float(value)) => MetricValue::Float(*value),
            Err(why) => return MetricPoint::failed(key, MetricStatus::Error, why.as_str()),
        };
        let mut point = MetricPoint::computed(key, value);
        if !answer.samples.is_empty() {
            point.note = Some(match point.key.metric {
                Metric::FailedRows => format!("{ROWS_SUCH_AS}{}", answer.samples.join(", ")),
                _ => answer.samples.join("; "),
            });
        }
        point
    }

    /// The metric of the rows that its filter keeps.
    fn of_filtered(&self, key: MetricKey) -> MetricPoint {
        let answer = self.state.answers.get(&key.asked());
        if let Some(why) = answer.and_then(|answer| answer.value.as_ref().err()) {
            return MetricPoint::failed(key, MetricStatus::Error, why.as_str());
        }
        let Some(state) = self.state.filtered.get(&key.filter) else {
            return MetricPoint::failed(key, MetricStatus::Error, UNASKED);
        };
        let kept = Subject { state, ..*self };
        let of_all = MetricKey {
            filter: String::new(),
            ..key.clone()
        };
        let point = MetricPoint {
            key,
            ..kept.point(of_all)
        };
        self.with_rows(point, state)
    }

    /// Why a column's metrics cannot be given: the data, or some of its files, lack it.
    fn why_absent(&self, name: &str) -> Option<String> {
        if self.state.schema.columns.contains_key(name) {
            let without = self.state.rows_without(name);
            return (without > 0).then(|| {
                format!(
                    "{without} of {} rows are in files without the column `{name}`",
                    self.state.rows
                )
            });
        }
        if self.state.schema.files == 0 {
            return Some(format!(
                "no file was read, so the column `{name}` was not met"
            ));
        }
        if self.is_untold() {
            return Some(format!(
                "the column `{name}` was not met: {}",
                table::UNTOLD
            ));
        }
        let near = self.columns().min_by(|left, right| {
            let score = |other: &str| strsim::normalized_damerau_levenshtein(name, other);
            score(right).total_cmp(&score(left))
        });
        let near = near.filter(|near| strsim::normalized_damerau_levenshtein(name, near) > 0.6);
        let hint = near
            .map(|near| format!("; did you mean `{near}`?"))
            .unwrap_or_default();
        let mut listed: Vec<&str> = self.columns().take(LISTED).collect();
        if self.state.schema.columns.len() > LISTED {
            listed.push("…");
        }
        Some(format!(
            "the data has no column `{name}`; it has {}{hint}",
            listed.join(", ")
        ))
    }
}

/// Whether a metric is a value of the column, or tells one.
const fn shows_value(metric: Metric) -> bool {
    matches!(
        metric,
        Metric::Min | Metric::Max | Metric::Quantile | Metric::Latency
    )
}

/// Why a query has no answer that nobody put.
const UNASKED: &str = "its SQL was not run: the program `assay-query` of a node does that, when it measures the partition";

/// Columns that a message lists.
const LISTED: usize = 20;

/// What a column's type has metrics of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Number,
    Text,
    Time,
    Bool,
    Binary,
    Nested,
}

impl Class {
    /// Whether the profile has the metric for columns of this class.
    const fn has(self, metric: Metric) -> bool {
        match metric {
            Metric::NullCount
            | Metric::NullPercent
            | Metric::MissingCount
            | Metric::MissingPercent => true,
            Metric::DistinctCount | Metric::DuplicateCount | Metric::DuplicatePercent => {
                !matches!(self, Self::Nested)
            }
            Metric::Min | Metric::Max => matches!(self, Self::Number | Self::Text | Self::Time),
            Metric::Latency => matches!(self, Self::Time),
            Metric::LengthMin | Metric::LengthMax | Metric::LengthMean => {
                matches!(self, Self::Text)
            }
            Metric::Sum
            | Metric::Mean
            | Metric::Stddev
            | Metric::Quantile
            | Metric::NanCount
            | Metric::InfCount => {
                matches!(self, Self::Number)
            }
            _ => false,
        }
    }
}

/// A point for a value that its state does not give.
fn unavailable(key: MetricKey, why: &Unavailable) -> MetricPoint {
    let status = match why {
        Unavailable::Overflow => MetricStatus::Overflow,
        _ => MetricStatus::Error,
    };
    MetricPoint::failed(key, status, why.to_string())
}
