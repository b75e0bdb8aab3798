//! Where the rows of a batch come from: objects, or the table of a database.
//!
//! In: a batch. Out: its columns as storage keeps them, then its rows as binary COPY takes them.
//! Rows of a database go through as they are sent. What differs from the listing is an error.

use std::collections::BTreeSet;

use arrow_array::RecordBatch;
use assay_model::dataset::{Dataset, FormatKind, Location};
use assay_model::task::MeasureSpec;
use assay_scan::ScanContext;
use assay_scan::error::{Place, ScanError};
use assay_scan::object::Objects;
use assay_scan::reach::Access;
use assay_scan::slices::{SliceRows, VOID};

use super::super::AtWork;
use super::super::PostgresTable;
use super::super::keys::KeyColumn;
use super::super::marks::Marking;
use super::super::session::{CopyIn, Session};
use super::super::types::Column;
use super::bookkeeping::Part;
use super::encode::{Encoder, HEADER, TRAILER, Unfit};
use super::kept::Kept;
use crate::table::batch::{Asked, Work};

/// Objects that are held open between a look at their columns and at their rows.
const OPEN: usize = 16;

pub(super) fn refused(path: &str, column: &str, what: impl Into<String>) -> ScanError {
    ScanError::Unsupported {
        path: path.to_owned(),
        place: Place::file().in_column(column),
        what: what.into(),
        remedy: "write `mode: in-place` under assayStorage, or have the column written otherwise"
            .to_owned(),
    }
}

/// The objects of a batch.
pub(super) struct FileSource<'a> {
    dataset: &'a Dataset,
    spec: &'a MeasureSpec,
    context: &'a ScanContext,
    objects: Objects,
    /// Those that are open still.
    open: Vec<Option<SliceRows>>,
    /// The columns of each.
    own: Vec<Vec<Kept>>,
    pub(super) columns: Vec<Kept>,
    pub(super) text: bool,
}

impl<'a> FileSource<'a> {
    /// Looks at the columns of every object.
    pub(super) fn open(
        dataset: &'a Dataset,
        spec: &'a MeasureSpec,
        context: &'a ScanContext,
    ) -> Result<Self, ScanError> {
        let mut source = Self {
            dataset,
            spec,
            context,
            objects: Objects::open(&dataset.source, context)?,
            open: Vec::with_capacity(spec.slices.len()),
            own: Vec::with_capacity(spec.slices.len()),
            columns: Vec::new(),
            text: dataset.source.format.kind == FormatKind::Csv,
        };
        for at in 0..spec.slices.len() {
            let slice = source.slice(at)?;
            let columns = kept(&slice)?;
            source.agree(&columns, slice.path())?;
            source.own.push(columns);
            source.open.push((at < OPEN).then_some(slice));
        }
        Ok(source)
    }

    fn slice(&self, at: usize) -> Result<SliceRows, ScanError> {
        let slice = &self.spec.slices[at];
        self.context.check(&slice.object.path)?;
        SliceRows::open(self.dataset, &self.objects, slice, self.context)
    }

    /// Takes the columns of an object beside those of the objects before it.
    fn agree(&mut self, columns: &[Kept], path: &str) -> Result<(), ScanError> {
        let is_first = self.own.is_empty();
        if self.text && !is_first && self.columns != columns {
            let named = |columns: &[Kept]| -> BTreeSet<String> {
                columns.iter().map(|c| c.name.clone()).collect()
            };
            let (here, there) = (named(columns), named(&self.columns));
            let odd = here.symmetric_difference(&there).next().cloned();
            let what = "delimited files of one partition are stored with the same columns in the \
                        same order, and this one has others";
            return Err(refused(path, odd.as_deref().unwrap_or_default(), what));
        }
        for column in columns {
            let known = self
                .columns
                .iter_mut()
                .find(|known| known.name == column.name);
            match known {
                None => self.columns.push(column.clone()),
                Some(_) if column.void => {}
                Some(known) if known.void => *known = column.clone(),
                Some(known) if known.sql == column.sql => {}
                Some(known) => {
                    let what = format!(
                        "it is {} here and {} in another file of the partition",
                        column.text, known.text
                    );
                    return Err(refused(path, &column.name, what));
                }
            }
        }
        Ok(())
    }

