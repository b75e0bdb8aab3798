//! What a scan is allowed, how it is stopped, and how it is watched.
//!
//! In: the memory budget and the stop mark of the task. Out: progress that others read while the
//! scan runs. Nothing here blocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Place, ScanError};
use crate::reach::Reach;

/// How far a scan has come. Both counts only grow.
#[derive(Debug, Default)]
pub struct ScanProgress {
    /// Rows measured.
    pub rows: AtomicU64,
    /// Bytes read, as stored.
    pub bytes: AtomicU64,
}

impl ScanProgress {
    /// Adds rows that are measured.
    pub fn add_rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Adds bytes that are read.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What a scan is allowed and how it is stopped and watched.
#[derive(Debug, Clone)]
pub struct ScanContext {
    /// Bytes of memory that buffers of the scan may take at one time.
    pub memory_bytes: u64,
    /// Set by anyone to stop the scan soon.
    pub cancelled: Arc<AtomicBool>,
    /// How far it has come.
    pub progress: Arc<ScanProgress>,
    /// How sources beyond this machine's files are reached; `None` reads files only.
    pub reach: Option<Arc<dyn Reach>>,
}

impl ScanContext {
    /// A scan with this memory budget that nobody has stopped.
    #[must_use]
    pub fn new(memory_bytes: u64) -> Self {
        Self {
            memory_bytes,
            cancelled: Arc::new(AtomicBool::new(false)),
            progress: Arc::new(ScanProgress::default()),
            reach: None,
        }
    }

    /// The way to sources beyond this machine's files.
    ///
    /// # Errors
    /// [`ScanError::Unsupported`] where there is none; `address` is what was to be reached.
    pub fn reach(&self, address: &str) -> Result<&dyn Reach, ScanError> {
        self.reach.as_deref().ok_or_else(|| ScanError::Unsupported {
            path: address.to_owned(),
            place: Place::file(),
            what: "only files of this machine are read here".to_owned(),
            remedy: "read it with a program that reaches buckets and databases".to_owned(),
        })
    }

    /// Called between pieces of work small enough to be waited for.
    ///
    /// # Errors
    /// [`ScanError::Cancelled`] once the stop mark is set.
    pub fn check(&self, path: &str) -> Result<(), ScanError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(ScanError::Cancelled {
                path: path.to_owned(),
            });
        }
        Ok(())
    }
}

impl Default for ScanContext {
    /// A budget of 64 MiB.
    fn default() -> Self {
        Self::new(64 << 20)
    }
}
