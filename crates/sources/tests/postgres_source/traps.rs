//! What a database does in its own way: parts elsewhere, rows hidden, orders of texts, full widths.

use assay_model::dataset::{Cadence, Layout, Sealing};
use assay_model::metric::{Metric, MetricKey};
use assay_model::source::VersionBy;

use super::same::duplicates;
use super::table::{ALL, Home, TOTALS, context, list, run, trusted, versions};

#[test]
fn a_watermark_of_a_divided_table_is_that_of_all_its_parts() {
    let mut home = Home::new();
    home.sql(
        "CREATE TABLE t (day date, at timestamp) PARTITION BY RANGE (day); \
         CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2024-01-02'); \
         CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM ('2024-01-02') TO ('2024-01-03'); \
         INSERT INTO t VALUES ('2024-01-01', '2024-01-05'), ('2024-01-02', '2024-01-03')",
    );
    home.database.version = VersionBy::Watermark("at".to_owned());
    let mut dataset = home.dataset();
    dataset.partitions.layout = Layout::Single;
    let before = versions(&dataset);
    assert_eq!(before.len(), 1);
    home.sql("UPDATE t_2 SET at = '2024-01-04'");
    assert_ne!(versions(&dataset), before);
}

#[test]
fn a_part_on_another_server_has_no_marks_of_rows() {
    let mut home = Home::new();
    home.sql(
        "CREATE EXTENSION file_fdw; CREATE SERVER f FOREIGN DATA WRAPPER file_fdw; \
         CREATE TABLE t (day date, v int) PARTITION BY RANGE (day); \
         CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2024-01-02'); \
         CREATE FOREIGN TABLE t_2 PARTITION OF t FOR VALUES FROM ('2024-01-02') TO ('2024-01-03') \
         SERVER f OPTIONS (filename '/dev/null', format 'csv')",
    );
    for table in ["t", "below"] {
        if table == "below" {
            home.sql(
                "CREATE TABLE below (day date, v int); CREATE FOREIGN TABLE child () \
                 INHERITS (below) SERVER f OPTIONS (filename '/dev/null', format 'csv')",
            );
        }
        home.database.table = table.to_owned();
        home.database.version = VersionBy::Rows;
        let told = list(&home.dataset(), &trusted()).unwrap_err().to_string();
        assert!(told.contains("version: checksum"), "{table}: {told}");
        home.database.version = VersionBy::Checksum;
        list(&home.dataset(), &trusted()).unwrap();
    }
}

#[test]
fn rows_that_a_policy_hides_are_never_left_out_without_a_word() {
    let home = Home::new();
    home.sql(
        "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 10); \
         CREATE ROLE hidden_reader LOGIN; GRANT SELECT ON t TO hidden_reader; \
         ALTER TABLE t ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY only_three ON t FOR SELECT TO hidden_reader USING (id <= 3)",
    );
    let told = list(&home.dataset(), &context("hidden_reader:unused"));
    let told = told.unwrap_err().to_string();
    assert!(told.contains("row-level security"), "{told}");
    assert_eq!(run(&home.dataset()).unwrap().len(), 1);
    home.sql("DROP TABLE t; DROP ROLE hidden_reader");
}

#[test]
fn decimals_of_the_full_width_of_their_type_are_read() {
    let home = Home::new();
    let (nines, wide) = ("9".repeat(37), "9".repeat(75));
    home.sql(&format!(
        "CREATE TABLE t (a numeric(38,1), b numeric(38,10), c numeric(76,1), d numeric(38,3)); \
         INSERT INTO t VALUES ({nines}.9, {}.{}, {wide}.9, -0.001), (-{nines}.9, 0, -1.5, 1.120)",
        "9".repeat(28),
        "9".repeat(10)
    ));
    let states = run(&home.dataset()).unwrap();
    let state = states.values().next().unwrap();
    for (name, least) in [
        ("a", format!("-{nines}.9")),
        ("c", "-1.5".to_owned()),
        ("d", "-0.001".to_owned()),
    ] {
        let ends = state.columns[name].extremes().unwrap().unwrap().value;
        assert_eq!(ends.0.to_string(), least, "{name}");
        assert_eq!(state.columns[name].distinct_count().unwrap().0, 2, "{name}");
    }
}

