//! Runs: start, read, watch, stop, repeat.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use assay_manager_core::View;
use assay_model::ids::{RunId, TaskId};
use assay_model::run::{RunState, Selection, Trigger};
use assay_model::task::TaskState;
use assay_proto::convert::{self, time_of};
use assay_proto::link::{EXISTING_RUN_HEADER, PeerRole};
use assay_proto::v1;
use assay_proto::v1::run_event::Kind;
use assay_proto::v1::run_service_server::RunService;
use assay_store::StoreError;
use assay_store::port::{RunFilter, RunSum};
use futures::Stream;
use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{ASKERS, SUBMITTERS, bound, only, peer, rows, store_status};
use crate::handle::{Shared, SubmitError};

/// Tasks in one answer, those that have not succeeded first; a leader holds no more of a run for it.
const TASKS_MAX: u32 = 20_000;
/// Waiting tasks whose reason is asked for: the first ones tell of all.
const EXPLAINED_MAX: usize = 1_000;
/// How long the leader's task may take to give reasons; without, the rows are shown as they are.
const EXPLAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Ignored objects that one answer names.
const IGNORED_MAX: usize = 100;
/// Between two looks at a watched run's progress.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Events that a slow watcher may have waiting; beyond, looks are skipped.
const WATCH_MAX: usize = 256;

/// The service.
pub(crate) struct Runs {
    shared: Arc<Shared>,
}

impl Runs {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
        }
    }

    /// Says why the tasks that wait do so, as the core sees it at this moment: the rows tell only of
    /// waits that the core has decided.
    async fn explain(&self, run: RunId, tasks: &mut [v1::Task]) {
        let waiting = tasks
            .iter_mut()
            .filter(|task| task.state == TaskState::Ready.to_string())
            .take(EXPLAINED_MAX);
        let mut waiting: BTreeMap<u32, &mut v1::Task> =
            waiting.map(|task| (task.no, task)).collect();
        if waiting.is_empty() {
            return;
        }
        let ids = waiting.keys().map(|no| TaskId { run, no: *no }).collect();
        let asked = tokio::time::timeout(EXPLAIN_TIMEOUT, self.shared.explain(ids)).await;
        // A manager that does not lead has no reasons: it shows the rows.
        let Ok(Ok(reasons)) = asked else { return };
        for reason in reasons {
            if let (Some(task), Some(wait)) = (waiting.get_mut(&reason.task.no), reason.wait) {
                task.wait = wait.to_string();
                task.reason = reason.text;
            }
        }
    }

    /// Checks that a run that was there is what is asked for: the answer to a repeat must not be a
    /// run over other partitions.
    async fn is_repeat(&self, run: RunId, key: &str, asked: &Selection) -> Result<(), Status> {
        let row = self.shared.run(run).await.map_err(|e| store_status(&e))?;
        if row.selection == *asked {
            return Ok(());
        }
        let mut refusal = Status::failed_precondition(format!(
            "the key `{key}` is that of {run}, which was asked to look at other partitions; take \
             another key"
        ));
        if let Ok(run) = run.to_string().parse() {
            refusal.metadata_mut().insert(EXISTING_RUN_HEADER, run);
        }
        Err(refusal)
    }

    /// What each of `runs` has come to; every one of them is in the answer.
    async fn sums(&self, runs: &[RunId]) -> Result<BTreeMap<RunId, RunSum>, Status> {
        let sums = self.shared.parts.metrics.run_sums(runs).await;
        sums.map_err(|error| store_status(&error))
    }
}

/// What is said of a run that is not taken. One that is refused for what it is must not look like a
/// manager that does not lead: whoever asks for many goes on with the others.
fn not_taken(error: SubmitError) -> Status {
    match error {
        SubmitError::Refused(reason) => Status::invalid_argument(reason),
        SubmitError::Store(error @ StoreError::Refused { .. }) => {
            Status::invalid_argument(error.to_string())
        }
        error => error.into(),
    }
}

/// Checks that a slot comes with its schedule and alone: a run by hand must not take the place of
/// one that is scheduled.
fn placed(trigger: Trigger, slot: Option<Timestamp>, key: Option<&str>) -> Result<(), Status> {
    let wrong = match (trigger, slot, key) {
        (Trigger::Schedule, None, _) => {
            "the field `slot` is absent: a scheduled run is that of an instant"
        }
        (Trigger::Schedule, Some(_), Some(_)) => {
            "the field `idempotency_key` is not for scheduled runs: their slot is their key"
        }
        (Trigger::Schedule, ..) | (_, None, _) => return Ok(()),
        (_, Some(_), _) => "the field `slot` is for the trigger `schedule` alone",
    };
    Err(Status::invalid_argument(wrong))
}

