//! One batch of a table into the state of its partition.
//!
//! In: the ranges of a batch, each with the mark that the listing saw. Out: the state of their rows,
//! equal to the last digit to that of the same rows in a Parquet file. All of it is read in one
//! transaction, which sees one state of the database; the rows of every range must be those that
//! were listed. What the database can compute exactly it computes, the rest is copied.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_schema::Schema;
use assay_metrics::TableState;
use assay_model::partition::PartitionKey;
use assay_model::task::MeasureSpec;
use assay_scan::columnar::{Feed, Rows};
use assay_scan::error::{Place, ScanError};
use assay_scan::plan::{ScanPlan, table_plan};

use super::AtWork;
use super::decode::Decoder;
use super::list::{blocks, from};
use super::marks::Mark;
use super::push;
use super::session::Row;
use super::session::Session;
use super::shape::Relation;
use super::types::{Column, Reading, schema};
use crate::table::odd::{add_odd, count_wide};
use crate::table::push::{Plan, Totals};
use crate::table::range::{KeyIs, Range};

/// Ranges that are asked for by one statement.
const AT_A_TIME: usize = 500;

/// Rows that one statement asks for.
pub(super) struct Work {
    relation: Relation,
    conditions: Vec<String>,
    pub(super) expected: Mark,
    pub(super) bytes: u64,
    /// Whether further ranges may be put to it.
    open: bool,
    /// The path of the first range.
    pub(super) path: String,
}

impl Work {
    pub(super) fn rows_of(&self) -> String {
        let any = self.conditions.join(" OR ");
        format!("FROM {} WHERE ({any})", from(&self.relation))
    }
}

