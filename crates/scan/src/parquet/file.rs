//! One file, or some row groups of one, into metric states.
//!
//! In: an object pinned to its listing, and what is asked of its columns. Out: the state of its
//! rows. What a column's type has no metric for is not collected, so that a column of texts is not
//! read for the sums of a general profile.

use std::collections::BTreeSet;
use std::sync::Arc;

use assay_metrics::{ColumnState, Schema, TablePlan, TableState, Wants};
use assay_model::dataset::Dataset;
use assay_model::partition::{ObjectSlice, Part};
use parquet::basic::Type as Physical;
use parquet::file::metadata::ParquetMetaData;

use super::chunk::{self, Depth};
use super::columns::{self, FileColumn, Meaning};
use super::footer::{self, Nulls};
use super::pages::{ChunkPages, ChunkPlace, Scratch};
use super::sink::Sink;
use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::object::{ObjectReader, Objects, ReadAt};
use crate::plan::{STATED_NULLS, ScanPlan, table_plan};

/// A file that is being measured.
pub(crate) struct FileScan<'a> {
    pub(crate) reader: Arc<ObjectReader>,
    pub(crate) context: &'a ScanContext,
    pub(crate) metadata: ParquetMetaData,
    pub(crate) columns: Vec<FileColumn>,
    pub(crate) plan: Arc<ScanPlan>,
    /// The row groups that are measured.
    pub(crate) groups: std::ops::Range<usize>,
    scratch: Scratch,
}

/// What is left of a wish for a column of this meaning.
pub(crate) fn applicable(wants: Wants, meaning: Meaning) -> Wants {
    let none = Wants::default();
    match meaning {
        Meaning::Nested => none,
        Meaning::Int
        | Meaning::Unsigned32
        | Meaning::Unsigned64
        | Meaning::Float
        | Meaning::Single
        | Meaning::Decimal(_) => Wants {
            lengths: false,
            values: wants.values && matches!(meaning, Meaning::Float | Meaning::Single),
            ..wants
        },
        Meaning::Text => Wants {
            sum: false,
            moments: false,
            quantiles: false,
            ..wants
        },
        Meaning::Bool
        | Meaning::Date
        | Meaning::Time(_)
        | Meaning::Timestamp(_)
        | Meaning::LocalTimestamp(_)
        | Meaning::Int96
        | Meaning::Binary => Wants {
            values: false,
            sum: false,
            moments: false,
            quantiles: false,
            lengths: false,
            ..wants
        },
    }
}

impl<'a> FileScan<'a> {
    pub(crate) fn open(
        objects: &Objects,
        slice: &ObjectSlice,
        dataset: &Dataset,
        context: &'a ScanContext,
        scratch: Scratch,
    ) -> Result<Self, ScanError> {
        let reader = Arc::new(objects.reader(&slice.object)?);
        let metadata = footer::read(reader.as_ref(), context.memory_bytes)?;
        let path = reader.path().to_owned();
        footer::verify_chunks(&path, &metadata, reader.size())?;
        let schema = metadata.file_metadata().schema_descr();
        let columns = footer::guarded(&path, &Place::file(), || Ok(columns::columns(schema)))?;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        verify_columns(&path, &columns)?;
        let plan = Arc::new(table_plan(dataset, &names));
        let all = metadata.num_row_groups();
        let groups = match slice.part {
            Part::Whole => 0..all,
            Part::RowGroups { first, count } => {
                let (first, count) = (first as usize, count as usize);
                if first + count > all {
                    let what =
                        format!("row groups up to {} of {all} were asked for", first + count);
                    return Err(ScanError::Changed { path, what });
                }
                first..first + count
            }
            Part::Bytes { .. } => {
                let what = "a Parquet file is cut by row groups, not by bytes".to_owned();
                return Err(ScanError::corrupt(path, Place::file(), what));
            }
        };
        Ok(Self {
            reader,
            context,
            metadata,
            columns,
            plan,
            groups,
            scratch,
        })
    }

    /// The buffers, once the file was found to be still the one that was listed.
    pub(crate) fn finish(self) -> Result<Scratch, ScanError> {
        self.reader.verify_unchanged()?;
        Ok(self.scratch)
    }

