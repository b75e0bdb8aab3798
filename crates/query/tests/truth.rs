//! Answers of queries against numbers computed by hand, over each format.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, StringArray, UInt64Array};
use arrow::record_batch::RecordBatch;
use assay_model::dataset::{FormatKind, LogicalType};
use assay_query::{Answer, MASK, Number, QueryError, Want};
use common::{batch, exact, file, files, limits, number, request};
use parquet::arrow::ArrowWriter;

const CSV: &str =
    "Id,amount,email,day\n1,10,a@x,2026-11-20\n2,,b@x,2026-11-20\n3,-4,\"c,\"\"x\",2026-11-19\n";

fn orders() -> (tempfile::TempDir, common_table::Tables) {
    let folder = file("a.csv", CSV);
    let table = files(
        folder.path(),
        FormatKind::Csv,
        &[("day", LogicalType::Date)],
    );
    (folder, vec![table])
}

mod common_table {
    pub type Tables = Vec<assay_query::Table>;
}

fn of_ints(values: Vec<Option<i64>>) -> Vec<assay_query::Table> {
    let column: ArrayRef = Arc::new(Int64Array::from(values));
    vec![batch(
        "t",
        &RecordBatch::try_from_iter([("v", column)]).unwrap(),
    )]
}

#[test]
fn a_csv_partition_answers_with_the_values_that_the_metrics_see() {
    let (_folder, tables) = orders();
    assert_eq!(exact(tables.clone(), "SELECT COUNT(*) FROM {object}"), "3");
    assert_eq!(
        exact(tables.clone(), "SELECT SUM(amount) FROM ${object}"),
        "6"
    );
    assert_eq!(
        exact(
            tables.clone(),
            "select count(*) from orders where AMOUNT is null"
        ),
        "1"
    );
    // Names with capitals are found without quotes.
    assert_eq!(exact(tables.clone(), "SELECT MAX(id) FROM orders"), "3");
    let of_day = "SELECT COUNT(*) FROM {object} WHERE day = {partition}";
    assert_eq!(exact(tables.clone(), of_day), "2");
    let quoted = "SELECT COUNT(*) FROM {object} WHERE day = CAST('{partition}' AS DATE)";
    assert_eq!(exact(tables.clone(), quoted), "2");
    let text = r#"SELECT COUNT(*) FROM {object} WHERE email = 'c,"x'"#;
    assert_eq!(exact(tables, text), "1");
}

#[test]
fn a_sum_beyond_64_bits_is_exact_and_never_wraps() {
    let large = of_ints(vec![Some(9_000_000_000_000_000_000); 2]);
    assert_eq!(
        exact(large.clone(), "SELECT SUM(v) FROM t"),
        "18000000000000000000"
    );
    let grouped = "SELECT MAX(s) FROM (SELECT SUM(v) AS s FROM t GROUP BY v)";
    assert_eq!(exact(large.clone(), grouped), "18000000000000000000");
    let union = "SELECT SUM(v) FROM (SELECT v FROM t UNION ALL SELECT v FROM t)";
    assert_eq!(exact(large.clone(), union), "36000000000000000000");
    let distinct = "SELECT SUM(DISTINCT v) FROM t";
    assert_eq!(exact(large.clone(), distinct), "9000000000000000000");
    let shifted = "SELECT SUM(v + 1) FROM t";
    assert_eq!(exact(large.clone(), shifted), "18000000000000000002");
    let window = "SELECT MAX(s) FROM (SELECT SUM(v) OVER (ORDER BY v ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM t)";
    assert_eq!(exact(large, window), "18000000000000000000");
    let unsigned: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX; 3]));
    let tables = vec![batch(
        "t",
        &RecordBatch::try_from_iter([("v", unsigned)]).unwrap(),
    )];
    assert_eq!(
        exact(tables, "SELECT SUM(v) FROM t"),
        "55340232221128654845"
    );
}

#[test]
fn a_sum_of_nothing_is_null_and_not_zero() {
    assert_eq!(
        number(of_ints(vec![None, None]), "SELECT SUM(v) FROM t").unwrap(),
        None
    );
    assert_eq!(
        number(of_ints(vec![]), "SELECT AVG(v) FROM t").unwrap(),
        None
    );
    assert_eq!(exact(of_ints(vec![]), "SELECT COUNT(*) FROM t"), "0");
}

