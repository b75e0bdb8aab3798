//! The link to the leader: connects for ever, registers, beats, listens, leaves.
//!
//! Comes in: the doors of the managers, and reports of attempts. Goes out: assignments, cancels and
//! drains to the node. It runs on a thread of its own and must never compute, wait for the store,
//! or obey a leader whose epoch is below one that it has seen.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use assay_model::ids::{Epoch, Incarnation};
use assay_model::node::{Load, Node, NodeState};
use assay_proto::convert::{hello_of, load_of, token};
use assay_proto::limits::MESSAGE_BYTES_MAX;
use assay_proto::link::{Door, causes, leader_of, why};
use assay_proto::v1::node_service_client::NodeServiceClient;
use assay_proto::v1::{self, manager_message, node_message::Kind};
use assay_telemetry::ProcessLoad;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};
use uuid::Uuid;

use crate::attempt::Terms;
use crate::node::{Inner, NodeStatus, Report};

/// How long a manager may take to let the node in.
const ADMISSION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a leaving node waits for the leader to agree.
const AGREEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a node that goes waits for the leader to hear it.
const FAREWELL_MAX: Duration = Duration::from_millis(50);
/// Between two tries of the probe port to accept.
const PROBE_PAUSE: Duration = Duration::from_millis(100);
/// How often a reason that stays is said again.
const SAID_FOR: Duration = Duration::from_secs(30);
/// Messages that may wait on one stream.
const STREAM_MAX: usize = 256;

/// Why a stream ended.
enum End {
    /// The node has left the cluster.
    Left,
    /// The stream broke, or the leader is gone: connect again.
    Broken(String),
    /// This life of the node is over: register anew.
    Rejoin,
    /// Another process is at work under the node's name.
    Taken(String),
}

/// Why a manager did not let the node in.
enum Refusal {
    /// It may do so later, or another one may.
    NotNow(String),
    /// Another process is at work under the node's name.
    Taken(String),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::NotNow(reason)
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        Self::NotNow(reason.to_owned())
    }
}

/// Lives until the node has left.
pub(crate) async fn live(node: Arc<Inner>, reports: mpsc::Receiver<Report>) {
    let probe_port = probe(&node).await;
    let mut link = Link {
        reports,
        incarnation: Incarnation(0),
        probe_port,
        load: ProcessLoad::new(),
        drain_until: None,
        agreed: false,
        leader: None,
        unknown: false,
        unheard: None,
        taken: None,
        node,
    };
    let config = link.node.parts.config.clone();
    let mut failures = 0_u32;
    let mut turn = 0_usize;
    let mut outside = Outside::default();
    while !config.doors.is_empty() {
        // A hint is followed once; then the turn goes on.
        let hint = link.leader.take();
        let hinted = hint.is_some();
        let door = hint.unwrap_or_else(|| {
            turn += 1;
            config.doors[(turn - 1) % config.doors.len()].clone()
        });
        let ended = link.visit(&door, &mut failures).await;
        match ended {
            End::Left => return,
            End::Rejoin => {
                tracing::warn!(node = %config.id, incarnation = link.incarnation.0, "this life of the node is over: it was taken for dead, or another process came under its name; it joins anew");
                link.node.held.cancel_all();
                link.incarnation = Incarnation(0);
                link.node.presence.life.send_replace(None);
                failures = 0;
            }
            End::Taken(reason) => {
                if outside.is_news(&reason) {
                    tracing::warn!(node = %config.id, %door, %reason, "this node's name is another's; it waits for that one to end");
                }
                if link.gives_up(reason) {
                    return;
                }
            }
            End::Broken(reason) => {
                // Until all doors were tried, another manager may lead since.
                let all_tried = failures as usize >= config.doors.len();
                if all_tried && outside.is_news(&reason) {
                    tracing::warn!(node = %config.id, %door, %reason, "no manager takes this node in; it goes on asking");
                } else {
                    tracing::debug!(node = %config.id, %door, %reason, "no link to a leader");
                }
            }
        }
        link.node.status.send_replace(NodeStatus::Connecting);
        if link.leaves_unheard() {
            return;
        }
        if link.leader.is_some() && !hinted {
            continue;
        }
        // All doors are tried before the pause grows.
        let rounds = failures / u32::try_from(config.doors.len()).unwrap_or(1);
        let pause = (config.reconnect * 2_u32.pow(rounds.min(10))).min(config.reconnect_max);
        tokio::time::sleep(jittered(pause)).await;
        failures = failures.saturating_add(1);
    }
}

/// What was said of why no manager takes the node in.
#[derive(Default)]
struct Outside {
    said: Option<(String, Instant)>,
}

