//! One attempt, from its assignment to its end: start, run, commit, tell.
//!
//! Comes in: a held attempt. Goes out: a committed result and a hint to the leader, or a report of
//! failure. It must never commit twice, give up a finished result while its token may still be at
//! work, or report a failure for a result that may be committed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use assay_model::change::Answer;
use assay_model::output::TaskOutput;
use assay_model::task::{AttemptOutcome, TaskFailure};
use assay_proto::convert::token_of;
use assay_proto::v1::{self, node_message::Kind};
use assay_store::StoreError;
use assay_store::port::Started;
use assay_telemetry::series::TASK_S;

use crate::held::Hold;
use crate::node::Inner;
use crate::pause::Pause;
use crate::runner::{TaskJob, TaskWatch, failure};

/// What an assignment says beside its token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) timeout: Duration,
    pub(crate) suspect: bool,
}

/// Runs an attempt to its end and tells the leader.
pub(crate) async fn run(node: Arc<Inner>, hold: Hold, terms: Terms) {
    let said = tokio::select! {
        // A cancelled attempt is not the node's to end: the leader has ended it.
        () = hold.cancelled.cancelled() => None,
        said = lifecycle(&node, &hold, terms) => said,
    };
    match said {
        // Held until it is on the wire, so that a heartbeat lists it until then.
        Some(kind) => node.report(hold.token, kind).await,
        None => node.held.end(&hold.token),
    }
}

async fn lifecycle(node: &Arc<Inner>, hold: &Hold, terms: Terms) -> Option<Kind> {
    let taken = Instant::now();
    node.spool.room().await;
    let started = match start(node, hold).await {
        Ok(started) => started?,
        Err(error) => {
            return Some(failed(
                hold,
                failure(AttemptOutcome::Permanent, error.to_string()),
            ));
        }
    };
    node.say(Kind::Started(token_of(&hold.token)));
    let kind = started.task.spec.kind().to_string();
    let phase = |phase: &str, took: Duration| {
        let labels = [("kind", kind.as_str()), ("phase", phase)];
        let name = "assay_task_duration_seconds";
        node.parts
            .telemetry
            .observe_duration(name, &labels, TASK_S, took);
    };
    phase("queue", taken.elapsed());
    let began = Instant::now();
    let worked = work(node, hold, started, terms).await;
    phase("compute", began.elapsed());
    count_work(node, hold, &kind, worked.as_ref().err());
    match worked {
        Ok(output) => {
            let began = Instant::now();
            let said = commit(node, hold, &output).await;
            phase("write", began.elapsed());
            said
        }
        Err(failure) => {
            tracing::info!(task = %hold.token.task, outcome = %failure.outcome, reason = %failure.message, "an attempt failed");
            Some(failed(hold, failure))
        }
    }
}

/// Counts an attempt, and what it has read.
fn count_work(node: &Inner, hold: &Hold, kind: &str, failure: Option<&TaskFailure>) {
    let telemetry = &node.parts.telemetry;
    let outcome = failure.map_or_else(|| "computed".to_owned(), |f| f.outcome.to_string());
    let labels = [("kind", kind), ("outcome", outcome.as_str())];
    telemetry.count("assay_task_attempts_total", &labels, 1);
    let rows = hold.progress.rows.load(Ordering::Relaxed);
    telemetry.count("assay_task_rows_total", &[("kind", kind)], rows);
    let bytes = hold.progress.bytes.load(Ordering::Relaxed);
    let labels = [("kind", kind), ("direction", "read")];
    telemetry.count("assay_task_bytes_total", &labels, bytes);
}

fn failed(hold: &Hold, failure: TaskFailure) -> Kind {
    Kind::Failed(v1::Failed {
        token: Some(token_of(&hold.token)),
        outcome: failure.outcome.to_string(),
        message: failure.message,
    })
}