#[test]
fn whole_numbers_that_leave_64_bits_are_an_error_and_never_negative() {
    let tables = of_ints(vec![Some(i64::MAX), Some(2)]);
    for sql in [
        "SELECT MAX(v + 1) FROM t",
        "SELECT MAX(v * 3) FROM t",
        "SELECT MIN(-2 - v) FROM t",
        "SELECT 9223372036854775807 + 1",
        "SELECT 9223372036854775807 * 2 FROM t LIMIT 1",
        "SELECT COUNT(*) FROM t WHERE v * 3 > 0",
        "SELECT MAX(s) FROM (SELECT v + v AS s FROM t)",
        "SELECT COUNT(*) FROM t AS a JOIN t AS b ON a.v * 2 = b.v",
        "SELECT MIN(v) FROM t GROUP BY v + 1 LIMIT 1",
    ] {
        let ended = number(tables.clone(), sql);
        assert!(
            matches!(ended, Err(QueryError::Value { .. })),
            "{sql}: {ended:?}"
        );
    }
    let least = of_ints(vec![Some(i64::MIN)]);
    for sql in [
        "SELECT MAX(-v) FROM t",
        "SELECT MAX(ABS(v)) FROM t",
        "SELECT MAX(v) / -1 FROM t",
    ] {
        let ended = number(least.clone(), sql);
        assert!(ended.is_err(), "{sql}: {ended:?}");
    }
}

#[test]
fn doubles_are_summed_without_rounding_on_the_way() {
    let sum = |values: Vec<f64>, sql: &str| {
        let column: ArrayRef = Arc::new(Float64Array::from(values));
        let tables = vec![batch(
            "t",
            &RecordBatch::try_from_iter([("v", column)]).unwrap(),
        )];
        number(tables, sql).unwrap().unwrap()
    };
    let sql = "SELECT SUM(v) FROM t";
    assert_eq!(sum(vec![1e16, 1.0, 1.0, -1e16], sql), Number::Double(2.0));
    assert_eq!(
        sum(vec![1e308, 1e308, -1e308, -1e308, 0.5], sql),
        Number::Double(0.5)
    );
    assert_eq!(sum(vec![0.1; 10], sql), Number::Double(1.0));
    assert_eq!(
        sum(vec![1e16, 1.0, 1.0, -1e16], "SELECT AVG(v) FROM t"),
        Number::Double(0.5)
    );
    let of_unions = "SELECT SUM(v) FROM (SELECT v FROM t UNION ALL SELECT v FROM t)";
    assert_eq!(
        sum(vec![1e16, 1.0, 1.0, -1e16], of_unions),
        Number::Double(4.0)
    );
}

#[test]
fn decimals_are_exact_and_a_sum_that_leaves_38_digits_is_an_error() {
    let tables = |values: Vec<i128>, scale: i8| {
        let column = Decimal128Array::from(values)
            .with_precision_and_scale(38, scale)
            .unwrap();
        let column: ArrayRef = Arc::new(column);
        vec![batch(
            "t",
            &RecordBatch::try_from_iter([("v", column)]).unwrap(),
        )]
    };
    assert_eq!(exact(tables(vec![1, 2], 2), "SELECT SUM(v) FROM t"), "0.03");
    assert_eq!(
        exact(tables(vec![10; 3], 2), "SELECT SUM(v) * 2 FROM t").trim_end_matches('0'),
        "0.6"
    );
    let widest = 10i128.pow(38) - 1;
    let ended = number(tables(vec![widest, 1], 0), "SELECT SUM(v) FROM t");
    assert!(matches!(ended, Err(QueryError::Value { .. })), "{ended:?}");
    // What leaves 128 bits on the way and comes back is exact.
    assert_eq!(
        exact(
            tables(vec![widest, widest, -widest, -1], 0),
            "SELECT SUM(v) FROM t"
        )
        .len(),
        38
    );
}