#[test]
fn a_number_that_no_type_holds_voids_its_own_column_and_nothing_else() {
    let home = Home::new();
    let wide = format!("1{}", "0".repeat(90));
    home.sql(&format!(
        "CREATE TABLE t (n numeric, m numeric, id int); \
         INSERT INTO t VALUES (1.5, 1.5, 1), ({wide}, 2.25, 2), (-0.{wide}, NULL, 3), ({wide}, 1, 4)"
    ));
    let mut dataset = home.dataset();
    for metrics in [ALL.to_vec(), TOTALS.to_vec()] {
        let is_copied = metrics.len() == ALL.len();
        dataset.profile.metrics = metrics;
        let states = run(&dataset).unwrap();
        let columns = &states.values().next().unwrap().columns;
        let overflow = columns["n"].sum().unwrap_err();
        assert!(overflow.to_string().starts_with("overflow"), "{overflow}");
        assert!(columns["n"].extremes().is_err());
        assert_eq!(columns["n"].counts.nulls, 0);
        assert_eq!(columns["m"].counts.nulls, 1);
        let ends = columns["m"].extremes().unwrap().unwrap().value;
        assert_eq!(ends.1.to_string(), "2.25");
        assert!(columns["id"].sum().unwrap().is_some());
        if is_copied {
            assert_eq!(columns["n"].distinct_count().unwrap().0, 3);
        }
    }
}

#[test]
fn a_number_that_is_none_is_judged_as_one_of_a_file() {
    let home = Home::new();
    let values = "('NaN'), (1.5), (NULL), (12), ('NaN')";
    home.sql(&format!(
        "CREATE TABLE t (n numeric); INSERT INTO t VALUES {values}"
    ));
    let counts = || {
        let mut dataset = home.dataset();
        let range = r#"{"max":"10"}"#.to_owned();
        let mut rule = duplicates("n");
        rule.metric = MetricKey {
            args: range,
            ..MetricKey::column(Metric::InvalidCount, "n")
        };
        dataset.checks = vec![rule];
        let states = run(&dataset).unwrap();
        let column = &states.values().next().unwrap().columns["n"];
        (column.rules.clone(), column.counts.nulls)
    };
    let of_decimals = counts();
    home.sql("ALTER TABLE t ALTER n TYPE float8");
    assert_eq!(of_decimals, counts());
    assert_eq!(of_decimals.1, 1);
}

#[test]
fn empty_texts_are_told_by_their_bytes_and_characters_by_the_encoding() {
    let home = Home::new();
    home.sql(
        "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false); \
         CREATE TABLE t (v text COLLATE loose); \
         INSERT INTO t VALUES (''), (U&'\\200B'), (U&'\\0001')",
    );
    let mut dataset = home.dataset();
    dataset.profile.metrics = vec![Metric::LengthMean];
    let states = run(&dataset).unwrap();
    let pushed = states.values().next().unwrap().columns["v"].clone();
    dataset.profile.metrics = vec![Metric::LengthMean, Metric::DistinctCount];
    let states = run(&dataset).unwrap();
    let copied = states.values().next().unwrap().columns["v"].clone();
    assert_eq!(pushed.counts, copied.counts);
    assert_eq!(pushed.lengths, copied.lengths);
}

#[test]
fn a_partition_of_unknown_age_is_quiet_when_an_earlier_listing_says_so() {
    let home = Home::new();
    home.sql("CREATE TABLE t (day date); INSERT INTO t VALUES ('2024-01-01')");
    let mut dataset = home.dataset();
    dataset.partitions.layout = Layout::Column {
        column: "day".to_owned(),
        granularity: Some(Cadence::Daily),
    };
    dataset.partitions.sealing = Sealing::Quiet { quiet_s: 3600 };
    let plan = list(&dataset, &trusted()).unwrap();
    let sealed: Vec<bool> = plan.evaluations.iter().map(|e| e.sealed).collect();
    assert_eq!(sealed.first(), Some(&false), "{:?}", plan.evaluations);
}
