//! Rows of an answer into record batches.
//!
//! In: rows, value by value. Out: batches of at most [`ROWS`] rows. What a type of Arrow has no value
//! for (a date that no calendar has, a time beyond a day) is NULL in the batch and counted apart. A
//! value of another type than its column's is an error: nothing is rounded, cut or guessed.

use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
    Decimal256Builder, FixedSizeBinaryBuilder, Float32Builder, Float64Builder, Int8Builder,
    Int16Builder, Int32Builder, Int64Builder, StringBuilder, Time64MicrosecondBuilder,
    TimestampMicrosecondBuilder, UInt8Builder, UInt16Builder, UInt32Builder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_buffer::i256;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use jiff::civil::{Date, DateTime, date};

use super::value::{Moment, Row, Value};
use crate::table::odd::Odd;

/// Rows of a batch.
const ROWS: usize = 8192;
/// Bytes of a batch, about.
const BYTES: usize = 4 << 20;
const MICROS_OF_DAY: i64 = 86_400_000_000;

enum Column {
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    UInt8(UInt8Builder),
    UInt16(UInt16Builder),
    UInt32(UInt32Builder),
    UInt64(UInt64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Bool(BooleanBuilder),
    /// With digits and scale.
    Decimal(Decimal128Builder, u8, i8),
    Wide(Decimal256Builder, u8, i8),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Time(Time64MicrosecondBuilder),
    Uuid(FixedSizeBinaryBuilder),
}

/// Calls the same for each kind of builder.
macro_rules! each {
    ($column:expr, $to:ident => $do:expr) => {
        match $column {
            Column::Int8($to) => $do,
            Column::Int16($to) => $do,
            Column::Int32($to) => $do,
            Column::Int64($to) => $do,
            Column::UInt8($to) => $do,
            Column::UInt16($to) => $do,
            Column::UInt32($to) => $do,
            Column::UInt64($to) => $do,
            Column::Float32($to) => $do,
            Column::Float64($to) => $do,
            Column::Bool($to) => $do,
            Column::Decimal($to, ..) => $do,
            Column::Wide($to, ..) => $do,
            Column::Text($to) => $do,
            Column::Binary($to) => $do,
            Column::Date($to) => $do,
            Column::Timestamp($to) => $do,
            Column::Time($to) => $do,
            Column::Uuid($to) => $do,
        }
    };
}

/// Makes batches of rows.
pub(super) struct Decoder {
    schema: SchemaRef,
    columns: Vec<Column>,
    /// What was counted apart, by column.
    pub(super) odd: Vec<Odd>,
    rows: usize,
    bytes: usize,
}

fn whole<T: TryFrom<i64> + TryFrom<u64>>(value: Value<'_>) -> Result<T, String> {
    let narrow = match value {
        Value::Int(value) => T::try_from(value).ok(),
        Value::Unsigned(value) => T::try_from(value).ok(),
        _ => None,
    };
    narrow.ok_or_else(|| other(value))
}

fn other(value: Value<'_>) -> String {
    let kind = match value {
        Value::Null => "NULL",
        Value::Int(_) | Value::Unsigned(_) => "a whole number",
        Value::Float(_) | Value::Double(_) => "a number with a fraction",
        Value::Bytes(_) => "a text, or a number too long",
        Value::Date(_) | Value::DateTime(_) | Value::Time(_) => "a time",
    };
    format!("{kind} came that its type does not hold")
}

impl Column {
    fn new(data_type: &DataType) -> Result<Self, String> {
        let with = data_type.clone();
        Ok(match data_type {
            DataType::Int8 => Self::Int8(Int8Builder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::UInt8 => Self::UInt8(UInt8Builder::new()),
            DataType::UInt16 => Self::UInt16(UInt16Builder::new()),
            DataType::UInt32 => Self::UInt32(UInt32Builder::new()),
            DataType::UInt64 => Self::UInt64(UInt64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Decimal128(digits, scale) => {
                let to = Decimal128Builder::new().with_data_type(with);
                Self::Decimal(to, *digits, *scale)
            }
            DataType::Decimal256(digits, scale) => {
                let to = Decimal256Builder::new().with_data_type(with);
                Self::Wide(to, *digits, *scale)
            }
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(with))
            }
            DataType::Time64(_) => Self::Time(Time64MicrosecondBuilder::new()),
            DataType::FixedSizeBinary(16) => Self::Uuid(FixedSizeBinaryBuilder::new(16)),
            other => return Err(format!("values of the type {other} are not read")),
        })
    }

