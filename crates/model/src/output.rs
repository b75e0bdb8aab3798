//! What a task gives: committed in one transaction with its completion.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{RunId, TaskId};
use crate::incident::{Incident, OutboxEntry};
use crate::ledger::{LedgerState, Sighting};
use crate::metric::MetricPoint;
use crate::outcome::{CheckResult, OutcomeCounts};
use crate::partition::{Partition, PartitionKey, PartitionVersion};
use crate::task::{EvaluateSpec, MeasureSpec, Task, TaskSpec};

/// The output of a task.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskOutput {
    /// Of a discovery.
    Discovered(Discovery),
    /// Of a measurement.
    Measured(Vec<MeasuredPartition>),
    /// Of an evaluation.
    Evaluated(Box<Evaluation>),
}

/// What a discovery found, and the plan that follows from it.
///
/// Task numbers: the measurements are 1 to m in order, the evaluations m + 1 to m + e in the
/// order of their partitions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Discovery {
    /// What the ledger learns. Unchanged partitions are left out.
    pub sightings: Vec<Sighting>,
    /// Partitions that are as they were.
    pub unchanged: u64,
    /// The batches to measure.
    pub measures: Vec<MeasureSpec>,
    /// The partitions to judge, in key order.
    pub evaluations: Vec<EvaluateSpec>,
    /// Objects that belong to no partition, with the reason: shown, never silent.
    #[serde(default)]
    pub ignored: Vec<String>,
    /// What else people should know of the listing, in sentences: shown, never silent.
    #[serde(default)]
    pub notices: Vec<String>,
}

impl Discovery {
    /// The tasks of the plan of `run`, in their order.
    ///
    /// An evaluation waits for the end of its measurements, however they end, and of the evaluation of
    /// the partition before it in its series, so that what it learns from the past does not depend on
    /// timing. Series are judged beside each other: no one learns from another.
    pub fn tasks(&self, run: RunId) -> impl Iterator<Item = Task> {
        let measures = self.measures.iter().map(|measure| {
            let needs: Vec<u32> = Vec::new();
            (TaskSpec::Measure(measure.clone()), needs)
        });
        let mut previous: BTreeMap<&str, u32> = BTreeMap::new();
        let mut last = u32::try_from(self.measures.len()).unwrap_or(u32::MAX);
        let evaluations = self.evaluations.iter().map(move |evaluation| {
            last = last.saturating_add(1);
            let mut needs = evaluation.measured_by.clone();
            let series = evaluation.partition.series.as_str();
            needs.extend(previous.insert(series, last));
            needs.sort_unstable();
            needs.dedup();
            (TaskSpec::Evaluate(evaluation.clone()), needs)
        });
        (1..)
            .zip(measures.chain(evaluations))
            .map(move |(no, (spec, needs))| Task::new(TaskId { run, no }, spec, needs))
    }

    /// How many tasks its plan has.
    #[must_use]
    pub fn planned(&self) -> usize {
        self.measures.len() + self.evaluations.len()
    }

    /// All of it but its plan.
    #[must_use]
    pub fn without_plan(&self) -> Self {
        Self {
            sightings: Vec::new(),
            unchanged: self.unchanged,
            measures: Vec::new(),
            evaluations: Vec::new(),
            ignored: self.ignored.clone(),
            notices: self.notices.clone(),
        }
    }
}

/// What a discovery has to say besides its plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Remarks {
    /// Objects that belong to no partition: the first ones, with the reason.
    pub ignored: Vec<String>,
    /// How many there are in all.
    pub ignored_count: u64,
    /// What else people should know of the listing.
    pub notices: Vec<String>,
}

impl Remarks {
    /// Objects that are named in a line.
    const NAMED: usize = 3;

    /// The remarks of a discovery, with at most `most` ignored objects by name.
    #[must_use]
    pub fn of(ignored: Vec<String>, notices: Vec<String>, most: usize) -> Self {
        Self {
            ignored_count: ignored.len() as u64,
            ignored: ignored.into_iter().take(most).collect(),
            notices,
        }
    }

    /// One line for all ignored objects, and one per notice.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.ignored_count > 0 {
            let named = &self.ignored[..self.ignored.len().min(Self::NAMED)];
            let more = self.ignored_count.saturating_sub(named.len() as u64);
            let files = if self.ignored_count == 1 {
                "file is"
            } else {
                "files are"
            };
            let rest = match more {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            lines.push(format!(
                "{} {files} ignored: {}{rest}",
                self.ignored_count,
                named.join("; ")
            ));
        }
        lines.extend(self.notices.iter().cloned());
        lines
    }

    /// Adds the remarks of another discovery, each once.
    pub fn merge(&mut self, other: Self) {
        let known = &self.ignored;
        let new: Vec<String> = other
            .ignored
            .iter()
            .filter(|one| !known.contains(one))
            .cloned()
            .collect();
        let told_twice = (other.ignored.len() - new.len()) as u64;
        self.ignored_count += other.ignored_count.saturating_sub(told_twice);
        self.ignored.extend(new);
        for notice in other.notices {
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
        }
    }
}

/// A batch's state of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasuredPartition {
    /// The partition.
    pub partition: PartitionKey,
    /// Rows of it in the batch.
    pub rows: u64,
    /// The encoded metric state.
    pub state: Vec<u8>,
}

/// The verdict on one partition version with all it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The partition.
    pub partition: Partition,
    /// The version that was judged.
    pub version: PartitionVersion,
    /// Whether it was complete.
    pub sealed: bool,
    /// The ledger's state after it.
    pub state: LedgerState,
    /// Its metrics.
    pub metrics: Vec<MetricPoint>,
    /// One result per check.
    pub results: Vec<CheckResult>,
    /// Their counts.
    pub counts: OutcomeCounts,
    /// Incidents as they stand after it: opened, continued, resolved.
    pub incidents: Vec<Incident>,
    /// What is to be told.
    pub outbox: Vec<OutboxEntry>,
    /// When it was judged.
    pub judged_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_objects_are_counted_and_the_first_three_are_named() {
        let names: Vec<String> = (1..=5).map(|n| format!("f{n}: odd")).collect();
        let mut remarks = Remarks::of(names.clone(), vec!["a word".to_owned()], 4);
        let line = "5 files are ignored: f1: odd; f2: odd; f3: odd; and 2 more";
        assert_eq!(remarks.lines(), [line, "a word"]);
        remarks.merge(Remarks::of(names, vec!["a word".to_owned()], 4));
        assert_eq!(remarks.notices.len(), 1);
        assert_eq!(remarks.ignored.len(), 4);
    }
}
