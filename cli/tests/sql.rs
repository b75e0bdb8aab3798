//! SQL of the owner through `assay check`: a number, rows that break a rule, a metric of some rows,
//! and another dataset held against this one; in text and as JSON, over Parquet and CSV.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use common::{Definition, Place, Said};
use serde_json::{Value, json};

/// The program that answers queries, which cargo builds with the workspace.
fn answering() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_assay")).with_file_name("assay-query");
    assert!(
        program.is_file(),
        "{} is not there; build it: cargo build -p assay-query",
        program.display()
    );
    program
}

/// Three orders of one day: one without an amount, one below zero.
fn rows() -> (Vec<i64>, Vec<Option<i64>>, Vec<&'static str>) {
    (
        vec![1, 2, 3],
        vec![Some(10), None, Some(-4)],
        vec!["a@example", "b@example", "c@example"],
    )
}

fn csv(place: &Place) -> PathBuf {
    let (ids, amounts, emails) = rows();
    let mut text = "id,amount,email\n".to_owned();
    for ((id, amount), email) in ids.iter().zip(amounts).zip(emails) {
        let amount = amount.map(|a| a.to_string()).unwrap_or_default();
        text.push_str(&format!("{id},{amount},{email}\n"));
    }
    place.write("orders/date=2026-01-01.csv", text);
    place.path("orders/date={date}.csv")
}

fn parquet(place: &Place) -> PathBuf {
    let (ids, amounts, emails) = rows();
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int64Array::from(ids))),
        ("amount", Arc::new(Int64Array::from(amounts))),
        ("email", Arc::new(StringArray::from(emails))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    place.write("orders/date=2026-01-01.parquet", bytes);
    place.path("orders/date={date}.parquet")
}

/// The rules of the tests; two of them are broken.
fn orders(place: &Place, path: &Path, format: &'static str) -> String {
    place.write("customers/date=2026-01-01.csv", "id\n1\n2\n");
    place.write("customers/date=2026-01-02.csv", "id\n3\n");
    let rule = |of: &str| format!("{{ type: custom, engine: assay, {of} }}");
    let mut definition = Definition::new("orders", path, format);
    for column in [
        "{ name: id, logicalType: integer, primaryKey: true }",
        "{ name: amount, logicalType: integer, quality: [{ id: positive, metric: invalidValues, arguments: { min: 0 }, mustBe: 0 }] }",
        "{ name: email, logicalType: string, quality: [{ id: mailed, metric: invalidValues, arguments: { pattern: '^[ac]@' }, mustBe: 0 }] }",
    ] {
        definition.columns.push(column.to_owned());
    }
    let text = definition
        .set("assayPrivacy", "{ maskedColumns: [email], sampleRows: 2 }")

        .set("assayProfile", "{ columns: none }")
        .check("{ id: below_zero, type: sql, query: 'SELECT COUNT(*) FROM {object} WHERE amount < 0', mustBe: 1 }")
        .check(&rule("id: complete, implementation: { metric: failedRows, query: 'SELECT id, email AS who, amount FROM {object} WHERE amount IS NULL', mustBe: 0 }"))
        .check(&rule("id: sum_of_late, implementation: { metric: sum, column: amount, filter: id > 1, mustBe: -4 }"))
        .check("{ id: known, type: sql, query: 'SELECT COUNT(*) FROM {object} AS o LEFT JOIN customers AS c ON o.id = c.id WHERE c.id IS NULL', mustBe: 0 }")
        .text();
    let customers = place.path("customers/date={date}.csv");
    let other = format!(
        "  - {{ server: customers, type: local, path: '{}', format: csv }}\nschema:\n",
        customers.display()
    );
    text.replacen("schema:\n", &other, 1)
}

fn items(said: &Said) -> Vec<Value> {
    said.json()["items"].as_array().unwrap().clone()
}

fn of<'a>(items: &'a [Value], check: &str) -> &'a Value {
    let found = items.iter().find(|item| item["check"] == check);
    found.unwrap_or_else(|| panic!("no {check} in {items:#?}"))
}

