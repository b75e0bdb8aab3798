//! Random tables, written in every way that the writer knows, against sums that a child could do.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal32Array, Decimal64Array,
    Decimal128Array, Decimal256Array, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::i256;
use assay_metrics::{ColumnState, Scalar, SumValue};
use assay_model::dataset::FormatKind;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use proptest::prelude::*;

/// What a column holds, as a child would note it down.
enum Notes {
    /// Whole numbers, decimals, dates and times by their digits; `summed` if they have a sum.
    Digits(Vec<Option<i128>>, bool),
    Floats(Vec<Option<f64>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

/// A number that depends on every bit of `seed` and `salt`.
fn mix(seed: u64, salt: u64) -> u64 {
    let mut bits = seed ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..3 {
        bits = (bits ^ (bits >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    bits ^ (bits >> 32)
}

/// Values for a column: NULL in a fifth of the rows, unless the column is one without NULLs.
fn values<T>(rows: &[u64], salt: u64, make: impl Fn(u64) -> T) -> Vec<Option<T>> {
    let value = |(row, seed): (usize, &u64)| {
        let null = !salt.is_multiple_of(3) && mix(row as u64, salt + 1000).is_multiple_of(5);
        (!null).then(|| make(mix(*seed, salt)))
    };
    rows.iter().enumerate().map(value).collect()
}

/// A whole number in a range, its ends now and then.
fn within(bits: u64, low: i128, high: i128) -> i128 {
    match bits % 16 {
        0 => low,
        1 => high,
        _ => {
            low + i128::from(bits)
                .wrapping_mul(0x1_0000_0001_0000_0001)
                .rem_euclid(high - low + 1)
        }
    }
}

fn digits<T>(values: &[Option<T>], to: impl Fn(&T) -> i128) -> Vec<Option<i128>> {
    values.iter().map(|value| value.as_ref().map(&to)).collect()
}

type Column = (String, ArrayRef, Notes);

macro_rules! whole_numbers {
    ($columns:ident, $rows:ident, $($name:literal $salt:literal $array:ident $type:ty),*) => {$(
        let own = values($rows, $salt, |bits| {
            within(bits, i128::from(<$type>::MIN), i128::from(<$type>::MAX)) as $type
        });
        let notes = Notes::Digits(digits(&own, |value| i128::from(*value)), true);
        $columns.push(($name.to_owned(), Arc::new($array::from(own)) as ArrayRef, notes));
    )*};
}

macro_rules! decimals {
    ($columns:ident, $rows:ident, $($name:literal $salt:literal $array:ident $type:ty, $precision:literal $most:literal),*) => {$(
        let most = 10i128.pow($most) - 1;
        let own = values($rows, $salt, |bits| within(bits, -most, most));
        let stored: Vec<Option<$type>> = own
            .iter()
            .map(|value| value.map(|value| <$type>::try_from(value).unwrap()))
            .collect();
        let array = $array::from(stored).with_precision_and_scale($precision, 2).unwrap();
        $columns.push(($name.to_owned(), Arc::new(array) as ArrayRef, Notes::Digits(own, true)));
    )*};
}

macro_rules! times {
    ($columns:ident, $rows:ident, $($name:literal $salt:literal $array:ident $nanos:literal),*) => {$(
        let own = values($rows, $salt, |bits| within(bits, -4_000_000_000_000, 4_000_000_000_000) as i64);
        let notes = Notes::Digits(digits(&own, |value| i128::from(*value) * $nanos), false);
        $columns.push(($name.to_owned(), Arc::new($array::from(own)) as ArrayRef, notes));
    )*};
}

fn columns(rows: &[u64]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    whole_numbers!(columns, rows,
        "i8" 0 Int8Array i8, "i16" 1 Int16Array i16, "i32" 2 Int32Array i32, "i64" 3 Int64Array i64,
        "u8" 4 UInt8Array u8, "u16" 5 UInt16Array u16, "u32" 6 UInt32Array u32, "u64" 7 UInt64Array u64);
    decimals!(columns, rows,
        "d32" 8 Decimal32Array i32, 9 9, "d64" 9 Decimal64Array i64, 18 18,
        "d128_small" 10 Decimal128Array i128, 7 7, "d128_mid" 11 Decimal128Array i128, 17 17,
        "d128" 12 Decimal128Array i128, 38 35);
    times!(columns, rows,
        "ms" 13 TimestampMillisecondArray 1_000_000, "us" 14 TimestampMicrosecondArray 1_000,
        "ns" 15 TimestampNanosecondArray 1);
    let own = values(rows, 16, |bits| {
        within(bits, -10i128.pow(30), 10i128.pow(30))
    });
    let stored: Vec<Option<i256>> = own.iter().map(|v| v.map(i256::from_i128)).collect();
    let array = Decimal256Array::from(stored)
        .with_precision_and_scale(60, 2)
        .unwrap();
    columns.push(("d256".to_owned(), Arc::new(array), Notes::Digits(own, true)));
    let own = values(rows, 17, |bits| within(bits, -100_000, 100_000) as i32);
    let notes = Notes::Digits(digits(&own, |value| i128::from(*value)), false);
    columns.push(("date".to_owned(), Arc::new(Date32Array::from(own)), notes));
    let own = values(rows, 18, |bits| bits % 3 == 0);
    let notes = Notes::Digits(digits(&own, |value| i128::from(*value)), false);
    columns.push(("bool".to_owned(), Arc::new(BooleanArray::from(own)), notes));
    // Quarters: their sums are exact in any order, in single precision, too.
    let float = |bits: u64| match bits % 12 {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => f64::NEG_INFINITY,
        3 => -0.0,
        _ => within(bits, -4_000_000, 4_000_000) as f64 / 4.0,
    };
    let own = values(rows, 19, float);
    let array = Arc::new(Float64Array::from(own.clone()));
    columns.push(("f64".to_owned(), array, Notes::Floats(own)));
    let own = values(rows, 20, float);
    let single: Vec<Option<f32>> = own.iter().map(|v| v.map(|v| v as f32)).collect();
    let array = Arc::new(Float32Array::from(single));
    columns.push(("f32".to_owned(), array, Notes::Floats(own)));
    let own = values(rows, 22, |bits| {
        "käse€".repeat((bits % 4) as usize) + &(bits % 97).to_string()
    });
    let notes = own
        .iter()
        .map(|v| v.as_ref().map(|v| v.as_bytes().to_vec()))
        .collect();
    columns.push((
        "text".to_owned(),
        Arc::new(StringArray::from(own)),
        Notes::Bytes(notes),
    ));
    let own = values(rows, 23, |bits| {
        bits.to_le_bytes()[..(bits % 9) as usize].to_vec()
    });
    let array = BinaryArray::from(own.iter().map(|v| v.as_deref()).collect::<Vec<_>>());
    columns.push(("binary".to_owned(), Arc::new(array), Notes::Bytes(own)));
    columns
}

fn properties() -> impl Strategy<Value = WriterProperties> {
    let compression = prop_oneof![
        Just(Compression::UNCOMPRESSED),
        Just(Compression::SNAPPY),
        Just(Compression::ZSTD(ZstdLevel::default())),
        Just(Compression::LZ4_RAW),
        Just(Compression::GZIP(GzipLevel::default())),
        Just(Compression::BROTLI(BrotliLevel::default())),
    ];
    let sizes = (20usize..2000, 1usize..300, 1usize..300);
    let statistics = prop_oneof![
        Just(EnabledStatistics::None),
        Just(EnabledStatistics::Chunk),
        Just(EnabledStatistics::Page)
    ];
    (compression, any::<bool>(), any::<bool>(), sizes, statistics).prop_map(
        |(compression, dictionary, old, (page, page_rows, group), statistics)| {
            let version = if old {
                WriterVersion::PARQUET_1_0
            } else {
                WriterVersion::PARQUET_2_0
            };
            WriterProperties::builder()
                .set_compression(compression)
                .set_dictionary_enabled(dictionary)
                .set_dictionary_page_size_limit(page)
                .set_writer_version(version)
                .set_data_page_size_limit(page)
                .set_data_page_row_count_limit(page_rows)
                .set_write_batch_size(16)
                .set_max_row_group_row_count(Some(group))
                .set_statistics_enabled(statistics)
                .build()
        },
    )
}

/// Rows of a few values, as dictionaries like them, or of ever new ones.
fn rows() -> impl Strategy<Value = Vec<u64>> {
    prop_oneof![
        prop::collection::vec(0u64..7, 0..300),
        prop::collection::vec(any::<u64>(), 0..300),
    ]
}

/// A decimal text as its digits with two decimals.
fn cents(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<2}").parse().unwrap()
}

fn shown(scalar: &Scalar, scale: usize) -> String {
    match scalar {
        Scalar::Bool(value) => i128::from(*value).to_string(),
        Scalar::Int(_) if scale == 0 => scalar.to_string(),
        Scalar::Int(_) | Scalar::Decimal { .. } => cents(&scalar.to_string()).to_string(),
        Scalar::Float(value) => format!("{value:?}"),
        Scalar::Date(days) => days.to_string(),
        Scalar::Timestamp(nanos) => nanos.to_string(),
        Scalar::Text(bound) => format!("{:?}", bound.bytes),
        Scalar::Time(_) => "a time".to_owned(),
    }
}

fn close(name: &str, got: Option<f64>, wanted: Option<f64>) {
    match (got, wanted) {
        (None, None) => {}
        (Some(got), Some(wanted)) if (got - wanted).abs() <= wanted.abs() * 1e-13 => {}
        (got, wanted) => panic!("mean of {name}: {got:?} instead of {wanted:?}"),
    }
}

fn verify(name: &str, state: &ColumnState, notes: &Notes) {
    let scale = if name.starts_with('d') && name != "date" {
        2
    } else {
        0
    };
    let range = state.extremes().unwrap().map(|both| both.value);
    let range = range.map(|(low, high)| (shown(&low, scale), shown(&high, scale)));
    let (all, present, distinct, least);
    match notes {
        Notes::Digits(values, summed) => {
            let known: Vec<i128> = values.iter().flatten().copied().collect();
            (all, present) = (values.len(), known.len());
            distinct = known.iter().collect::<BTreeSet<_>>().len();
            let ends = known.iter().min().zip(known.iter().max());
            least = ends.map(|(low, high)| (low.to_string(), high.to_string()));
            if *summed {
                let sum: i128 = known.iter().sum();
                let got = state.sum().unwrap().map(|sum| match sum.value {
                    SumValue::Int(text) if scale == 0 => text,
                    SumValue::Int(text) | SumValue::Decimal(text) => cents(&text).to_string(),
                    SumValue::Float(value) => format!("{value} as a double"),
                });
                assert_eq!(got, (present > 0).then(|| sum.to_string()), "sum of {name}");
                let mean = sum as f64 / 10f64.powi(scale as i32) / present as f64;
                let got = state.mean().unwrap().map(|mean| mean.value);
                close(name, got, (present > 0).then_some(mean));
            }
        }
        Notes::Floats(values) => {
            let known: Vec<f64> = values.iter().flatten().copied().collect();
            (all, present) = (values.len(), known.len());
            let same = |v: &f64| {
                if v.is_nan() {
                    u64::MAX
                } else {
                    (v + 0.0).to_bits()
                }
            };
            distinct = known.iter().map(same).collect::<BTreeSet<_>>().len();
            let finite: Vec<f64> = known
                .iter()
                .filter(|v| v.is_finite())
                .map(|v| v + 0.0)
                .collect();
            let low = finite.iter().copied().reduce(f64::min);
            let high = finite.iter().copied().reduce(f64::max);
            least = low
                .zip(high)
                .map(|(l, h)| (format!("{l:?}"), format!("{h:?}")));
            let sum = (!finite.is_empty()).then(|| finite.iter().sum::<f64>());
            let got = state.sum().unwrap().map(|sum| sum.value.to_f64());
            assert_eq!(got, sum, "sum of {name}");
            let got = state.mean().unwrap().map(|mean| mean.value);
            close(name, got, sum.map(|sum| sum / finite.len() as f64));
            assert_eq!(state.left_out(), (present - finite.len()) as u64);
            let nan = known.iter().filter(|v| v.is_nan()).count() as u64;
            assert_eq!(state.nan_count().unwrap(), nan);
        }
        Notes::Bytes(values) => {
            let known: Vec<&Vec<u8>> = values.iter().flatten().collect();
            (all, present) = (values.len(), known.len());
            distinct = known.iter().collect::<BTreeSet<_>>().len();
            let ends = known.iter().min().zip(known.iter().max());
            least = ends.map(|(low, high)| (format!("{low:?}"), format!("{high:?}")));
        }
    }
    assert_eq!(state.counts.rows, all as u64, "rows of {name}");
    assert_eq!(
        state.counts.nulls,
        (all - present) as u64,
        "NULLs of {name}"
    );
    assert_eq!(
        state.distinct_count().unwrap(),
        (distinct as u64, None),
        "distinct {name}"
    );
    let duplicates = state.duplicates().unwrap().duplicates;
    assert_eq!(
        duplicates,
        (present - distinct) as u64,
        "duplicates of {name}"
    );
    assert_eq!(range, least, "range of {name}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_way_to_write_a_table_gives_the_metrics_of_its_values(
        rows in rows(),
        properties in properties(),
        target in prop_oneof![Just(1u64), Just(5_000), Just(u64::MAX)],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let columns = columns(&rows);
        let arrays = columns.iter().map(|(name, array, _)| (name.as_str(), array.clone(), true));
        let batch = RecordBatch::try_from_iter_with_nullable(arrays).unwrap();
        let groups = rows.len().div_ceil(properties.max_row_group_row_count().unwrap());
        common::write(&folder.path().join("a.parquet"), &[batch], properties);

        let mut dataset = common::dataset(folder.path(), FormatKind::Parquet);
        let whole = common::whole(&dataset);
        prop_assert_eq!(whole.rows, rows.len() as u64);
        for (name, _, notes) in &columns {
            verify(name, &whole.columns[name], notes);
        }
        dataset.scan.target_bytes = target;
        let cut = common::run(&dataset).unwrap();
        if target == 1 {
            prop_assert_eq!(cut.plan.measures.len(), groups.max(1));
        }
        let merged = cut.states.into_values().next().unwrap();
        prop_assert_eq!(merged.encode(), { let mut whole = whole; whole.bytes = merged.bytes; whole }.encode());
    }
}
