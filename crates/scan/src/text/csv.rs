//! Delimited text (RFC 4180) into metric states.
//!
//! In: a part of an object whose ends are record boundaries. Out: the states of its partitions.
//! Positions of delimiters and line ends are found first, for a whole block; then rows are checked
//! to be even; then each column is fed. Fields are slices of the block; only a field with doubled
//! quotes is copied.

pub mod stored;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use assay_metrics::TableState;
use assay_model::dataset::{Dataset, Format};
use assay_model::partition::{Partition, PartitionKey};

use super::keyed::Keyed;
use super::lines::Blocks;
use super::records::{BOM, Csv, Rows, unquote};
use super::structure::Marks;
use super::table::Table;
use super::{BLOCK_BYTES, States};
use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::object::ReadAt;

/// The delimiter and the quote of a format.
///
/// # Errors
/// [`ScanError::Definition`] when they are not different single bytes.
pub fn marks(format: &Format, path: &str) -> Result<Marks, ScanError> {
    let byte = |mark: char| {
        u8::try_from(mark)
            .ok()
            .filter(|b| b.is_ascii() && *b != b'\n' && *b != b'\r')
    };
    match (byte(format.delimiter), byte(format.quote)) {
        (Some(delimiter), Some(quote)) if delimiter != quote => Ok(Marks { delimiter, quote }),
        _ => Err(ScanError::Definition {
            path: path.to_owned(),
            place: Place::file(),
            what: format!(
                "{:?} and {:?} cannot delimit and quote fields",
                format.delimiter, format.quote
            ),
            remedy: "use two different ASCII characters under assayFormat".to_owned(),
        }),
    }
}

/// The names of the columns, and for a part from the file's beginning the positions to skip.
fn columns_of(
    dataset: &Dataset,
    reader: &dyn ReadAt,
    first: Option<(Vec<String>, usize)>,
) -> Result<(Vec<String>, usize), ScanError> {
    let format = &dataset.source.format;
    let Some((fields, positions)) = first else {
        return Ok((Vec::new(), 0));
    };
    let number = |i: usize| format!("column{}", i + 1);
    if !format.header {
        let declared = |i: usize| dataset.columns.get(i).map(|c| c.name.clone());
        let names = (0..fields.len()).map(|i| declared(i).unwrap_or_else(|| number(i)));
        return Ok((names.collect(), 0));
    }
    let named = |(i, name): (usize, String)| if name.is_empty() { number(i) } else { name };
    let names: Vec<String> = fields.into_iter().enumerate().map(named).collect();
    let mut seen = BTreeSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
        let place = Place::line(1).in_column(twice.clone());
        return Err(ScanError::corrupt(
            reader.path(),
            place,
            "two columns have this name",
        ));
    }
    Ok((names, positions))
}

/// The names of the columns of a delimited object, read from its beginning.
///
/// # Errors
/// [`ScanError`] when the first record cannot be read.
pub fn header(
    dataset: &Dataset,
    reader: &dyn ReadAt,
    context: &ScanContext,
) -> Result<Vec<String>, ScanError> {
    let failed = Cell::new(None);
    // Only the first record matters: the buffer grows no further than it needs.
    let mut csv = open(dataset, reader, (0, reader.size()), context, &failed)?;
    let first = if csv.next()? {
        Some(csv.first_record()?)
    } else {
        None
    };
    Ok(columns_of(dataset, reader, first)?.0)
}

fn open<'a>(
    dataset: &Dataset,
    reader: &'a dyn ReadAt,
    range: (u64, u64),
    context: &'a ScanContext,
    failed: &'a Cell<Option<ScanError>>,
) -> Result<Csv<'a>, ScanError> {
    Ok(Csv {
        blocks: Blocks::open(reader, range, context, failed)?,
        marks: marks(&dataset.source.format, reader.path())?,
        positions: Vec::with_capacity(BLOCK_BYTES / 4),
        rows: Rows::default(),
        whole: 0,
    })
}

