//! The one runtime on which requests to object stores run, beside the threads that scan.
//!
//! In: a future. Out: what it came to; the caller blocks until then. The process of a task may make
//! no threads once it works, so that [`warm`] makes them all beforehand: those that do the requests
//! and those on which names are looked up and files of credentials are read.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::Duration;

use assay_scan::error::ScanError;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that do requests.
const WORKERS: usize = 2;
/// Threads that may wait for the operating system.
const WAITERS: usize = 2;
const STACK_BYTES: usize = 1 << 20;
/// Longer than any process lives: a thread that ended could not be made again.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Between two looks whether the task is stopped.
const STEP: Duration = Duration::from_millis(50);
/// How long one request may take in all, every attempt and the whole of its answer counted.
const REQUEST: Duration = Duration::from_secs(60);

static IO: OnceLock<Result<Runtime, String>> = OnceLock::new();

/// Makes every thread that reads of object stores need. A repeat does nothing.
///
/// # Errors
/// When a thread cannot be made.
pub fn warm() -> Result<(), String> {
    handle().map(drop).map_err(str::to_owned)
}

fn handle() -> Result<&'static Handle, &'static str> {
    match IO.get_or_init(start) {
        Ok(runtime) => Ok(runtime.handle()),
        Err(reason) => Err(reason),
    }
}

fn start() -> Result<Runtime, String> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(WAITERS)
        .thread_keep_alive(FOR_EVER)
        .thread_stack_size(STACK_BYTES)
        .thread_name("buckets")
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| format!("no threads to read object stores with: {error}"))?;
    // Each waits for all: so every one of them is there.
    let all = Arc::new(Barrier::new(WAITERS + 1));
    for _ in 0..WAITERS {
        let all = all.clone();
        runtime.spawn_blocking(move || all.wait());
    }
    all.wait();
    Ok(runtime)
}

fn broken(path: &str, what: &str) -> ScanError {
    ScanError::Io {
        path: path.to_owned(),
        doing: "do a request for it",
        source: std::io::Error::other(what.to_owned()),
    }
}

/// What is under way on the runtime; it is given up when this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay<T> {
    answer: mpsc::Receiver<T>,
    task: tokio::task::AbortHandle,
}

impl<T> UnderWay<T> {
    /// Waits for the answer, until the task is stopped; `path` is what it is about.
    pub(crate) fn wait(self, path: &str, task: &Task) -> Result<T, ScanError> {
        loop {
            match self.answer.recv_timeout(STEP) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Timeout) => task.check(path)?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(broken(path, "the request ended without an answer"));
                }
            }
        }
    }
}

/// The task that requests are made for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Task {
    /// Set when it is stopped.
    pub(crate) stop: Arc<AtomicBool>,
    /// Memory that its buffers may take, in bytes.
    pub(crate) memory_bytes: u64,
}

impl Task {
    /// Whether it goes on.
    pub(crate) fn check(&self, path: &str) -> Result<(), ScanError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(ScanError::Cancelled {
                path: path.to_owned(),
            });
        }
        Ok(())
    }
}

impl<T> Drop for UnderWay<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Begins a request; one that takes longer than [`REQUEST`] ends as that of a service that is away.
pub(crate) fn begin<T: Send + 'static>(
    path: &str,
    work: impl Future<Output = Result<T, ScanError>> + Send + 'static,
) -> Result<UnderWay<Result<T, ScanError>>, ScanError> {
    let handle = handle().map_err(|reason| broken(path, reason))?;
    let (say, answer) = mpsc::sync_channel(1);
    let late = ScanError::Away {
        path: path.to_owned(),
        what: format!("a request was not done within {} s", REQUEST.as_secs()),
    };
    let task = handle.spawn(async move {
        let done = tokio::time::timeout(REQUEST, work).await;
        // Whoever asked may be gone.
        let _ = say.send(done.unwrap_or(Err(late)));
    });
    Ok(UnderWay {
        answer,
        task: task.abort_handle(),
    })
}

/// Does a request and waits for it.
pub(crate) fn run<T: Send + 'static>(
    path: &str,
    task: &Task,
    work: impl Future<Output = Result<T, ScanError>> + Send + 'static,
) -> Result<T, ScanError> {
    begin(path, work)?.wait(path, task)?
}
