//! What a scan is allowed, how it is stopped, and how it is watched.
//!
//! In: the memory budget and the stop mark of the task. Out: progress that others read while the
//! scan runs. Nothing here blocks.

use std::path::{Path, PathBuf};
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
    /// The folders and files of this machine that may be read; `None`: any.
    pub files: Option<Vec<PathBuf>>,
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
            files: None,
        }
    }

    /// Looks whether a file or folder of this machine, by its real path, may be read.
    ///
    /// # Errors
    /// [`ScanError::Definition`] when it lies in none of the places that may be.
    pub fn check_file(&self, real: &Path) -> Result<(), ScanError> {
        let Some(places) = &self.files else {
            return Ok(());
        };
        let within = |place: &PathBuf| {
            let place = place.canonicalize().unwrap_or_else(|_| place.clone());
            real.starts_with(place)
        };
        if places.iter().any(within) {
            return Ok(());
        }
        let listed: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
        let only = match listed.join(", ") {
            none if none.is_empty() => "no files".to_owned(),
            some => format!("files below {some} only"),
        };
        Err(ScanError::Definition {
            path: real.display().to_string(),
            place: Place::file(),
            what: format!("refused: this node may read {only}"),
            remedy: "have the node's operator add the place to `[sources] allow`".to_owned(),
        })
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
