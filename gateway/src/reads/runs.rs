//! Runs: their list, one in full, its tasks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use assay_answers::check::CheckResult;
use assay_answers::facts::{Answer, Cut, RunsQuery};
use assay_answers::log::TaskLog;
use assay_answers::run::{Bar, Run, RunDetail, Segments, Waiting};
use assay_answers::task::Task;
use assay_answers::{List, Problem, Reader, Told};
use assay_model::ids::{DatasetId, RunId};
use assay_model::run::RunState;
use assay_model::task::{TaskState, WaitReason};
use assay_store::port::{ResultFilter, RunFilter};
use tokio::time::timeout;

use super::incidents::word;
use super::progress::progress;
use super::{BRIEF, LIVE, page_of};
use crate::api::Api;
use crate::convert;
use crate::memory::{Found, Good, Key, Source};
use crate::problem::{Miss, no};
use crate::rights::Action;

/// Runs that are read for a list.
const RUNS: u32 = 1000;
/// Tasks of a run that are read, those that have not succeeded first; of more only their number.
const READ: u32 = 50_000;
/// Tasks of a run that are shown with it.
const TASKS: usize = 500;
/// Bars of a timeline.
const BARS: usize = 1000;
/// Findings of a run that are shown with it.
const FINDINGS: usize = 500;
/// Ignored objects that are named.
const IGNORED: usize = 100;
/// How long the leader may take to say why tasks wait.
const EXPLAINED_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);
/// How long an ended run is in force: it may be tried again.
const ENDED: std::time::Duration = std::time::Duration::from_secs(2);

/// A run as it stands: all that its views are made of.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Snapshot {
    pub(crate) run: Run,
    pub(crate) tasks: Vec<Task>,
    /// How many more it has, which were not read, by their states.
    more: BTreeMap<TaskState, u64>,
    notices: Vec<String>,
    ignored: Vec<String>,
    ignored_count: u64,
}

impl Api {
    /// Runs with what they have come to, newest first.
    pub(crate) async fn run_rows(&self, filter: &RunFilter) -> Result<Found<Vec<Run>>, Problem> {
        let store = Arc::clone(&self.parts.store);
        let key = Key {
            dataset: filter.dataset.clone(),
            question: format!("runs {} {}", filter.unfinished, filter.limit),
        };
        let filter = filter.clone();
        let load = async move {
            let runs = store.runs(&filter).await?;
            let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
            let sums = store.run_sums(&ids).await?;
            let rows = runs.iter().map(|run| {
                let sum = sums.get(&run.id).cloned().unwrap_or_default();
                convert::run(run, &sum)
            });
            Ok::<_, Miss>(rows.collect())
        };
        self.memory
            .value(
                Source::Store,
                key,
                Good::For(BRIEF),
                |runs: &Vec<Run>| runs.len() * 700,
                load,
            )
            .await
    }

    /// The runs that a query leaves.
    pub(crate) async fn run_list(&self, who: &Reader, query: &RunsQuery) -> Answer<List<Run>> {
        let dataset = match &query.dataset {
            None => None,
            Some(id) => {
                let known = self.permitted(who, Action::Read, id).await?;
                Some(known.dataset.id.clone())
            }
        };
        let active = query.state.as_deref() == Some("active");
        let state = match active {
            true => None,
            false => word::<RunState>("state", query.state.as_deref())?,
        };
        let filter = RunFilter {
            dataset,
            unfinished: active,
            limit: RUNS,
        };
        let found = self.run_rows(&filter).await?;
        let mut items = Vec::new();
        for run in found.it.iter() {
            let wanted = state.is_none_or(|state| run.state == state);
            if wanted && self.reads(who, &run.dataset).await? {
                items.push(run);
            }
        }
        let mut list = page_of(items, &query.cut, |run: &Run| run.id.clone())?;
        if found.it.len() == RUNS as usize {
            // There are older ones that were not counted.
            list.total = None;
        }
        Ok(Told {
            it: list,
            as_of: found.as_of,
            stale_s: found.stale_s,
        })
    }

    /// A run as it stands, whoever asks.
    pub(crate) async fn snapshot(&self, id: &str) -> Result<Found<Snapshot>, Problem> {
        let run: RunId = id.parse().map_err(|_| no("run", id))?;
        let api = self.clone();
        let key = Key::about_all(format!("run {run}"));
        let load = async move { api.load_snapshot(run).await };
        let live = self
            .memory
            .answer(Source::Store, key.clone(), Good::For(LIVE), load);
        live.await
    }

