//! An answer, made of what somebody typed.
//!
//! Comes in: words for a partition, a metric or a column, and what the store knows. Goes out: an
//! answer that names exactly what it is about, or why there is none and what to do. It must never
//! guess between two things that the words could mean.

use std::collections::BTreeSet;
use std::sync::Arc;

use assay_model::dataset::Dataset;
use assay_model::feedback::{Answered, FeedbackId, FeedbackKind, FeedbackScope};
use assay_model::metric::MetricKey;
use assay_model::partition::{Partition, PartitionKey};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::Known;
use crate::answers::Places;

/// Bytes of a reason that are kept.
pub const REASON_BYTES_MAX: usize = 1000;
/// Names that an unclear word is answered with.
const NAMED_MAX: usize = 5;

/// What somebody typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The id that it shall have; a repeat is the same answer.
    pub id: FeedbackId,
    /// What is answered.
    pub kind: FeedbackKind,
    /// A metric as it is shown (`sum(amount)`) or the id of a check; absent: see `column`.
    pub metric: Option<String>,
    /// A column; with neither, the whole dataset.
    pub column: Option<String>,
    /// The partition, or the first of them: a key or a day.
    pub from: String,
    /// The last of a window.
    pub to: Option<String>,
    /// Who answers.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Why a draft is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// A text is absent or too long.
    #[error("{0}")]
    Text(String),
    /// No partition, or several, of these words.
    #[error("{0}")]
    Partition(String),
    /// No metric, or several, of these words.
    #[error("{0}")]
    Scope(String),
}

impl Draft {
    /// The answer, given at `at`. `known` has the partitions of the dataset, and the history of a series to look for
    /// metrics in.
    ///
    /// # Errors
    /// [`Misfit`], which says what to write instead.
    pub fn settle(
        &self,
        dataset: &Dataset,
        known: &Known,
        at: Timestamp,
    ) -> Result<Answered, Misfit> {
        self.texts()?;
        let scope = self.scope(dataset, known)?;
        let (series, from, to) = self.partitions(dataset, known)?;
        Ok(Answered {
            id: self.id,
            dataset: dataset.id.clone(),
            kind: self.kind,
            scope,
            series,
            from,
            to,
            by: self.by.clone(),
            at,
            reason: self.reason.clone(),
            withdrawn: None,
        })
    }

    fn texts(&self) -> Result<(), Misfit> {
        if self.by.trim().is_empty() {
            return Err(Misfit::Text("nobody is named who answers".to_owned()));
        }
        reason(&self.reason).map_err(Misfit::Text)
    }

    fn scope(&self, dataset: &Dataset, known: &Known) -> Result<FeedbackScope, Misfit> {
        match (&self.metric, &self.column) {
            (None, None) => Ok(FeedbackScope::Dataset),
            (None, Some(column)) => {
                let scope = FeedbackScope::Column(column.clone());
                let mut measured = known.history.iter().map(|(key, _)| key);
                if measured.any(|key| scope.covers(key)) {
                    return Ok(scope);
                }
                Err(Misfit::Scope(format!(
                    "nothing is stored of a column `{column}` of {}; see: assay metric list {}",
                    dataset.id, dataset.id
                )))
            }
            (Some(metric), column) => {
                metric_of(dataset, known, metric, column.as_deref()).map(FeedbackScope::Metric)
            }
        }
    }

    /// The series and the ends.
    fn partitions(
        &self,
        dataset: &Dataset,
        known: &Known,
    ) -> Result<(Option<String>, PartitionKey, Option<PartitionKey>), Misfit> {
        let partitions = &known.partitions;
        if self.kind == FeedbackKind::MarkAsNormal {
            if self.to.is_some() {
                let why = "one partition is marked as normal at a time; exclude a window, or mark \
                           each of its partitions";
                return Err(Misfit::Partition(why.to_owned()));
            }
            let of = one(dataset, partitions, &self.from)?;
            return Ok((Some(of.series.clone()), of.key.clone(), None));
        }
        let from = bound(dataset, partitions, &self.from)?;
        let to = match (self.kind, &self.to) {
            (FeedbackKind::ExcludeWindow, None) => from.clone(),
            (FeedbackKind::ExcludeWindow, Some(to)) => bound(dataset, partitions, to)?,
            (_, Some(_)) => {
                let why = "a new normal has a beginning and no end; exclude a window instead";
                return Err(Misfit::Partition(why.to_owned()));
            }
            (_, None) => {
                self.begins(dataset, known, &from.0)?;
                return Ok((from.1, from.0, None));
            }
        };
        let series = match (from.1, to.1) {
            (Some(a), Some(b)) if a != b => {
                return Err(Misfit::Partition(format!(
                    "`{}` and `{}` are partitions of two series; a window is of one, or is between \
                     two days and of all",
                    self.from,
                    self.to.as_deref().unwrap_or_default()
                )));
            }
            (a, b) => a.or(b),
        };
        self.in_order(dataset, known, &from.0, &to.0)?;
        Ok((series, from.0, Some(to.0)))
    }

    /// A new normal begins with a partition that is known: of one that has not come nobody can say
    /// what it changes.
    fn begins(&self, dataset: &Dataset, known: &Known, from: &PartitionKey) -> Result<(), Misfit> {
        let places = Places::new(known.order());
        let mut partitions = known.partitions.iter();
        if partitions.any(|p| places.compare(p, from.as_str()).is_ge()) {
            return Ok(());
        }
        Err(Misfit::Partition(format!(
            "{} has no partition of `{from}` or later, with which a new normal could begin; the \
             newest are: {}",
            dataset.id,
            newest(&known.partitions)
        )))
    }

