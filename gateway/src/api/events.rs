//! Server-sent events: what happens to a run, and to everything.
//!
//! Comes in: a run to be watched, or none. Goes out: its state at once, then each change, until it
//! ends. An event's id is the instant of the look that found it, in microseconds: whoever comes back
//! with `Last-Event-ID`, at this gateway or another, is told of every task that has moved since, with
//! a margin for clocks that differ; each event holds the whole task, so that a repeat does no harm.
//! It must never leave a watcher with a state that is not the newest.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use assay_answers::overview::Overview;
use assay_answers::run::RunEvent;
use assay_answers::task::Task;
use assay_answers::{Problem, Reader};
use assay_model::task::TaskState;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::Api;
use crate::problem::BAD_PARAMETER;
use crate::reads::Snapshot;

/// The header by which a watcher says what it was told last.
const LAST: HeaderName = HeaderName::from_static("last-event-id");
/// Between two looks.
const LOOK: Duration = Duration::from_millis(300);
/// Between two looks at everything.
const LOOK_AT_ALL: Duration = Duration::from_secs(1);
/// A stream that says nothing for so long is given a sign of life.
const ALIVE: Duration = Duration::from_secs(10);
/// Events that a slow watcher may have waiting; then looks wait for it.
const WAITING: usize = 64;
/// How far the clocks of a cluster may differ.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// A stream of events.
fn stream(events: mpsc::Receiver<Bytes>) -> Response {
    let events = ReceiverStream::new(events).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers would hold events back.
    let name = HeaderName::from_static("x-accel-buffering");
    headers.insert(name, HeaderValue::from_static("no"));
    response
}

/// An event as it is sent.
fn event<T: Serialize>(id: Timestamp, kind: &str, data: &T) -> Bytes {
    // What is sent has text keys and finite numbers, so it always prints.
    let data = serde_json::to_string(data).unwrap_or_default();
    let id = id.as_microsecond();
    Bytes::from(format!("id: {id}\nevent: {kind}\ndata: {data}\n\n"))
}

/// What a watcher was told last.
fn last_told(headers: &HeaderMap) -> Result<Option<Timestamp>, Problem> {
    let Some(value) = headers.get(LAST) else {
        return Ok(None);
    };
    let micros = value.to_str().ok().and_then(|text| text.parse().ok());
    let at = micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
    let wrong = || BAD_PARAMETER.because("`Last-Event-ID` is not the id of an event of this API");
    at.map(Some).ok_or_else(wrong)
}

/// When a task moved last.
fn moved_at(task: &Task) -> Option<Timestamp> {
    let tries = task.tries.iter();
    let instants = tries.flat_map(|one| [one.assigned_at, one.started_at, one.ended_at]);
    instants
        .chain([task.assigned_at, task.started_at])
        .flatten()
        .max()
}

/// Follows one run.
struct Watcher {
    api: Api,
    who: Reader,
    run: String,
    events: mpsc::Sender<Bytes>,
    told: BTreeMap<u32, Task>,
    state: Option<RunEvent>,
}

impl Watcher {
    /// Tells what a look shows that was not told. The first look tells of tasks that are at work, and
    /// of those that have moved `since`.
    async fn look(&mut self, snapshot: &Snapshot, at: Timestamp, since: Option<Timestamp>) -> bool {
        let first = self.state.is_none();
        let run = RunEvent::Run {
            run_id: self.run.clone(),
            state: snapshot.run.state,
            reason: snapshot.run.reason.clone(),
            segments: snapshot.segments(),
            planned_tasks: snapshot.run.planned_tasks,
            counts: snapshot.run.counts,
        };
        for task in &snapshot.tasks {
            let known = self.told.get(&task.no) == Some(task);
            let at_work = matches!(task.state, TaskState::Assigned | TaskState::Running);
            let moved = since.is_some_and(|since| moved_at(task).is_some_and(|at| at >= since));
            let wanted = if first { at_work || moved } else { !known };
            if !known {
                self.told.insert(task.no, task.clone());
            }
            if wanted && !self.tell_task(task, at).await {
                return false;
            }
        }
        // The run comes last: who has seen it has seen its tasks.
        if self.state.as_ref() != Some(&run) {
            let sent = self.events.send(event(at, "run", &run)).await;
            self.state = Some(run);
            return sent.is_ok();
        }
        true
    }

