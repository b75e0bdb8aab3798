//! Checkpoints of a Delta log in Parquet.
//!
//! In: a checkpoint, a part of one, or a sidecar. Out: its actions, without what no reader needs:
//! the columns of statistics are not read. Files that a checkpoint lists as removed are the
//! business of those who delete files.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, MapArray, RecordBatch, StructArray};
use arrow_schema::DataType;
use assay_model::partition::ObjectRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::schema::types::ColumnPath;

use super::actions::{Action, Add, MetaData, Protocol, Provider, Sidecar, Vector};
use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::object::parquet::Chunks;
use crate::object::{Objects, ReadAt};
use crate::parquet::footer::{self, guarded};

/// Texts by name.
type Texts = BTreeMap<String, Option<String>>;

/// Rows that are looked at a time.
const BATCH_ROWS: usize = 1024;

/// Whether a leaf of a checkpoint is needed.
fn is_needed(path: &ColumnPath) -> bool {
    let parts: Vec<&str> = path.parts().iter().map(String::as_str).collect();
    matches!(
        parts.as_slice(),
        ["add", "path" | "size"]
            | ["add", "partitionValues" | "deletionVector", ..]
            | ["protocol" | "metaData", ..]
            | ["sidecar", "path"]
    )
}

/// Gives every action of a checkpoint to `take`.
pub(super) fn each(
    objects: &Objects,
    object: &ObjectRef,
    context: &ScanContext,
    take: &mut dyn FnMut(Action, &str) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    let reader = Arc::new(objects.reader(object)?);
    let path = reader.path().to_owned();
    let metadata = footer::read(reader.as_ref(), context.memory_bytes)?;
    footer::verify_chunks(&path, &metadata, reader.size())?;
    let stated: i64 = metadata.row_groups().iter().map(|g| g.num_rows()).sum();
    let place = Place::file();
    let corrupt = |error: String| ScanError::corrupt(&path, Place::file(), error);
    let mut batches = guarded(&path, &place, || {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let told = ArrowReaderMetadata::try_new(Arc::new(metadata), options);
        let told = told.map_err(|error| corrupt(error.to_string()))?;
        let schema = told.metadata().file_metadata().schema_descr_ptr();
        let leaves = (0..schema.num_columns()).filter(|at| is_needed(schema.column(*at).path()));
        let mask = ProjectionMask::leaves(&schema, leaves);
        ParquetRecordBatchReaderBuilder::new_with_metadata(Chunks(Arc::clone(&reader)), told)
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| corrupt(error.to_string()))
    })?;
    let mut rows = 0i64;
    loop {
        context.check(&path)?;
        let next = guarded(&path, &place, || {
            let next = batches.next().transpose();
            next.map_err(|error| corrupt(error.to_string()))
        })?;
        let Some(batch) = next else { break };
        rows += batch.num_rows() as i64;
        for action in actions(&batch).map_err(corrupt)? {
            take(action, &path)?;
        }
    }
    if rows != stated {
        return Err(corrupt(format!(
            "{rows} rows were read where the footer states {stated}"
        )));
    }
    reader.verify_unchanged()
}

fn actions(batch: &RecordBatch) -> Result<Vec<Action>, String> {
    let whole = StructArray::from(batch.clone());
    let mut found = Vec::new();
    for row in 0..batch.num_rows() {
        if let Some(add) = structure(&whole, "add", row)? {
            found.push(Action::Add(Box::new(self::add(add, row)?)));
        }
        if let Some(of) = structure(&whole, "protocol", row)? {
            found.push(Action::Protocol(Protocol {
                min_reader_version: needed(
                    int32(of, "minReaderVersion", row)?,
                    "minReaderVersion",
                )?,
                reader_features: texts(of, "readerFeatures", row)?,
            }));
        }
        if let Some(of) = structure(&whole, "metaData", row)? {
            found.push(Action::MetaData(Box::new(meta_data(of, row)?)));
        }
        if let Some(of) = structure(&whole, "sidecar", row)? {
            let path = needed(text(of, "path", row)?, "sidecar.path")?;
            found.push(Action::Sidecar(Sidecar { path }));
        }
    }
    Ok(found)
}

