//! Values against independent computations: naive big integers, another exact summation, schoolbook
//! rational arithmetic, and brute force over sorted values.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use assay_metrics::{
    BigInt, ColumnState, DecimalSum, Distinct, FloatSum, IntSum, KeyBuilder, Lengths, Number,
    Quantiles, Range, Scalar, Squares, State, SumValue, Sums, TablePlan, TableState, Unavailable,
    Uniqueness, Wants, hash,
};
use proptest::prelude::*;

/// Shewchuk's exact partials with the final rounding of Python's `math.fsum`: another algorithm for
/// the same result. Only for sums whose partials do not overflow.
fn fsum(values: &[f64]) -> f64 {
    let mut partials: Vec<f64> = Vec::new();
    for value in values {
        let mut x = *value;
        let mut kept = 0;
        for place in 0..partials.len() {
            let mut y = partials[place];
            if x.abs() < y.abs() {
                std::mem::swap(&mut x, &mut y);
            }
            let high = x + y;
            let low = y - (high - x);
            if low != 0.0 {
                partials[kept] = low;
                kept += 1;
            }
            x = high;
        }
        partials.truncate(kept);
        partials.push(x);
    }
    let Some(mut high) = partials.pop() else {
        return 0.0;
    };
    let mut low = 0.0;
    while let Some(y) = partials.pop() {
        let x = high;
        high = x + y;
        low = y - (high - x);
        if low != 0.0 {
            break;
        }
    }
    // Half way between two doubles: what is left decides.
    if let Some(next) = partials.last()
        && ((low < 0.0 && *next < 0.0) || (low > 0.0 && *next > 0.0))
    {
        let y = low * 2.0;
        let x = high + y;
        if y == x - high {
            high = x;
        }
    }
    high
}

fn sum(values: &[f64]) -> FloatSum {
    let mut sum = FloatSum::default();
    sum.add_slice(values);
    sum
}

fn column(wants: Wants, feed: impl FnOnce(&mut ColumnState)) -> ColumnState {
    let mut column = ColumnState::new(&wants, &TablePlan::default());
    feed(&mut column);
    let read = column.counts.read;
    column.add_rows(read, 0);
    column
}

/// The exact integer of a double in units of 2^-1074.
fn exact(value: f64) -> BigInt {
    let bits = value.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as u32;
    let fraction = bits & ((1 << 52) - 1);
    let size = if exponent == 0 {
        BigInt::from(fraction)
    } else {
        BigInt::from(fraction | 1 << 52) << (exponent - 1)
    };
    if value < 0.0 { -size } else { size }
}

/// Whether `root` is a double nearest to √(top/bottom): (root ± half a step)² lie on both sides.
fn is_nearest_root(root: f64, top: &BigInt, bottom: &BigInt) -> bool {
    if root == 0.0 {
        return *top == BigInt::ZERO;
    }
    // Doubled values, so that half steps are whole: unit 2^-1075.
    let middle = exact(root) * 2;
    let below: BigInt = &middle - (exact(root) - exact(root.next_down()));
    let above: BigInt = &middle + (exact(root.next_up()) - exact(root));
    let target = top << 2150;
    below.pow(2) * bottom <= target && target <= above.pow(2) * bottom
}

fn moderate() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-1e300f64..1e300),
        (-1.0f64..1.0),
        (-400i32..400, any::<i32>()).prop_map(|(e, m)| f64::from(m) * 2f64.powi(e)),
        (0u64..1 << 54).prop_map(f64::from_bits),
        Just(1e16),
        Just(-1e16),
        Just(2f64.powi(-53)),
        Just(1.0),
    ]
}

