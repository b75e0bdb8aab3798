//! Whether this manager leads, and how the term's task is reached if it does.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use assay_coordination::Candidate;
use assay_model::ids::Epoch;
use assay_proto::link::LEADER_HEADER;
use assay_telemetry::Telemetry;
use assay_telemetry::series::RECOVERY_S;
use tokio::sync::watch;

use crate::inbox::Inbox;
use crate::reach::Reach;

/// What a manager is at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Waiting to lead; who leads, if that is known.
    Standby {
        /// The leader.
        leader: Option<Candidate>,
    },
    /// Leading.
    Leading {
        /// The epoch.
        epoch: Epoch,
    },
    /// Stopped.
    Stopped,
}

/// This manager does not lead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotLeading {
    /// Another one does.
    #[error("this manager does not lead; ask {name} at {address}")]
    Another {
        /// Its name.
        name: String,
        /// Where it is reached.
        address: String,
    },
    /// Nobody is known to.
    #[error("no manager leads at this moment; ask again in a few seconds")]
    Nobody,
    /// Nobody can without the store.
    #[error(
        "nobody leads without the store, which has not answered this manager since {since}: {reason}"
    )]
    StoreAway {
        /// Since when.
        since: String,
        /// Why.
        reason: String,
    },
}

impl From<NotLeading> for tonic::Status {
    fn from(error: NotLeading) -> Self {
        let mut status = Self::failed_precondition(error.to_string());
        if let NotLeading::Another { address, .. } = &error
            && let Ok(address) = address.parse()
        {
            status.metadata_mut().insert(LEADER_HEADER, address);
        }
        status
    }
}

/// The seat of the leader: taken for one term.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) epoch: Epoch,
    pub(crate) inbox: Inbox,
}

/// Role and seat, told to whoever needs them.
pub(crate) struct Seats {
    role: watch::Sender<Role>,
    seat: watch::Sender<Option<Seat>>,
    // Since when no manager is known to lead; held for a moment, never across an await.
    leaderless: Mutex<Option<Instant>>,
    pub(crate) reach: Reach,
}

impl Default for Seats {
    fn default() -> Self {
        Self {
            role: watch::Sender::new(Role::Standby { leader: None }),
            seat: watch::Sender::new(None),
            leaderless: Mutex::new(None),
            reach: Reach::default(),
        }
    }
}

impl Seats {
    /// Takes the seat: from here on this manager answers.
    pub(crate) fn take(&self, seat: Seat, telemetry: &Telemetry) {
        let epoch = seat.epoch;
        let leaderless = self.leaderless().take();
        if let Some(since) = leaderless {
            telemetry.observe_duration(
                "assay_manager_failover_duration_seconds",
                &[],
                RECOVERY_S,
                since.elapsed(),
            );
        }
        self.seat.send_replace(Some(seat));
        self.role.send_replace(Role::Leading { epoch });
    }

    pub(crate) fn leave(&self) {
        self.seat.send_replace(None);
        self.role.send_replace(Role::Standby { leader: None });
    }

    pub(crate) fn stop(&self) {
        self.seat.send_replace(None);
        self.role.send_replace(Role::Stopped);
    }

    /// Notes that this manager was elected: how long nobody led before it did.
    pub(crate) fn elected(&self, telemetry: &Telemetry, epoch: Epoch) {
        #[expect(clippy::cast_precision_loss, reason = "epochs are small")]
        telemetry.set("assay_manager_epoch", &[], epoch.0 as f64);
        telemetry.count("assay_manager_terms_total", &[], 1);
        // A hand-over may be quicker than the word of it.
        let led = matches!(&*self.role.borrow(), Role::Standby { leader: Some(_) });
        let mut leaderless = self.leaderless();
        if led && leaderless.is_none() {
            *leaderless = Some(Instant::now());
        }
    }

    fn leaderless(&self) -> MutexGuard<'_, Option<Instant>> {
        self.leaderless
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of another leader while this manager stands by.
    pub(crate) fn stand_by(&self, leader: Option<Candidate>) {
        let led = matches!(&*self.role.borrow(), Role::Standby { leader: Some(_) });
        match leader {
            // A leader that was known is gone.
            None if led => *self.leaderless() = Some(Instant::now()),
            None => {}
            Some(_) => *self.leaderless() = None,
        }
        self.role.send_if_modified(|role| {
            let standby = matches!(role, Role::Standby { .. });
            if standby {
                *role = Role::Standby { leader };
            }
            standby
        });
    }

    pub(crate) fn roles(&self) -> watch::Receiver<Role> {
        self.role.subscribe()
    }

    /// The seat, if this manager leads.
    pub(crate) fn seat(&self) -> Result<Seat, NotLeading> {
        if let Some(seat) = self.seat.borrow().clone() {
            return Ok(seat);
        }
        match &*self.role.borrow() {
            Role::Standby {
                leader: Some(leader),
            } => Err(NotLeading::Another {
                name: leader.name.clone(),
                address: leader.address.clone(),
            }),
            _ => Err(match self.reach.away() {
                Some(away) => NotLeading::StoreAway {
                    since: away.since.to_string(),
                    reason: away.reason,
                },
                None => NotLeading::Nobody,
            }),
        }
    }
}
