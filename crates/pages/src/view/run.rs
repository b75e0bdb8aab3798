//! A run as it goes: segments, timeline by node, why tasks wait, results as they arrive; and a task
//! with its attempts.

use askama::Template;
use assay_answers::Problem;
use assay_answers::check::CheckResult;
use assay_answers::facts::Cut;
use assay_answers::log::LogLine;
use assay_answers::run::{Progress, Run, RunDetail, Segments};
use assay_answers::task::Task;
use assay_model::task::TaskState;

use super::{Body, Part};
use crate::chart::small::{Segment, segments};
use crate::chart::timeline;
use crate::frame::{Cx, Frame, Section, dataset_path, sh};
use crate::html::{Markup, part};
use crate::{Pages, show, words};
use askama::filters::Safe;

#[derive(Template)]
#[template(path = "run.html")]
struct Page {
    frame: Frame,
    of: RunDetail,
    /// Results that need a look, by partition.
    findings: Vec<Findings>,
    bar: Markup,
    timeline: Option<Markup>,
    percent: u64,
    active: bool,
    may: bool,
    failed: bool,
}

/// Results of one partition that need a look.
struct Findings {
    partition: String,
    rows: Vec<CheckResult>,
    /// How many more there are that are told of, and not shown.
    more: u64,
}

/// Results of a partition that are shown: one that is broken altogether breaks every check.
const EACH: usize = 12;

/// Results by partition, in the order in which partitions come.
fn by_partition(results: &[CheckResult]) -> Vec<Findings> {
    let mut all: Vec<Findings> = Vec::new();
    for result in results {
        let mut known = all.iter_mut();
        match known.find(|of| of.partition == result.partition) {
            Some(of) if of.rows.len() < EACH => of.rows.push(result.clone()),
            Some(of) => of.more += 1,
            None => all.push(Findings {
                partition: result.partition.clone(),
                rows: vec![result.clone()],
                more: 0,
            }),
        }
    }
    all
}

#[derive(Template)]
#[template(path = "task.html")]
struct TaskPage {
    frame: Frame,
    run: String,
    of: Task,
}

#[derive(Template)]
#[template(path = "tasks.html")]
struct TasksPage {
    frame: Frame,
    run: String,
    tasks: Vec<Task>,
    part: Part,
}

/// The segments of a run's bar in their fixed order.
fn bar(of: &Segments, run: &str) -> Markup {
    let href = format!("/runs/{}#tasks", part(run));
    let segment = |count, name, class| Segment {
        count,
        name,
        class,
        href: href.clone(),
    };
    segments(
        &[
            segment(of.done, "done", "g-done"),
            segment(of.running, "running", "g-running"),
            segment(of.retrying, "retrying", "g-retrying"),
            segment(of.queued, "queued", "g-queued"),
            segment(of.unplaceable, "no node can take it", "g-unplaceable"),
            segment(of.failed, "failed", "g-failed"),
        ],
        "tasks by state",
    )
}

/// The bar of a run of which only its tasks by state are known.
pub(super) fn bar_of(run: &Run) -> Markup {
    let of = |states: &[TaskState]| states.iter().filter_map(|s| run.task_states.get(s)).sum();
    let segments = Segments {
        done: of(&[TaskState::Succeeded]),
        running: of(&[TaskState::Running, TaskState::Assigned]),
        retrying: 0,
        queued: of(&[TaskState::Ready]),
        unplaceable: 0,
        failed: of(&[
            TaskState::Failed,
            TaskState::Quarantined,
            TaskState::Cancelled,
        ]),
    };
    bar(&segments, &run.id)
}

fn bars(of: &RunDetail, cx: &Cx<'_>) -> Option<Markup> {
    if of.timeline.is_empty() {
        return None;
    }
    let bars: Vec<timeline::Bar> = of
        .timeline
        .iter()
        .map(|bar| timeline::Bar {
            node: bar.node.clone(),
            start: bar.start,
            end: bar.end,
            state: match bar.outcome.as_deref() {
                None => "running",
                Some("ok" | "succeeded") => "succeeded",
                Some("cancelled" | "fenced" | "drained") => "quiet",
                Some(_) => "failed",
            }
            .to_owned(),
            title: format!(
                "task {} {} {}, attempt {}: {}{}",
                bar.no,
                bar.kind,
                bar.partition,
                bar.attempt,
                bar.outcome.as_deref().unwrap_or("at work"),
                bar.reason
                    .as_ref()
                    .map(|r| format!(", {r}"))
                    .unwrap_or_default()
            ),
            href: format!("/runs/{}/tasks/{}", part(&of.run.id), bar.no),
        })
        .collect();
    Some(Safe(format!(
        "<div class=\"chart-wide\">{}</div><div class=\"chart-narrow\">{}</div>",
        timeline::svg(&bars, cx.now, 960.0, 130.0).0,
        timeline::svg(&bars, cx.now, 340.0, 74.0).0
    )))
}

