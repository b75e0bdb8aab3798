//! The rows of a table's files, as the table has them.
//!
//! In: an object of a plan, pinned to a version of the table. Out: batches with the table's columns
//! and types: those of the file by the table's mapping, partition columns by the log, columns that
//! the file lacks as NULL, without the rows that a deletion vector takes out. It must never give a
//! row of another version of the table than was planned.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow_select::filter::filter_record_batch;
use assay_model::partition::{ObjectRef, Part};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type as Physical;
use parquet::file::metadata::ParquetMetaData;
use roaring::RoaringTreemap;

use super::fit::{self, fit};
use super::pin::Pin;
use super::protocol::Mapping;
use super::schema::{Column, Kind, UTC};
use super::snapshot::{LiveFile, Snapshot};
use super::value;
use super::vector::{self, Kept};
use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::object::parquet::Chunks;
use crate::object::{ObjectReader, Objects, ReadAt};
use crate::parquet::footer::{self, guarded};
use crate::parquet::spelled;
use crate::slices::{arrow_metadata, batch_rows, row_groups};

/// Whether more rows are wanted.
pub type Take<'a> = &'a mut dyn FnMut(RecordBatch) -> Result<bool, ScanError>;

/// Files of one version of a table.
#[derive(Debug)]
pub struct Table {
    objects: Objects,
    snapshot: Option<Snapshot>,
    schema: SchemaRef,
}

/// What was read of a file.
#[derive(Debug, Clone, Copy)]
pub struct FileRead {
    /// Bytes of the part, as stored.
    pub bytes: u64,
    /// Whether it is the first part of its file.
    pub first: bool,
}

/// A file that is open: what of it is read, and what becomes of that.
struct Open<'a> {
    reader: Arc<ObjectReader>,
    snapshot: &'a Snapshot,
    batches: ParquetRecordBatchReader,
    groups: Range<usize>,
    /// Rows of the file before the part, and of the part.
    before: u64,
    rows: u64,
    /// Rows of the file.
    all_rows: u64,
    deleted: Option<RoaringTreemap>,
    bytes: u64,
    /// Where each column comes from.
    from: Vec<From>,
}

/// Where the values of a column come from.
enum From {
    /// The log: one value for all rows.
    Log(ArrayRef),
    /// This column of the batches.
    File(usize),
    /// Nowhere: NULL in all rows.
    Nowhere,
}