/// What is done with a block, besides reading it.
struct Measure<'a> {
    dataset: &'a Dataset,
    partitions: &'a [Partition],
    table: Table,
    nulls: Nulls,
    keyed: Option<(Keyed, usize)>,
    states: States,
    cells: Cells,
}

/// The fields that mean NULL.
struct Nulls {
    /// Whether the empty field does.
    empty: bool,
    /// The others that do.
    tokens: Vec<Vec<u8>>,
    longest: usize,
}

impl Nulls {
    fn new(format: &Format) -> Self {
        // The empty field is told by its length. Comparing it with an empty token, whose bytes lie
        // nowhere, costs a processor with masked loads many times what comparing bytes does.
        let written = format.null_tokens.iter().filter(|t| !t.is_empty());
        let tokens: Vec<Vec<u8>> = written.map(|t| t.as_bytes().to_vec()).collect();
        let longest = tokens.iter().map(Vec::len).max().unwrap_or(0);
        Self {
            empty: format.null_tokens.iter().any(String::is_empty),
            tokens,
            longest,
        }
    }

    #[inline]
    fn has(&self, field: &[u8]) -> bool {
        if field.is_empty() {
            return self.empty;
        }
        field.len() <= self.longest && self.tokens.iter().any(|token| token == field)
    }
}

/// Fields of a block that had to be copied to lose their doubled quotes, by place.
#[derive(Default)]
struct Cells {
    texts: BTreeMap<(usize, usize), Vec<u8>>,
}

/// Measures a part of a delimited object.
pub(super) fn measure(
    dataset: &Dataset,
    partitions: &[Partition],
    reader: &dyn ReadAt,
    range: (u64, u64),
    context: &ScanContext,
) -> Result<States, ScanError> {
    let failed = Cell::new(None);
    let csv = open(dataset, reader, range, context, &failed)?;
    measured(csv, dataset, partitions, reader, range.0 == 0, context)
}

/// Measures the records of an object or of a part of one.
fn measured(
    mut csv: Csv<'_>,
    dataset: &Dataset,
    partitions: &[Partition],
    reader: &dyn ReadAt,
    from_start: bool,
    context: &ScanContext,
) -> Result<States, ScanError> {
    let mut more = csv.next()?;
    let (names, mut skip) = if from_start {
        let first = if more {
            Some(csv.first_record()?)
        } else {
            None
        };
        if first.is_none() && dataset.source.format.header {
            let what = "the file is empty: it lacks even the header";
            return Err(ScanError::corrupt(reader.path(), Place::byte(0), what));
        }
        columns_of(dataset, reader, first)?
    } else {
        (header(dataset, reader, context)?, 0)
    };
    let mut measure = Measure::new(dataset, partitions, names, reader)?;
    if from_start {
        measure.note_file();
        // Without a header the byte order mark stands before the first field.
        if skip == 0 && more && csv.blocks.bytes().starts_with(BOM) {
            csv.whole = BOM.len();
            more = csv.next()?;
        }
    }
    while more {
        csv.split(measure.table.names.len().max(1), skip)?;
        skip = 0;
        let rows = csv.rows.len();
        measure.block(&csv)?;
        context.progress.add_rows(rows as u64);
        more = csv.next()?;
    }
    Ok(measure.states)
}

impl<'a> Measure<'a> {
    fn new(
        dataset: &'a Dataset,
        partitions: &'a [Partition],
        names: Vec<String>,
        reader: &dyn ReadAt,
    ) -> Result<Self, ScanError> {
        let table = Table::new(dataset, names)?;
        let names = &table.names;
        let keyed = match Keyed::of(dataset)? {
            None => None,
            Some(_) if names.is_empty() => None,
            Some(keyed) => match names.iter().position(|name| *name == keyed.column) {
                Some(column) => Some((keyed, column)),
                None => return Err(keyed.lacking(reader.path(), names)),
            },
        };
        let mut states = States::new();
        for partition in partitions {
            states.insert(partition.key.clone(), table.empty());
        }
        Ok(Self {
            dataset,
            partitions,
            table,
            nulls: Nulls::new(&dataset.source.format),
            keyed,
            states,
            cells: Cells::default(),
        })
    }

