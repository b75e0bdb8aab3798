//! Fields of text as columns of Arrow.
//!
//! In: fields and JSON values, the type that a column is declared as or was found to be. Out: an
//! array, or the fact that a value does not read as its column's type. Nothing is rounded that the
//! type promises to hold.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder,
    Int64Builder, StringBuilder, Time64NanosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, TimeUnit};
use assay_metrics::Number;
use assay_model::dataset::{Dataset, LogicalType};
use assay_scan::ScanError;
use assay_scan::error::Place;
use assay_scan::text::ndjson::Json;
use assay_scan::text::values;
use jiff::tz::TimeZone;

/// Whole numbers up to this are doubles exactly.
const EXACT_MAX: u128 = 1 << 53;
/// Digits of a decimal.
const DIGITS: u8 = 38;

/// What the values of an undeclared column were found to be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    ints: bool,
    wide: bool,
    floats: bool,
    bools: bool,
    texts: bool,
    /// Most digits behind the point.
    scale: i8,
}

impl Seen {
    /// Takes a field of delimited text.
    pub(super) fn field(&mut self, field: &[u8]) {
        match values::number(field) {
            Number::Int(value) if i64::try_from(value).is_ok() => self.ints = true,
            Number::Int(_) | Number::Wide(..) | Number::TooWide => self.wide = true,
            Number::Float(_) | Number::Decimal(..) => {
                self.floats = true;
                if let Number::Decimal(_, scale) = values::decimal(field) {
                    self.scale = self.scale.max(scale);
                }
            }
            Number::None => self.texts = true,
        }
    }

    /// Takes a JSON value.
    pub(super) fn json(&mut self, value: Json<'_>) {
        match value {
            Json::Null => {}
            Json::Bool(_) => self.bools = true,
            Json::Int(value) if i64::try_from(value).is_ok() => self.ints = true,
            Json::Int(_) | Json::Huge(_) => self.wide = true,
            Json::Float(_) => self.floats = true,
            Json::Text(_) | Json::Nested(_) => self.texts = true,
        }
    }

    /// The type that holds them all, as the scan of the metrics has it: numbers if all are.
    fn of_all(self) -> DataType {
        if self.texts {
            DataType::Utf8
        } else if self.floats {
            DataType::Float64
        } else if self.wide {
            DataType::Decimal128(DIGITS, 0)
        } else if self.ints {
            DataType::Int64
        } else if self.bools {
            DataType::Boolean
        } else {
            DataType::Utf8
        }
    }
}

/// The scale of a declared decimal: `decimal(10, 2)` has 2.
fn declared_scale(physical: &str) -> Option<i8> {
    let (_, digits) = physical.split_once('(')?;
    let digits = digits.trim_end().strip_suffix(')')?;
    match digits.split_once(',') {
        Some((_, scale)) => scale.trim().parse().ok(),
        None => Some(0),
    }
}

/// Whether the type of a column depends on its values.
pub(super) fn is_open(dataset: &Dataset, name: &str) -> bool {
    let declared = dataset.columns.iter().find(|column| column.name == name);
    let Some(declared) = declared else {
        return true;
    };
    match declared.logical_type {
        None => true,
        Some(LogicalType::Number) => {
            let physical = declared.physical_type.as_deref().unwrap_or_default();
            is_decimal(physical) && declared_scale(physical).is_none()
        }
        Some(_) => false,
    }
}

fn is_decimal(physical: &str) -> bool {
    let physical = physical.to_ascii_lowercase();
    physical.starts_with("decimal") || physical.starts_with("numeric")
}

/// The column of the engine for a column of text.
pub(super) fn field(dataset: &Dataset, name: &str, seen: Seen, is_json: bool) -> Field {
    let declared = dataset.columns.iter().find(|column| column.name == name);
    let zone: Arc<str> = dataset.partitions.time_zone.as_str().into();
    let of = match declared.and_then(|column| column.logical_type) {
        None => seen.of_all(),
        Some(LogicalType::Integer) => DataType::Int64,
        Some(LogicalType::Number) => {
            let physical = declared.and_then(|column| column.physical_type.as_deref());
            match physical.filter(|physical| is_decimal(physical) && !is_json) {
                Some(physical) => {
                    DataType::Decimal128(DIGITS, declared_scale(physical).unwrap_or(seen.scale))
                }
                None => DataType::Float64,
            }
        }
        Some(LogicalType::String | LogicalType::Object | LogicalType::Array) => DataType::Utf8,
        Some(LogicalType::Boolean) => DataType::Boolean,
        Some(LogicalType::Date) => DataType::Date32,
        Some(LogicalType::Time) => DataType::Time64(TimeUnit::Nanosecond),
        Some(LogicalType::Timestamp) => DataType::Timestamp(TimeUnit::Microsecond, Some(zone)),
    };
    Field::new(name, of, true)
}

