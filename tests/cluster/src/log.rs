//! What was done to a cluster, and when.
//!
//! Comes in: words. Goes out: entries with the time since the start by the monotonic clock, and the
//! instant of the clock that Postgres, on the same machine, stamps its rows with. It must never lose
//! an entry: each is on disk before the next thing happens.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Since the start of the drill.
    pub since: Duration,
    /// By the clock of the machine, which is Postgres', too.
    pub at: Timestamp,
    /// What.
    pub what: String,
}

/// The log of one drill.
#[derive(Debug)]
pub struct ChaosLog {
    begun: Instant,
    file: Mutex<File>,
    entries: Mutex<Vec<Entry>>,
}

impl ChaosLog {
    /// A log in the file `chaos.log` of `folder`.
    ///
    /// # Panics
    /// When the file cannot be made.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            begun: Instant::now(),
            file: Mutex::new(File::create(folder.join("chaos.log")).expect("a log file")),
            entries: Mutex::default(),
        }
    }

    /// Notes that `what` happens at this moment, which is the answer.
    ///
    /// # Panics
    /// When the log cannot be written.
    pub fn note(&self, what: impl Into<String>) -> Timestamp {
        let entry = Entry {
            since: self.begun.elapsed(),
            at: Timestamp::now(),
            what: what.into(),
        };
        let at = entry.at;
        let mut file = self.file.lock().expect("nobody panics while writing");
        writeln!(
            file,
            "{:9.3} {at} {}",
            entry.since.as_secs_f64(),
            entry.what
        )
        .expect("the log can be written");
        self.entries.lock().expect("as above").push(entry);
        at
    }

    /// All that was noted.
    ///
    /// # Panics
    /// Never: nobody panics while noting.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.entries.lock().expect("as above").clone()
    }
}
