//! A running manager, and what its process can ask of it directly.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use assay_manager_core::{Event, Explanation, View};
use assay_model::change::Answer;
use assay_model::dataset::Dataset;
use assay_model::ids::{DatasetId, NodeId, RunId, TaskId};
use assay_model::run::{Priority, Run, RunState, Selection, Trigger};
use assay_proto::link::{Doorway, Tls};
use assay_registry::Agenda;
use assay_store::StoreError;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::desk::Until;
use crate::freshness::{self, Freshness};
use crate::inbox::{Input, Wish};
use crate::lineage::{self, Lineage};
use crate::notices::{self, NoticeParts};
use crate::outbox::{self, OutboxSink};
use crate::parts::ManagerParts;
use crate::reach::Away;
use crate::schedule::{self, Ticked};
use crate::seat::{NotLeading, Role, Seats};
use crate::versions::Versions;
use crate::watch::{RunUpdate, UPDATES_MAX};
use crate::{chronicle, lead, rival, service, settings};

/// How long the core may take to follow or refuse a wish.
const WISH_TIMEOUT: Duration = Duration::from_secs(10);

/// What the tasks of a manager share.
pub(crate) struct Shared {
    pub(crate) parts: ManagerParts,
    pub(crate) seats: Seats,
    pub(crate) versions: Versions,
    pub(crate) updates: broadcast::Sender<RunUpdate>,
    pub(crate) desired: watch::Sender<(u32, String)>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) ticked: watch::Sender<Option<Ticked>>,
    pub(crate) notices: OnceLock<Arc<notices::Desk>>,
    pub(crate) freshness: Freshness,
}

/// Why something that was asked of a manager was not done.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Another manager leads, or none.
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
    /// The dataset is not known here.
    #[error("no dataset `{0}` is registered here; register its definition first")]
    UnknownDataset(DatasetId),
    /// The node is not one of the cluster.
    #[error("no node `{0}` is registered: it never was, or has left; see: assay node list")]
    UnknownNode(NodeId),
    /// It cannot be followed.
    #[error("{0}")]
    Refused(String),
    /// The term ended before there was an answer: whether it was done is not known.
    #[error("the leader changed or did not answer in time; look at how it stands, then ask again")]
    NoAnswer,
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An accepted run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// The run.
    pub run: RunId,
    /// Whether it existed already.
    pub existed: bool,
}

/// A manager.
pub struct Manager;

impl Manager {
    /// Starts a manager: it campaigns, leads when elected, and serves whoever comes through a
    /// [`Doorway`] or a listener.
    #[must_use]
    pub fn start(parts: ManagerParts) -> ManagerHandle {
        let (updates, _) = broadcast::channel(UPDATES_MAX);
        let (stop, stopped) = watch::channel(false);
        let min = parts.config.core.scale.min;
        let shared = Arc::new(Shared {
            seats: Seats::default(),
            versions: Versions::default(),
            updates,
            desired: watch::Sender::new((min, "the least allowed".to_owned())),
            stop,
            ticked: watch::Sender::new(None),
            notices: OnceLock::new(),
            freshness: Freshness::new(parts.telemetry.clone()),
            parts,
        });
        let life = tokio::spawn(lead::live(Arc::clone(&shared), stopped));
        tokio::spawn(chronicle::keep(Arc::clone(&shared)));
        ManagerHandle {
            shared,
            life: Arc::new(tokio::sync::Mutex::new(Some(life))),
        }
    }
}

/// A running manager. Clones are the same one.
#[derive(Clone)]
pub struct ManagerHandle {
    shared: Arc<Shared>,
    life: Arc<tokio::sync::Mutex<Option<JoinHandle<()>>>>,
}

