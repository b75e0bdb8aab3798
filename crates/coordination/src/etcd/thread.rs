//! The thread that all traffic with etcd runs on.
//!
//! Comes in: futures. Goes out: their answers, on whatever runtime waits for them. It must never
//! compute: a keep-alive that is late is a lease in doubt.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::port::CoordinationError;

/// A runtime on a thread of its own, for as long as this value lives.
pub(super) struct Thread {
    handle: Handle,
    // Its end is the end of the thread.
    _stop: oneshot::Sender<()>,
}

impl Thread {
    pub(super) fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("etcd".to_owned())
            .spawn(move || {
                // Nothing is ever sent: the sender is dropped.
                let _ = runtime.block_on(stopped);
            })?;
        Ok(Self {
            handle,
            _stop: stop,
        })
    }

    /// Runs `future` on the thread. Dropping the answer stops it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, CoordinationError> {
        let mut tasks = JoinSet::new();
        tasks.spawn_on(future, &self.handle);
        match tasks.join_next().await {
            Some(Ok(answer)) => Ok(answer),
            _ => Err(CoordinationError::Unavailable(
                "the thread that speaks with it has ended".to_owned(),
            )),
        }
    }
}
