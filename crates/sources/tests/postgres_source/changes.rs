//! Changes are noticed: from one listing to the next, and between listing and measurement.

use assay_model::source::VersionBy;
use assay_scan::ErrorClass;

use super::table::{Home, list, measure, trusted, versions};

fn filled() -> Home {
    let home = Home::new();
    home.sql("CREATE TABLE t (id int, v text); INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 1000) n");
    home
}

#[test]
fn every_change_of_a_row_is_another_version_and_a_rewrite_of_the_storage_is_none() {
    for by in [VersionBy::Rows, VersionBy::Checksum] {
        let mut home = filled();
        home.database.version = by.clone();
        let dataset = home.dataset();
        let mut known = vec![versions(&dataset)];
        for change in [
            "UPDATE t SET v = 'other' WHERE id = 7",
            "DELETE FROM t WHERE id = 8",
            "INSERT INTO t VALUES (8, 'v9')",
            "BEGIN; DELETE FROM t WHERE id = 9; INSERT INTO t VALUES (9, 'new'); COMMIT",
            "ALTER TABLE t ADD COLUMN w int DEFAULT 5",
        ] {
            home.sql(change);
            let now = versions(&dataset);
            assert!(!known.contains(&now), "{by:?}: {change}");
            assert_eq!(now, versions(&dataset));
            known.push(now);
        }
        let before = versions(&dataset);
        for still in ["VACUUM FULL t", "VACUUM FREEZE t", "ANALYZE t"] {
            home.sql(still);
            assert_eq!(versions(&dataset), before, "{by:?}: {still}");
        }
    }
}

#[test]
fn a_watermark_says_that_it_cannot_be_verified() {
    let mut home = filled();
    home.database.version = VersionBy::Watermark("id".to_owned());
    let dataset = home.dataset();
    let before = versions(&dataset);
    let plan = list(&dataset, &trusted()).unwrap();
    assert!(
        plan.notices
            .iter()
            .any(|n| n.contains("version unverifiable")),
        "{:?}",
        plan.notices
    );
    assert_eq!(measure(&dataset, &plan, &trusted()).unwrap().len(), 1);
    home.sql("UPDATE t SET v = 'other' WHERE id = 7");
    assert_eq!(versions(&dataset), before);
    home.sql("INSERT INTO t VALUES (2000, 'new')");
    assert_ne!(versions(&dataset), before);
}

#[test]
fn a_view_is_told_by_its_values_and_its_rows_have_no_marks() {
    let mut home = filled();
    home.sql("CREATE VIEW seen AS SELECT id, v FROM t WHERE id <= 500");
    home.database.table = "seen".to_owned();
    let told = list(&home.dataset(), &trusted()).unwrap_err();
    assert!(told.to_string().contains("version: checksum"), "{told}");
    home.database.version = VersionBy::Checksum;
    let dataset = home.dataset();
    let before = versions(&dataset);
    home.sql("UPDATE t SET v = 'x' WHERE id = 600");
    assert_eq!(versions(&dataset), before);
    home.sql("UPDATE t SET v = 'x' WHERE id = 400");
    assert_ne!(versions(&dataset), before);
}

#[test]
fn rows_that_change_between_listing_and_measurement_are_listed_again() {
    for by in [VersionBy::Rows, VersionBy::Checksum] {
        let mut home = filled();
        home.database.version = by;
        let dataset = home.dataset();
        for change in [
            "UPDATE t SET v = v || '!' WHERE id = 7",
            "DELETE FROM t WHERE id = 9",
            "INSERT INTO t VALUES (1001, 'new')",
            "ALTER TABLE t ADD COLUMN w int DEFAULT 5",
        ] {
            let plan = list(&dataset, &trusted()).unwrap();
            home.sql(change);
            let told = measure(&dataset, &plan, &trusted()).unwrap_err();
            assert_eq!(told.class(), ErrorClass::Changed, "{change}: {told}");
        }
    }
}

#[test]
fn a_row_in_blocks_that_are_not_listed_is_noticed_too() {
    let home = filled();
    home.sql("INSERT INTO t SELECT n, repeat('x', 500) FROM generate_series(1, 3000) n");
    let mut dataset = home.dataset();
    dataset.scan.target_bytes = 256 << 10;
    let plan = list(&dataset, &trusted()).unwrap();
    assert!(plan.measures.len() >= 3, "{}", plan.measures.len());
    home.sql("INSERT INTO t SELECT n, repeat('y', 500) FROM generate_series(1, 3000) n");
    let told = measure(&dataset, &plan, &trusted()).unwrap_err();
    assert_eq!(told.class(), ErrorClass::Changed, "{told}");
}

#[test]
fn an_empty_table_is_a_partition_without_rows() {
    let home = Home::new();
    home.sql("CREATE TABLE t (id int, v text)");
    let dataset = home.dataset();
    let plan = list(&dataset, &trusted()).unwrap();
    let states = measure(&dataset, &plan, &trusted()).unwrap();
    let state = states.values().next().unwrap();
    assert_eq!((state.rows, state.columns["id"].counts.rows), (0, 0));
    assert_eq!(state.columns["id"].sum(), Ok(None));
}