impl ManagerHandle {
    /// Makes a definition known, so that runs can name its dataset, and keeps it in the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn register(&self, dataset: Dataset) -> Result<String, StoreError> {
        self.shared.register(&dataset).await
    }

    /// Starts a run of `dataset`. Repeats under one `key` are one run; without, it is a new one.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit(
        &self,
        dataset: Dataset,
        trigger: Trigger,
        selection: Selection,
        key: Option<&str>,
    ) -> Result<Submitted, SubmitError> {
        self.shared.register(&dataset).await?;
        let id = match key {
            Some(key) => RunId::of_key(&dataset.id, &format!("key|{key}")),
            None => RunId(Uuid::now_v7()),
        };
        self.shared
            .submit(&dataset, id, trigger, None, selection)
            .await
    }

    /// Starts the run of `dataset` for the scheduled instant `slot`, once however often it is asked.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit_slot(
        &self,
        dataset: Dataset,
        slot: Timestamp,
    ) -> Result<Submitted, SubmitError> {
        self.shared.register(&dataset).await?;
        let id = RunId::of_slot(&dataset.id, slot);
        let selection = Selection::default();
        self.shared
            .submit(&dataset, id, Trigger::Schedule, Some(slot), selection)
            .await
    }

    /// The moves of all runs from here on. A watcher that falls behind is told so by its receiver.
    #[must_use]
    pub fn updates(&self) -> broadcast::Receiver<RunUpdate> {
        self.shared.updates.subscribe()
    }

    /// Waits until `run` has ended, and gives its row.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or holds no such run.
    pub async fn wait(&self, run: RunId) -> Result<Run, StoreError> {
        self.shared.wait(run).await
    }

    /// Stops a run.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn cancel(&self, run: RunId, reason: &str) -> Result<(), SubmitError> {
        self.shared.cancel(run, reason).await
    }

    /// Makes the tasks of an ended run that did not succeed ready again.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn retry(&self, run: RunId) -> Result<(), SubmitError> {
        self.shared.retry(run).await
    }

    /// Lets a node finish and leave.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn drain_node(&self, node: &NodeId, reason: &str) -> Result<(), SubmitError> {
        self.shared.drain(node, reason).await
    }

    /// Sets the cluster's configuration: a JSON object whose fields are those of
    /// [`assay_manager_core::Config`], over what each manager was started with; null undoes it. The
    /// leader begins again from the store by it, without a restart.
    ///
    /// # Errors
    /// [`SubmitError::Refused`] when a core cannot run on it, or the coordinator does not take it.
    pub async fn configure(&self, document: &serde_json::Value) -> Result<(), SubmitError> {
        let parts = &self.shared.parts;
        settings::laid_over(&parts.config.core, document).map_err(SubmitError::Refused)?;
        let put = parts.coordinator.put_config(document).await;
        put.map_err(|error| SubmitError::Refused(error.to_string()))
    }

    /// How everything stands.
    ///
    /// # Errors
    /// [`SubmitError`] when this manager does not lead.
    pub async fn view(&self) -> Result<View, SubmitError> {
        self.shared.view().await
    }

    /// Why a task is where it is; `None` when it is unknown or its run has ended.
    ///
    /// # Errors
    /// [`SubmitError`] when this manager does not lead.
    pub async fn explain(&self, task: TaskId) -> Result<Option<Explanation>, SubmitError> {
        Ok(self.shared.explain(vec![task]).await?.pop())
    }

    /// The number of nodes that the backlog asks for, and why, from here on.
    #[must_use]
    pub fn desired_nodes(&self) -> watch::Receiver<(u32, String)> {
        self.shared.desired.subscribe()
    }

    /// Whether this manager leads, from here on.
    #[must_use]
    pub fn roles(&self) -> watch::Receiver<Role> {
        self.shared.seats.roles()
    }

    /// Since when and why the store does not answer this manager, from here on; `None` while it does,
    /// or is not asked.
    #[must_use]
    pub fn store_away(&self) -> watch::Receiver<Option<Away>> {
        self.shared.seats.reach.watch()
    }

    /// The present instant, by the clock that this manager goes by.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.shared.parts.now)()
    }

    /// Waits until this manager leads.
    pub async fn leads(&self) {
        let mut roles = self.roles();
        // The sender lives as long as this handle.
        let _ = roles
            .wait_for(|role| matches!(role, Role::Leading { .. }))
            .await;
    }

    /// Hands the messages of the outbox to `sink` for as long as this manager leads.
    pub fn hand_on_messages(&self, sink: Arc<dyn OutboxSink>) {
        tokio::spawn(outbox::hand_on(Arc::clone(&self.shared), sink));
    }

    /// Tells people, for as long as this manager leads, and takes their wishes about that. Only the
    /// first call counts; without one nobody is told.
    pub fn tell(&self, parts: NoticeParts) {
        let desk = Arc::new(notices::Desk::new(parts));
        if self.shared.notices.set(Arc::clone(&desk)).is_ok() {
            notices::keep(&self.shared, &desk);
        }
    }
    /// Tells of what runs do as lineage, for as long as this manager leads.
    pub fn tell_lineage(&self, lineage: Lineage) {
        tokio::spawn(lineage::tell(Arc::clone(&self.shared), lineage));
    }

    /// Asks for the runs that are due by `agenda` every `every`, while this manager leads.
    pub fn keep_schedule(&self, agenda: Arc<dyn Agenda>, every: Duration) {
        tokio::spawn(schedule::keep(self.clone(), agenda, every));
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// A door for nodes and clients of this process.
    #[must_use]
    pub fn doorway(&self) -> Doorway {
        service::serve_doorway(&self.shared)
    }

    /// Serves nodes and clients that come over TCP, whoever they say they are: for loopback. Other
    /// managers are reached in the same way.
    pub fn serve(&self, listener: TcpListener) {
        tokio::spawn(rival::watch(Arc::clone(&self.shared), None));
        service::serve_tcp(&self.shared, listener, None);
    }

    /// Serves nodes and clients that come over TCP and show a certificate of the authority: each in
    /// the role and under the name that it gives.
    pub fn serve_secured(&self, listener: TcpListener, tls: Tls) {
        tokio::spawn(rival::watch(Arc::clone(&self.shared), Some(tls.clone())));
        service::serve_tcp(&self.shared, listener, Some(tls));
    }

    /// Resigns, so that another manager can lead at once, ends every stream and stops.
    pub async fn shutdown(&self) {
        self.shared.stop.send_replace(true);
        if let Some(life) = self.life.lock().await.take() {
            // A panic in it has been logged by its own task.
            let _ = life.await;
        }
    }

    /// Stops at once without a word, as a killed process would. For drills.
    pub async fn kill(&self) {
        if let Some(life) = self.life.lock().await.take() {
            life.abort();
            let _ = life.await;
        }
        self.shared.seats.stop();
        self.shared.stop.send_replace(true);
    }
}

