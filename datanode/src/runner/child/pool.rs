//! The children of a node: who works, who waits for work, who is replaced.
//!
//! In: orders. Out: how they ended. Each order has a keeper, which outlives whoever waits for the
//! order: a caller that has gone away, or that asks to stop, makes the keeper stop the child, first
//! politely, then by force. There must never be more children at work than slots.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assay_model::output::TaskOutput;
use assay_model::task::{AttemptOutcome, TaskFailure};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ChildConfig;
use super::message::Taken;
use super::process::{Broken, Order, TaskChild};
use crate::runner::{TaskWatch, failure};

/// Between two looks at the mark that stops a task.
const STOP_LOOK: Duration = Duration::from_millis(20);
/// Times that a child is started before the attempt is given up.
const STARTS: u32 = 3;
/// The pause between two starts.
const START_PAUSE: Duration = Duration::from_millis(200);

type Ended = Result<TaskOutput, TaskFailure>;

/// The children.
pub(super) struct Pool {
    pub(super) config: ChildConfig,
    slots: Semaphore,
    suspects: Semaphore,
    // Held for one operation of the list, never across an await.
    idle: Mutex<Vec<TaskChild>>,
}

impl Pool {
    pub(super) fn new(config: ChildConfig) -> Self {
        Self {
            slots: Semaphore::new(config.slots.max(1) as usize),
            suspects: Semaphore::new(1),
            idle: Mutex::default(),
            config,
        }
    }

    /// Starts what is missing of one child per slot.
    pub(super) async fn warm(&self, memory_bytes: u64) -> Result<(), String> {
        for _ in self.idle(|idle| idle.len())..self.config.slots as usize {
            let child = TaskChild::start(&self.config, memory_bytes).await?;
            self.idle(|idle| idle.push(child));
        }
        Ok(())
    }

    fn idle<T>(&self, with: impl FnOnce(&mut Vec<TaskChild>) -> T) -> T {
        with(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs an order to its end. Dropping the call stops it.
    pub(super) async fn run(
        self: Arc<Self>,
        order: Order,
        memory_bytes: u64,
        suspect: bool,
        watch: TaskWatch,
    ) -> Ended {
        let (tell, told) = oneshot::channel();
        tokio::spawn(async move { self.keep(order, memory_bytes, suspect, watch, tell).await });
        match told.await {
            Ok(ended) => ended,
            Err(_) => Err(failure(AttemptOutcome::Drained, "the node stops")),
        }
    }

    async fn keep(
        &self,
        order: Order,
        memory_bytes: u64,
        suspect: bool,
        watch: TaskWatch,
        mut tell: oneshot::Sender<Ended>,
    ) {
        let child = tokio::select! {
            // Neither semaphore is ever closed.
            child = self.child(memory_bytes, suspect) => child,
            () = unwanted(&mut tell, &watch.stop) => {
                let _ = tell.send(Err(stopped()));
                return;
            }
        };
        let (_places, mut child) = match child {
            Ok(found) => found,
            Err(reason) => {
                let _ = tell.send(Err(failure(AttemptOutcome::Retryable, reason)));
                return;
            }
        };
        let said = self.attend(&mut child, order, &watch, &mut tell).await;
        let (ended, keeps) = match said {
            Some(Ok(Taken::Ended(ended))) => (ended, !suspect),
            Some(Ok(Taken::Panicked(message))) => {
                let message = format!("the task crashed: {message}");
                (Err(failure(AttemptOutcome::Crashed, message)), false)
            }
            Some(Err(broken)) => {
                let _ = tell.send(Err(crash(child, broken).await));
                self.replace(memory_bytes).await;
                return;
            }
            None => (Err(deaf()), false),
        };
        let _ = tell.send(ended);
        if keeps && child.settles().await && child.is_fit(self.config.tasks_max) {
            self.idle(|idle| idle.push(child));
        } else {
            child.kill().await;
            self.replace(memory_bytes).await;
        }
    }

    /// Lets a child work; `None` when it was stopped and took longer than its grace.
    async fn attend(
        &self,
        child: &mut TaskChild,
        order: Order,
        watch: &TaskWatch,
        tell: &mut oneshot::Sender<Ended>,
    ) -> Option<Result<Taken, Broken>> {
        let stop = CancellationToken::new();
        let mut work = std::pin::pin!(child.work(order, &watch.progress, &stop));
        tokio::select! {
            biased;
            said = &mut work => Some(said),
            () = unwanted(tell, &watch.stop) => {
                stop.cancel();
                timeout(self.config.stop_grace, work).await.ok()
            }
        }
    }

    /// A slot and a child for it. A suspect gets one of its own and waits for other suspects.
    async fn child(
        &self,
        memory_bytes: u64,
        suspect: bool,
    ) -> Result<(Places<'_>, TaskChild), String> {
        let closed = |_| "the node stops".to_owned();
        let alone = if suspect {
            Some(self.suspects.acquire().await.map_err(closed)?)
        } else {
            None
        };
        let slot = self.slots.acquire().await.map_err(closed)?;
        if !suspect && let Some(child) = self.waiting(memory_bytes).await {
            return Ok(((slot, alone), child));
        }
        let mut tried = 1;
        loop {
            match TaskChild::start(&self.config, memory_bytes).await {
                Ok(child) => return Ok(((slot, alone), child)),
                Err(reason) if tried == STARTS => return Err(reason),
                Err(reason) => tracing::warn!(%reason, "a task process did not start"),
            }
            tried += 1;
            tokio::time::sleep(START_PAUSE).await;
        }
    }

    /// A child that waits for tasks of this memory; others are ended.
    async fn waiting(&self, memory_bytes: u64) -> Option<TaskChild> {
        while let Some(mut child) = self.idle(Vec::pop) {
            if child.memory_bytes == memory_bytes && child.is_alive() {
                return Some(child);
            }
            child.kill().await;
        }
        None
    }

    /// Has a child wait again in the place of one that is gone, so that the next task need not.
    async fn replace(&self, memory_bytes: u64) {
        if self.idle(|idle| idle.len()) >= self.config.slots as usize {
            return;
        }
        match TaskChild::start(&self.config, memory_bytes).await {
            Ok(child) => self.idle(|idle| idle.push(child)),
            Err(reason) => tracing::warn!(%reason, "a task process was not replaced"),
        }
    }
}

type Places<'a> = (
    tokio::sync::SemaphorePermit<'a>,
    Option<tokio::sync::SemaphorePermit<'a>>,
);

/// Waits until nobody wants the result.
async fn unwanted(tell: &mut oneshot::Sender<Ended>, stop: &AtomicBool) {
    let asked = async {
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep(STOP_LOOK).await;
        }
    };
    tokio::select! {
        () = tell.closed() => {}
        () = asked => {}
    }
}

fn stopped() -> TaskFailure {
    failure(AttemptOutcome::Cancelled, "stopped")
}

/// The end of a task that did not hear that it shall stop.
fn deaf() -> TaskFailure {
    failure(
        AttemptOutcome::Crashed,
        "it did not end when it was asked to, so its process was killed",
    )
}

/// The crash of the attempt that a broken child was at.
async fn crash(mut child: TaskChild, broken: Broken) -> TaskFailure {
    let message = match broken {
        Broken::Ended => format!("the task's process {}", child.end().await),
        Broken::Nonsense(what) => {
            child.kill().await;
            format!("the task's process answered nonsense: {what}")
        }
    };
    tracing::warn!(%message, "a task process broke");
    failure(AttemptOutcome::Crashed, message)
}
