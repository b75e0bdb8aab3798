//! Bytes from anywhere give a state or a typed error: no panic, and no memory beyond their size.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use assay_metrics::{
    Answer, AnswerValue, ColumnState, DecodeError, Distinct, FloatSum, Number, Quantiles, Range,
    RuleCount, Schema, State, TablePlan, TableState, Uniqueness, Wants,
};
use proptest::prelude::*;

fn rich(values: &[i64]) -> TableState {
    let plan = TablePlan {
        distinct_limit: 9,
        ..TablePlan::default()
    };
    let mut table = TableState {
        rows: values.len() as u64,
        bytes: 77,
        files: 1,
        ..TableState::default()
    };
    let mut column = ColumnState::new(&Wants::ALL, &plan);
    column.add_rows(values.len() as u64, 0);
    column.add_ints(values);
    column.add_decimals(&[12345], 2);
    let floats: Vec<f64> = values.iter().map(|value| *value as f64 * 0.1).collect();
    column.add_floats(&floats);
    column.add_text("é long".as_bytes(), 2);
    column.add_field(b"7", Number::Int(7), false, 1);
    column.add_dates(&[1]);
    column.rules.add(
        "r",
        RuleCount {
            rows: 1,
            tested: 1,
            matched: 0,
        },
    );
    table.columns.insert("c".into(), column);
    table.keys.insert("k".into(), Uniqueness::default());
    table.schema.add_file();
    table.schema.add_column("c", "int64", true, 0);
    table.flag("malformedRows", 3);
    table
}

/// Reads the bytes as each kind of state, past the checksum of the table.
fn read_as_everything(bytes: &[u8]) {
    fn one<S: State>(bytes: &[u8]) {
        if let Ok(state) = S::from_bytes(bytes) {
            let mut merged = state.clone();
            merged.merge(&state);
            let _ = merged.to_bytes();
            assert!(S::from_bytes(&state.to_bytes()).as_ref() == Ok(&state));
        }
    }
    one::<TableState>(bytes);
    one::<ColumnState>(bytes);
    one::<Range>(bytes);
    one::<Distinct>(bytes);
    one::<Quantiles>(bytes);
    one::<Uniqueness>(bytes);
    one::<FloatSum>(bytes);
    one::<Schema>(bytes);
    if let Ok(column) = ColumnState::from_bytes(bytes) {
        ask_everything(&column);
    }
    if let Ok(table) = TableState::from_bytes(bytes) {
        table.columns.values().for_each(ask_everything);
    }
}

fn ask_everything(column: &ColumnState) {
    let _ = (
        column.sum(),
        column.mean(),
        column.stddev(),
        column.variance(),
    );
    let _ = (
        column.extremes(),
        column.latest(),
        column.distinct_count(),
        column.quantile(0.5),
    );
    let _ = (
        column.duplicates(),
        column.null_percent(),
        column.nan_count(),
        column.rule("r"),
    );
    if let Ok(lengths) = column.text_lengths() {
        let _ = lengths.mean_chars();
    }
}

/// So many cases, unless `PROPTEST_CASES` says otherwise.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(usual))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..cases(2000) })]

    #[test]
    fn random_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_as_everything(&bytes);
        prop_assert!(TableState::decode(&bytes).is_err());
    }

    #[test]
    fn altered_states_do_not_panic(values in proptest::collection::vec(any::<i64>(), 0..20), at: prop::sample::Index, byte: u8, cut: bool) {
        let mut bytes = rich(&values).to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        read_as_everything(&bytes);
    }

    #[test]
    fn a_flipped_bit_is_found(values in proptest::collection::vec(any::<i64>(), 0..20), at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = rich(&values).encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(TableState::decode(&bytes).is_err());
    }

    #[test]
    fn a_cut_or_lengthened_state_is_found(values in proptest::collection::vec(any::<i64>(), 0..20), at: prop::sample::Index) {
        let table = rich(&values);
        let mut bytes = table.encode();
        prop_assert!(TableState::decode(&bytes).unwrap() == table);
        prop_assert!(TableState::decode(&bytes[..at.index(bytes.len())]).is_err());
        bytes.push(0);
        prop_assert!(TableState::decode(&bytes).is_err());
    }
}

#[test]
fn another_version_is_named() {
    let mut bytes = TableState::default().encode();
    bytes[4] = 9;
    let error = TableState::decode(&bytes).unwrap_err();
    assert_eq!(
        error,
        DecodeError::Version {
            found: 9,
            supported: 2
        }
    );
    assert!(error.to_string().contains("scan the batch again"));
}

#[test]
fn a_state_with_answers_and_filtered_rows_reads_back_and_one_without_is_of_the_first_version() {
    let mut table = rich(&[1, 2, 3]);
    assert_eq!(table.encode()[4], 1);
    let answer = |value| Answer {
        value,
        samples: vec![r#"{"id":1}"#.to_owned()],
    };
    for (name, value) in [
        ("null", Ok(AnswerValue::Null)),
        (
            "exact",
            Ok(AnswerValue::Exact("18446744073709551616.5".to_owned())),
        ),
        ("float", Ok(AnswerValue::Float(f64::INFINITY))),
        ("failed", Err("it ran out of memory".to_owned())),
    ] {
        table.answers.insert(name.to_owned(), answer(value));
    }
    table.filtered.insert("a > 1".to_owned(), rich(&[2, 3]));
    let bytes = table.encode();
    assert_eq!(bytes[4], 2);
    assert!(TableState::decode(&bytes).unwrap() == table);
    for length in 0..bytes.len() {
        assert!(TableState::decode(&bytes[..length]).is_err());
    }
    read_as_everything(&table.to_bytes());
}

#[test]
fn a_length_beyond_the_bytes_reserves_nothing() {
    // Rows, bytes, files, then 2^63 columns.
    let mut bytes = vec![0, 0, 0];
    bytes.extend([0xff; 9]);
    bytes.push(0x01);
    assert!(matches!(
        TableState::from_bytes(&bytes),
        Err(DecodeError::Truncated { .. })
    ));
}

#[test]
fn the_encoding_of_version_one_is_pinned() {
    let mut sum = FloatSum::default();
    sum.add_slice(&[1.0, -0.5, f64::NAN]);
    // count 3, one NaN, then 0.5 = 2^1073 · 2^-1074 in two's complement.
    let mut expected = vec![3, 1, 0, 0, 0x87, 0x01];
    expected.extend([0; 134]);
    expected.push(0x02);
    assert_eq!(sum.to_bytes(), expected);
}
