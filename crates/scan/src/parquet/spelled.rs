//! A file's metadata as a reader into Arrow takes every value whole.
//!
//! In: the metadata. Out: the same, without annotations by which that reader would narrow integers
//! to their stated width, give bytes for words of an enumeration, or look at no value at all. What
//! lies in the file is read; what its values mean is told by [`super::columns`].

use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, ParquetMetaData};
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

/// Whether a column is stated to have no values: of the type NULL.
pub(crate) fn is_void(field: &Type) -> bool {
    let info = field.get_basic_info();
    field.is_primitive() && matches!(info.logical_type_ref(), Some(LogicalType::Unknown))
}

/// What stands instead of a field's annotation; `None`: it may stay.
fn instead(field: &Type) -> Option<(Option<LogicalType>, ConvertedType)> {
    let info = field.get_basic_info();
    if !field.is_primitive() {
        return None;
    }
    if is_void(field) {
        return Some((None, ConvertedType::NONE));
    }
    let is_narrow = field.get_physical_type() == Physical::INT32;
    let unsigned = || {
        Some((
            Some(LogicalType::integer(32, false)),
            ConvertedType::UINT_32,
        ))
    };
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::Integer(of)), _) if is_narrow && of.bit_width < 32 => {
            match of.is_signed {
                true => Some((None, ConvertedType::NONE)),
                false => unsigned(),
            }
        }
        (None, ConvertedType::INT_8 | ConvertedType::INT_16) if is_narrow => {
            Some((None, ConvertedType::NONE))
        }
        (None, ConvertedType::UINT_8 | ConvertedType::UINT_16) if is_narrow => unsigned(),
        (Some(LogicalType::Enum), _) | (None, ConvertedType::ENUM) => {
            Some((Some(LogicalType::String), ConvertedType::UTF8))
        }
        _ => None,
    }
}

/// The metadata with such annotations.
///
/// # Errors
/// [`ParquetError`] for a schema that cannot be one.
pub(crate) fn spelled_out(metadata: ParquetMetaData) -> Result<ParquetMetaData, ParquetError> {
    let file = metadata.file_metadata();
    let root = file.schema_descr().root_schema();
    if root.get_fields().iter().all(|f| instead(f).is_none()) {
        return Ok(metadata);
    }
    let mut fields: Vec<TypePtr> = Vec::with_capacity(root.get_fields().len());
    for field in root.get_fields() {
        let Some((logical, converted)) = instead(field) else {
            fields.push(Arc::clone(field));
            continue;
        };
        let info = field.get_basic_info();
        let repetition = match info.has_repetition() {
            true => info.repetition(),
            false => Repetition::REQUIRED,
        };
        let plain = Type::primitive_type_builder(field.name(), field.get_physical_type())
            .with_repetition(repetition)
            .with_logical_type(logical)
            .with_converted_type(converted)
            .with_length(length(field))
            .with_id(info.has_id().then(|| info.id()));
        fields.push(Arc::new(plain.build()?));
    }
    let root = Type::group_type_builder(root.name()).with_fields(fields);
    let schema = SchemaDescriptor::new(Arc::new(root.build()?));
    let plain = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        Arc::new(schema),
        file.column_orders().cloned(),
    );
    Ok(ParquetMetaData::new(plain, metadata.row_groups().to_vec()))
}

fn length(field: &Type) -> i32 {
    match field {
        Type::PrimitiveType { type_length, .. } => *type_length,
        Type::GroupType { .. } => -1,
    }
}
