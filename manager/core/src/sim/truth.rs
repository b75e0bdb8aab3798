//! What is true: the runs that are asked for, what their discoveries find, how their tasks behave.
//!
//! What comes in: dice and the swarm's rates. What goes out: the truth that results are compared
//! with. It must never depend on what the cluster does.

use std::collections::BTreeMap;

use assay_model::ids::{DatasetId, RunId, TaskId};
use assay_model::output::Discovery;
use assay_model::partition::{Partition, PartitionKey, PartitionVersion};
use assay_model::run::{Priority, Run, RunState, Selection, Trigger};
use assay_model::task::{EvaluateMode, EvaluateSpec, MeasureSpec};
use jiff::Timestamp;

use super::rng::Dice;
use super::swarm::Swarm;
use crate::time::after;

/// How a task behaves, on every node and attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    Healthy,
    /// Fails at first, so many times.
    Flaky(u32),
    /// Fails for good.
    Permanent,
    /// Kills its process.
    Poison,
    /// Never ends.
    Hang,
}

/// One run that is asked for.
#[derive(Debug, Clone)]
pub(super) struct TrueRun {
    pub run: Run,
    /// When it is asked for, in virtual milliseconds.
    pub at_ms: u64,
    pub discovery: Discovery,
    /// Rows that each measurement finds, by task number.
    pub rows: BTreeMap<u32, u64>,
    /// Tasks that each task needs ended, by number.
    pub needs: BTreeMap<u32, Vec<u32>>,
    pub natures: BTreeMap<u32, Nature>,
}

impl TrueRun {
    /// How a task behaves.
    pub(super) fn nature(&self, no: u32) -> Nature {
        self.natures.get(&no).copied().unwrap_or(Nature::Healthy)
    }
}

pub(super) fn draw(dice: &mut Dice, swarm: &Swarm, base: Timestamp) -> BTreeMap<RunId, TrueRun> {
    let datasets = dice.range(1, 3);
    let mut runs = BTreeMap::new();
    for number in 0..swarm.runs {
        let name = format!("dataset-{}", dice.below(datasets));
        let Ok(dataset) = DatasetId::new(name) else {
            continue;
        };
        let at_ms = dice.below(swarm.chaos_ms / 2);
        let short = dice.chance(swarm.short_deadline);
        let deadline_ms = if short {
            dice.range(2_000, 40_000)
        } else {
            7_200_000
        };
        let scheduled = dice.chance(500);
        let created_at = after(base, at_ms);
        let run = Run {
            id: RunId::of_key(&dataset, &format!("{number}")),
            dataset,
            definition: "definition".to_owned(),
            trigger: if scheduled {
                Trigger::Schedule
            } else {
                Trigger::Manual
            },
            slot: scheduled.then_some(created_at),
            priority: if dice.chance(700) {
                Priority::Live
            } else {
                Priority::Backfill
            },
            selection: Selection::default(),
            retries: 2,
            task_timeout_ms: 20_000,
            state: RunState::Queued,
            reason: None,
            created_at,
            started_at: None,
            finished_at: None,
            deadline_at: after(created_at, deadline_ms),
            planned_tasks: 0,
        };
        let truth = draw_run(dice, swarm, run, at_ms);
        runs.insert(truth.run.id, truth);
    }
    runs
}

fn draw_run(dice: &mut Dice, swarm: &Swarm, run: Run, at_ms: u64) -> TrueRun {
    let mut discovery = Discovery::default();
    let mut rows = BTreeMap::new();
    let mut needs = BTreeMap::new();
    let partitions = dice.below(4);
    for place in 0..partitions {
        let partition = Partition {
            order: place.to_string(),
            key: PartitionKey(place.to_string()),
            ..Partition::all()
        };
        let batches = u32::try_from(dice.range(1, 3)).unwrap_or(1);
        let mut measured_by = Vec::new();
        for batch in 1..=batches {
            discovery.measures.push(MeasureSpec {
                queries: false,
                reading: None,
                partitions: vec![partition.clone()],
                batch,
                batches,
                slices: Vec::new(),
                bytes: dice.range(0, 10_000_000),
            });
            let no = u32::try_from(discovery.measures.len()).unwrap_or(0);
            rows.insert(no, dice.range(1, 1_000_000));
            measured_by.push(no);
        }
        discovery.evaluations.push(EvaluateSpec {
            partition,
            version: PartitionVersion("1".to_owned()),
            mode: EvaluateMode::Judge,
            sealed: true,
            measured_by,
            objects: 1,
            bytes: 1,
            last_modified: None,
            reason: None,
            copies: Vec::new(),
        });
    }
    let first = u32::try_from(discovery.measures.len()).unwrap_or(0) + 1;
    for (no, evaluation) in (first..).zip(&discovery.evaluations) {
        let mut before = evaluation.measured_by.clone();
        before.extend((no > first).then(|| no - 1));
        needs.insert(no, before);
    }
    let last = first + u32::try_from(discovery.evaluations.len()).unwrap_or(0);
    let natures = (0..last).map(|no| (no, draw_nature(dice, swarm))).collect();
    TrueRun {
        run,
        at_ms,
        discovery,
        rows,
        needs,
        natures,
    }
}

fn draw_nature(dice: &mut Dice, swarm: &Swarm) -> Nature {
    if dice.chance(swarm.poison) {
        Nature::Poison
    } else if dice.chance(swarm.permanent) {
        Nature::Permanent
    } else if dice.chance(swarm.hang) {
        Nature::Hang
    } else if dice.chance(swarm.flaky) {
        Nature::Flaky(u32::try_from(dice.range(1, 4)).unwrap_or(1))
    } else {
        Nature::Healthy
    }
}

/// The rows that an evaluation must have merged: those of its measurements that succeeded.
pub(super) fn rows_of(truth: &TrueRun, no: u32, succeeded: impl Fn(TaskId) -> bool) -> u64 {
    let run = truth.run.id;
    let first = u32::try_from(truth.discovery.measures.len()).unwrap_or(0) + 1;
    let place = no.saturating_sub(first) as usize;
    let by = truth
        .discovery
        .evaluations
        .get(place)
        .map(|e| e.measured_by.as_slice());
    let done = by
        .unwrap_or_default()
        .iter()
        .filter(|no| succeeded(TaskId { run, no: **no }));
    done.filter_map(|no| truth.rows.get(no)).sum()
}