    fn in_order(
        &self,
        dataset: &Dataset,
        known: &Known,
        from: &PartitionKey,
        to: &PartitionKey,
    ) -> Result<(), Misfit> {
        let places = Places::new(known.order());
        let mut within = known.partitions.iter().filter(|partition| {
            places.compare(partition, from.as_str()).is_ge()
                && places.compare(partition, to.as_str()).is_le()
        });
        if within.next().is_some() {
            return Ok(());
        }
        let turned = known.partitions.iter().any(|partition| {
            places.compare(partition, to.as_str()).is_ge()
                && places.compare(partition, from.as_str()).is_le()
        });
        Err(Misfit::Partition(match turned {
            true => format!(
                "no partition lies between `{from}` and `{to}`; the earlier end comes first"
            ),
            false => format!(
                "{} has no partition between `{from}` and `{to}`; the newest are: {}",
                dataset.id,
                newest(&known.partitions)
            ),
        }))
    }
}

/// A reason that can be kept.
///
/// # Errors
/// In words, when it is empty or too long.
pub fn reason(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("no reason is given; say why, for those who wonder later".to_owned());
    }
    if text.len() > REASON_BYTES_MAX {
        return Err(format!(
            "the reason has {} bytes; at most {REASON_BYTES_MAX} are kept",
            text.len()
        ));
    }
    Ok(())
}

/// The partition with the key, or the only one of the day.
fn one<'a>(
    dataset: &Dataset,
    partitions: &'a [Arc<Partition>],
    text: &str,
) -> Result<&'a Partition, Misfit> {
    if let Some(partition) = partitions.iter().find(|p| p.key.as_str() == text) {
        return Ok(partition);
    }
    let day = text.parse::<Date>().ok();
    let of_day: Vec<&Arc<Partition>> = partitions
        .iter()
        .filter(|partition| day.is_some() && partition.date == day)
        .collect();
    match of_day.as_slice() {
        [one] => Ok(one),
        [] => Err(unknown(dataset, partitions, text)),
        several => Err(Misfit::Partition(format!(
            "{} partitions are of {text}: {}; name one by its key",
            several.len(),
            named(several.iter().map(|p| p.key.to_string()))
        ))),
    }
}

/// A bound and the series that it is of: the key of a partition, or a day of all series.
fn bound(
    dataset: &Dataset,
    partitions: &[Arc<Partition>],
    text: &str,
) -> Result<(PartitionKey, Option<String>), Misfit> {
    let known = partitions.iter().find(|p| p.key.as_str() == text);
    if let Some(partition) = known {
        let series = partition.series.clone();
        return Ok((partition.key.clone(), Some(series)));
    }
    let dated = partitions.iter().any(|partition| partition.date.is_some());
    match text.parse::<Date>() {
        Ok(day) if dated => Ok((PartitionKey(day.to_string()), None)),
        _ => Err(unknown(dataset, partitions, text)),
    }
}

fn unknown(dataset: &Dataset, partitions: &[Arc<Partition>], text: &str) -> Misfit {
    Misfit::Partition(match partitions.len() {
        0 => format!(
            "nothing is known of {} yet; measure it: assay check FILE, or assay run start {}",
            dataset.id, dataset.id
        ),
        _ => format!(
            "{} has no partition `{text}`; the newest are: {}",
            dataset.id,
            newest(partitions)
        ),
    })
}

/// The metric that is shown by these words, or that the check of this id measures.
fn metric_of(
    dataset: &Dataset,
    known: &Known,
    text: &str,
    column: Option<&str>,
) -> Result<MetricKey, Misfit> {
    let name = text.strip_prefix("profile:").unwrap_or(text);
    let of_check = dataset.checks.iter().filter(|c| c.id.as_str() == text);
    let of_check: BTreeSet<&MetricKey> = of_check.map(|c| &c.metric).collect();
    let measured = known.history.iter().map(|(key, _)| key);
    let of_name = measured.filter(|key| {
        let of_column = column.is_none_or(|column| key.column == column);
        let bare = column.is_some() || key.column.is_empty();
        of_column && (key.to_string() == name || (bare && key.metric.as_str() == name))
    });
    let of_name: BTreeSet<&MetricKey> = of_name.collect();
    let found = if of_check.is_empty() {
        of_name
    } else {
        of_check
    };
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.clone()),
        (Some(one), Some(two)) => {
            let all = [one, two].into_iter().chain(found);
            Err(Misfit::Scope(format!(
                "`{text}` can be {}; write one of them",
                named(all.map(|key| format!("`{key}`")))
            )))
        }
        (None, _) => {
            let of = column
                .map(|c| format!(" of column `{c}`"))
                .unwrap_or_default();
            Err(Misfit::Scope(format!(
                "{} has no check and no measured metric `{text}`{of}; see: assay metric list {}",
                dataset.id, dataset.id
            )))
        }
    }
}

/// The newest partitions, by their keys.
fn newest(partitions: &[Arc<Partition>]) -> String {
    named(partitions.iter().rev().map(|p| p.key.to_string()))
}

fn named(names: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = names.collect();
    let more = all.len().saturating_sub(NAMED_MAX);
    let mut text = all[..all.len() - more].join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
