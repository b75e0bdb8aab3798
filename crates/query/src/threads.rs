//! The threads that a query works on.
//!
//! In: work. Out: the same, on a thread with the stack that it needs. A process that serves
//! queries may start no thread once its limits hold: [`prepare`] starts them before. Elsewhere they
//! are started as they are needed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::engine::STACK_BYTES;

/// Tables that are read at once at most, in a process that serves queries.
const READERS: usize = 32;
/// The stack of a reader.
const READER_STACK_BYTES: usize = 2 << 20;

type Work = Box<dyn FnOnce() + Send>;

/// Threads that wait for work of one kind.
struct Waiting {
    work: Sender<Work>,
    idle: Arc<AtomicUsize>,
}

static READ: OnceLock<Waiting> = OnceLock::new();
static QUERY: OnceLock<Waiting> = OnceLock::new();

/// Starts all threads of a process that serves one query at a time.
///
/// # Errors
/// When a thread cannot be started.
pub(crate) fn prepare() -> Result<(), String> {
    let readers = start("read", READERS, READER_STACK_BYTES)?;
    let query = start("query", 1, STACK_BYTES)?;
    let _ = (READ.set(readers), QUERY.set(query));
    Ok(())
}

fn start(name: &str, count: usize, stack: usize) -> Result<Waiting, String> {
    let (work, queue) = mpsc::channel::<Work>();
    let queue = Arc::new(Mutex::new(queue));
    let idle = Arc::new(AtomicUsize::new(count));
    for _ in 0..count {
        let (queue, idle) = (Arc::clone(&queue), Arc::clone(&idle));
        let wait = move || {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(work) = next else {
                    return;
                };
                // What panics is told by its channel, which ends without a word.
                let _ = catch_unwind(AssertUnwindSafe(work));
                idle.fetch_add(1, Ordering::SeqCst);
            }
        };
        std::thread::Builder::new()
            .name(name.to_owned())
            .stack_size(stack)
            .spawn(wait)
            .map_err(|error| format!("no thread to {name} on: {error}"))?;
    }
    Ok(Waiting { work, idle })
}

impl Waiting {
    /// Hands work over; false when no thread is free.
    fn take(&self, work: Work) -> bool {
        let mut idle = self.idle.load(Ordering::SeqCst);
        while let Some(left) = idle.checked_sub(1) {
            let order = Ordering::SeqCst;
            match self.idle.compare_exchange(idle, left, order, order) {
                Ok(_) => return self.work.send(work).is_ok(),
                Err(found) => idle = found,
            }
        }
        false
    }
}

/// Reads on a thread; false when there is none.
pub(crate) fn read(work: Work) -> bool {
    match READ.get() {
        Some(waiting) => waiting.take(work),
        None => std::thread::Builder::new()
            .name("read".to_owned())
            .stack_size(READER_STACK_BYTES)
            .spawn(work)
            .is_ok(),
    }
}

/// Queries on a thread with a deep stack; gives what a panic says, or `None` when there is no
/// thread.
pub(crate) fn query(work: Work) -> Option<Receiver<String>> {
    let (told, panicked) = mpsc::channel();
    let work = move || {
        let Err(panic) = catch_unwind(AssertUnwindSafe(work)) else {
            return;
        };
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let _ = told.send(text.unwrap_or_default());
    };
    let is_started = match QUERY.get() {
        // One after another: an answer is told a moment before its thread is free.
        Some(waiting) => waiting.work.send(Box::new(work)).is_ok(),
        None => std::thread::Builder::new()
            .name("query".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(work)
            .is_ok(),
    };
    is_started.then_some(panicked)
}
