//! Columns of a table as types of Arrow.
//!
//! In: a column as an adapter reads it from its database's catalog. Out: what the schema metric calls
//! its type, the field of a batch, and what can be asked of its values. A type that is not listed is
//! counted only, like a nested column of a Parquet file.

use std::collections::HashMap;

use arrow_schema::{DataType, Field, TimeUnit};
use assay_metrics::{Kind, Wants};
use assay_scan::columnar::TYPE_TEXT;
use assay_scan::error::{Place, ScanError};

/// How values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
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

impl Reading {
    /// Whether the values are whole numbers of some width.
    pub(crate) const fn is_integer(self) -> bool {
        use Reading::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
        matches!(
            self,
            Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64
        )
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) reading: Reading,
    /// The type as the database calls it.
    pub(crate) called: String,
    pub(crate) nullable: bool,
    /// Whether its text form is taken, where the binary one is another.
    pub(crate) by_text: bool,
}

impl Column {
    /// The type as the schema metric shows it, as of a Parquet column with the same values.
    pub(crate) fn type_text(&self) -> String {
        let text = match self.reading {
            Reading::Int8 => "int8",
            Reading::Int16 => "int16",
            Reading::Int32 => "int32",
            Reading::Int64 => "int64",
            Reading::UInt8 => "uint8",
            Reading::UInt16 => "uint16",
            Reading::UInt32 => "uint32",
            Reading::UInt64 => "uint64",
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
    pub(crate) fn field(&self, found: Option<(u8, i8)>) -> Field {
        let micros = TimeUnit::Microsecond;
        let data_type = match self.reading {
            Reading::Int8 => DataType::Int8,
            Reading::Int16 => DataType::Int16,
            Reading::Int32 => DataType::Int32,
            Reading::Int64 => DataType::Int64,
            Reading::UInt8 => DataType::UInt8,
            Reading::UInt16 => DataType::UInt16,
            Reading::UInt32 => DataType::UInt32,
            Reading::UInt64 => DataType::UInt64,
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
    pub(crate) fn kind(&self) -> Kind {
        match self.reading {
            _ if self.reading.is_integer() => Kind::Int,
            Reading::Decimal(..) | Reading::Numeric => Kind::Decimal,
            Reading::Float32 | Reading::Float64 => Kind::Float,
            Reading::Bool => Kind::Bool,
            Reading::Text | Reading::Json => Kind::Text,
            Reading::Binary | Reading::Uuid => Kind::Binary,
            Reading::Date => Kind::Date,
            Reading::Timestamp | Reading::TimestampTz => Kind::Timestamp,
            Reading::Time => Kind::Time,
            _ => Kind::Other,
        }
    }

    /// What is left of a wish for a column of this type: the same as of a Parquet column.
    pub(crate) fn applicable(&self, wants: Wants) -> Wants {
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

/// The schema metric of a table with these columns.
pub(crate) fn schema(columns: &[Column]) -> assay_metrics::Schema {
    let mut schema = assay_metrics::Schema::default();
    schema.add_file();
    for (ordinal, column) in (0u32..).zip(columns) {
        let text = column.type_text();
        schema.add_column(&column.name, &text, column.nullable, ordinal);
    }
    schema
}

/// A column by its name; the refusal of another name shows those that there are.
pub(crate) fn named<'a>(
    columns: &'a [Column],
    wanted: &str,
    address: &str,
) -> Result<&'a Column, ScanError> {
    let found = columns.iter().find(|column| column.name == wanted);
    found.ok_or_else(|| {
        let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        ScanError::Definition {
            path: address.to_owned(),
            place: Place::file(),
            what: format!("it has no column `{wanted}`; it has {}", names.join(", ")),
            remedy: "correct the definition".to_owned(),
        }
    })
}