    async fn load_snapshot(&self, id: RunId) -> Result<Snapshot, Miss> {
        let store = &self.parts.store;
        let run = store.run(id).await?;
        let run = run.ok_or_else(|| no("run", &id.to_string()))?;
        let (tasks, sums, remarks) = tokio::try_join!(
            async {
                store
                    .tasks_of(id, &store.task_numbers(id, READ).await?)
                    .await
            },
            async { store.run_sums(&[id]).await },
            store.remarks(id, IGNORED)
        )?;
        let sum = sums.get(&id).cloned().unwrap_or_default();
        let tasks: Vec<Task> = tasks
            .iter()
            .map(|(task, attempts)| convert::task(task, attempts))
            .collect();
        let mut snapshot = Snapshot {
            run: convert::run(&run, &sum),
            more: more(&sum.tasks, &tasks),
            tasks,
            notices: remarks.notices,
            ignored: remarks.ignored,
            ignored_count: remarks.ignored_count,
        };
        if !run.state.is_terminal() {
            self.explain(&mut snapshot).await;
        }
        Ok(snapshot)
    }

    /// Why tasks wait, as the leader says; without it, as the rows say.
    async fn explain(&self, snapshot: &mut Snapshot) {
        let waits = |task: &Task| task.state == TaskState::Ready;
        if !snapshot.tasks.iter().any(waits) {
            return;
        }
        let asked = self.parts.managers.run(&snapshot.run.id);
        let Ok(Ok(told)) = timeout(EXPLAINED_WITHIN, asked).await else {
            return;
        };
        let reasons = told.tasks.into_iter();
        let mut reasons: BTreeMap<u32, (String, String)> = reasons
            .filter(|task| !task.wait.is_empty())
            .map(|task| (task.no, (task.wait, task.reason)))
            .collect();
        for task in snapshot.tasks.iter_mut().filter(|task| waits(task)) {
            if let Some((wait, reason)) = reasons.remove(&task.no) {
                (task.wait, task.reason) = (wait, reason);
            }
        }
    }

    /// The run `id`, if `who` may read what is about its dataset.
    pub(crate) async fn readable_run(
        &self,
        who: &Reader,
        id: &str,
    ) -> Result<Found<Snapshot>, Problem> {
        let found = self.snapshot(id).await?;
        if !self.reads(who, &found.it.run.dataset).await? {
            return Err(no("run", id));
        }
        Ok(found)
    }

    /// Results of a run that need a look.
    async fn findings_of(&self, run: &Run) -> Result<Found<Vec<CheckResult>>, Problem> {
        let store = Arc::clone(&self.parts.store);
        let none = || no("run", &run.id);
        let dataset = DatasetId::new(run.dataset.as_str()).map_err(|_| none())?;
        let id: RunId = run.id.parse().map_err(|_| none())?;
        let most = run.counts.planned.clamp(1, 20_000);
        let key = Key::of(&dataset, format!("findings of {id}"));
        let load = async move {
            let filter = ResultFilter {
                run: Some(id),
                superseded: true,
                limit: u32::try_from(most).unwrap_or(u32::MAX),
                ..ResultFilter::default()
            };
            let mut rows = store.results(&dataset, &filter).await?;
            rows.retain(|row| row.result.outcome.needs_a_look());
            rows.sort_by_key(|row| row.result.outcome.gravity());
            rows.truncate(FINDINGS);
            Ok::<_, Miss>(rows.iter().map(convert::result).collect())
        };
        self.memory
            .value(
                Source::Store,
                key,
                Good::For(ENDED),
                |found: &Vec<CheckResult>| found.len() * 1000,
                load,
            )
            .await
    }

