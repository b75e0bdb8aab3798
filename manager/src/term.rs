//! One term as leader: the task that owns the core and turns its commands into I/O.
//!
//! Comes in: the inbox and the clock. Goes out: commits, messages, answers. It must never wait for
//! the store or a node itself, and never go on with a core whose last commit is in doubt: it drops
//! the core and every stream, and starts again from what the store holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use assay_coordination::{Lease, LeaseState};
use assay_manager_core::{Command, Config, Core, Event, IdSource, Snapshot};
use assay_model::change::Change;
use assay_model::ids::{Epoch, Incarnation, NodeId, RunId, TaskId};
use assay_model::unfinished::{MoreTasks, TasksHeld};
use assay_store::port::Unfinished;
use assay_store::{JobStore, StoreError};
use assay_telemetry::repeat::Repeat;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use crate::desk::Desk;
use crate::freshness;
use crate::handle::Shared;
use crate::inbox::{INBOX_MAX, Inbox, Input, Opened, Wish};
use crate::leases;
use crate::links::Links;
use crate::observe::{self, Observer};
use crate::seat::Seat;
use crate::settings::Settings;
use crate::watch::RunUpdate;

/// The longest sleep: bounds the harm of a clock that is set.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// Between two signs of life to each node.
const ALIVE_EVERY: Duration = Duration::from_secs(1);
/// Between two questions whether the epoch still holds: a store that was promoted or restored behind
/// this leader's back has forgotten what the leader goes by, and nothing else would tell it.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// How long such a question may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two reads that the store could not answer.
const READ_PAUSE: Duration = Duration::from_millis(200);

/// Why a term ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TermEnd {
    /// The manager was told to stop.
    Stopped,
    /// The coordinator took the lease away.
    LeaseLost,
    /// A newer leader writes.
    Fenced,
    /// The store could not be read.
    Failed,
}

/// Why a core was dropped.
enum Dropped {
    End(TermEnd),
    /// The fate of a commit is not known.
    Doubt,
    /// Another configuration holds.
    Reconfigured,
}

/// Leads under `epoch` until the term ends.
pub(crate) async fn lead(
    shared: &Arc<Shared>,
    epoch: Epoch,
    lease: &mut Lease,
    stop: &mut watch::Receiver<bool>,
) -> TermEnd {
    let end = cores(shared, epoch, lease, stop).await;
    observe::withdraw(&shared.parts.telemetry, &shared.freshness);
    end
}

/// One core after another, until the term ends.
async fn cores(
    shared: &Arc<Shared>,
    epoch: Epoch,
    lease: &mut Lease,
    stop: &mut watch::Receiver<bool>,
) -> TermEnd {
    let mut settings = Settings::follow(shared).await;
    loop {
        let unfinished = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return TermEnd::Stopped,
            () = lease.lost() => return TermEnd::LeaseLost,
            unfinished = load(shared, epoch, settings.present().tasks_held) => match unfinished {
                Ok(unfinished) => unfinished,
                Err(end) => return end,
            },
        };
        let (inbox, arrivals) = mpsc::channel(INBOX_MAX);
        let config = settings.present();
        let mut term = Term::new(shared, epoch, config.drain_grace_ms, inbox.clone());
        term.begin(config, unfinished);
        leases::follow(shared, inbox.clone());
        shared
            .seats
            .take(Seat { epoch, inbox }, &shared.parts.telemetry);
        freshness::recall(shared, epoch);
        let dropped = term.run(arrivals, lease, &mut settings, stop).await;
        drop(term);
        shared.seats.leave();
        observe::withdraw(&shared.parts.telemetry, &shared.freshness);
        match dropped {
            Dropped::End(end) => return end,
            Dropped::Reconfigured => {
                tracing::info!("the cluster's configuration has changed: starting again by it");
            }
            Dropped::Doubt => {
                tracing::warn!("a commit is in doubt: starting again from the store");
                shared
                    .parts
                    .telemetry
                    .count("assay_manager_reloads_total", &[], 1);
            }
        }
    }
}

