//! A first look at a table tells how it falls into partitions and what its columns are.

use assay_model::dataset::{Cadence, Layout, LogicalType};
use assay_scan::introspect::introspect;

use super::table::{Home, trusted};

#[test]
fn a_first_look_tells_partitions_types_and_checks() {
    let home = Home::new();
    home.sql(
        "CREATE TABLE t (id int, created_at timestamptz NOT NULL, shipped_on date, price numeric(8,2)); \
         INSERT INTO t SELECT n, timestamptz '2024-01-01Z' + n * interval '1 hour', NULL, n / 3.0 \
         FROM generate_series(1, 240) n",
    );
    let now = "2024-01-12T00:00:00Z".parse().unwrap();
    let found = introspect(&home.dataset().source, now, &trusted()).unwrap();
    let daily = Layout::Column {
        column: "created_at".to_owned(),
        granularity: Some(Cadence::Daily),
    };
    assert_eq!((found.layout, found.partitions), (daily, 11));
    assert!(
        found.row_estimate.abs_diff(240) < 60,
        "{}",
        found.row_estimate
    );
    let types: Vec<_> = found
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.logical_type))
        .collect();
    assert_eq!(
        types,
        [
            ("id", Some(LogicalType::Integer)),
            ("created_at", Some(LogicalType::Timestamp)),
            ("shipped_on", None),
            ("price", Some(LogicalType::Number)),
        ]
    );
    assert!(
        found
            .checks
            .iter()
            .any(|check| check.id.as_str() == "created_at_fresh")
    );
    home.sql("DROP TABLE t; CREATE TABLE t (id int, word text); INSERT INTO t VALUES (1, 'a')");
    let found = introspect(&home.dataset().source, now, &trusted()).unwrap();
    assert_eq!((found.layout, found.partitions), (Layout::Single, 1));
}
