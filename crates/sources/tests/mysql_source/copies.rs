//! Copies of a table of MariaDB in storage: the numbers that the rows give where they lie, and values
//! that storage cannot hold.

use std::collections::BTreeMap;

use assay_metrics::TableState;
use assay_model::dataset::{Cadence, Dataset, Layout};
use assay_model::partition::PartitionKey;
use assay_model::source::{StorageMode, StoragePolicy};
use assay_scan::reach::{Access, Secret};
use assay_scan::storage::{Storage, StorageAt};
use assay_scan::{ErrorClass, ScanContext, ScanError};
use assay_test_servers::postgres;

use super::same::every_type;
use super::table::Home;
use crate::common::{assert_same, duplicates, list, measure};

/// Storage of its own, and a way to it and to the source.
fn storage() -> (std::sync::Arc<dyn Storage>, ScanContext) {
    let url = postgres::shared().create_database();
    let (_, database) = url.rsplit_once('/').unwrap();
    let at = StorageAt {
        host: "127.0.0.1".to_owned(),
        port: postgres::shared().port(),
        database: database.to_owned(),
        user: "postgres".to_owned(),
        password: Secret::new("unused"),
        ca: None,
        plain: false,
        owner: "the tests".to_owned(),
    };
    let secret = Secret::new("root:");
    let reach = assay_sources::reach(Access {
        secrets: [("env:ASSAY_SOURCE_T".to_owned(), secret)].into(),
        storage: Some(at),
        ..Access::default()
    });
    let context = ScanContext {
        reach: Some(reach.clone()),
        ..ScanContext::default()
    };
    (reach.storage().unwrap(), context)
}

fn ingested(mut dataset: Dataset) -> Dataset {
    dataset.storage = StoragePolicy {
        mode: StorageMode::Ingest,
        retention_days: None,
    };
    dataset
}

fn copied(dataset: &Dataset) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
    let (storage, context) = storage();
    let plan = list(dataset, &context)?;
    let mut states: BTreeMap<PartitionKey, TableState> = BTreeMap::new();
    for spec in &plan.measures {
        // A batch that is tried again is not written again.
        for _ in 0..2 {
            storage.ingest(dataset, spec, &context)?;
        }
        for (key, state) in storage.ingest(dataset, spec, &context)? {
            states.entry(key).or_default().merge(&state);
        }
    }
    Ok(states)
}

#[test]
fn every_type_is_kept_with_every_value() {
    let home = Home::new();
    let _ = every_type(&home);
    let mut dataset = home.dataset();
    dataset.checks = vec![duplicates("i4"), duplicates("i4, word")];
    let (_, context) = storage();
    let plan = list(&dataset, &context).unwrap();
    let lying = measure(&dataset, &plan, &context).unwrap();
    let copies = copied(&ingested(dataset)).unwrap();
    assert_eq!(lying.len(), 1);
    for (key, state) in &lying {
        assert_same(&copies[key], state);
        assert_eq!(copies[key].schema, state.schema);
    }
}

#[test]
fn each_partition_is_a_copy_and_an_odd_value_is_refused_by_its_column() {
    let home = Home::new();
    home.sql(
        "SET sql_mode = ''; CREATE TABLE t (id int PRIMARY KEY, day date, sent date); \
         INSERT INTO t SELECT seq, '2024-01-01' + INTERVAL seq % 3 DAY, NULL FROM seq_1_to_900",
    );
    let mut dataset = ingested(home.dataset());
    dataset.partitions.layout = Layout::Column {
        column: "day".to_owned(),
        granularity: Some(Cadence::Daily),
    };
    let copies = copied(&dataset).unwrap();
    let rows: Vec<u64> = copies.values().map(|state| state.rows).collect();
    assert_eq!(rows, [300, 300, 300]);
    home.sql("UPDATE t SET sent = '0000-00-00' WHERE id = 7");
    let error = copied(&dataset).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Permanent);
    assert!(error.to_string().contains("column \"sent\""), "{error}");
    home.sql("UPDATE t SET sent = NULL; ALTER TABLE t ADD COLUMN place geometry");
    let error = copied(&dataset).unwrap_err();
    assert!(
        error.to_string().contains("type geometry are not stored"),
        "{error}"
    );
}