#[test]
fn a_small_share_is_not_rounded_away_and_a_whole_division_is_told() {
    let tables = of_ints((0..10).map(Some).collect());
    let share = "SELECT SUM(CASE WHEN v = 0 THEN 1 ELSE 0 END) / 30000000.0 FROM t";
    let Some(Number::Double(value)) = number(tables.clone(), share).unwrap() else {
        panic!("no double");
    };
    assert_eq!(value, 1.0 / 30_000_000.0);
    let by_count = "SELECT SUM(CASE WHEN v = 0 THEN 1 ELSE 0 END) / COUNT(*) FROM t";
    assert_eq!(
        number(tables.clone(), by_count).unwrap(),
        Some(Number::Double(0.1))
    );
    let whole = request(tables.clone(), "SELECT COUNT(*) / 4 FROM t", Want::Number);
    let Answer::Number { value, notes } = assay_query::run(&whole, limits()).unwrap() else {
        panic!("no number");
    };
    assert_eq!(value, Some(Number::Exact("2".to_owned())));
    assert!(notes[0].contains("drops the fraction"), "{notes:?}");
    let ended = number(tables, "SELECT SUM(v) / (COUNT(*) - 10) FROM t");
    assert!(ended.unwrap_err().to_string().contains("NULLIF"));
}

#[test]
fn failed_rows_are_counted_and_some_are_shown_without_masked_values() {
    let (_folder, tables) = orders();
    let masked = vec!["eMail".to_owned()];
    let ask = |sql: &str| {
        let mut request = request(tables.clone(), sql, Want::Rows { cap: 2 });
        request.masked.clone_from(&masked);
        match assay_query::run(&request, limits()).unwrap() {
            Answer::Rows { total, sample, .. } => (total, sample),
            other => panic!("{other:?}"),
        }
    };
    let (total, sample) = ask("SELECT Id, email FROM {object} ORDER BY Id");
    assert_eq!((total, sample.len()), (3, 2));
    assert_eq!(sample[0], [serde_json::json!(1), serde_json::json!(MASK)]);
    for hidden in [
        "SELECT email AS e FROM orders",
        "SELECT upper(email) || 'x' FROM orders",
        "SELECT x FROM (SELECT email AS x, Id FROM orders) AS q WHERE Id > 0",
        "WITH q AS (SELECT max(email) AS m FROM orders) SELECT m FROM q",
        "SELECT (SELECT min(email) FROM orders) AS y",
        "SELECT a.email FROM orders AS a JOIN orders AS b ON a.Id = b.Id",
        "SELECT DISTINCT email FROM orders",
        "SELECT first_value(email) OVER (ORDER BY Id) FROM orders",
        "SELECT CAST(Id AS TEXT) FROM orders UNION ALL SELECT email FROM orders ORDER BY 1 DESC",
        "SELECT CASE WHEN Id > 0 THEN email END FROM orders",
        "SELECT v FROM (SELECT 'a@x' AS v) AS d JOIN orders ON d.v = email",
        "SELECT d.v FROM orders, (SELECT 'a@x' AS v) AS d WHERE email = d.v",
        "SELECT v FROM (SELECT 'a@x' AS v) AS d WHERE v IN (SELECT email FROM orders)",
        "SELECT v FROM (SELECT 'a@x' AS v) AS d WHERE EXISTS (SELECT 1 FROM orders WHERE email = d.v)",
        "SELECT 'a@x' AS v INTERSECT SELECT email FROM orders",
        "SELECT * FROM orders",
        "SELECT o.* FROM orders AS o",
        "SELECT EMAIL, \"email\" AS e FROM orders",
        "SELECT q.* FROM (SELECT * FROM orders) AS q",
    ] {
        let (_, sample) = ask(hidden);
        let text = serde_json::to_string(&sample).unwrap();
        assert!(
            text.contains(MASK) && !text.contains("@"),
            "{hidden}: {text}"
        );
    }
    assert_eq!(ask("SELECT Id FROM orders WHERE Id > 7"), (0, Vec::new()));
}