impl Table {
    /// Reads what the log says of the objects of a plan, which must be of one version.
    ///
    /// # Errors
    /// [`ScanError::Changed`] when the table at that version is another than was planned, or can
    /// be told no more; those of reading the log.
    pub fn open<'a>(
        objects: &Objects,
        list: impl IntoIterator<Item = &'a ObjectRef>,
        context: &ScanContext,
    ) -> Result<Self, ScanError> {
        let mut pins = Vec::new();
        for object in list {
            pins.push((Pin::of(object)?, object.path.as_str()));
        }
        let versions: BTreeSet<u64> = pins.iter().map(|(pin, _)| pin.version).collect();
        let changed = |what: String| ScanError::Changed {
            path: objects.root(),
            what,
        };
        let version = match versions.into_iter().collect::<Vec<_>>().as_slice() {
            [] => None,
            [version] => Some(*version),
            several => return Err(changed(format!("files of {} versions", several.len()))),
        };
        let Some(version) = version else {
            return Ok(Self {
                objects: objects.clone(),
                snapshot: None,
                schema: Arc::new(Schema::empty()),
            });
        };
        let wanted: BTreeSet<&str> = pins.iter().map(|(_, path)| *path).collect();
        let snapshot = Snapshot::load(objects, Some(version), Some(&wanted), context)?;
        for (pin, path) in &pins {
            let digest = match snapshot.files.get(*path) {
                Some(file) => snapshot.digest(file),
                None if pin.empty => snapshot.schema_digest(),
                None => String::new(),
            };
            if digest != pin.digest {
                let what = format!("its log says something else of {path:?} at version {version}");
                return Err(changed(what));
            }
        }
        let fields = snapshot.columns.iter().map(|column| column.field(false));
        Ok(Self {
            objects: objects.clone(),
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            snapshot: Some(snapshot),
        })
    }

    /// The columns, as the table states them.
    #[must_use]
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns of the batches: each may have NULLs, whatever the table promises.
    #[must_use]
    pub fn rows_schema(&self) -> SchemaRef {
        let columns = self.snapshot.iter().flat_map(|snapshot| &snapshot.columns);
        let fields = columns.map(|column| column.field(true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Reads a part of a file, with the columns at these places of the schema.
    ///
    /// # Errors
    /// [`ScanError`] when it cannot be read to its end, holds values that its columns cannot, or is
    /// another than planned; that of `take`.
    pub fn read(
        &self,
        object: &ObjectRef,
        part: Part,
        columns: &[usize],
        context: &ScanContext,
        take: Take<'_>,
    ) -> Result<FileRead, ScanError> {
        self.read_as(object, part, columns, false, context, take)
    }

    /// The same; with `shallow`, structures, lists and maps stay as the file has them, for those
    /// who look at nothing but their NULLs.
    pub(super) fn read_as(
        &self,
        object: &ObjectRef,
        part: Part,
        columns: &[usize],
        shallow: bool,
        context: &ScanContext,
        take: Take<'_>,
    ) -> Result<FileRead, ScanError> {
        let nothing = FileRead {
            bytes: 0,
            first: true,
        };
        let pin = Pin::of(object)?;
        let snapshot = self.snapshot.as_ref();
        let Some((snapshot, file)) = snapshot.and_then(|s| Some((s, s.files.get(&object.path)?)))
        else {
            return match pin.empty {
                true => Ok(nothing),
                false => Err(ScanError::Changed {
                    path: object.path.clone(),
                    what: "it is no file of the table".to_owned(),
                }),
            };
        };
        let asked: Vec<&Column> = columns
            .iter()
            .filter_map(|at| snapshot.columns.get(*at))
            .collect();
        let reader = Arc::new(self.objects.reader(&pin.object(object))?);
        let mut open = opened(reader, snapshot, file, part, &asked, context)?;
        open.deleted = self.deleted(file, &pin, snapshot, context)?;
        open.verify_deleted()?;
        let fields: Fields = asked.iter().map(|column| column.field(true)).collect();
        let schema = (!shallow).then(|| Arc::new(Schema::new(fields)));
        open.each(&asked, schema.as_ref(), context, take)?;
        context.progress.add_bytes(open.bytes);
        open.reader.verify_unchanged()?;
        Ok(FileRead {
            bytes: open.bytes,
            first: open.groups.start == 0,
        })
    }

    /// Opens a part of a file and tells what there is to read of it.
    ///
    /// # Errors
    /// As [`Table::read`].
    pub(crate) fn look(
        &self,
        object: &ObjectRef,
        part: Part,
        context: &ScanContext,
    ) -> Result<(Arc<ObjectReader>, FileRead), ScanError> {
        let pin = Pin::of(object)?;
        let reader = Arc::new(self.objects.reader(&pin.object(object))?);
        let mut read = FileRead {
            bytes: 0,
            first: true,
        };
        if !pin.empty {
            let metadata = footer::read(reader.as_ref(), context.memory_bytes)?;
            footer::verify_chunks(reader.path(), &metadata, reader.size())?;
            let groups = row_groups(&metadata, part, reader.path())?;
            read.first = groups.start == 0;
            read.bytes = stored_bytes(&metadata, groups);
        }
        Ok((reader, read))
    }

    /// The rows that are taken out of a file.
    fn deleted(
        &self,
        file: &LiveFile,
        pin: &Pin,
        snapshot: &Snapshot,
        context: &ScanContext,
    ) -> Result<Option<RoaringTreemap>, ScanError> {
        let Some(told) = &file.vector else {
            return Ok(None);
        };
        let path = &file.path;
        let kept = vector::kept(told, &snapshot.root);
        let corrupt = |what: String| ScanError::corrupt(path, Place::file(), what);
        let bytes = match kept.map_err(corrupt)? {
            Kept::Inline(bytes) => bytes,
            Kept::File(_, offset) => {
                let lost = || corrupt("its deletion vector was not looked for".to_owned());
                let reader = self.objects.reader(pin.vector.as_ref().ok_or_else(lost)?)?;
                let bytes = vector::read(&reader, offset, told, context.memory_bytes)?;
                reader.verify_unchanged()?;
                bytes
            }
        };
        vector::rows(&bytes, told, path).map(Some)
    }
}

/// Bytes of row groups, as stored.
fn stored_bytes(metadata: &ParquetMetaData, groups: Range<usize>) -> u64 {
    let sizes = groups.flat_map(|group| metadata.row_group(group).columns());
    sizes
        .map(|chunk| chunk.compressed_size().max(0).unsigned_abs())
        .fold(0, u64::saturating_add)
}

/// Opens a part of a file.
fn opened<'a>(
    reader: Arc<ObjectReader>,
    snapshot: &'a Snapshot,
    file: &'a LiveFile,
    part: Part,
    asked: &[&Column],
    context: &ScanContext,
) -> Result<Open<'a>, ScanError> {
    let path = reader.path().to_owned();
    let metadata = footer::read(reader.as_ref(), context.memory_bytes)?;
    footer::verify_chunks(&path, &metadata, reader.size())?;
    let groups = row_groups(&metadata, part, &path)?;
    let stated = |groups: Range<usize>| {
        let rows = groups.map(|group| metadata.row_group(group).num_rows().unsigned_abs());
        rows.fold(0, u64::saturating_add)
    };
    let (before, rows) = (stated(0..groups.start), stated(groups.clone()));
    let all_rows = stated(0..metadata.num_row_groups());
    let bytes = stored_bytes(&metadata, groups.clone());
    let batch_rows = batch_rows(&metadata, groups.clone(), context.memory_bytes);
    let unreadable = |error: String| ScanError::corrupt(&path, Place::file(), error);
    let metadata = guarded(&path, &Place::file(), || {
        spelled::spelled_out(metadata).map_err(|error| unreadable(error.to_string()))
    })?;
    let told = instants(arrow_metadata(metadata, &path)?, &path)?;
    let fields = told.schema().fields();
    if snapshot.reading.mapping == Mapping::Id
        && !fields.is_empty()
        && fields.iter().all(|field| fit::number(field).is_none())
    {
        let what = "the table's columns are mapped by number, and the file has no numbers";
        return Err(unreadable(what.to_owned()));
    }
    let (from, roots) = sources(snapshot, file, asked, fields, &path)?;
    let mask = ProjectionMask::roots(told.parquet_schema(), roots);
    let batches = guarded(&path, &Place::file(), || {
        ParquetRecordBatchReaderBuilder::new_with_metadata(Chunks(Arc::clone(&reader)), told)
            .with_projection(mask)
            .with_row_groups(groups.clone().collect())
            .with_batch_size(batch_rows)
            .build()
            .map_err(|error| unreadable(error.to_string()))
    })?;
    Ok(Open {
        reader,
        snapshot,
        batches,
        groups,
        before,
        rows,
        all_rows,
        deleted: None,
        bytes,
        from,
    })
}

