//! Avro and Arrow files: the same rows give the same states as Parquet, and broken bytes an error.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    ListArray, RecordBatch, StringArray, StringViewArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, UInt64Array,
};
use arrow_avro::compression::CompressionCodec;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use assay_metrics::TableState;
use assay_model::check::{Bound, Expectation};
use assay_model::dataset::{Cadence, Dataset, FormatKind, Layout};
use assay_model::metric::{Metric, MetricKey};
use assay_scan::ScanError;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

/// Rows of types that both Parquet and Avro have, with NULLs.
fn shared(rows: std::ops::Range<i64>) -> Vec<(&'static str, ArrayRef)> {
    let some = |row: i64| row % 7 != 3;
    let ints = || {
        rows.clone()
            .map(move |row| some(row).then_some(row * 37 % 1001 - 400))
    };
    let texts = ["paid", "open", "käse", "", "n/a"];
    let text = |row: i64| some(row).then_some(texts[row as usize % 5]);
    let day = 86_400_000_000i64;
    let at = |row: i64| 1_700_000_000_000_000 + row * day / 10;
    let micros: TimestampMicrosecondArray = rows.clone().map(|row| Some(at(row))).collect();
    let decimals: Decimal128Array = ints().map(|v| v.map(i128::from)).collect();
    vec![
        ("l", Arc::new(ints().collect::<Int64Array>())),
        (
            "i",
            Arc::new(ints().map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
        ),
        (
            "d",
            Arc::new(
                ints()
                    .map(|v| v.map(|v| v as f64 / 8.0))
                    .collect::<Float64Array>(),
            ),
        ),
        (
            "f",
            Arc::new(
                ints()
                    .map(|v| v.map(|v| v as f32 / 4.0))
                    .collect::<Float32Array>(),
            ),
        ),
        (
            "b",
            Arc::new(
                ints()
                    .map(|v| v.map(|v| v % 2 == 0))
                    .collect::<BooleanArray>(),
            ),
        ),
        (
            "s",
            Arc::new(rows.clone().map(text).collect::<StringArray>()),
        ),
        (
            "y",
            Arc::new(
                rows.clone()
                    .map(|r| text(r).map(str::as_bytes))
                    .collect::<BinaryArray>(),
            ),
        ),
        (
            "day",
            Arc::new(
                rows.clone()
                    .map(|r| Some(r as i32 / 5))
                    .collect::<Date32Array>(),
            ),
        ),
        ("at", Arc::new(micros.with_timezone("+00:00"))),
        (
            "p",
            Arc::new(decimals.with_precision_and_scale(12, 2).unwrap()),
        ),
    ]
}

/// The same with types that Arrow has besides.
fn all(rows: std::ops::Range<i64>) -> RecordBatch {
    let numbers = || {
        rows.clone()
            .map(|row| (row % 3 != 1).then_some(row * 11 % 97))
    };
    let words: Vec<Option<&str>> = rows
        .clone()
        .map(|row| (row % 5 != 2).then_some(["a", "bb", "a", "cc"][row as usize % 4]))
        .collect();
    let lists = rows
        .clone()
        .map(|row| (row % 4 != 0).then(|| vec![Some(row as i32), None]));
    let fixed = rows
        .clone()
        .map(|row| (row % 6 != 0).then_some([row as u8; 16]));
    let mut columns = shared(rows.clone());
    columns.extend([
        (
            "h",
            Arc::new(
                numbers()
                    .map(|v| v.map(|v| v as i16))
                    .collect::<Int16Array>(),
            ) as ArrayRef,
        ),
        (
            "u",
            Arc::new(
                numbers()
                    .map(|v| v.map(|v| u64::MAX - v as u64))
                    .collect::<UInt64Array>(),
            ),
        ),
        (
            "w",
            Arc::new(
                words
                    .iter()
                    .copied()
                    .collect::<DictionaryArray<Int32Type>>(),
            ),
        ),
        (
            "v",
            Arc::new(words.iter().copied().collect::<StringViewArray>()),
        ),
        (
            "t",
            Arc::new(
                numbers()
                    .map(|v| v.map(|v| v * 1_000_001))
                    .collect::<Time64MicrosecondArray>(),
            ),
        ),
        (
            "m",
            Arc::new(
                numbers()
                    .map(|v| v.map(|v| v * 86_400_123))
                    .collect::<TimestampMillisecondArray>(),
            ),
        ),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists)),
        ),
        (
            "x",
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed, 16).unwrap()),
        ),
    ]);
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

