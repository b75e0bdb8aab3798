//! Laws of the text scanners: cuts keep every record whole, batches change nothing, damaged bytes
//! give errors and never panics.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::collections::BTreeMap;

use assay_metrics::TableState;
use assay_model::dataset::{
    Dataset, DatasetStatus, Format, FormatKind, LimitPolicy, Location, Partitioning, Profile,
    RunPolicy, ScanPolicy, Source,
};
use assay_model::ids::DatasetId;
use assay_model::metric::{Metric, MetricKey};
use assay_model::partition::{Part, Partition};
use assay_scan::object::ReadAt;
use assay_scan::{ScanContext, ScanError, text};
use proptest::prelude::*;

struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn path(&self) -> &str {
        "memory"
    }
    fn size(&self) -> u64 {
        self.0.len() as u64
    }
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ScanError> {
        let from = offset as usize;
        buffer.copy_from_slice(&self.0[from..from + buffer.len()]);
        Ok(())
    }
}

fn dataset(kind: FormatKind) -> Dataset {
    Dataset {
        others: Vec::new(),
        storage: assay_model::dataset::StoragePolicy::default(),
        id: DatasetId::new("laws").unwrap(),
        version: "1.0.0".to_owned(),
        status: DatasetStatus::Draft,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Source {
            credential: None,
            server: "local".to_owned(),
            location: Location::Local {
                path: "/".to_owned(),
            },
            format: Format::of(kind),
        },
        partitions: Partitioning::default(),
        columns: Vec::new(),
        checks: Vec::new(),
        profile: Profile::default(),
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    }
}

fn measure(dataset: &Dataset, bytes: &Bytes, parts: &[Part]) -> Result<TableState, ScanError> {
    let mut states = BTreeMap::new();
    for part in parts {
        let context = ScanContext::default();
        text::measure(
            dataset,
            &[Partition::all()],
            bytes,
            *part,
            &context,
            &mut states,
        )?;
    }
    Ok(states.into_values().next().unwrap_or_default())
}

/// A parser that knows nothing of blocks: records of fields, one byte after another.
fn naive(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut within, mut chars) = (false, text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if within && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' => within = !within,
            ',' if !within => record.push(std::mem::take(&mut field)),
            '\r' if !within && chars.peek() == Some(&'\n') => {}
            '\n' if !within => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            c => field.push(c),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    records
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-zä€]{1,12}",
        "-?[0-9]{1,6}",
        "-?[0-9]{1,4}\\.[0-9]{1,6}",
        "[a-z,\n\r\"]{0,20}".prop_map(|text| format!("\"{}\"", text.replace('"', "\"\""))),
    ]
}

fn table() -> impl Strategy<Value = String> {
    let rows = prop::collection::vec((field(), field(), field()), 0..60);
    (rows, prop_oneof![Just("\n"), Just("\r\n")], any::<bool>()).prop_map(|(rows, end, last)| {
        let mut text = format!("a,b,c{end}");
        for (a, b, c) in rows {
            text.push_str(&format!("{a},{b},{c}{end}"));
        }
        if last {
            text
        } else {
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
    })
}

/// So many cases, unless `PROPTEST_CASES` says otherwise.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(usual))
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn a_cut_never_splits_or_drops_a_record(text in table(), target in 1u64..400) {
        let dataset = dataset(FormatKind::Csv);
        let bytes = Bytes(text.clone().into_bytes());
        let parts = text::cut::cut(&dataset, &bytes, target, &ScanContext::default()).unwrap();
        let mut joined = Vec::new();
        let mut at = 0;
        for (part, size) in &parts {
            let (start, end) = match *part {
                Part::Bytes { start, end } => (start, end),
                _ => (0, bytes.size()),
            };
            prop_assert_eq!((start, end - start), (at, *size));
            at = end;
            joined.extend(naive(&text[start as usize..end as usize]));
        }
        prop_assert_eq!(at, bytes.size());
        prop_assert_eq!(joined, naive(&text));
    }

    #[test]
    fn batches_change_nothing_and_counts_are_those_of_a_naive_parser(
        text in table(), target in 1u64..400,
    ) {
        let dataset = dataset(FormatKind::Csv);
        let bytes = Bytes(text.clone().into_bytes());
        let whole = measure(&dataset, &bytes, &[Part::Whole]).unwrap();
        let cut = text::cut::cut(&dataset, &bytes, target, &ScanContext::default()).unwrap();
        let parts: Vec<Part> = cut.into_iter().map(|(part, _)| part).collect();
        let merged = measure(&dataset, &bytes, &parts).unwrap();
        prop_assert_eq!(merged.encode(), whole.encode());
        let records = naive(&text);
        prop_assert_eq!(whole.rows as usize, records.len() - 1);
        for (column, name) in ["a", "b", "c"].iter().enumerate() {
            let nulls = records[1..].iter().filter(|record| record[column].is_empty()).count();
            prop_assert_eq!(whole.columns[*name].counts.nulls as usize, nulls);
            let lengths = records[1..].iter().map(|record| record[column].chars().count() as u128);
            let total = whole.columns[*name].text_lengths().unwrap().chars().map_or(0, |c| c.total);
            prop_assert_eq!(total, lengths.sum::<u128>());
        }
    }

    #[test]
    fn damaged_bytes_never_panic(
        mut text in prop::collection::vec(any::<u8>(), 0..400),
        seed in table(), at in 0usize..200, kind in 0usize..2,
    ) {
        let place = at.min(text.len());
        text.splice(place..place, seed.into_bytes());
        let dataset = dataset([FormatKind::Csv, FormatKind::Ndjson][kind]);
        let _ = measure(&dataset, &Bytes(text), &[Part::Whole]);
    }

    #[test]
    fn json_lines_in_any_batches_give_the_same_state(
        rows in prop::collection::vec((any::<Option<i64>>(), "[a-z\"\\\\]{0,8}", any::<bool>()), 1..40),
        target in 1u64..300,
    ) {
        let mut text = String::new();
        for (number, word, both) in &rows {
            let mut object = serde_json::json!({ "n": number, "deep": { "w": [word] } });
            if *both { object["w"] = serde_json::json!(word); }
            text.push_str(&format!("{object}\n\n"));
        }
        let mut dataset = dataset(FormatKind::Ndjson);
        let asked = [
            MetricKey::column(Metric::DuplicateCount, "n,w"),
            MetricKey::column(Metric::InvalidCount, "w").with_args(&serde_json::json!({"maxLength": 3})),
        ];
        dataset.checks = asked.into_iter().map(common::check).collect();
        let bytes = Bytes(text.into_bytes());
        let whole = measure(&dataset, &bytes, &[Part::Whole]).unwrap();
        prop_assert_eq!(whole.rows as usize, rows.len());
        let sum: i128 = rows.iter().filter_map(|(n, ..)| n.map(i128::from)).sum();
        let nulls = rows.iter().filter(|(n, ..)| n.is_none()).count();
        prop_assert_eq!(whole.columns["n"].counts.nulls as usize, nulls);
        if nulls < rows.len() {
            let found = whole.columns["n"].sum().unwrap().unwrap().value;
            prop_assert_eq!(found, assay_metrics::SumValue::Int(sum.to_string()));
        }
        let cut = text::cut::cut(&dataset, &bytes, target, &ScanContext::default()).unwrap();
        let parts: Vec<Part> = cut.into_iter().map(|(part, _)| part).collect();
        let merged = measure(&dataset, &bytes, &parts).unwrap();
        prop_assert_eq!(merged.encode(), whole.encode());
        let mut filled = merged;
        filled.fill_unnamed();
        let without = rows.iter().filter(|(.., both)| !both).count();
        if without < rows.len() {
            prop_assert_eq!(filled.columns["w"].counts.nulls as usize, without);
            prop_assert_eq!(filled.rows_without("w"), 0);
        }
    }
}

