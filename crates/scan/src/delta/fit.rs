//! Values of a data file as the table's type has them.
//!
//! In: an array as a file has it. Out: the same values in the type of the table's column. Only what
//! is exact is done: another spelling of the same type, and, where the table allows it, the
//! widenings of the protocol. Anything else is refused with both types. Pure.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray, new_null_array};
use arrow_cast::cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use super::protocol::{Mapping, Reading};
use super::schema::{Column, Kind};

/// Days of which microseconds fit 64 bits.
const DAYS_MAX: u32 = 106_751_991;

/// The place of a column among the fields of a file or structure.
pub(super) fn place(column: &Column, fields: &Fields, mapping: Mapping) -> Option<usize> {
    fields.iter().position(|field| match (mapping, column.id) {
        (Mapping::Id, Some(id)) => number(field) == Some(id),
        _ => field.name() == &column.physical,
    })
}

/// The number that a file gives a field.
pub(super) fn number(field: &Field) -> Option<i64> {
    field
        .metadata()
        .get(PARQUET_FIELD_ID_META_KEY)?
        .parse()
        .ok()
}

/// The values in the type of the table's column.
///
/// # Errors
/// Both types, or the reason that the values do not fit.
pub(super) fn fit(array: &ArrayRef, to: &Kind, reading: Reading) -> Result<ArrayRef, String> {
    let other = || {
        let (from, to) = (array.data_type(), to.arrow(true));
        format!("it is {from} in the file and {to} in the table")
    };
    let broken = |error: arrow_schema::ArrowError| error.to_string();
    match to {
        Kind::Plain(to) => plain(array, to, reading.widening)?.ok_or_else(other),
        Kind::Struct(columns) => {
            let of = array.as_struct_opt().ok_or_else(other)?;
            let mut arrays = Vec::with_capacity(columns.len());
            for column in columns {
                arrays.push(match place(column, of.fields(), reading.mapping) {
                    Some(at) => fit(of.column(at), &column.kind, reading)?,
                    None => new_null_array(&column.kind.arrow(true), of.len()),
                });
            }
            let fields: Fields = columns.iter().map(|column| column.field(true)).collect();
            let nulls = of.nulls().cloned();
            let whole = StructArray::try_new_with_length(fields, arrays, nulls, of.len());
            Ok(Arc::new(whole.map_err(broken)?))
        }
        Kind::List(item, _) => {
            let of = array.as_list_opt::<i32>().ok_or_else(other)?;
            let items = fit(of.values(), item, reading)?;
            let field = Arc::new(Field::new("element", item.arrow(true), true));
            let (offsets, nulls) = (of.offsets().clone(), of.nulls().cloned());
            let whole = ListArray::try_new(field, offsets, items, nulls);
            Ok(Arc::new(whole.map_err(broken)?))
        }
        Kind::Map(key, value, _) => {
            let of = array
                .as_any()
                .downcast_ref::<MapArray>()
                .ok_or_else(other)?;
            let keys = fit(of.keys(), key, reading)?;
            let values = fit(of.values(), value, reading)?;
            let DataType::Map(field, _) = to.arrow(true) else {
                return Err(other());
            };
            let DataType::Struct(fields) = field.data_type() else {
                return Err(other());
            };
            let entries = StructArray::try_new(fields.clone(), vec![keys, values], None);
            let entries = entries.map_err(broken)?;
            let (offsets, nulls) = (of.offsets().clone(), of.nulls().cloned());
            let whole = MapArray::try_new(field, offsets, entries, nulls, false);
            Ok(Arc::new(whole.map_err(broken)?))
        }
    }
}

/// Single values in another type; `None` where that is not exact.
fn plain(array: &ArrayRef, to: &DataType, widening: bool) -> Result<Option<ArrayRef>, String> {
    use DataType::{Binary, Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Utf8};
    use TimeUnit::{Microsecond, Millisecond, Nanosecond};
    let from = array.data_type();
    if from == to {
        return Ok(Some(Arc::clone(array)));
    }
    let exact = match (from, to) {
        (_, DataType::Null) => return Ok(Some(new_null_array(to, array.len()))),
        // Narrow integers are read as wide as they are stored; values beyond the type are errors.
        (Int32, Int8 | Int16) | (Binary, Utf8) | (Utf8, Binary) => true,
        (DataType::Timestamp(unit, zone), DataType::Timestamp(Microsecond, of))
            if zone.is_some() == of.is_some() =>
        {
            match unit {
                Microsecond | Millisecond => true,
                Nanosecond => is_whole_micros(array),
                TimeUnit::Second => false,
            }
        }
        (Int32, Int64 | Float64) | (Float32, Float64) => widening,
        // Values that do not fit the digits are errors.
        (Int32 | Int64, Decimal128(..)) => widening,
        (Decimal128(digits, scale), Decimal128(more, further)) => {
            let whole = whole_digits(*more, *further) >= whole_digits(*digits, *scale);
            widening && further >= scale && whole
        }
        (Date32, DataType::Timestamp(Microsecond, None)) => widening && is_in_micros(array),
        _ => false,
    };
    if !exact {
        return Ok(None);
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let cast = cast_with_options(array, to, &options).map_err(|error| error.to_string())?;
    if let Decimal128(digits, _) = to {
        let decimals = cast.as_primitive::<Decimal128Type>();
        let fits = decimals.validate_decimal_precision(*digits);
        fits.map_err(|error| error.to_string())?;
    }
    Ok(Some(cast))
}

fn whole_digits(digits: u8, scale: i8) -> i16 {
    i16::from(digits) - i16::from(scale)
}

fn is_whole_micros(array: &ArrayRef) -> bool {
    let times = array.as_primitive::<TimestampNanosecondType>();
    times.iter().flatten().all(|time| time % 1000 == 0)
}

fn is_in_micros(array: &ArrayRef) -> bool {
    let days = array.as_primitive::<Date32Type>();
    days.iter()
        .flatten()
        .all(|day| day.unsigned_abs() <= DAYS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Decimal128Array, Int32Array, TimestampNanosecondArray};

    #[test]
    fn only_what_is_exact_is_done() {
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(127), None]));
        let wide: ArrayRef = Arc::new(Int32Array::from(vec![128]));
        assert!(plain(&ints, &DataType::Int8, false).unwrap().is_some());
        assert!(plain(&wide, &DataType::Int8, false).is_err());
        assert!(plain(&ints, &DataType::Int64, false).unwrap().is_none());
        assert!(plain(&ints, &DataType::Int64, true).unwrap().is_some());
        assert!(
            plain(&ints, &DataType::Decimal128(4, 1), true)
                .unwrap()
                .is_some()
        );
        assert!(plain(&ints, &DataType::Decimal128(3, 1), true).is_err());
        assert!(plain(&ints, &DataType::Float32, true).unwrap().is_none());
        let money = Decimal128Array::from(vec![12345]).with_precision_and_scale(10, 2);
        let money: ArrayRef = Arc::new(money.unwrap());
        let to = |digits, scale| plain(&money, &DataType::Decimal128(digits, scale), true).unwrap();
        assert!(to(12, 4).is_some());
        assert!(to(11, 4).is_none() && to(12, 1).is_none());
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let nanos = |value| Arc::new(TimestampNanosecondArray::from(vec![value])) as ArrayRef;
        assert!(plain(&nanos(2000), &micros, false).unwrap().is_some());
        assert!(plain(&nanos(2001), &micros, false).unwrap().is_none());
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        assert!(plain(&nanos(2000), &zoned, true).unwrap().is_none());
    }
}
