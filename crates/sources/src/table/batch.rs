//! One batch of a table into the state of its partition, whatever the database.
//!
//! In: the ranges of a batch, each with the mark that the listing saw, and a database that answers
//! statements ([`Asked`]). Out: the state of their rows, equal to the last digit to that of the same
//! rows in a Parquet file. The rows of every range must be those that were listed: rows of which that
//! is not certain are an error, never a state. What the database can compute exactly it computes, the
//! rest is read.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use assay_metrics::{TableState, Wants};
use assay_model::dataset::Dataset;
use assay_model::partition::{ObjectRef, ObjectSlice, Part, PartitionKey};
use assay_model::task::MeasureSpec;
use assay_scan::ScanContext;
use assay_scan::error::{Place, ScanError};
use assay_scan::plan::{ScanPlan, table_plan};

use super::marks::Mark;
use super::push::{Plan, Totals, plan};
use super::range::Range;
use super::types::{Column, schema};

/// Ranges that are asked for by one statement.
const AT_A_TIME: usize = 500;
/// Aggregates of one statement: a table of very many columns has more than one may have.
const AGGREGATES: usize = 1_000;

/// A row that the database gave, as text.
pub(crate) type Cells = Vec<Option<String>>;

/// Rows that one statement asks for.
pub(crate) struct Work {
    from: String,
    conditions: Vec<String>,
    pub(crate) expected: Mark,
    pub(crate) bytes: u64,
    /// Whether further ranges may be put to it.
    open: bool,
    /// The path of the first range.
    pub(crate) path: String,
}

impl Work {
    /// `FROM … WHERE (…)`.
    pub(crate) fn rows_of(&self) -> String {
        let any = self.conditions.join(" OR ");
        format!("FROM {} WHERE ({any})", self.from)
    }
}

/// The table at work.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) columns: &'a [Column],
    pub(crate) dataset: &'a Dataset,
    pub(crate) context: &'a ScanContext,
    /// The table's place, for errors.
    pub(crate) address: &'a str,
}