#[test]
fn a_number_shows_no_value_of_a_masked_column() {
    let (_folder, tables) = orders();
    let ask = |sql: &str| {
        let mut request = request(tables.clone(), sql, Want::Number);
        request.masked = vec!["amount".to_owned()];
        assay_query::run(&request, limits())
    };
    for shown in [
        "SELECT COUNT(*) FROM {object} WHERE amount < 0",
        "SELECT COUNT(DISTINCT amount) FROM {object}",
        "SELECT SUM(amount) FROM {object}",
        "SELECT MAX(Id) FROM {object} WHERE amount IS NULL",
        "SELECT COUNT(*) FROM (SELECT amount FROM {object} GROUP BY amount) AS q",
        "SELECT (SELECT SUM(amount) FROM {object}) / COUNT(*) FROM {object}",
    ] {
        let ended = ask(shown);
        assert!(
            matches!(ended, Ok(Answer::Number { .. })),
            "{shown}: {ended:?}"
        );
    }
    for refused in [
        "SELECT MAX(amount) FROM {object}",
        "SELECT amount FROM {object} WHERE Id = 1",
        "SELECT MIN(a) + 1 FROM (SELECT amount AS a FROM {object}) AS q",
        "SELECT (SELECT MAX(amount) FROM {object})",
        "SELECT length(MAX(CAST(amount AS VARCHAR))) FROM {object}",
        "SELECT MAX(s) FROM (SELECT SUM(amount) AS s FROM {object} GROUP BY Id) AS q",
        "SELECT MAX(Id) FROM {object} AS a WHERE Id = amount",
        "SELECT MAX(s) FROM (SELECT (SELECT SUM(b.amount) FROM {object} AS b WHERE b.Id = a.Id) AS s FROM {object} AS a) AS q",
    ] {
        let told = ask(refused).unwrap_err().to_string();
        assert!(told.contains("masked"), "{refused}: {told}");
    }
}

#[test]
fn an_error_shows_no_value_of_the_data() {
    let (_folder, tables) = orders();
    for sql in [
        "SELECT CAST(email AS INT) FROM orders",
        "SELECT CAST(email AS DATE) FROM orders",
        "SELECT CAST(email AS BOOLEAN) FROM orders",
        "SELECT to_timestamp(email) FROM orders",
        "SELECT regexp_like('x', email || '[') FROM orders",
        "SELECT date_trunc(email, to_timestamp(0)) FROM orders",
        "SELECT to_char(to_timestamp(Id), email || '%Q') FROM orders",
        "SELECT decode(email, email) FROM orders",
    ] {
        let mut request = request(tables.clone(), sql, Want::Rows { cap: 2 });
        request.masked = vec!["EMAIL".to_owned()];
        match assay_query::run(&request, limits()) {
            Err(error) => {
                let told = error.to_string();
                assert!(!told.contains("@x") && !told.contains("@"), "{sql}: {told}");
            }
            Ok(Answer::Rows { sample, .. }) => {
                let shown = serde_json::to_string(&sample).unwrap();
                assert!(!shown.contains("@"), "{sql}: {shown}");
            }
            Ok(other) => panic!("{sql}: {other:?}"),
        }
    }
}

#[test]
fn a_text_is_compared_with_a_number_only_by_a_cast() {
    let key: ArrayRef = Arc::new(StringArray::from(vec!["007", "10"]));
    let texts = batch(
        "codes",
        &RecordBatch::try_from_iter([("code", key)]).unwrap(),
    );
    let tables = vec![of_ints(vec![Some(7), Some(10)]).remove(0), texts];
    for sql in [
        "SELECT COUNT(*) FROM t JOIN codes ON t.v = codes.code",
        "SELECT COUNT(*) FROM t, codes WHERE t.v = codes.code",
        "SELECT COUNT(*) FROM t WHERE v IN (SELECT code FROM codes)",
        "SELECT COUNT(*) FROM t WHERE EXISTS (SELECT 1 FROM codes WHERE code = t.v)",
        "SELECT COUNT(*) FROM codes WHERE code = 7",
        "SELECT COUNT(*) FROM codes WHERE code > 7.5",
        "SELECT COUNT(*) FROM codes WHERE code IN (7, 10)",
        "SELECT COUNT(*) FROM codes WHERE code BETWEEN 1 AND 9",
        "SELECT COUNT(*) FROM t WHERE v = '7'",
    ] {
        let told = number(tables.clone(), sql).unwrap_err().to_string();
        assert!(told.contains("CAST"), "{sql}: {told}");
    }
    for (sql, many) in [
        (
            "SELECT COUNT(*) FROM t JOIN codes ON t.v = CAST(codes.code AS BIGINT)",
            "2",
        ),
        (
            "SELECT COUNT(*) FROM t JOIN codes ON CAST(t.v AS VARCHAR) = codes.code",
            "1",
        ),
        ("SELECT COUNT(*) FROM codes WHERE code = '007'", "1"),
    ] {
        assert_eq!(exact(tables.clone(), sql), many, "{sql}");
    }
}

