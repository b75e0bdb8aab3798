//! Objects whose name should tell their partition and does not.
//!
//! In: the objects with what is wrong with their names. Out: one evaluation and one sighting for
//! each such name, so that the file alone is an error and everything else is measured. Pure.

use assay_model::ledger::{LedgerState, Sighting};
use assay_model::partition::{ObjectRef, Partition, PartitionKey, PartitionVersion};
use assay_model::task::{EvaluateMode, EvaluateSpec};

/// Objects that share a name that is no key.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Stands for their partition: spelt as the name spells it, before every real one.
    pub partition: Partition,
    /// What is wrong, with the first object and what to do.
    pub what: String,
    /// The objects.
    pub objects: Vec<ObjectRef>,
}

impl Refused {
    /// The objects of a key that is spelt `key` and is none.
    #[must_use]
    pub fn new(key: String, what: String) -> Self {
        Self {
            partition: Partition {
                order: format!("\u{1}{key}"),
                key: PartitionKey(key),
                date: None,
                start: None,
                end: None,
                series: String::new(),
            },
            what,
            objects: Vec::new(),
        }
    }

    fn bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.size).sum()
    }

    /// What the ledger learns.
    #[must_use]
    pub fn sighting(&self) -> Sighting {
        Sighting {
            partition: self.partition.clone(),
            state: LedgerState::Discovered,
            version: PartitionVersion::refused(),
            objects: self.objects.len() as u64,
            bytes: self.bytes(),
            last_modified: self.objects.iter().map(|object| object.modified).max(),
        }
    }

    /// The evaluation that makes the name an error, in every run until it is put right.
    #[must_use]
    pub fn evaluation(&self) -> EvaluateSpec {
        EvaluateSpec {
            partition: self.partition.clone(),
            version: PartitionVersion::refused(),
            mode: EvaluateMode::Refused,
            sealed: false,
            measured_by: Vec::new(),
            objects: self.objects.len() as u64,
            bytes: self.bytes(),
            last_modified: self.objects.iter().map(|object| object.modified).max(),
            reason: Some(self.what.clone()),
            copies: Vec::new(),
        }
    }
}