/// A column that is being filled.
#[derive(Debug)]
pub(super) struct Column {
    values: Values,
    /// Whether any JSON value may be read as text.
    any_text: bool,
    zone: TimeZone,
}

#[derive(Debug)]
enum Values {
    Int(Int64Builder),
    Decimal(Decimal128Builder, i8),
    Float(Float64Builder),
    Text(StringBuilder),
    Bool(BooleanBuilder),
    Date(Date32Builder),
    Time(Time64NanosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    /// As it is written.
    Written(BinaryBuilder),
}

/// Why a value does not fit its column.
pub(super) type Unfit = &'static str;

impl Column {
    /// An empty column of a type that [`field`] gives.
    pub(super) fn new(of: &Field, dataset: &Dataset, zone: &TimeZone) -> Self {
        let declared = dataset
            .columns
            .iter()
            .find(|column| column.name == *of.name());
        let values = match of.data_type() {
            DataType::Int64 => Values::Int(Int64Builder::new()),
            DataType::Decimal128(_, scale) => {
                let builder = Decimal128Builder::new().with_data_type(of.data_type().clone());
                Values::Decimal(builder, *scale)
            }
            DataType::Float64 => Values::Float(Float64Builder::new()),
            DataType::Binary => Values::Written(BinaryBuilder::new()),
            DataType::Boolean => Values::Bool(BooleanBuilder::new()),
            DataType::Date32 => Values::Date(Date32Builder::new()),
            DataType::Time64(_) => Values::Time(Time64NanosecondBuilder::new()),
            DataType::Timestamp(..) => {
                let builder = TimestampMicrosecondBuilder::new();
                Values::Timestamp(builder.with_data_type(of.data_type().clone()))
            }
            _ => Values::Text(StringBuilder::new()),
        };
        Self {
            values,
            any_text: declared.is_some_and(|column| column.logical_type.is_some()),
            zone: zone.clone(),
        }
    }

    fn null(&mut self) {
        match &mut self.values {
            Values::Int(to) => to.append_null(),
            Values::Decimal(to, _) => to.append_null(),
            Values::Float(to) => to.append_null(),
            Values::Text(to) => to.append_null(),
            Values::Bool(to) => to.append_null(),
            Values::Date(to) => to.append_null(),
            Values::Time(to) => to.append_null(),
            Values::Timestamp(to) => to.append_null(),
            Values::Written(to) => to.append_null(),
        }
    }

    /// Takes a field of delimited text, or a string where a time is declared.
    pub(super) fn field(&mut self, field: Option<&[u8]>) -> Result<(), Unfit> {
        let Some(field) = field else {
            self.null();
            return Ok(());
        };
        match &mut self.values {
            Values::Written(to) => to.append_value(field),
            Values::Text(to) => to.append_value(std::str::from_utf8(field).map_err(|_| "no text")?),
            Values::Int(to) => to.append_value(whole(values::number(field))?),
            Values::Float(to) => to.append_value(double(values::number(field))?),
            Values::Decimal(to, scale) => to.append_value(scaled(values::decimal(field), *scale)?),
            Values::Bool(to) => to.append_value(values::boolean(field).ok_or("no truth value")?),
            Values::Date(to) => {
                let days = values::date(field).ok_or("no date")?;
                to.append_value(i32::try_from(days).map_err(|_| "no date")?);
            }
            Values::Time(to) => {
                to.append_value(values::time_of_day(field).ok_or("no time of day")?);
            }
            Values::Timestamp(to) => {
                let nanos = values::timestamp(field, &self.zone).ok_or("no timestamp")?;
                if nanos % 1000 != 0 {
                    return Err("a timestamp finer than a microsecond");
                }
                to.append_value(i64::try_from(nanos / 1000).map_err(|_| "no timestamp")?);
            }
        }
        Ok(())
    }