#[test]
fn a_median_of_whole_numbers_keeps_its_half() {
    let tables = of_ints(vec![Some(1), Some(2)]);
    for sql in [
        "SELECT MEDIAN(v) FROM t",
        "SELECT MEDIAN(CAST(v AS DECIMAL(9, 0))) FROM t",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FROM t",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY CAST(v AS DECIMAL(9, 0))) FROM t",
    ] {
        let ended = number(tables.clone(), sql);
        assert_eq!(ended.unwrap(), Some(Number::Double(1.5)), "{sql}");
    }
}

#[test]
fn a_number_is_one_row_with_one_number() {
    let (_folder, tables) = orders();
    for sql in [
        "SELECT Id FROM orders",
        "SELECT 1, 2",
        "SELECT 'text'",
        "SELECT COUNT(*) > 1 FROM orders",
        "SELECT Id FROM orders WHERE Id > 7",
    ] {
        let ended = number(tables.clone(), sql);
        assert!(
            matches!(ended, Err(QueryError::Shape { .. })),
            "{sql}: {ended:?}"
        );
    }
    assert_eq!(number(tables, "SELECT NULL").unwrap(), None);
}

#[test]
fn a_filter_gives_the_rows_and_columns_that_are_asked_for() {
    let (_folder, tables) = orders();
    let filter = |sql: &str, columns: &[&str]| {
        let columns = columns.iter().map(|c| (*c).to_owned()).collect();
        let request = request(
            tables.clone(),
            sql,
            Want::Filter {
                columns,
                written: false,
            },
        );
        let mut rows = 0;
        let mut width = 0;
        let ended = assay_query::filter(&request, limits(), |batch| {
            rows += batch.num_rows();
            width = batch.num_columns();
            Ok(())
        });
        ended.map(|_| (rows, width))
    };
    assert_eq!(
        filter("amount IS NOT NULL AND Id < 3", &[]).unwrap(),
        (1, 4)
    );
    assert_eq!(filter("Id > 1", &["Id", "amount"]).unwrap(), (2, 2));
    for closing in [
        "1 = 1) UNION SELECT * FROM orders WHERE (1 = 1",
        "1 = 1; SELECT 1",
        "1 = 1 ORDER BY 1",
    ] {
        assert!(filter(closing, &[]).is_err(), "{closing}");
    }
}

#[test]
fn a_file_that_changed_and_a_record_that_breaks_the_rules_are_errors() {
    let (folder, tables) = orders();
    std::fs::write(folder.path().join("a.csv"), "Id\n1\n").unwrap();
    let ended = number(tables, "SELECT COUNT(*) FROM orders");
    assert!(
        ended
            .unwrap_err()
            .to_string()
            .contains("changed since it was listed")
    );
    let ragged = file("a.csv", "a,b\n1,2\n3\n");
    let tables = vec![files(ragged.path(), FormatKind::Csv, &[])];
    let told = number(tables, "SELECT COUNT(*) FROM orders")
        .unwrap_err()
        .to_string();
    assert!(told.contains("line 3"), "{told}");
    let text = file("a.csv", "a,b\n1,x\nqqq,2\n");
    let columns = [("a", LogicalType::Integer)];
    let tables = vec![files(text.path(), FormatKind::Csv, &columns)];
    let told = number(tables.clone(), "SELECT SUM(a) FROM orders")
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("line 3") && told.contains("\"a\"") && !told.contains("qqq"),
        "{told}"
    );
    // Who does not ask for the column is not concerned.
    assert_eq!(exact(tables, "SELECT COUNT(b) FROM orders"), "2");
}