fn refused(kind: FormatKind, text: &[u8]) -> String {
    measure(&dataset(kind), &Bytes(text.to_vec()), &[Part::Whole])
        .unwrap_err()
        .to_string()
}

#[test]
fn errors_name_the_line_the_counts_and_the_byte() {
    let uneven = refused(FormatKind::Csv, b"a,b\n1,2\n3\n");
    assert!(
        uneven.contains("line 3") && uneven.contains("1 field, 2 are expected"),
        "{uneven}"
    );
    let stray = refused(FormatKind::Csv, b"a,b\n1,x\"y\"\n");
    assert!(
        stray.contains("line 2") && stray.contains("\"b\""),
        "{stray}"
    );
    let open = refused(FormatKind::Csv, b"a,b\n1,\"x\n2,3\n");
    assert!(
        open.contains("never closed") && open.contains("line 2"),
        "{open}"
    );
    let bytes = refused(FormatKind::Csv, b"a\nx\n\xff\n");
    assert!(
        bytes.contains("line 3") && bytes.contains("offset 4"),
        "{bytes}"
    );
    assert!(refused(FormatKind::Csv, b"").contains("header"));
    for lines in [&b"a,b\r1,2\r3,4\r"[..], b"a,b\r1,2", b"a\r,b\n1,2\n"] {
        let old = refused(FormatKind::Csv, lines);
        assert!(old.contains("carriage return"), "{old}");
    }
    let json = refused(FormatKind::Ndjson, b"{\"a\":1}\n{\"a\":}\n");
    assert!(
        json.contains("line 2") && json.contains("character"),
        "{json}"
    );
    assert!(refused(FormatKind::Ndjson, b"{\"a\":1,\"a\":2}\n").contains("twice"));
    assert!(refused(FormatKind::Ndjson, b"[1]\n").contains("JSON object"));
}

#[test]
fn a_record_longer_than_the_budget_is_an_error_and_a_long_one_is_not() {
    let dataset = dataset(FormatKind::Csv);
    let text = format!("a\n{}\n", "x".repeat(3 << 20));
    let bytes = Bytes(text.into_bytes());
    assert_eq!(measure(&dataset, &bytes, &[Part::Whole]).unwrap().rows, 1);
    let context = ScanContext::new(4 << 20);
    let mut states = BTreeMap::new();
    let error = text::measure(
        &dataset,
        &[Partition::all()],
        &bytes,
        Part::Whole,
        &context,
        &mut states,
    );
    assert!(error.unwrap_err().to_string().contains("longer than"));
}

#[test]
fn a_new_name_on_every_line_costs_no_more_than_the_lines_and_too_many_are_refused() {
    let line = |i: usize| format!("{{\"k{i:05}\":1}}\n");
    let few: String = (0..9_000).map(line).collect();
    let dataset = dataset(FormatKind::Ndjson);
    let mut lean = dataset.clone();
    lean.profile.metrics = Vec::new();
    let started = std::time::Instant::now();
    let mut state = measure(&lean, &Bytes(few.into_bytes()), &[Part::Whole]).unwrap();
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    state.fill_unnamed();
    assert_eq!((state.rows, state.columns.len()), (9_000, 9_000));
    assert_eq!(state.columns["k08999"].counts.nulls, 8_999);
    let many: String = (0..20_000).map(line).collect();
    let error = measure(&dataset, &Bytes(many.into_bytes()), &[Part::Whole]).unwrap_err();
    assert!(matches!(error, ScanError::Unsupported { .. }), "{error}");
    let said = error.to_string();
    assert!(
        said.contains("more than 10000 columns") && said.contains("line 10001"),
        "{said}"
    );
}