impl AtWork<'_> {
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
        let names: Vec<&str> = self.shape.columns.iter().map(|c| c.name.as_str()).collect();
        let scan = table_plan(self.dataset, &names);
        let utf8 = self.session.is_utf8();
        let pushable = |column: &Column, wants| push::is_pushable(column, wants, utf8);
        let plan = crate::table::push::plan(&self.shape.columns, &scan, pushable);
        let mut whole = TableState::default();
        for work in self.works(spec)? {
            self.context.check(&work.path)?;
            let state = self.state(&work, &scan, &plan, &key)?;
            whole.merge(&state);
            self.context.progress.add_bytes(work.bytes);
        }
        Ok(BTreeMap::from([(key, whole)]))
    }

    /// The statements that the ranges of the batch take.
    pub(super) fn works(&self, spec: &MeasureSpec) -> Result<Vec<Work>, ScanError> {
        let mut works: Vec<Work> = Vec::new();
        for slice in &spec.slices {
            let object = &slice.object;
            let changed = |what: &str| ScanError::Changed {
                path: format!("{}: {}", self.address, object.path),
                what: what.to_owned(),
            };
            let range = Range::parse(&object.path)
                .ok_or_else(|| changed("it is no range of rows of this table"))?;
            let relation = self
                .shape
                .relations
                .iter()
                .find(|r| r.quoted() == range.table);
            let relation = relation.ok_or_else(|| changed("the table with its rows is gone"))?;
            let condition = match (&range.key, self.key) {
                (KeyIs::Any, None) => blocks(&range),
                (is, Some(key)) if *is != KeyIs::Any => {
                    format!("({} AND {})", key.condition(is), blocks(&range))
                }
                _ => return Err(changed("its partitions are told otherwise")),
            };
            let etag = object.etag.as_deref().unwrap_or_default();
            let expected = self
                .marking
                .parse(etag, self.shape.signature)
                .ok_or_else(|| {
                    changed("its columns, or the way that changes are noticed, are others")
                })?;
            let open = range.blocks.is_none() && self.marking.adds_up();
            match works.last_mut() {
                Some(last)
                    if open
                        && last.open
                        && last.relation == *relation
                        && last.conditions.len() < AT_A_TIME =>
                {
                    last.conditions.push(condition);
                    last.expected.add(&expected);
                    last.bytes += object.size;
                }
                _ => works.push(Work {
                    relation: relation.clone(),
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
            self.copy(work, scan, &copied, key)?
        };
        if state.rows != rows {
            let what = format!("{} rows were copied of {rows}", state.rows);
            return Err(ScanError::corrupt(&work.path, Place::file(), what));
        }
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
        // A table of very many columns has more aggregates than one statement may.
        let mut cells: Row = Vec::with_capacity(at);
        for some in all.chunks(1_000) {
            let statement = format!("SELECT {} {}", some.join(", "), work.rows_of());
            let row = self.session.rows(&statement)?.pop();
            cells.extend(row.unwrap_or_default());
        }
        let cell = |at: usize| cells.get(at).and_then(Option::as_deref);
        let found = self.marking.read(cell(0), cell(1));
        if found.as_ref() != Some(&work.expected) {
            let rows = found.map_or(0, |mark| mark.rows);
            return Err(ScanError::Changed {
                path: format!("{}: {}", self.address, work.path),
                what: format!(
                    "{} rows were listed, and {rows} or others are there",
                    work.expected.rows
                ),
            });
        }
        let rows = work.expected.rows;
        Ok(Totals::read(columns, scan, plan, rows, &cells, &places))
    }

    /// The state of columns whose values have to be seen.
    fn copy(
        &mut self,
        work: &Work,
        scan: &ScanPlan,
        places: &[usize],
        key: &PartitionKey,
    ) -> Result<TableState, ScanError> {
        let columns: Vec<&Column> = places.iter().map(|at| &self.shape.columns[*at]).collect();
        let mut fields = Vec::with_capacity(columns.len());
        for column in &columns {
            let found = match column.reading {
                Reading::Numeric => digits(self.session, column, &work.rows_of())?,
                _ => None,
            };
            fields.push(column.field(found));
        }
        let schema = Arc::new(Schema::new(fields));
        let of = Rows::Of(key.clone());
        let mut feed = Feed::new(self.dataset, &schema, of, &work.path, self.context)?;
        let corrupt = |what: String| Wrong(ScanError::corrupt(&work.path, Place::file(), what));
        let mut decoder = Decoder::new(&schema).map_err(|what| corrupt(what).0)?;
        decoder.row_bytes = self.session.row_bytes();
        let values: Vec<String> = columns.iter().map(|column| column.expression()).collect();
        let statement = format!(
            "COPY (SELECT {} {}) TO STDOUT (FORMAT binary)",
            values.join(", "),
            work.rows_of()
        );
        self.session.copy_out(&statement, |piece| {
            let mut take = |batch| feed.add(&batch).map_err(Wrong);
            let added = decoder.add::<Wrong>(piece, &mut take);
            added.map_err(|wrong| wrong.at(&work.path))?;
            for (at, digits) in decoder.wide.drain(..) {
                add_wide(&mut feed, key, columns[at], scan, &digits);
            }
            Ok(())
        })?;
        let last = decoder.finish().map_err(|what| corrupt(what).0)?;
        feed.add(&last)?;
        let mut state = feed
            .finish(work.bytes, true)
            .remove(key)
            .unwrap_or_default();
        for (column, odd) in columns.iter().zip(&decoder.odd) {
            add_odd(&mut state, column, scan, *odd);
        }
        Ok(state)
    }
}

/// Digits and scale that hold the values of a column of decimals that declares none in the rows
/// `FROM … WHERE …`, but for those that no type holds.
pub(super) fn digits(
    session: &mut Session,
    column: &Column,
    rows_of: &str,
) -> Result<Option<(u8, i8)>, ScanError> {
    let value = column.expression();
    let whole =
        format!("CASE WHEN abs({value}) < 1 THEN 0 ELSE length(trunc(abs({value}))::text) END");
    let scale = format!("scale({value})");
    let statement = format!(
        "SELECT max({scale}), max({whole}) {rows_of} \
         AND {value}::text NOT IN ('NaN', 'Infinity', '-Infinity') \
         AND {scale} + {whole} <= {DIGITS}"
    );
    let rows = session.rows(&statement)?;
    let number = |at| {
        let number = super::session::number(&rows, at).unwrap_or(0);
        u8::try_from(number.min(DIGITS)).unwrap_or(u8::MAX)
    };
    let (scale, whole) = (number(0), number(1));
    let digits = scale.saturating_add(whole).clamp(1, DIGITS as u8);
    Ok(Some((digits, scale.cast_signed())))
}

/// Digits of the widest decimal.
const DIGITS: u64 = 76;

/// Counts a number apart that no type holds, as that of a file.
fn add_wide(
    feed: &mut Feed<'_>,
    key: &PartitionKey,
    column: &Column,
    scan: &ScanPlan,
    digits: &[u8],
) {
    if let Some(own) = feed.column(key, &column.name) {
        count_wide(own, column, scan, digits);
    }
}

/// What ends a copy: an error of the decoder has no place yet.
pub(super) struct Wrong(ScanError);

impl Wrong {
    /// The error with its place.
    pub(super) fn at(self, path: &str) -> ScanError {
        match self.0 {
            ScanError::Corrupt {
                path: none,
                what,
                place,
            } if none.is_empty() => ScanError::corrupt(path, place, what),
            other => other,
        }
    }
}

impl From<String> for Wrong {
    fn from(what: String) -> Self {
        Self(ScanError::corrupt("", Place::file(), what))
    }
}