/// So many cases, unless `PROPTEST_CASES` says otherwise.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(usual))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..cases(1000) })]

    #[test]
    fn a_float_sum_is_fsum(mut values in proptest::collection::vec(moderate(), 0..60), cancel: bool) {
        if cancel {
            let mirrored: Vec<f64> = values.iter().skip(1).map(|value| -value).collect();
            values.extend(mirrored);
        }
        prop_assert_eq!(sum(&values).total(), fsum(&values), "{:?}", values);
    }

    #[test]
    fn a_float_sum_of_any_doubles_is_the_nearest(values in proptest::collection::vec(any::<f64>(), 0..60)) {
        let total = values.iter().filter(|v| v.is_finite()).fold(BigInt::ZERO, |t, v| t + exact(*v));
        let found = sum(&values).total();
        if found.is_finite() {
            let error = (exact(found) - &total).magnitude().clone() * 2u8;
            let step = exact(found.abs().next_up()) - exact(found.abs());
            prop_assert!(BigInt::from(error) <= step);
        } else {
            prop_assert!(total.magnitude() > exact(f64::MAX).magnitude());
        }
    }

    #[test]
    fn integer_sums_are_exact(values in proptest::collection::vec((any::<i64>(), any::<i128>(), any::<u64>()), 0..40)) {
        let mut state = IntSum::default();
        let mut naive = BigInt::ZERO;
        for (narrow, wide, times) in &values {
            state.add_i64_slice(&[*narrow]);
            state.add_i32_slice(&[*narrow as i32]);
            state.add_u64_slice(&[*times]);
            state.add_times(*wide, *times);
            naive += *narrow;
            naive += *narrow as i32;
            naive += *times;
            naive += BigInt::from(*wide) * *times;
        }
        prop_assert_eq!(state.total(), naive);
    }

    #[test]
    fn a_mixed_sum_is_rounded_once(ints in proptest::collection::vec(any::<i64>(), 1..9), floats in proptest::collection::vec(-1e18f64..1e18, 1..9)) {
        let mut sums = Sums::default();
        sums.ints.add_i64_slice(&ints);
        sums.floats.add_slice(&floats);
        let mut alone = sum(&floats);
        ints.iter().for_each(|value| alone.add_int(i128::from(*value)));
        prop_assert_eq!(sums.sum().unwrap(), Some(SumValue::Float(alone.total())));
        // The integers as two doubles each, so that the other algorithm can take them.
        let mut all = floats;
        for value in ints {
            all.extend([(value >> 32) as f64 * 2f64.powi(32), (value & 0xffff_ffff) as f64]);
        }
        prop_assert_eq!(alone.total(), fsum(&all));
    }

    #[test]
    fn a_standard_deviation_is_the_nearest_double(mean in -1e15f64..1e15, spread in prop_oneof![0.0f64..1.0, 1e3f64..1e9], parts in proptest::collection::vec(-1.0f64..1.0, 2..40)) {
        let values: Vec<f64> = parts.iter().map(|part| mean + spread * part).collect();
        let column = column(Wants::PROFILE, |column| column.add_floats(&values));
        let n = BigInt::from(values.len());
        let total = values.iter().fold(BigInt::ZERO, |t, v| t + exact(*v));
        // Σ (n·x − Σx)² / (n²·(n−1)): the definition, not the power sums.
        let squares = values.iter().fold(BigInt::ZERO, |t, v| t + (exact(*v) * &n - &total).pow(2));
        let bottom = (&n * &n * (&n - 1u8)) << 2148;
        let found = column.stddev().unwrap().unwrap().value;
        prop_assert!(is_nearest_root(found, &squares, &bottom), "{}", found);
        let variance = column.variance().unwrap().unwrap().value;
        prop_assert!((variance - found * found).abs() <= 1e-14 * variance);
    }

    #[test]
    fn decimals_and_integers_have_the_deviation_of_their_values(units in proptest::collection::vec(-1_000_000_000i64..1_000_000_000, 2..30), ints in proptest::collection::vec(-1000i64..1000, 0..5)) {
        let (mut sums, mut squares) = (Sums::default(), Squares::default());
        let (first, second) = units.split_at(1);
        sums.decimals.add_i64_slice(first, 1);
        squares.decimals.add_i64_slice(first, 1);
        let wide: Vec<i128> = second.iter().map(|unit| i128::from(*unit)).collect();
        sums.decimals.add_slice(&wide, 3);
        squares.decimals.add_slice(&wide, 3);
        sums.ints.add_i64_slice(&ints);
        squares.ints.add_i64_slice(&ints);
        // All of them in thousandths.
        let all: Vec<i128> = first.iter().map(|u| i128::from(*u) * 100)
            .chain(wide).chain(ints.iter().map(|i| i128::from(*i) * 1000)).collect();
        let n = BigInt::from(all.len());
        let total: i128 = all.iter().sum();
        let spread = all.iter().fold(BigInt::ZERO, |t, v| t + (&n * *v - total).pow(2));
        let bottom: BigInt = &n * &n * (&n - 1u8) * 1_000_000;
        let found = sums.stddev(&squares).unwrap().unwrap();
        prop_assert!(is_nearest_root(found, &spread, &bottom));
        let text = format!("{}{}.{:03}", if total < 0 { "-" } else { "" }, total.abs() / 1000, total.abs() % 1000);
        prop_assert_eq!(sums.sum().unwrap(), Some(SumValue::Decimal(text)));
    }

    #[test]
    fn quantiles_are_within_their_bound(mut values in proptest::collection::vec(prop_oneof![any::<f64>(), -1e6f64..1e6, (-256i32..=256).prop_map(f64::from)], 1..200), q in 0.0f64..=1.0) {
        values.retain(|value| value.is_finite() && (value.abs() >= f64::MIN_POSITIVE || *value == 0.0));
        let mut state = Quantiles::default();
        state.add_slice(&values);
        values.sort_by(f64::total_cmp);
        if values.is_empty() {
            prop_assert_eq!(state.quantile(q, None), None);
        } else {
            let place = ((q * values.len() as f64).ceil() as usize).max(1);
            let truth = values[place - 1];
            let found = state.quantile(q, None).unwrap();
            prop_assert!((found - truth).abs() <= truth.abs() / 256.0, "{} for {}", found, truth);
            if truth.abs() <= 256.0 && truth.fract() == 0.0 {
                prop_assert_eq!(found, truth);
            }
        }
    }

    #[test]
    fn text_bounds_hold(texts in proptest::collection::vec((1018usize..1030, "[a\u{7f}é€𝄞\u{d7ff}\u{10ffff}]{0,4}"), 1..6)) {
        let texts: Vec<String> = texts.iter().map(|(len, end)| format!("{}{end}", "\u{7f}".repeat(*len))).collect();
        let mut range = Range::default();
        texts.iter().for_each(|text| range.add_text(text.as_bytes()));
        let Some((Scalar::Text(low), Scalar::Text(high))) = range.texts() else { panic!("texts") };
        let (least, most) = (texts.iter().min().unwrap(), texts.iter().max().unwrap());
        prop_assert!(low.bytes.as_slice() <= least.as_bytes());
        prop_assert!(high.unbounded || high.bytes.as_slice() >= most.as_bytes());
        prop_assert!(low.cut || low.bytes == least.as_bytes());
        prop_assert!(high.cut || high.bytes == most.as_bytes());
        prop_assert!(std::str::from_utf8(&low.bytes).is_ok() && std::str::from_utf8(&high.bytes).is_ok());
    }
}

