//! Writes the demonstration's orders: one Parquet file a day, seeded by the day.
//!
//! Comes in: a folder and a day of the story. Goes out: `dt=YYYY-MM-DD/part-0.parquet` in it. It
//! must never write elsewhere, and gives the same bytes for the same day and revision.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringBuilder, StringDictionaryBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use jiff::civil::date;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::story::{Day, Fault};

/// Where the draws of the first day begin, of each other day as many further as it is days later. One
/// with which nothing leaves its limits by chance, whatever weekday the story ends on.
const SEED: u64 = 3_000;
const COUNTRIES: [&str; 12] = [
    "DE", "FR", "NL", "IT", "ES", "PL", "AT", "BE", "SE", "DK", "CZ", "PT",
];
const STATUSES: [&str; 5] = ["placed", "paid", "shipped", "delivered", "cancelled"];

/// Writes `day` under `folder`; returns the rows and bytes written, if it came at all.
///
/// `revision` 0 is the first delivery; a later one carries a tenth more rows.
pub fn write_day(folder: &Path, day: &Day, revision: u32) -> Result<Option<(usize, u64)>> {
    if day.fault == Some(Fault::NeverCame) {
        return Ok(None);
    }
    let mut rng = StdRng::seed_from_u64(SEED + day.index as u64);
    let mut rows = day.rows(normal(&mut rng));
    match day.fault {
        Some(Fault::HalfTheRows) => rows /= 2,
        Some(Fault::Empty) => rows = 0,
        _ => {}
    }
    if revision > 0 {
        rows += rows / 10;
    }
    let batch = orders(day, rows, &mut rng)?;
    let path = folder.join(format!("dt={}", day.date));
    fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let path = path.join("part-0.parquet");
    let bytes = write_file(&path, &batch)?;
    if day.fault == Some(Fault::Corrupt) {
        let cut = File::options().write(true).open(&path)?;
        cut.set_len(bytes * 6 / 10)?;
    }
    Ok(Some((rows, bytes)))
}

/// Writes beside the final name and renames, as a careful producer does.
fn write_file(path: &Path, batch: &RecordBatch) -> Result<u64> {
    let temporary: PathBuf = path.with_extension("tmp");
    let file = File::create(&temporary)
        .with_context(|| format!("cannot write {}", temporary.display()))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties))?;
    writer.write(batch)?;
    writer.close()?;
    fs::rename(&temporary, path)
        .with_context(|| format!("cannot move {} to its place", temporary.display()))?;
    Ok(fs::metadata(path)?.len())
}

/// A standard normal number (Box and Muller).
fn normal(rng: &mut StdRng) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn orders(day: &Day, rows: usize, rng: &mut StdRng) -> Result<RecordBatch> {
    let discount = if day.fault == Some(Fault::RenamedColumn) {
        "discount_pct"
    } else {
        "discount"
    };
    let first_id = 10_000_000 * (day.index as i64 + 1);
    let days_since_epoch = i64::from((day.date - date(1970, 1, 1)).get_days());
    let ids = Int64Array::from_iter_values((0..rows as i64).map(|i| first_id + i));
    let customers =
        Int64Array::from_iter_values((0..rows).map(|_| rng.random_range(1..400_000_i64)));
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("order_id", Arc::new(ids), false),
        (
            "customer_email",
            Arc::new(emails(day, &customers, rng)),
            true,
        ),
        ("customer_id", Arc::new(customers), false),
        (
            "country",
            Arc::new(words(&COUNTRIES, rows, 0.35, rng)?),
            true,
        ),
        ("status", Arc::new(words(&STATUSES, rows, 0.30, rng)?), true),
        ("amount", Arc::new(amounts(day, rows, rng)?), true),
        ("quantity", Arc::new(quantities(rows, rng)), false),
        (discount, Arc::new(discounts(rows, rng)), true),
        (
            "ordered_at",
            Arc::new(times(days_since_epoch, rows, rng)),
            false,
        ),
        (
            "delivery_date",
            Arc::new(delivery_dates(days_since_epoch, rows, rng)),
            true,
        ),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

fn emails(day: &Day, customers: &Int64Array, rng: &mut StdRng) -> arrow::array::StringArray {
    let share = if day.fault == Some(Fault::NullSpike) {
        1.0 / 6.0
    } else {
        0.012
    };
    let mut builder = StringBuilder::new();
    for customer in customers.values() {
        if rng.random_bool(share) {
            builder.append_null();
        } else {
            builder.append_value(format!("c{customer}@mail{}.example", customer % 97));
        }
    }
    builder.finish()
}

/// Words, the first the commonest, each next one `1 - p` as common as the one before.
fn words(
    list: &[&str],
    rows: usize,
    p: f64,
    rng: &mut StdRng,
) -> Result<arrow::array::DictionaryArray<Int32Type>> {
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    for _ in 0..rows {
        let mut at = 0;
        while at + 1 < list.len() && !rng.random_bool(p) {
            at += 1;
        }
        builder.append(list[at])?;
    }
    Ok(builder.finish())
}

fn amounts(day: &Day, rows: usize, rng: &mut StdRng) -> Result<Decimal128Array> {
    let factor = if day.fault == Some(Fault::TimesHundred) {
        100.0
    } else {
        1.0
    };
    let cents = (0..rows).map(|_| {
        let euros = (3.4 + 0.8 * normal(rng)).exp();
        Some((euros * 100.0 * factor).round() as i128)
    });
    Ok(Decimal128Array::from_iter(cents).with_precision_and_scale(14, 2)?)
}

fn quantities(rows: usize, rng: &mut StdRng) -> Int32Array {
    Int32Array::from_iter_values((0..rows).map(|_| {
        let mut pieces = 1;
        while pieces < 20 && rng.random_bool(0.4) {
            pieces += 1;
        }
        pieces
    }))
}

fn discounts(rows: usize, rng: &mut StdRng) -> Float64Array {
    (0..rows)
        .map(|_| {
            rng.random_bool(0.3)
                .then(|| f64::from(rng.random_range(1..=60_u32)) / 200.0)
        })
        .collect()
}

fn times(day: i64, rows: usize, rng: &mut StdRng) -> TimestampMicrosecondArray {
    let midnight = day * 86_400_000_000;
    let mut at: Vec<i64> = (0..rows)
        .map(|_| midnight + rng.random_range(0..86_400_000_000_i64))
        .collect();
    at.sort_unstable();
    TimestampMicrosecondArray::from(at).with_timezone("UTC")
}

fn delivery_dates(day: i64, rows: usize, rng: &mut StdRng) -> Date32Array {
    (0..rows)
        .map(|_| (!rng.random_bool(0.05)).then(|| day as i32 + rng.random_range(1..=9_i32)))
        .collect()
}
