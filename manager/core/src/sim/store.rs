//! A store in memory with the meaning of the job store's port: changes, starts, completions.
//!
//! What comes in: the same calls as the port's. What goes out: the same answers. It never fails by
//! itself; faults belong to whoever calls it. Every row that was ever written can be looked at, so
//! that a checker sees what a database would hold. A conformance test compares it with the real
//! adapters.

use std::collections::BTreeMap;

use assay_model::change::{Answer, Change};
use assay_model::ids::{AttemptToken, Epoch, Incarnation, NodeId, RunId, TaskId};
use assay_model::node::{Node, NodeState};
use assay_model::output::{Discovery, Evaluation, MeasuredPartition, TaskOutput};
use assay_model::run::{Run, RunState};
use assay_model::task::{AttemptOutcome, Task, TaskState, WaitReason};
use assay_model::unfinished::{PLAN_PAGE, TasksHeld};
use jiff::Timestamp;

use super::mutant::Mutant;
use crate::Snapshot;

mod copies;
mod nodes;
mod plans;

/// The epoch of a call is not the newest: whoever calls is no longer the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FencedEpoch;

/// An attempt, as it is kept for ever.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Its token.
    pub token: AttemptToken,
    /// Its node.
    pub node: NodeId,
    /// Its node's life.
    pub incarnation: Incarnation,
    /// The epoch that assigned it.
    pub epoch: Epoch,
    /// Whether it is the second copy of its attempt.
    pub twin: bool,
    /// Which round of the task's retries by people, from 0.
    pub generation: u32,
    /// When it was assigned.
    pub assigned_at: Timestamp,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<AttemptOutcome>,
    /// Why it ended.
    pub reason: String,
}

