//! Arrays into the representation that metric states are fed with.
//!
//! In: one array. Out: its values that are not NULL, and which rows have them. Dictionaries are
//! spelt out; seconds become milliseconds. It must never change a value.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayAccessor, ArrayRef};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, TimeUnit};

use crate::parquet::sink::Decoded;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// The values of an array that are not NULL.
pub(super) struct Cells {
    pub(super) values: Decoded,
    validity: Option<NullBuffer>,
}

impl Cells {
    /// Takes the values of an array; an error says which value no type of ours holds.
    pub(super) fn of(array: &ArrayRef) -> Result<Self, String> {
        let plain = spelt_out(array)?;
        Ok(Self {
            values: decoded(plain.as_ref())?,
            validity: plain.logical_nulls(),
        })
    }

    /// Whether a row has a value.
    pub(super) fn is_valid(&self, row: usize) -> bool {
        self.validity
            .as_ref()
            .is_none_or(|nulls| nulls.is_valid(row))
    }
}

/// Rows of an array that are NULL.
pub(super) fn nulls(array: &dyn Array) -> u64 {
    array.logical_nulls().map_or(0, |nulls| nulls.null_count()) as u64
}

/// The array with its dictionary's values in place of their numbers.
fn spelt_out(array: &ArrayRef) -> Result<ArrayRef, String> {
    match array.as_any_dictionary_opt() {
        None => Ok(ArrayRef::clone(array)),
        Some(dictionary) => {
            let values = arrow_select::take::take(dictionary.values(), dictionary.keys(), None);
            spelt_out(&values.map_err(|error| error.to_string())?)
        }
    }
}

fn numbers<T: ArrowPrimitiveType, N>(array: &dyn Array, of: impl Fn(T::Native) -> N) -> Vec<N> {
    let array = array.as_primitive::<T>();
    if array.null_count() == 0 {
        return array.values().iter().map(|value| of(*value)).collect();
    }
    array.iter().flatten().map(of).collect()
}

fn scaled<T: ArrowPrimitiveType>(array: &dyn Array, by: i64) -> Result<Decoded, String>
where
    i64: From<T::Native>,
{
    let values = numbers::<T, i64>(array, i64::from);
    let scaled = values.into_iter().map(|value| value.checked_mul(by));
    let scaled: Option<Vec<i64>> = scaled.collect();
    scaled
        .map(Decoded::Ints)
        .ok_or_else(|| "a time is outside the calendar".to_owned())
}

fn bytes<'a, A: ArrayAccessor + Copy>(array: A, of: impl Fn(A::Item) -> &'a [u8]) -> Decoded {
    let (mut kept, mut ends) = (Vec::new(), Vec::new());
    for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
        kept.extend_from_slice(of(array.value(row)));
        ends.push(kept.len());
    }
    Decoded::Bytes(kept, ends)
}

fn decoded(array: &dyn Array) -> Result<Decoded, String> {
    let ints = Decoded::Ints;
    Ok(match array.data_type() {
        DataType::Null => ints(Vec::new()),
        DataType::Boolean => Decoded::Bools(array.as_boolean().iter().flatten().collect()),
        DataType::Int8 => ints(numbers::<Int8Type, _>(array, i64::from)),
        DataType::Int16 => ints(numbers::<Int16Type, _>(array, i64::from)),
        DataType::Int32 => ints(numbers::<Int32Type, _>(array, i64::from)),
        DataType::Int64 => ints(numbers::<Int64Type, _>(array, |value| value)),
        DataType::UInt8 => ints(numbers::<UInt8Type, _>(array, i64::from)),
        DataType::UInt16 => ints(numbers::<UInt16Type, _>(array, i64::from)),
        DataType::UInt32 => ints(numbers::<UInt32Type, _>(array, i64::from)),
        DataType::UInt64 => Decoded::Unsigned(numbers::<UInt64Type, _>(array, |value| value)),
        DataType::Float16 => Decoded::Floats(numbers::<Float16Type, _>(array, f64::from)),
        DataType::Float32 => Decoded::Floats(numbers::<Float32Type, _>(array, f64::from)),
        DataType::Float64 => Decoded::Floats(numbers::<Float64Type, _>(array, |value| value)),
        DataType::Decimal32(..) => Decoded::Wide(numbers::<Decimal32Type, _>(array, i128::from)),
        DataType::Decimal64(..) => Decoded::Wide(numbers::<Decimal64Type, _>(array, i128::from)),
        DataType::Decimal128(..) => Decoded::Wide(numbers::<Decimal128Type, _>(array, |v| v)),
        DataType::Decimal256(..) => {
            Decoded::Widest(numbers::<Decimal256Type, _>(array, |v| v.to_le_bytes()))
        }
        DataType::Date32 => ints(numbers::<Date32Type, _>(array, i64::from)),
        DataType::Date64 => ints(numbers::<Date64Type, _>(array, |ms| ms.div_euclid(DAY_MS))),
        DataType::Time32(_) | DataType::Time64(_) | DataType::Timestamp(..) => times(array)?,
        _ => texts(array)?,
    })
}

fn times(array: &dyn Array) -> Result<Decoded, String> {
    let same = |value: i64| value;
    Ok(match array.data_type() {
        DataType::Time32(TimeUnit::Second) => scaled::<Time32SecondType>(array, 1_000)?,
        DataType::Time32(_) => Decoded::Ints(numbers::<Time32MillisecondType, _>(array, i64::from)),
        DataType::Time64(TimeUnit::Microsecond) => {
            Decoded::Ints(numbers::<Time64MicrosecondType, _>(array, same))
        }
        DataType::Time64(_) => Decoded::Ints(numbers::<Time64NanosecondType, _>(array, same)),
        DataType::Timestamp(TimeUnit::Second, _) => scaled::<TimestampSecondType>(array, 1_000)?,
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Decoded::Ints(numbers::<TimestampMillisecondType, _>(array, same))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Decoded::Ints(numbers::<TimestampMicrosecondType, _>(array, same))
        }
        _ => Decoded::Ints(numbers::<TimestampNanosecondType, _>(array, same)),
    })
}

fn texts(array: &dyn Array) -> Result<Decoded, String> {
    Ok(match array.data_type() {
        DataType::Utf8 => bytes(array.as_string::<i32>(), str::as_bytes),
        DataType::LargeUtf8 => bytes(array.as_string::<i64>(), str::as_bytes),
        DataType::Utf8View => bytes(array.as_string_view(), str::as_bytes),
        DataType::Binary => bytes(array.as_binary::<i32>(), |value| value),
        DataType::LargeBinary => bytes(array.as_binary::<i64>(), |value| value),
        DataType::BinaryView => bytes(array.as_binary_view(), |value| value),
        DataType::FixedSizeBinary(_) => bytes(array.as_fixed_size_binary(), |value| value),
        other => return Err(format!("values of the type {other} are not read")),
    })
}
