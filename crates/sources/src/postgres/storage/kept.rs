//! What the columns of a stored batch are: the table of types, both ways.
//!
//! In: a column of a source. Out: the type that keeps every one of its values, and what gives the
//! column back as the source had it. A type without a place here is refused by its name; a value
//! that its column's type cannot hold is refused where it is written.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float32Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, Float64Array, NullArray, PrimitiveArray, RecordBatch, new_null_array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use assay_scan::columnar::{TYPE_TEXT, type_text};
use assay_scan::slices::VOID;
use serde::{Deserialize, Serialize};

use super::super::types::{Column, Reading};

/// Bytes of the longest name that the database keeps.
const NAME_BYTES: usize = 63;
/// Names that every table has already.
const SYSTEM: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// A column that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) name: String,
    /// Its type in storage.
    pub(super) sql: String,
    /// What the schema metric calls its type.
    pub(super) text: String,
    pub(super) nullable: bool,
    /// Whether nothing but its NULLs is counted, as where it came from.
    #[serde(default)]
    pub(super) counted: bool,
    /// Whether it is stated to have no values: it is no column of the table, for no value says what
    /// type that should have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) void: bool,
}

/// The type that keeps the values of a type of Arrow.
fn sql(data_type: &DataType) -> Option<String> {
    let word = match data_type {
        DataType::Boolean => "bool",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "int2",
        DataType::Int32 | DataType::UInt16 => "int4",
        DataType::Int64 | DataType::UInt32 => "int8",
        DataType::UInt64 => "numeric(20,0)",
        DataType::Float16 | DataType::Float32 => "float4",
        DataType::Float64 => "float8",
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale)
        | DataType::Decimal256(digits, scale) => {
            return Some(format!("numeric({digits},{scale})"));
        }
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "timestamptz",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => "text",
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "bytea",
        DataType::Dictionary(_, values) => return sql(values),
        _ => return None,
    };
    Some(word.to_owned())
}

/// Why a name cannot be that of a column.
fn name_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        Some("a column without a name is not stored".to_owned())
    } else if name.len() > NAME_BYTES {
        Some(format!(
            "its name has {} bytes, and storage keeps names of {NAME_BYTES}",
            name.len()
        ))
    } else if name.contains('\0') || SYSTEM.contains(&name) || name.starts_with("_assay_") {
        Some("storage has a column of this name of its own".to_owned())
    } else {
        None
    }
}

impl Kept {
    /// A column of a file; the error says why it is not kept.
    pub(super) fn of_field(field: &Field) -> Result<Self, String> {
        if let Some(fault) = name_fault(field.name()) {
            return Err(fault);
        }
        let Some(sql) = sql(field.data_type()) else {
            return Err(format!(
                "values of the type {} are not stored",
                field.data_type()
            ));
        };
        Ok(Self {
            name: field.name().clone(),
            sql,
            text: type_text(field),
            nullable: field.is_nullable(),
            counted: false,
            void: *field.data_type() == DataType::Null || field.metadata().contains_key(VOID),
        })
    }

    /// A column of a table; its values are taken by [`Self::source`].
    pub(super) fn of_column(column: &Column) -> Result<Self, String> {
        if let Some(fault) = name_fault(&column.name) {
            return Err(fault);
        }
        let word = match column.reading {
            Reading::Int8 | Reading::Int16 | Reading::UInt8 => "int2",
            Reading::Int32 | Reading::UInt16 => "int4",
            Reading::Int64 | Reading::UInt32 => "int8",
            Reading::UInt64 => "numeric(20,0)",
            Reading::Decimal(digits, scale) => &format!("numeric({digits},{scale})"),
            Reading::Numeric => "numeric",
            Reading::Float32 => "float4",
            Reading::Float64 => "float8",
            Reading::Bool => "bool",
            Reading::Text | Reading::Json | Reading::Counted => "text",
            Reading::Binary => "bytea",
            Reading::Date => "date",
            Reading::Timestamp => "timestamp",
            Reading::TimestampTz => "timestamptz",
            Reading::Time => "time",
            Reading::Uuid => "uuid",
        };
        Ok(Self {
            name: column.name.clone(),
            sql: word.to_owned(),
            text: column.type_text(),
            nullable: column.nullable,
            counted: column.reading == Reading::Counted,
            void: false,
        })
    }

