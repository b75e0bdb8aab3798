//! Values of partition columns, which the log holds as texts.
//!
//! In: a text and the column's type. Out: the value that all rows of a file have, and its spelling
//! as a part of a partition's key. A text that is none of its type is refused: it is never guessed
//! at. Pure.

use std::str::FromStr;
use std::sync::Arc;

use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, Date32Array, Decimal128Array, PrimitiveArray,
    StringArray, TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow_schema::{DataType, TimeUnit};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Bytes that a value may have: it stands in every row of a batch.
const BYTES_MAX: usize = 4096;

/// The value of a partition column in an array of one row; a text that is empty stands for NULL.
///
/// # Errors
/// What was expected.
pub(super) fn constant(kind: &DataType, raw: Option<&str>) -> Result<ArrayRef, String> {
    let Some(raw) = raw.filter(|raw| !raw.is_empty()) else {
        return Ok(new_null_array(kind, 1));
    };
    if raw.len() > BYTES_MAX {
        return Err(format!(
            "a partition value of {} bytes, more than {BYTES_MAX}",
            raw.len()
        ));
    }
    let odd = |expected: &str| format!("the partition value {raw:?} is not {expected}");
    let number = || odd("a whole number of its column's width");
    let real = || odd("a number");
    Ok(match kind {
        DataType::Utf8 => Arc::new(StringArray::from(vec![raw])),
        DataType::Int8 => one::<Int8Type>(raw).ok_or_else(number)?,
        DataType::Int16 => one::<Int16Type>(raw).ok_or_else(number)?,
        DataType::Int32 => one::<Int32Type>(raw).ok_or_else(number)?,
        DataType::Int64 => one::<Int64Type>(raw).ok_or_else(number)?,
        DataType::Float32 => one::<Float32Type>(raw).ok_or_else(real)?,
        DataType::Float64 => one::<Float64Type>(raw).ok_or_else(real)?,
        DataType::Boolean => match raw {
            "true" => Arc::new(BooleanArray::from(vec![true])),
            "false" => Arc::new(BooleanArray::from(vec![false])),
            _ => return Err(odd("true or false")),
        },
        DataType::Date32 => {
            let date: Date = raw.parse().map_err(|_| odd("a date"))?;
            let days = date
                .since(jiff::civil::date(1970, 1, 1))
                .map(|span| span.get_days());
            let days = days.map_err(|_| odd("a date"))?;
            Arc::new(Date32Array::from(vec![days]))
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let instant = match zone {
                Some(_) => instant(raw),
                None => clock(raw).and_then(|clock| TimeZone::UTC.to_timestamp(clock).ok()),
            };
            let micros = instant.filter(|at| at.subsec_nanosecond() % 1000 == 0);
            let micros = micros
                .ok_or_else(|| odd("a time of microseconds"))?
                .as_microsecond();
            let array = TimestampMicrosecondArray::from(vec![micros]);
            Arc::new(array.with_timezone_opt(zone.clone()))
        }
        DataType::Decimal128(digits, scale) => {
            let value = decimal(raw, *scale).filter(|value| fits(*value, *digits));
            let value = value.ok_or_else(|| odd("a decimal of its column's digits"))?;
            let array = Decimal128Array::from(vec![value]);
            let array = array.with_precision_and_scale(*digits, *scale);
            Arc::new(array.map_err(|error| error.to_string())?)
        }
        other => {
            return Err(format!(
                "a partition column of the type {other} is not read"
            ));
        }
    })
}

/// A number in an array of one row.
fn one<T: ArrowPrimitiveType>(raw: &str) -> Option<ArrayRef>
where
    T::Native: FromStr,
{
    let value = raw.parse().ok()?;
    Some(Arc::new(PrimitiveArray::<T>::from_value(value, 1)))
}

/// The value of one row in so many.
pub(super) fn repeated(one: &ArrayRef, rows: usize) -> Result<ArrayRef, String> {
    let first = UInt32Array::from(vec![0; rows]);
    arrow_select::take::take(one.as_ref(), &first, None).map_err(|error| error.to_string())
}

/// An instant: with a zone, or a reading of the clock in UTC.
fn instant(raw: &str) -> Option<Timestamp> {
    let told = raw.parse::<Timestamp>().ok();
    told.or_else(|| TimeZone::UTC.to_timestamp(clock(raw)?).ok())
}

fn clock(raw: &str) -> Option<DateTime> {
    raw.parse().ok()
}

fn fits(value: i128, digits: u8) -> bool {
    10i128
        .checked_pow(u32::from(digits))
        .is_some_and(|most| value.unsigned_abs() < most.unsigned_abs())
}

/// A decimal as its digits at a scale, if it is one exactly.
fn decimal(raw: &str, scale: i8) -> Option<i128> {
    let (mantissa, exponent) = match raw.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (raw, 0),
    };
    let (negative, unsigned) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, part) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + part.len() == 0 || !is_digits(whole) || !is_digits(part) {
        return None;
    }
    let mut value: i128 = 0;
    for digit in whole.bytes().chain(part.bytes()) {
        value = value
            .checked_mul(10)?
            .checked_add(i128::from(digit - b'0'))?;
    }
    if value == 0 {
        return Some(0);
    }
    let shift = exponent
        .checked_add(i32::from(scale))?
        .checked_sub(i32::try_from(part.len()).ok()?)?;
    let power = 10i128.checked_pow(shift.unsigned_abs())?;
    let value = match shift {
        0.. => value.checked_mul(power)?,
        _ if value % power == 0 => value / power,
        _ => return None,
    };
    Some(if negative { -value } else { value })
}

