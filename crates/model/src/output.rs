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
use crate::task::{EvaluateManySpec, EvaluateMode, EvaluateSpec, MeasureSpec, Task, TaskSpec};

/// The output of a task.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskOutput {
    /// Of a discovery.
    Discovered(Discovery),
    /// Of a measurement.
    Measured(Vec<MeasuredPartition>),
    /// Of an evaluation.
    Evaluated(Box<Evaluation>),
    /// Of an evaluation of several partitions: one for each, in their order.
    EvaluatedMany(Vec<Evaluation>),
}

/// What a discovery found, and the plan that follows from it.
///
/// Task numbers: the measurements are 1 to m in order, the evaluations m + 1 to m + e in the
/// order of their partitions; where a series has many, one task judges several.
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
    /// An evaluation waits for the end of its measurements, however they end, and of the evaluation
    /// before it in its series, so that what it learns from the past does not depend on timing. Series
    /// are judged beside each other: no one learns from another.
    pub fn tasks(&self, run: RunId) -> impl Iterator<Item = Task> {
        let measures = self.measures.iter().map(|measure| {
            let needs: Vec<u32> = Vec::new();
            (TaskSpec::Measure(measure.clone()), needs)
        });
        let mut previous: BTreeMap<&str, u32> = BTreeMap::new();
        let mut last = u32::try_from(self.measures.len()).unwrap_or(u32::MAX);
        let evaluations = together(&self.evaluations).into_iter().map(move |of| {
            last = last.saturating_add(1);
            let mut needs: Vec<u32> = of.iter().flat_map(|e| &e.measured_by).copied().collect();
            needs.sort_unstable();
            needs.dedup();
            let measured_by = needs.clone();
            let series = of.first().map_or("", |e| e.partition.series.as_str());
            needs.extend(previous.insert(series, last));
            needs.sort_unstable();
            let spec = match of.as_slice() {
                [one] => TaskSpec::Evaluate((*one).clone()),
                several => TaskSpec::EvaluateMany(EvaluateManySpec {
                    of: several
                        .iter()
                        .map(|evaluation| (*evaluation).clone())
                        .collect(),
                    measured_by,
                }),
            };
            (spec, needs)
        });
        (1..)
            .zip(measures.chain(evaluations))
            .map(move |(no, (spec, needs))| Task::new(TaskId { run, no }, spec, needs))
    }

    /// How many tasks its plan has.
    #[must_use]
    pub fn planned(&self) -> usize {
        self.measures.len() + together(&self.evaluations).len()
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

/// Partitions of one series that one task judges, where the series has many to be judged: what is read
/// and written for each of them by itself would cost more than judging it.
const TOGETHER: usize = 64;

/// A series with fewer partitions to be judged has a task for each: one that fails or waits holds up
/// no other.
const TOGETHER_FROM: usize = 4 * TOGETHER;

/// The evaluations of each task, in an order in which every one comes after those before it in its
/// series.
fn together(evaluations: &[EvaluateSpec]) -> Vec<Vec<&EvaluateSpec>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for evaluation in evaluations {
        *counts
            .entry(evaluation.partition.series.as_str())
            .or_default() += 1;
    }
    let mut tasks = Vec::new();
    let mut open: BTreeMap<&str, Vec<&EvaluateSpec>> = BTreeMap::new();
    for evaluation in evaluations {
        let series = evaluation.partition.series.as_str();
        // What is done outside of the store is done by a task of its own.
        let alone = !evaluation.copies.is_empty() || evaluation.mode == EvaluateMode::Gone;
        let few = counts
            .get(series)
            .is_none_or(|count| *count < TOGETHER_FROM);
        if alone || few {
            tasks.extend(open.remove(series));
            tasks.push(vec![evaluation]);
            continue;
        }
        let of = open.entry(series).or_default();
        of.push(evaluation);
        if of.len() == TOGETHER {
            tasks.extend(open.remove(series));
        }
    }
    tasks.extend(open.into_values());
    tasks
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
    use std::collections::BTreeSet;

    use super::*;

    fn of(series: &str, days: u32) -> impl Iterator<Item = EvaluateSpec> + '_ {
        (1..=days).map(move |day| EvaluateSpec {
            partition: Partition {
                order: format!("{day:05}"),
                key: PartitionKey(format!("{series}{day:05}")),
                series: series.to_owned(),
                ..Partition::all()
            },
            version: PartitionVersion(String::new()),
            mode: EvaluateMode::Judge,
            sealed: true,
            measured_by: vec![day],
            objects: 1,
            bytes: 1,
            last_modified: None,
            reason: None,
            copies: Vec::new(),
        })
    }

    #[test]
    fn many_partitions_of_a_series_share_tasks_and_follow_each_other() {
        let mut evaluations: Vec<EvaluateSpec> = of("a", 300).chain(of("b", 3)).collect();
        evaluations.sort_by(|a, b| a.partition.cmp(&b.partition));
        evaluations
            .iter_mut()
            .filter(|e| e.partition.key.as_str() == "a00100")
            .for_each(|gone| gone.mode = EvaluateMode::Gone);
        let plan = Discovery {
            evaluations,
            ..Discovery::default()
        };
        let tasks: Vec<Task> = plan.tasks(RunId(uuid::Uuid::nil())).collect();
        assert_eq!(tasks.len(), plan.planned());
        let mut judged: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut last: BTreeMap<&str, u32> = BTreeMap::new();
        for task in &tasks {
            let of = task.spec.evaluations();
            let series = of[0].partition.series.as_str();
            let states: BTreeSet<u32> = of.iter().flat_map(|e| e.measured_by.clone()).collect();
            let needs: BTreeSet<u32> = task.depends_on.iter().copied().collect();
            let before: BTreeSet<u32> = last.insert(series, task.id.no).into_iter().collect();
            assert_eq!(needs, &states | &before);
            assert_eq!(task.spec.partition(), Some(&of[0].partition.key));
            for evaluation in of {
                assert_eq!(evaluation.partition.series, series);
                let key = evaluation.partition.key.as_str();
                judged.entry(series).or_default().push(key);
            }
        }
        let sizes = |name: &str| -> Vec<usize> {
            let of = tasks.iter().map(|task| task.spec.evaluations());
            let of = of.filter(|of| of[0].partition.series == name);
            of.map(<[EvaluateSpec]>::len).collect()
        };
        assert_eq!(sizes("a"), [64, 35, 1, 64, 64, 64, 8]);
        assert_eq!(sizes("b"), [1, 1, 1], "few have a task each");
        for (series, keys) in judged {
            let all: Vec<String> = of(series, 300).map(|e| e.partition.key.0).collect();
            assert_eq!(keys, all[..keys.len()], "{series}");
        }
    }

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
