//! One batch of a table into the state of its partition.
//!
//! In: the ranges of a batch, each with the mark that the listing saw. Out: the state of their rows,
//! equal to the last digit to that of the same rows in a Parquet file. All of it is read in one
//! transaction, which sees one state of the database; the rows of every range must be those that were
//! listed. What the database can compute exactly it computes, the rest is read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use assay_metrics::TableState;
use assay_model::partition::{ObjectSlice, PartitionKey};
use assay_model::task::MeasureSpec;
use assay_scan::columnar::{Feed, Rows};
use assay_scan::error::{Place, ScanError};
use assay_scan::plan::{ScanPlan, table_plan};

use super::AtWork;
use super::decode::Decoder;
use super::list::stretch;
use super::marks::Mark;
use super::push;
use super::session::Texts;
use super::types::{Column, expression, schema};
use crate::table::odd::{Odd, add_odd};
use crate::table::push::{Plan, Totals, plan};
use crate::table::range::{KeyIs, Range};

/// Ranges that are asked for by one statement.
const AT_A_TIME: usize = 500;
/// Aggregates of one statement.
const AGGREGATES: usize = 1_000;

/// Rows that one statement asks for.
pub(super) struct Work {
    from: String,
    conditions: Vec<String>,
    pub(super) expected: Mark,
    pub(super) bytes: u64,
    /// Whether further ranges may be put to it.
    open: bool,
    /// The path of the first range.
    pub(super) path: String,
}

impl Work {
    fn rows_of(&self) -> String {
        format!(
            "FROM {} WHERE ({})",
            self.from,
            self.conditions.join(" OR ")
        )
    }
}

