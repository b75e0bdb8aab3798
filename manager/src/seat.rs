//! Whether this manager leads, and how the term's task is reached if it does.

use assay_coordination::Candidate;
use assay_model::ids::Epoch;
use tokio::sync::watch;

use crate::inbox::Inbox;

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
}

impl From<NotLeading> for tonic::Status {
    fn from(error: NotLeading) -> Self {
        let mut status = Self::failed_precondition(error.to_string());
        if let NotLeading::Another { address, .. } = &error
            && let Ok(address) = address.parse()
        {
            status.metadata_mut().insert("assay-leader", address);
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
}

impl Default for Seats {
    fn default() -> Self {
        Self {
            role: watch::Sender::new(Role::Standby { leader: None }),
            seat: watch::Sender::new(None),
        }
    }
}

impl Seats {
    pub(crate) fn take(&self, seat: Seat) {
        let epoch = seat.epoch;
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

    /// Tells of another leader while this manager stands by.
    pub(crate) fn stand_by(&self, leader: Option<Candidate>) {
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
            _ => Err(NotLeading::Nobody),
        }
    }
}