impl Shared {
    pub(crate) async fn register(&self, dataset: &Dataset) -> Result<String, StoreError> {
        self.parts.store.put_definition(dataset).await?;
        // One that is held back from here on is not waited for.
        self.freshness.expect(dataset, false, (self.parts.now)());
        Ok(dataset.digest())
    }

    /// The definition of a dataset that was registered last, with whichever manager.
    pub(crate) async fn definition(&self, id: DatasetId) -> Result<Dataset, SubmitError> {
        // Read anew each time: another manager may have led, and learned a newer one, in between.
        let known = self.parts.metrics.definition(&id).await?;
        known.ok_or(SubmitError::UnknownDataset(id))
    }

    pub(crate) async fn submit(
        &self,
        dataset: &Dataset,
        id: RunId,
        trigger: Trigger,
        slot: Option<Timestamp>,
        selection: Selection,
    ) -> Result<Submitted, SubmitError> {
        let now = (self.parts.now)();
        let priority = match trigger {
            Trigger::Backfill => Priority::Backfill,
            Trigger::Schedule | Trigger::Manual | Trigger::Arrival => Priority::Live,
        };
        let run = Run {
            id,
            dataset: dataset.id.clone(),
            definition: dataset.digest(),
            trigger,
            slot,
            priority,
            selection,
            retries: dataset.run.retries,
            task_timeout_ms: dataset.run.timeout_s.saturating_mul(1000),
            state: RunState::Queued,
            reason: None,
            created_at: now,
            started_at: None,
            finished_at: None,
            deadline_at: self.deadline(now),
            planned_tasks: 0,
        };
        let seat = self.seats.seat()?;
        // Only the leader tells: it alone hears of runs that succeed.
        let by_itself = freshness::comes_by_itself(trigger);
        self.freshness.expect(dataset, by_itself, now);
        let (reply, answer) = oneshot::channel();
        let sent = seat.inbox.send(Input::Submit(Box::new(run), reply)).await;
        sent.map_err(|_| SubmitError::NoAnswer)?;
        match tokio::time::timeout(WISH_TIMEOUT, answer).await {
            Ok(Ok(Ok(Answer::Ok))) => Ok(Submitted {
                run: id,
                existed: false,
            }),
            Ok(Ok(Ok(Answer::Already))) => Ok(Submitted {
                run: id,
                existed: true,
            }),
            Ok(Ok(Ok(Answer::Fenced))) => {
                Err(SubmitError::Refused("the run was refused".to_owned()))
            }
            Ok(Ok(Err(reason))) => Err(SubmitError::Refused(reason)),
            Ok(Err(_)) | Err(_) => Err(SubmitError::NoAnswer),
        }
    }

    fn deadline(&self, now: Timestamp) -> Timestamp {
        let deadline = SignedDuration::try_from(self.parts.config.run_deadline)
            .ok()
            .and_then(|after| now.checked_add(after).ok());
        deadline.unwrap_or(Timestamp::MAX)
    }