fn avro_rows(rows: std::ops::Range<i64>) -> RecordBatch {
    let columns = shared(rows)
        .into_iter()
        .map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn parquet(folder: &Path, batches: &[RecordBatch]) {
    common::write(
        &folder.join("a.parquet"),
        batches,
        WriterProperties::default(),
    );
}

fn ipc(folder: &Path, batches: &[RecordBatch], packed: Option<CompressionType>, stream: bool) {
    let file = File::create(folder.join("a.arrow")).unwrap();
    let options = IpcWriteOptions::default()
        .try_with_compression(packed)
        .unwrap();
    let schema = batches[0].schema();
    if stream {
        let mut to = StreamWriter::try_new_with_options(file, &schema, options).unwrap();
        batches.iter().for_each(|batch| to.write(batch).unwrap());
        to.finish().unwrap();
    } else {
        let mut to = FileWriter::try_new_with_options(file, &schema, options).unwrap();
        batches.iter().for_each(|batch| to.write(batch).unwrap());
        to.finish().unwrap();
    }
}

fn avro(folder: &Path, batches: &[RecordBatch], codec: Option<CompressionCodec>) {
    let file = File::create(folder.join("a.avro")).unwrap();
    let builder = arrow_avro::writer::WriterBuilder::new(batches[0].schema().as_ref().clone());
    let mut to = builder
        .with_compression(codec)
        .build::<_, arrow_avro::writer::format::AvroOcfFormat>(file)
        .unwrap();
    batches.iter().for_each(|batch| to.write(batch).unwrap());
    to.finish().unwrap();
}

/// A dataset that asks for everything, with rules and a key of two columns.
fn asking(folder: &Path, kind: FormatKind) -> Dataset {
    let mut dataset = common::dataset(folder, kind);
    dataset.source.location = assay_model::dataset::Location::Local {
        path: format!("{}/a.{}", folder.display(), kind),
    };
    let rule = |metric, column: &str, args: serde_json::Value| {
        common::check(MetricKey::column(metric, column).with_args(&args))
    };
    dataset.checks = vec![
        rule(
            Metric::MissingCount,
            "s",
            serde_json::json!({ "missingValues": ["n/a", ""] }),
        ),
        rule(
            Metric::InvalidCount,
            "l",
            serde_json::json!({ "min": "-10", "max": "300" }),
        ),
        rule(
            Metric::InvalidCount,
            "p",
            serde_json::json!({ "max": "1.5" }),
        ),
        common::check(MetricKey::column(Metric::DuplicateCount, "s,l")),
    ];
    dataset.checks[0].expect = Expectation::MustBe(Bound::new("0").unwrap());
    dataset
}

fn state_of(folder: &Path, kind: FormatKind) -> TableState {
    let mut state = common::whole(&asking(folder, kind));
    state.bytes = 0;
    // Parquet tells NULLs of columns that nothing else is asked of by their footers.
    state.flags.clear();
    // How a list is built up is told in each format's own words.
    state.schema.columns.remove("list");
    state
}

fn assert_same(one: &TableState, other: &TableState, what: &str) {
    assert_eq!(one.rows, other.rows, "{what}");
    for (name, column) in &one.columns {
        assert!(
            other.columns.get(name) == Some(column),
            "{what}: column {name}\n{column:?}\n{:?}",
            other.columns.get(name)
        );
    }
    assert!(one.keys == other.keys, "{what}: keys");
    assert_eq!(one.schema, other.schema, "{what}");
    assert!(one == other, "{what}");
}

#[test]
fn arrow_files_and_streams_give_the_states_of_parquet() {
    let folder = tempfile::tempdir().unwrap();
    // Slices share their dictionary: a file may have one of a column only.
    let whole = all(0..1001);
    let batches = [
        whole.slice(0, 900),
        whole.slice(900, 100),
        whole.slice(1000, 1),
    ];
    parquet(folder.path(), &batches);
    let truth = state_of(folder.path(), FormatKind::Parquet);
    assert_eq!(truth.rows, 1001);
    let packings = [
        None,
        Some(CompressionType::LZ4_FRAME),
        Some(CompressionType::ZSTD),
    ];
    for packed in packings {
        for stream in [false, true] {
            ipc(folder.path(), &batches, packed, stream);
            let found = state_of(folder.path(), FormatKind::Arrow);
            assert_same(&found, &truth, &format!("{packed:?}, stream: {stream}"));
        }
    }
}

#[test]
fn avro_files_give_the_states_of_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let batches = [avro_rows(0..9000), avro_rows(9000..20_001)];
    parquet(folder.path(), &batches);
    let truth = state_of(folder.path(), FormatKind::Parquet);
    let codecs = [
        None,
        Some(CompressionCodec::Deflate),
        Some(CompressionCodec::Snappy),
        Some(CompressionCodec::ZStandard),
    ];
    for codec in codecs {
        avro(folder.path(), &batches, codec);
        let found = state_of(folder.path(), FormatKind::Avro);
        assert_same(&found, &truth, &format!("{codec:?}"));
    }
}