    /// Notes the file and its columns with every partition that it may hold rows of.
    fn note_file(&mut self) {
        for state in self.states.values_mut() {
            self.table.note_file(self.dataset, state);
        }
    }

    /// Copies the fields with doubled quotes and checks all quotes of the block.
    fn unquote_all(&mut self, csv: &Csv<'_>) -> Result<(), ScanError> {
        self.cells.texts.clear();
        if !csv.rows.quotes {
            return Ok(());
        }
        let (bytes, quote) = (csv.blocks.bytes(), csv.marks.quote);
        let mut copy = Vec::new();
        for row in 0..csv.rows.len() {
            for column in 0..csv.rows.columns {
                let raw = csv.rows.raw(bytes, row, column);
                let length = raw.len();
                let text = unquote(raw, quote, &mut copy).map_err(|fault| {
                    let from = raw.as_ptr() as usize - bytes.as_ptr() as usize;
                    let error = csv.blocks.corrupt(from + fault.at, fault.what);
                    in_column(error, self.table.names.get(column))
                })?;
                if text.len() + 2 < length {
                    let text = text.to_vec();
                    self.cells.texts.insert((row, column), text);
                }
            }
        }
        Ok(())
    }

    fn block(&mut self, csv: &Csv<'_>) -> Result<(), ScanError> {
        self.unquote_all(csv)?;
        let rows = csv.rows.len();
        let mut states = std::mem::take(&mut self.states);
        let all: Vec<u32> = (0..rows as u32).collect();
        let split = match &mut self.keyed {
            None => {
                let only = self
                    .partitions
                    .first()
                    .map_or_else(PartitionKey::all, |p| p.key.clone());
                BTreeMap::from([(only, all)])
            }
            Some((keyed, column)) => {
                let column = *column;
                let fields = (0..rows).map(|row| field(csv, &self.cells, &self.nulls, row, column));
                let fault = |row: usize, what: String| {
                    let error = csv.blocks.corrupt(csv.rows.starts[row] as usize, what);
                    in_column(error, self.table.names.get(column))
                };
                keyed.split(fields, Some(self.partitions), fault)?
            }
        };
        for (key, rows) in split {
            let state = states.entry(key).or_insert_with(|| self.table.empty());
            self.feed(csv, &rows, state);
        }
        self.states = states;
        Ok(())
    }

    fn feed(&mut self, csv: &Csv<'_>, rows: &[u32], state: &mut TableState) {
        let (cells, nulls) = (&self.cells, &self.nulls);
        if csv.rows.quotes {
            let field = |row, column| field(csv, cells, nulls, row, column);
            self.table.feed(rows, state, field);
        } else {
            let bytes = csv.blocks.bytes();
            self.table.feed(rows, state, |row, column| {
                let raw = csv.rows.raw(bytes, row, column);
                (!nulls.has(raw)).then_some(raw)
            });
        }
    }
}

/// A field without quotes; `None` when it is NULL.
fn field<'b>(
    csv: &'b Csv<'_>,
    cells: &'b Cells,
    nulls: &Nulls,
    row: usize,
    column: usize,
) -> Option<&'b [u8]> {
    let raw = csv.rows.raw(csv.blocks.bytes(), row, column);
    let text = if raw.first() == Some(&csv.marks.quote) && raw.len() >= 2 {
        match cells.texts.get(&(row, column)) {
            Some(text) => text.as_slice(),
            None => &raw[1..raw.len() - 1],
        }
    } else {
        raw
    };
    (!nulls.has(text)).then_some(text)
}

fn in_column(error: ScanError, name: Option<&String>) -> ScanError {
    match (error, name) {
        (ScanError::Corrupt { path, place, what }, Some(name)) => ScanError::Corrupt {
            path,
            place: place.in_column(name.clone()),
            what,
        },
        (error, _) => error,
    }
}

