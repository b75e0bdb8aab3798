//! Delimited text as batches.
//!
//! In: objects of a listing. Out: batches of the columns asked for. Columns of no declared type are
//! looked through once before: they are numbers if all of their fields are, else texts, as they are
//! for the metrics. The files of a partition have the same columns, in any order.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use assay_scan::discover::keys::zone;
use assay_scan::error::Place;
use assay_scan::object::ReadAt;
use assay_scan::text::csv;
use assay_scan::text::written::plain;
use assay_scan::{ScanContext, ScanError};
use jiff::tz::TimeZone;

use super::cells::{self, Column, Seen};
use super::{As, Files, Own, Rows, batch_of, projected};

/// A partition of delimited files.
#[derive(Debug)]
pub(super) struct Csv {
    files: Files,
    schema: SchemaRef,
    zone: TimeZone,
}

impl Csv {
    pub(super) fn open(files: Files, as_: As, context: &ScanContext) -> Result<Self, ScanError> {
        let zone = zone(&files.dataset.partitions)?;
        let mut names: Option<(Vec<String>, String)> = None;
        let mut seen: Vec<Seen> = Vec::new();
        for object in &files.list {
            let reader = files.objects.reader(object)?;
            let own = csv::header(&files.dataset, &reader, context)?;
            match &names {
                None => {
                    seen = vec![Seen::default(); own.len()];
                    names = Some((own.clone(), reader.path().to_owned()));
                }
                Some((first, of)) => agree(first, of, &own, reader.path())?,
            }
            let first = names
                .as_ref()
                .map_or(&[][..], |(first, _)| first.as_slice());
            let open: Vec<(usize, usize)> = own
                .iter()
                .enumerate()
                .filter(|(_, name)| as_ != As::Written && cells::is_open(&files.dataset, name))
                .filter_map(|(at, name)| Some((at, first.iter().position(|n| n == name)?)))
                .collect();
            if open.is_empty() {
                continue;
            }
            let mut rows = RowsOf::new(&files, &own, reader.path())?;
            csv::read(&files.dataset, &reader, context, &mut |fields| {
                let kept = rows.kept(fields, reader.path())?;
                for (at, to) in &open {
                    for field in kept.iter().filter_map(|row| fields.get(*row, *at)) {
                        seen[*to].field(field);
                    }
                }
                Ok(true)
            })?;
        }
        let names = names.map_or_else(Vec::new, |(names, _)| names);
        let field =
            |(name, seen): (&String, &Seen)| cells::field(&files.dataset, name, *seen, false);
        let fields: Vec<_> = names.iter().zip(&seen).map(field).collect();
        let schema = Arc::new(Schema::new(as_.fields(fields, &names)));
        Ok(Self {
            files,
            schema,
            zone,
        })
    }
}

/// Which rows of a block belong to the partition.
struct RowsOf {
    own: Option<(Own, usize)>,
}

impl RowsOf {
    fn new(files: &Files, header: &[String], path: &str) -> Result<Self, ScanError> {
        let Some(own) = files.own()? else {
            return Ok(Self { own: None });
        };
        let at = header.iter().position(|name| *name == own.keyed.column);
        let at = at.ok_or_else(|| own.keyed.lacking(path, header))?;
        Ok(Self {
            own: Some((own, at)),
        })
    }

    fn kept(&mut self, fields: &csv::Fields<'_>, path: &str) -> Result<Vec<usize>, ScanError> {
        let mut kept = Vec::with_capacity(fields.rows());
        for row in 0..fields.rows() {
            let is_own = match &mut self.own {
                None => true,
                Some((own, at)) => {
                    own.has(fields.get(row, *at), path, || fields.place(row, *at))?
                }
            };
            if is_own {
                kept.push(row);
            }
        }
        Ok(kept)
    }
}

fn agree(first: &[String], of: &str, own: &[String], path: &str) -> Result<(), ScanError> {
    let lacks = |from: &[String], name: &&String| !from.contains(name);
    let what = match (
        first.iter().find(|name| lacks(own, name)),
        own.iter().find(|name| lacks(first, name)),
    ) {
        (None, None) => return Ok(()),
        (Some(name), _) => format!("it lacks the column {name:?} of {of}"),
        (_, Some(name)) => format!("it has a column {name:?}, which {of} lacks"),
    };
    Err(ScanError::Unsupported {
        path: path.to_owned(),
        place: Place::file(),
        what,
        remedy: "write the files of one partition with the same columns".to_owned(),
    })
}

impl Rows for Csv {
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
            let own = csv::header(dataset, &reader, context)?;
            let mut places = Vec::with_capacity(columns.len());
            for field in schema.fields() {
                let place = own.iter().position(|name| name == plain(field.name()));
                places.push(place.ok_or_else(|| ScanError::Changed {
                    path: reader.path().to_owned(),
                    what: format!("its column {:?} is gone", plain(field.name())),
                })?);
            }
            let new = |field: &Arc<_>| Column::new(field, dataset, &self.zone);
            let mut filled: Vec<Column> = schema.fields().iter().map(new).collect();
            let mut wanted = true;
            let mut rows = RowsOf::new(&self.files, &own, reader.path())?;
            csv::read(dataset, &reader, context, &mut |fields| {
                let kept = rows.kept(fields, reader.path())?;
                for (column, at) in filled.iter_mut().zip(&places) {
                    for row in &kept {
                        let taken = column.field(fields.get(*row, *at));
                        taken.map_err(|what| {
                            cells::unfit(reader.path(), fields.place(*row, *at), what)
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
