//! The node's lease with the coordinator, and the coarse copy of its load.
//!
//! Comes in: which life the leader has registered, and the last measured load. Goes out: a lease
//! for as long as that life lasts, given back at once when the node leaves. It must never decide
//! anything about the node's work: a lease that is lost is taken anew, and tasks go on meanwhile.

use std::sync::Arc;
use std::time::Duration;

use assay_coordination::{Advert, CoordinationError, Coordinator, Lease, LeaseState};
use assay_model::ids::Incarnation;
use assay_model::node::Load;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::link::jittered;
use crate::node::Inner;

/// Between two copies of the load.
const LOAD_EVERY: Duration = Duration::from_secs(5);
/// Between two attempts to register.
const PAUSE: Duration = Duration::from_secs(1);

/// What the node's lease needs to know, and says.
pub(crate) struct Presence {
    /// The life that the leader has registered; none before the first, and after the last.
    pub(crate) life: watch::Sender<Option<Incarnation>>,
    /// The last load.
    pub(crate) load: watch::Sender<Load>,
    /// The life that holds a lease.
    pub(crate) leased: watch::Sender<Option<Incarnation>>,
}

impl Default for Presence {
    fn default() -> Self {
        Self {
            life: watch::Sender::new(None),
            load: watch::Sender::new(Load::default()),
            leased: watch::Sender::new(None),
        }
    }
}

impl Presence {
    /// Ends the last life, and waits a little until its lease is given back.
    pub(crate) async fn leave(&self) {
        self.life.send_replace(None);
        let mut leased = self.leased.subscribe();
        // A lease that cannot be given back lapses.
        let _ = tokio::time::timeout(PAUSE, leased.wait_for(Option::is_none)).await;
    }
}

/// Holds a lease for every life, until dropped.
pub(crate) async fn keep(node: Arc<Inner>, coordinator: Arc<dyn Coordinator>) {
    let mut life = node.presence.life.subscribe();
    loop {
        let Some(present) = *life.borrow_and_update() else {
            // The sender lives as long as `node`.
            let _ = life.changed().await;
            continue;
        };
        let config = &node.parts.config;
        let advert = Advert {
            node: config.id.clone(),
            incarnation: present,
            slots: config.slots,
            zone: config.zone.clone(),
        };
        match coordinator.register(&advert).await {
            Ok(lease) => {
                node.presence.leased.send_replace(Some(present));
                hold(&node, &coordinator, &advert, lease, &mut life).await;
                node.presence.leased.send_replace(None);
            }
            Err(error) => {
                tracing::warn!(node = %config.id, %error, "no lease; it is asked for again");
            }
        }
        // Also after a loss: two that take it from each other must not do so without a breath.
        tokio::select! {
            () = over(&mut life, present) => {}
            () = tokio::time::sleep(jittered(PAUSE)) => {}
        }
    }
}

/// Holds one lease until it is lost or its life is over.
async fn hold(
    node: &Inner,
    coordinator: &Arc<dyn Coordinator>,
    advert: &Advert,
    mut lease: Lease,
    life: &mut watch::Receiver<Option<Incarnation>>,
) {
    let mut ticks = interval(LOAD_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut published = None;
    loop {
        tokio::select! {
            state = lease.changed() => match state {
                LeaseState::Lost => {
                    tracing::warn!(node = %advert.node, "the lease is lost; it is asked for again");
                    return;
                }
                LeaseState::Doubtful => tracing::warn!(node = %advert.node, "the lease cannot be confirmed"),
                LeaseState::Held => tracing::info!(node = %advert.node, "the lease is confirmed again"),
            },
            () = over(life, advert.incarnation) => {
                if let Err(error) = lease.release().await {
                    tracing::warn!(node = %advert.node, %error, "the lease was not given back; it lapses");
                }
                return;
            }
            _ = ticks.tick() => {
                let load = coarse(&node.presence.load.borrow());
                if published.as_ref() == Some(&load) {
                    continue;
                }
                let told = coordinator.publish_load(&advert.node, advert.incarnation, &load).await;
                match told {
                    Ok(()) => published = Some(load),
                    // Whether the lease is lost is the lease's to say.
                    Err(CoordinationError::LeaseLost { .. }) => {}
                    Err(error) => tracing::debug!(node = %advert.node, %error, "the load was not published"),
                }
            }
        }
    }
}

/// Returns when the life is over.
async fn over(life: &mut watch::Receiver<Option<Incarnation>>, incarnation: Incarnation) {
    // A sender that is gone is the end of the node.
    let _ = life.wait_for(|life| *life != Some(incarnation)).await;
}

/// The load without its tasks, which the leader hears on the stream.
fn coarse(load: &Load) -> Load {
    Load {
        running: Vec::new(),
        ..load.clone()
    }
}
