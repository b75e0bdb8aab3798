//! The coordinator inside one process: leases on tokio's clock, so that tests can pause time.
//!
//! Comes in: what the port takes. Goes out: what the port gives. It must never outlive the process:
//! it protects from nothing but the loss of tasks inside it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_model::ids::{Incarnation, NodeId};
use assay_model::node::Load;
use async_trait::async_trait;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::port::{
    Advert, Candidate, CoordinationError, Coordinator, Lease, LeaseState, LeaseTimes, NodeAdvert,
    Nodes, Release, trust,
};

/// The in-process adapter. Clones share their state.
#[derive(Clone)]
pub struct LocalCoordinator {
    shared: Arc<Shared>,
}

struct Shared {
    times: LeaseTimes,
    leader: watch::Sender<Option<Candidate>>,
    nodes: watch::Sender<Nodes>,
    config: watch::Sender<Arc<serde_json::Value>>,
    /// Whether the coordinator plays dead.
    out: watch::Sender<bool>,
    // Held for a few map operations and never across an await.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next_lease: u64,
    grants: BTreeMap<u64, Grant>,
    /// The lease that leads.
    leading: Option<u64>,
    waiting: VecDeque<(Candidate, oneshot::Sender<Lease>)>,
    /// Holders whose keep-alives do not arrive.
    severed: BTreeSet<String>,
    /// Leases that lapsed while their holder could not be told.
    untold: Vec<(String, watch::Sender<LeaseState>)>,
}

struct Grant {
    holder: String,
    subject: Subject,
    expires: Instant,
    trusted_until: Instant,
    ttl: Duration,
    told: watch::Sender<LeaseState>,
}

impl Grant {
    fn confirm(&mut self) {
        let now = Instant::now();
        self.expires = now + self.ttl;
        self.trusted_until = now + trust(self.ttl);
        tell(&self.told, LeaseState::Held);
    }
}

fn tell(told: &watch::Sender<LeaseState>, state: LeaseState) {
    told.send_if_modified(|present| std::mem::replace(present, state) != state);
}

#[derive(Clone, PartialEq, Eq)]
enum Subject {
    Leader(Candidate),
    Node(NodeId, Incarnation),
}

impl Default for LocalCoordinator {
    fn default() -> Self {
        Self::new(LeaseTimes::default())
    }
}

