//! Types of Postgres as types of Arrow.
//!
//! In: a column as the catalog tells it. Out: how its values are read, what the schema metric calls
//! its type, and the expression that is copied. A type that is not listed is counted only, like a
//! nested column of a Parquet file.

use std::collections::HashMap;

use arrow_schema::{DataType, Field, TimeUnit};
use assay_metrics::{Kind, Wants};
use assay_scan::columnar::TYPE_TEXT;

use super::session::name;

/// How values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Int16,
    Int32,
    Int64,
    /// Digits and scale as declared.
    Decimal(u8, i8),
    /// A decimal of no declared scale.
    Numeric,
    Float32,
    Float64,
    Bool,
    Text,
    Json,
    Binary,
    Date,
    Timestamp,
    TimestampTz,
    Time,
    Uuid,
    /// Not read: counted.
    Counted,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) reading: Reading,
    /// The type as the database calls it.
    pub(super) called: String,
    pub(super) nullable: bool,
    /// Whether its text form is taken, where the binary one is another.
    pub(super) by_text: bool,
}

impl Column {
    /// A column from the catalog: its base type's name, its modifier, whether it is an enumeration.
    pub(super) fn new(
        column: String,
        base: &str,
        modifier: i32,
        is_enum: bool,
        called: String,
        nullable: bool,
    ) -> Self {
        let reading = match base {
            _ if is_enum => Reading::Text,
            "int2" => Reading::Int16,
            "int4" => Reading::Int32,
            "int8" => Reading::Int64,
            "numeric" => decimal(modifier),
            "float4" => Reading::Float32,
            "float8" => Reading::Float64,
            "bool" => Reading::Bool,
            "text" | "varchar" | "bpchar" | "name" | "citext" => Reading::Text,
            "json" | "jsonb" => Reading::Json,
            "bytea" => Reading::Binary,
            "date" => Reading::Date,
            "timestamp" => Reading::Timestamp,
            "timestamptz" => Reading::TimestampTz,
            "time" => Reading::Time,
            "uuid" => Reading::Uuid,
            _ => Reading::Counted,
        };
        Self {
            name: column,
            reading,
            called,
            nullable,
            by_text: is_enum || !matches!(base, "text" | "varchar" | "json"),
        }
    }

    /// The values as an expression: of texts, the text form.
    pub(super) fn expression(&self) -> String {
        let quoted = name(&self.name);
        match self.reading {
            Reading::Text | Reading::Json if self.by_text => format!("{quoted}::text"),
            _ => quoted,
        }
    }

    /// The type as the schema metric shows it, as of a Parquet column with the same values.
    pub(super) fn type_text(&self) -> String {
        let text = match self.reading {
            Reading::Int16 => "int16",
            Reading::Int32 => "int32",
            Reading::Int64 => "int64",
            Reading::Decimal(digits, scale) => return format!("decimal({digits},{scale})"),
            Reading::Numeric => "decimal",
            Reading::Float32 => "float32",
            Reading::Float64 => "float64",
            Reading::Bool => "bool",
            Reading::Text => "string",
            Reading::Json => "json",
            Reading::Binary => "binary",
            Reading::Date => "date",
            Reading::Timestamp => "timestamp(us)",
            Reading::TimestampTz => "timestamp(us,utc)",
            Reading::Time => "time(us)",
            Reading::Uuid => "uuid",
            Reading::Counted => return self.called.clone(),
        };
        text.to_owned()
    }

