//! The tasks of a run: what is at work and where, why the others wait, and what was tried before.
//!
//! Comes in: tasks as the leader explains them. Goes out: lines for people, JSON for programs. It
//! must never show a task that waits without saying for what.

use assay_model::task::TaskState;
use assay_model::visible::one_line;
use assay_proto::convert::opt_time;
use assay_proto::v1;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::show::text;

/// Lines of each kind at most.
const LINES_MAX: usize = 20;

/// What people need to know of the tasks, gravest first. A task that has ended at its first attempt
/// is not worth a line.
pub fn lines(tasks: &[v1::Task], now: Timestamp, color: bool) -> String {
    let mut out = String::new();
    let in_state = |states: &'static [TaskState]| {
        tasks.iter().filter(move |task| {
            let state: Option<TaskState> = task.state.parse().ok();
            state.is_some_and(|state| states.contains(&state))
        })
    };
    let broken = [TaskState::Failed, TaskState::Quarantined].as_slice();
    show(&mut out, in_state(broken), |task| {
        broken_line(task, color) + &tried(task)
    });
    let at_work = [TaskState::Running, TaskState::Assigned].as_slice();
    show(&mut out, in_state(at_work), |task| {
        at_work_line(task, now, color) + &tried(task)
    });
    show(&mut out, in_state(&[TaskState::Ready]), |task| {
        waiting_line(task, color) + &tried(task)
    });
    let again = in_state(&[TaskState::Succeeded, TaskState::Cancelled]);
    show(
        &mut out,
        again.filter(|task| task.attempts.len() > 1),
        |task| {
            let word = text::paint(&format!("{:<8}", "AGAIN"), "36", color);
            format!("  {word} {}  {}\n{}", name(task), task.state, tried(task))
        },
    );
    out
}

fn show<'a>(
    out: &mut String,
    tasks: impl Iterator<Item = &'a v1::Task>,
    line: impl Fn(&v1::Task) -> String,
) {
    let mut left_out = 0_usize;
    let mut state = "";
    for (place, task) in tasks.enumerate() {
        if place < LINES_MAX {
            out.push_str(&line(task));
        } else {
            left_out += 1;
            state = &task.state;
        }
    }
    if left_out > 0 {
        out.push_str(&format!(
            "  … and {left_out} more are {state}; all of them: assay run get RUN -o json\n"
        ));
    }
}

/// `task 7 measure 2026-01-02 (2 of 6)`.
fn name(task: &v1::Task) -> String {
    let mut name = format!("task {} {}", task.no, task.kind);
    if !task.partition.is_empty() {
        name.push_str(&format!(" {}", one_line(&task.partition)));
    }
    if task.batches > 1 {
        name.push_str(&format!(" ({} of {})", task.batch, task.batches));
    }
    name
}

fn broken_line(task: &v1::Task, color: bool) -> String {
    let word = text::paint(&format!("{:<8}", "ERROR"), "35", color);
    let reason = if task.reason.is_empty() {
        "no reason was given"
    } else {
        &task.reason
    };
    format!(
        "  {word} {}  {} after {}: {}\n",
        name(task),
        task.state,
        text::counted(task.attempt as usize, "attempt"),
        one_line(reason)
    )
}

fn at_work_line(task: &v1::Task, now: Timestamp, color: bool) -> String {
    let word = text::paint(&format!("{:<8}", "AT WORK"), "32", color);
    let since = |at| {
        let at = opt_time("at", at).ok().flatten()?;
        let ms = now.as_millisecond().saturating_sub(at.as_millisecond());
        Some(text::span(u64::try_from(ms).unwrap_or(0)))
    };
    let how = match (since(task.started_at), since(task.assigned_at)) {
        (Some(since), _) => format!("for {since}"),
        (None, Some(since)) => format!("given to it {since} ago, not started yet"),
        (None, None) => "not started yet".to_owned(),
    };
    let attempt = match task.attempt {
        0 | 1 => String::new(),
        n => format!(", attempt {n}"),
    };
    format!("  {word} {}  on {} {how}{attempt}\n", name(task), task.node)
}

fn waiting_line(task: &v1::Task, color: bool) -> String {
    let word = text::paint(&format!("{:<8}", "WAITS"), "33", color);
    let why = match (task.reason.as_str(), task.wait.as_str()) {
        ("", "") => "its turn has not come".to_owned(),
        ("", wait) => wait.to_owned(),
        (reason, "") => reason.to_owned(),
        (reason, wait) => format!("{wait}: {reason}"),
    };
    format!("  {word} {}  {why}\n", name(task))
}