    /// Adds a value that is not NULL; how many bytes it has.
    fn value(&mut self, value: Value<'_>, odd: &mut Odd) -> Result<usize, String> {
        match (self, value) {
            (Self::Int8(to), _) => to.append_value(whole(value)?),
            (Self::Int16(to), _) => to.append_value(whole(value)?),
            (Self::Int32(to), _) => to.append_value(whole(value)?),
            (Self::Int64(to), _) => to.append_value(whole(value)?),
            (Self::UInt8(to), _) => to.append_value(whole(value)?),
            (Self::UInt16(to), _) => to.append_value(whole(value)?),
            (Self::UInt32(to), _) => to.append_value(whole(value)?),
            (Self::UInt64(to), _) => to.append_value(whole(value)?),
            (Self::Bool(to), _) => to.append_value(whole::<u8>(value)? != 0),
            (Self::Float32(to), Value::Float(number)) => to.append_value(number),
            (Self::Float64(to), Value::Double(number)) => to.append_value(number),
            (Self::Decimal(to, digits, scale), Value::Bytes(bytes)) => {
                let unscaled = unscaled(bytes, *digits, *scale).and_then(|d| d.parse().ok());
                to.append_value(unscaled.ok_or_else(|| other(value))?);
            }
            (Self::Wide(to, digits, scale), Value::Bytes(bytes)) => {
                let unscaled = unscaled(bytes, *digits, *scale);
                let unscaled = unscaled.and_then(|digits| i256::from_string(&digits));
                to.append_value(unscaled.ok_or_else(|| other(value))?);
            }
            (Self::Text(to), Value::Bytes(bytes)) => {
                let text = std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8")?;
                to.append_value(text);
                return Ok(bytes.len());
            }
            (Self::Binary(to), Value::Bytes(bytes)) => {
                to.append_value(bytes);
                return Ok(bytes.len());
            }
            (Self::Uuid(to), Value::Bytes(bytes)) => {
                let bytes = uuid(bytes).ok_or_else(|| other(value))?;
                to.append_value(bytes).map_err(|error| error.to_string())?;
            }
            (Self::Date(to), Value::Date(moment)) => to.append_option(day(moment, odd)),
            (Self::Timestamp(to), Value::DateTime(moment)) => {
                to.append_option(micros(moment, odd));
            }
            (Self::Time(to), Value::Time(micros)) => {
                let is_of_day = (0..MICROS_OF_DAY).contains(&micros);
                odd.undated += u64::from(!is_of_day);
                to.append_option(is_of_day.then_some(micros));
            }
            _ => return Err(other(value)),
        }
        Ok(8)
    }
}

fn civil(moment: Moment) -> Option<Date> {
    let (month, day) = (moment.month.cast_signed(), moment.day.cast_signed());
    Date::new(i16::try_from(moment.year).ok()?, month, day).ok()
}

/// Days since 1970; one that is none is counted.
fn day(moment: Moment, odd: &mut Odd) -> Option<i32> {
    let days = civil(moment)
        .and_then(|day| day.since(date(1970, 1, 1)).ok())
        .map(|span| span.get_days());
    odd.undated += u64::from(days.is_none());
    days
}

/// Microseconds since 1970; a time that is none is counted.
fn micros(moment: Moment, odd: &mut Odd) -> Option<i64> {
    let micros = (|| {
        let Moment {
            hour,
            minute,
            second,
            micro,
            ..
        } = moment;
        let [hour, minute, second] = [hour, minute, second].map(u8::cast_signed);
        let nanos = i32::try_from(micro.checked_mul(1_000)?).ok()?;
        let time = jiff::civil::Time::new(hour, minute, second, nanos).ok()?;
        let epoch: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);
        let since = civil(moment)?.to_datetime(time).duration_since(epoch);
        i64::try_from(since.as_micros()).ok()
    })();
    odd.undated += u64::from(micros.is_none());
    micros
}

