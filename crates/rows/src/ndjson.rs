//! JSON lines as batches.
//!
//! In: objects of a listing. Out: batches of the columns asked for. All lines are looked through
//! once before, for the names of the columns and their types: a member that a line lacks is NULL.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use assay_scan::discover::keys::zone;
use assay_scan::object::ReadAt;
use assay_scan::text::ndjson;
use assay_scan::text::written::plain;
use assay_scan::{ScanContext, ScanError};
use jiff::tz::TimeZone;

use super::cells::{self, Column, Seen};
use super::{As, Files, Own, Rows, batch_of, projected};

/// A partition of files of JSON lines.
#[derive(Debug)]
pub(super) struct Ndjson {
    files: Files,
    schema: SchemaRef,
    zone: TimeZone,
}

impl Ndjson {
    pub(super) fn open(files: Files, as_: As, context: &ScanContext) -> Result<Self, ScanError> {
        let zone = zone(&files.dataset.partitions)?;
        let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
        let mut order: Vec<String> = Vec::new();
        // Values as they are written are those of columns that the lines name.
        let mut named: BTreeSet<String> = BTreeSet::new();
        for column in &files.dataset.columns {
            seen.insert(column.name.clone(), Seen::default());
            order.push(column.name.clone());
        }
        for object in &files.list {
            let reader = files.objects.reader(object)?;
            let mut own = files.own()?;
            ndjson::read(&reader, context, &mut |lines| {
                let kept = kept(own.as_mut(), lines, reader.path())?;
                for name in lines.names() {
                    if !named.contains(name) {
                        named.insert(name.clone());
                    }
                    if !seen.contains_key(name) {
                        seen.insert(name.clone(), Seen::default());
                        order.push(name.clone());
                    }
                    if let Some(seen) = seen.get_mut(name) {
                        let values = lines.column(name);
                        kept.iter().for_each(|row| seen.json(values[*row]));
                    }
                }
                Ok(true)
            })?;
        }
        let seen = |name: &String| seen.get(name).copied().unwrap_or_default();
        let field = |name: &String| cells::field(&files.dataset, name, seen(name), true);
        let fields: Vec<_> = order.iter().map(field).collect();
        order.retain(|name| named.contains(name));
        let schema = Arc::new(Schema::new(as_.fields(fields, &order)));
        Ok(Self {
            files,
            schema,
            zone,
        })
    }
}

/// The lines of a block that belong to the partition.
fn kept(
    own: Option<&mut Own>,
    lines: &ndjson::Lines<'_>,
    path: &str,
) -> Result<Vec<usize>, ScanError> {
    let Some(own) = own else {
        return Ok((0..lines.rows()).collect());
    };
    let column = own.keyed.column.clone();
    let mut kept = Vec::with_capacity(lines.rows());
    for (row, text) in lines.texts(&column).iter().enumerate() {
        if own.has(text.as_deref(), path, || lines.place(row, &column))? {
            kept.push(row);
        }
    }
    Ok(kept)
}

impl Rows for Ndjson {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn read(
        &self,
        columns: &[usize],
        context: &ScanContext,
        each: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), ScanError> {
        let schema = projected(&self.schema, columns)?;
        let dataset = &self.files.dataset;
        for object in &self.files.list {
            let reader = self.files.objects.reader(object)?;
            let new = |field: &Arc<_>| Column::new(field, dataset, &self.zone);
            let mut filled: Vec<Column> = schema.fields().iter().map(new).collect();
            let mut wanted = true;
            let mut own = self.files.own()?;
            ndjson::read(&reader, context, &mut |lines| {
                let kept = kept(own.as_mut(), lines, reader.path())?;
                for (column, field) in filled.iter_mut().zip(schema.fields()) {
                    if *field.data_type() == DataType::Binary {
                        let values = lines.written(plain(field.name()));
                        for row in &kept {
                            let taken = column.field(values[*row].as_deref());
                            taken.map_err(|what| {
                                cells::unfit(reader.path(), lines.place(*row, field.name()), what)
                            })?;
                        }
                        continue;
                    }
                    let values = lines.column(field.name());
                    for row in &kept {
                        let taken = column.json(values[*row]);
                        taken.map_err(|what| {
                            cells::unfit(reader.path(), lines.place(*row, field.name()), what)
                        })?;
                    }
                }
                let arrays = filled.iter_mut().map(Column::finish).collect();
                wanted = each(batch_of(&schema, arrays, kept.len(), reader.path())?);
                Ok(wanted)
            })?;
            if !wanted {
                return Ok(());
            }
            reader.verify_unchanged()?;
        }
        Ok(())
    }
}