/// The attempts that ended otherwise than well, each with where and why.
fn tried(task: &v1::Task) -> String {
    let mut out = String::new();
    for attempt in task
        .attempts
        .iter()
        .filter(|a| !matches!(a.outcome.as_str(), "" | "ok"))
    {
        let why = if attempt.reason.is_empty() {
            String::new()
        } else {
            format!(": {}", attempt.reason)
        };
        let charged = if attempt.charged { "" } else { ", not charged" };
        out.push_str(&format!(
            "             attempt {} on {}  {}{charged}{why}\n",
            attempt.attempt, attempt.node, attempt.outcome
        ));
    }
    out
}

/// A task for programs.
pub fn json_of(task: &v1::Task) -> Value {
    let at = |at| opt_time("at", at).ok().flatten();
    let tries: Vec<Value> = task
        .attempts
        .iter()
        .map(|attempt| {
            json!({
                "attempt": attempt.attempt,
                "node": attempt.node,
                "assignedAt": at(attempt.assigned_at),
                "startedAt": at(attempt.started_at),
                "endedAt": at(attempt.ended_at),
                "outcome": attempt.outcome,
                "charged": attempt.charged,
                "reason": attempt.reason,
            })
        })
        .collect();
    json!({
        "no": task.no,
        "kind": task.kind,
        "partition": task.partition,
        "batch": task.batch,
        "batches": task.batches,
        "dependsOn": task.depends_on,
        "state": task.state,
        "wait": task.wait,
        "notBefore": at(task.not_before),
        "attempts": task.attempt,
        "tries": tries,
        "node": task.node,
        "bytes": task.bytes,
        "reason": task.reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_proto::convert::time_of;
    use jiff::SignedDuration;

    fn task(no: u32, state: &str) -> v1::Task {
        v1::Task {
            no,
            kind: "measure".to_owned(),
            partition: "2026-01-02".to_owned(),
            state: state.to_owned(),
            attempt: 1,
            ..v1::Task::default()
        }
    }

    fn now() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    #[test]
    fn each_task_that_has_not_ended_says_where_it_is_or_what_it_waits_for() {
        let running = v1::Task {
            node: "node-1".to_owned(),
            started_at: Some(time_of(now() - SignedDuration::from_secs(3))),
            ..task(1, "running")
        };
        let waiting = v1::Task {
            wait: "dependency".to_owned(),
            reason: "waits for task 1".to_owned(),
            ..task(2, "ready")
        };
        let unexplained = task(3, "ready");
        let ended = task(4, "succeeded");
        let told = lines(&[running, waiting, unexplained, ended], now(), false);
        assert!(
            told.contains("task 1 measure 2026-01-02  on node-1 for 3"),
            "{told}"
        );
        assert!(told.contains("dependency: waits for task 1"), "{told}");
        assert!(
            told.contains("task 3 measure 2026-01-02  its turn"),
            "{told}"
        );
        assert!(!told.contains("task 4"), "{told}");
    }

    #[test]
    fn what_was_tried_before_is_told_with_its_place_and_reason() {
        let mut again = task(7, "succeeded");
        again.attempt = 2;
        let attempt = |attempt, outcome: &str, reason: &str| v1::Attempt {
            attempt,
            node: format!("node-{attempt}"),
            outcome: outcome.to_owned(),
            charged: true,
            reason: reason.to_owned(),
            ..v1::Attempt::default()
        };
        again.attempts = vec![attempt(1, "crashed", "SIGKILL"), attempt(2, "ok", "")];
        let told = lines(std::slice::from_ref(&again), now(), false);
        assert!(
            told.contains("attempt 1 on node-1  crashed: SIGKILL"),
            "{told}"
        );
        assert!(!told.contains("attempt 2"), "{told}");
        assert_eq!(json_of(&again)["tries"][1]["outcome"], "ok");
    }

    #[test]
    fn many_that_wait_are_counted() {
        let waiting: Vec<v1::Task> = (0..50).map(|no| task(no, "ready")).collect();
        let told = lines(&waiting, now(), false);
        assert!(told.contains("and 30 more are ready"), "{told}");
    }
}