#[test]
fn a_column_that_only_a_key_asks_for_is_not_fed() {
    let folder = tempfile::tempdir().unwrap();
    let batches = [avro_rows(0..300)];
    parquet(folder.path(), &batches);
    ipc(folder.path(), &batches, None, false);
    avro(folder.path(), &batches, None);
    let of = |kind| {
        let mut dataset = asking(folder.path(), kind);
        dataset.profile.metrics = vec![Metric::NullCount];
        dataset
            .checks
            .retain(|check| check.metric.column.contains(','));
        let mut state = common::whole(&dataset);
        state.bytes = 0;
        state.flags.clear();
        state
    };
    let truth = of(FormatKind::Parquet);
    assert_eq!((truth.keys.len(), truth.columns["s"].counts.read), (1, 0));
    for kind in [FormatKind::Arrow, FormatKind::Avro] {
        assert_same(&of(kind), &truth, kind.as_str());
    }
}

#[test]
fn partitions_that_a_column_tells_are_those_of_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let batches = [avro_rows(0..700), avro_rows(700..1000)];
    parquet(folder.path(), &batches);
    ipc(folder.path(), &batches, None, false);
    avro(folder.path(), &batches, None);
    let of = |kind: FormatKind, column: &str, granularity| {
        let mut dataset = asking(folder.path(), kind);
        dataset.partitions.layout = Layout::Column {
            column: column.to_owned(),
            granularity,
        };
        let mut states = common::run(&dataset).unwrap().states;
        for state in states.values_mut() {
            (state.bytes, state.files) = (0, 0);
            state.flags.clear();
        }
        states
    };
    for (column, granularity) in [
        ("day", Some(Cadence::Weekly)),
        ("at", Some(Cadence::Daily)),
        ("s", None),
    ] {
        let truth = of(FormatKind::Parquet, column, granularity);
        assert!(truth.len() > 3, "{column}: {}", truth.len());
        for kind in [FormatKind::Arrow, FormatKind::Avro] {
            let found = of(kind, column, granularity);
            assert_eq!(
                found.keys().collect::<Vec<_>>(),
                truth.keys().collect::<Vec<_>>()
            );
            for (key, state) in &truth {
                assert_same(&found[key], state, &format!("{kind} by {column}: {key}"));
            }
        }
    }
}

#[test]
fn a_file_that_was_cut_off_is_an_error_and_an_empty_one_a_partition_without_rows() {
    let folder = tempfile::tempdir().unwrap();
    let batches = [avro_rows(0..300)];
    ipc(folder.path(), &batches, None, true);
    avro(folder.path(), &batches, None);
    for kind in [FormatKind::Arrow, FormatKind::Avro] {
        let file = folder.path().join(format!("a.{kind}"));
        let whole = std::fs::read(&file).unwrap();
        for length in [0, 3, 10, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&file, &whole[..length]).unwrap();
            let error = common::run(&asking(folder.path(), kind)).err().unwrap();
            let text = error.to_string();
            assert!(
                matches!(error, ScanError::Corrupt { .. }),
                "{kind} of {length}: {text}"
            );
            assert!(text.contains(&format!("a.{kind}")), "{text}");
        }
    }
    let none = [avro_rows(0..0)];
    ipc(folder.path(), &none, None, false);
    avro(folder.path(), &none, None);
    for kind in [FormatKind::Arrow, FormatKind::Avro] {
        let state = state_of(folder.path(), kind);
        assert_eq!((state.rows, state.columns.len()), (0, 10), "{kind}");
    }
}