/// The spellings of values, one for each, as a part of a key.
///
/// # Errors
/// The value that is none of the column's type.
pub(super) fn spelt(
    kind: &DataType,
    raw: &[Option<&str>],
    zone: &TimeZone,
) -> Result<Vec<Option<String>>, String> {
    for value in raw {
        constant(kind, *value)?;
    }
    let present = |raw: &Option<&str>| raw.filter(|raw| !raw.is_empty()).map(str::to_owned);
    let clocks = |raw: &Option<&str>| match kind {
        DataType::Timestamp(_, Some(_)) => {
            present(raw).and_then(|raw| Some(zone.to_datetime(instant(&raw)?)))
        }
        _ => present(raw).and_then(|raw| clock(&raw)),
    };
    Ok(match kind {
        DataType::Timestamp(..) => {
            let clocks: Vec<Option<DateTime>> = raw.iter().map(clocks).collect();
            let is_hour = |at: &DateTime| *at == at.date().at(at.hour(), 0, 0, 0);
            // Keys of hours are times; finer ones are texts, since no partition is finer.
            let hours = clocks.iter().flatten().all(is_hour);
            let spell = |at: DateTime| match hours {
                true => format!("{}T{:02}", at.date(), at.hour()),
                false => at.to_string(),
            };
            clocks.into_iter().map(|at| at.map(spell)).collect()
        }
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            let number = |raw: String| raw.parse::<i64>().map_or(raw, |number| number.to_string());
            raw.iter().map(|raw| present(raw).map(number)).collect()
        }
        _ => raw.iter().map(present).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Decimal128Type, TimestampMicrosecondType};

    const UTC_MICROS: fn() -> DataType =
        || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));

    #[test]
    fn a_text_is_read_by_the_type_of_its_column_or_refused() {
        let decimal = |raw: &str, digits, scale| {
            let one = constant(&DataType::Decimal128(digits, scale), Some(raw));
            one.map(|one| one.as_primitive::<Decimal128Type>().value(0))
        };
        assert_eq!(decimal("-2342342.23423", 12, 5).unwrap(), -234_234_223_423);
        assert_eq!(decimal("0E-18", 38, 18).unwrap(), 0);
        assert_eq!(decimal("1.5E+2", 5, 1).unwrap(), 1500);
        assert_eq!(decimal("1.500", 3, 1).unwrap(), 15);
        for (raw, digits, scale) in [("1.55", 3, 1), ("1000", 3, 0), ("", 3, 0), (".", 3, 0)] {
            let told = decimal(raw, digits, scale);
            assert!(raw.is_empty() || told.is_err(), "{raw}");
        }
        for same in ["2013-07-05 17:01:00.123456", "2013-07-05T17:01:00.123456Z"] {
            let one = constant(&UTC_MICROS(), Some(same)).unwrap();
            let micros = one.as_primitive::<TimestampMicrosecondType>().value(0);
            assert_eq!(micros, 1_373_043_660_123_456);
        }
        for (kind, raw) in [
            (DataType::Int8, "128"),
            (DataType::Int32, "1.0"),
            (DataType::Boolean, "TRUE"),
            (DataType::Date32, "2013-02-30"),
            (UTC_MICROS(), "2013-07-05 17:01:00.1234567"),
            (DataType::Binary, "x"),
        ] {
            assert!(constant(&kind, Some(raw)).is_err(), "{raw}");
        }
        assert!(constant(&DataType::Utf8, Some("")).unwrap().is_null(0));
        assert!(constant(&DataType::Utf8, Some(&"x".repeat(5000))).is_err());
    }

    #[test]
    fn instants_are_keys_on_the_clock_of_the_dataset() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let hours = [
            Some("2013-01-01 05:00:00"),
            Some("2013-01-02T06:00:00Z"),
            None,
        ];
        let spelling = spelt(&UTC_MICROS(), &hours, &zone).unwrap();
        let of = |text: &str| Some(text.to_owned());
        assert_eq!(spelling, [of("2013-01-01T00"), of("2013-01-02T01"), None]);
        let finer = [Some("2013-01-01 05:00:01"), hours[1]];
        let spelling = spelt(&UTC_MICROS(), &finer, &TimeZone::UTC).unwrap();
        assert_eq!(
            spelling,
            [of("2013-01-01T05:00:01"), of("2013-01-02T06:00:00")]
        );
        assert_eq!(
            spelt(&DataType::Int32, &[Some("007")], &zone).unwrap(),
            [of("7")]
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(raw in "\\PC{0,24}", exponent: i32) {
            let decimal = DataType::Decimal128(38, 18);
            for kind in [decimal.clone(), DataType::Date32, UTC_MICROS(), DataType::Float64] {
                let _ = constant(&kind, Some(&raw));
            }
            let _ = constant(&decimal, Some(&format!("1E{exponent}")));
        }
    }
}
