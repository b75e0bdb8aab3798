//! The owner's own SQL over the files of one partition.
//!
//! What comes in: a [`Request`], SQL with the tables that it may name, and [`Limits`]. What goes
//! out: one number with its digits, rows that break a rule, or the batches that a condition is true
//! of ([`filter`]).
//!
//! ```text
//! text ─> gate (bounds, placeholders) ─> syntax (one SELECT) ─> plan (exact arithmetic) ─> answer
//!                                                       files ─> read (as the metrics do) ─┘
//! ```
//!
//! It must never give a wrong number silently: sums are exact, whole numbers do not wrap, a clause
//! that would not be obeyed is refused. It must never write, list, or read anything but the files
//! that it is given. The engine is heavy, and its own limits are not walls: this crate is linked
//! into one program, which serves queries as a child under limits of the kernel.

mod answer;
mod compare;
mod engine;
mod error;
mod exact;
mod functions;
mod gate;
mod mask;
mod others;
mod request;
mod samples;
pub mod serve;
mod sums;
mod syntax;
mod table;
mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};

use arrow::record_batch::RecordBatch;
use assay_scan::ScanContext;

pub use answer::{MASK, SHOWN_CHARACTERS};
pub use error::{At, QueryError};
pub use gate::{DEPTH_MAX, OPERATORS_MAX, TEXT_BYTES_MAX};
pub use request::{Answer, Limits, Number, Request, Source, Table, Want};

/// Answers a request for a number or for rows.
///
/// # Errors
/// [`QueryError`] when there is no answer; what the query did until then has no trace.
pub fn run(request: &Request, limits: Limits) -> Result<Answer, QueryError> {
    filter(request, limits, |_| Ok(()))
}

/// As [`within`], of files of this machine.
///
/// # Errors
/// As [`within`].
pub fn filter(
    request: &Request,
    limits: Limits,
    each: impl FnMut(RecordBatch) -> Result<(), QueryError>,
) -> Result<Answer, QueryError> {
    within(request, limits, &ScanContext::default(), each)
}

/// Answers a request, reaching what `context` lets be reached; the batches of a [`Want::Filter`] go
/// to `each`, in the order of the files.
///
/// # Errors
/// [`QueryError`] when there is no answer, or that of `each`. Batches that went before do not make
/// an answer then.
pub fn within(
    request: &Request,
    limits: Limits,
    context: &ScanContext,
    each: impl FnMut(RecordBatch) -> Result<(), QueryError>,
) -> Result<Answer, QueryError> {
    let mut each = each;
    let cancelled = Arc::new(AtomicBool::new(false));
    let mut scan = context.clone();
    scan.memory_bytes = limits.memory_bytes / 4;
    scan.cancelled = Arc::clone(&cancelled);
    let (sender, receiver) = mpsc::sync_channel(2);
    let (to_batches, batches) = (sender.clone(), receiver);
    let asked = request.clone();
    // A thread of its own: the planner needs a deep stack, and a panic ends here.
    let ended = threads::query(Box::new(move || {
        let ended = engine::answer(&asked, limits, scan, &mut |batch| {
            let gone = to_batches.send(Said::Batch(batch)).is_err();
            if gone {
                return Err(QueryError::Time {
                    seconds: limits.time.as_secs(),
                });
            }
            Ok(())
        });
        drop(sender.send(Said::Ended(Box::new(ended))));
    }));
    let panicked = ended.ok_or_else(|| QueryError::Broke("it has no thread".to_owned()))?;
    let ends = std::time::Instant::now() + limits.time;
    loop {
        let left = ends.saturating_duration_since(std::time::Instant::now());
        match batches.recv_timeout(left) {
            Ok(Said::Batch(batch)) => {
                if let Err(error) = each(batch) {
                    cancelled.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
            Ok(Said::Ended(ended)) => return *ended,
            Err(RecvTimeoutError::Timeout) => {
                // What does not yield cannot be stopped from within: the process ends it.
                cancelled.store(true, Ordering::Relaxed);
                return Err(QueryError::Time {
                    seconds: limits.time.as_secs(),
                });
            }
            Err(RecvTimeoutError::Disconnected) => {
                // What a panic says may be a value: that there was one is all that is told.
                let _ = panicked.recv();
                return Err(QueryError::Broke("it panicked".to_owned()));
            }
        }
    }
}

/// What the thread of a query says.
enum Said {
    Batch(RecordBatch),
    Ended(Box<Result<Answer, QueryError>>),
}
