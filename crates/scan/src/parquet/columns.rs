//! What the columns of a Parquet file are: their types as text, and how their bytes read.
//!
//! In: a file's schema. Out: one [`FileColumn`] for each top-level field. A nested field (struct,
//! list, map, repeated) is one column whose NULLs are counted and whose values are not looked at.

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::schema::types::{SchemaDescriptor, Type};

use super::spelled::is_void;

/// What the values of a column mean, and in which representation they are fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Signed integers, and unsigned ones below 64 bits.
    Int,
    /// Unsigned integers below 64 bits, stored as their bits.
    Unsigned32,
    /// Unsigned integers of 64 bits.
    Unsigned64,
    /// Half and double precision.
    Float,
    /// Single precision.
    Single,
    /// Decimals with this scale.
    Decimal(i8),
    /// Truth values.
    Bool,
    /// Days since 1970-01-01.
    Date,
    /// Times of day, in units of so many nanoseconds.
    Time(i64),
    /// Times since 1970-01-01, in units of so many nanoseconds.
    Timestamp(i64),
    /// Readings of a wall clock of no stated zone, in units of so many nanoseconds.
    LocalTimestamp(i64),
    /// The old 96-bit timestamps.
    Int96,
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// Structures, lists and maps.
    Nested,
}

/// A top-level column of a file.
#[derive(Debug, Clone)]
pub(crate) struct FileColumn {
    pub(crate) name: String,
    /// The type, as the schema metric shows it.
    pub(crate) type_text: String,
    pub(crate) nullable: bool,
    /// The place among the leaves of the leaf that is read (the first, of a nested column).
    pub(crate) leaf: usize,
    pub(crate) meaning: Meaning,
    pub(crate) physical: Physical,
    /// Bytes of a value of fixed length.
    pub(crate) fixed: usize,
    /// Definition level of a value, repetition levels of the leaf.
    pub(crate) max_definition: i16,
    pub(crate) max_repetition: i16,
}

/// The top-level columns of a schema.
pub(crate) fn columns(schema: &SchemaDescriptor) -> Vec<FileColumn> {
    let fields = schema.root_schema().get_fields();
    // The first leaf below each field; a field without leaves (an empty group) has none.
    let mut first_leaf = vec![None; fields.len()];
    for leaf in (0..schema.num_columns()).rev() {
        if let Some(first) = first_leaf.get_mut(schema.get_column_root_idx(leaf)) {
            *first = Some(leaf);
        }
    }
    let mut found = Vec::with_capacity(fields.len());
    for (field, leaf) in fields.iter().zip(first_leaf) {
        let Some(leaf) = leaf else { continue };
        let column = schema.column(leaf);
        let info = field.get_basic_info();
        let repeated = info.has_repetition() && info.repetition() == Repetition::REPEATED;
        let flat = field.is_primitive() && !repeated;
        found.push(FileColumn {
            name: field.name().to_owned(),
            type_text: type_text(field),
            nullable: info.has_repetition() && info.repetition() == Repetition::OPTIONAL,
            leaf,
            meaning: if flat {
                meaning(field)
            } else {
                Meaning::Nested
            },
            physical: column.physical_type(),
            fixed: usize::try_from(column.type_length()).unwrap_or(0),
            max_definition: column.max_def_level(),
            max_repetition: column.max_rep_level(),
        });
    }
    found
}

/// Whether a type as the schema metric shows it is that of wall clock readings of no stated zone.
pub(crate) fn is_local_time(type_text: &str) -> bool {
    matches!(
        type_text,
        "timestamp(ms)" | "timestamp(us)" | "timestamp(ns)"
    )
}

fn nanos(unit: &TimeUnit) -> i64 {
    match unit {
        TimeUnit::MILLIS => 1_000_000,
        TimeUnit::MICROS => 1_000,
        TimeUnit::NANOS => 1,
    }
}

fn meaning(field: &Type) -> Meaning {
    let Type::PrimitiveType {
        basic_info,
        physical_type,
        scale,
        ..
    } = field
    else {
        return Meaning::Nested;
    };
    let plain = match physical_type {
        Physical::BOOLEAN => Meaning::Bool,
        Physical::INT32 | Physical::INT64 => Meaning::Int,
        Physical::INT96 => Meaning::Int96,
        Physical::FLOAT => Meaning::Single,
        Physical::DOUBLE => Meaning::Float,
        Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY => Meaning::Binary,
    };
    let wide = *physical_type == Physical::INT64;
    let unsigned = [Meaning::Unsigned32, Meaning::Unsigned64][usize::from(wide)];
    let is_integer = matches!(physical_type, Physical::INT32 | Physical::INT64);
    let is_bytes = plain == Meaning::Binary;
    match basic_info.logical_type_ref() {
        Some(LogicalType::Integer(kind)) if is_integer && kind.is_signed => return Meaning::Int,
        Some(LogicalType::Integer(_)) if is_integer => return unsigned,
        Some(LogicalType::Decimal(kind)) if is_integer || is_bytes => {
            return decimal(kind.scale, plain);
        }
        Some(LogicalType::Date) if is_integer => return Meaning::Date,
        Some(LogicalType::Time(kind)) if is_integer => return Meaning::Time(nanos(&kind.unit)),
        Some(LogicalType::Timestamp(kind)) if wide => {
            return if kind.is_adjusted_to_u_t_c {
                Meaning::Timestamp(nanos(&kind.unit))
            } else {
                Meaning::LocalTimestamp(nanos(&kind.unit))
            };
        }
        Some(LogicalType::Float16) if *physical_type == Physical::FIXED_LEN_BYTE_ARRAY => {
            return Meaning::Float;
        }
        Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) if is_bytes => {
            return Meaning::Text;
        }
        _ => {}
    }
    match basic_info.converted_type() {
        ConvertedType::UINT_8
        | ConvertedType::UINT_16
        | ConvertedType::UINT_32
        | ConvertedType::UINT_64
            if is_integer =>
        {
            unsigned
        }
        ConvertedType::DECIMAL if is_integer || is_bytes => decimal(*scale, plain),
        ConvertedType::DATE if is_integer => Meaning::Date,
        ConvertedType::TIME_MILLIS if is_integer => Meaning::Time(1_000_000),
        ConvertedType::TIME_MICROS if wide => Meaning::Time(1_000),
        ConvertedType::TIMESTAMP_MILLIS if wide => Meaning::Timestamp(1_000_000),
        ConvertedType::TIMESTAMP_MICROS if wide => Meaning::Timestamp(1_000),
        ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON if is_bytes => {
            Meaning::Text
        }
        _ => plain,
    }
}