    /// The expression that gives the values of a table's column as they are kept.
    pub(super) fn source(column: &Column) -> String {
        let value = column.expression();
        match column.reading {
            Reading::Json | Reading::Counted => format!("{value}::text"),
            _ => value,
        }
    }

    /// The column as storage has it.
    pub(super) fn column(&self) -> Column {
        let base = self.sql.split('(').next().unwrap_or_default();
        let inner = self
            .sql
            .split_once('(')
            .map(|(_, rest)| rest.trim_end_matches(')'));
        let pair = inner.and_then(|pair| pair.split_once(','));
        let parsed = pair.and_then(|(p, s)| Some((p.parse::<u8>().ok()?, s.parse::<i8>().ok()?)));
        let (name, nullable) = (self.name.clone(), self.nullable);
        let mut column = Column::new(name, base, -1, false, self.text.clone(), nullable);
        if let Some((digits, scale)) = parsed {
            let wide = i16::from(scale).max(i16::from(digits));
            let digits = u8::try_from(wide).unwrap_or(digits);
            column.reading = Reading::Decimal(digits, scale);
        }
        column
    }

    /// The field of a batch that is read back, before [`Back::batch`]; `found` as for
    /// [`Column::field`].
    fn field(&self, found: Option<(u8, i8)>) -> Field {
        let stored = self.column().field(found);
        let word = HashMap::from([(TYPE_TEXT.to_owned(), self.text.clone())]);
        Field::new(&self.name, stored.data_type().clone(), self.nullable).with_metadata(word)
    }

    /// The type by which its values are measured, where it is not the one that they are kept in.
    fn measured_as(&self) -> Option<DataType> {
        match (self.text.as_str(), self.sql.as_str()) {
            ("uint64", "numeric(20,0)") => Some(DataType::UInt64),
            ("float16", "float4") => Some(DataType::Float64),
            ("null", "text") => Some(DataType::Null),
            _ if self.counted => Some(nested()),
            _ => None,
        }
    }
}

/// A type of whose values nothing is asked.
fn nested() -> DataType {
    DataType::Struct(arrow_schema::Fields::empty())
}

/// Columns on their way back from storage.
pub(super) struct Back {
    /// As they are decoded.
    pub(super) stored: SchemaRef,
    /// As they are measured.
    pub(super) measured: SchemaRef,
    /// The columns of a batch: where a value was counted apart it has a NULL.
    batches: SchemaRef,
}

impl Back {
    /// For these columns; `found` are digits and scale of decimals without declared ones.
    pub(super) fn new(columns: &[Kept], found: &[Option<(u8, i8)>]) -> Self {
        let stored: Vec<Field> = columns
            .iter()
            .zip(found)
            .map(|(column, found)| column.field(*found))
            .collect();
        let measured: Vec<Field> = columns
            .iter()
            .zip(&stored)
            .map(|(column, field)| match column.measured_as() {
                Some(other) => field.clone().with_data_type(other),
                None => field.clone(),
            })
            .collect();
        let nullable = measured.iter().map(|f| f.clone().with_nullable(true));
        let nullable: Vec<Field> = nullable.collect();
        Self {
            stored: Arc::new(Schema::new(stored)),
            measured: Arc::new(Schema::new(measured)),
            batches: Arc::new(Schema::new(nullable)),
        }
    }