impl Outside {
    /// Whether a reason is worth saying: it is another one than before, or was said long ago.
    fn is_news(&mut self, reason: &str) -> bool {
        let known = self.said.as_ref();
        if known.is_some_and(|(said, at)| said == reason && at.elapsed() < SAID_FOR) {
            return false;
        }
        self.said = Some((reason.to_owned(), Instant::now()));
        true
    }
}

/// U[0.5, 1.5) of a pause.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let permille = u32::try_from(Uuid::new_v4().as_u64_pair().1 % 1000).unwrap_or_default();
    pause * (500 + permille) / 1000
}

/// Opens the port that is there for as long as the process is; 0 for none.
async fn probe(node: &Inner) -> u16 {
    let Some(address) = node.parts.config.probe else {
        return 0;
    };
    match TcpListener::bind(address).await {
        Ok(listener) => {
            let port = listener.local_addr().map_or(0, |a: SocketAddr| a.port());
            tokio::spawn(async move {
                // Whoever connects has learned what there is to learn. A want of file handles passes;
                // a port that closed for it would have a living node declared dead.
                loop {
                    if listener.accept().await.is_err() {
                        tokio::time::sleep(PROBE_PAUSE).await;
                    }
                }
            });
            port
        }
        Err(error) => {
            tracing::warn!(%error, %address, "no probe port: the node's death is seen later");
            0
        }
    }
}

struct Link {
    node: Arc<Inner>,
    reports: mpsc::Receiver<Report>,
    incarnation: Incarnation,
    probe_port: u16,
    load: ProcessLoad,
    /// When attempts of a draining node are handed back.
    drain_until: Option<Instant>,
    /// The leader knows that the node drains.
    agreed: bool,
    /// Where the leader is, by the word of a manager that does not lead.
    leader: Option<Door>,
    /// A leader has said what this version does not know.
    unknown: bool,
    /// Since when it wants to leave and reaches nobody.
    unheard: Option<Instant>,
    /// Since when another process is at work under its name.
    taken: Option<Instant>,
}

impl Link {
    fn wants_to_leave(&self) -> bool {
        self.node.leave.borrow().is_some() || self.node.draining.load(Ordering::Relaxed)
    }