fn add(of: &StructArray, row: usize) -> Result<Add, String> {
    let vector = match structure(of, "deletionVector", row)? {
        None => None,
        Some(vector) => Some(Vector {
            storage_type: needed(text(vector, "storageType", row)?, "storageType")?,
            path_or_inline_dv: needed(text(vector, "pathOrInlineDv", row)?, "pathOrInlineDv")?,
            offset: int32(vector, "offset", row)?,
            size_in_bytes: needed(int32(vector, "sizeInBytes", row)?, "sizeInBytes")?,
            cardinality: needed(int64(vector, "cardinality", row)?, "cardinality")?,
        }),
    };
    Ok(Add {
        path: needed(text(of, "path", row)?, "add.path")?,
        partition_values: needed(map(of, "partitionValues", row)?, "add.partitionValues")?,
        size: needed(int64(of, "size", row)?, "add.size")?,
        deletion_vector: vector,
    })
}

fn meta_data(of: &StructArray, row: usize) -> Result<MetaData, String> {
    let provider = match structure(of, "format", row)? {
        Some(format) => text(format, "provider", row)?,
        None => None,
    };
    Ok(MetaData {
        format: Some(Provider { provider }),
        schema_string: needed(text(of, "schemaString", row)?, "metaData.schemaString")?,
        partition_columns: texts(of, "partitionColumns", row)?.unwrap_or_default(),
        configuration: map(of, "configuration", row)?.unwrap_or_default(),
    })
}

fn needed<T>(value: Option<T>, what: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("a row of the checkpoint lacks `{what}`"))
}

fn odd(name: &str, found: &DataType) -> String {
    format!("the column `{name}` of the checkpoint is of the type {found}")
}

/// The field of a structure, where it is there and not NULL in the row.
fn field<'a>(of: &'a StructArray, name: &str, row: usize) -> Option<&'a Arc<dyn Array>> {
    of.column_by_name(name).filter(|array| array.is_valid(row))
}

fn structure<'a>(
    of: &'a StructArray,
    name: &str,
    row: usize,
) -> Result<Option<&'a StructArray>, String> {
    let Some(array) = field(of, name, row) else {
        return Ok(None);
    };
    let found = array.as_struct_opt();
    found.map(Some).ok_or_else(|| odd(name, array.data_type()))
}

fn text(of: &StructArray, name: &str, row: usize) -> Result<Option<String>, String> {
    let Some(array) = field(of, name, row) else {
        return Ok(None);
    };
    let found = array.as_string_opt::<i32>();
    let found = found.ok_or_else(|| odd(name, array.data_type()))?;
    Ok(Some(found.value(row).to_owned()))
}

fn int32(of: &StructArray, name: &str, row: usize) -> Result<Option<i32>, String> {
    let Some(array) = field(of, name, row) else {
        return Ok(None);
    };
    let found = array.as_primitive_opt::<Int32Type>();
    let found = found.ok_or_else(|| odd(name, array.data_type()))?;
    Ok(Some(found.value(row)))
}

fn int64(of: &StructArray, name: &str, row: usize) -> Result<Option<i64>, String> {
    let Some(array) = field(of, name, row) else {
        return Ok(None);
    };
    let found = array.as_primitive_opt::<Int64Type>();
    let found = found.ok_or_else(|| odd(name, array.data_type()))?;
    Ok(Some(found.value(row)))
}

/// The texts of a list.
fn texts(of: &StructArray, name: &str, row: usize) -> Result<Option<Vec<String>>, String> {
    let Some(array) = field(of, name, row) else {
        return Ok(None);
    };
    let list = array.as_list_opt::<i32>();
    let items = list.ok_or_else(|| odd(name, array.data_type()))?.value(row);
    let found = items.as_string_opt::<i32>();
    let found = found.ok_or_else(|| odd(name, items.data_type()))?;
    let texts = found.iter().flatten().map(str::to_owned).collect();
    Ok(Some(texts))
}

/// The texts of a map.
fn map(of: &StructArray, name: &str, row: usize) -> Result<Option<Texts>, String> {
    let Some(array) = field(of, name, row) else {
        return Ok(None);
    };
    let found = array.as_any().downcast_ref::<MapArray>();
    let entries = found
        .ok_or_else(|| odd(name, array.data_type()))?
        .value(row);
    let [keys, values] = entries.columns() else {
        return Err(odd(name, array.data_type()));
    };
    let (keys, values) = (keys.as_string_opt::<i32>(), values.as_string_opt::<i32>());
    let (Some(keys), Some(values)) = (keys, values) else {
        return Err(odd(name, array.data_type()));
    };
    let pair = |(key, value): (Option<&str>, Option<&str>)| {
        Some((key?.to_owned(), value.map(str::to_owned)))
    };
    let texts = keys.iter().zip(values.iter()).filter_map(pair).collect();
    Ok(Some(texts))
}
