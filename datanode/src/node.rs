//! A running data node: its parts, its handle, and what its threads share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use assay_coordination::Coordinator;
use assay_model::ids::{AttemptToken, Epoch, Incarnation, NodeId};
use assay_proto::v1::node_message::Kind;
use assay_store::JobStore;
use assay_telemetry::Telemetry;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::attempt::{self, Terms};
use crate::config::NodeConfig;
use crate::held::{Held, NotTaken};
use crate::link;
use crate::presence::{self, Presence};
use crate::runner::TaskRunner;
use crate::spool::Spool;

/// Reports that may wait for a connection.
const REPORTS_MAX: usize = 8192;

/// What a node is made of.
#[derive(Clone)]
pub struct NodeParts {
    /// Where attempts are started and results committed.
    pub store: Arc<dyn JobStore>,
    /// Where the node holds its lease; `None` does without, and its silence is all that tells of
    /// its death.
    pub coordinator: Option<Arc<dyn Coordinator>>,
    /// Where tasks run.
    pub runner: Arc<dyn TaskRunner>,
    /// How it behaves.
    pub config: NodeConfig,
    /// The present instant.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Where it counts.
    pub telemetry: Telemetry,
}

/// Where a node is in its life, as it sees itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeStatus {
    /// Looking for a leader.
    Connecting,
    /// Registered with the leader of this epoch.
    Live {
        /// Its life.
        incarnation: Incarnation,
        /// The leader's epoch.
        epoch: Epoch,
    },
    /// Finishing what it has.
    Draining,
    /// Gone.
    Stopped,
}

/// A data node.
pub struct DataNode;

/// What the link thread and the attempts share.
pub(crate) struct Inner {
    pub(crate) parts: NodeParts,
    pub(crate) held: Held,
    pub(crate) spool: Arc<Spool>,
    pub(crate) highest_epoch: AtomicU64,
    pub(crate) draining: AtomicBool,
    pub(crate) presence: Presence,
    pub(crate) status: watch::Sender<NodeStatus>,
    /// Why no manager will ever take it in.
    pub(crate) refused: OnceLock<String>,
    /// Ends the link thread.
    pub(crate) stop: CancellationToken,
    /// Asks the link thread to leave the cluster.
    pub(crate) leave: watch::Sender<Option<String>>,
    /// Attempts run here; ended with the node.
    pub(crate) work: Handle,
    reports: mpsc::Sender<Report>,
}

/// Something to be told to the leader; `ends` is the attempt that it ends.
pub(crate) struct Report {
    pub(crate) kind: Kind,
    pub(crate) ends: Option<AttemptToken>,
}

impl DataNode {
    /// Starts a node. Attempts run on the caller's runtime; the link has a thread and a runtime of
    /// its own, so that no computation can starve the heartbeat.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(parts: NodeParts) -> std::io::Result<NodeHandle> {
        let (reports, told) = mpsc::channel(REPORTS_MAX);
        let config = &parts.config;
        let inner = Arc::new(Inner {
            held: Held::new(config.slots),
            spool: Arc::new(Spool::new(config.spool_results_max, config.spool_bytes_max)),
            highest_epoch: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            presence: Presence::default(),
            status: watch::Sender::new(NodeStatus::Connecting),
            refused: OnceLock::new(),
            stop: CancellationToken::new(),
            leave: watch::Sender::new(None),
            work: Handle::current(),
            reports,
            parts,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        if let Some(coordinator) = inner.parts.coordinator.clone() {
            let (stop, present) = (inner.stop.clone(), Arc::clone(&inner));
            inner.work.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = presence::keep(present, coordinator) => {}
                }
            });
        }
        let thread_inner = Arc::clone(&inner);
        std::thread::Builder::new()
            .name(format!("link-{}", inner.parts.config.id))
            .spawn(move || {
                let stop = thread_inner.stop.clone();
                let status = thread_inner.status.clone();
                runtime.block_on(async {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = link::live(Arc::clone(&thread_inner), told) => {
                            thread_inner.presence.leave().await;
                        }
                    }
                    // Ends what keeps the lease, also when the link ended by itself.
                    stop.cancel();
                });
                // Closes the probe and every socket before anyone is told.
                drop(runtime);
                status.send_replace(NodeStatus::Stopped);
            })?;
        Ok(NodeHandle { inner })
    }
}

