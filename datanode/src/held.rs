//! The attempts that the node holds: from their assignment until their end has been told.
//!
//! Comes in: assignments, ends. Goes out: what a heartbeat and a hello list. It must never forget
//! an attempt that is still at work, or list one that is not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use assay_model::ids::AttemptToken;
use assay_model::node::Progress;
use assay_scan::ScanProgress;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// One held attempt.
#[derive(Debug, Clone)]
pub(crate) struct Hold {
    pub(crate) token: AttemptToken,
    pub(crate) progress: Arc<ScanProgress>,
    /// Read by the scan between pieces of work.
    pub(crate) stop: Arc<AtomicBool>,
    /// Wakes whoever waits on behalf of the attempt.
    pub(crate) cancelled: CancellationToken,
    /// It has ended, and only the leader is to be told.
    over: bool,
}

impl Hold {
    fn new(token: AttemptToken) -> Self {
        Self {
            token,
            progress: Arc::default(),
            stop: Arc::default(),
            cancelled: CancellationToken::new(),
            over: false,
        }
    }

    /// Stops the attempt soon.
    pub(crate) fn cancel(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.cancelled.cancel();
    }
}

/// Why an attempt is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It is held already.
    Held,
    /// Every slot is taken.
    Full,
}

/// The held attempts.
#[derive(Debug)]
pub(crate) struct Held {
    slots: usize,
    // Held for one map operation, never across an await.
    holds: Mutex<BTreeMap<AttemptToken, Hold>>,
    count: watch::Sender<usize>,
}

impl Held {
    pub(crate) fn new(slots: u32) -> Self {
        Self {
            slots: slots as usize,
            holds: Mutex::default(),
            count: watch::Sender::new(0),
        }
    }

    pub(crate) fn take(&self, token: AttemptToken) -> Result<Hold, NotTaken> {
        let mut holds = self.holds();
        if holds.contains_key(&token) {
            return Err(NotTaken::Held);
        }
        if holds.len() >= self.slots {
            return Err(NotTaken::Full);
        }
        let hold = Hold::new(token);
        holds.insert(token, hold.clone());
        self.count.send_replace(holds.len());
        Ok(hold)
    }

    /// Notes that an attempt has ended; it is held until the leader is told.
    pub(crate) fn over(&self, token: &AttemptToken) {
        if let Some(hold) = self.holds().get_mut(token) {
            hold.over = true;
        }
    }

    /// Whether an attempt is still at work.
    pub(crate) fn is_at_work(&self) -> bool {
        self.holds().values().any(|hold| !hold.over)
    }

    pub(crate) fn end(&self, token: &AttemptToken) {
        let mut holds = self.holds();
        holds.remove(token);
        self.count.send_replace(holds.len());
    }

    pub(crate) fn cancel(&self, token: &AttemptToken) -> bool {
        let hold = self.holds().get(token).cloned();
        hold.inspect(Hold::cancel).is_some()
    }

    pub(crate) fn cancel_all(&self) {
        for hold in self.holds().values() {
            hold.cancel();
        }
    }

    pub(crate) fn tokens(&self) -> Vec<AttemptToken> {
        self.holds().keys().copied().collect()
    }

    pub(crate) fn progress(&self) -> Vec<Progress> {
        self.holds()
            .values()
            .map(|hold| Progress {
                task: hold.token.task,
                attempt: hold.token.attempt,
                rows: hold.progress.rows.load(Ordering::Relaxed),
                bytes: hold.progress.bytes.load(Ordering::Relaxed),
            })
            .collect()
    }

    /// How many are held, from here on.
    pub(crate) fn watch(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    fn holds(&self) -> MutexGuard<'_, BTreeMap<AttemptToken, Hold>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
