//! A rule on the rows that a filter keeps says of all rows what the rule says without a filter: over
//! text files, too, whose fields are tested and shown as they are written.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Definition, Place};
use serde_json::{Value, json};

/// What is asked of each column, with and without a filter that keeps all rows.
const RULES: &[&str] = &[
    "metric: rowCount",
    "metric: invalidValues, column: code, arguments: { pattern: '^0' }",
    "metric: invalidValues, column: code, arguments: { validValues: ['007', '1e3'] }",
    "metric: invalidValues, column: code, arguments: { maxLength: 2 }",
    "metric: duplicateValues, column: code",
    "metric: duplicateValues, arguments: { properties: [code, amount] }",
    "metric: missingValues, column: code, arguments: { missingValues: ['08'] }",
    "metric: nullValues, column: code",
    "metric: lengthMax, column: code",
    "metric: max, column: code",
    "metric: invalidValues, column: amount, arguments: { min: 0, max: 100 }",
    "metric: invalidValues, column: amount, arguments: { pattern: '^[0-9.]+$' }",
    "metric: sum, column: amount",
    "metric: distinctCount, column: amount",
    "metric: nullValues, column: amount",
    "metric: invalidValues, column: day, arguments: { pattern: '^2026-' }",
    "metric: nullValues, column: day",
    "metric: max, column: day",
    "metric: invalidValues, column: flag, arguments: { validValues: [true] }",
    "metric: missingValues, column: note, arguments: { missingValues: ['n/a', '  '] }",
    "metric: duplicateValues, column: note",
];

fn definition(path: std::path::PathBuf, format: &'static str) -> String {
    let mut definition = Definition::new("odd", path, format)
        .set("assayProfile", "{ columns: none }")
        .set("assayPrivacy", "{ sampleRows: 3 }")
        .set("assayFormat", "{ nullTokens: ['', 'NULL'] }");
    definition.columns = vec![
        "{ name: amount, logicalType: number }".to_owned(),
        "{ name: day, logicalType: date }".to_owned(),
        "{ name: flag, logicalType: boolean }".to_owned(),
    ];
    for (at, rule) in RULES.iter().enumerate() {
        for (kind, filter) in [("all", ""), ("kept", ", filter: '1 = 1'")] {
            definition = definition.check(&format!(
                "{{ id: {kind}{at}, type: custom, engine: assay, implementation: {{ {rule}{filter}, mustBe: -1 }} }}"
            ));
        }
    }
    // One bad field is of no concern to who does not ask for its column.
    definition
        .check("{ id: few, type: custom, engine: assay, implementation: { metric: sum, column: id, filter: id > 1, mustBe: 14 } }")
        .text()
}

fn result<'a>(items: &'a [Value], id: &str) -> &'a Value {
    let found = items.iter().find(|item| item["check"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {items:#?}"))
}

fn alike(place: &Place) -> Vec<Value> {
    let said = place.assay(&["check", "odd.yaml", "-o", "json", "--ephemeral"]);
    let json = said.json();
    let items = json["items"].as_array().unwrap();
    for (at, rule) in RULES.iter().enumerate() {
        let of = |kind: &str| {
            let item = result(items, &format!("{kind}{at}"));
            let parts = ["outcome", "actual", "samples", "reason", "note"];
            parts.map(|part| item[part].clone())
        };
        assert_eq!(of("kept"), of("all"), "{rule}");
    }
    assert_eq!(result(items, "few")["outcome"], "pass", "{items:#?}");
    items.clone()
}

#[test]
fn delimited_text_is_tested_and_shown_as_it_is_written() {
    let place = Place::new();
    place.write(
        "odd.csv",
        "id,code,amount,day,flag,note\n1,007,1.50,2026-01-01,true,n/a\n2,08,2,2026-13-01,yes,\n\
         3,1e3,x,2026-01-02,1,NULL\n4,\"a\"\"b\",,not,,\"  \"\n\
         5,007,9007199254740993,2026-01-03,false,z\n",
    );
    place.write("odd.yaml", definition(place.path("odd.csv"), "csv"));
    let items = alike(&place);
    // `08` and not 8, `007` and not 7.
    let shown = &result(&items, "kept1")["samples"];
    assert_eq!(shown.as_array().unwrap().len(), 2, "{shown}");
    assert_eq!(shown[0]["code"], json!("1e3"));
    let long = &result(&items, "kept3")["samples"][0];
    assert_eq!(long["code"], json!("007"));
    assert_eq!(long["id"], json!(1));
    assert_eq!(long["amount"], json!("1.50"));
}

#[test]
fn json_lines_are_tested_and_shown_as_they_are_written() {
    let place = Place::new();
    place.write(
        "odd.jsonl",
        concat!(
            r#"{"id":1,"code":"007","amount":1.5,"day":"2026-01-01","flag":true,"note":"n/a"}"#,
            "\n",
            r#"{"id":2,"code":8,"amount":"2","day":"2026-13-01","flag":"yes"}"#,
            "\n",
            r#"{"id":3,"code":1e3,"amount":"x","day":null,"flag":1,"note":null}"#,
            "\n",
            r#"{"id":4,"code":{"a":"\"b"},"note":"  ","late":[1]}"#,
            "\n",
            r#"{"id":5,"code":"007","amount":9007199254740993,"day":"2026-01-03","flag":false,"note":"z"}"#,
            "\n",
        ),
    );
    place.write("odd.yaml", definition(place.path("odd.jsonl"), "json"));
    alike(&place);
}
