//! How far a run has come, and when it may have ended.
//!
//! Comes in: the tasks of a run and an instant. Goes out: bytes, and the time that is left if the rest
//! goes as what has ended went. Pure. It must never tell an end that nothing speaks for: of a kind of
//! work of which nothing has ended yet, or that no node can take, nothing is known.

use std::collections::BTreeMap;

use assay_answers::run::Progress;
use assay_answers::task::Task;
use assay_model::task::{TaskKind, TaskState, WaitReason};
use jiff::Timestamp;

/// What the ended tasks of a kind took, together.
#[derive(Debug, Clone, Copy, Default)]
struct Past {
    tasks: u64,
    bytes: u64,
    ms: u64,
}

impl Past {
    /// What a task of so many bytes may take, in milliseconds. What ended says nothing of a task more
    /// than a hundred times as large as all of it: a tiny file takes its time for other reasons.
    fn expects(self, bytes: u64) -> Option<u64> {
        if self.tasks == 0 || bytes / 100 > self.bytes.max(1) {
            return None;
        }
        let each = self.ms as f64 / self.tasks as f64;
        let by_size = self.ms as f64 * bytes as f64 / self.bytes.max(1) as f64;
        // Work without bytes takes as long as its like.
        let ms = if bytes == 0 || self.bytes == 0 {
            each
        } else {
            by_size
        };
        Some(ms as u64)
    }
}

fn between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

fn total<'a>(tasks: impl Iterator<Item = &'a Task>) -> u64 {
    tasks.fold(0, |sum, task| task.bytes.saturating_add(sum))
}

/// What has been spent on a task that succeeded.
fn spent(task: &Task) -> Option<u64> {
    let good = task.tries.iter().find(|one| one.outcome == "ok")?;
    Some(between(good.started_at?, good.ended_at?))
}

/// How far a run has come, that began at `began`; `until` is now, or when it ended.
pub(crate) fn progress(tasks: &[Task], began: Option<Timestamp>, until: Timestamp) -> Progress {
    let measures = || tasks.iter().filter(|task| task.kind == TaskKind::Measure);
    let done = measures().filter(|task| task.state == TaskState::Succeeded);
    let bytes_done = total(done);
    let elapsed = began.map_or(0, |began| between(began, until));
    Progress {
        bytes_done,
        bytes_planned: total(measures()),
        bytes_per_s: (elapsed > 0 && bytes_done > 0)
            .then(|| bytes_done as f64 * 1000.0 / elapsed as f64),
        left_ms: left(tasks, until),
    }
}

/// The time that is left: of the slowest task at work, of all that is left over the slots that work on
/// it, and of evaluations, which follow one another.
fn left(tasks: &[Task], now: Timestamp) -> Option<u64> {
    let mut past: BTreeMap<TaskKind, Past> = BTreeMap::new();
    for task in tasks.iter().filter(|t| t.state == TaskState::Succeeded) {
        if let Some(ms) = spent(task) {
            let of = past.entry(task.kind).or_default();
            of.tasks += 1;
            of.bytes = of.bytes.saturating_add(task.bytes);
            of.ms = of.ms.saturating_add(ms);
        }
    }
    let open = tasks.iter().filter(|task| !task.state.is_terminal());
    let (mut slowest, mut all, mut in_turn, mut slots, mut any) = (0, 0, 0, 0_u64, false);
    for task in open {
        any = true;
        if task.kind == TaskKind::Discover || task.wait == WaitReason::NoNode.as_str() {
            // What is to be done is not known yet, or will not be done as things are.
            return None;
        }
        let of = past.get(&task.kind).copied().unwrap_or_default();
        let whole = of.expects(task.bytes)?;
        let waits = task.not_before.map_or(0, |at| between(now, at));
        let begun = task.started_at.map_or(0, |at| between(at, now));
        let rest = whole.saturating_sub(begun);
        slots += u64::from(matches!(
            task.state,
            TaskState::Running | TaskState::Assigned
        ));
        slowest = slowest.max(waits.saturating_add(rest));
        all = rest.saturating_add(all);
        if task.kind == TaskKind::Evaluate {
            in_turn = rest.saturating_add(in_turn);
        }
    }
    any.then(|| slowest.max(all / slots.max(1)).max(in_turn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reads::test_tasks::{at, succeeded, task, tried};

    fn running(no: u32, bytes: u64, since: i64) -> Task {
        let mut task = task(no, bytes);
        task.state = TaskState::Running;
        task.started_at = Some(at(since));
        task.tries = vec![tried(1, "node-1", since, None)];
        task
    }

    #[test]
    fn what_is_left_goes_as_what_has_ended() {
        // 100 bytes took 10 s; 300 are at work since 10 s: 20 s are left of them.
        let tasks = [succeeded(1, 100, 0, 10), running(2, 300, 10)];
        let told = progress(&tasks, Some(at(0)), at(20));
        assert_eq!((told.bytes_done, told.bytes_planned), (100, 400));
        assert_eq!(told.bytes_per_s, Some(5.0));
        assert_eq!(told.left_ms, Some(20_000));
        // Four more of 100 bytes on the two slots that work: 60 s of work for two.
        let mut more = vec![
            succeeded(1, 100, 0, 10),
            running(2, 200, 20),
            running(3, 200, 20),
        ];
        more.extend((4..8).map(|no| task(no, 100)));
        assert_eq!(progress(&more, Some(at(0)), at(20)).left_ms, Some(40_000));
    }

    #[test]
    fn nothing_is_told_that_nothing_speaks_for() {
        // Nothing of its kind has ended.
        let tasks = [running(1, 100, 0)];
        assert_eq!(progress(&tasks, Some(at(0)), at(5)).left_ms, None);
        // No node can take it.
        let mut stuck = task(2, 100);
        stuck.wait = WaitReason::NoNode.as_str().to_owned();
        let tasks = [succeeded(1, 100, 0, 10), stuck];
        assert_eq!(progress(&tasks, Some(at(0)), at(20)).left_ms, None);
        // It is not known yet what is to be done.
        let mut discovers = task(0, 0);
        discovers.kind = TaskKind::Discover;
        let tasks = [succeeded(1, 100, 0, 10), discovers];
        assert_eq!(progress(&tasks, Some(at(0)), at(20)).left_ms, None);
        // What ended is nothing beside what is left.
        let tasks = [succeeded(1, 10, 0, 1), running(2, u64::MAX, 1)];
        let told = progress(&tasks, Some(at(0)), at(20));
        assert_eq!((told.left_ms, told.bytes_planned), (None, u64::MAX));
        // Everything has ended.
        let tasks = [succeeded(1, 100, 0, 10)];
        assert_eq!(progress(&tasks, Some(at(0)), at(20)).left_ms, None);
    }
}