#[test]
fn the_textbook_cancellation_is_exact() {
    assert_eq!(sum(&[1e16, 1.0, 1.0, -1e16]).total(), 2.0);
    assert_eq!(sum(&[0.1; 10]).total(), 1.0);
    assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]).total(), f64::MAX);
    assert_eq!(sum(&[5e-324, 5e-324, -1e-323]).total(), 0.0);
    assert_eq!(
        sum(&[1.0, 2f64.powi(-53), 5e-324]).total(),
        1.0 + f64::EPSILON
    );
    assert_eq!(sum(&[1.0, 2f64.powi(-53)]).total(), 1.0);
}

#[test]
fn nan_and_infinities_are_counted_and_left_out() {
    let values = [
        1.5,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::INFINITY,
        2.5,
    ];
    let column = column(Wants::PROFILE, |column| column.add_floats(&values));
    let sum = column.sum().unwrap().unwrap();
    assert_eq!((sum.value, sum.left_out), (SumValue::Float(4.0), 4));
    assert_eq!(
        (column.nan_count().unwrap(), column.inf_count().unwrap()),
        (1, 3)
    );
    let (low, high) = column.extremes().unwrap().unwrap().value;
    assert_eq!((low, high), (Scalar::Float(1.5), Scalar::Float(2.5)));
    assert_eq!(column.mean().unwrap().unwrap().value, 2.0);
    assert_eq!(column.stddev().unwrap().unwrap().value, 0.5f64.sqrt());
    assert_eq!(column.quantile(0.5).unwrap().unwrap().value, 1.5);
    assert_eq!(column.distinct_count().unwrap(), (5, None));
}