impl AtWork<'_> {
    /// What is computed of the table.
    pub(super) fn scan_plan(&self) -> ScanPlan {
        let names: Vec<&str> = self.shape.columns.iter().map(|c| c.name.as_str()).collect();
        table_plan(self.dataset, &names)
    }

    /// The state of the batch.
    pub(super) fn measure(
        &mut self,
        spec: &MeasureSpec,
    ) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
        let key = match spec.partitions.as_slice() {
            [only] => only.key.clone(),
            several => {
                let what = format!("a batch of a table is of {} partitions", several.len());
                return Err(ScanError::corrupt(self.address, Place::file(), what));
            }
        };
        let scan = self.scan_plan();
        let plan = plan(&self.shape.columns, &scan, push::is_pushable);
        let mut whole = TableState::default();
        for work in self.works(&spec.slices)? {
            self.context.check(&work.path)?;
            let state = self.state(&work, &scan, &plan, &key)?;
            whole.merge(&state);
            self.context.progress.add_bytes(work.bytes);
        }
        Ok(BTreeMap::from([(key, whole)]))
    }

    /// The statements that ranges take.
    pub(super) fn works(&self, slices: &[ObjectSlice]) -> Result<Vec<Work>, ScanError> {
        let mut works: Vec<Work> = Vec::new();
        for slice in slices {
            let object = &slice.object;
            let changed = |what: &str| ScanError::Changed {
                path: format!("{}: {}", self.address, object.path),
                what: what.to_owned(),
            };
            let range = Range::parse(&object.path).filter(|r| r.table == self.shape.path());
            let range = range.ok_or_else(|| changed("it is no range of rows of this table"))?;
            let keyed = match (&range.key, self.key) {
                (KeyIs::Any, None) => "TRUE".to_owned(),
                (is, Some(key)) if *is != KeyIs::Any => key.condition(is),
                _ => return Err(changed("its partitions are told otherwise")),
            };
            let stretch = stretch(&range, self.shape.number.as_ref())
                .ok_or_else(|| changed("its primary key is another"))?;
            let etag = object.etag.as_deref().unwrap_or_default();
            let expected = self.marking.parse(etag, self.shape.signature);
            let expected = expected.ok_or_else(|| {
                changed("its columns, or the way that changes are noticed, are others")
            })?;
            let condition = format!("({keyed} AND {stretch})");
            let open = range.blocks.is_none() && self.marking.adds_up();
            match works.last_mut() {
                Some(last) if open && last.open && last.conditions.len() < AT_A_TIME => {
                    last.conditions.push(condition);
                    last.expected.add(&expected);
                    last.bytes += object.size;
                }
                _ => works.push(Work {
                    from: self.shape.from(),
                    conditions: vec![condition],
                    expected,
                    bytes: object.size,
                    open,
                    path: object.path.clone(),
                }),
            }
        }
        Ok(works)
    }

    fn state(
        &mut self,
        work: &Work,
        scan: &ScanPlan,
        plan: &Plan,
        key: &PartitionKey,
    ) -> Result<TableState, ScanError> {
        let rows = work.expected.rows;
        let Totals { states, copied } = self.totals(work, scan, plan)?;
        let mut state = if copied.is_empty() {
            self.context
                .progress
                .rows
                .fetch_add(rows, Ordering::Relaxed);
            TableState {
                rows,
                bytes: work.bytes,
                files: 1,
                ..TableState::default()
            }
        } else {
            self.read(work, scan, &copied, key)?
        };
        if state.rows != rows {
            let what = format!("{} rows were read of {rows}", state.rows);
            return Err(ScanError::corrupt(&work.path, Place::file(), what));
        }
        self.still(work)?;
        state.columns.extend(states);
        state.schema = schema(&self.shape.columns);
        Ok(state)
    }

    /// Compares the rows with the listing, and takes the totals of the columns.
    pub(super) fn totals(
        &mut self,
        work: &Work,
        scan: &ScanPlan,
        plan: &Plan,
    ) -> Result<Totals, ScanError> {
        let columns = &self.shape.columns;
        let mut all = vec![self.marking.aggregates()];
        let mut places = Vec::new();
        let mut at = 2;
        for (column, wants) in &plan.pushed {
            let own = push::aggregates(&columns[*column], *wants);
            places.push(at..at + own.len());
            at += own.len();
            all.extend(own);
        }
        let mut cells: Texts = Vec::with_capacity(at);
        for some in all.chunks(AGGREGATES) {
            let statement = format!("SELECT {} {}", some.join(", "), work.rows_of());
            let row = self.session.rows(&statement)?.pop();
            cells.extend(row.unwrap_or_default());
        }
        self.compare(work, &cells)?;
        let rows = work.expected.rows;
        Ok(Totals::read(columns, scan, plan, rows, &cells, &places))
    }

    fn compare(&self, work: &Work, cells: &Texts) -> Result<(), ScanError> {
        let cell = |at: usize| cells.get(at).and_then(Option::as_deref);
        let found = self.marking.read(cell(0), cell(1), self.address)?;
        if found == work.expected {
            return Ok(());
        }
        Err(ScanError::Changed {
            path: format!("{}: {}", self.address, work.path),
            what: format!(
                "{} rows were listed, and {} or others are there",
                work.expected.rows, found.rows
            ),
        })
    }

    /// Looks once more at the rows of a view: it may be one of tables that the transaction does not
    /// see in one state.
    pub(super) fn still(&mut self, work: &Work) -> Result<(), ScanError> {
        if !self.shape.view {
            return Ok(());
        }
        let statement = format!("SELECT {} {}", self.marking.aggregates(), work.rows_of());
        let row = self.session.rows(&statement)?.pop();
        self.compare(work, &row.unwrap_or_default())
    }

    /// The state of columns whose values have to be seen.
    fn read(
        &mut self,
        work: &Work,
        scan: &ScanPlan,
        places: &[usize],
        key: &PartitionKey,
    ) -> Result<TableState, ScanError> {
        let columns: Vec<&Column> = places.iter().map(|at| &self.shape.columns[*at]).collect();
        let fields: Vec<_> = columns.iter().map(|column| column.field(None)).collect();
        let schema = Arc::new(Schema::new(fields));
        let of = Rows::Of(key.clone());
        let mut feed = Feed::new(self.dataset, &schema, of, &work.path, self.context)?;
        let odd = self.batches(work, &columns, &schema, |batch, _| {
            feed.add(&batch)?;
            Ok(true)
        })?;
        let mut state = feed
            .finish(work.bytes, true)
            .remove(key)
            .unwrap_or_default();
        for (column, odd) in columns.iter().zip(odd.unwrap_or_default()) {
            add_odd(&mut state, column, scan, odd);
        }
        Ok(state)
    }

    /// Reads the rows of one statement in batches, each with what was counted apart by then; `take`
    /// says whether more are wanted. What was counted apart in all rows; `None` if not all were
    /// wanted.
    pub(super) fn batches(
        &mut self,
        work: &Work,
        columns: &[&Column],
        schema: &SchemaRef,
        mut take: impl FnMut(RecordBatch, &[Odd]) -> Result<bool, ScanError>,
    ) -> Result<Option<Vec<Odd>>, ScanError> {
        let corrupt = |what: String| ScanError::corrupt(&work.path, Place::file(), what);
        let mut decoder = Decoder::new(schema).map_err(corrupt)?;
        let values: Vec<String> = columns.iter().map(|column| expression(column)).collect();
        let values = match values.is_empty() {
            // Rows of which no column is asked.
            true => "NULL".to_owned(),
            false => values.join(", "),
        };
        let statement = format!("SELECT {values} {}", work.rows_of());
        let mut is_enough = false;
        let ended = self.session.each(&statement, |row, _| {
            if let Some(batch) = decoder.add(row).map_err(corrupt)?
                && !take(batch, &decoder.odd)?
            {
                is_enough = true;
                return Err(corrupt("enough".to_owned()));
            }
            Ok(())
        });
        if is_enough {
            return Ok(None);
        }
        ended?;
        let last = decoder.batch().map_err(corrupt)?;
        let more = take(last, &decoder.odd)?;
        Ok(more.then_some(decoder.odd))
    }
}
