//! Merging is associative and commutative with an identity, bit for bit, for every state; and a
//! state of the whole equals the merge of the states of any split.

use assay_metrics::{
    Answer, AnswerValue, ColumnState, Counts, DecimalSquares, DecimalSum, Distinct, FloatSquares,
    FloatSum, IntSquares, IntSum, KeyBuilder, Lengths, Number, Quantiles, Range, RuleCount,
    RuleCounts, Schema, State, TablePlan, TableState, Uniqueness, Wants, hash,
};
use proptest::prelude::*;

/// Numbers where it hurts: whole, tiny, huge, odd and ordinary ones.
fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        any::<u64>().prop_map(f64::from_bits),
        (-1000i32..1000).prop_map(f64::from),
        Just(0.0),
        Just(-0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::MAX),
        Just(f64::MIN),
        Just(5e-324),
    ]
}

fn int() -> impl Strategy<Value = i128> {
    prop_oneof![
        any::<i128>(),
        any::<i64>().prop_map(i128::from),
        (-9i128..9),
        Just(i128::MAX),
        Just(i128::MIN),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-cé€𝄞]{0,4}".prop_map(String::into_bytes),
        // Longer than what is kept, and alike up to there.
        (1015usize..1040, "[aé€𝄞\u{10ffff}]{0,3}").prop_map(|(len, end)| format!(
            "{}{end}",
            "z".repeat(len)
        )
        .into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..6),
        (1000usize..1100).prop_map(|len| vec![0xff; len]),
    ]
}

/// Checks the laws over the parts of a list, each part being absorbed by `feed`.
fn laws<S: State, V: Clone>(
    empty: &S,
    values: &[V],
    cuts: (usize, usize),
    feed: impl Fn(&mut S, &[V]),
) {
    let of = |values: &[V]| {
        let mut state = empty.clone();
        feed(&mut state, values);
        state
    };
    let joined = |left: &S, right: &S| {
        let mut state = left.clone();
        state.merge(right);
        state
    };
    let one = cuts.0 % (values.len() + 1);
    let two = one + cuts.1 % (values.len() - one + 1);
    let (a, b, c) = (
        of(&values[..one]),
        of(&values[one..two]),
        of(&values[two..]),
    );
    let whole = of(values);

    let left = joined(&joined(&a, &b), &c);
    assert!(
        left.to_bytes() == joined(&a, &joined(&b, &c)).to_bytes(),
        "associative"
    );
    assert!(
        joined(&a, &b).to_bytes() == joined(&b, &a).to_bytes(),
        "commutative"
    );
    assert!(
        joined(&c, &joined(&b, &a)).to_bytes() == whole.to_bytes(),
        "reversed"
    );
    assert!(left.to_bytes() == whole.to_bytes(), "split");
    assert!(left == whole, "equal states compare as equal");
    assert!(
        joined(&S::default(), &a).to_bytes() == a.to_bytes(),
        "identity on the left"
    );
    assert!(
        joined(&a, &S::default()).to_bytes() == a.to_bytes(),
        "identity on the right"
    );

    let again = S::from_bytes(&whole.to_bytes()).expect("a state decodes");
    assert!(again == whole, "decoding gives the state back");
    assert!(again.to_bytes() == whole.to_bytes(), "and its bytes");
    let travelled = joined(
        &S::from_bytes(&a.to_bytes()).expect("a state decodes"),
        &joined(&b, &c),
    );
    assert!(
        travelled.to_bytes() == whole.to_bytes(),
        "a decoded state merges like the first"
    );

    let mut backwards = values.to_vec();
    backwards.reverse();
    assert!(
        of(&backwards).to_bytes() == whole.to_bytes(),
        "order of values"
    );
}

