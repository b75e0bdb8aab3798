//! A definition for the tests of this folder.

use assay_model::dataset::{
    Dataset, DatasetStatus, Format, FormatKind, LimitPolicy, Location, Partitioning, Profile,
    RunPolicy, ScanPolicy, Source, StoragePolicy,
};
use assay_model::ids::DatasetId;

/// A dataset that is partitioned so.
pub(super) fn dataset(partitions: Partitioning) -> Dataset {
    Dataset {
        id: DatasetId::new("t").unwrap(),
        version: "1.0.0".to_owned(),
        status: DatasetStatus::Active,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Source {
            credential: None,
            server: "here".to_owned(),
            location: Location::Local {
                path: "/".to_owned(),
            },
            format: Format::of(FormatKind::Table),
        },
        others: Vec::new(),
        storage: StoragePolicy::default(),
        partitions,
        columns: Vec::new(),
        checks: Vec::new(),
        profile: Profile::default(),
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    }
}