    /// One run.
    pub(crate) async fn run_detail(&self, who: &Reader, id: &str) -> Answer<RunDetail> {
        let found = self.readable_run(who, id).await?;
        let snapshot = &*found.it;
        let findings = self.findings_of(&snapshot.run).await?;
        let mut tasks: Vec<&Task> = snapshot.tasks.iter().collect();
        tasks.sort_by_key(|task| (interest(task), task.no));
        let more = snapshot.more();
        let (timeline, timeline_left_out) = timeline(&snapshot.tasks);
        let (log, log_left_out) = super::log::of_run(&snapshot.run, &snapshot.tasks);
        // An old answer is as far as it was then.
        let until = snapshot.run.finished_at.unwrap_or(found.as_of);
        let counts = &snapshot.run.counts;
        let bad = counts.fail + counts.warn + counts.error + counts.missing + counts.overflow;
        let detail = RunDetail {
            segments: snapshot.segments(),
            // Of a part of the tasks nothing is known of the whole.
            progress: match more {
                0 => progress(&snapshot.tasks, snapshot.run.started_at, until),
                _ => progress(&[], snapshot.run.started_at, until),
            },
            log,
            log_left_out,
            tasks_left_out: more + tasks.len().saturating_sub(TASKS) as u64,
            tasks: tasks.into_iter().take(TASKS).cloned().collect(),
            timeline,
            // Of tasks that were not read no bars are known: each counts as one.
            timeline_left_out: more + timeline_left_out,
            waits: waits(&snapshot.tasks),
            findings_left_out: bad.saturating_sub(findings.it.len() as u64),
            findings: findings.it.as_ref().clone(),
            notices: snapshot.notices.clone(),
            ignored: snapshot.ignored.clone(),
            ignored_count: snapshot.ignored_count,
            lost_nodes: lost_nodes(&snapshot.tasks),
            run: snapshot.run.clone(),
        };
        Ok(Told {
            it: detail,
            as_of: found.as_of,
            stale_s: found.stale_s.max(findings.stale_s),
        })
    }

    /// The tasks of a run, in the order of its plan; their number is that of all, also of those
    /// beyond what is read.
    pub(crate) async fn task_list(&self, who: &Reader, id: &str, cut: &Cut) -> Answer<List<Task>> {
        let found = self.readable_run(who, id).await?;
        let mut list = page_of(&found.it.tasks, cut, |task| task.no.to_string())?;
        list.total = list.total.map(|read| read + found.it.more());
        Ok(Told {
            it: list,
            as_of: found.as_of,
            stale_s: found.stale_s,
        })
    }

    /// One task of a run.
    pub(crate) async fn task_of(&self, who: &Reader, id: &str, number: u32) -> Answer<Task> {
        let found = self.readable_run(who, id).await?;
        let task = found.it.tasks.iter().find(|task| task.no == number);
        let task = match task {
            Some(task) => task.clone(),
            None if found.it.more() > 0 => return self.unread_task(id, number).await,
            None => return Err(no("task", &number.to_string())),
        };
        Ok(Told {
            it: task,
            as_of: found.as_of,
            stale_s: found.stale_s,
        })
    }

    /// A task beyond those that are read with its run.
    async fn unread_task(&self, id: &str, number: u32) -> Answer<Task> {
        let run: RunId = id.parse().map_err(|_| no("run", id))?;
        let store = Arc::clone(&self.parts.store);
        let load = async move {
            let found = store.tasks_of(run, &[number]).await?;
            let found = found.first();
            let (task, attempts) = found.ok_or_else(|| no("task", &number.to_string()))?;
            Ok::<_, Miss>(convert::task(task, attempts))
        };
        let key = Key::about_all(format!("task {number} of {run}"));
        let found = self
            .memory
            .answer(Source::Store, key, Good::For(LIVE), load)
            .await?;
        Ok(found.told())
    }
}

/// How many tasks of `all`, counted by their states, are not among `read`.
fn more(all: &BTreeMap<TaskState, u64>, read: &[Task]) -> BTreeMap<TaskState, u64> {
    if all.values().sum::<u64>() <= read.len() as u64 {
        // What moved between the two reads is no task more.
        return BTreeMap::new();
    }
    let mut more = all.clone();
    for task in read {
        if let Some(count) = more.get_mut(&task.state) {
            *count = count.saturating_sub(1);
        }
    }
    more.retain(|_, count| *count > 0);
    more
}

impl Snapshot {
    /// How many tasks it has besides those that were read.
    fn more(&self) -> u64 {
        self.more.values().sum()
    }

    /// Its tasks by what is to be seen of them; of those that were not read, by their states alone.
    pub(crate) fn segments(&self) -> Segments {
        let mut segments = segments(&self.tasks);
        for (state, count) in &self.more {
            let of = match state {
                TaskState::Succeeded => &mut segments.done,
                TaskState::Failed | TaskState::Quarantined | TaskState::Cancelled => {
                    &mut segments.failed
                }
                TaskState::Assigned | TaskState::Running => &mut segments.running,
                TaskState::Ready => &mut segments.queued,
            };
            *of += count;
        }
        segments
    }
}

impl Api {
    /// The log of one task of a run.
    pub(crate) async fn task_log(&self, who: &Reader, id: &str, number: u32) -> Answer<TaskLog> {
        let told = self.task_of(who, id, number).await?;
        Ok(told.map(|task| super::log::of_task(id, &task)))
    }
}