    pub(crate) fn rows_of(&self, group: usize) -> u64 {
        self.metadata.row_group(group).num_rows().unsigned_abs()
    }

    /// Bytes of the row groups that are measured, as stored.
    pub(crate) fn stored_bytes(&self) -> u64 {
        let groups = self.groups.clone();
        let chunks = groups.flat_map(|group| self.metadata.row_group(group).columns());
        chunks
            .map(|chunk| chunk.compressed_size().max(0).unsigned_abs())
            .fold(0, u64::saturating_add)
    }

    /// A state without rows that has the file's schema.
    pub(crate) fn empty_state(&self) -> TableState {
        let mut state = TableState::default();
        state.schema.add_file();
        for (ordinal, column) in self.columns.iter().enumerate() {
            let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
            state
                .schema
                .add_column(&column.name, &column.type_text, column.nullable, ordinal);
            state
                .columns
                .insert(column.name.clone(), self.column_state(column));
        }
        state
    }

    fn column_state(&self, column: &FileColumn) -> ColumnState {
        let wants = applicable(self.plan.wants(&column.name), column.meaning);
        let limits = TablePlan {
            columns: Vec::new(),
            keys: Vec::new(),
            ..self.plan.table
        };
        ColumnState::new(&wants, &limits)
    }

    /// The state of all rows in one.
    pub(crate) fn whole(&mut self) -> Result<TableState, ScanError> {
        let mut state = self.empty_state();
        if self.groups.start > 0 {
            // The file is told with its first row group, and counted once however it is cut.
            state.schema = Schema::default();
        }
        for index in 0..self.columns.len() {
            let name = self.columns[index].name.clone();
            let mut column = state.columns.remove(&name).unwrap_or_default();
            for group in self.groups.clone() {
                if self.chunk(index, group, &mut column)? == Source::Footer {
                    note_stated(&mut state, &name, self.rows_of(group));
                }
            }
            state.columns.insert(name, column);
        }
        for group in self.groups.clone() {
            state.rows += self.rows_of(group);
        }
        state.bytes = self.stored_bytes();
        state.files = u64::from(self.groups.start == 0);
        let plan = self.plan.clone();
        for key in &plan.table.keys {
            if let Some(counted) = self.key(&key.columns, plan.table.uniqueness_limit)? {
                state.keys.insert(key.id.clone(), counted);
            }
        }
        self.context.progress.add_rows(state.rows);
        Ok(state)
    }

    fn place(&self, column: &FileColumn, group: usize) -> Place {
        Place::row_group(group).in_column(&column.name)
    }

    /// The pages of a column's chunk. Give the buffers back with [`FileScan::keep`].
    pub(crate) fn pages(
        &mut self,
        index: usize,
        group: usize,
    ) -> Result<ChunkPages<ObjectReader>, ScanError> {
        let column = &self.columns[index];
        let place = self.place(column, group);
        let chunk = self.metadata.row_group(group).column(column.leaf);
        let path = self.reader.path();
        let Some((start, end)) = footer::byte_range(chunk, self.reader.size()) else {
            let what = "the place of a column chunk is not in the file";
            return Err(ScanError::corrupt(path, place, what));
        };
        let place = ChunkPlace {
            row_group: group,
            column: column.name.clone(),
            start,
            end,
            codec: chunk.compression(),
        };
        let scratch = std::mem::take(&mut self.scratch);
        ChunkPages::new(self.reader.clone(), self.context.clone(), place, scratch)
    }

    pub(crate) fn keep(&mut self, scratch: Scratch) {
        self.scratch = scratch;
    }

    /// Checks that the footer's numbers of a chunk agree; gives the chunk's values.
    pub(crate) fn stated_values(&self, index: usize, group: usize) -> Result<u64, ScanError> {
        let column = &self.columns[index];
        let corrupt =
            |what: String| ScanError::corrupt(self.reader.path(), self.place(column, group), what);
        let rows = self.rows_of(group);
        let stated = self
            .metadata
            .row_group(group)
            .column(column.leaf)
            .num_values();
        let values =
            u64::try_from(stated).map_err(|_| corrupt("its values are negative".to_owned()))?;
        if column.max_repetition == 0 && values != rows {
            return Err(corrupt(format!(
                "it states {values} values, its row group has {rows} rows"
            )));
        }
        Ok(values)
    }