impl LocalCoordinator {
    /// A coordinator whose leases last as `times` says.
    #[must_use]
    pub fn new(times: LeaseTimes) -> Self {
        let shared = Shared {
            times,
            leader: watch::Sender::new(None),
            nodes: watch::Sender::new(Arc::default()),
            config: watch::Sender::new(Arc::new(serde_json::Value::Null)),
            out: watch::Sender::new(false),
            state: Mutex::new(State::default()),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Cuts `holder` (a manager's or node's name) off from here on, as a broken network would: its
    /// leases lapse for everyone else, and it is left in doubt.
    pub fn sever(&self, holder: &str) {
        self.shared.state().severed.insert(holder.to_owned());
    }

    /// Lets `holder` through again; it is told of what it lost.
    pub fn heal(&self, holder: &str) {
        let mut state = self.shared.state();
        state.severed.remove(holder);
        state.untold.retain(|(name, told)| {
            let healed = name == holder;
            if healed {
                tell(told, LeaseState::Lost);
            }
            !healed
        });
    }

    /// Plays dead from here on: every call is refused, nobody is elected, no lease lapses and none
    /// is confirmed.
    pub fn begin_outage(&self) {
        self.shared.out.send_replace(true);
    }

    /// Comes back: every lease begins anew, as etcd's do after its leader has changed.
    pub fn end_outage(&self) {
        let now = Instant::now();
        for grant in self.shared.state().grants.values_mut() {
            grant.expires = now + grant.ttl;
        }
        self.shared.out.send_replace(false);
        self.shared.elect();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two operations, so a panic elsewhere leaves it usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_lease(&self) -> u64 {
        let mut state = self.state();
        state.next_lease += 1;
        state.next_lease
    }

    fn reachable(&self) -> Result<(), CoordinationError> {
        if *self.out.borrow() {
            return Err(CoordinationError::Unavailable("it plays dead".to_owned()));
        }
        Ok(())
    }

    /// Grants the lease `id` and keeps it alive in the background.
    fn grant(self: &Arc<Self>, id: u64, holder: &str, subject: Subject) -> Lease {
        let (ttl, every) = match subject {
            Subject::Leader(_) => (self.times.leader_ttl, self.times.leader_keep_alive),
            Subject::Node(..) => (self.times.node_ttl, self.times.node_keep_alive),
        };
        let (told, state) = watch::channel(LeaseState::Held);
        let now = Instant::now();
        let grant = Grant {
            holder: holder.to_owned(),
            subject,
            expires: now + ttl,
            trusted_until: now + trust(ttl),
            ttl,
            told,
        };
        self.state().grants.insert(id, grant);
        let alive = tokio::spawn(keep_alive(Arc::clone(self), id, every));
        tokio::spawn(expire(Arc::clone(self), id));
        let release = LocalRelease {
            shared: Arc::clone(self),
            id,
            alive: alive.abort_handle(),
        };
        Lease::new(state, Box::new(release))
    }

    /// Ends a lease and tells everyone whom it concerns.
    fn end(self: &Arc<Self>, id: u64) {
        let mut state = self.state();
        let Some(grant) = state.grants.remove(&id) else {
            return;
        };
        if state.severed.contains(&grant.holder) {
            state.untold.push((grant.holder, grant.told));
        } else {
            tell(&grant.told, LeaseState::Lost);
        }
        match grant.subject {
            Subject::Leader(_) => {
                if state.leading == Some(id) {
                    state.leading = None;
                }
                drop(state);
                self.elect();
            }
            Subject::Node(node, incarnation) => {
                drop(state);
                self.nodes.send_if_modified(|nodes| {
                    let ours = nodes
                        .get(&node)
                        .is_some_and(|n| n.advert.incarnation == incarnation);
                    if ours {
                        Arc::make_mut(nodes).remove(&node);
                    }
                    ours
                });
            }
        }
    }

    /// Makes the first candidate that still waits the leader.
    fn elect(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            if state.leading.is_some() || *self.out.borrow() {
                return;
            }
            let Some((candidate, answer)) = state.waiting.pop_front() else {
                drop(state);
                self.leader.send_replace(None);
                return;
            };
            // A candidate that no longer waits gets nothing.
            if answer.is_closed() {
                continue;
            }
            state.next_lease += 1;
            let id = state.next_lease;
            state.leading = Some(id);
            drop(state);
            let lease = self.grant(id, &candidate.name, Subject::Leader(candidate.clone()));
            self.leader.send_replace(Some(candidate));
            // A candidate that gives up at this very moment drops its lease, which then lapses.
            let _ = answer.send(lease);
            return;
        }
    }
}

async fn keep_alive(shared: Arc<Shared>, id: u64, every: Duration) {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut state = shared.state();
        let State {
            grants, severed, ..
        } = &mut *state;
        let Some(grant) = grants.get_mut(&id) else {
            return;
        };
        if !severed.contains(&grant.holder) && !*shared.out.borrow() {
            grant.confirm();
        }
    }
}

async fn expire(shared: Arc<Shared>, id: u64) {
    let mut out = shared.out.subscribe();
    loop {
        let next = {
            let state = shared.state();
            let Some(grant) = state.grants.get(&id) else {
                return;
            };
            let now = Instant::now();
            if grant.trusted_until <= now {
                tell(&grant.told, LeaseState::Doubtful);
                grant.expires
            } else {
                grant.trusted_until.min(grant.expires)
            }
        };
        if *out.borrow_and_update() && next <= Instant::now() {
            // The sender lives as long as `shared`.
            let _ = out.changed().await;
        } else if next <= Instant::now() {
            return shared.end(id);
        } else {
            sleep_until(next).await;
        }
    }
}

struct LocalRelease {
    shared: Arc<Shared>,
    id: u64,
    alive: tokio::task::AbortHandle,
}

#[async_trait]
impl Release for LocalRelease {
    async fn release(&self) -> Result<(), CoordinationError> {
        self.shared.reachable()?;
        self.shared.end(self.id);
        Ok(())
    }
}

impl Drop for LocalRelease {
    fn drop(&mut self) {
        self.alive.abort();
    }
}

#[async_trait]
impl Coordinator for LocalCoordinator {
    async fn campaign(&self, candidate: &Candidate) -> Result<Lease, CoordinationError> {
        self.shared.reachable()?;
        let (answer, elected) = oneshot::channel();
        self.shared
            .state()
            .waiting
            .push_back((candidate.clone(), answer));
        self.shared.elect();
        elected
            .await
            .map_err(|_| CoordinationError::Unavailable("the election was dropped".to_owned()))
    }