#[test]
fn json_lines_have_the_types_of_their_values() {
    let lines = "{\"a\":1,\"b\":\"x\",\"c\":0.5}\n{\"a\":9223372036854775808,\"b\":null}\n{\"c\":2,\"d\":{\"e\":1}}\n";
    let folder = file("a.ndjson", lines);
    let tables = vec![files(folder.path(), FormatKind::Ndjson, &[])];
    assert_eq!(
        exact(tables.clone(), "SELECT SUM(a) FROM orders"),
        "9223372036854775809"
    );
    assert_eq!(
        number(tables.clone(), "SELECT SUM(c) FROM orders").unwrap(),
        Some(Number::Double(2.5))
    );
    assert_eq!(exact(tables.clone(), "SELECT COUNT(b) FROM orders"), "1");
    assert_eq!(
        exact(tables, "SELECT COUNT(*) FROM orders WHERE d = '{\"e\":1}'"),
        "1"
    );
    let mixed = file("a.ndjson", "{\"a\":1}\n{\"a\":\"x\"}\n");
    let open = vec![files(mixed.path(), FormatKind::Ndjson, &[])];
    assert!(number(open, "SELECT COUNT(a) FROM orders").is_err());
    let text = vec![files(
        mixed.path(),
        FormatKind::Ndjson,
        &[("a", LogicalType::String)],
    )];
    assert_eq!(
        exact(text, "SELECT COUNT(*) FROM orders WHERE a = '1'"),
        "1"
    );
}

#[test]
fn parquet_files_of_a_partition_are_one_table_and_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, columns: Vec<(&str, ArrayRef)>| {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let file = std::fs::File::create(folder.path().join(name)).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    };
    let ints = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let texts = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
    write(
        "a.parquet",
        vec![("v", ints(vec![1, 2])), ("s", texts(vec!["x", "y"]))],
    );
    // The same columns in another order.
    write(
        "b.parquet",
        vec![("s", texts(vec!["z"])), ("v", ints(vec![i64::MAX]))],
    );
    let tables = vec![files(folder.path(), FormatKind::Parquet, &[])];
    assert_eq!(
        exact(tables.clone(), "SELECT SUM(v) FROM orders"),
        "9223372036854775810"
    );
    assert_eq!(
        exact(
            tables.clone(),
            "SELECT COUNT(*) FROM orders WHERE s IN ('x', 'z')"
        ),
        "2"
    );
    assert_eq!(exact(tables, "SELECT COUNT(*) FROM orders"), "3");
    write(
        "c.parquet",
        vec![("v", texts(vec!["1"])), ("s", texts(vec!["z"]))],
    );
    let tables = vec![files(folder.path(), FormatKind::Parquet, &[])];
    let told = number(tables, "SELECT SUM(v) FROM orders")
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("c.parquet") && told.contains("Utf8"),
        "{told}"
    );
}

#[test]
fn two_datasets_are_held_against_each_other() {
    let (_folder, mut tables) = orders();
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 4]));
    tables.push(batch(
        "customers",
        &RecordBatch::try_from_iter([("id", ids)]).unwrap(),
    ));
    let lost = "SELECT COUNT(*) FROM {object} AS o LEFT JOIN customers AS c ON o.\"Id\" = c.id WHERE c.id IS NULL";
    assert_eq!(exact(tables.clone(), lost), "1");
    let rows = "SELECT (SELECT COUNT(*) FROM {object}) - (SELECT COUNT(*) FROM customers)";
    assert_eq!(exact(tables, rows), "0");
}

#[test]
fn a_partition_key_is_a_text_whatever_is_in_it() {
    let (_folder, tables) = orders();
    for key in [
        "x' OR '1' = '1",
        "'; DROP TABLE orders; --",
        "\\' OR 1=1 --",
        "{object}",
    ] {
        for sql in [
            "SELECT COUNT(*) FROM {object} WHERE email = {partition}",
            "SELECT COUNT(*) FROM {object} WHERE email = '{partition}'",
        ] {
            let mut request = request(tables.clone(), sql, Want::Number);
            request.partition = key.to_owned();
            let ended = assay_query::run(&request, limits()).unwrap();
            let none = Some(Number::Exact("0".to_owned()));
            assert!(
                matches!(ended, Answer::Number { value, .. } if value == none),
                "{key}"
            );
        }
    }
}

#[test]
fn which_rows_are_shown_is_part_of_how_a_dataset_is_read() {
    let folder = file("a.csv", CSV);
    let columns = [("Id", LogicalType::Integer)];
    let plain = common::dataset(folder.path(), FormatKind::Csv, &columns);
    let mut showing = plain.clone();
    showing.scan.sample_rows = 5;
    let mut keyed = showing.clone();
    keyed.columns[0].primary_key = Some(1);
    let digests = [&plain, &showing, &keyed].map(|dataset| dataset.reading_digest());
    assert!(digests[0] != digests[1] && digests[1] != digests[2]);
}