#[test]
fn nothing_sums_to_nothing() {
    let empty = ColumnState::new(&Wants::PROFILE, &TablePlan::default());
    assert_eq!(empty.sum().unwrap(), None);
    assert_eq!(empty.mean().unwrap(), None);
    assert_eq!(empty.stddev().unwrap(), None);
    assert_eq!(empty.extremes().unwrap(), None);
    assert_eq!(empty.null_percent(), None);
    let nulls = column(Wants::PROFILE, |column| column.add_rows(5, 5));
    assert_eq!(nulls.sum().unwrap(), None);
    assert_eq!(nulls.null_percent(), Some(100.0));
    let odd = column(Wants::PROFILE, |column| column.add_floats(&[f64::NAN]));
    assert_eq!(odd.sum().unwrap(), None);
}

#[test]
fn integers_do_not_wrap() {
    let column = column(Wants::PROFILE, |column| {
        column.add_ints(&[9_000_000_000_000_000_000; 2]);
        column.add_unsigned(&[u64::MAX]);
        column.add_int_times(i128::MAX, u64::MAX);
    });
    let expected: BigInt =
        BigInt::from(i128::MAX) * u64::MAX + 18_000_000_000_000_000_000i128 + u64::MAX;
    assert_eq!(
        column.sums.get().unwrap().sum().unwrap(),
        Some(SumValue::Int(expected.to_string()))
    );
    let twice = sum_of_ints(&[9_000_000_000_000_000_000; 2]);
    assert_eq!(twice, SumValue::Int("18000000000000000000".into()));
}

fn sum_of_ints(values: &[i64]) -> SumValue {
    let column = column(Wants::PROFILE, |column| column.add_ints(values));
    column.sum().expect("a sum").expect("of something").value
}

#[test]
fn a_decimal_sum_beyond_256_bits_is_an_overflow_and_nothing_else_is() {
    let mut largest = [0xff; 32];
    largest[31] = 0x7f;
    let column = column(Wants::PROFILE, |column| {
        column.add_decimal_256(&largest, 2, 1);
    });
    assert!(
        matches!(column.sum().unwrap().unwrap().value, SumValue::Decimal(text) if text.len() == 78)
    );
    let mut twice = column.clone();
    twice.merge(&column);
    assert_eq!(twice.sum(), Err(Unavailable::Overflow));
    assert_eq!(twice.distinct_count().unwrap(), (1, None));
    assert_eq!(twice.mean().unwrap().unwrap().value, 2f64.powi(255) / 100.0);
    assert_eq!(twice.stddev().unwrap().unwrap().value, 0.0);
    assert!(twice.extremes().unwrap().is_some());
    let mut marked = DecimalSum::default();
    marked.mark_overflow();
    let mut other = DecimalSum::default();
    other.add(1, 0);
    other.merge(&marked);
    assert!(other.overflowed());
}

#[test]
fn a_float_sum_beyond_the_doubles_is_an_overflow() {
    let column = column(Wants::PROFILE, |column| {
        column.add_floats(&[f64::MAX, f64::MAX]);
    });
    assert_eq!(column.sum(), Err(Unavailable::Overflow));
    assert_eq!(column.mean().unwrap().unwrap().value, f64::MAX);
    assert_eq!(column.stddev().unwrap().unwrap().value, 0.0);
}

#[test]
fn squares_of_extreme_doubles_neither_overflow_nor_vanish() {
    let huge = column(Wants::PROFILE, |column| {
        column.add_floats(&[2f64.powi(1000), -2f64.powi(1000)]);
    });
    assert_eq!(
        huge.stddev().unwrap().unwrap().value,
        2f64.sqrt() * 2f64.powi(1000)
    );
    assert_eq!(huge.variance(), Err(Unavailable::Overflow));
    let tiny = column(Wants::PROFILE, |column| {
        column.add_floats(&[5e-324, -5e-324]);
    });
    assert_eq!(tiny.stddev().unwrap().unwrap().value, 5e-324);
}