#[test]
fn queries_are_judged_and_the_rows_that_break_a_rule_are_shown_without_what_is_masked() {
    answering();
    for (write, format) in [
        (csv as fn(&Place) -> PathBuf, "csv"),
        (parquet as fn(&Place) -> PathBuf, "parquet"),
    ] {
        let place = Place::new();
        let path = write(&place);
        place.write("orders.yaml", orders(&place, &path, format));
        let said = place
            .assay(&["check", "orders.yaml", "-o", "json", "--ephemeral"])
            .ended(1);
        let items = items(&said);
        for passed in ["below_zero", "sum_of_late"] {
            assert_eq!(of(&items, passed)["outcome"], "pass", "{format} {items:#?}");
        }
        let broken = of(&items, "complete");
        assert_eq!(broken["outcome"], "fail", "{format}");
        let row = json!({"id": 2, "who": "***", "amount": null});
        assert_eq!(broken["samples"], json!([row]), "{format} {broken:#}");
        // Rows that break a rule of the library, by the key of the table.
        let positive = of(&items, "positive");
        assert_eq!(positive["outcome"], "fail", "{format}");
        let row = json!({"id": 3, "amount": -4});
        assert_eq!(positive["samples"], json!([row]), "{format} {positive:#}");
        let row = json!({"id": 2, "email": "***"});
        assert_eq!(of(&items, "mailed")["samples"], json!([row]), "{format}");
        // Of the customers only those of the same day: 3 is of another.
        let known = of(&items, "known");
        assert_eq!(known["outcome"], "fail", "{format}");
        assert_eq!(known["actual"], of(&items, "below_zero")["actual"]);
        let said = place
            .assay(&["check", "orders.yaml", "--ephemeral"])
            .ended(1);
        assert!(
            said.out.contains(r#"{"id":2,"who":"***","amount":null}"#),
            "{}",
            said.out
        );
        assert!(!said.all().contains("b@example"), "{}", said.all());
    }
}

#[test]
fn what_cannot_be_asked_is_an_error_of_its_check_with_what_to_do() {
    answering();
    let place = Place::new();
    let path = csv(&place);
    let text = orders(&place, &path, "csv");
    place.write("orders/date=2026-01-03.csv", "id,amount,email\n7,-1,x\n");
    place.write("orders.yaml", &text);
    let said = place
        .assay(&["check", "orders.yaml", "-o", "json", "--ephemeral"])
        .ended(4);
    let items = items(&said);
    let third: Vec<Value> = items
        .into_iter()
        .filter(|item| item["partition"] == "2026-01-03")
        .collect();
    // There are no customers of that day: nothing is held against nothing.
    let known = of(&third, "known");
    assert_eq!(known["outcome"], "error");
    let why = known["reason"].as_str().unwrap();
    assert!(
        why.contains("customers has no partition 2026-01-03"),
        "{why}"
    );
    assert_eq!(of(&third, "below_zero")["outcome"], "pass");
    assert_eq!(of(&third, "complete")["outcome"], "pass");

    let mut command = place.command(&["check", "orders.yaml", "-o", "json", "--ephemeral"]);
    let none = place.path("nowhere/assay-query");
    command.env("ASSAY_QUERY_PROGRAM", &none);
    let said = Said::of(&command.output().unwrap()).ended(4);
    let items: Vec<Value> = said.json()["items"].as_array().unwrap().clone();
    let why = of(&items, "complete")["reason"].as_str().unwrap();
    assert!(
        why.contains("cargo build --release -p assay-query")
            && why.contains("ASSAY_QUERY_PROGRAM")
            && why.contains(none.to_str().unwrap()),
        "{why}"
    );
    assert_eq!(of(&items, "rows")["outcome"], "pass");
}

#[test]
fn keys_that_were_met_before_and_filtered_rows_are_shown_too() {
    answering();
    let place = Place::new();
    place.write(
        "orders/date=2026-01-01.csv",
        "id,line,amount\n1,1,10\n2,1,\n1,2,7\n1,1,8\n,1,9\n1,1,5\n",
    );
    let path = place.path("orders/date={date}.csv");
    let mut definition = Definition::new("orders", &path, "csv");
    definition.columns = vec![
        "{ name: id, quality: [{ id: twice, metric: duplicateValues, mustBe: 0 }] }".to_owned(),
    ];
    let text = definition
        .set("assayPrivacy", "{ sampleRows: 2 }")
        .set("assayProfile", "{ columns: none }")
        .check("{ id: key, metric: duplicateValues, arguments: { properties: [id, line] }, mustBe: 0 }")
        .check("{ id: late, type: custom, engine: assay, implementation: { metric: nullCount, column: amount, filter: id > 1, mustBe: 0 } }")
        .text();
    place.write("orders.yaml", &text);
    let said = place
        .assay(&["check", "orders.yaml", "-o", "json", "--ephemeral"])
        .ended(1);
    let items = items(&said);
    let shown = |check: &str| of(&items, check)["samples"].clone();
    let third = json!({"id": 1, "line": 2, "amount": 7});
    let fourth = json!({"id": 1, "line": 1, "amount": 8});
    assert_eq!(shown("twice"), json!([third, fourth]), "{items:#?}");
    let last = json!({"id": 1, "line": 1, "amount": 5});
    assert_eq!(shown("key"), json!([fourth, last]), "{items:#?}");
    let late = json!([{"id": 2, "line": 1, "amount": null}]);
    assert_eq!(shown("late"), late, "{items:#?}");
    // Nobody asked.
    place.write(
        "orders.yaml",
        text.replace("sampleRows: 2", "sampleRows: 0"),
    );
    let said = place
        .assay(&["check", "orders.yaml", "-o", "json", "--ephemeral"])
        .ended(1);
    assert!(!said.out.contains("rows such as"), "{}", said.out);
}