/// The page of a run.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>, run: &str) -> Body {
    let told = pages.facts.run(cx.who, run).await?;
    let path = format!("/api/v1/runs/{}", part(&told.it.run.id));
    let active = !told.it.run.state.is_terminal();
    let verb = if active { "watch" } else { "get" };
    let title = format!("{} {}", told.it.run.dataset, show::id(&told.it.run.id));
    let mut frame = Frame::new(cx, title, Section::Runs)
        .crumb("Runs", "/runs")
        .crumb(
            told.it.run.dataset.clone(),
            dataset_path(&told.it.run.dataset, ""),
        )
        .same(
            path.clone(),
            format!("assay run {verb} {}", sh(&told.it.run.id)),
        );
    if active {
        frame.live = Some(format!("{path}/events"));
    }
    let of = frame.take(told);
    let s = &of.segments;
    let all = s.done + s.running + s.retrying + s.queued + s.unplaceable + s.failed;
    super::render(&Page {
        bar: bar(s, &of.run.id),
        timeline: bars(&of, cx),
        percent: show::percent(s.done + s.failed, all),
        failed: s.failed > 0,
        findings: by_partition(&of.findings),
        may: pages.deeds.is_some(),
        active,
        frame,
        of,
    })
}

/// The page of all tasks of a run.
///
/// # Errors
/// What the reads answer.
pub async fn tasks(pages: &Pages, cx: &Cx<'_>, run: &str) -> Body {
    let path = format!("/runs/{}/tasks", part(run));
    let mut frame = Frame::new(cx, "Tasks", Section::Runs)
        .crumb("Runs", "/runs")
        .crumb(show::id(run), format!("/runs/{}", part(run)))
        .same(
            format!("/api/v1{path}"),
            format!("assay run get {}", sh(run)),
        )
        .poll(10);
    let cut = Cut {
        limit: Some(200),
        cursor: cx.asked.q("cursor").map(str::to_owned),
    };
    let list = frame.take(pages.facts.tasks(cx.who, run, &cut).await?);
    super::render(&TasksPage {
        part: Part::of(
            list.items.len(),
            list.total,
            list.next_cursor.as_deref(),
            &path,
            &[],
        ),
        tasks: list.items,
        run: run.to_owned(),
        frame,
    })
}

/// The page of a task.
///
/// # Errors
/// What the reads answer.
pub async fn task(pages: &Pages, cx: &Cx<'_>, run: &str, no: &str) -> Body {
    let number: u32 = no
        .parse()
        .map_err(|_| super::problem::no_page(&cx.asked.path))?;
    let mut frame = Frame::new(cx, format!("Task {number}"), Section::Runs)
        .crumb("Runs", "/runs")
        .crumb(show::id(run), format!("/runs/{}", part(run)))
        .crumb("Tasks", format!("/runs/{}/tasks", part(run)))
        .same(
            format!("/api/v1/runs/{}/tasks/{number}", part(run)),
            format!("assay run get {}", sh(run)),
        );
    let of = frame.take(pages.facts.task(cx.who, run, number).await?);
    if !of.state.is_terminal() {
        frame.live = Some(format!("/api/v1/runs/{}/events", part(run)));
    }
    super::render(&TaskPage {
        frame,
        run: run.to_owned(),
        of,
    })
}

/// Stops a run.
///
/// # Errors
/// What the wish answers.
pub async fn cancel(pages: &Pages, cx: &Cx<'_>, run: &str) -> Result<String, Problem> {
    let reason = cx
        .asked
        .f("reason")
        .unwrap_or("asked for on the run's page");
    pages.deeds()?.cancel_run(cx.who, run, reason).await?;
    Ok(format!("/runs/{}?done=cancelled", part(run)))
}

