//! Datasets and entries for tests.

use std::sync::Arc;

use assay_model::check::Check;
use assay_model::dataset::{
    CatchUp, Dataset, DatasetStatus, Format, FormatKind, LimitPolicy, Location, Partitioning,
    Profile, RunPolicy, ScanPolicy, Source,
};
use assay_model::ids::DatasetId;
use assay_registry::{Definition, Entry};
use jiff::Timestamp;

pub(crate) fn dataset(schedule: Option<&str>, zone: &str, catch_up: CatchUp) -> Dataset {
    Dataset {
        others: Vec::new(),
        storage: assay_model::dataset::StoragePolicy::default(),
        id: DatasetId::new("orders").unwrap(),
        version: "1".to_owned(),
        status: DatasetStatus::Active,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Source {
            credential: None,
            server: "local".to_owned(),
            location: Location::Local {
                path: "/data".to_owned(),
            },
            format: Format::of(FormatKind::Parquet),
        },
        partitions: Partitioning::default(),
        columns: Vec::new(),
        checks: Vec::<Check>::new(),
        profile: Profile::default(),
        limits: LimitPolicy::default(),
        run: RunPolicy {
            schedule: schedule.map(str::to_owned),
            time_zone: zone.to_owned(),
            catch_up,
            ..RunPolicy::default()
        },
        scan: ScanPolicy::default(),
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The entry of `dataset`, never looked at.
pub(crate) fn entry(dataset: Dataset) -> Entry {
    Entry {
        key: dataset.id.to_string(),
        definition: Ok(Definition {
            digest: dataset.digest(),
            dataset: Arc::new(dataset),
            text: "".into(),
            origin: "test".to_owned(),
            since: Timestamp::UNIX_EPOCH,
            kept: false,
        }),
        emitted_through: None,
        registered: false,
        due_at: Some(Timestamp::UNIX_EPOCH),
        note: None,
    }
}