#[test]
fn text_fields_are_numeric_only_if_all_of_them_are() {
    let mut fields = column(Wants::PROFILE, |column| {
        column.add_field(b"10", Number::Int(10), false, 1);
        column.add_field(b"9.5", Number::Float(9.5), false, 2);
    });
    assert_eq!(fields.sum().unwrap().unwrap().value, SumValue::Float(29.0));
    let (low, high) = fields.extremes().unwrap().unwrap().value;
    assert_eq!((low, high), (Scalar::Float(9.5), Scalar::Int(10)));
    fields.add_rows(1, 0);
    fields.add_field(b"n/a", Number::None, false, 1);
    assert_eq!(fields.sum(), Err(Unavailable::NotNumeric { nonnumeric: 1 }));
    let (low, _) = fields.extremes().unwrap().unwrap().value;
    assert_eq!(low.to_string(), "10");

    let declared = column(Wants::PROFILE, |column| {
        column.add_field(b"10", Number::Int(10), true, 1);
        column.add_field(b"n/a", Number::None, true, 1);
    });
    let sum = declared.sum().unwrap().unwrap();
    assert_eq!((sum.value, sum.left_out), (SumValue::Int("10".into()), 1));
}

#[test]
fn a_text_column_has_no_sum() {
    let texts = column(Wants::PROFILE, |column| column.add_text(b"x", 3));
    assert!(matches!(
        texts.sum(),
        Err(Unavailable::NotNumeric { nonnumeric: 3 })
    ));
    let lengths = texts.text_lengths().unwrap();
    assert_eq!((lengths.count(), lengths.chars().unwrap().total), (3, 3));
}

#[test]
fn values_that_were_not_read_are_never_a_number() {
    let mut some = column(Wants::PROFILE, |column| column.add_ints(&[1, 2, 3]));
    some.merge(&ColumnState::counts_only(10, 4));
    let incomplete = Unavailable::Incomplete {
        read: 3,
        expected: 9,
    };
    assert_eq!(some.sum(), Err(incomplete.clone()));
    assert_eq!(some.nan_count(), Err(incomplete.clone()));
    assert_eq!(some.distinct_count(), Err(incomplete));
    assert_eq!((some.counts.rows, some.counts.nulls), (13, 4));
    let footers = ColumnState::counts_only(10, 4);
    assert_eq!(footers.sum(), Err(Unavailable::NotCollected));

    let bare = column(
        Wants {
            values: true,
            ..Wants::default()
        },
        |column| column.add_ints(&[7]),
    );
    let mut both = column(Wants::PROFILE, |column| column.add_ints(&[1]));
    both.merge(&bare);
    assert!(matches!(both.sum(), Err(Unavailable::Incomplete { .. })));
    assert_eq!(both.nan_count(), Ok(0));
}

#[test]
fn a_key_that_missed_rows_is_incomplete() {
    let mut table = TableState {
        rows: 3,
        ..TableState::default()
    };
    let mut key = KeyBuilder::default();
    let mut pk = Uniqueness::with_limit(2);
    pk.insert_key(key.int(1).text(b"a").finish());
    pk.insert_key(key.int(1).text(b"a").finish());
    table.keys.insert("pk".into(), pk.clone());
    assert_eq!(
        table.key("pk"),
        Err(Unavailable::Incomplete {
            read: 2,
            expected: 3
        })
    );
    pk.add_nulls(1);
    table.keys.insert("pk".into(), pk.clone());
    let counts = table.key("pk").unwrap();
    assert_eq!(
        (counts.distinct, counts.duplicates, counts.nulls),
        (1, 1, 1)
    );
    pk.insert_keys(&[5, 6]);
    assert_eq!(pk.counts(), Err(Unavailable::TooMany { limit: 2 }));
}