/// The store.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    epoch: Epoch,
    /// Runs, ended ones too.
    pub runs: BTreeMap<RunId, Run>,
    /// Tasks of all runs.
    pub tasks: BTreeMap<TaskId, Task>,
    /// Attempts of all tasks, in order.
    pub attempts: BTreeMap<TaskId, Vec<Attempt>>,
    /// Nodes with their newest lives.
    pub nodes: BTreeMap<NodeId, Node>,
    /// Plans that discoveries left.
    pub discoveries: BTreeMap<RunId, Discovery>,
    /// Which runs have their plan.
    pub planned: BTreeMap<RunId, u32>,
    /// Committed states, one row per partition and completion.
    pub states: Vec<(AttemptToken, MeasuredPartition)>,
    /// Committed evaluations, one row per completion.
    pub evaluations: Vec<(AttemptToken, Evaluation)>,
    /// Changes of the size of the fleet: from, to.
    pub scale_events: Vec<(u32, u32)>,
    /// Epochs in the order of leaders' writes.
    pub written_by: Vec<Epoch>,
    /// Rounds of retries by people, per task.
    generations: BTreeMap<TaskId, u32>,
    /// Lives that ended without a word, with the epoch that found out, and when.
    pub deaths: Vec<(Epoch, NodeId, Incarnation, Timestamp)>,
    /// Tasks of one page of a plan.
    pub plan_page: usize,
    /// Defects to be found.
    pub mutants: Vec<Mutant>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            plan_page: PLAN_PAGE as usize,
            ..Self::default()
        }
    }

    fn has(&self, mutant: Mutant) -> bool {
        self.mutants.contains(&mutant)
    }

    /// The newest epoch.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Mints the next epoch.
    pub const fn mint_epoch(&mut self) -> Epoch {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.epoch
    }

    fn check(&mut self, epoch: Epoch) -> Result<(), FencedEpoch> {
        if epoch != self.epoch && !self.has(Mutant::NoEpochFence) {
            return Err(FencedEpoch);
        }
        if self.written_by.last() != Some(&epoch) {
            self.written_by.push(epoch);
        }
        Ok(())
    }

    /// All that is not finished.
    ///
    /// # Errors
    /// [`FencedEpoch`].
    pub fn load(&mut self, epoch: Epoch, held: TasksHeld) -> Result<Snapshot, FencedEpoch> {
        self.check(epoch)?;
        let runs = self.runs.values().filter(|r| !r.state.is_terminal());
        let ids: Vec<RunId> = runs.map(|r| r.id).collect();
        let most = held.share(ids.len());
        Ok(Snapshot {
            runs: ids
                .iter()
                .filter_map(|id| self.rows_of(*id, most))
                .collect(),
            nodes: self
                .nodes
                .values()
                .filter(|n| !n.state.is_final())
                .cloned()
                .collect(),
        })
    }

    /// The tasks of a run, in order.
    #[must_use]
    pub fn tasks_of(&self, run: RunId) -> Vec<Task> {
        let first = TaskId { run, no: 0 };
        let last = TaskId { run, no: u32::MAX };
        self.tasks
            .range(first..=last)
            .map(|(_, task)| task.clone())
            .collect()
    }

    /// Applies `changes`, answering each.
    ///
    /// # Errors
    /// [`FencedEpoch`]; then nothing is applied.
    pub fn commit(&mut self, epoch: Epoch, changes: &[Change]) -> Result<Vec<Answer>, FencedEpoch> {
        self.check(epoch)?;
        Ok(changes
            .iter()
            .map(|change| self.apply(epoch, change))
            .collect())
    }

    fn apply(&mut self, epoch: Epoch, change: &Change) -> Answer {
        match change {
            Change::SubmitRun { run, discover } => self.submit(run, discover),
            Change::PlanPart { run, tasks } => self.plan(*run, tasks, false),
            Change::PlanRun { run, tasks } => self.plan(*run, tasks, true),
            Change::MoveRun {
                run,
                state,
                reason,
                at,
            } => self.move_run(*run, *state, reason.clone(), *at),
            Change::Assign {
                token,
                node,
                incarnation,
                at,
            } => self.assign(epoch, *token, node, *incarnation, *at),
            Change::AssignTwin {
                token,
                node,
                incarnation,
                at,
            } => self.assign_twin(epoch, *token, node, *incarnation, *at),
            Change::Forgive { token, reason, .. } => self.forgive(token, reason),
            Change::EndAttempt { .. } => self.end_attempt(change),
            Change::EndTask {
                task,
                state,
                reason,
                ..
            } => self.end_task(*task, *state, reason),
            Change::RetryRun {
                run, deadline_at, ..
            } => self.retry_run(*run, *deadline_at),
            Change::MoveNode {
                node,
                incarnation,
                state,
                at,
                ..
            } => self.move_node(epoch, node, *incarnation, *state, *at),
            Change::ScaleEvent { from, to, .. } => {
                self.scale_events.push((*from, *to));
                Answer::Ok
            }
        }
    }

    fn submit(&mut self, run: &Run, discover: &Task) -> Answer {
        if self.runs.contains_key(&run.id) && !self.has(Mutant::SubmitOverwrites) {
            return Answer::Already;
        }
        self.runs.insert(run.id, run.clone());
        self.tasks.insert(discover.id, discover.clone());
        Answer::Ok
    }

    fn move_run(
        &mut self,
        run: RunId,
        state: RunState,
        reason: Option<String>,
        at: Timestamp,
    ) -> Answer {
        let anyhow = !state.is_terminal() || self.has(Mutant::RunEndsOnAWord);
        let unplanned = !self.planned.contains_key(&run);
        let needs_plan = matches!(state, RunState::Succeeded | RunState::Partial);
        let may = anyhow || {
            let mut tasks = self.tasks_of(run).into_iter().map(|task| task.state);
            match state {
                RunState::Succeeded => tasks.all(|s| s == TaskState::Succeeded),
                _ => tasks.all(TaskState::is_terminal),
            }
        };
        match self.runs.get_mut(&run) {
            Some(row) if may && !(needs_plan && unplanned) && !row.state.is_terminal() => {
                row.state = state;
                row.reason = reason;
                row.finished_at = state.is_terminal().then_some(at);
                Answer::Ok
            }
            _ => Answer::Fenced,
        }
    }

    fn assign(
        &mut self,
        epoch: Epoch,
        token: AttemptToken,
        node: &NodeId,
        incarnation: Incarnation,
        at: Timestamp,
    ) -> Answer {
        let fits = self.is_live(node, incarnation) || self.has(Mutant::AssignIgnoresNode);
        let fits = fits && (self.needs_ended(token.task) || self.has(Mutant::AssignIgnoresNeeds));
        let generation = self.generations.get(&token.task).copied().unwrap_or(0);
        let anyway = self.has(Mutant::AssignIgnoresState);
        let free = self.tasks.get_mut(&token.task).filter(|task| {
            let due = task.not_before.is_none_or(|t| t <= at);
            let ready = task.state == TaskState::Ready && task.attempt + 1 == token.attempt && due;
            ready || anyway
        });
        let Some(task) = free.filter(|_| fits) else {
            let attempts = self.attempts.get(&token.task);
            let before = attempts.is_some_and(|all| all.iter().any(|a| a.token == token));
            return if before {
                Answer::Already
            } else {
                Answer::Fenced
            };
        };
        task.state = TaskState::Assigned;
        task.wait = None;
        task.not_before = None;
        task.attempt = token.attempt;
        task.nonce = Some(token.nonce);
        task.node = Some(node.clone());
        task.incarnation = Some(incarnation);
        task.assigned_at = Some(at);
        task.started_at = None;
        self.attempts.entry(token.task).or_default().push(Attempt {
            token,
            node: node.clone(),
            incarnation,
            epoch,
            twin: false,
            generation,
            assigned_at: at,
            started_at: None,
            ended_at: None,
            outcome: None,
            reason: String::new(),
        });
        if let Some(run) = self.runs.get_mut(&token.task.run) {
            run.started_at.get_or_insert(at);
        }
        Answer::Ok
    }

    fn needs_ended(&self, task: TaskId) -> bool {
        let needs = self.tasks.get(&task).map(|t| t.depends_on.as_slice());
        needs.unwrap_or_default().iter().all(|&no| {
            let need = self.tasks.get(&TaskId { run: task.run, no });
            need.is_none_or(|t| t.state.is_terminal())
        })
    }

    fn is_live(&self, node: &NodeId, incarnation: Incarnation) -> bool {
        let row = self.nodes.get(node);
        row.is_some_and(|n| n.incarnation == incarnation && n.state == NodeState::Live)
    }

    fn at_work(&mut self, token: &AttemptToken) -> Option<&mut Task> {
        let blind = self.has(Mutant::NoAttemptFence);
        self.tasks.get_mut(&token.task).filter(|task| {
            let open = matches!(task.state, TaskState::Assigned | TaskState::Running);
            let second = task.twin.as_ref().map(|t| t.nonce);
            let nonce = Some(token.nonce);
            let mine = task.attempt == token.attempt && (task.nonce == nonce || second == nonce);
            open && (mine || blind)
        })
    }

    fn attempt(&mut self, token: &AttemptToken) -> Option<&mut Attempt> {
        let attempts = self.attempts.get_mut(&token.task)?;
        attempts.iter_mut().find(|attempt| attempt.token == *token)
    }

    fn close(&mut self, token: &AttemptToken, outcome: AttemptOutcome, at: Timestamp, why: &str) {
        if let Some(attempt) = self.attempt(token) {
            attempt.ended_at = Some(at);
            attempt.outcome = Some(outcome);
            why.clone_into(&mut attempt.reason);
        }
    }

    fn end_attempt(&mut self, change: &Change) -> Answer {
        let Change::EndAttempt {
            token,
            outcome,
            next,
            not_before,
            wait,
            reason,
            at,
        } = change
        else {
            return Answer::Fenced;
        };
        if *next == TaskState::Ready && self.end_copy(token) {
            if let Some(task) = self.tasks.get_mut(&token.task) {
                task.charged += u32::from(outcome.is_charged());
                task.crashes += u32::from(*outcome == AttemptOutcome::Crashed);
            }
            self.close(token, *outcome, *at, reason);
            return Answer::Ok;
        }
        let Some(task) = self.at_work(token) else {
            let before = self
                .attempt(token)
                .is_some_and(|a| a.outcome == Some(*outcome));
            return if before {
                Answer::Already
            } else {
                Answer::Fenced
            };
        };
        let waits = *next == TaskState::Ready;
        task.state = *next;
        task.wait = wait.filter(|_| waits);
        task.not_before = not_before.filter(|_| waits);
        task.reason = Some(reason.clone());
        task.charged += u32::from(outcome.is_charged());
        task.crashes += u32::from(*outcome == AttemptOutcome::Crashed);
        let_go(task);
        self.close(token, *outcome, *at, reason);
        self.end_other_copies(token, *at, "its task ended with the other copy");
        Answer::Ok
    }

    fn end_task(&mut self, task: TaskId, state: TaskState, reason: &str) -> Answer {
        match self.tasks.get_mut(&task) {
            Some(task) if task.state == TaskState::Ready => {
                task.state = state;
                task.wait = None;
                task.not_before = None;
                task.reason = Some(reason.to_owned());
                Answer::Ok
            }
            _ => Answer::Fenced,
        }
    }

    fn retry_run(&mut self, run: RunId, deadline_at: Timestamp) -> Answer {
        let tasks = self.tasks_of(run);
        let failed = |task: &&Task| task.state.is_terminal() && task.state != TaskState::Succeeded;
        let mut again: Vec<TaskId> = tasks.iter().filter(failed).map(|task| task.id).collect();
        let nothing = again.is_empty();
        if !self.has(Mutant::RetryJudgesNothing) {
            // What was judged without a measurement that is tried again is judged again.
            let in_vain = tasks.iter().filter(|task| {
                let judged = task.state == TaskState::Succeeded;
                judged && merges(task, |no| again.contains(&TaskId { run, no }))
            });
            let in_vain: Vec<TaskId> = in_vain.map(|task| task.id).collect();
            again.extend(in_vain);
        }
        let at_once = self.has(Mutant::RetryJumpsTheQueue);
        let unplanned = !self.planned.contains_key(&run);
        let Some(row) = self.runs.get_mut(&run) else {
            return Answer::Fenced;
        };
        if !row.state.is_terminal() || (nothing && !unplanned) {
            return Answer::Fenced;
        }
        row.state = if at_once {
            RunState::Running
        } else {
            RunState::Queued
        };
        row.reason = None;
        row.finished_at = None;
        row.deadline_at = deadline_at;
        for id in again {
            *self.generations.entry(id).or_default() += 1;
            if let Some(task) = self.tasks.get_mut(&id) {
                task.state = TaskState::Ready;
                task.charged = 0;
                task.crashes = 0;
                task.not_before = None;
                task.wait = (!task.depends_on.is_empty()).then_some(WaitReason::Dependency);
            }
        }
        Answer::Ok
    }

    /// Which round of a task's retries by people is the present one, from 0.
    #[must_use]
    pub fn generation(&self, task: TaskId) -> u32 {
        self.generations.get(&task).copied().unwrap_or(0)
    }

    /// Whether `token` is of an earlier round of its task: what it left is superseded.
    #[must_use]
    pub fn is_superseded(&self, token: &AttemptToken) -> bool {
        let attempts = self
            .attempts
            .get(&token.task)
            .map_or(&[][..], Vec::as_slice);
        let attempt = attempts.iter().find(|a| a.token == *token);
        attempt.is_some_and(|a| a.generation < self.generation(token.task))
    }

    /// Assigned → running. `None` when the attempt is fenced; repeatable.
    pub fn start(&mut self, token: &AttemptToken, at: Timestamp) -> Option<(Run, Task)> {
        let task = self.at_work(token)?;
        if task.state == TaskState::Assigned && task.nonce == Some(token.nonce) {
            task.state = TaskState::Running;
            task.started_at = Some(at);
        }
        let task = task.clone();
        if let Some(attempt) = self.attempt(token) {
            attempt.started_at.get_or_insert(at);
        }
        Some((self.runs.get(&token.task.run)?.clone(), task))
    }

    /// Assigned or running → succeeded, with the output.
    pub fn complete(&mut self, token: &AttemptToken, output: &TaskOutput, at: Timestamp) -> Answer {
        let twice = self.has(Mutant::DoubleMetrics);
        if self.has(Mutant::EndedAttemptCompletes)
            && self
                .attempt(token)
                .is_some_and(|a| a.outcome.is_some_and(|o| o != AttemptOutcome::Ok))
        {
            self.close(token, AttemptOutcome::Ok, at, "");
            self.write(token, output);
            return Answer::Ok;
        }
        if let Some(task) = self.at_work(token) {
            task.state = TaskState::Succeeded;
            task.wait = None;
            task.not_before = None;
            task.reason = None;
            let_go(task);
            self.close(token, AttemptOutcome::Ok, at, "");
            self.end_other_copies(token, at, "the other copy was first");
            self.write(token, output);
            return Answer::Ok;
        }
        if self
            .attempt(token)
            .is_some_and(|a| a.outcome == Some(AttemptOutcome::Ok))
        {
            if twice {
                self.write(token, output);
            }
            return Answer::Already;
        }
        Answer::Fenced
    }

    fn write(&mut self, token: &AttemptToken, output: &TaskOutput) {
        match output {
            TaskOutput::Discovered(found) => {
                self.discoveries.insert(token.task.run, found.clone());
            }
            TaskOutput::Measured(parts) => {
                let rows = parts.iter().map(|part| (*token, part.clone()));
                self.states.extend(rows);
            }
            TaskOutput::Evaluated(evaluation) => {
                self.evaluations.push((*token, (**evaluation).clone()));
            }
            TaskOutput::EvaluatedMany(all) => {
                let rows = all.iter().map(|evaluation| (*token, evaluation.clone()));
                self.evaluations.extend(rows);
            }
        }
    }

    /// Rows of one run that its tasks `by` committed.
    #[must_use]
    pub fn rows(&self, run: RunId, by: &[u32]) -> u64 {
        let of_run = self
            .states
            .iter()
            .filter(|(token, _)| token.task.run == run);
        of_run
            .filter(|(token, _)| by.contains(&token.task.no))
            .map(|(_, part)| part.rows)
            .sum()
    }
}

/// Whether a task is an evaluation that merges one of the measurements that are `of`.
pub(super) fn merges(task: &Task, of: impl Fn(u32) -> bool) -> bool {
    let mut merged = task.spec.evaluations().iter().flat_map(|e| &e.measured_by);
    merged.any(|no| of(*no))
}

fn let_go(task: &mut Task) {
    task.twin = None;
    task.nonce = None;
    task.node = None;
    task.incarnation = None;
    task.assigned_at = None;
    task.started_at = None;
}
