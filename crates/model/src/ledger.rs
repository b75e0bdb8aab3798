//! The partition ledger: one row per partition for as long as the dataset lives.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::outcome::{Outcome, OutcomeCounts};
use crate::partition::{Partition, PartitionVersion};

crate::words! {
    /// Where a partition is in its life.
    pub enum LedgerState {
        /// Seen, not yet complete.
        Discovered = "discovered",
        /// Complete, not yet measured in this version.
        Sealed = "sealed",
        /// Measured and judged in this version.
        Scanned = "scanned",
        /// Changed after it was judged; the new version is not judged yet.
        Rewritten = "rewritten",
        /// Its objects are gone.
        Gone = "gone",
        /// Expected by its deadline and not come.
        Missing = "missing",
    }
}

/// A partition's row in the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The partition.
    pub partition: Partition,
    /// Where it is in its life.
    pub state: LedgerState,
    /// The newest version seen.
    pub version: PartitionVersion,
    /// The version last judged.
    #[serde(default)]
    pub judged: Option<PartitionVersion>,
    /// How many versions were judged, counting from 1.
    #[serde(default)]
    pub revision: u32,
    /// Objects of the newest version.
    pub objects: u64,
    /// Their bytes, as stored.
    pub bytes: u64,
    /// When it was first seen (or first found missing).
    pub first_seen: Timestamp,
    /// When its objects last changed.
    #[serde(default)]
    pub last_modified: Option<Timestamp>,
    /// The counts of its last verdict.
    #[serde(default)]
    pub verdict: Option<OutcomeCounts>,
}

impl LedgerEntry {
    /// Why the partition has no values at all: it has not come, or nothing of it could be measured.
    /// `None` where it has some, or nothing is known of it yet.
    #[must_use]
    pub fn gap(&self) -> Option<Outcome> {
        if self.state == LedgerState::Missing {
            return Some(Outcome::Missing);
        }
        let counts = self.verdict?;
        (counts.error > 0 && counts.error == counts.planned).then_some(Outcome::Error)
    }
}

/// What a discovery learned of one partition: written to the ledger with the task's completion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// The partition.
    pub partition: Partition,
    /// Its state after this sighting.
    pub state: LedgerState,
    /// The version seen.
    pub version: PartitionVersion,
    /// Objects seen.
    pub objects: u64,
    /// Their bytes, as stored.
    pub bytes: u64,
    /// When its objects last changed.
    #[serde(default)]
    pub last_modified: Option<Timestamp>,
}