    /// How far the chunks of a column are read.
    pub(crate) fn depth(&self, column: &FileColumn) -> Depth {
        let wants = applicable(self.plan.wants(&column.name), column.meaning);
        if wants.counts_only() && self.plan.rules(&column.name).is_empty() {
            Depth::Nulls
        } else {
            Depth::Values
        }
    }

    /// The NULLs of a chunk, where nothing is asked that its pages have to be read for.
    pub(crate) fn nulls_untold(&self, column: &FileColumn, group: usize) -> Option<Nulls> {
        if column.meaning == Meaning::Nested {
            // The levels of a nested column are read where anything is asked of it.
            let asked = !self.plan.wants(&column.name).counts_only();
            return (!column.nullable && !asked).then_some(Nulls::Never);
        }
        let chunk = self.metadata.row_group(group).column(column.leaf);
        match self.depth(column) {
            Depth::Nulls => footer::stated_nulls(chunk, column, self.rows_of(group)),
            Depth::Values => None,
        }
    }

    /// Feeds one chunk of a column; tells where its NULLs are from.
    fn chunk(
        &mut self,
        index: usize,
        group: usize,
        state: &mut ColumnState,
    ) -> Result<Source, ScanError> {
        let values = self.stated_values(index, group)?;
        let rows = self.rows_of(group);
        let column = self.columns[index].clone();
        let plan = self.plan.clone();
        let rules = plan.rules(&column.name);
        let nested = column.meaning == Meaning::Nested;
        let depth = self.depth(&column);
        if let Some(nulls) = self.nulls_untold(&column, group) {
            let (nulls, source) = match nulls {
                Nulls::Never => (0, Source::Data),
                Nulls::Stated(nulls) => (nulls, Source::Footer),
            };
            state.add_rows(rows, nulls);
            return Ok(source);
        }
        let before = state.counts.nulls;
        let place = self.place(&column, group);
        let path = self.reader.path().to_owned();
        let descriptor = self
            .metadata
            .file_metadata()
            .schema_descr()
            .column(column.leaf);
        let mut pages = self.pages(index, group)?;
        footer::guarded(&path, &place, || {
            let mut sink = Sink::new(column.meaning, &mut *state, rules, plan.zone.as_ref());
            if nested {
                chunk::feed_nested(&mut pages, &column, rows, values, &mut sink)?;
            } else {
                chunk::feed(&mut pages, &column, &descriptor, rows, depth, &mut sink)?;
            }
            sink.finish();
            Ok(())
        })?;
        if !nested {
            let counted = state.counts.nulls.saturating_sub(before);
            let chunk = self.metadata.row_group(group).column(column.leaf);
            footer::verify_nulls(chunk, counted).map_err(|what| pages.corrupt(what))?;
        }
        self.keep(pages.into_scratch());
        Ok(Source::Data)
    }
}

/// Where the NULLs of a chunk are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Its pages, or its type.
    Data,
    /// The statistics in the footer, which nothing was compared with.
    Footer,
}

/// Tells with the state that the NULLs of so many rows are as a footer states.
pub(crate) fn note_stated(state: &mut TableState, column: &str, rows: u64) {
    if rows > 0 {
        state.flag(&format!("{STATED_NULLS}{column}"), rows);
    }
}

fn verify_columns(path: &str, columns: &[FileColumn]) -> Result<(), ScanError> {
    let mut names = BTreeSet::new();
    for column in columns {
        let twice = !names.insert(&column.name);
        let fixed = column.physical == Physical::FIXED_LEN_BYTE_ARRAY;
        let halves = fixed && column.meaning == Meaning::Float && column.fixed != 2;
        if twice {
            return Err(ScanError::Unsupported {
                path: path.to_owned(),
                place: Place::file().in_column(&column.name),
                what: "two columns have this name".to_owned(),
                remedy: "rename one of them: metrics are told apart by name".to_owned(),
            });
        }
        if (fixed && column.fixed == 0) || halves {
            let what = format!(
                "its values are {} bytes long, which its type forbids",
                column.fixed
            );
            let place = Place::file().in_column(&column.name);
            return Err(ScanError::corrupt(path, place, what));
        }
    }
    Ok(())
}
