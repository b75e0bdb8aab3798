//! The log of a run and of its tasks, from the rows of their attempts.
//!
//! Comes in: a run and its tasks as they are stored. Goes out: lines in the order of time. Pure. It must
//! never tell what no row says: what a node did within an attempt is in that node's own log.

use assay_answers::log::{LogLine, TaskLog};
use assay_answers::run::Run;
use assay_answers::task::{Task, Try};
use jiff::Timestamp;

/// Lines that are shown with a run; the newest are kept.
const LINES: usize = 200;

fn line(at: Timestamp, event: &str) -> LogLine {
    LogLine {
        at,
        event: event.to_owned(),
        no: None,
        kind: None,
        partition: String::new(),
        attempt: None,
        node: None,
        outcome: None,
        charged: false,
        reason: String::new(),
    }
}

/// What is on record of one attempt.
fn of_try(task: &Task, one: &Try) -> impl Iterator<Item = LogLine> {
    let about = |at: Option<Timestamp>, event: &str| {
        Some(LogLine {
            no: Some(task.no),
            kind: Some(task.kind),
            partition: task.partition.clone(),
            attempt: Some(one.attempt),
            node: Some(one.node.clone()),
            ..line(at?, event)
        })
    };
    let ended = about(one.ended_at, "ended").map(|line| LogLine {
        outcome: Some(one.outcome.clone()),
        charged: one.charged,
        reason: one.reason.clone(),
        ..line
    });
    let begun = [
        about(one.assigned_at, "assigned"),
        about(one.started_at, "started"),
    ];
    begun.into_iter().chain([ended]).flatten()
}

/// The log of a task, oldest first.
pub(crate) fn of_task(run: &str, task: &Task) -> TaskLog {
    let mut lines: Vec<LogLine> = task
        .tries
        .iter()
        .flat_map(|one| of_try(task, one))
        .collect();
    // A stable order: what happened at one instant stays as an attempt goes.
    lines.sort_by_key(|line| line.at);
    TaskLog {
        run_id: run.to_owned(),
        no: task.no,
        kind: task.kind,
        partition: task.partition.clone(),
        state: task.state,
        lines,
    }
}

/// The log of a run, newest first, and how many older lines were left out: its own moves, and of its
/// tasks what did not go as planned. Attempts that went well are in the timeline.
pub(crate) fn of_run(run: &Run, tasks: &[Task]) -> (Vec<LogLine>, u64) {
    let mut lines = vec![line(run.created_at, "accepted")];
    lines.extend(run.started_at.map(|at| line(at, "began")));
    for task in tasks {
        let tries = task.tries.iter().flat_map(|one| of_try(task, one));
        lines.extend(tries.filter(|line| match line.event.as_str() {
            "ended" => line.outcome.as_deref() != Some("ok"),
            // A second attempt tells where the work of a lost one went.
            "started" => line.attempt > Some(1),
            _ => false,
        }));
    }
    lines.extend(run.finished_at.map(|at| LogLine {
        outcome: Some(run.state.to_string()),
        reason: run.reason.clone().unwrap_or_default(),
        ..line(at, "finished")
    }));
    lines.sort_by_key(|line| line.at);
    lines.reverse();
    let left_out = lines.len().saturating_sub(LINES) as u64;
    lines.truncate(LINES);
    (lines, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reads::test_tasks::{at, run, succeeded, task, tried};

    #[test]
    fn a_log_tells_each_attempt_in_the_order_of_time() {
        let mut lost = task(3, 100);
        lost.tries = vec![
            tried(1, "node-1", 10, Some((15, "node_lost"))),
            tried(2, "node-2", 17, None),
        ];
        let told = of_task("run_1", &lost);
        let events: Vec<(&str, Option<u32>)> = told
            .lines
            .iter()
            .map(|line| (line.event.as_str(), line.attempt))
            .collect();
        let expected = [
            ("assigned", Some(1)),
            ("started", Some(1)),
            ("ended", Some(1)),
            ("assigned", Some(2)),
            ("started", Some(2)),
        ];
        assert_eq!(events, expected);
        assert_eq!(told.lines[2].outcome.as_deref(), Some("node_lost"));
    }

    #[test]
    fn the_log_of_a_run_leaves_out_what_went_as_planned_and_says_how_much_it_cut() {
        let mut lost = task(3, 100);
        lost.tries = vec![
            tried(1, "node-1", 10, Some((15, "node_lost"))),
            tried(2, "node-2", 17, Some((20, "ok"))),
        ];
        let (lines, left_out) = of_run(&run(), &[succeeded(1, 100, 1, 9), lost.clone()]);
        let events: Vec<&str> = lines.iter().map(|line| line.event.as_str()).collect();
        assert_eq!(events, ["started", "ended", "began", "accepted"]);
        assert_eq!((lines[0].at, left_out), (at(17), 0));
        let many = vec![lost; LINES];
        let (lines, left_out) = of_run(&run(), &many);
        assert_eq!((lines.len(), left_out), (LINES, LINES as u64 + 2));
    }
}