/// A database in a transaction that sees one state of a table: how it is asked for rows and totals.
pub(crate) trait Asked<'a> {
    /// The table, and what the definition makes of it.
    fn told(&self) -> Told<'a>;

    /// What the rows of a range are `FROM`, and their condition; or why it is no range of this table.
    fn place(&self, range: &Range) -> Result<(String, String), &'static str>;

    /// The mark that a listing saw; `None` for that of other columns or of another way.
    fn expected(&self, etag: &str) -> Option<Mark>;

    /// Whether marks of parts add up to that of the whole.
    fn adds_up(&self) -> bool;

    /// Two aggregates of SQL: the count of rows and their mark.
    fn marks(&self) -> String;

    /// Reads the two back; `None` if they are no mark.
    fn found(&self, rows: Option<&str>, mark: Option<&str>) -> Result<Option<Mark>, ScanError>;

    /// Whether aggregates give all that is asked of a column.
    fn is_pushable(&self, column: &Column, wants: Wants) -> bool;

    /// The aggregates of a column, after the count of its values.
    fn aggregates(&self, column: &Column, wants: Wants) -> Vec<String>;

    /// The one row that a statement gives.
    fn row(&mut self, statement: &str) -> Result<Cells, ScanError>;

    /// The state of columns, at these places of the table, whose values have to be seen.
    fn read(
        &mut self,
        work: &Work,
        scan: &ScanPlan,
        places: &[usize],
        key: &PartitionKey,
    ) -> Result<TableState, ScanError>;

    /// Looks at the rows once more, where the transaction may not have seen them in one state.
    fn still(&mut self, _: &Work) -> Result<(), ScanError> {
        Ok(())
    }

    /// What is computed of the table.
    fn scan_plan(&self) -> ScanPlan {
        let told = self.told();
        let names: Vec<&str> = told.columns.iter().map(|c| c.name.as_str()).collect();
        table_plan(told.dataset, &names)
    }

    /// The state of the batch.
    fn measure(
        &mut self,
        spec: &MeasureSpec,
    ) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
        let Told {
            columns,
            context,
            address,
            ..
        } = self.told();
        let key = match spec.partitions.as_slice() {
            [only] => only.key.clone(),
            several => {
                let what = format!("a batch of a table is of {} partitions", several.len());
                return Err(ScanError::corrupt(address, Place::file(), what));
            }
        };
        let scan = self.scan_plan();
        let plan = plan(columns, &scan, |column, wants| {
            self.is_pushable(column, wants)
        });
        let mut whole = TableState::default();
        for work in self.works(&spec.slices)? {
            context.check(&work.path)?;
            let state = self.state(&work, &scan, &plan, &key)?;
            whole.merge(&state);
            context.progress.add_bytes(work.bytes);
        }
        Ok(BTreeMap::from([(key, whole)]))
    }

    /// The statements that ranges take.
    fn works(&self, slices: &[ObjectSlice]) -> Result<Vec<Work>, ScanError> {
        let mut works: Vec<Work> = Vec::new();
        for slice in slices {
            let object = &slice.object;
            let changed = |what: &str| ScanError::Changed {
                path: format!("{}: {}", self.told().address, object.path),
                what: what.to_owned(),
            };
            let range = Range::parse(&object.path);
            let range = range.ok_or_else(|| changed("it is no range of rows of this table"))?;
            let (from, condition) = self.place(&range).map_err(changed)?;
            let expected = self.expected(object.etag.as_deref().unwrap_or_default());
            let expected = expected.ok_or_else(|| {
                changed("its columns, or the way that changes are noticed, are others")
            })?;
            let open = range.blocks.is_none() && self.adds_up();
            match works.last_mut() {
                Some(last)
                    if open
                        && last.open
                        && last.from == from
                        && last.conditions.len() < AT_A_TIME =>
                {
                    last.conditions.push(condition);
                    last.expected.add(&expected);
                    last.bytes += object.size;
                }
                _ => works.push(Work {
                    from,
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

    /// The statements of whole ranges.
    fn works_of(&self, ranges: &[ObjectRef]) -> Result<Vec<Work>, ScanError> {
        let whole = |object: &ObjectRef| ObjectSlice {
            object: object.clone(),
            part: Part::Whole,
        };
        let slices: Vec<ObjectSlice> = ranges.iter().map(whole).collect();
        self.works(&slices)
    }

    /// The state of the rows of one statement.
    fn state(
        &mut self,
        work: &Work,
        scan: &ScanPlan,
        plan: &Plan,
        key: &PartitionKey,
    ) -> Result<TableState, ScanError> {
        let Told {
            columns, context, ..
        } = self.told();
        let rows = work.expected.rows;
        let Totals { states, copied } = self.totals(work, scan, plan)?;
        let mut state = if copied.is_empty() {
            context.progress.rows.fetch_add(rows, Ordering::Relaxed);
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
        state.schema = schema(columns);
        Ok(state)
    }

    /// Compares the rows with the listing, and takes the totals of the columns.
    fn totals(&mut self, work: &Work, scan: &ScanPlan, plan: &Plan) -> Result<Totals, ScanError> {
        let columns = self.told().columns;
        let mut all = vec![self.marks()];
        let mut places = Vec::new();
        let mut at = 2;
        for (column, wants) in &plan.pushed {
            let own = self.aggregates(&columns[*column], *wants);
            places.push(at..at + own.len());
            at += own.len();
            all.extend(own);
        }
        let mut cells: Cells = Vec::with_capacity(at);
        for some in all.chunks(AGGREGATES) {
            let statement = format!("SELECT {} {}", some.join(", "), work.rows_of());
            cells.extend(self.row(&statement)?);
        }
        self.compare(work, &cells)?;
        let rows = work.expected.rows;
        Ok(Totals::read(columns, scan, plan, rows, &cells, &places))
    }

    /// Compares the rows with the listing.
    fn verified(&mut self, work: &Work, scan: &ScanPlan) -> Result<(), ScanError> {
        self.totals(work, scan, &Plan::default()).map(drop)
    }

    /// Compares the first two cells, which are a mark, with that of the listing.
    fn compare(&self, work: &Work, cells: &[Option<String>]) -> Result<(), ScanError> {
        let cell = |at: usize| cells.get(at).and_then(Option::as_deref);
        let found = self.found(cell(0), cell(1))?;
        if found.as_ref() == Some(&work.expected) {
            return Ok(());
        }
        let rows = found.map_or(0, |mark| mark.rows);
        Err(ScanError::Changed {
            path: format!("{}: {}", self.told().address, work.path),
            what: format!(
                "{} rows were listed, and {rows} or others are there",
                work.expected.rows
            ),
        })
    }
}