/// Reads what is not finished, for as long as reading again may help.
async fn load(shared: &Arc<Shared>, epoch: Epoch, held: TasksHeld) -> Result<Unfinished, TermEnd> {
    let mut repeat = Repeat::default();
    loop {
        let read = shared.parts.store.load(epoch, held).await;
        shared.seats.reach.note((shared.parts.now)(), &read);
        match read {
            Ok(unfinished) => return Ok(unfinished),
            Err(StoreError::FencedEpoch { .. }) => return Err(TermEnd::Fenced),
            Err(error) if error.is_retryable() => {
                shared.parts.telemetry.set("assay_store_away", &[], 1.0);
                if let Some(again) = repeat.fails() {
                    tracing::warn!(%error, "the store cannot be read; trying again{again}");
                }
                tokio::time::sleep(READ_PAUSE).await;
            }
            Err(error) => {
                tracing::error!(%error, "the store cannot be read; stands down");
                return Err(TermEnd::Failed);
            }
        }
    }
}

/// What the core is told of a commit that the store has not taken; `None` when its fate is not known.
/// What is refused for what it holds is refused again, however often it is put: it must not hold up
/// what was put with it.
fn unapplied(commit: u64, error: &StoreError) -> Option<Event> {
    match error {
        StoreError::Refused { .. } | StoreError::NotFound { .. } => Some(Event::CommitRefused {
            commit,
            reason: error.to_string(),
        }),
        error if error.is_certainly_not_applied() => Some(Event::CommitNotApplied { commit }),
        _ => None,
    }
}

/// Random nonces and jitter.
struct RandomIds;

impl IdSource for RandomIds {
    fn nonce(&mut self) -> Uuid {
        Uuid::new_v4()
    }

    fn jitter_permille(&mut self) -> u64 {
        // The lower half of a random UUID has 62 random bits.
        500 + Uuid::new_v4().as_u64_pair().1 % 1_000
    }
}

/// A term: the core and all that it reaches the world with.
struct Term {
    shared: Arc<Shared>,
    epoch: Epoch,
    core: Option<Core>,
    links: Links,
    desk: Desk,
    inbox: Inbox,
    leased: BTreeMap<NodeId, Incarnation>,
    observer: Observer,
    /// A question to the store whether the epoch still holds.
    probe: Option<JoinHandle<()>>,
    probed: Instant,
    dropped: Option<Dropped>,
    /// Commits that the store has not applied, one after another.
    unwritten: Repeat,
}

impl Term {
    fn new(shared: &Arc<Shared>, epoch: Epoch, grace_ms: u64, inbox: Inbox) -> Self {
        Self {
            shared: Arc::clone(shared),
            epoch,
            core: None,
            links: Links::new(epoch, grace_ms),
            desk: Desk::default(),
            inbox,
            leased: BTreeMap::new(),
            observer: Observer::new(
                shared.parts.telemetry.clone(),
                shared.freshness.clone(),
                std::iter::empty(),
            ),
            probe: None,
            probed: Instant::now(),
            dropped: None,
            unwritten: Repeat::default(),
        }
    }

    fn begin(&mut self, config: Config, unfinished: Unfinished) {
        let runs = unfinished.runs.iter().map(|rows| &rows.run);
        let telemetry = self.shared.parts.telemetry.clone();
        self.observer = Observer::new(telemetry, self.shared.freshness.clone(), runs);
        let snapshot = Snapshot {
            runs: unfinished.runs,
            nodes: unfinished.nodes,
        };
        let now = self.now();
        let (core, commands) = Core::new(self.epoch, config, Box::new(RandomIds), snapshot, now);
        self.core = Some(core);
        self.carry_out(commands);
    }

    fn now(&self) -> Timestamp {
        (self.shared.parts.now)()
    }

