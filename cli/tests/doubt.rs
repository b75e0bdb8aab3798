//! What a scan found wrong with values is told with the results on them, and fails what it must.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use assay_model::ids::DatasetId;
use assay_store::MetricStore as _;
use assay_store::port::ResultFilter;
use common::{Definition, Place};
use serde_json::Value;

/// The result of a check in the answer of `assay check -o json`.
fn result<'a>(json: &'a Value, check: &str) -> &'a Value {
    let items = json["items"].as_array().unwrap();
    let found = items.iter().find(|item| item["check"] == check);
    found.unwrap_or_else(|| panic!("no result of {check}:\n{json:#}"))
}

fn no_profile(id: &str, place: &Place, format: &'static str) -> Definition {
    Definition::new(id, place.path("data"), format).set("assayProfile", "{ columns: none }")
}

#[test]
fn values_that_a_sum_leaves_out_are_told_although_it_passes() {
    let place = Place::new();
    let sum =
        "{ type: custom, engine: assay, id: total, implementation: { metric: sum, mustBe: 1 } }";
    for (day, text) in [(1, "v\nNaN\n1\ninf\n"), (2, "v\n1\n")] {
        place.write(&format!("data/day=2026-01-{day:02}/a.csv"), text);
    }
    let mut definition = no_profile("sums", &place, "csv");
    definition.columns = vec![format!(
        "{{ name: v, logicalType: number, quality: [{sum}] }}"
    )];
    place.write("sums.yaml", definition.text());
    let json = place.assay(&["check", "sums.yaml", "-o", "json"]).ended(0);
    let json = json.json();
    let items = json["items"].as_array().unwrap();
    let of_day = |day: &str| {
        let same = |item: &&Value| {
            item["check"] == "total" && item["partition"].as_str().unwrap().contains(day)
        };
        items.iter().find(same).unwrap().clone()
    };
    let note = "2 values that are not finite numbers are left out";
    assert_eq!(of_day("2026-01-01")["note"], note);
    assert_eq!(of_day("2026-01-01")["outcome"], "pass");
    assert_eq!(of_day("2026-01-02")["note"], Value::Null);
    // Not only of the newest partition, whose declared checks are all shown.
    let said = place
        .assay(&["check", "sums.yaml", "--ephemeral", "--junit", "r.xml"])
        .ended(0);
    let line = said.out.lines().find(|line| line.contains(note));
    assert!(
        line.is_some_and(|line| line.contains("PASS") && line.contains("total")),
        "{}",
        said.out
    );
    let report = std::fs::read_to_string(place.path("r.xml")).unwrap();
    assert!(report.contains(note), "{report}");
}

#[test]
fn a_field_that_is_not_of_its_declared_type_fails() {
    let kinds = [
        ("on", "date", "2026-01-01", "soon"),
        ("at", "timestamp", "2026-01-01T10:00:00Z", "later"),
        ("by", "time", "10:00:00", "noon"),
        ("ok", "boolean", "true", "perhaps"),
        ("no", "integer", "1", "1.5"),
    ];
    let place = Place::new();
    let header = kinds.map(|kind| kind.0).join(",");
    let good = kinds.map(|kind| kind.2).join(",");
    let bad = kinds.map(|kind| kind.3).join(",");
    place.write("data/a.csv", format!("{header}\n{good}\n{bad}\n,,,,\n"));
    let columns = || {
        let line = |kind: &(&str, &str, &str, &str)| {
            format!("{{ name: '{}', logicalType: {} }}", kind.0, kind.1)
        };
        kinds.iter().map(line).collect()
    };
    let mut csv = no_profile("fields", &place, "csv");
    csv.columns = columns();
    place.write("fields.yaml", csv.text());
    let said = place
        .assay(&["check", "fields.yaml", "-o", "json"])
        .ended(1);
    let said = said.json();
    for (name, ..) in kinds {
        let found = result(&said, &format!("{name}.typed"));
        assert_eq!(found["outcome"], "fail", "{found:#}");
        assert_eq!(found["actual"]["value"], "1", "{found:#}");
    }

    let place = Place::new();
    let rows = r#"{"on":"2026-01-01","at":"2026-01-01 10:00:00","by":"10:00","ok":true,"no":1.0}
{"on":"soon","at":1767261600,"by":null,"ok":"true","no":"1"}
"#;
    place.write("data/a.jsonl", rows);
    let mut lines = no_profile("lines", &place, "json");
    lines.columns = columns();
    place.write("lines.yaml", lines.text());
    let said = place.assay(&["check", "lines.yaml", "-o", "json"]).ended(1);
    let said = said.json();
    for (name, outcome) in [
        ("on", "fail"),
        ("at", "fail"),
        ("by", "pass"),
        ("ok", "fail"),
        ("no", "fail"),
    ] {
        let found = result(&said, &format!("{name}.typed"));
        assert_eq!(found["outcome"], outcome, "{found:#}");
    }
}

