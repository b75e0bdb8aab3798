//! Arrow types: what their values mean, and what the schema metric calls them.
//!
//! In: a field. Out: the meaning by which its values are fed, and its type as text, both as a
//! Parquet file with the same column has them.

use arrow_schema::{DataType, Field, TimeUnit};

use crate::parquet::columns::Meaning;

/// The key of a field's metadata that says what the schema metric calls its type, where the source
/// has a word that Arrow has not (`uuid`, `json`).
pub const TYPE_TEXT: &str = "assay.type";

const fn nanos(unit: TimeUnit) -> i64 {
    match unit {
        // Brought to milliseconds when they are decoded.
        TimeUnit::Second | TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

const fn unit(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second | TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

/// What the values of a type mean.
pub(super) fn meaning(data_type: &DataType) -> Meaning {
    match data_type {
        DataType::Boolean => Meaning::Bool,
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::Null => Meaning::Int,
        DataType::UInt64 => Meaning::Unsigned64,
        DataType::Float16 | DataType::Float64 => Meaning::Float,
        DataType::Float32 => Meaning::Single,
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => Meaning::Decimal(*scale),
        DataType::Date32 | DataType::Date64 => Meaning::Date,
        DataType::Time32(unit) | DataType::Time64(unit) => Meaning::Time(nanos(*unit)),
        DataType::Timestamp(unit, Some(_)) => Meaning::Timestamp(nanos(*unit)),
        DataType::Timestamp(unit, None) => Meaning::LocalTimestamp(nanos(*unit)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Meaning::Text,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => Meaning::Binary,
        DataType::Dictionary(_, values) => meaning(values),
        _ => Meaning::Nested,
    }
}

/// The type of a field, as the schema metric shows it.
#[must_use]
pub fn type_text(field: &Field) -> String {
    match field.metadata().get(TYPE_TEXT) {
        Some(text) => text.clone(),
        None => text(field.data_type()),
    }
}

fn text(data_type: &DataType) -> String {
    let part = |field: &Field| {
        let optional = if field.is_nullable() { "?" } else { "" };
        format!("{}:{}{optional}", field.name(), type_text(field))
    };
    match data_type {
        DataType::Null => "null".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Int8 => "int8".to_owned(),
        DataType::Int16 => "int16".to_owned(),
        DataType::Int32 => "int32".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        DataType::UInt8 => "uint8".to_owned(),
        DataType::UInt16 => "uint16".to_owned(),
        DataType::UInt32 => "uint32".to_owned(),
        DataType::UInt64 => "uint64".to_owned(),
        DataType::Float16 => "float16".to_owned(),
        DataType::Float32 => "float32".to_owned(),
        DataType::Float64 => "float64".to_owned(),
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale)
        | DataType::Decimal256(digits, scale) => format!("decimal({digits},{scale})"),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Time32(of) | DataType::Time64(of) => format!("time({})", unit(*of)),
        DataType::Timestamp(of, Some(_)) => format!("timestamp({},utc)", unit(*of)),
        DataType::Timestamp(of, None) => format!("timestamp({})", unit(*of)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".to_owned(),
        DataType::FixedSizeBinary(bytes) => format!("fixed({bytes})"),
        DataType::Dictionary(_, values) => text(values),
        DataType::Struct(fields) => {
            let parts: Vec<String> = fields.iter().map(|field| part(field)).collect();
            format!("struct<{}>", parts.join(","))
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => format!("list<{}>", part(item)),
        DataType::Map(entries, _) => format!("map<{}>", part(entries)),
        other => other.to_string().to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn a_type_is_called_as_in_parquet_unless_its_source_has_a_word() {
        let of = |data_type: DataType| type_text(&Field::new("c", data_type, true));
        assert_eq!(of(DataType::Int64), "int64");
        assert_eq!(of(DataType::Decimal128(10, 2)), "decimal(10,2)");
        let utc = Some("+00:00".into());
        assert_eq!(
            of(DataType::Timestamp(TimeUnit::Microsecond, utc)),
            "timestamp(us,utc)"
        );
        assert_eq!(
            of(DataType::Timestamp(TimeUnit::Second, None)),
            "timestamp(ms)"
        );
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        assert_eq!(of(dictionary), "string");
        let word = HashMap::from([(TYPE_TEXT.to_owned(), "uuid".to_owned())]);
        let field = Field::new("c", DataType::FixedSizeBinary(16), true).with_metadata(word);
        assert_eq!(type_text(&field), "uuid");
    }
}