    async fn watch_leader(&self) -> Result<watch::Receiver<Option<Candidate>>, CoordinationError> {
        self.shared.reachable()?;
        Ok(self.shared.leader.subscribe())
    }

    async fn candidates(&self) -> Result<Vec<Candidate>, CoordinationError> {
        self.shared.reachable()?;
        let state = self.shared.state();
        let leads = state.leading.and_then(|id| state.grants.get(&id));
        let leads = leads.and_then(|grant| match &grant.subject {
            Subject::Leader(candidate) => Some(candidate),
            Subject::Node(..) => None,
        });
        let waits = state.waiting.iter().filter(|(_, told)| !told.is_closed());
        let all = leads
            .into_iter()
            .chain(waits.map(|(candidate, _)| candidate));
        Ok(all.cloned().collect())
    }

    async fn depose(&self, leader: &Candidate) -> Result<(), CoordinationError> {
        self.shared.reachable()?;
        let leads = {
            let state = self.shared.state();
            state.leading.filter(|id| {
                let grant = state.grants.get(id);
                grant.is_some_and(|grant| grant.subject == Subject::Leader(leader.clone()))
            })
        };
        if let Some(id) = leads {
            self.shared.end(id);
        }
        Ok(())
    }

    async fn register(&self, advert: &Advert) -> Result<Lease, CoordinationError> {
        self.shared.reachable()?;
        let lives: Vec<(u64, Incarnation)> = self
            .shared
            .state()
            .grants
            .iter()
            .filter_map(|(id, grant)| match &grant.subject {
                Subject::Node(node, life) if *node == advert.node => Some((*id, *life)),
                _ => None,
            })
            .collect();
        if lives.iter().any(|(_, life)| *life > advert.incarnation) {
            return Err(CoordinationError::LeaseLost {
                holder: advert.node.as_str().to_owned(),
            });
        }
        for (id, _) in lives {
            self.shared.end(id);
        }
        let subject = Subject::Node(advert.node.clone(), advert.incarnation);
        let id = self.shared.next_lease();
        let lease = self.shared.grant(id, advert.node.as_str(), subject);
        self.shared.nodes.send_modify(|nodes| {
            let entry = NodeAdvert {
                advert: advert.clone(),
                load: None,
            };
            Arc::make_mut(nodes).insert(advert.node.clone(), entry);
        });
        Ok(lease)
    }

    async fn watch_nodes(&self) -> Result<watch::Receiver<Nodes>, CoordinationError> {
        self.shared.reachable()?;
        Ok(self.shared.nodes.subscribe())
    }

    async fn publish_load(
        &self,
        node: &NodeId,
        incarnation: Incarnation,
        load: &Load,
    ) -> Result<(), CoordinationError> {
        self.shared.reachable()?;
        let known = self.shared.nodes.send_if_modified(|nodes| {
            let ours = nodes
                .get(node)
                .is_some_and(|n| n.advert.incarnation == incarnation);
            if ours && let Some(entry) = Arc::make_mut(nodes).get_mut(node) {
                entry.load = Some(load.clone());
            }
            ours
        });
        if known {
            return Ok(());
        }
        Err(CoordinationError::LeaseLost {
            holder: node.as_str().to_owned(),
        })
    }

    async fn put_config(&self, config: &serde_json::Value) -> Result<(), CoordinationError> {
        self.shared.reachable()?;
        self.shared.config.send_replace(Arc::new(config.clone()));
        Ok(())
    }

    async fn watch_config(
        &self,
    ) -> Result<watch::Receiver<Arc<serde_json::Value>>, CoordinationError> {
        self.shared.reachable()?;
        Ok(self.shared.config.subscribe())
    }
}