    /// Sends every row.
    pub(super) fn copy(&self, copy: &mut CopyIn<'_>) -> Result<Vec<Part>, ScanError> {
        let mut parts = Vec::with_capacity(self.spec.slices.len());
        for (at, own) in self.own.iter().enumerate() {
            let again;
            let slice = match self.open.get(at).and_then(Option::as_ref) {
                Some(slice) => slice,
                None => {
                    again = self.slice(at)?;
                    &again
                }
            };
            let rows = self.rows(slice, copy)?;
            parts.push(Part {
                rows,
                bytes: slice.bytes,
                first: slice.first,
                columns: (own != &self.columns).then(|| own.clone()),
            });
        }
        Ok(parts)
    }

    fn rows(&self, slice: &SliceRows, copy: &mut CopyIn<'_>) -> Result<u64, ScanError> {
        let schema = slice.schema();
        let kept = self.columns.iter().filter(|column| !column.void);
        let places: Vec<Option<usize>> = kept
            .map(|column| schema.index_of(&column.name).ok())
            .collect();
        let void: Vec<usize> = (0..schema.fields().len())
            .filter(|at| schema.field(*at).metadata().contains_key(VOID))
            .collect();
        // What could not be read back is not written.
        let most = match self.text {
            true => copy.row_bytes() / 3,
            false => copy.row_bytes(),
        };
        let mut before = 0u64;
        slice.each(self.dataset, self.context, &mut |batch| {
            for at in &void {
                let array = batch.column(*at);
                if array.null_count() < array.len() {
                    let what = "it is stated to be of the type NULL, and has values";
                    return Err(refused(slice.path(), schema.field(*at).name(), what));
                }
            }
            send(batch, &places, copy, slice.path(), before, most)?;
            before += batch.num_rows() as u64;
            Ok(())
        })?;
        Ok(before)
    }
}

/// Sends the rows of a batch, `before` rows behind the first of `path`; each of at most so many bytes.
pub(super) fn send(
    batch: &RecordBatch,
    places: &[Option<usize>],
    copy: &mut CopyIn<'_>,
    path: &str,
    before: u64,
    most: usize,
) -> Result<(), ScanError> {
    let unfit = |unfit: Unfit| {
        let row = before + unfit.row as u64 + 1;
        let what = format!("row {row}: {}", unfit.what);
        refused(path, &unfit.column, what)
    };
    let encoder = Encoder::new(batch, places).map_err(unfit)?;
    for row in 0..encoder.rows() {
        copy.add(|to| {
            let begun = to.len();
            encoder.put(row, to).map_err(unfit)?;
            let bytes = to.len() - begun;
            match bytes <= most {
                true => Ok(()),
                false => {
                    let row = before + row as u64 + 1;
                    Err(too_wide(path, &format!("row {row}"), bytes, most))
                }
            }
        })?;
    }
    Ok(())
}

/// A row that could be written and never be read back.
fn too_wide(path: &str, row: &str, bytes: usize, most: usize) -> ScanError {
    ScanError::Unsupported {
        path: path.to_owned(),
        place: Place::file(),
        what: format!("{row} has {bytes} bytes, and this task reads back rows of {most}"),
        remedy: "give tasks more memory (`memory`, or fewer slots), or write `mode: in-place` \
                 under assayStorage"
            .to_owned(),
    }
}

/// The columns of an object as they are kept.
fn kept(slice: &SliceRows) -> Result<Vec<Kept>, ScanError> {
    let field = |field: &std::sync::Arc<arrow_schema::Field>| {
        Kept::of_field(field).map_err(|what| refused(slice.path(), field.name(), what))
    };
    let columns: Vec<Kept> = slice
        .schema()
        .fields()
        .iter()
        .map(field)
        .collect::<Result<_, _>>()?;
    let mut names = BTreeSet::new();
    match columns.iter().find(|column| !names.insert(&column.name)) {
        Some(twice) => Err(refused(
            slice.path(),
            &twice.name,
            "two columns have this name",
        )),
        None => Ok(columns),
    }
}