    /// A batch as it is measured; each column from its place, those without one have no values.
    pub(super) fn batch(
        &self,
        batch: &RecordBatch,
        places: &[Option<usize>],
    ) -> Result<RecordBatch, String> {
        let pairs = places.iter().zip(self.measured.fields());
        let arrays = pairs.map(|(place, field)| match place {
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            Some(at) => {
                let array = batch.columns().get(*at);
                let array = array.ok_or_else(|| format!("{} is missing", field.name()))?;
                given_back(array, field.data_type())
            }
        });
        let arrays: Vec<ArrayRef> = arrays.collect::<Result<_, _>>()?;
        let rows = Some(batch.num_rows());
        let options = arrow_array::RecordBatchOptions::new().with_row_count(rows);
        RecordBatch::try_new_with_options(Arc::clone(&self.batches), arrays, &options)
            .map_err(|error| error.to_string())
    }
}

fn given_back(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    Ok(match (array.data_type(), to) {
        (from, to) if from == to => Arc::clone(array),
        (_, DataType::Null) => Arc::new(NullArray::new(array.len())),
        (DataType::Float32, DataType::Float64) => {
            let wide = array.as_primitive::<Float32Type>().iter();
            Arc::new(wide.map(|v| v.map(f64::from)).collect::<Float64Array>())
        }
        (DataType::Decimal128(..), DataType::UInt64) => {
            let values = array.as_primitive::<Decimal128Type>();
            let narrow = values.try_unary::<_, UInt64Type, String>(|value| {
                u64::try_from(value).map_err(|_| format!("{value} is no number of 64 bits"))
            })?;
            let narrow: PrimitiveArray<UInt64Type> = narrow;
            Arc::new(narrow)
        }
        (_, DataType::Struct(_)) => {
            let nulls = array.nulls().cloned();
            Arc::new(arrow_array::StructArray::new_empty_fields(
                array.len(),
                nulls,
            ))
        }
        (from, to) => return Err(format!("values of {from} are not {to}")),
    })
}

/// The unit in which storage keeps times.
pub(super) const fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_that_keeps_it_or_is_refused_by_its_name() {
        let kept = |data_type: DataType| Kept::of_field(&Field::new("c", data_type, true));
        for (data_type, sql) in [
            (DataType::UInt32, "int8"),
            (DataType::UInt64, "numeric(20,0)"),
            (DataType::Decimal256(60, 20), "numeric(60,20)"),
            (DataType::Decimal128(5, -2), "numeric(5,-2)"),
            (DataType::Timestamp(TimeUnit::Second, None), "timestamp"),
            (DataType::FixedSizeBinary(16), "bytea"),
        ] {
            assert_eq!(kept(data_type).unwrap().sql, sql);
        }
        let list = DataType::new_list(DataType::Int32, true);
        assert!(kept(list).unwrap_err().contains("List"));
        assert!(
            kept(DataType::Duration(TimeUnit::Second))
                .unwrap_err()
                .contains("Duration")
        );
    }

    #[test]
    fn a_name_that_a_table_cannot_have_is_refused() {
        let long = "n".repeat(64);
        for name in ["", "xmin", "_assay_batch", "a\0b", &long] {
            assert!(
                Kept::of_field(&Field::new(name, DataType::Int8, true)).is_err(),
                "{name:?}"
            );
        }
        assert!(Kept::of_field(&Field::new("a\" b", DataType::Int8, true)).is_ok());
    }

    #[test]
    fn what_is_written_down_of_a_column_gives_it_back() {
        let field = Field::new("c", DataType::Decimal128(12, 2), false);
        let kept = Kept::of_field(&field).unwrap();
        let read: Kept = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
        assert_eq!(read, kept);
        assert_eq!(read.column().reading, Reading::Decimal(12, 2));
        let back = Back::new(&[read], &[None]);
        assert_eq!(
            back.stored.field(0).data_type(),
            &DataType::Decimal128(12, 2)
        );
        assert_eq!(type_text(back.stored.field(0)), "decimal(12,2)");
    }
}