    /// The field of a batch; `found` is digits and scale of decimals without declared ones.
    pub(super) fn field(&self, found: Option<(u8, i8)>) -> Field {
        let micros = TimeUnit::Microsecond;
        let data_type = match self.reading {
            Reading::Int16 => DataType::Int16,
            Reading::Int32 => DataType::Int32,
            Reading::Int64 => DataType::Int64,
            Reading::Decimal(digits, scale) => decimal_type(digits, scale),
            Reading::Numeric => {
                let (digits, scale) = found.unwrap_or((38, 0));
                decimal_type(digits, scale)
            }
            Reading::Float32 => DataType::Float32,
            Reading::Float64 => DataType::Float64,
            Reading::Bool => DataType::Boolean,
            Reading::Text | Reading::Json => DataType::Utf8,
            Reading::Binary => DataType::Binary,
            Reading::Date => DataType::Date32,
            Reading::Timestamp => DataType::Timestamp(micros, None),
            Reading::TimestampTz => DataType::Timestamp(micros, Some("+00:00".into())),
            Reading::Time => DataType::Time64(micros),
            Reading::Uuid => DataType::FixedSizeBinary(16),
            Reading::Counted => DataType::Null,
        };
        let word = HashMap::from([(TYPE_TEXT.to_owned(), self.type_text())]);
        Field::new(&self.name, data_type, self.nullable).with_metadata(word)
    }

    /// The kind of its values.
    pub(super) fn kind(&self) -> Kind {
        match self.reading {
            Reading::Int16 | Reading::Int32 | Reading::Int64 => Kind::Int,
            Reading::Decimal(..) | Reading::Numeric => Kind::Decimal,
            Reading::Float32 | Reading::Float64 => Kind::Float,
            Reading::Bool => Kind::Bool,
            Reading::Text | Reading::Json => Kind::Text,
            Reading::Binary | Reading::Uuid => Kind::Binary,
            Reading::Date => Kind::Date,
            Reading::Timestamp | Reading::TimestampTz => Kind::Timestamp,
            Reading::Time => Kind::Time,
            Reading::Counted => Kind::Other,
        }
    }

    /// What is left of a wish for a column of this type: the same as of a Parquet column.
    pub(super) fn applicable(&self, wants: Wants) -> Wants {
        match self.kind() {
            Kind::Int | Kind::Decimal | Kind::Float => Wants {
                lengths: false,
                values: wants.values && self.kind() == Kind::Float,
                ..wants
            },
            Kind::Text => Wants {
                sum: false,
                moments: false,
                quantiles: false,
                ..wants
            },
            Kind::Other => Wants::default(),
            _ => Wants {
                values: false,
                sum: false,
                moments: false,
                quantiles: false,
                lengths: false,
                ..wants
            },
        }
    }
}

fn decimal_type(digits: u8, scale: i8) -> DataType {
    if digits <= 38 {
        DataType::Decimal128(digits, scale)
    } else {
        DataType::Decimal256(digits, scale)
    }
}

/// Digits and scale from a modifier. A scale beyond the digits (PostgreSQL 15) needs as many digits
/// as the scale has.
fn decimal(modifier: i32) -> Reading {
    if modifier < 4 {
        return Reading::Numeric;
    }
    let digits = ((modifier - 4) >> 16) & 0xffff;
    let scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024;
    match (u8::try_from(digits.max(scale)), i8::try_from(scale)) {
        (Ok(digits @ 1..=76), Ok(scale)) => Reading::Decimal(digits, scale),
        _ => Reading::Numeric,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(base: &str, modifier: i32) -> Column {
        Column::new("c".into(), base, modifier, false, format!("{base}!"), true)
    }

    #[test]
    fn a_type_is_called_as_in_parquet_and_one_that_is_not_read_by_its_own_name() {
        for (base, modifier, text) in [
            ("int2", -1, "int16"),
            ("int8", -1, "int64"),
            ("numeric", (10 << 16 | 2) + 4, "decimal(10,2)"),
            ("numeric", (3 << 16 | 5) + 4, "decimal(5,5)"),
            ("numeric", (5 << 16 | 0x7fe) + 4, "decimal(5,-2)"),
            ("numeric", -1, "decimal"),
            ("bpchar", 9, "string"),
            ("timestamptz", -1, "timestamp(us,utc)"),
            ("jsonb", -1, "json"),
            ("inet", -1, "inet!"),
        ] {
            assert_eq!(column(base, modifier).type_text(), text, "{base}");
        }
        assert_eq!(column("bpchar", 9).expression(), "\"c\"::text");
        assert_eq!(column("text", -1).expression(), "\"c\"");
    }
}