    /// Takes a JSON value.
    pub(super) fn json(&mut self, value: Json<'_>) -> Result<(), Unfit> {
        let number = match value {
            Json::Null => {
                self.null();
                return Ok(());
            }
            Json::Int(value) => Number::Int(value),
            Json::Huge(_) => Number::TooWide,
            Json::Float(value) => Number::Float(value),
            _ => Number::None,
        };
        match (&mut self.values, value) {
            (Values::Int(to), _) => to.append_value(whole(number)?),
            (Values::Float(to), _) => to.append_value(double(number)?),
            (Values::Decimal(to, scale), _) => to.append_value(scaled(number, *scale)?),
            (Values::Bool(to), Json::Bool(value)) => to.append_value(value),
            (Values::Bool(_), _) => return Err("no truth value"),
            (Values::Text(to), Json::Text(text) | Json::Nested(text)) => to.append_value(text),
            (Values::Text(_), _) if !self.any_text => {
                return Err("no text, as others of its column are");
            }
            (Values::Text(to), Json::Bool(value)) => to.append_value(value.to_string()),
            (Values::Text(to), Json::Int(value)) => to.append_value(value.to_string()),
            (Values::Text(to), Json::Float(value)) => to.append_value(value.to_string()),
            (Values::Text(to), Json::Huge(text)) => to.append_value(text),
            (_, Json::Text(text)) => return self.field(Some(text.as_bytes())),
            _ => return Err("no time"),
        }
        Ok(())
    }

    /// The values so far; the column is empty afterwards.
    pub(super) fn finish(&mut self) -> ArrayRef {
        match &mut self.values {
            Values::Int(from) => Arc::new(from.finish()),
            Values::Decimal(from, _) => Arc::new(from.finish()),
            Values::Float(from) => Arc::new(from.finish()),
            Values::Text(from) => Arc::new(from.finish()),
            Values::Bool(from) => Arc::new(from.finish()),
            Values::Date(from) => Arc::new(from.finish()),
            Values::Time(from) => Arc::new(from.finish()),
            Values::Timestamp(from) => Arc::new(from.finish()),
            Values::Written(from) => Arc::new(from.finish()),
        }
    }
}

fn whole(number: Number) -> Result<i64, Unfit> {
    match number {
        Number::Int(value) => i64::try_from(value).map_err(|_| "a whole number beyond 64 bits"),
        Number::Wide(..) | Number::TooWide => Err("a whole number beyond 64 bits"),
        // Some writers put a point behind every number.
        Number::Float(value) if value.fract() == 0.0 && value.abs() <= EXACT_MAX as f64 => {
            Ok(value as i64)
        }
        _ => Err("no whole number"),
    }
}

fn double(number: Number) -> Result<f64, Unfit> {
    match number {
        Number::Float(value) => Ok(value),
        Number::Int(value) if value.unsigned_abs() <= EXACT_MAX => Ok(value as f64),
        Number::Int(value) if (value as f64) as i128 == value => Ok(value as f64),
        Number::Int(_) | Number::Wide(..) | Number::TooWide => {
            Err("a whole number that no double holds")
        }
        _ => Err("no number"),
    }
}

fn scaled(number: Number, scale: i8) -> Result<i128, Unfit> {
    let (value, own) = match number {
        Number::Int(value) => (value, 0),
        Number::Decimal(value, own) => (value, own),
        Number::Wide(..) | Number::TooWide => return Err("a decimal of more than 38 digits"),
        _ => return Err("no decimal"),
    };
    let mut value = value;
    let mut own = own;
    while own > scale {
        if value % 10 != 0 {
            return Err("a decimal with more digits behind the point than declared");
        }
        value /= 10;
        own -= 1;
    }
    let up = 10i128.checked_pow(u32::from((scale - own).unsigned_abs()));
    match up.and_then(|up| value.checked_mul(up)) {
        Some(value) if value.unsigned_abs() < 10u128.pow(38) => Ok(value),
        _ => Err("a decimal of more than 38 digits"),
    }
}

/// The error of a value that does not fit its column.
pub(super) fn unfit(path: &str, place: Place, what: Unfit) -> ScanError {
    ScanError::Definition {
        path: path.to_owned(),
        place,
        what: format!("the value is {what}"),
        remedy: "declare the column's logicalType as string and CAST it in the query, or have the \
                 file corrected"
            .to_owned(),
    }
}
