//! Smallest and largest value of a column, by type.
//!
//! Only finite numbers count; −0.0 is 0.0. Each type keeps its own extremes, so that a column whose
//! type changed between files loses nothing: numbers of different types compare exactly by value,
//! other mixtures have no common order and are said to be mixed.
//! Timestamps of any unit are brought to nanoseconds since 1970-01-01 UTC (`i128`, so that none is
//! out of range). Text is kept up to 1 KiB; the bound of a longer one is cut to that and flagged.

use crate::codec::{Codec, DecodeError, Reader, Writer, impl_state};
use crate::decimal_sum::decimal_text;
use crate::exact::power_of_ten;
use crate::exact::ratio;
use crate::float_sum::FLOAT_UNIT;
use crate::unavailable::Unavailable;
use num_bigint::{BigInt, BigUint};
use std::cmp::Ordering;

/// Bytes of a text that are kept.
pub const TEXT_LIMIT: usize = 1024;

/// An extreme value.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// Truth value.
    Bool(bool),
    /// Integer of any width.
    Int(i128),
    /// Decimal `unscaled · 10^-scale`.
    Decimal {
        /// The digits as an integer.
        unscaled: BigInt,
        /// Decimals among the digits.
        scale: i8,
    },
    /// Finite double.
    Float(f64),
    /// Text or binary: the value itself, or a bound of it.
    Text(TextBound),
    /// Days since 1970-01-01.
    Date(i64),
    /// Nanoseconds since midnight.
    Time(i64),
    /// Nanoseconds since 1970-01-01 UTC.
    Timestamp(i128),
}

impl Scalar {
    /// The nearest double of a number; `None` for what is not a number.
    #[must_use]
    pub fn to_f64(&self) -> Option<f64> {
        let (numerator, denominator) = match self {
            Self::Int(value) => (BigInt::from(*value), BigUint::from(1u8)),
            Self::Decimal { unscaled, scale } => decimal_fraction(unscaled, *scale),
            Self::Float(value) => return Some(*value),
            _ => return None,
        };
        Some(ratio(&numerator, &denominator))
    }

    /// The number as an exact fraction.
    fn fraction(&self) -> Option<(BigInt, BigUint)> {
        match self {
            Self::Int(value) => Some((BigInt::from(*value), BigUint::from(1u8))),
            Self::Decimal { unscaled, scale } => Some(decimal_fraction(unscaled, *scale)),
            Self::Float(value) => {
                let mut sum = crate::FloatSum::default();
                sum.add_times(*value, 1);
                Some((sum.exact(), BigUint::from(1u8) << FLOAT_UNIT))
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Scalar {
    /// Numbers in digits, text as it is (broken UTF-8 replaced), dates and times as their integer.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) | Self::Timestamp(value) => value.fmt(f),
            Self::Decimal { unscaled, scale } => decimal_text(unscaled, *scale).fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(bound) => String::from_utf8_lossy(&bound.bytes).fmt(f),
            Self::Date(value) | Self::Time(value) => value.fmt(f),
        }
    }
}

fn decimal_fraction(unscaled: &BigInt, scale: i8) -> (BigInt, BigUint) {
    let power = power_of_ten(u32::from(scale.unsigned_abs()));
    if scale > 0 {
        (unscaled.clone(), power.magnitude().clone())
    } else {
        (unscaled * power, BigUint::from(1u8))
    }
}

/// A text, or where it is longer than [`TEXT_LIMIT`], a bound that holds: a minimum is cut to a
/// prefix, a maximum to a prefix whose last character is raised by one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextBound {
    /// The maximum has no bound of [`TEXT_LIMIT`] bytes (its first KiB is all of the last
    /// character there is); `bytes` is then empty.
    pub unbounded: bool,
    /// The text or its bound; UTF-8 where the column is.
    pub bytes: Vec<u8>,
    /// Whether `bytes` is a bound instead of the text itself.
    pub cut: bool,
}

impl TextBound {
    fn exact(text: &[u8]) -> Self {
        Self {
            unbounded: false,
            bytes: text.to_vec(),
            cut: false,
        }
    }

    fn low(text: &[u8]) -> Self {
        if text.len() <= TEXT_LIMIT {
            return Self::exact(text);
        }
        Self {
            unbounded: false,
            bytes: prefix(text).to_vec(),
            cut: true,
        }
    }