/// Where the columns come from, and the columns of the file that are read.
fn sources(
    snapshot: &Snapshot,
    file: &LiveFile,
    asked: &[&Column],
    fields: &Fields,
    path: &str,
) -> Result<(Vec<From>, Vec<usize>), ScanError> {
    let mut places = Vec::with_capacity(asked.len());
    let mut roots = BTreeSet::new();
    for column in asked {
        if snapshot.partitioned_by.contains(column) {
            let raw = file.values.get(&column.physical).and_then(Option::as_deref);
            let one = value::constant(&column.kind.arrow(true), raw).map_err(|what| {
                ScanError::corrupt(path, Place::file().in_column(&column.name), what)
            })?;
            places.push((Some(one), None));
            continue;
        }
        let place = fit::place(column, fields, snapshot.reading.mapping);
        roots.extend(place);
        places.push((None, place));
    }
    let roots: Vec<usize> = roots.into_iter().collect();
    let from = places.into_iter().map(|place| match place {
        (Some(one), _) => From::Log(one),
        (None, Some(root)) => roots
            .iter()
            .position(|known| *known == root)
            .map_or(From::Nowhere, From::File),
        (None, None) => From::Nowhere,
    });
    Ok((from.collect(), roots))
}

/// The metadata with the instants of old writers (INT96) in microseconds, as the type of the table
/// has them: in nanoseconds they would leave 64 bits in the year 2262.
fn instants(told: ArrowReaderMetadata, path: &str) -> Result<ArrowReaderMetadata, ScanError> {
    let roots = told.parquet_schema().root_schema().get_fields();
    let is_old = |name: &str| {
        let mut roots = roots.iter().filter(|root| root.name() == name);
        roots.any(|root| root.is_primitive() && root.get_physical_type() == Physical::INT96)
    };
    if !told
        .schema()
        .fields()
        .iter()
        .any(|field| is_old(field.name()))
    {
        return Ok(told);
    }
    let field = |field: &Arc<Field>| match is_old(field.name()) {
        true => {
            let of = DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
            Arc::new(field.as_ref().clone().with_data_type(of))
        }
        false => Arc::clone(field),
    };
    let fields: Vec<Arc<Field>> = told.schema().fields().iter().map(field).collect();
    guarded(path, &Place::file(), || {
        let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
        ArrowReaderMetadata::try_new(Arc::clone(told.metadata()), options)
            .map_err(|error| ScanError::corrupt(path, Place::file(), error.to_string()))
    })
}