#[test]
fn a_column_that_some_files_of_a_partition_lack_is_a_change_of_its_schema() {
    let place = Place::new();
    place.write("data/day=2026-01-01/a.csv", "x,y\n1,2\n");
    place.write("data/day=2026-01-02/a.csv", "x,y\n1,2\n");
    place.write("data/day=2026-01-02/b.csv", "x\n1\n");
    place.write("lost.yaml", no_profile("lost", &place, "csv").text());
    let said = place.assay(&["check", "lost.yaml", "-o", "json"]).ended(1);
    let said = said.json();
    let items = said["items"].as_array().unwrap();
    let failed: Vec<&Value> = items.iter().filter(|i| i["outcome"] == "fail").collect();
    assert_eq!(failed.len(), 1, "{said:#}");
    assert_eq!(failed[0]["check"], "schema");
    let reason = failed[0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("column `y` is not in all files"),
        "{reason}"
    );

    // Against the definition it needs no past.
    let place = Place::new();
    place.write("data/a.csv", "x,y\n1,2\n");
    place.write("data/b.csv", "x\n1\n");
    let mut declared = no_profile("lost", &place, "csv");
    declared.columns = vec!["{ name: x }".to_owned(), "{ name: 'y' }".to_owned()];
    place.write("lost.yaml", declared.text());
    let said = place.assay(&["check", "lost.yaml", "-o", "json"]).ended(1);
    assert_eq!(result(&said.json(), "schema")["outcome"], "fail");
}

#[tokio::test]
async fn what_a_result_keeps_of_the_past_does_not_grow_with_the_past() {
    let place = Place::new();
    let days = 90;
    for day in 0..days {
        let (month, of_month) = (1 + day / 28, 1 + day % 28);
        let rows: String = (0..40)
            .map(|row| format!("{}\n", (row * 7 + day * 3) % 31))
            .collect();
        let name = format!("data/day=2026-{month:02}-{of_month:02}/a.csv");
        place.write(&name, format!("v\n{rows}"));
    }
    let definition = Definition::new("many", place.path("data"), "csv")
        .set("assayLimits", "{ learned: true }")
        .set("assayProfile", "{ metrics: [sum] }");
    place.write("many.yaml", definition.text());
    let said = place.assay(&["check", "many.yaml", "--fail-on", "never"]);
    let said = said.ended(0);
    let store = place.store().await;
    let filter = ResultFilter {
        limit: 100_000,
        ..ResultFilter::default()
    };
    let id = DatasetId::new("many").unwrap();
    let results = store.results(&id, &filter).await.unwrap();
    store.close().await;
    let kept: Vec<(u32, usize)> = results
        .iter()
        .filter(|row| row.result.check.as_str() == "profile:sum(v)")
        .filter_map(|row| row.result.limits.as_ref())
        .map(|limits| {
            let partitions = assay_model::outcome::Span::count(&limits.learned_from);
            let text = serde_json::to_string(limits).unwrap();
            (partitions, text.len())
        })
        .collect();
    let most = kept.iter().max().unwrap();
    assert!(most.0 > 60, "{kept:?}\n{}", said.out);
    assert!(kept.iter().all(|(_, bytes)| *bytes < 700), "{kept:?}");
}