#[tonic::async_trait]
impl RunService for Runs {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::RunEvent, Status>> + Send>>;

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        only(&request, SUBMITTERS)?;
        let is_emitter = peer(&request).is_only(PeerRole::Emitter);
        let request = request.into_inner();
        let what = convert::present("what", request.what)?;
        let trigger: Trigger = convert::word("trigger", request.trigger)?;
        if is_emitter && trigger == Trigger::Manual {
            return Err(Status::permission_denied(
                "an emitter asks for what is due; a run by hand is a client's wish",
            ));
        }
        let selection = convert::selection(request.selection)?;
        let slot = convert::opt_time("slot", request.slot)?;
        let key = convert::opt_text("idempotency_key", request.idempotency_key)?;
        placed(trigger, slot, key.as_deref())?;
        // Nothing is stored before every field is known to be valid.
        let dataset = match what {
            v1::submit_request::What::DatasetId(id) => {
                let id = convert::dataset_id(id)?;
                self.shared.definition(id).await?
            }
            v1::submit_request::What::DefinitionJson(json) => {
                let dataset = convert::definition(json)?;
                self.shared.seats.seat()?;
                let stored = self.shared.register(&dataset).await;
                stored.map_err(|error| not_taken(error.into()))?;
                dataset
            }
        };
        let id = match (slot, &key) {
            (Some(slot), _) => RunId::of_slot(&dataset.id, slot),
            (None, Some(key)) => RunId::of_key(&dataset.id, &format!("key|{key}")),
            (None, None) => RunId(Uuid::now_v7()),
        };
        let submitted = self
            .shared
            .submit(&dataset, id, trigger, slot, selection.clone())
            .await
            .map_err(not_taken)?;
        if let (true, Some(key)) = (submitted.existed, key) {
            self.is_repeat(id, &key, &selection).await?;
        }
        Ok(Response::new(v1::SubmitResponse {
            run_id: submitted.run.to_string(),
            existed: submitted.existed,
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetRunRequest>,
    ) -> Result<Response<v1::GetRunResponse>, Status> {
        only(&request, ASKERS)?;
        let id = convert::run_id(request.into_inner().run_id)?;
        let run = self.shared.run(id).await.map_err(|e| store_status(&e))?;
        let metrics = &self.shared.parts.metrics;
        let numbers = metrics.task_numbers(id, TASKS_MAX).await;
        let numbers = numbers.map_err(|e| store_status(&e))?;
        let tasks = metrics.tasks_of(id, &numbers).await;
        let tasks = tasks.map_err(|e| store_status(&e))?;
        let remarks = metrics.remarks(id, IGNORED_MAX).await;
        let remarks = remarks.map_err(|e| store_status(&e))?;
        let mut told: Vec<v1::Task> = tasks
            .iter()
            .map(|(task, attempts)| rows::task(task, attempts))
            .collect();
        self.explain(id, &mut told).await;
        let sums = self.sums(&[id]).await?;
        let all: u64 = sums[&id].tasks.values().sum();
        let left_out = all.saturating_sub(told.len() as u64);
        Ok(Response::new(v1::GetRunResponse {
            run: Some(rows::run(&run, &sums[&id])),
            tasks: told,
            left_out: u32::try_from(left_out).unwrap_or(u32::MAX),
            notices: remarks.notices,
            ignored: remarks.ignored,
            ignored_count: remarks.ignored_count,
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListRunsRequest>,
    ) -> Result<Response<v1::ListRunsResponse>, Status> {
        only(&request, ASKERS)?;
        let request = request.into_inner();
        let filter = RunFilter {
            dataset: rows::opt_dataset(request.dataset)?,
            unfinished: request.unfinished,
            limit: bound(request.limit, 50, 1000),
        };
        let runs = self.shared.parts.metrics.runs(&filter).await;
        let runs = runs.map_err(|e| store_status(&e))?;
        let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
        let sums = self.sums(&ids).await?;
        Ok(Response::new(v1::ListRunsResponse {
            runs: runs
                .iter()
                .map(|run| rows::run(run, &sums[&run.id]))
                .collect(),
        }))
    }

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        only(&request, ASKERS)?;
        let run = convert::run_id(request.into_inner().run_id)?;
        // Subscribes before it looks, so that no move falls between.
        let updates = self.shared.updates.subscribe();
        let row = self.shared.run(run).await.map_err(|e| store_status(&e))?;
        let (events, stream) = mpsc::channel(WATCH_MAX);
        let watcher = Watcher {
            shared: Arc::clone(&self.shared),
            run,
            events,
            seen: BTreeMap::new(),
            last: None,
        };
        tokio::spawn(watcher.run(row, updates));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelRequest>,
    ) -> Result<Response<v1::CancelResponse>, Status> {
        only(&request, ASKERS)?;
        let request = request.into_inner();
        let run = convert::run_id(request.run_id)?;
        let reason = convert::text("reason", request.reason)?;
        self.shared.cancel(run, &reason).await?;
        Ok(Response::new(v1::CancelResponse {}))
    }

    async fn retry(
        &self,
        request: Request<v1::RetryRequest>,
    ) -> Result<Response<v1::RetryResponse>, Status> {
        only(&request, ASKERS)?;
        let run = convert::run_id(request.into_inner().run_id)?;
        self.shared.retry(run).await?;
        Ok(Response::new(v1::RetryResponse {}))
    }
}

/// What a watcher was woken by.
enum Seen {
    Update(Result<crate::watch::RunUpdate, broadcast::error::RecvError>),
    Tick,
}

/// Follows one run for one client.
struct Watcher {
    shared: Arc<Shared>,
    run: RunId,
    events: mpsc::Sender<Result<v1::RunEvent, Status>>,
    /// Attempts at work, as last told.
    seen: BTreeMap<TaskId, (u32, TaskState)>,
    last: Option<v1::RunProgress>,
}

impl Watcher {
    async fn run(
        mut self,
        row: assay_model::run::Run,
        mut updates: broadcast::Receiver<crate::watch::RunUpdate>,
    ) {
        let ended = row.state.is_terminal();
        let told = self
            .moved(row.state, row.reason.clone(), row.planned_tasks)
            .await;
        if !told || ended {
            return;
        }
        let mut stop = self.shared.stop.subscribe();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let mut unseen_looks = 0_u32;
        loop {
            let seen = tokio::select! {
                // The guard inside is dropped here, before anything is awaited.
                _ = stop.wait_for(|stop| *stop) => return,
                () = self.events.closed() => return,
                update = updates.recv() => Seen::Update(update),
                _ = looks.tick() => Seen::Tick,
            };
            let go_on = match seen {
                Seen::Update(Ok(update)) if update.run == self.run => {
                    self.moved(update.state, update.reason, 0).await && !update.state.is_terminal()
                }
                Seen::Update(Ok(_)) => true,
                // Fell behind: the row tells how it stands.
                Seen::Update(Err(broadcast::error::RecvError::Lagged(_))) => {
                    self.look_at_row().await
                }
                Seen::Update(Err(broadcast::error::RecvError::Closed)) => false,
                Seen::Tick => match self.shared.view().await {
                    Ok(view) if self.look(&view).await => {
                        unseen_looks = 0;
                        true
                    }
                    // Not among the unfinished, or no leader here: the row tells.
                    _ => {
                        unseen_looks += 1;
                        !unseen_looks.is_multiple_of(4) || self.look_at_row().await
                    }
                },
            };
            if !go_on {
                return;
            }
        }
    }

    /// Tells how the row stands; says whether to go on.
    async fn look_at_row(&self) -> bool {
        match self.shared.run(self.run).await {
            Ok(row) if row.state.is_terminal() => {
                self.moved(row.state, row.reason, row.planned_tasks).await;
                false
            }
            Ok(_) => true,
            Err(error) => {
                let _ = self.events.send(Err(store_status(&error))).await;
                false
            }
        }
    }

    async fn moved(&self, state: RunState, reason: Option<String>, planned_tasks: u32) -> bool {
        self.tell(Kind::Run(v1::RunMoved {
            state: state.to_string(),
            reason: reason.unwrap_or_default(),
            planned_tasks,
        }))
        .await
    }

    async fn tell(&self, kind: Kind) -> bool {
        let event = v1::RunEvent {
            run_id: self.run.to_string(),
            at: Some(time_of((self.shared.parts.now)())),
            kind: Some(kind),
        };
        self.events.send(Ok(event)).await.is_ok()
    }

    /// Tells what a look shows that was not told; says whether the run is in it.
    async fn look(&mut self, view: &View) -> bool {
        let Some(run) = view.runs.iter().find(|run| run.run == self.run) else {
            return false;
        };
        let mut at_work = BTreeMap::new();
        let mut progress = rows::progress(&run.tasks);
        for attempt in view.running.iter().filter(|a| a.task.run == self.run) {
            progress.rows += attempt.rows;
            progress.bytes += attempt.bytes;
            let now = (attempt.attempt, attempt.state);
            if self.seen.get(&attempt.task) != Some(&now) {
                self.tell(Kind::Task(rows::task_moved(attempt))).await;
            }
            at_work.insert(attempt.task, now);
        }
        self.seen = at_work;
        if self.last.as_ref() != Some(&progress) {
            self.last = Some(progress);
            self.tell(Kind::Progress(progress)).await;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_run_that_is_refused_does_not_look_like_a_manager_that_does_not_lead() {
        let definition = StoreError::Refused {
            what: "definition",
            detail: "a value that no column takes".to_owned(),
        };
        for error in [
            SubmitError::Refused("no definition".to_owned()),
            definition.into(),
        ] {
            assert_eq!(not_taken(error).code(), Code::InvalidArgument);
        }
        let lost = StoreError::FencedEpoch { epoch: 3 };
        assert_eq!(not_taken(lost.into()).code(), Code::FailedPrecondition);
    }
}