    /// One connection, from hello to its end.
    async fn visit(&mut self, door: &Door, failures: &mut u32) -> End {
        let (says, stream) = mpsc::channel(STREAM_MAX);
        let opened = tokio::time::timeout(ADMISSION_TIMEOUT, self.open(door, &says, stream)).await;
        let (mut hears, epoch) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(Refusal::NotNow(reason))) => return End::Broken(reason),
            Ok(Err(Refusal::Taken(reason))) => return End::Taken(reason),
            Err(_) => return End::Broken("the manager did not answer in time".to_owned()),
        };
        *failures = 0;
        self.agreed = false;
        self.unheard = None;
        self.taken = None;
        let incarnation = self.incarnation;
        self.node
            .parts
            .telemetry
            .count("assay_node_registrations_total", &[], 1);
        tracing::info!(node = %self.node.parts.config.id, incarnation = incarnation.0, epoch = epoch.0, "registered");
        let status = if self.node.draining.load(Ordering::Relaxed) {
            NodeStatus::Draining
        } else {
            NodeStatus::Live { incarnation, epoch }
        };
        self.node.status.send_replace(status);
        self.converse(&says, &mut hears).await
    }

    async fn open(
        &mut self,
        door: &Door,
        says: &mpsc::Sender<v1::NodeMessage>,
        stream: mpsc::Receiver<v1::NodeMessage>,
    ) -> Result<(Streaming<v1::ManagerMessage>, Epoch), Refusal> {
        let channel = door.open().await.map_err(|error| causes(&error))?;
        let config = &self.node.parts.config;
        let node = Node {
            id: config.id.clone(),
            incarnation: self.incarnation,
            state: NodeState::Registering,
            slots: config.slots,
            memory_bytes: config.memory_bytes,
            zone: config.zone.clone(),
        };
        // A new life holds nothing: what it still stops is of the one before.
        let held = match self.incarnation {
            Incarnation(0) => Vec::new(),
            _ => self.node.held.tokens(),
        };
        let highest = Epoch(self.node.highest_epoch.load(Ordering::Relaxed));
        let hello = hello_of(&node, &held, highest, self.probe_port);
        // The channel is fresh and holds more than one message.
        let _ = says.try_send(message(Kind::Hello(hello)));
        let answer = NodeServiceClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .connect(ReceiverStream::new(stream))
            .await
            .map_err(|status| {
                let leader = leader_of(&status);
                self.leader = leader.and_then(|address| door.beside(address));
                match status.code() {
                    Code::AlreadyExists => Refusal::Taken(status.message().to_owned()),
                    _ => Refusal::NotNow(why(&status)),
                }
            })?;
        let mut hears = answer.into_inner();
        let first = hears.message().await.map_err(|status| why(&status))?;
        let first = first.ok_or("the stream ended before its first message")?;
        let Some(manager_message::Kind::Registered(registered)) = first.kind else {
            return Err("the first message was not `registered`".into());
        };
        if self.is_stale(first.epoch) {
            return Err("a leader that has been replaced".into());
        }
        self.incarnation = Incarnation(registered.incarnation);
        self.node.presence.life.send_replace(Some(self.incarnation));
        Ok((hears, Epoch(first.epoch)))
    }

    /// Notes an epoch; says whether a higher one has been seen.
    fn is_stale(&self, epoch: u64) -> bool {
        self.node.highest_epoch.fetch_max(epoch, Ordering::Relaxed) > epoch
    }

    async fn converse(
        &mut self,
        says: &mpsc::Sender<v1::NodeMessage>,
        hears: &mut Streaming<v1::ManagerMessage>,
    ) -> End {
        let mut beats = interval(self.node.parts.config.heartbeat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let silence_max = self.node.parts.config.leader_silence_max;
        let mut heard = Instant::now();
        let mut leave = self.node.leave.subscribe();
        let mut holding = self.node.held.watch();
        let mut asked_to_leave: Option<Instant> = None;
        loop {
            if asked_to_leave.is_none()
                && let Some(reason) = leave.borrow_and_update().clone()
            {
                asked_to_leave = Some(Instant::now());
                self.begin_drain(self.node.parts.config.drain_grace);
                if says
                    .send(message(Kind::Leaving(v1::Leaving { reason })))
                    .await
                    .is_err()
                {
                    return End::Broken("the stream is closed".to_owned());
                }
            }
            if self.may_go(asked_to_leave) {
                return go(says, hears).await;
            }
            let hand_back_at = self
                .drain_until
                .unwrap_or_else(|| Instant::now() + silence_max);
            let told = tokio::select! {
                message = hears.message() => match message {
                    Ok(Some(message)) => {
                        heard = Instant::now();
                        if self.is_stale(message.epoch) {
                            return End::Broken("a leader that has been replaced".to_owned());
                        }
                        match self.obey(message) {
                            ControlFlow::Continue(()) => Ok(()),
                            ControlFlow::Break(end) => return end,
                        }
                    }
                    Ok(None) => return End::Broken("the leader ended the stream".to_owned()),
                    Err(status) => return End::Broken(status.message().to_owned()),
                },
                Some(report) = self.reports.recv() => {
                    let sent = says.send(message(report.kind)).await;
                    if let Some(token) = report.ends {
                        self.node.held.end(&token);
                    }
                    sent
                }
                _ = beats.tick() => {
                    if heard.elapsed() > silence_max {
                        return End::Broken("the leader is silent".to_owned());
                    }
                    let load = self.measure();
                    self.gauge(&load);
                    self.node.presence.load.send_replace(load.clone());
                    says.send(message(Kind::Heartbeat(load_of(&load)))).await
                }
                _ = leave.changed() => Ok(()),
                _ = holding.changed() => Ok(()),
                () = tokio::time::sleep_until(hand_back_at), if self.drain_until.is_some() => {
                    self.hand_all_back(says).await
                }
            };
            if told.is_err() {
                return End::Broken("the stream is closed".to_owned());
            }
        }
    }

    fn measure(&mut self) -> Load {
        let measured = self.load.measure();
        Load {
            cpu: measured.cpu.unwrap_or_default(),
            memory_bytes: measured.memory_bytes.unwrap_or_default(),
            read_bytes_per_s: measured.read_bytes_per_s.unwrap_or_default(),
            running: self.node.held.progress(),
        }
    }

    /// Shows the slots, once per heartbeat.
    fn gauge(&self, load: &Load) {
        let telemetry = &self.node.parts.telemetry;
        let used = u32::try_from(load.running.len()).unwrap_or(u32::MAX);
        let free = self.node.parts.config.slots.saturating_sub(used);
        telemetry.set("assay_task_slots", &[("state", "used")], f64::from(used));
        telemetry.set("assay_task_slots", &[("state", "free")], f64::from(free));
        let draining = self.node.draining.load(Ordering::Relaxed);
        telemetry.set("assay_node_draining", &[], f64::from(u8::from(draining)));
    }

    fn obey(&mut self, message: v1::ManagerMessage) -> ControlFlow<End> {
        use manager_message::Kind as Says;
        match message.kind {
            Some(Says::Assign(assign)) => match token(assign.token) {
                Ok(token) => {
                    let terms = Terms {
                        timeout: Duration::from_millis(assign.timeout_ms),
                        suspect: assign.suspect,
                    };
                    self.node.assigned(token, terms);
                }
                Err(error) => tracing::warn!(%error, "an assignment breaks the contract"),
            },
            Some(Says::Cancel(cancelled)) => match token(Some(cancelled)) {
                Ok(token) => {
                    if !self.node.held.cancel(&token) {
                        self.node.hand_back(token, "not held");
                    }
                }
                Err(error) => tracing::warn!(%error, "a cancel breaks the contract"),
            },
            Some(Says::Drain(drain)) => {
                self.agreed = true;
                self.begin_drain(Duration::from_millis(drain.grace_ms));
            }
            Some(Says::Resume(v1::Resume {})) => {
                if self.node.leave.borrow().is_none() {
                    self.node.draining.store(false, Ordering::Relaxed);
                    self.drain_until = None;
                    self.agreed = false;
                }
            }
            Some(Says::Rejoin(v1::Rejoin {})) if self.wants_to_leave() => {
                return ControlFlow::Break(End::Left);
            }
            Some(Says::Rejoin(v1::Rejoin {})) => return ControlFlow::Break(End::Rejoin),
            Some(Says::Registered(_) | Says::Alive(_)) => {}
            // What is not understood is not done, and is no reason to leave a newer leader.
            None => {
                if !self.unknown {
                    tracing::warn!(
                        "a command that this version does not know is refused; the manager's version is newer: bring this node up to it"
                    );
                }
                self.unknown = true;
                self.node
                    .parts
                    .telemetry
                    .count("assay_node_unknown_commands_total", &[], 1);
            }
        }
        ControlFlow::Continue(())
    }

    fn begin_drain(&mut self, grace: Duration) {
        if !self.node.draining.swap(true, Ordering::Relaxed) {
            self.node.status.send_replace(NodeStatus::Draining);
        }
        self.drain_until
            .get_or_insert_with(|| Instant::now() + grace);
    }

    /// Whether nothing holds a draining node any more.
    fn may_go(&self, asked: Option<Instant>) -> bool {
        let agreed = self.agreed || asked.is_some_and(|at| at.elapsed() > AGREEMENT_TIMEOUT);
        agreed
            && self.node.draining.load(Ordering::Relaxed)
            && self.node.held.tokens().is_empty()
            && self.reports.is_empty()
    }

    /// Whether another process has had this node's name for longer than this one waits.
    fn gives_up(&mut self, reason: String) -> bool {
        let since = *self.taken.get_or_insert_with(Instant::now);
        if since.elapsed() < self.node.parts.config.name_patience {
            return false;
        }
        // It is said once, by this thread alone.
        let _ = self.node.refused.set(reason);
        true
    }

    /// Whether a node that wants to leave does so without a word: it reaches no leader, and nothing
    /// is to be lost, since what it has done is in the store, or its time is over.
    fn leaves_unheard(&mut self) -> bool {
        if !self.wants_to_leave() {
            return false;
        }
        if self.node.held.tokens().is_empty() {
            return true;
        }
        self.begin_drain(self.node.parts.config.drain_grace);
        let since = *self.unheard.get_or_insert_with(Instant::now);
        if self
            .drain_until
            .is_some_and(|until| until <= Instant::now())
        {
            self.node.held.cancel_all();
            return true;
        }
        // A leader that is only being replaced is waited for: it would rather be told.
        since.elapsed() > AGREEMENT_TIMEOUT && !self.node.held.is_at_work()
    }

    async fn hand_all_back(
        &mut self,
        says: &mpsc::Sender<v1::NodeMessage>,
    ) -> Result<(), mpsc::error::SendError<v1::NodeMessage>> {
        self.drain_until = None;
        for held in self.node.held.tokens() {
            self.node.held.cancel(&held);
            let dropped = v1::Dropped {
                token: Some(assay_proto::convert::token_of(&held)),
                reason: "the node's time to drain is over".to_owned(),
            };
            says.send(message(Kind::Dropped(dropped))).await?;
        }
        Ok(())
    }
}

/// Says goodbye and waits until it is heard: the leader ends the stream on it. A goodbye that is
/// lost costs it a time-out.
async fn go(
    says: &mpsc::Sender<v1::NodeMessage>,
    hears: &mut Streaming<v1::ManagerMessage>,
) -> End {
    let _ = says.send(message(Kind::Goodbye(v1::Goodbye {}))).await;
    let ended = async { while let Ok(Some(_)) = hears.message().await {} };
    let _ = tokio::time::timeout(FAREWELL_MAX, ended).await;
    End::Left
}

const fn message(kind: Kind) -> v1::NodeMessage {
    v1::NodeMessage { kind: Some(kind) }
}