impl Inner {
    pub(crate) fn now(&self) -> Timestamp {
        (self.parts.now)()
    }

    /// Takes an assignment, or hands it back.
    pub(crate) fn assigned(self: &Arc<Self>, token: AttemptToken, terms: Terms) {
        let refused = if self.draining.load(Ordering::Relaxed) {
            "the node is draining"
        } else {
            match self.held.take(token) {
                Ok(hold) => {
                    self.work.spawn(attempt::run(Arc::clone(self), hold, terms));
                    return;
                }
                // A repeat of the message.
                Err(NotTaken::Held) => return,
                Err(NotTaken::Full) => "every slot is taken",
            }
        };
        self.hand_back(token, refused);
    }

    /// Gives an attempt back unfinished.
    pub(crate) fn hand_back(&self, token: AttemptToken, reason: &str) {
        self.say(Kind::Dropped(assay_proto::v1::Dropped {
            token: Some(assay_proto::convert::token_of(&token)),
            reason: reason.to_owned(),
        }));
    }

    /// Tells the leader something that may get lost.
    pub(crate) fn say(&self, kind: Kind) {
        let report = Report { kind, ends: None };
        if self.reports.try_send(report).is_err() {
            tracing::warn!("too many reports wait for a leader: one was dropped");
        }
    }

    /// Tells the leader of the end of an attempt, which is held until the report is on the wire.
    pub(crate) async fn report(&self, token: AttemptToken, kind: Kind) {
        self.held.over(&token);
        let report = Report {
            kind,
            ends: Some(token),
        };
        if self.reports.send(report).await.is_err() {
            self.held.end(&token);
        }
    }
}

/// A running node. Clones are the same one.
#[derive(Clone)]
pub struct NodeHandle {
    inner: Arc<Inner>,
}

impl NodeHandle {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> &NodeId {
        &self.inner.parts.config.id
    }

    /// Where it is in its life, from here on.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<NodeStatus> {
        self.inner.status.subscribe()
    }

    /// Why it has stopped without being asked: another process is at work under its name.
    #[must_use]
    pub fn refused(&self) -> Option<&str> {
        self.inner.refused.get().map(String::as_str)
    }

    /// Tasks that it holds, from here on.
    #[must_use]
    pub fn holding(&self) -> watch::Receiver<usize> {
        self.inner.held.watch()
    }

    /// The life that holds a lease with the coordinator, from here on.
    #[must_use]
    pub fn leased(&self) -> watch::Receiver<Option<Incarnation>> {
        self.inner.presence.leased.subscribe()
    }

    /// Waits until it is registered with a leader.
    pub async fn live(&self) {
        let mut status = self.status();
        // The sender lives as long as this handle.
        let _ = status
            .wait_for(|status| matches!(status, NodeStatus::Live { .. }))
            .await;
    }

    /// Leaves the cluster: takes nothing new, finishes or hands back what it holds, says goodbye.
    /// Returns when it is gone.
    pub async fn drain(&self, reason: &str) {
        self.inner.leave.send_replace(Some(reason.to_owned()));
        let mut status = self.status();
        let _ = status
            .wait_for(|status| *status == NodeStatus::Stopped)
            .await;
    }

    /// Stops at once without a word, as a killed process would: attempts are dropped where they
    /// are. Computation that has begun on a thread of its own runs on until it looks up, and its
    /// result goes nowhere. For drills, and for a second Ctrl-C.
    pub async fn kill(&self) {
        self.inner.stop.cancel();
        self.inner.held.cancel_all();
        let mut status = self.status();
        let stopped = status.wait_for(|status| *status == NodeStatus::Stopped);
        let _ = tokio::time::timeout(Duration::from_secs(5), stopped).await;
    }
}