#[test]
fn duplicates_are_exact_over_many_keys() {
    let mut unique = Uniqueness::with_limit(300_000);
    let mut key = KeyBuilder::default();
    for row in 0..400_000i128 {
        unique.insert_key(key.int(row % 250_000).finish());
    }
    let counts = unique.counts().unwrap();
    assert_eq!(
        (counts.rows, counts.distinct, counts.duplicates),
        (400_000, 250_000, 150_000)
    );
}

#[test]
fn equal_values_hash_alike_and_only_they() {
    assert_eq!(hash::int(7), hash::wide_int(7));
    assert_eq!(hash::int(7), hash::float(7.0));
    assert_eq!(hash::int(7), hash::decimal(700, 2));
    assert_eq!(hash::int(700), hash::decimal(7, -2));
    assert_eq!(hash::decimal(15, 1), hash::decimal(1500, 3));
    assert_eq!(hash::float(0.0), hash::float(-0.0));
    assert_eq!(hash::float(f64::NAN), hash::float(-f64::NAN));
    assert_ne!(hash::float(2f64.powi(63)), hash::int(i64::MAX));
    assert_ne!(hash::float(1.5), hash::float(-1.5));
    assert_ne!(hash::float(f64::INFINITY), hash::float(f64::NEG_INFINITY));
    let mut key = KeyBuilder::default();
    assert_ne!(
        key.text(b"a").text(b"bc").finish(),
        key.text(b"ab").text(b"c").finish()
    );
    assert_eq!(key.decimal(50, 1).finish(), key.int(5).finish());
}

#[test]
fn a_sketch_estimates_within_four_standard_errors() {
    for count in [20_000u64, 100_000, 1_000_000] {
        let mut distinct = Distinct::with_limit(10_000);
        let hashes: Vec<u64> = (0..count).map(|value| hash::int(value as i64)).collect();
        distinct.insert_hashes(&hashes);
        distinct.insert_hashes(&hashes[..5000]);
        let (found, error) = distinct.count();
        let error = error.expect("an estimate states its error");
        let off = (found as f64 - count as f64).abs() / count as f64;
        assert!(off < 4.0 * error, "{found} for {count}");
    }
    let mut exact = Distinct::with_limit(10_000);
    (0..10_000).for_each(|value| exact.insert_hash(hash::int(value)));
    assert_eq!(exact.count(), (10_000, None));
    exact.insert_hash(hash::int(10_000));
    assert!(exact.count().1.is_some());
}

#[test]
fn lengths_count_characters_and_bytes() {
    let mut lengths = Lengths::default();
    ["", "é€𝄞", "abc"]
        .iter()
        .for_each(|text| lengths.add(text.as_bytes()));
    let (chars, bytes) = (lengths.chars().unwrap(), lengths.bytes().unwrap());
    assert_eq!((chars.min, chars.max, chars.total), (0, 3, 6));
    assert_eq!((bytes.min, bytes.max, bytes.total), (0, 9, 12));
    assert_eq!(lengths.mean_chars(), Some(2.0));
    assert_eq!(Lengths::default().chars(), None);
}

#[test]
fn numbers_of_different_types_compare_by_value() {
    let column = column(Wants::PROFILE, |column| {
        column.add_ints(&[3]);
        column.add_decimals(&[299, 301], 2);
        column.add_floats(&[2.995]);
    });
    let (low, high) = column.extremes().unwrap().unwrap().value;
    assert_eq!(
        (low.to_string(), high.to_string()),
        ("2.99".into(), "3.01".into())
    );
    let mut mixed = column.clone();
    mixed.add_dates(&[1]);
    mixed.add_rows(1, 0);
    assert!(matches!(
        mixed.extremes(),
        Err(Unavailable::MixedTypes { .. })
    ));
}

#[test]
fn timestamps_of_any_unit_meet_in_nanoseconds() {
    let column = column(Wants::PROFILE, |column| {
        column.add_timestamps(&[1_700_000_000], 1_000_000_000);
        column.add_timestamps(&[1_700_000_000_000], 1_000_000);
        column.add_timestamps(&[i64::MAX], 1_000_000_000);
    });
    assert_eq!(column.distinct_count().unwrap(), (2, None));
    assert_eq!(
        column.latest().unwrap(),
        Some(i128::from(i64::MAX) * 1_000_000_000)
    );
}