/// Whether an attempt of a task ended badly before the present one.
fn tried_before(task: &Task) -> bool {
    let ended = |outcome: &str| !matches!(outcome, "" | "ok");
    task.tries.iter().any(|one| ended(&one.outcome))
}

/// The order of tasks in a run's view: broken, at work, waiting, ended after several attempts, others.
fn interest(task: &Task) -> u8 {
    match task.state {
        TaskState::Failed | TaskState::Quarantined => 0,
        TaskState::Running | TaskState::Assigned => 1,
        TaskState::Ready => 2,
        TaskState::Cancelled => 3,
        TaskState::Succeeded if tried_before(task) => 4,
        TaskState::Succeeded => 5,
    }
}

/// Tasks by what is to be seen of them.
fn segments(tasks: &[Task]) -> Segments {
    let mut segments = Segments::default();
    for task in tasks {
        let unplaceable = task.wait == WaitReason::NoNode.as_str();
        let count = match task.state {
            TaskState::Succeeded => &mut segments.done,
            TaskState::Failed | TaskState::Quarantined | TaskState::Cancelled => {
                &mut segments.failed
            }
            TaskState::Ready if unplaceable => &mut segments.unplaceable,
            _ if tried_before(task) => &mut segments.retrying,
            TaskState::Assigned | TaskState::Running => &mut segments.running,
            TaskState::Ready => &mut segments.queued,
        };
        *count += 1;
    }
    segments
}

/// Attempts as bars, by node and begin, and how many of the oldest were left out.
fn timeline(tasks: &[Task]) -> (Vec<Bar>, u64) {
    let said = |text: &String| (!text.is_empty()).then(|| text.clone());
    let mut bars: Vec<Bar> = tasks
        .iter()
        .flat_map(|task| task.tries.iter().map(move |one| (task, one)))
        .filter_map(|(task, one)| {
            Some(Bar {
                node: one.node.clone(),
                no: task.no,
                kind: task.kind,
                partition: task.partition.clone(),
                attempt: one.attempt,
                start: one.started_at.or(one.assigned_at)?,
                end: one.ended_at,
                outcome: said(&one.outcome),
                reason: said(&one.reason),
            })
        })
        .collect();
    bars.sort_by_key(|bar| Reverse(bar.start));
    let left_out = bars.len().saturating_sub(BARS) as u64;
    bars.truncate(BARS);
    bars.sort_by(|a, b| (&a.node, a.start, a.no).cmp(&(&b.node, b.start, b.no)));
    (bars, left_out)
}

/// Why tasks wait, the most frequent reason first.
fn waits(tasks: &[Task]) -> Vec<Waiting> {
    let mut by: BTreeMap<&str, Waiting> = BTreeMap::new();
    for task in tasks.iter().filter(|task| task.state == TaskState::Ready) {
        let waiting = by.entry(&task.wait).or_insert_with(|| Waiting {
            wait: task.wait.clone(),
            tasks: 0,
            reason: (!task.reason.is_empty()).then(|| task.reason.clone()),
        });
        waiting.tasks += 1;
    }
    let mut waits: Vec<Waiting> = by.into_values().collect();
    waits.sort_by_key(|waiting| Reverse(waiting.tasks));
    waits
}

/// Nodes whose loss interrupted an attempt.
fn lost_nodes(tasks: &[Task]) -> Vec<String> {
    let lost = |outcome: &str| matches!(outcome, "node_lost" | "orphaned");
    let tries = tasks.iter().flat_map(|task| &task.tries);
    let nodes: BTreeSet<String> = tries
        .filter(|one| lost(&one.outcome))
        .map(|one| one.node.clone())
        .collect();
    nodes.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reads::test_tasks::{run, succeeded, task};

    #[test]
    fn tasks_that_were_not_read_are_counted_by_their_states() {
        let read = vec![task(7, 1), succeeded(1, 1, 0, 1)];
        let all = BTreeMap::from([
            (TaskState::Ready, 3),
            (TaskState::Succeeded, 40),
            (TaskState::Running, 1),
        ]);
        let snapshot = Snapshot {
            run: run(),
            more: more(&all, &read),
            tasks: read,
            notices: Vec::new(),
            ignored: Vec::new(),
            ignored_count: 0,
        };
        assert_eq!(snapshot.more(), 42);
        let told = snapshot.segments();
        assert_eq!((told.done, told.queued, told.running), (40, 3, 1));
        // A task that moved between the two reads is none that was left out.
        let all = BTreeMap::from([(TaskState::Succeeded, 2)]);
        assert!(more(&all, &snapshot.tasks).is_empty());
    }
}