    fn high(text: &[u8]) -> Self {
        if text.len() <= TEXT_LIMIT {
            return Self::exact(text);
        }
        let bytes = raised(prefix(text));
        Self {
            unbounded: bytes.is_none(),
            bytes: bytes.unwrap_or_default(),
            cut: true,
        }
    }
}

/// The first [`TEXT_LIMIT`] bytes, or up to three fewer so as not to split a character.
fn prefix(text: &[u8]) -> &[u8] {
    let mut end = TEXT_LIMIT;
    while end > TEXT_LIMIT - 3 && text[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &text[..end]
}

/// The shortest text above everything that begins with `prefix`.
fn raised(prefix: &[u8]) -> Option<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(prefix) else {
        let last = prefix.iter().rposition(|byte| *byte < 0xff)?;
        let mut bytes = prefix[..=last].to_vec();
        bytes[last] += 1;
        return Some(bytes);
    };
    let mut text = text.to_owned();
    while let Some(last) = text.pop() {
        // The range of characters steps over the surrogates by itself.
        if let Some(next) = (last..=char::MAX).nth(1) {
            text.push(next);
            return Some(text.into_bytes());
        }
    }
    None
}

/// Smallest and largest of one type.
type Extremes<T> = Option<(T, T)>;

fn widen<T: Clone>(own: &mut Extremes<T>, low: T, high: T, order: impl Fn(&T, &T) -> Ordering) {
    match own {
        None => *own = Some((low, high)),
        Some((least, most)) => {
            if order(&low, least) == Ordering::Less {
                *least = low;
            }
            if order(&high, most) == Ordering::Greater {
                *most = high;
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Decimal {
    unscaled: BigInt,
    scale: i8,
}

/// By value; equal values of different scales by scale, so that one of them is always preferred.
fn order_of_decimals(left: &Decimal, right: &Decimal) -> Ordering {
    let scale = left.scale.max(right.scale);
    let at = |decimal: &Decimal| {
        &decimal.unscaled * power_of_ten(u32::from(scale.abs_diff(decimal.scale)))
    };
    if left.scale == right.scale {
        return left.unscaled.cmp(&right.unscaled);
    }
    at(left).cmp(&at(right)).then(left.scale.cmp(&right.scale))
}

/// Smallest and largest values of a column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Range {
    bools: Extremes<bool>,
    ints: Extremes<i128>,
    decimals: Extremes<Decimal>,
    floats: Extremes<f64>,
    texts: Extremes<TextBound>,
    dates: Extremes<i64>,
    times: Extremes<i64>,
    timestamps: Extremes<i128>,
}

impl Range {
    /// Adds a truth value.
    pub fn add_bool(&mut self, value: bool) {
        widen(&mut self.bools, value, value, bool::cmp);
    }

    /// Adds an integer.
    #[inline]
    pub fn add_int(&mut self, value: i128) {
        widen(&mut self.ints, value, value, i128::cmp);
    }

    /// Adds each integer of a slice.
    pub fn add_i64_slice(&mut self, values: &[i64]) {
        if let Some((low, high)) = extremes(values) {
            widen(&mut self.ints, i128::from(low), i128::from(high), i128::cmp);
        }
    }

    /// Adds decimals of 128 bits that share a scale.
    pub fn add_decimal_slice(&mut self, unscaled: &[i128], scale: i8) {
        let low = unscaled.iter().min();
        let high = unscaled.iter().max();
        if let (Some(low), Some(high)) = (low, high) {
            self.widen_decimals((*low).into(), (*high).into(), scale);
        }
    }

    /// Adds decimals of 64 bits that share a scale.
    pub fn add_decimal_i64_slice(&mut self, unscaled: &[i64], scale: i8) {
        if let Some((low, high)) = extremes(unscaled) {
            self.widen_decimals(low.into(), high.into(), scale);
        }
    }

    /// Adds a decimal of 256 bits in little-endian two's complement.
    pub fn add_decimal_256(&mut self, unscaled: &[u8; 32], scale: i8) {
        let unscaled = BigInt::from_signed_bytes_le(unscaled);
        self.widen_decimals(unscaled.clone(), unscaled, scale);
    }

    pub(crate) fn widen_decimals(&mut self, low: BigInt, high: BigInt, scale: i8) {
        let (low, high) = (
            Decimal {
                unscaled: low,
                scale,
            },
            Decimal {
                unscaled: high,
                scale,
            },
        );
        widen(&mut self.decimals, low, high, order_of_decimals);
    }

    /// Adds each finite double of a slice.
    pub fn add_f64_slice(&mut self, values: &[f64]) {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            // NaN and infinities fail the comparison and leave both as they are.
            let finite = value.abs() < f64::INFINITY;
            low = if finite && *value < low { *value } else { low };
            high = if finite && *value > high {
                *value
            } else {
                high
            };
        }
        if low <= high {
            // Adding zero turns −0.0 into 0.0 and nothing else.
            widen(&mut self.floats, low + 0.0, high + 0.0, f64::total_cmp);
        }
    }

    /// Adds a text or binary value.
    #[inline]
    pub fn add_text(&mut self, text: &[u8]) {
        let Some((low, high)) = &mut self.texts else {
            self.texts = Some((TextBound::low(text), TextBound::high(text)));
            return;
        };
        let long = text.len() > TEXT_LIMIT;
        let start = if long { prefix(text) } else { text };
        if start < low.bytes.as_slice() || (low.cut && !long && text == low.bytes) {
            *low = TextBound::low(text);
        }
        // The bound of a long text is above the text itself, so it is made before it is compared.
        if long || text > high.bytes.as_slice() || (high.cut && text == high.bytes) {
            let bound = TextBound::high(text);
            if higher(&bound, high) == Ordering::Greater {
                *high = bound;
            }
        }
    }

    /// Adds dates, in days since 1970-01-01.
    pub fn add_date_slice(&mut self, days: &[i64]) {
        if let Some((low, high)) = extremes(days) {
            widen(&mut self.dates, low, high, i64::cmp);
        }
    }

    /// Adds times of day, in nanoseconds since midnight.
    pub fn add_time_slice(&mut self, nanos: &[i64]) {
        if let Some((low, high)) = extremes(nanos) {
            widen(&mut self.times, low, high, i64::cmp);
        }
    }

    /// Adds timestamps counted in a unit of `nanos_per_unit` (1, 1,000, 1,000,000 or 10^9) since
    /// 1970-01-01 UTC.
    pub fn add_timestamp_slice(&mut self, values: &[i64], nanos_per_unit: i64) {
        if let Some((low, high)) = extremes(values) {
            let nanos = |value| i128::from(value) * i128::from(nanos_per_unit);
            widen(&mut self.timestamps, nanos(low), nanos(high), i128::cmp);
        }
    }

    /// Adds a timestamp, in nanoseconds since 1970-01-01 UTC.
    pub fn add_timestamp(&mut self, nanos: i128) {
        widen(&mut self.timestamps, nanos, nanos, i128::cmp);
    }

    /// The latest timestamp, in nanoseconds since 1970-01-01 UTC: what freshness is measured from.
    #[must_use]
    pub fn latest(&self) -> Option<i128> {
        self.timestamps.map(|(_, latest)| latest)
    }

    /// Smallest and largest number, whatever kinds of number there are; `None` without any.
    #[must_use]
    pub fn numbers(&self) -> Option<(Scalar, Scalar)> {
        let ints = self
            .ints
            .map(|(low, high)| (Scalar::Int(low), Scalar::Int(high)));
        let decimals = self
            .decimals
            .clone()
            .map(|(low, high)| (low.scalar(), high.scalar()));
        let floats = self
            .floats
            .map(|(low, high)| (Scalar::Float(low), Scalar::Float(high)));
        [ints, decimals, floats].into_iter().flatten().reduce(
            |(low, high), (other_low, other_high)| {
                let low = if less(&other_low, &low) {
                    other_low
                } else {
                    low
                };
                let high = if less(&high, &other_high) {
                    other_high
                } else {
                    high
                };
                (low, high)
            },
        )
    }

    /// Smallest and largest text; `None` without any.
    #[must_use]
    pub fn texts(&self) -> Option<(Scalar, Scalar)> {
        self.texts
            .clone()
            .map(|(low, high)| (Scalar::Text(low), Scalar::Text(high)))
    }

    /// Smallest and largest value; `None` when there is none.
    ///
    /// # Errors
    /// [`Unavailable::MixedTypes`] when the column holds types that do not compare.
    pub fn extremes(&self) -> Result<Option<(Scalar, Scalar)>, Unavailable> {
        fn pair<T>(both: Extremes<T>, kind: fn(T) -> Scalar) -> Option<(Scalar, Scalar)> {
            both.map(|(low, high)| (kind(low), kind(high)))
        }
        let candidates = [
            ("number", self.numbers()),
            ("text", self.texts()),
            ("boolean", pair(self.bools, Scalar::Bool)),
            ("date", pair(self.dates, Scalar::Date)),
            ("time", pair(self.times, Scalar::Time)),
            ("timestamp", pair(self.timestamps, Scalar::Timestamp)),
        ];
        let mut met: Vec<_> = candidates
            .into_iter()
            .filter_map(|(kind, both)| both.map(|both| (kind, both)))
            .collect();
        if met.len() > 1 {
            let kinds: Vec<_> = met.iter().map(|(kind, _)| *kind).collect();
            return Err(Unavailable::MixedTypes {
                kinds: kinds.join(", "),
            });
        }
        Ok(met.pop().map(|(_, both)| both))
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        fn join<T: Clone>(
            own: &mut Extremes<T>,
            other: &Extremes<T>,
            order: impl Fn(&T, &T) -> Ordering,
        ) {
            if let Some((low, high)) = other.clone() {
                widen(own, low, high, order);
            }
        }
        join(&mut self.bools, &other.bools, bool::cmp);
        join(&mut self.ints, &other.ints, i128::cmp);
        join(&mut self.decimals, &other.decimals, order_of_decimals);
        join(&mut self.floats, &other.floats, f64::total_cmp);
        join(&mut self.dates, &other.dates, i64::cmp);
        join(&mut self.times, &other.times, i64::cmp);
        join(&mut self.timestamps, &other.timestamps, i128::cmp);
        match (&mut self.texts, &other.texts) {
            (Some((low, high)), Some((other_low, other_high))) => {
                if other_low < low {
                    low.clone_from(other_low);
                }
                if higher(other_high, high) == Ordering::Greater {
                    high.clone_from(other_high);
                }
            }
            (None, Some(_)) => self.texts.clone_from(&other.texts),
            (_, None) => {}
        }
    }
}

impl Decimal {
    fn scalar(self) -> Scalar {
        Scalar::Decimal {
            unscaled: self.unscaled,
            scale: self.scale,
        }
    }
}

/// The order of upper bounds: of two with the same bytes the text itself is above the bound, which
/// no text reaches.
fn higher(left: &TextBound, right: &TextBound) -> Ordering {
    (left.unbounded, &left.bytes, !left.cut).cmp(&(right.unbounded, &right.bytes, !right.cut))
}

fn extremes(values: &[i64]) -> Option<(i64, i64)> {
    let first = *values.first()?;
    Some(values.iter().fold((first, first), |(low, high), value| {
        (low.min(*value), high.max(*value))
    }))
}

fn less(left: &Scalar, right: &Scalar) -> bool {
    let (Some((top, bottom)), Some((other_top, other_bottom))) =
        (left.fraction(), right.fraction())
    else {
        return false;
    };
    top * BigInt::from(other_bottom) < other_top * BigInt::from(bottom)
}

fn write_both<T>(to: &mut Writer, both: &Extremes<T>, mut one: impl FnMut(&mut Writer, &T)) {
    to.bool(both.is_some());
    if let Some((low, high)) = both {
        one(to, low);
        one(to, high);
    }
}

fn read_both<T>(
    from: &mut Reader<'_>,
    order: impl Fn(&T, &T) -> Ordering,
    mut one: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Extremes<T>, DecodeError> {
    if !from.bool("range")? {
        return Ok(None);
    }
    let (low, high) = (one(from)?, one(from)?);
    if order(&low, &high) == Ordering::Greater {
        return Err(from.invalid("range"));
    }
    Ok(Some((low, high)))
}

fn read_i64(from: &mut Reader<'_>) -> Result<i64, DecodeError> {
    i64::try_from(from.i128("range")?).map_err(|_| from.invalid("range"))
}

fn read_text(from: &mut Reader<'_>) -> Result<TextBound, DecodeError> {
    let (unbounded, cut) = (from.bool("text bound")?, from.bool("text bound")?);
    let bytes = from.bytes("text bound")?;
    if bytes.len() > TEXT_LIMIT {
        return Err(from.invalid("length of text bound"));
    }
    Ok(TextBound {
        unbounded,
        bytes: bytes.to_vec(),
        cut,
    })
}

fn read_float(from: &mut Reader<'_>) -> Result<f64, DecodeError> {
    let value = from.f64("range")?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(from.invalid("range of doubles"))
    }
}

impl Codec for Range {
    fn write(&self, to: &mut Writer) {
        write_both(to, &self.bools, |to, value| to.bool(*value));
        write_both(to, &self.ints, |to, value| to.i128(*value));
        write_both(to, &self.decimals, |to, value| {
            to.u8(value.scale as u8);
            to.integer(&value.unscaled);
        });
        write_both(to, &self.floats, |to, value| to.f64(*value));
        write_both(to, &self.texts, |to, value| {
            to.bool(value.unbounded);
            to.bool(value.cut);
            to.bytes(&value.bytes);
        });
        write_both(to, &self.dates, |to, value| to.i128(i128::from(*value)));
        write_both(to, &self.times, |to, value| to.i128(i128::from(*value)));
        write_both(to, &self.timestamps, |to, value| to.i128(*value));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            bools: read_both(from, bool::cmp, |from| from.bool("range"))?,
            ints: read_both(from, i128::cmp, |from| from.i128("range"))?,
            decimals: read_both(from, order_of_decimals, |from| {
                let scale = from.u8("range of decimals")? as i8;
                Ok(Decimal {
                    unscaled: from.integer("range of decimals")?,
                    scale,
                })
            })?,
            floats: read_both(from, f64::total_cmp, read_float)?,
            // A bound may be empty ("unbounded"), so texts have no order to test here.
            texts: read_both(from, |_, _| Ordering::Equal, read_text)?,
            dates: read_both(from, i64::cmp, read_i64)?,
            times: read_both(from, i64::cmp, read_i64)?,
            timestamps: read_both(from, i128::cmp, |from| from.i128("range"))?,
        })
    }
}

impl_state!(Range);