/// The library that reads the rows looks for an end that never comes in the first of these.
#[test]
fn an_avro_block_has_the_rows_that_it_declares() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.avro");
    for codec in [
        None,
        Some(CompressionCodec::Deflate),
        Some(CompressionCodec::Snappy),
        Some(CompressionCodec::ZStandard),
    ] {
        avro(folder.path(), &[avro_rows(0..50)], codec);
        let whole = std::fs::read(&file).unwrap();
        let mark = &whole[whole.len() - 16..];
        let block = whole.windows(16).position(|bytes| bytes == mark).unwrap() + 16;
        assert_eq!(whole[block], 100, "50 rows, as Avro writes it");
        for rows in [0u8, 1, 49, 51, 63] {
            let mut bytes = whole.clone();
            bytes[block] = rows * 2;
            std::fs::write(&file, &bytes).unwrap();
            let error = common::run(&asking(folder.path(), FormatKind::Avro)).err();
            let text = error.as_ref().unwrap().to_string();
            assert!(
                matches!(error, Some(ScanError::Corrupt { .. })),
                "{rows}: {text}"
            );
            assert!(
                rows > 50 || text.contains("more rows than"),
                "{rows}: {text}"
            );
        }
        // A checksum that does not fit what it is of.
        if codec == Some(CompressionCodec::Snappy) {
            let mut bytes = whole.clone();
            let at = bytes.len() - 17;
            bytes[at] ^= 1;
            std::fs::write(&file, &bytes).unwrap();
            let error = common::run(&asking(folder.path(), FormatKind::Avro)).err();
            assert!(error.unwrap().to_string().contains("checksum"));
        }
    }
}

/// An Avro file of one block, written by hand.
fn by_hand(schema: &str, rows: u8, block: &[u8]) -> Vec<u8> {
    let mut bytes = b"Obj\x01\x02\x16avro.schema".to_vec();
    let length = schema.len() * 2;
    bytes.extend([length as u8 | 0x80, (length >> 7) as u8]);
    bytes.extend(schema.as_bytes());
    bytes.push(0);
    bytes.extend([7; 16]);
    bytes.extend([rows * 2, block.len() as u8 * 2]);
    bytes.extend(block);
    bytes.extend([7; 16]);
    bytes
}

/// Of what takes no bytes a file may state any number.
#[test]
fn avro_rows_and_items_without_bytes_are_refused_and_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.avro");
    let field = |kind: &str| {
        format!(
            r#"{{"type": "record", "name": "row", "fields": [{{"name": "l", "type": {kind}}}]}}"#
        )
    };
    let endless = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0];
    for (kind, rows, block, said) in [
        (r#""null""#, 5, [].as_slice(), "rows take no bytes"),
        (
            r#"{"type": "array", "items": "null"}"#,
            1,
            endless.as_slice(),
            "items of a list",
        ),
        (r#""long""#, 5, &[], "declares 5 rows"),
    ] {
        std::fs::write(&file, by_hand(&field(kind), rows, block)).unwrap();
        let error = common::run(&asking(folder.path(), FormatKind::Avro)).err();
        let text = error.unwrap().to_string();
        assert!(text.contains(said), "{kind}: {text}");
    }
    std::fs::write(&file, by_hand(&field(r#""long""#), 3, &[2, 4, 6])).unwrap();
    let state = state_of(folder.path(), FormatKind::Avro);
    assert_eq!(state.rows, 3);
}

/// Each row of the file is read, whatever block it is said to be of.
#[test]
fn avro_blocks_that_are_read_together_are_counted_together() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.avro");
    let schema = r#"{"type": "record", "name": "row", "fields": [{"name": "l", "type": "long"}]}"#;
    // Two rows are declared, and three are there; or two, and the one that is there has two bytes.
    let (more, fewer) = ([2, 4, 6], [0x80, 1]);
    for alone in [more.as_slice(), &fewer] {
        std::fs::write(&file, by_hand(schema, 2, alone)).unwrap();
        let error = common::run(&asking(folder.path(), FormatKind::Avro)).err();
        assert!(matches!(error, Some(ScanError::Corrupt { .. })));
    }
    let mut both = by_hand(schema, 2, &more);
    both.extend([2 * 2, fewer.len() as u8 * 2]);
    both.extend(fewer);
    both.extend([7; 16]);
    std::fs::write(&file, both).unwrap();
    assert_eq!(state_of(folder.path(), FormatKind::Avro).rows, 4);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn broken_bytes_give_an_answer_or_an_error(
        kind in prop_oneof![Just(FormatKind::Arrow), Just(FormatKind::Avro)],
        packed: bool,
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let batches = [avro_rows(0..50)];
        match kind {
            FormatKind::Arrow => {
                let batches = [all(0..50)];
                ipc(folder.path(), &batches, packed.then_some(CompressionType::LZ4_FRAME), false);
            }
            _ => avro(folder.path(), &batches, packed.then_some(CompressionCodec::Deflate)),
        }
        let file = folder.path().join(format!("a.{kind}"));
        let mut bytes = std::fs::read(&file).unwrap();
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        std::fs::write(&file, &bytes).unwrap();
        // An answer or an error that names the file; no panic, no abort.
        if let Err(error) = common::run(&asking(folder.path(), kind)) {
            prop_assert!(error.to_string().contains("a."), "{}", error);
        }
    }
}