    pub(crate) async fn cancel(&self, run: RunId, reason: &str) -> Result<(), SubmitError> {
        let row = self.run(run).await?;
        if row.state.is_terminal() {
            return Err(SubmitError::Refused(format!(
                "{run} has ended ({}): there is nothing to cancel",
                row.state
            )));
        }
        let event = Event::CancelRun {
            run,
            reason: reason.to_owned(),
        };
        self.wish(event, run.to_string(), Until::Ended).await
    }

    pub(crate) async fn retry(&self, run: RunId) -> Result<(), SubmitError> {
        let row = self.run(run).await?;
        if row.state == RunState::Succeeded {
            return Err(SubmitError::Refused(format!(
                "{run} has succeeded: none of its tasks failed, there is nothing to try again\n  \
                 measure it anew: assay run start {} --rescan",
                row.dataset
            )));
        }
        let deadline_at = self.deadline((self.parts.now)());
        let event = Event::RetryRun { run, deadline_at };
        self.wish(event, run.to_string(), Until::Retried).await
    }

    pub(crate) async fn drain(&self, node: &NodeId, reason: &str) -> Result<(), SubmitError> {
        self.registered(node).await?;
        let event = Event::DrainNode {
            node: node.clone(),
            reason: reason.to_owned(),
        };
        self.wish(event, node.to_string(), Until::Drained).await
    }

    pub(crate) async fn uncordon(&self, node: NodeId) -> Result<(), SubmitError> {
        self.registered(&node).await?;
        let subject = node.to_string();
        let event = Event::UncordonNode { node };
        self.wish(event, subject, Until::Uncordoned).await
    }

    /// Whether a wish about `node` has somebody to be about.
    async fn registered(&self, node: &NodeId) -> Result<(), SubmitError> {
        let view = self.view().await?;
        if view.nodes.iter().any(|known| known.node == *node) {
            return Ok(());
        }
        Err(SubmitError::UnknownNode(node.clone()))
    }

    pub(crate) async fn wish(
        &self,
        event: Event,
        subject: String,
        until: Until,
    ) -> Result<(), SubmitError> {
        let seat = self.seats.seat()?;
        let (reply, answer) = oneshot::channel();
        let wish = Wish {
            event,
            subject,
            until,
        };
        let sent = seat.inbox.send(Input::Wish(wish, reply)).await;
        sent.map_err(|_| SubmitError::NoAnswer)?;
        match tokio::time::timeout(WISH_TIMEOUT, answer).await {
            Ok(Ok(result)) => result.map_err(SubmitError::Refused),
            Ok(Err(_)) | Err(_) => Err(SubmitError::NoAnswer),
        }
    }

    /// Why tasks are where they are; those that are unknown are left out.
    pub(crate) async fn explain(
        &self,
        tasks: Vec<TaskId>,
    ) -> Result<Vec<Explanation>, SubmitError> {
        let seat = self.seats.seat()?;
        let (reply, answer) = oneshot::channel();
        let sent = seat.inbox.send(Input::Explain(tasks, reply)).await;
        sent.map_err(|_| SubmitError::NoAnswer)?;
        answer.await.map_err(|_| SubmitError::NoAnswer)
    }

    pub(crate) async fn view(&self) -> Result<View, SubmitError> {
        let seat = self.seats.seat()?;
        let (reply, answer) = oneshot::channel();
        let sent = seat.inbox.send(Input::View(reply)).await;
        sent.map_err(|_| SubmitError::NoAnswer)?;
        answer.await.map_err(|_| SubmitError::NoAnswer)
    }

    /// A run's row.
    pub(crate) async fn run(&self, run: RunId) -> Result<Run, StoreError> {
        let found = self.parts.metrics.run(run).await?;
        found.ok_or_else(|| StoreError::NotFound {
            what: "run",
            name: run.to_string(),
        })
    }

    async fn wait(&self, run: RunId) -> Result<Run, StoreError> {
        let mut updates = self.updates.subscribe();
        loop {
            let row = self.run(run).await?;
            if row.state.is_terminal() {
                return Ok(row);
            }
            // Looks again by itself, too: a run may end under another manager.
            let ended = async {
                loop {
                    match updates.recv().await {
                        Ok(update) if update.run == run && update.state.is_terminal() => break,
                        Err(broadcast::error::RecvError::Lagged(_)) => break,
                        Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                        Ok(_) => {}
                    }
                }
            };
            let _ = tokio::time::timeout(Duration::from_secs(1), ended).await;
        }
    }
}
