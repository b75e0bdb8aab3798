//! A lease with the key that it stands for: granted, kept alive, watched, given back.
//!
//! Comes in: acknowledgements of keep-alives and readings of the key. Goes out: whether the lease
//! is held, in doubt or lost. It must never call a lease lost that etcd has not said is gone: the
//! trust in it ends a second before it may lapse, and what follows is doubt.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use uuid::Uuid;

use super::Core;
use super::thread::Thread;
use crate::port::{CoordinationError, Lease, LeaseState, Release, trust};

/// Between two attempts to keep alive what etcd did not acknowledge.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a lease lasts and how often it is kept alive.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    pub(super) ttl: Duration,
    pub(super) every: Duration,
}

/// A lease that was granted, before its key is written. Dropped, it is revoked.
pub(super) struct Granted {
    pub(super) id: i64,
    core: Arc<Core>,
    pace: Pace,
    sent_at: Instant,
    handle: Handle,
    kept: bool,
}

impl Granted {
    /// Asks for a lease.
    pub(super) async fn ask(core: &Arc<Core>, pace: Pace) -> Result<Self, CoordinationError> {
        // Positive and not zero: zero lets etcd choose.
        let id = (Uuid::new_v4().as_u64_pair().0 >> 2).cast_signed() | 1;
        let seconds = pace.ttl.as_millis().div_ceil(1_000).max(1);
        let sent_at = Instant::now();
        let granted = Self {
            id,
            core: Arc::clone(core),
            pace,
            sent_at,
            handle: Handle::current(),
            kept: false,
        };
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        core.members.grant(id, seconds).await?;
        Ok(granted)
    }

    /// Keeps the lease alive from here on; `key` was written under it.
    pub(super) fn keep(mut self, key: String) -> Held {
        self.kept = true;
        let (told, state) = watch::channel(LeaseState::Held);
        let keeper = Keeper {
            core: Arc::clone(&self.core),
            id: self.id,
            key,
            pace: self.pace,
            told,
        };
        let task = tokio::spawn(keeper.run(self.sent_at)).abort_handle();
        Held {
            state,
            revoke: Some(Revoke {
                core: Arc::clone(&self.core),
                id: self.id,
                task,
                handle: self.handle.clone(),
            }),
        }
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        if !self.kept {
            let (core, id) = (Arc::clone(&self.core), self.id);
            self.handle
                .spawn(async move { core.members.revoke(id).await });
        }
    }
}

/// What is needed to end a lease.
struct Revoke {
    core: Arc<Core>,
    id: i64,
    task: AbortHandle,
    handle: Handle,
}

/// A lease that is kept alive. Dropped, it is revoked, so that a candidate that gives up stands in
/// nobody's way.
pub(super) struct Held {
    pub(super) state: watch::Receiver<LeaseState>,
    revoke: Option<Revoke>,
}

impl Held {
    pub(super) fn into_lease(mut self, thread: &Arc<Thread>) -> Lease {
        let release = EtcdRelease {
            revoke: self.revoke.take(),
            thread: Arc::clone(thread),
        };
        Lease::new(self.state.clone(), Box::new(release))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(Revoke {
            core,
            id,
            task,
            handle,
        }) = self.revoke.take()
        {
            task.abort();
            handle.spawn(async move { core.members.revoke(id).await });
        }
    }
}

/// Dropped, the lease is kept alive no longer and lapses.
struct EtcdRelease {
    revoke: Option<Revoke>,
    thread: Arc<Thread>,
}

#[async_trait]
impl Release for EtcdRelease {
    async fn release(&self) -> Result<(), CoordinationError> {
        let Some(Revoke { core, id, task, .. }) = &self.revoke else {
            return Ok(());
        };
        task.abort();
        let (core, id) = (Arc::clone(core), *id);
        self.thread
            .run(async move { core.members.revoke(id).await })
            .await?
    }
}

impl Drop for EtcdRelease {
    fn drop(&mut self) {
        if let Some(revoke) = &self.revoke {
            revoke.task.abort();
        }
    }
}

struct Keeper {
    core: Arc<Core>,
    id: i64,
    key: String,
    pace: Pace,
    told: watch::Sender<LeaseState>,
}

/// What a keep-alive has brought.
enum Beat {
    Acknowledged(Instant),
    /// etcd says that there is no such lease.
    Gone,
    Unknown,
}

impl Keeper {
    async fn run(self, sent_at: Instant) {
        let (touch, mut touched) = mpsc::channel(1);
        let mut watcher = JoinSet::new();
        watcher.spawn(watch_key(Arc::clone(&self.core), self.key.clone(), touch));
        let mut trusted_until = sent_at + trust(self.pace.ttl);
        let mut next = Instant::now().min(sent_at + self.pace.every);
        loop {
            let beat = self.beat(next);
            tokio::pin!(beat);
            let brought = loop {
                tokio::select! {
                    brought = &mut beat => break brought,
                    () = sleep_until(trusted_until), if self.is(LeaseState::Held) => {
                        self.tell(LeaseState::Doubtful);
                    }
                    // The watcher lives as long as this task.
                    Some(()) = touched.recv() => if self.is_gone().await {
                        return self.lose().await;
                    },
                }
            };
            match brought {
                Beat::Acknowledged(sent_at) => {
                    trusted_until = sent_at + trust(self.pace.ttl);
                    next = sent_at + self.pace.every;
                    if trusted_until > Instant::now() {
                        self.tell(LeaseState::Held);
                    }
                }
                // A deposed leader of etcd may say so of a lease that lives.
                Beat::Gone if self.is_gone().await => return self.lose().await,
                Beat::Gone | Beat::Unknown => next = Instant::now() + PAUSE,
            }
        }
    }

    async fn beat(&self, at: Instant) -> Beat {
        sleep_until(at).await;
        match self.core.members.keep_alive(self.id).await {
            Ok(Some(sent_at)) => Beat::Acknowledged(sent_at),
            Ok(None) => Beat::Gone,
            Err(error) => {
                tracing::debug!(%error, key = self.key, "a keep-alive was not acknowledged");
                Beat::Unknown
            }
        }
    }

    /// Whether a linearisable read says that the key is not under this lease. No answer is no.
    async fn is_gone(&self) -> bool {
        let read = self.core.members.get(&self.key);
        match timeout(self.pace.every, read).await {
            Ok(Ok(pair)) => pair.is_none_or(|pair| pair.lease() != self.id),
            Ok(Err(_)) | Err(_) => false,
        }
    }

    async fn lose(&self) {
        tracing::warn!(key = self.key, "the lease is lost");
        self.tell(LeaseState::Lost);
        // A later life may have taken the key and left the lease.
        let _ = self.core.members.revoke(self.id).await;
    }

    fn is(&self, state: LeaseState) -> bool {
        *self.told.borrow() == state
    }

    fn tell(&self, state: LeaseState) {
        self.told
            .send_if_modified(|present| std::mem::replace(present, state) != state);
    }
}

/// Says whenever the key may have changed: after an event, and whenever a watch begins.
async fn watch_key(core: Arc<Core>, key: String, touch: mpsc::Sender<()>) {
    loop {
        let until = Instant::now() + core.options.relist;
        if let Ok(mut watch) = core.members.watch_one(&key).await {
            // The answer to the watch itself, then events; a message that waits says it all.
            while let Ok(Ok(Some(message))) = timeout_at(until, watch.message()).await {
                let _ = touch.try_send(());
                if message.canceled() {
                    break;
                }
            }
            if Instant::now() < until {
                core.members.turn();
            }
        }
        sleep(PAUSE).await;
    }
}
