//! Partitions of tables have the keys that the same rows have in files.

use assay_model::dataset::{Cadence, Layout, Partitioning};
use assay_scan::ErrorClass;

use super::table::{Home, assert_same, list, measure, run, trusted, versions};

fn by(column: &str, granularity: Option<Cadence>, zone: &str) -> Partitioning {
    Partitioning {
        layout: Layout::Column {
            column: column.to_owned(),
            granularity,
        },
        time_zone: zone.to_owned(),
        ..Partitioning::default()
    }
}

fn keys(home: &Home, partitions: Partitioning) -> Vec<String> {
    let mut dataset = home.dataset();
    dataset.partitions = partitions;
    let found: Vec<String> = versions(&dataset).into_keys().collect();
    // Every row is measured in the partition that it is listed in.
    let states = run(&dataset).unwrap();
    let rows: u64 = states.values().map(|state| state.rows).sum();
    assert_eq!(rows.to_string(), home.sql("SELECT count(*) FROM t"));
    found
}

#[test]
fn times_are_cut_in_the_zone_of_the_dataset() {
    let home = Home::new();
    home.sql(
        "CREATE TABLE t (at timestamptz, clock timestamp, day date, n int, word text); \
         INSERT INTO t VALUES \
         ('2024-01-02 03:00Z', '2024-01-02 03:00', '2024-01-02', 7, 'it''s'), \
         ('2024-01-02 23:30Z', '2024-01-31 23:59:59.999999', '2024-02-29', -1, 'a/b'), \
         ('2024-03-31 01:30Z', '2024-02-01', '1969-12-31', 20240101, ''), \
         (NULL, NULL, NULL, NULL, NULL)",
    );
    let null = "__HIVE_DEFAULT_PARTITION__";
    let daily = Some(Cadence::Daily);
    assert_eq!(
        keys(&home, by("at", daily, "America/New_York")),
        ["2024-01-01", "2024-01-02", "2024-03-30", null]
    );
    assert_eq!(
        keys(&home, by("at", Some(Cadence::Hourly), "Europe/Berlin")),
        ["2024-01-02T04", "2024-01-03T00", "2024-03-31T03", null]
    );
    assert_eq!(
        keys(&home, by("clock", Some(Cadence::Monthly), "Europe/Berlin")),
        ["2024-01", "2024-02", null]
    );
    assert_eq!(
        keys(&home, by("day", Some(Cadence::Weekly), "UTC")),
        ["1969-12-29", "2024-01-01", "2024-02-26", null]
    );
    assert_eq!(
        keys(&home, by("day", None, "UTC")),
        ["1969-12-31", "2024-01-02", "2024-02-29", null]
    );
    assert_eq!(
        keys(&home, by("n", None, "UTC")),
        ["-1", "20240101", "7", null]
    );
    assert_eq!(
        keys(&home, by("word", None, "UTC")),
        ["", null, "a/b", "it's"]
    );
}

#[test]
fn texts_that_are_days_are_spelt_as_one_day() {
    let home = Home::new();
    home.sql("CREATE TABLE t (day text); INSERT INTO t VALUES ('2024-01-02'), ('20240102'), ('2024-01-03T05:00:00Z')");
    let cut = by("day", Some(Cadence::Daily), "UTC");
    assert_eq!(keys(&home, cut), ["2024-01-02", "2024-01-03"]);
    home.sql("INSERT INTO t VALUES ('soon')");
    let mut dataset = home.dataset();
    dataset.partitions = by("day", Some(Cadence::Daily), "UTC");
    let told = list(&dataset, &trusted()).unwrap_err();
    assert!(told.to_string().contains("\"soon\""), "{told}");
}

#[test]
fn a_key_that_is_none_is_refused_by_name() {
    let home = Home::new();
    home.sql("CREATE TABLE t (f float8, at timestamp); INSERT INTO t VALUES (1, 'infinity')");
    for (column, said) in [
        ("f", "float64"),
        ("at", "infinity"),
        ("missing", "no column"),
    ] {
        let mut dataset = home.dataset();
        dataset.partitions = by(column, None, "UTC");
        let told = list(&dataset, &trusted()).unwrap_err();
        assert_eq!(told.class(), ErrorClass::Permanent);
        assert!(told.to_string().contains(said), "{told}");
    }
}

#[test]
fn a_divided_table_has_its_parts_for_partitions() {
    let home = Home::new();
    home.sql(
        "CREATE TABLE t (day date, region text, v int) PARTITION BY RANGE (day); \
         CREATE TABLE t_01 PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2024-02-01'); \
         CREATE TABLE t_02 PARTITION OF t FOR VALUES FROM ('2024-02-01') TO ('2024-03-01') \
           PARTITION BY LIST (region); \
         CREATE TABLE t_future PARTITION OF t FOR VALUES FROM ('2124-01-01') TO ('2124-02-01'); \
         CREATE TABLE t_rest PARTITION OF t DEFAULT; \
         INSERT INTO t SELECT '2024-01-05', 'eu', n FROM generate_series(1, 10) n;",
    );
    // Levels differ from part to part: the parts' names are their keys.
    home.sql("CREATE TABLE t_02_eu PARTITION OF t_02 FOR VALUES IN ('eu')");
    let dataset = home.dataset();
    let found = versions(&dataset);
    assert!(
        found.contains_key("t_01") && found.contains_key("t_02_eu"),
        "{found:?}"
    );
    home.sql("DROP TABLE t_02; CREATE TABLE t_02 PARTITION OF t FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')");
    let found = versions(&dataset);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["2024-01", "2024-02"]);
    let states = run(&dataset).unwrap();
    let rows: Vec<u64> = states.values().map(|state| state.rows).collect();
    assert_eq!(rows, [10, 0]);
    // The same rows, told apart by the column.
    let mut by_column = home.dataset();
    by_column.partitions = by("day", Some(Cadence::Monthly), "UTC");
    let same = run(&by_column).unwrap();
    assert_same(
        &same.values().next().unwrap().clone(),
        states.values().next().unwrap(),
    );
    let mut single = home.dataset();
    single.partitions.layout = Layout::Single;
    assert_eq!(versions(&single).into_keys().collect::<Vec<_>>(), ["all"]);
}

#[test]
fn many_batches_give_what_one_gives() {
    let home = Home::new();
    home.sql(
        "CREATE TABLE t (id int, day date, x float8, word text); INSERT INTO t \
         SELECT n, date '2024-01-01' + n % 3, sin(n) * 1e9, md5(n::text) FROM generate_series(1, 30000) n; \
         DELETE FROM t WHERE id BETWEEN 10000 AND 15000",
    );
    for partitions in [Partitioning::default(), by("day", None, "UTC")] {
        let mut one = home.dataset();
        one.partitions = partitions;
        let mut many = one.clone();
        many.scan.target_bytes = 200 << 10;
        let plan = list(&many, &trusted()).unwrap();
        assert!(
            plan.measures.len() >= 3 * plan.evaluations.len(),
            "{}",
            plan.measures.len()
        );
        let whole = run(&one).unwrap();
        let parts = measure(&many, &plan, &trusted()).unwrap();
        assert_eq!(whole.len(), parts.len());
        for (key, state) in &whole {
            assert_same(state, &parts[key]);
        }
        assert_eq!(versions(&one), versions(&many));
    }
}