fn many<V: std::fmt::Debug>(one: impl Strategy<Value = V>) -> impl Strategy<Value = Vec<V>> {
    proptest::collection::vec(one, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sums_of_integers(values in many((int(), 0u64..4)), cuts: (usize, usize)) {
        laws(&IntSum::default(), &values, cuts, |s, v| v.iter().for_each(|(x, n)| s.add_times(*x, *n)));
        laws(&IntSquares::default(), &values, cuts, |s, v| v.iter().for_each(|(x, n)| s.add_times(*x, *n)));
    }

    #[test]
    fn sums_of_integer_slices(values in many(any::<i64>()), cuts: (usize, usize)) {
        laws(&IntSum::default(), &values, cuts, IntSum::add_i64_slice);
        laws(&IntSquares::default(), &values, cuts, IntSquares::add_i64_slice);
    }

    #[test]
    fn sums_of_decimals(values in many((int(), any::<i8>(), 0u64..4)), cuts: (usize, usize)) {
        laws(&DecimalSum::default(), &values, cuts, |s, v| {
            v.iter().for_each(|(x, scale, n)| s.add_times(*x, *scale, *n));
        });
        laws(&DecimalSquares::default(), &values, cuts, |s, v| {
            v.iter().for_each(|(x, scale, n)| s.add_times(*x, *scale, *n));
        });
    }

    #[test]
    fn an_overflowing_decimal_stays_one(values in many(any::<bool>()), cuts: (usize, usize)) {
        laws(&DecimalSum::default(), &values, cuts, |s, v| {
            for bad in v {
                if *bad { s.mark_overflow() } else { s.add(1, 2) }
            }
        });
    }

    #[test]
    fn sums_of_floats(values in many(float()), cuts: (usize, usize)) {
        laws(&FloatSum::default(), &values, cuts, FloatSum::add_slice);
        laws(&FloatSquares::default(), &values, cuts, FloatSquares::add_slice);
    }

    #[test]
    fn sums_of_repeated_floats(
        values in many((float(), prop_oneof![0u64..4, any::<u64>()])),
        cuts: (usize, usize),
    ) {
        // Counters saturate, which the law allows; the sums themselves are exact.
        laws(&FloatSum::default(), &values, cuts, |s, v| v.iter().for_each(|(x, n)| s.add_times(*x, *n)));
        laws(&FloatSquares::default(), &values, cuts, |s, v| v.iter().for_each(|(x, n)| s.add_times(*x, *n)));
        laws(&Quantiles::default(), &values, cuts, |s, v| v.iter().for_each(|(x, n)| s.add_times(*x, *n)));
    }

    #[test]
    fn ranges(
        floats in many(float()),
        ints in many(int()),
        decimals in many((int(), -3i8..4)),
        texts in many(text()),
        cuts: (usize, usize),
    ) {
        laws(&Range::default(), &floats, cuts, Range::add_f64_slice);
        laws(&Range::default(), &ints, cuts, |s, v| v.iter().for_each(|x| s.add_int(*x)));
        laws(&Range::default(), &decimals, cuts, |s, v| {
            v.iter().for_each(|(x, scale)| s.add_decimal_slice(&[*x], *scale));
        });
        laws(&Range::default(), &texts, cuts, |s, v| v.iter().for_each(|x| s.add_text(x)));
    }

    #[test]
    fn ranges_of_times(values in many(any::<i64>()), bools in many(any::<bool>()), cuts: (usize, usize)) {
        laws(&Range::default(), &values, cuts, |s, v| {
            s.add_date_slice(v);
            s.add_time_slice(v);
            s.add_timestamp_slice(v, 1_000_000_000);
        });
        laws(&Range::default(), &bools, cuts, |s, v| v.iter().for_each(|x| s.add_bool(*x)));
    }

    #[test]
    fn distinct_counts_below_and_above_the_limit(
        values in proptest::collection::vec(0u64..60, 0..120),
        limit in 0u64..40,
        cuts: (usize, usize),
    ) {
        let hashes: Vec<u64> = values.iter().map(|v| if *v == 0 { 0 } else { hash::int(*v as i64) }).collect();
        laws(&Distinct::with_limit(limit), &hashes, cuts, Distinct::insert_hashes);
        let keys: Vec<u128> = values.iter().map(|v| u128::from(*v) << 100).collect();
        laws(&Uniqueness::with_limit(limit), &keys, cuts, Uniqueness::insert_keys);
    }

    #[test]
    fn lengths_rules_counts_and_schemas(texts in many(text()), cuts: (usize, usize)) {
        laws(&Lengths::default(), &texts, cuts, |s, v| v.iter().for_each(|x| s.add(x)));
        laws(&RuleCounts::default(), &texts, cuts, |s, v| {
            for x in v {
                let id = if x.len() > 2 { "long" } else { "short" };
                s.add(id, RuleCount { rows: 1, tested: 1, matched: x.len() as u64 % 2 });
            }
        });
        laws(&Schema::default(), &texts, cuts, |s, v| {
            for x in v {
                s.add_file();
                s.add_column("c", &format!("t{}", x.len() % 3), x.len() % 2 == 0, x.len() as u32);
            }
        });
        laws(&Counts::default(), &texts, cuts, |s, v| {
            for x in v {
                s.merge(&Counts { rows: x.len() as u64, nulls: u64::MAX / 3, ..Counts::default() });
            }
        });
    }

    #[test]
    fn columns_of_every_kind(values in many((0u8..9, float(), int(), text())), cuts: (usize, usize)) {
        let plan = TablePlan { distinct_limit: 5, uniqueness_limit: 7, ..TablePlan::default() };
        laws(&ColumnState::new(&Wants::ALL, &plan), &values, cuts, |s, v| {
            v.iter().for_each(|value| feed_any(s, value));
        });
    }

    #[test]
    fn columns_under_different_plans(
        values in many((0u8..10, float(), int(), text())),
        cuts: (usize, usize),
    ) {
        // Some parts come from footers, or were scanned without the components.
        let plan = TablePlan::default();
        laws(&ColumnState::default(), &values, cuts, |s, v| {
            for value in v {
                let wants = [Wants::ALL, Wants::PROFILE, Wants::default()][value.3.len() % 3];
                let mut part = ColumnState::new(&wants, &plan);
                if value.0 == 9 {
                    part = ColumnState::counts_only(3, value.3.len() as u64 % 4);
                } else {
                    feed_any(&mut part, value);
                }
                s.merge(&part);
            }
        });
    }

    #[test]
    fn tables(values in many((0u8..9, float(), int(), text())), cuts: (usize, usize)) {
        laws(&TableState::default(), &values, cuts, |s, v| {
            for value in v {
                s.rows += 1;
                s.files += 1;
                s.flag(if value.0 > 4 { "malformedRows" } else { "other" }, 2);
                let answer = match value.0 % 4 {
                    0 => Answer::failed(format!("because of {}", value.1 > 0.0)),
                    1 => Answer {
                        value: Ok(AnswerValue::Float(value.1)),
                        samples: Vec::new(),
                    },
                    2 => Answer {
                        value: Ok(AnswerValue::Exact((value.2 % 2).to_string())),
                        samples: vec!["{}".to_owned()],
                    },
                    _ => Answer {
                        value: Ok(AnswerValue::Null),
                        samples: Vec::new(),
                    },
                };
                let query = format!("q{}", value.2.rem_euclid(3));
                match s.answers.get_mut(&query) {
                    Some(own) => own.absorb(&answer),
                    None => {
                        s.answers.insert(query, answer);
                    }
                }
                let kept = s.filtered.entry("a > 1".into()).or_default();
                kept.rows += 1;
                feed_any(kept.columns.entry("c".into()).or_default(), value);
                let column = s.columns.entry(format!("c{}", value.0 % 2)).or_default();
                feed_any(column, value);
                let key = KeyBuilder::default().text(&value.3).int(value.2).finish();
                s.keys.entry("k".into()).or_default().insert_key(key);
            }
        });
    }
}

proptest! {
    #[test]
    fn texts_in_bulk_are_the_same_texts_one_by_one(
        texts in prop::collection::vec(text(), 0..40), asked in any::<[bool; 4]>(),
    ) {
        let [range, distinct, lengths, uniqueness] = asked;
        let wants = Wants { range, distinct, lengths, uniqueness, sum: true, ..Wants::default() };
        let mut bulk = ColumnState::new(&wants, &TablePlan::default());
        let mut single = bulk.clone();
        bulk.add_texts(texts.iter().map(Vec::as_slice));
        texts.iter().for_each(|text| single.add_text(text, 1));
        prop_assert_eq!(bulk, single);
    }
}

fn feed_any(column: &mut ColumnState, (kind, float, int, text): &(u8, f64, i128, Vec<u8>)) {
    column.add_rows(2, 1);
    let narrow = *int as i64;
    match kind {
        0 => column.add_ints(&[narrow]),
        1 => column.add_int_times(*int, 1),
        2 => column.add_decimals(&[*int], 3),
        3 => column.add_floats(&[*float]),
        4 => column.add_text(text, 1),
        5 => column.add_field(text, Number::Float(*float), false, 1),
        6 => column.add_timestamps(&[narrow], 1000),
        7 => column.add_bools(1, 0),
        _ => column.add_dates(&[narrow]),
    }
}