    async fn tell_task(&self, task: &Task, at: Timestamp) -> bool {
        let task = RunEvent::Task {
            run_id: self.run.clone(),
            task: task.clone(),
        };
        self.events.send(event(at, "task", &task)).await.is_ok()
    }

    async fn follow(mut self, mut since: Option<Timestamp>) {
        let mut silent = Duration::ZERO;
        let mut before = None;
        loop {
            // Rights may be taken away while somebody watches.
            let Ok(found) = self.api.readable_run(&self.who, &self.run).await else {
                return;
            };
            let went = self.state.clone();
            if before != Some(found.as_of) {
                before = Some(found.as_of);
                if !self.look(&found.it, found.as_of, since.take()).await {
                    return;
                }
            }
            let ended = found.it.run.state.is_terminal() && found.stale_s.is_none();
            if ended || self.api.is_leaving() {
                return;
            }
            silent = if went == self.state {
                silent + LOOK
            } else {
                Duration::ZERO
            };
            if silent >= ALIVE {
                silent = Duration::ZERO;
                if self
                    .events
                    .send(Bytes::from_static(b": alive\n\n"))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.events.closed() => return,
            }
        }
    }
}

/// The events of a run.
pub(super) async fn of_run(
    api: Api,
    who: Reader,
    run: &str,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let since = last_told(headers)?;
    let since = since.map(|at| at.checked_sub(MARGIN).unwrap_or(Timestamp::MIN));
    api.readable_run(&who, run).await?;
    let (events, receiver) = mpsc::channel(WAITING);
    let watcher = Watcher {
        api,
        who,
        run: run.to_owned(),
        events,
        told: BTreeMap::new(),
        state: None,
    };
    tokio::spawn(watcher.follow(since));
    Ok(stream(receiver))
}

/// Everything, whenever it changes: the overview.
pub(super) async fn of_all(
    api: Api,
    who: Reader,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    last_told(headers)?;
    let first = api.overview_of(&who).await?;
    let (events, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let mut told: Option<Overview> = None;
        let mut next = Some(first);
        let mut silent = Duration::ZERO;
        loop {
            let look = match next.take() {
                Some(first) => Some(first),
                None => api.overview_of(&who).await.ok(),
            };
            silent += LOOK_AT_ALL;
            if let Some(look) = look.filter(|look| told.as_ref() != Some(&look.it)) {
                silent = Duration::ZERO;
                let sent = events.send(event(look.as_of, "overview", &look)).await;
                if sent.is_err() {
                    return;
                }
                told = Some(look.it);
            } else if silent >= ALIVE {
                silent = Duration::ZERO;
                if events
                    .send(Bytes::from_static(b": alive\n\n"))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            if api.is_leaving() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_AT_ALL) => {}
                () = events.closed() => return,
            }
        }
    });
    Ok(stream(receiver))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_leads_back_to_where_it_was() {
        let at: Timestamp = "2026-11-20T15:15:00.000007Z".parse().unwrap();
        let sent = event(at, "run", &serde_json::json!({"a": "b\nc"}));
        let text = std::str::from_utf8(&sent).unwrap();
        assert!(
            text.ends_with("\n\n") && text.lines().count() == 4,
            "{text}"
        );
        let id = text.lines().next().unwrap().trim_start_matches("id: ");
        let mut headers = HeaderMap::new();
        headers.insert(LAST, id.parse().unwrap());
        assert_eq!(last_told(&headers).unwrap(), Some(at));
        headers.insert(LAST, "yesterday".parse().unwrap());
        assert!(last_told(&headers).is_err());
    }
}
