//! Changes are noticed: from one listing to the next, between listing and measurement, and while rows
//! are read.

use std::sync::atomic::{AtomicBool, Ordering};

use assay_model::metric::Metric;
use assay_model::partition::PartitionKey;
use assay_model::source::VersionBy;
use assay_scan::ErrorClass;

use super::table::{Home, run, trusted, versions};
use crate::common::{list, measure};

fn filled() -> Home {
    let home = Home::new();
    home.sql(
        "CREATE TABLE t (id int, v varchar(20), f float, d double, b blob); \
         INSERT INTO t SELECT seq, CONCAT('v', seq), 0.1, 0.1, NULL FROM seq_1_to_1000",
    );
    home
}

#[test]
fn every_change_of_a_value_is_another_version() {
    let home = filled();
    let dataset = home.dataset();
    let mut known = vec![versions(&dataset)];
    for change in [
        "UPDATE t SET v = 'V7' WHERE id = 7",
        "UPDATE t SET v = 'v8 ' WHERE id = 8",
        "DELETE FROM t WHERE id = 8",
        "INSERT INTO t VALUES (8, 'v9', 0.1, 0.1, NULL)",
        // The last digit that each of them has.
        "UPDATE t SET f = 0.10000001 WHERE id = 9",
        "UPDATE t SET d = 0.10000000000000002 WHERE id = 9",
        "UPDATE t SET b = '' WHERE id = 10",
        "UPDATE t SET b = '-' WHERE id = 10",
        "UPDATE t SET v = NULL WHERE id = 10",
        // Two values that change their places, in a row and between rows.
        "UPDATE t SET v = '11', id = 12 WHERE id = 11",
        "UPDATE t SET v = IF(id = 20, 'v21', 'v20') WHERE id IN (20, 21)",
        "ALTER TABLE t ADD COLUMN w int DEFAULT 5",
    ] {
        home.sql(change);
        let now = versions(&dataset);
        assert!(!known.contains(&now), "{change}");
        assert_eq!(now, versions(&dataset));
        known.push(now);
    }
    let before = versions(&dataset);
    for still in [
        "ALTER TABLE t FORCE",
        "ANALYZE TABLE t",
        "ALTER TABLE t ADD INDEX (id)",
    ] {
        home.sql(still);
        assert_eq!(versions(&dataset), before, "{still}");
    }
}

#[test]
fn a_watermark_says_that_it_cannot_be_verified_and_marks_of_rows_are_refused() {
    let mut home = filled();
    home.database.version = VersionBy::Watermark("id".to_owned());
    let dataset = home.dataset();
    let before = versions(&dataset);
    let plan = list(&dataset, &trusted()).unwrap();
    let is_told = |notice: &String| notice.contains("version unverifiable");
    assert!(plan.notices.iter().any(is_told), "{:?}", plan.notices);
    assert_eq!(measure(&dataset, &plan, &trusted()).unwrap().len(), 1);
    home.sql("UPDATE t SET v = 'other' WHERE id = 7");
    assert_eq!(versions(&dataset), before);
    home.sql("INSERT INTO t (id) VALUES (2000)");
    assert_ne!(versions(&dataset), before);
    home.database.version = VersionBy::Rows;
    let error = list(&home.dataset(), &trusted()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Permanent);
    assert!(error.to_string().contains("version: checksum"), "{error}");
}

#[test]
fn rows_that_are_others_than_listed_are_not_measured() {
    let home = filled();
    let dataset = home.dataset();
    let plan = list(&dataset, &trusted()).unwrap();
    for change in [
        "UPDATE t SET v = 'other' WHERE id = 7",
        "DELETE FROM t WHERE id = 9",
        "ALTER TABLE t ADD COLUMN w int",
        "DROP TABLE t; CREATE TABLE t (id int)",
    ] {
        home.sql(change);
        let error = measure(&dataset, &plan, &trusted()).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Changed, "{change}: {error}");
    }
}

#[test]
fn what_is_read_while_others_write_is_one_state_of_the_table() {
    let home = Home::new();
    home.sql(
        "CREATE TABLE t (id int PRIMARY KEY, coins int); \
         INSERT INTO t SELECT seq, 100 FROM seq_1_to_4000",
    );
    let mut dataset = home.dataset();
    // Some of it is computed by the database, some read row by row.
    dataset.profile.metrics = vec![Metric::Sum, Metric::Max];
    dataset.checks = vec![crate::common::duplicates("id")];
    let stop = AtomicBool::new(false);
    let (server, name) = (home.server, home.database.database.clone());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 1;
            while !stop.load(Ordering::Relaxed) {
                let (from, to) = (n % 4000 + 1, n * 7 % 4000 + 1);
                server.sql(
                    &name,
                    &format!(
                        "UPDATE t SET coins = coins + CASE id WHEN {from} THEN -1 ELSE 1 END \
                         WHERE id IN ({from}, {to}) AND {from} <> {to}"
                    ),
                );
                n += 13;
            }
        });
        let mut measured = 0;
        for _ in 0..400 {
            match run(&dataset) {
                Ok(states) => {
                    let sum = states[&PartitionKey::all()].columns["coins"].sum();
                    assert_eq!(sum.unwrap().unwrap().value.to_f64(), 400_000.0);
                    measured += 1;
                }
                Err(error) => assert_eq!(error.class(), ErrorClass::Changed, "{error}"),
            }
            if measured == 5 {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(measured > 0, "never between two writes");
    });
}

#[test]
fn a_row_that_is_too_long_to_be_looked_at_is_refused() {
    use assay_test_servers::mariadb::MariaDb;
    let server: &'static MariaDb = Box::leak(Box::new(MariaDb::start(&["max_allowed_packet=1M"])));
    let home = Home::at(server);
    home.sql(
        "CREATE TABLE t (a mediumblob, b mediumblob); \
         INSERT INTO t VALUES (repeat('a', 700000), repeat('b', 700000))",
    );
    let error = list(&home.dataset(), &trusted()).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Permanent);
    assert!(error.to_string().contains("max_allowed_packet"), "{error}");
}