/// How long a task that is stopped at its time-out may take to end; longer than any runner waits
/// until it ends the task by force, and shorter than the leader waits for the word of a time-out.
const DEAF_AFTER: Duration = Duration::from_millis(1500);

/// Assigned → running; `None` when another attempt is at work.
async fn start(node: &Inner, hold: &Hold) -> Result<Option<Started>, StoreError> {
    let mut pause = Pause::default();
    loop {
        match node.parts.store.start(&hold.token, node.now()).await {
            Ok(started) => return Ok(started),
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, task = %hold.token.task, "not started yet");
                pause.wait().await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn work(
    node: &Arc<Inner>,
    hold: &Hold,
    started: Started,
    terms: Terms,
) -> Result<TaskOutput, TaskFailure> {
    let share = node.parts.config.memory_per_slot();
    let job = TaskJob {
        run: started.run,
        task: started.task,
        dataset: started.dataset,
        memory_bytes: if terms.suspect { share / 2 } else { share },
        suspect: terms.suspect,
        // Not the node's own clock, which may be wrong: ages and deadlines are judged by it.
        now: started.at,
    };
    let watch = TaskWatch {
        stop: Arc::clone(&hold.stop),
        progress: Arc::clone(&hold.progress),
    };
    let runner = Arc::clone(&node.parts.runner);
    let mut running = tokio::spawn(async move { runner.run(job, watch).await });
    let ended = tokio::select! {
        () = hold.cancelled.cancelled() => {
            running.abort();
            return Err(failure(AttemptOutcome::Cancelled, "cancelled"));
        }
        ended = tokio::time::timeout(terms.timeout, &mut running) => ended,
    };
    match ended {
        Ok(Ok(result)) => result,
        Ok(Err(error)) if error.is_panic() => Err(failure(
            AttemptOutcome::Crashed,
            format!("the task crashed: {}", panic_text(error)),
        )),
        Ok(Err(_)) => Err(failure(AttemptOutcome::Drained, "the node stops")),
        Err(_) => {
            hold.stop.store(true, Ordering::Relaxed);
            let asked = tokio::time::timeout(DEAF_AFTER, &mut running).await;
            running.abort();
            Err(too_long(asked.ok().and_then(Result::ok), terms.timeout))
        }
    }
}

/// Why a task that was stopped at its time-out failed. One that does not even hear that it shall
/// stop is in a loop that its input has led it into, or hangs: that is as good as a crash, and
/// twice is enough.
fn too_long(answer: Option<Result<TaskOutput, TaskFailure>>, timeout: Duration) -> TaskFailure {
    let seconds = timeout.as_secs();
    match answer {
        Some(Err(answer)) if answer.outcome == AttemptOutcome::Crashed => failure(
            AttemptOutcome::Crashed,
            format!("not done within {seconds} s, and {}", answer.message),
        ),
        _ => failure(
            AttemptOutcome::TimedOut,
            format!("not done within {seconds} s; raise `timeout` or cut smaller batches"),
        ),
    }
}

fn panic_text(error: tokio::task::JoinError) -> String {
    let payload = error.into_panic();
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

/// Commits a finished result, asking again until the store answers.
async fn commit(node: &Arc<Inner>, hold: &Hold, output: &TaskOutput) -> Option<Kind> {
    let _place = node.spool.put(output);
    let mut pause = Pause::default();
    loop {
        match node
            .parts
            .store
            .complete(&hold.token, output, node.now())
            .await
        {
            Ok(Answer::Ok | Answer::Already) => {
                return Some(Kind::Finished(token_of(&hold.token)));
            }
            Ok(Answer::Fenced) => {
                tracing::info!(task = %hold.token.task, attempt = hold.token.attempt, "fenced: another attempt is at work");
                return None;
            }
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, task = %hold.token.task, "a result waits for the store");
                pause.wait().await;
            }
            Err(error) => {
                return Some(failed(
                    hold,
                    failure(AttemptOutcome::Permanent, error.to_string()),
                ));
            }
        }
    }
}
