//! Prints what each component costs per value, in nanoseconds: `cargo run --release -p
//! assay-metrics --example cost_per_value`. A figure to read, not a test.
#![expect(
    clippy::disallowed_methods,
    reason = "a stopwatch is the point of this program"
)]

use assay_metrics::{ColumnState, Distinct, Quantiles, State, TablePlan, TableState, Wants};
use assay_metrics::{FloatSquares, FloatSum, IntSquares, IntSum, Range, Uniqueness, hash};
use std::hint::black_box;
use std::time::Instant;

const VALUES: usize = 1 << 20;
const ROUNDS: usize = 20;
const BATCH: usize = 8192;

fn noise() -> impl FnMut() -> u64 {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

fn cost<T>(name: &str, values: &[T], mut work: impl FnMut(&[T])) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for batch in values.chunks(BATCH) {
            work(black_box(batch));
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{name:32} {:6.2} ns", best * 1e9 / values.len() as f64);
}

fn main() {
    let mut next = noise();
    let prices: Vec<f64> = (0..VALUES)
        .map(|_| (next() % 1_000_000) as f64 / 100.0)
        .collect();
    let wide: Vec<f64> = (0..VALUES)
        .map(|_| f64::from_bits(next()))
        .map(|value| if value.is_finite() { value } else { 1.0 })
        .collect();
    let ints: Vec<i64> = (0..VALUES)
        .map(|_| (next() >> 30) as i64 - (1 << 33))
        .collect();
    let few: Vec<u64> = (0..VALUES)
        .map(|_| hash::int((next() % 5000) as i64))
        .collect();
    let many: Vec<u64> = (0..VALUES).map(|_| next()).collect();
    let keys: Vec<u128> = many.iter().map(|key| u128::from(*key) << 64 | 1).collect();

    let close: Vec<f64> = (0..VALUES)
        .map(|_| 1.0 + (next() % 1000) as f64 / 1000.0)
        .collect();
    for (name, values) in [
        ("prices", &prices),
        ("all exponents", &wide),
        ("one exponent", &close),
    ] {
        let mut sum = FloatSum::default();
        cost(&format!("float sum, {name}"), values, |batch| {
            sum.add_slice(batch);
        });
        let mut squares = FloatSquares::default();
        cost(&format!("float squares, {name}"), values, |batch| {
            squares.add_slice(batch);
        });
        let mut quantiles = Quantiles::default();
        cost(&format!("quantiles, {name}"), values, |batch| {
            quantiles.add_slice(batch);
        });
        black_box((sum.total(), squares.to_bytes(), quantiles.total()));
    }
    let mut range = Range::default();
    cost("float range", &prices, |batch| {
        range.add_f64_slice(batch);
    });
    let mut sum = IntSum::default();
    cost("int sum", &ints, |batch| {
        sum.add_i64_slice(batch);
    });
    let mut squares = IntSquares::default();
    cost("int squares", &ints, |batch| {
        squares.add_i64_slice(batch);
    });
    cost("int range", &ints, |batch| {
        range.add_i64_slice(batch);
    });
    let mut distinct = Distinct::with_limit(10_000);
    cost("distinct, 5,000 values", &few, |batch| {
        distinct.insert_hashes(batch);
    });
    let mut distinct = Distinct::with_limit(10_000);
    cost("distinct, sketch", &many, |batch| {
        distinct.insert_hashes(batch);
    });
    let mut unique = Uniqueness::with_limit(4_000_000);
    let start = Instant::now();
    unique.insert_keys(&keys);
    println!(
        "{:32} {:6.2} ns",
        "unique keys, first 1 Mi",
        start.elapsed().as_nanos() as f64 / VALUES as f64
    );
    black_box((range, sum, squares, distinct));

    let plan = TablePlan::default();
    let mut column = ColumnState::new(&Wants::PROFILE, &plan);
    cost("profile of floats", &prices, |batch| {
        column.add_floats(batch);
    });
    let mut column = ColumnState::new(&Wants::PROFILE, &plan);
    cost("profile of ints", &ints, |batch| {
        column.add_ints(batch);
    });
    let texts: Vec<String> = (0..VALUES)
        .map(|_| format!("customer-{}", next() % 100_000))
        .collect();
    let mut column = ColumnState::new(&Wants::PROFILE, &plan);
    cost("profile of texts", &texts, |batch| {
        for text in batch {
            column.add_text(text.as_bytes(), 1);
        }
    });

    let mut column = ColumnState::new(&Wants::PROFILE, &plan);
    column.add_rows(VALUES as u64, 0);
    column.add_floats(&prices);
    let mut table = TableState {
        rows: VALUES as u64,
        ..TableState::default()
    };
    table.columns.insert("price".into(), column);
    let start = Instant::now();
    let bytes = table.encode();
    println!(
        "encode one column: {} bytes in {:?}",
        bytes.len(),
        start.elapsed()
    );
    let start = Instant::now();
    let other = TableState::decode(&bytes).unwrap_or_default();
    table.merge(&other);
    println!("decode and merge: {:?}", start.elapsed());
    let start = Instant::now();
    black_box(table.columns["price"].stddev()).ok();
    println!("stddev: {:?}", start.elapsed());
}