/// A scale that no number can have leaves the bytes without a meaning as a number.
fn decimal(scale: i32, plain: Meaning) -> Meaning {
    i8::try_from(scale).map_or(plain, Meaning::Decimal)
}

/// The type as the schema metric shows it.
fn type_text(field: &Type) -> String {
    let inner = match field {
        Type::PrimitiveType { .. } => leaf_text(field),
        Type::GroupType {
            fields, basic_info, ..
        } => {
            let parts: Vec<String> = fields
                .iter()
                .map(|part| {
                    let info = part.get_basic_info();
                    let optional =
                        info.has_repetition() && info.repetition() == Repetition::OPTIONAL;
                    format!(
                        "{}:{}{}",
                        part.name(),
                        type_text(part),
                        if optional { "?" } else { "" }
                    )
                })
                .collect();
            let kind = match (basic_info.logical_type_ref(), basic_info.converted_type()) {
                (Some(LogicalType::List), _) | (_, ConvertedType::LIST) => "list",
                (Some(LogicalType::Map), _)
                | (_, ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE) => "map",
                _ => "struct",
            };
            format!("{kind}<{}>", parts.join(","))
        }
    };
    let info = field.get_basic_info();
    let repeated = info.has_repetition() && info.repetition() == Repetition::REPEATED;
    if repeated {
        format!("repeated<{inner}>")
    } else {
        inner
    }
}

fn leaf_text(field: &Type) -> String {
    let Type::PrimitiveType {
        basic_info,
        physical_type,
        type_length,
        precision,
        ..
    } = field
    else {
        return String::new();
    };
    let bits = if *physical_type == Physical::INT64 {
        64
    } else {
        32
    };
    let unit = |nanos: i64| match nanos {
        1 => "ns",
        1_000 => "us",
        _ => "ms",
    };
    if is_void(field) {
        return "null".to_owned();
    }
    match meaning(field) {
        Meaning::Int | Meaning::Unsigned32 | Meaning::Unsigned64 => integer_text(
            basic_info.logical_type_ref(),
            basic_info.converted_type(),
            bits,
        ),
        Meaning::Single => "float32".to_owned(),
        Meaning::Float => match physical_type {
            Physical::DOUBLE => "float64".to_owned(),
            _ => "float16".to_owned(),
        },
        Meaning::Decimal(scale) => format!("decimal({precision},{scale})"),
        Meaning::Bool => "bool".to_owned(),
        Meaning::Date => "date".to_owned(),
        Meaning::Time(nanos) => format!("time({})", unit(nanos)),
        Meaning::Timestamp(nanos) => format!("timestamp({},utc)", unit(nanos)),
        Meaning::LocalTimestamp(nanos) => format!("timestamp({})", unit(nanos)),
        Meaning::Int96 => "timestamp(int96)".to_owned(),
        Meaning::Text => match (basic_info.logical_type_ref(), basic_info.converted_type()) {
            (Some(LogicalType::Json), _) | (None, ConvertedType::JSON) => "json".to_owned(),
            _ => "string".to_owned(),
        },
        Meaning::Binary | Meaning::Nested => match basic_info.logical_type_ref() {
            Some(LogicalType::Uuid) => "uuid".to_owned(),
            _ if *physical_type == Physical::FIXED_LEN_BYTE_ARRAY => {
                format!("fixed({type_length})")
            }
            _ => "binary".to_owned(),
        },
    }
}

fn integer_text(logical: Option<&LogicalType>, converted: ConvertedType, bits: i32) -> String {
    if let Some(LogicalType::Integer(kind)) = logical {
        let sign = if kind.is_signed { "int" } else { "uint" };
        return format!("{sign}{}", kind.bit_width);
    }
    match converted {
        ConvertedType::INT_8 => "int8".to_owned(),
        ConvertedType::INT_16 => "int16".to_owned(),
        ConvertedType::UINT_8 => "uint8".to_owned(),
        ConvertedType::UINT_16 => "uint16".to_owned(),
        ConvertedType::UINT_32 => "uint32".to_owned(),
        ConvertedType::UINT_64 => "uint64".to_owned(),
        _ => format!("int{bits}"),
    }
}