/// The digits of a decimal at its column's scale, and no more of them than it has.
fn unscaled(bytes: &[u8], digits: u8, scale: i8) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let scale = usize::try_from(scale).ok()?;
    if part.len() > scale || whole.len() + part.len() == 0 {
        return None;
    }
    // A column may show zeros before its numbers.
    let all = format!("{whole}{part:0<scale$}");
    let all = all.trim_start_matches('0');
    let is_number = all.bytes().all(|byte| byte.is_ascii_digit());
    let fits = is_number && all.len() <= usize::from(digits);
    fits.then(|| match all {
        "" => "0".to_owned(),
        all => format!("{sign}{all}"),
    })
}

/// The bytes of a UUID that is written with hyphens.
fn uuid(bytes: &[u8]) -> Option<[u8; 16]> {
    let mut found = [0; 16];
    let digits: Vec<u8> = bytes.iter().copied().filter(|b| *b != b'-').collect();
    if digits.len() != 32 {
        return None;
    }
    for (to, pair) in found.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *to = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(found)
}

impl Decoder {
    /// A decoder of rows with these columns.
    pub(super) fn new(schema: &Schema) -> Result<Self, String> {
        let columns = schema
            .fields()
            .iter()
            .map(|field| Column::new(field.data_type()));
        // What is counted apart is NULL in a batch, also of a column that has no NULLs.
        let field = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
        let nullable: Vec<Field> = schema.fields().iter().map(field).collect();
        Ok(Self {
            columns: columns.collect::<Result<_, _>>()?,
            odd: vec![Odd::default(); schema.fields().len()],
            schema: Arc::new(Schema::new(nullable)),
            rows: 0,
            bytes: 0,
        })
    }

    /// Takes a row; a batch that is full.
    pub(super) fn add(&mut self, mut row: Row<'_>) -> Result<Option<RecordBatch>, String> {
        let names = self.schema.fields();
        for ((column, odd), field) in self.columns.iter_mut().zip(&mut self.odd).zip(names) {
            let value = row
                .next()
                .ok_or("a row does not have the values it should")?;
            if value == Value::Null {
                each!(column, to => to.append_null());
                continue;
            }
            let bytes = column.value(value, odd);
            self.bytes += bytes.map_err(|what| format!("the column {:?}: {what}", field.name()))?;
        }
        self.rows += 1;
        if self.rows >= ROWS || self.bytes >= BYTES {
            return self.batch().map(Some);
        }
        Ok(None)
    }

    /// The rows since the last batch.
    pub(super) fn batch(&mut self) -> Result<RecordBatch, String> {
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        let finish =
            |column: &mut Column| -> ArrayRef { each!(column, to => ArrayBuilder::finish(to)) };
        let arrays = self.columns.iter_mut().map(finish).collect();
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_digit_by_digit_and_what_does_not_fit_is_refused() {
        let read = |text: &str| unscaled(text.as_bytes(), 5, 2);
        assert_eq!(read("-12.5").as_deref(), Some("-1250"));
        assert_eq!(read("00012.50").as_deref(), Some("1250"));
        assert_eq!(read("-0.00").as_deref(), Some("0"));
        for text in ["1.234", "1234.00", "", ".", "-", "1e3", "NaN", "1.-5"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn dates_that_no_calendar_has_are_counted_and_never_guessed() {
        let mut odd = Odd::default();
        let of = |year, month, day| Moment {
            year,
            month,
            day,
            ..Moment::default()
        };
        assert_eq!(day(of(1970, 1, 3), &mut odd), Some(2));
        assert_eq!(micros(of(1969, 12, 31), &mut odd), Some(-MICROS_OF_DAY));
        assert_eq!(odd.undated, 0);
        for moment in [
            of(0, 0, 0),
            of(2024, 0, 5),
            of(2024, 2, 31),
            of(60_000, 1, 1),
        ] {
            assert_eq!(day(moment, &mut odd), None);
            assert_eq!(micros(moment, &mut odd), None);
        }
        assert_eq!(odd.undated, 8);
    }

    #[test]
    fn a_uuid_is_its_bytes() {
        let read = uuid(b"00000000-0000-0000-0000-00e8d4a50fff").unwrap();
        assert_eq!(read[15], 0xff);
        assert_eq!(uuid(b"00000000-0000-0000-0000-00e8d4a50fxx"), None);
        assert_eq!(uuid("é".repeat(16).as_bytes()), None);
    }
}
