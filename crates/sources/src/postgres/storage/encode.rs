//! Rows of record batches as binary COPY takes them.
//!
//! In: batches. Out: the bytes of their rows. A value that its column in storage cannot hold is an
//! error that says where and why, and shows no value: who reads errors may not be one who reads the
//! data. Nothing is rounded, cut or left out.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_buffer::{NullBuffer, ScalarBuffer, i256};
use arrow_schema::{DataType, TimeUnit};

use super::kept::per_second;

/// What binary rows begin with.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What they end with.
pub(super) const TRAILER: [u8; 2] = [0xff, 0xff];

const DAYS_TO_2000: i64 = 10_957;
const MICROS_TO_2000: i64 = 946_684_800_000_000;
const MICROS_OF_DAY: i64 = 86_400_000_000;
/// The first day of Postgres's calendar and the one after its last, from 2000.
const DAYS: std::ops::Range<i64> = -2_451_545..2_145_031_949;
/// Its first instant and the one after its last, in microseconds from 2000.
const INSTANTS: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;

/// A row whose value cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfit {
    /// The row in the batch.
    pub(super) row: usize,
    /// The column.
    pub(super) column: String,
    pub(super) what: String,
}

/// The values of one column.
enum Values<'a> {
    Null,
    Bool(&'a arrow_array::BooleanArray),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    F16(&'a arrow_array::Float16Array),
    F32(&'a [f32]),
    F64(&'a [f64]),
    Decimal32(&'a [i32], i8),
    Decimal64(&'a [i64], i8),
    Decimal(&'a [i128], i8),
    Wide(&'a [i256], i8),
    Text(&'a arrow_array::StringArray),
    LargeText(&'a arrow_array::LargeStringArray),
    TextView(&'a arrow_array::StringViewArray),
    Binary(&'a arrow_array::BinaryArray),
    LargeBinary(&'a arrow_array::LargeBinaryArray),
    BinaryView(&'a arrow_array::BinaryViewArray),
    Fixed(&'a arrow_array::FixedSizeBinaryArray),
    Date32(&'a [i32]),
    Date64(&'a [i64]),
    /// Times of day, so many a second.
    Time32(&'a [i32], i64),
    Time64(&'a [i64], i64),
    /// Instants, so many a second.
    Timestamp(&'a [i64], i64),
    /// Places among the values of a dictionary.
    Dictionary(Vec<usize>, Box<Column<'a>>),
}

struct Column<'a> {
    values: Values<'a>,
    nulls: Option<NullBuffer>,
}

fn of<T: ArrowPrimitiveType>(array: &dyn Array) -> &[T::Native] {
    let values: &ScalarBuffer<T::Native> = array.as_primitive::<T>().values();
    values
}

impl<'a> Column<'a> {
    fn new(array: &'a dyn Array) -> Result<Self, String> {
        let times = |unit: &TimeUnit| per_second(*unit);
        let values = match array.data_type() {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Bool(array.as_boolean()),
            DataType::Int8 => Values::I8(of::<Int8Type>(array)),
            DataType::Int16 => Values::I16(of::<Int16Type>(array)),
            DataType::Int32 => Values::I32(of::<Int32Type>(array)),
            DataType::Int64 => Values::I64(of::<Int64Type>(array)),
            DataType::UInt8 => Values::U8(of::<UInt8Type>(array)),
            DataType::UInt16 => Values::U16(of::<UInt16Type>(array)),
            DataType::UInt32 => Values::U32(of::<UInt32Type>(array)),
            DataType::UInt64 => Values::U64(of::<UInt64Type>(array)),
            DataType::Float16 => Values::F16(array.as_primitive::<Float16Type>()),
            DataType::Float32 => Values::F32(of::<Float32Type>(array)),
            DataType::Float64 => Values::F64(of::<Float64Type>(array)),
            DataType::Decimal32(_, scale) => Values::Decimal32(of::<Decimal32Type>(array), *scale),
            DataType::Decimal64(_, scale) => Values::Decimal64(of::<Decimal64Type>(array), *scale),
            DataType::Decimal128(_, scale) => Values::Decimal(of::<Decimal128Type>(array), *scale),
            DataType::Decimal256(_, scale) => Values::Wide(of::<Decimal256Type>(array), *scale),
            DataType::Utf8 => Values::Text(array.as_string()),
            DataType::LargeUtf8 => Values::LargeText(array.as_string()),
            DataType::Utf8View => Values::TextView(array.as_string_view()),
            DataType::Binary => Values::Binary(array.as_binary()),
            DataType::LargeBinary => Values::LargeBinary(array.as_binary()),
            DataType::BinaryView => Values::BinaryView(array.as_binary_view()),
            DataType::FixedSizeBinary(_) => Values::Fixed(array.as_fixed_size_binary()),
            DataType::Date32 => Values::Date32(of::<Date32Type>(array)),
            DataType::Date64 => Values::Date64(of::<Date64Type>(array)),
            DataType::Time32(unit @ TimeUnit::Second) => {
                Values::Time32(of::<Time32SecondType>(array), times(unit))
            }
            DataType::Time32(unit) => {
                Values::Time32(of::<Time32MillisecondType>(array), times(unit))
            }
            DataType::Time64(unit @ TimeUnit::Nanosecond) => {
                Values::Time64(of::<Time64NanosecondType>(array), times(unit))
            }
            DataType::Time64(unit) => {
                Values::Time64(of::<Time64MicrosecondType>(array), times(unit))
            }
            DataType::Timestamp(unit, _) => {
                let values = match unit {
                    TimeUnit::Second => of::<TimestampSecondType>(array),
                    TimeUnit::Millisecond => of::<TimestampMillisecondType>(array),
                    TimeUnit::Microsecond => of::<TimestampMicrosecondType>(array),
                    TimeUnit::Nanosecond => of::<TimestampNanosecondType>(array),
                };
                Values::Timestamp(values, times(unit))
            }
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                let values = Column::new(dictionary.values().as_ref())?;
                Values::Dictionary(dictionary.normalized_keys(), Box::new(values))
            }
            other => return Err(format!("values of the type {other} are not stored")),
        };
        Ok(Self {
            values,
            nulls: array.nulls().cloned(),
        })
    }

    fn put(&self, row: usize, to: &mut Vec<u8>) -> Result<(), String> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            to.extend_from_slice(&(-1i32).to_be_bytes());
            return Ok(());
        }
        match &self.values {
            Values::Null => to.extend_from_slice(&(-1i32).to_be_bytes()),
            Values::Bool(array) => fixed(to, [u8::from(array.value(row))]),
            Values::I8(values) => fixed(to, i16::from(values[row]).to_be_bytes()),
            Values::I16(values) => fixed(to, values[row].to_be_bytes()),
            Values::I32(values) => fixed(to, values[row].to_be_bytes()),
            Values::I64(values) => fixed(to, values[row].to_be_bytes()),
            Values::U8(values) => fixed(to, i16::from(values[row]).to_be_bytes()),
            Values::U16(values) => fixed(to, i32::from(values[row]).to_be_bytes()),
            Values::U32(values) => fixed(to, i64::from(values[row]).to_be_bytes()),
            Values::U64(values) => number(to, false, u128::from(values[row]), 0),
            Values::F16(array) => fixed(to, array.value(row).to_f32().to_be_bytes()),
            Values::F32(values) => fixed(to, values[row].to_be_bytes()),
            Values::F64(values) => fixed(to, values[row].to_be_bytes()),
            Values::Decimal32(values, scale) => {
                let digits = values[row].unsigned_abs();
                number(to, values[row] < 0, u128::from(digits), *scale);
            }
            Values::Decimal64(values, scale) => {
                let digits = values[row].unsigned_abs();
                number(to, values[row] < 0, u128::from(digits), *scale);
            }
            Values::Decimal(values, scale) => {
                number(to, values[row] < 0, values[row].unsigned_abs(), *scale);
            }
            Values::Wide(values, scale) => wide(to, values[row], *scale)?,
            Values::Text(array) => text(to, array.value(row))?,
            Values::LargeText(array) => text(to, array.value(row))?,
            Values::TextView(array) => text(to, array.value(row))?,
            Values::Binary(array) => bytes(to, array.value(row))?,
            Values::LargeBinary(array) => bytes(to, array.value(row))?,
            Values::BinaryView(array) => bytes(to, array.value(row))?,
            Values::Fixed(array) => bytes(to, array.value(row))?,
            Values::Date32(values) => date(to, i64::from(values[row]))?,
            Values::Date64(values) => date(to, whole_day(values[row])?)?,
            Values::Time32(values, per) => time(to, i64::from(values[row]), *per)?,
            Values::Time64(values, per) => time(to, values[row], *per)?,
            Values::Timestamp(values, per) => timestamp(to, values[row], *per)?,
            Values::Dictionary(places, values) => match places.get(row) {
                Some(place) => values.put(*place, to)?,
                None => return Err("a value that its dictionary lacks".to_owned()),
            },
        }
        Ok(())
    }
}

#[inline]
fn fixed<const N: usize>(to: &mut Vec<u8>, value: [u8; N]) {
    to.extend_from_slice(&(N as i32).to_be_bytes());
    to.extend_from_slice(&value);
}

fn bytes(to: &mut Vec<u8>, value: &[u8]) -> Result<(), String> {
    let length = i32::try_from(value.len());
    let length = length.map_err(|_| format!("it has {} bytes, too many", value.len()))?;
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(value);
    Ok(())
}

fn text(to: &mut Vec<u8>, value: &str) -> Result<(), String> {
    if value.as_bytes().contains(&0) {
        return Err("a text with the character NUL cannot be stored".to_owned());
    }
    bytes(to, value.as_bytes())
}

fn whole_day(millis: i64) -> Result<i64, String> {
    match millis % 86_400_000 {
        0 => Ok(millis / 86_400_000),
        _ => Err("a date that is no whole day".to_owned()),
    }
}

fn date(to: &mut Vec<u8>, days: i64) -> Result<(), String> {
    let own = days - DAYS_TO_2000;
    match i32::try_from(own) {
        Ok(small) if DAYS.contains(&own) => fixed(to, small.to_be_bytes()),
        _ => {
            return Err("a date outside the calendar of storage".to_owned());
        }
    }
    Ok(())
}

/// Microseconds of so many units, of which there are `per` in a second.
fn micros(value: i64, per: i64) -> Result<i64, String> {
    if per <= 1_000_000 {
        let micros = value.checked_mul(1_000_000 / per);
        return micros.ok_or_else(|| "a time outside the calendar of storage".to_owned());
    }
    match value % 1_000 {
        0 => Ok(value / 1_000),
        _ => Err("parts of a microsecond, which storage does not keep".to_owned()),
    }
}

fn time(to: &mut Vec<u8>, value: i64, per: i64) -> Result<(), String> {
    let micros = micros(value, per)?;
    if !(0..=MICROS_OF_DAY).contains(&micros) {
        return Err("a time that is no time of day".to_owned());
    }
    fixed(to, micros.to_be_bytes());
    Ok(())
}

fn timestamp(to: &mut Vec<u8>, value: i64, per: i64) -> Result<(), String> {
    let own = micros(value, per)?.checked_sub(MICROS_TO_2000);
    match own {
        Some(own) if INSTANTS.contains(&own) => fixed(to, own.to_be_bytes()),
        _ => return Err("a time outside the calendar of storage".to_owned()),
    }
    Ok(())
}

/// Zeros that bring the lowest digits of a number to a whole group of four, and the power of 10,000
/// of that group.
fn lowest(scale: i8) -> (u32, i16) {
    let scale = i16::from(scale);
    if scale >= 0 {
        let zeros = (4 - scale % 4) % 4;
        (zeros.unsigned_abs().into(), -((scale + zeros) / 4))
    } else {
        let zeros = (-scale) % 4;
        (zeros.unsigned_abs().into(), -scale / 4)
    }
}

/// A decimal: its digits without a sign, `scale` of them behind the point.
fn number(to: &mut Vec<u8>, negative: bool, mut value: u128, scale: i8) {
    // A number of 128 bits has at most 39 digits.
    let mut groups = [0i16; 12];
    let mut count = 0;
    let (zeros, weight) = lowest(scale);
    if zeros > 0 && value > 0 {
        let cut = 10u128.pow(4 - zeros);
        groups[0] = (value % cut) as i16 * 10i16.pow(zeros);
        count = 1;
        value /= cut;
    }
    while value > 0 {
        groups[count] = (value % 10_000) as i16;
        count += 1;
        value /= 10_000;
    }
    put_groups(to, negative, &groups[..count], weight, scale);
}

fn wide(to: &mut Vec<u8>, value: i256, scale: i8) -> Result<(), String> {
    let negative = value < i256::ZERO;
    if let Some(small) = value.to_i128() {
        number(to, negative, small.unsigned_abs(), scale);
        return Ok(());
    }
    let odd = || "more digits than a decimal has".to_owned();
    let small = |value: i128| i256::from_i128(value);
    let mut value = value.checked_abs().ok_or_else(odd)?;
    let mut groups = Vec::with_capacity(20);
    let (zeros, weight) = lowest(scale);
    let cut = |by: i128, value: &mut i256| -> Result<i16, String> {
        let rest = value.checked_rem(small(by)).ok_or_else(odd)?;
        *value = value.checked_div(small(by)).ok_or_else(odd)?;
        rest.to_i128()
            .and_then(|r| i16::try_from(r).ok())
            .ok_or_else(odd)
    };
    if zeros > 0 {
        groups.push(cut(10i128.pow(4 - zeros), &mut value)? * 10i16.pow(zeros));
    }
    while value > i256::ZERO {
        groups.push(cut(10_000, &mut value)?);
    }
    put_groups(to, negative, &groups, weight, scale);
    Ok(())
}

/// `groups` from the lowest, whose power of 10,000 is `weight`.
fn put_groups(to: &mut Vec<u8>, negative: bool, groups: &[i16], weight: i16, scale: i8) {
    let highest = groups.iter().rposition(|g| *g != 0).map_or(0, |at| at + 1);
    let begin = groups.iter().position(|g| *g != 0).unwrap_or(highest);
    let used = &groups[begin.min(highest)..highest];
    let sign: u16 = if negative && !used.is_empty() {
        0x4000
    } else {
        0
    };
    let top = if used.is_empty() {
        0
    } else {
        weight + highest as i16 - 1
    };
    let length = 8 + 2 * used.len() as i32;
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(&(used.len() as i16).to_be_bytes());
    to.extend_from_slice(&top.to_be_bytes());
    to.extend_from_slice(&sign.to_be_bytes());
    to.extend_from_slice(&u16::try_from(scale).unwrap_or(0).to_be_bytes());
    for group in used.iter().rev() {
        to.extend_from_slice(&group.to_be_bytes());
    }
}

/// Rows of a batch on their way into storage.
pub(super) struct Encoder<'a> {
    columns: Vec<Option<Column<'a>>>,
    names: Vec<&'a str>,
    rows: usize,
}

impl<'a> Encoder<'a> {
    /// For the columns of `batch` at `places`; a place without one is NULL in every row.
    pub(super) fn new(batch: &'a RecordBatch, places: &[Option<usize>]) -> Result<Self, Unfit> {
        let schema = batch.schema_ref();
        let mut columns = Vec::with_capacity(places.len());
        let mut names = Vec::with_capacity(places.len());
        for place in places {
            let Some(at) = *place else {
                columns.push(None);
                names.push("");
                continue;
            };
            let name = schema.field(at).name().as_str();
            let column = Column::new(batch.column(at).as_ref()).map_err(|what| Unfit {
                row: 0,
                column: name.to_owned(),
                what,
            })?;
            columns.push(Some(column));
            names.push(name);
        }
        Ok(Self {
            columns,
            names,
            rows: batch.num_rows(),
        })
    }

    /// How many rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row to `to`.
    pub(super) fn put(&self, row: usize, to: &mut Vec<u8>) -> Result<(), Unfit> {
        to.extend_from_slice(&(self.columns.len() as i16).to_be_bytes());
        for (column, name) in self.columns.iter().zip(&self.names) {
            let Some(column) = column else {
                to.extend_from_slice(&(-1i32).to_be_bytes());
                continue;
            };
            column.put(row, to).map_err(|what| Unfit {
                row,
                column: (*name).to_owned(),
                what,
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, Date32Array, Decimal128Array, Decimal256Array, StringArray,
        TimestampNanosecondArray, TimestampSecondArray,
    };
    use arrow_schema::{Field, Schema};
    use proptest::prelude::*;

    use crate::postgres::decode::Decoder;

    fn encoded(array: ArrayRef) -> Result<Vec<u8>, Unfit> {
        let schema = Schema::new(vec![Field::new("c", array.data_type().clone(), true)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![array]).unwrap();
        let encoder = Encoder::new(&batch, &[Some(0)])?;
        let mut bytes = HEADER.to_vec();
        for row in 0..encoder.rows() {
            encoder.put(row, &mut bytes)?;
        }
        bytes.extend(TRAILER);
        Ok(bytes)
    }

    fn back(array: &ArrayRef) -> ArrayRef {
        let field = Field::new("c", array.data_type().clone(), true);
        let mut decoder = Decoder::new(&Schema::new(vec![field])).unwrap();
        let bytes = encoded(Arc::clone(array)).unwrap();
        decoder.add::<String>(&bytes, &mut |_| Ok(())).unwrap();
        Arc::clone(decoder.finish().unwrap().column(0))
    }

    proptest! {
        #[test]
        fn decimals_come_back_as_they_were(
            values in proptest::collection::vec(proptest::option::of(any::<i128>()), 1..20),
            scale in -9i8..=38,
        ) {
            let limit = 10i128.pow(38);
            let values = values.into_iter().map(|v| v.map(|v| v % limit));
            let array: Decimal128Array = values.collect();
            let array = array.with_precision_and_scale(38, scale).unwrap();
            let array: ArrayRef = Arc::new(array);
            prop_assert_eq!(&back(&array), &array);
        }

        #[test]
        fn wide_decimals_come_back_as_they_were(
            high in any::<i64>(), low in any::<u64>(), by in 0u32..40, scale in -9i8..=76,
        ) {
            let value = i256::from_i128(i128::from(high) << 64 | i128::from(low));
            let value = value.wrapping_mul(i256::from_i128(10).wrapping_pow(by));
            let limit = i256::from_i128(10).wrapping_pow(76);
            let array = Decimal256Array::from(vec![value.wrapping_rem(limit)]);
            let array: ArrayRef = Arc::new(array.with_precision_and_scale(76, scale).unwrap());
            prop_assert_eq!(&back(&array), &array);
        }
    }

    #[test]
    fn what_storage_has_no_value_for_is_refused_with_its_row_and_column() {
        let refused = |array: ArrayRef, what: &str| {
            let unfit = encoded(array).unwrap_err();
            assert_eq!((unfit.row, unfit.column.as_str()), (1, "c"));
            assert!(unfit.what.contains(what), "{unfit:?}");
        };
        refused(Arc::new(StringArray::from(vec!["a", "b\0"])), "NUL");
        refused(
            Arc::new(TimestampNanosecondArray::from(vec![1_000, 1_001])),
            "microsecond",
        );
        refused(
            Arc::new(TimestampSecondArray::from(vec![0, i64::MAX])),
            "calendar",
        );
        refused(Arc::new(Date32Array::from(vec![0, i32::MAX])), "calendar");
    }
}