/// Makes tasks that did not succeed ready again.
///
/// # Errors
/// What the wish answers.
pub async fn retry(pages: &Pages, cx: &Cx<'_>, run: &str) -> Result<String, Problem> {
    pages.deeds()?.retry_run(cx.who, run).await?;
    Ok(format!("/runs/{}?done=retried", part(run)))
}

/// The time of an attempt, and how much of it went by before it was started.
#[must_use]
pub fn phases(of: &assay_answers::task::Try) -> String {
    match (of.assigned_at, of.started_at, of.ended_at) {
        (Some(assigned), Some(started), Some(ended)) => {
            format!(
                "{} to start, {} at work",
                words::between(assigned, started),
                words::between(started, ended)
            )
        }
        (Some(assigned), None, Some(ended)) => {
            format!("{}, never started", words::between(assigned, ended))
        }
        (_, Some(_), None) => "at work".to_owned(),
        (_, None, None) => "not started yet".to_owned(),
        (None, Some(started), Some(ended)) => words::between(started, ended),
        (None, None, Some(_)) => "–".to_owned(),
    }
}

/// When the run may have ended, where that is known.
#[must_use]
pub fn left(of: &Progress) -> Option<String> {
    // A guess to the millisecond would look like knowledge.
    let seconds = of.left_ms?.div_ceil(1000).max(1);
    Some(match seconds {
        0..60 => format!("about {seconds} s left"),
        _ => format!(
            "about {} left",
            words::duration_ms(seconds.saturating_mul(1000))
        ),
    })
}

/// What was read, and how fast.
#[must_use]
pub fn read(of: &Progress) -> Option<String> {
    if of.bytes_planned == 0 {
        return None;
    }
    let speed = of.bytes_per_s.map_or_else(String::new, |speed| {
        format!(", {}/s since it began", words::bytes(speed as u64))
    });
    Some(format!(
        "{} of {} read{speed}",
        words::bytes(of.bytes_done),
        words::bytes(of.bytes_planned)
    ))
}

/// What a task of a kind does.
#[must_use]
pub const fn kind_words(kind: &assay_model::task::TaskKind) -> &'static str {
    use assay_model::task::TaskKind;
    match kind {
        TaskKind::Discover => "lists the source and plans what is to be measured",
        TaskKind::Measure => "reads one batch of a partition and measures it",
        TaskKind::Evaluate => "puts the batches of a partition together and judges it",
    }
}

/// How an attempt ended, for people who have not met the word.
#[must_use]
pub fn ended_words(outcome: &str) -> String {
    let words = match outcome {
        "ok" => "succeeded",
        "retryable" => "failed, and may be tried again",
        "permanent" => "failed for good",
        "timed_out" => "took too long",
        "crashed" => "its process died",
        "node_lost" => "its node was lost",
        "drained" => "its node was drained",
        "orphaned" => "its node did not know it",
        "dispatch_lost" => "was never started",
        "dependency_down" => "an outside system was away",
        "cancelled" => "was stopped",
        other => other,
    };
    words.replace('_', " ")
}

/// What a line of the log tells, for people.
#[must_use]
pub fn event_words(of: &LogLine) -> String {
    let outcome = of.outcome.as_deref().unwrap_or_default().replace('_', " ");
    match (of.event.as_str(), of.attempt) {
        ("accepted", _) => "accepted".to_owned(),
        ("began", _) => "its first task was assigned".to_owned(),
        ("finished", _) => format!("ended: {outcome}"),
        ("ended", Some(attempt)) => {
            let how = ended_words(of.outcome.as_deref().unwrap_or_default());
            let counts = match of.charged {
                true => "; it counts against the retries",
                false => "",
            };
            format!("attempt {attempt}: {how}{counts}")
        }
        (event, Some(attempt)) => format!("attempt {attempt} {event}"),
        (event, None) => event.to_owned(),
    }
}

/// Why a task waits, for people who have not met the word.
#[must_use]
pub fn wait_words(word: &str) -> String {
    match word {
        "dependency" => "a task that it needs has not ended",
        "backoff" => "the pause before its next attempt",
        "no_capacity" => "every slot is taken",
        "no_node" => "no live node can take it",
        "dependency_down" => "an outside system is away",
        "" => "not known yet",
        other => other,
    }
    .replace('_', " ")
}