/// The table of a database.
pub(super) struct TableSource {
    session: Session,
    works: Vec<Work>,
    taken: Vec<Column>,
    marking: Marking,
    address: String,
    pub(super) columns: Vec<Kept>,
}

impl TableSource {
    /// Opens the table in a transaction that sees one state of it.
    pub(super) fn open(
        dataset: &Dataset,
        spec: &MeasureSpec,
        access: &Access,
        context: &ScanContext,
    ) -> Result<Self, ScanError> {
        let source = &dataset.source;
        let Location::Database(of) = &source.location else {
            return Err(crate::unknown(source));
        };
        if of.kind != assay_model::source::DatabaseKind::Postgres {
            return Err(crate::unknown(source));
        }
        let table = PostgresTable::new(source, of, access)?;
        let (mut session, shape) = table.open(dataset, context)?;
        let address = table.server.place.clone();
        let marking = Marking::new(&of.version, &shape, &address)?;
        let key = KeyColumn::of(dataset, &shape, &address)?;
        let measurer = AtWork {
            session: &mut session,
            shape: &shape,
            dataset,
            context,
            marking: &marking,
            key: key.as_ref(),
            address: &address,
        };
        let works = measurer.works(&spec.slices)?;
        let one = |column: &Column| {
            Kept::of_column(column).map_err(|what| refused(&address, &column.name, what))
        };
        let columns = shape.columns.iter().map(one).collect::<Result<_, _>>()?;
        Ok(Self {
            taken: shape.columns.clone(),
            columns,
            session,
            works,
            marking,
            address,
        })
    }

    /// Sends every row, as the database gives it.
    pub(super) fn copy(&mut self, copy: &mut CopyIn<'_>) -> Result<Vec<Part>, ScanError> {
        let values: Vec<String> = self.taken.iter().map(Kept::source).collect();
        let values = values.join(", ");
        let mut parts = Vec::with_capacity(self.works.len());
        for work in &self.works {
            let marks = self.session.rows(&format!(
                "SELECT {} {}",
                self.marking.aggregates(),
                work.rows_of()
            ))?;
            let cell = |at: usize| marks.first().and_then(|row| row.get(at)?.as_deref());
            let found = self.marking.read(cell(0), cell(1));
            let changed = |what: String| ScanError::Changed {
                path: format!("{}: {}", self.address, work.path),
                what,
            };
            if found.as_ref() != Some(&work.expected) {
                let expected = work.expected.rows;
                return Err(changed(format!(
                    "{expected} rows were listed, and others are there"
                )));
            }
            let statement = format!(
                "COPY (SELECT {values} {}) TO STDOUT (FORMAT binary)",
                work.rows_of()
            );
            let mut begun = false;
            let mut rows = 0u64;
            let most = copy.row_bytes();
            // The server sends the head, each row and the end as pieces of their own.
            self.session.copy_out(&statement, |piece| {
                let piece = match begun {
                    true => piece,
                    false => piece.strip_prefix(HEADER).ok_or_else(|| {
                        let what = "its rows do not begin as binary COPY does";
                        ScanError::corrupt(&self.address, Place::file(), what)
                    })?,
                };
                begun = true;
                if piece.is_empty() || piece == TRAILER {
                    return Ok(());
                }
                rows += 1;
                if piece.len() > most {
                    return Err(too_wide(&self.address, "a row", piece.len(), most));
                }
                copy.add(|to| {
                    to.extend_from_slice(piece);
                    Ok(())
                })
            })?;
            if rows != work.expected.rows {
                return Err(changed(format!(
                    "{rows} rows came of {}",
                    work.expected.rows
                )));
            }
            parts.push(Part {
                rows,
                bytes: work.bytes,
                first: true,
                columns: None,
            });
        }
        self.session.end()?;
        Ok(parts)
    }
}