    async fn run(
        &mut self,
        mut arrivals: mpsc::Receiver<Input>,
        lease: &mut Lease,
        settings: &mut Settings,
        stop: &mut watch::Receiver<bool>,
    ) -> Dropped {
        let mut alive = tokio::time::interval(ALIVE_EVERY);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Some(dropped) = self.dropped.take() {
                return dropped;
            }
            let wake = self.wake_at();
            tokio::select! {
                // The end of a term goes before its work.
                biased;
                _ = stop.wait_for(|stop| *stop) => return Dropped::End(TermEnd::Stopped),
                state = lease.changed() => match state {
                    LeaseState::Lost => return Dropped::End(TermEnd::LeaseLost),
                    LeaseState::Held => tracing::info!("the lease is confirmed again"),
                    LeaseState::Doubtful => {
                        tracing::warn!("the lease cannot be confirmed: leading on for as long as the store takes this epoch's writes");
                    }
                },
                () = settings.changed() => return Dropped::Reconfigured,
                arrival = arrivals.recv() => match arrival {
                    Some(input) => self.take_in(input),
                    None => return Dropped::End(TermEnd::Failed),
                },
                _ = alive.tick() => {
                    if lease.is_doubtful() || self.probed.elapsed() >= PROBE_EVERY {
                        self.probe_epoch();
                    }
                    self.links.alive();
                    let open = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
                    self.shared.parts.telemetry.set("assay_node_streams", &[], f64::from(open));
                    if let Some(core) = &self.core {
                        self.observer.look((self.shared.parts.now)(), &core.view());
                    }
                }
                () = tokio::time::sleep_until(wake) => self.tell_core(Event::Tick),
            }
        }
    }

    /// When the core wants to be woken.
    fn wake_at(&self) -> Instant {
        let until = self.core.as_ref().and_then(Core::poll_timeout);
        let pause = until.map_or(SLEEP_MAX, |(at, _why)| {
            let pause = at.duration_since(self.now());
            Duration::try_from(pause).unwrap_or(Duration::ZERO)
        });
        Instant::now() + pause.min(SLEEP_MAX)
    }

    fn take_in(&mut self, input: Input) {
        match input {
            Input::Event(event) => self.tell_core(event),
            Input::CommitDone(commit, result) => self.commit_done(commit, result),
            Input::Submit(run, reply) => {
                self.desk.submit(run.id, reply);
                self.tell_core(Event::RunSubmitted { run });
            }
            Input::Wish(wish, reply) => self.wish(wish, reply),
            Input::NodeOpened(opened) => self.node_opened(opened),
            Input::NodeClosed {
                node,
                incarnation,
                stream,
                left,
            } => {
                if self.links.close(&node, stream) {
                    self.tell_core(Event::NodeDisconnected {
                        node,
                        incarnation,
                        refused: left,
                    });
                }
            }
            Input::NodeRefuses { node, incarnation } => {
                // A stream that was opened meanwhile shows that the process lives.
                if !self.links.is_open(&node) {
                    self.tell_core(Event::NodeDisconnected {
                        node,
                        incarnation,
                        refused: true,
                    });
                }
            }
            Input::Leases(nodes) => self.compare_leases(&nodes),
            Input::Fenced => {
                tracing::warn!(epoch = self.epoch.0, "a newer leader writes: stands down");
                self.dropped = Some(Dropped::End(TermEnd::Fenced));
            }
            Input::View(reply) => {
                if let Some(core) = &self.core {
                    let _ = reply.send(core.view());
                }
            }
            Input::Explain(tasks, reply) => {
                if let Some(core) = &self.core {
                    let known = tasks.into_iter().filter_map(|task| core.explain(task));
                    let _ = reply.send(known.collect());
                }
            }
        }
    }

    fn wish(&mut self, wish: Wish, reply: tokio::sync::oneshot::Sender<Result<(), String>>) {
        self.desk.wish(wish.subject.clone(), wish.until, reply);
        self.tell_core(wish.event);
        self.desk.known(&wish.subject);
    }

    fn node_opened(&mut self, opened: Opened) {
        let Opened {
            node,
            registered,
            held,
            link,
        } = opened;
        self.links.open(node.id.clone(), link);
        self.tell_core(Event::NodeHello {
            node: Box::new(node),
            registered,
            held,
        });
    }

    fn compare_leases(&mut self, nodes: &assay_coordination::port::Nodes) {
        let present: BTreeMap<NodeId, Incarnation> = nodes
            .iter()
            .map(|(node, advert)| (node.clone(), advert.advert.incarnation))
            .collect();
        let before = std::mem::replace(&mut self.leased, present.clone());
        for (node, incarnation) in &before {
            if present.get(node) != Some(incarnation) {
                let (node, incarnation) = (node.clone(), *incarnation);
                self.tell_core(Event::LeaseLost { node, incarnation });
            }
        }
        for (node, incarnation) in present {
            if before.get(&node) != Some(&incarnation) {
                self.tell_core(Event::LeaseHeld { node, incarnation });
            }
        }
    }

    /// Asks the store whether this epoch still holds, by a write of nothing. A leader in doubt that
    /// has nothing to write would otherwise not learn that it was replaced.
    fn probe_epoch(&mut self) {
        if self
            .probe
            .as_ref()
            .is_some_and(|probe| !probe.is_finished())
        {
            return;
        }
        self.probed = Instant::now();
        let (shared, inbox, epoch) = (Arc::clone(&self.shared), self.inbox.clone(), self.epoch);
        let now = self.now();
        self.probe = Some(tokio::spawn(async move {
            let asked = shared.parts.store.sent(epoch, &[], now);
            let Ok(answer) = tokio::time::timeout(PROBE_TIMEOUT, asked).await else {
                shared.seats.reach.silent(now, "it did not answer in time");
                return;
            };
            shared.seats.reach.note(now, &answer);
            if let Err(StoreError::FencedEpoch { .. }) = answer {
                // A term that has ended needs no word.
                let _ = inbox.send(Input::Fenced).await;
            }
        }));
    }

    fn commit_done(
        &mut self,
        commit: u64,
        result: Result<Vec<assay_model::change::Answer>, StoreError>,
    ) {
        match result {
            Ok(answers) => {
                self.unwritten.ends();
                self.tell_core(Event::Committed { commit, answers });
            }
            Err(StoreError::FencedEpoch { epoch }) => {
                tracing::warn!(epoch, "a newer leader writes: stands down");
                self.dropped = Some(Dropped::End(TermEnd::Fenced));
            }
            Err(error) => match unapplied(commit, &error) {
                Some(refused @ Event::CommitRefused { .. }) => {
                    tracing::error!(%error, "the store refuses a commit for what it holds; what that is is found, and dropped");
                    self.tell_core(refused);
                }
                Some(told) => {
                    if let Some(again) = self.unwritten.fails() {
                        tracing::warn!(%error, "a commit was not applied; it is tried again{again}");
                    }
                    self.tell_core(told);
                }
                None => {
                    tracing::warn!(%error, "the fate of a commit is not known");
                    self.dropped = Some(Dropped::Doubt);
                }
            },
        }
    }

    fn tell_core(&mut self, event: Event) {
        let now = self.now();
        self.observer.event(now, &event);
        let commands = match &mut self.core {
            Some(core) => core.handle(now, event),
            None => return,
        };
        self.carry_out(commands);
    }

    fn carry_out(&mut self, commands: Vec<Command>) {
        let now = self.now();
        for command in commands {
            self.observer.command(now, &command);
            match command {
                Command::Commit { id, changes } => self.commit(id, changes),
                Command::Send {
                    node,
                    incarnation,
                    message,
                } => self.links.send(&node, incarnation, &message),
                Command::ReadPlan { task, from } => self.read_plan(task, from),
                Command::ReadTasks(asked) => self.read_tasks(asked),
                Command::ReloadRun { run, most } => self.reload_run(run, most),
                Command::Retried { run } => self.desk.retried(run),
                Command::NodeMoved { node, state } => self.desk.node_moved(&node, state),
                Command::DesiredNodes { n, reason } => {
                    let telemetry = &self.shared.parts.telemetry;
                    telemetry.set("assay_nodes_desired", &[], f64::from(n));
                    self.shared.desired.send_replace((n, reason));
                }
                Command::Submitted { run, answer } => self.desk.submitted(run, answer),
                Command::Refused { subject, reason } => self.desk.refused(&subject, &reason),
                Command::RunMoved { run, state, reason } => self.run_moved(run, state, reason),
                Command::Count { what, n } => {
                    let name = format!("assay_{what}_total");
                    self.shared.parts.telemetry.count(&name, &[], n);
                }
            }
        }
    }

    fn run_moved(&mut self, run: RunId, state: assay_model::run::RunState, reason: Option<String>) {
        self.desk.run_moved(run, state);
        let update = RunUpdate {
            run,
            state,
            reason,
            at: self.now(),
        };
        // Nobody may be watching.
        let _ = self.shared.updates.send(update);
    }

    fn commit(&self, id: u64, changes: Vec<Change>) {
        let (shared, inbox, epoch) = (Arc::clone(&self.shared), self.inbox.clone(), self.epoch);
        tokio::spawn(async move {
            let result = shared.parts.store.commit(epoch, &changes).await;
            // A term that has ended needs no answer: the next one reads the store.
            let _ = inbox.send(Input::CommitDone(id, result)).await;
        });
    }

    fn read_plan(&self, task: TaskId, from: u32) {
        self.read("a plan", move |store| async move {
            let page = store.plan_page(task, from).await?.map(Box::new);
            let run = task.run;
            Ok(Event::PlanRead { run, page })
        });
    }

    fn read_tasks(&self, asked: MoreTasks) {
        self.read("tasks", move |store| {
            let asked = asked.clone();
            async move {
                let read = store.more_tasks(&asked).await?;
                Ok(Event::TasksRead { asked, read })
            }
        });
    }

    fn reload_run(&self, run: RunId, most: usize) {
        self.read("a run", move |store| async move {
            let rows = store.unfinished_run(run, most).await?.map(Box::new);
            Ok(Event::RunLoaded { run, rows })
        });
    }

    /// Reads from the store, again until it answers, and tells the core.
    fn read<A, R>(&self, what: &'static str, ask: A)
    where
        A: Fn(Arc<dyn JobStore>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Event, StoreError>> + Send,
    {
        let (shared, inbox) = (Arc::clone(&self.shared), self.inbox.clone());
        tokio::spawn(async move {
            let mut repeat = Repeat::default();
            while !inbox.is_closed() {
                match ask(Arc::clone(&shared.parts.store)).await {
                    Ok(event) => {
                        let _ = inbox.send(Input::Event(event)).await;
                        return;
                    }
                    Err(error) => {
                        if let Some(again) = repeat.fails() {
                            tracing::warn!(%error, "{what} cannot be read; trying again{again}");
                        }
                        tokio::time::sleep(READ_PAUSE).await;
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_for_ever_is_told_apart_from_what_may_be_taken_later() {
        let unknown = StoreError::NotFound {
            what: "definition",
            name: "1f of orders".to_owned(),
        };
        let told = unapplied(7, &unknown);
        assert!(
            matches!(&told, Some(Event::CommitRefused { commit: 7, reason }) if reason.contains("orders")),
            "{told:?}"
        );
        let contradicts = StoreError::Refused {
            what: "row",
            detail: "it is there".to_owned(),
        };
        let told = unapplied(7, &contradicts);
        assert!(
            matches!(told, Some(Event::CommitRefused { .. })),
            "{told:?}"
        );
        let away = StoreError::Unavailable("no connection".into());
        let not_applied = Some(Event::CommitNotApplied { commit: 7 });
        assert_eq!(unapplied(7, &away), not_applied);
        // Its password may be put right.
        let closed = StoreError::Open {
            place: "db".to_owned(),
            detail: "the server refuses the password".to_owned(),
        };
        assert_eq!(unapplied(7, &closed), not_applied);
        let lost = StoreError::Unknown("the connection broke".into());
        assert_eq!(unapplied(7, &lost), None);
    }
}