impl Open<'_> {
    /// Compares the rows that are taken out with those that the file has.
    fn verify_deleted(&self) -> Result<(), ScanError> {
        let last = self.deleted.as_ref().and_then(RoaringTreemap::max);
        let rows = self.all_rows;
        match last {
            Some(last) if last >= rows => {
                let what = format!("its deletion vector names row {last}, and it has {rows} rows");
                Err(ScanError::corrupt(self.reader.path(), Place::file(), what))
            }
            _ => Ok(()),
        }
    }

    /// Gives every row of the part to `take`.
    fn each(
        &mut self,
        asked: &[&Column],
        schema: Option<&SchemaRef>,
        context: &ScanContext,
        take: Take<'_>,
    ) -> Result<(), ScanError> {
        let path = self.reader.path().to_owned();
        let corrupt = |what: String| ScanError::corrupt(&path, Place::file(), what);
        let mut rows = 0;
        loop {
            context.check(&path)?;
            let batches = &mut self.batches;
            let next = guarded(&path, &Place::file(), || {
                let next = batches.next().transpose();
                next.map_err(|error| corrupt(error.to_string()))
            })?;
            let Some(batch) = next else { break };
            let from = self.before + rows;
            rows += batch.num_rows() as u64;
            let batch = guarded(&path, &Place::file(), || {
                let batch = self.fitted(&batch, asked, schema, &path)?;
                self.kept(batch, from).map_err(corrupt)
            })?;
            if !take(batch)? {
                return Ok(());
            }
        }
        if rows != self.rows {
            let stated = self.rows;
            return Err(corrupt(format!(
                "{rows} rows were read where the footer states {stated}"
            )));
        }
        Ok(())
    }

    /// A batch in the columns of the table.
    fn fitted(
        &self,
        batch: &RecordBatch,
        asked: &[&Column],
        schema: Option<&SchemaRef>,
        path: &str,
    ) -> Result<RecordBatch, ScanError> {
        let rows = batch.num_rows();
        let mut arrays = Vec::with_capacity(asked.len());
        for (column, from) in asked.iter().zip(&self.from) {
            let is_plain = matches!(column.kind, Kind::Plain(_));
            let array = match from {
                From::Log(one) => value::repeated(one, rows),
                From::Nowhere => Ok(new_null_array(&column.kind.arrow(true), rows)),
                From::File(at) if schema.is_none() && !is_plain => Ok(batch.column(*at).clone()),
                From::File(at) => fit(batch.column(*at), &column.kind, self.snapshot.reading),
            };
            arrays.push(array.map_err(|what| ScanError::Unsupported {
                path: path.to_owned(),
                place: Place::file().in_column(&column.name),
                what,
                remedy: "have the table written again with the types that it states".to_owned(),
            })?);
        }
        let schema = schema.cloned().unwrap_or_else(|| {
            let field = |(column, array): (&&Column, &ArrayRef)| {
                Field::new(&column.name, array.data_type().clone(), true)
            };
            let fields: Vec<Field> = asked.iter().zip(&arrays).map(field).collect();
            Arc::new(Schema::new(fields))
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema, arrays, &options)
            .map_err(|error| ScanError::corrupt(path, Place::file(), error.to_string()))
    }

    /// A batch, whose first row is this one of the file, without the rows that are taken out.
    fn kept(&self, batch: RecordBatch, from: u64) -> Result<RecordBatch, String> {
        let Some(deleted) = &self.deleted else {
            return Ok(batch);
        };
        let rows = from..from + batch.num_rows() as u64;
        if deleted.range_cardinality(rows.clone()) == 0 {
            return Ok(batch);
        }
        let stays: BooleanArray = rows.map(|row| Some(!deleted.contains(row))).collect();
        filter_record_batch(&batch, &stays).map_err(|error| error.to_string())
    }
}