/// The keys of the rows of a delimited object, for discovery.
///
/// # Errors
/// [`ScanError`] when the object cannot be read, or a field is no key.
pub fn keys(
    dataset: &Dataset,
    reader: &dyn ReadAt,
    context: &ScanContext,
) -> Result<BTreeMap<PartitionKey, crate::discover::keys::Key>, ScanError> {
    let failed = Cell::new(None);
    let mut csv = open(dataset, reader, (0, reader.size()), context, &failed)?;
    if !csv.next()? {
        return Ok(BTreeMap::new());
    }
    let (names, mut skip) = columns_of(dataset, reader, Some(csv.first_record()?))?;
    let mut measure = Measure::new(dataset, &[], names, reader)?;
    let Some((mut keyed, column)) = measure.keyed.take() else {
        return Ok(BTreeMap::new());
    };
    loop {
        csv.split(measure.table.names.len().max(1), skip)?;
        skip = 0;
        measure.unquote_all(&csv)?;
        let fields =
            (0..csv.rows.len()).map(|row| field(&csv, &measure.cells, &measure.nulls, row, column));
        let fault = |row: usize, what: String| {
            let error = csv.blocks.corrupt(csv.rows.starts[row] as usize, what);
            in_column(error, measure.table.names.get(column))
        };
        keyed.split(fields, None, fault)?;
        if !csv.next()? {
            return Ok(keyed.met);
        }
    }
}

/// A block of records as fields, for readers that want the values themselves.
pub struct Fields<'b> {
    csv: &'b Csv<'b>,
    cells: &'b Cells,
    nulls: &'b Nulls,
    names: &'b [String],
}

impl Fields<'_> {
    /// How many records.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.csv.rows.len()
    }

    /// A field without its quotes; `None` is NULL.
    #[must_use]
    pub fn get(&self, row: usize, column: usize) -> Option<&[u8]> {
        field(self.csv, self.cells, self.nulls, row, column)
    }

    /// Where a record begins, in a column.
    #[must_use]
    pub fn place(&self, row: usize, column: usize) -> Place {
        let start = self.csv.rows.starts.get(row).copied().unwrap_or(0);
        let place = self.csv.blocks.place(start as usize);
        match self.names.get(column) {
            Some(name) => place.in_column(name),
            None => place,
        }
    }
}

/// Reads every record of a delimited object, block by block; `each` says whether more are wanted.
/// What `measure` refuses is refused here.
///
/// # Errors
/// [`ScanError`] when the object cannot be read to its end, or that of `each`.
pub fn read(
    dataset: &Dataset,
    reader: &dyn ReadAt,
    context: &ScanContext,
    each: &mut dyn FnMut(&Fields<'_>) -> Result<bool, ScanError>,
) -> Result<(), ScanError> {
    let failed = Cell::new(None);
    let mut csv = open(dataset, reader, (0, reader.size()), context, &failed)?;
    if !csv.next()? {
        if dataset.source.format.header {
            let what = "the file is empty: it lacks even the header";
            return Err(ScanError::corrupt(reader.path(), Place::byte(0), what));
        }
        return Ok(());
    }
    let (names, mut skip) = columns_of(dataset, reader, Some(csv.first_record()?))?;
    let mut measure = Measure::new(dataset, &[], names, reader)?;
    let mut more = true;
    if skip == 0 && csv.blocks.bytes().starts_with(BOM) {
        csv.whole = BOM.len();
        more = csv.next()?;
    }
    while more {
        csv.split(measure.table.names.len().max(1), skip)?;
        skip = 0;
        measure.unquote_all(&csv)?;
        let fields = Fields {
            csv: &csv,
            cells: &measure.cells,
            nulls: &measure.nulls,
            names: &measure.table.names,
        };
        if !each(&fields)? {
            return Ok(());
        }
        context.progress.add_rows(csv.rows.len() as u64);
        more = csv.next()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::dataset::FormatKind;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_field_is_null_that_is_one_of_the_tokens(
            tokens in prop::collection::vec("[aN]{0,3}", 0..4), field in "[aN]{0,4}",
        ) {
            let is_token = tokens.contains(&field);
            let format = Format { null_tokens: tokens, ..Format::of(FormatKind::Csv) };
            prop_assert_eq!(Nulls::new(&format).has(field.as_bytes()), is_token);
        }
    }
}
