//! One batch of a table of MySQL: what is asked of the server.
//!
//! In: statements of [`table::batch`](crate::table::batch). Out: the server's answers, and the rows of
//! a statement in batches. Values that no type of Arrow has are counted apart, never left out.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use assay_metrics::{TableState, Wants};
use assay_model::partition::PartitionKey;
use assay_scan::columnar::{Feed, Rows};
use assay_scan::error::{Place, ScanError};
use assay_scan::plan::ScanPlan;

use super::AtWork;
use super::decode::Decoder;
use super::list::stretch;
use super::marks::Mark;
use super::push;
use super::types::{Column, expression};
use crate::table::batch::{Asked, Cells, Told, Work};
use crate::table::odd::{Odd, add_odd};
use crate::table::range::{KeyIs, Range};

impl<'a> Asked<'a> for AtWork<'a> {
    fn told(&self) -> Told<'a> {
        Told {
            columns: &self.shape.columns,
            dataset: self.dataset,
            context: self.context,
            address: self.address,
        }
    }

    fn place(&self, range: &Range) -> Result<(String, String), &'static str> {
        if range.table != self.shape.path() {
            return Err("it is no range of rows of this table");
        }
        let keyed = match (&range.key, self.key) {
            (KeyIs::Any, None) => "TRUE".to_owned(),
            (is, Some(key)) if *is != KeyIs::Any => key.condition(is),
            _ => return Err("its partitions are told otherwise"),
        };
        let stretch =
            stretch(range, self.shape.number.as_ref()).ok_or("its primary key is another")?;
        Ok((self.shape.from(), format!("({keyed} AND {stretch})")))
    }

    fn expected(&self, etag: &str) -> Option<Mark> {
        self.marking.parse(etag, self.shape.signature)
    }

    fn adds_up(&self) -> bool {
        self.marking.adds_up()
    }

    fn marks(&self) -> String {
        self.marking.aggregates()
    }

    fn found(&self, rows: Option<&str>, mark: Option<&str>) -> Result<Option<Mark>, ScanError> {
        self.marking.read(rows, mark, self.address).map(Some)
    }

    fn is_pushable(&self, column: &Column, wants: Wants) -> bool {
        push::is_pushable(column, wants)
    }

    fn aggregates(&self, column: &Column, wants: Wants) -> Vec<String> {
        push::aggregates(column, wants)
    }

    fn row(&mut self, statement: &str) -> Result<Cells, ScanError> {
        Ok(self.session.rows(statement)?.pop().unwrap_or_default())
    }

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

    /// Looks once more at the rows of a view: it may be one of tables that the transaction does not
    /// see in one state.
    fn still(&mut self, work: &Work) -> Result<(), ScanError> {
        if !self.shape.view {
            return Ok(());
        }
        let statement = format!("SELECT {} {}", self.marking.aggregates(), work.rows_of());
        let cells = self.row(&statement)?;
        self.compare(work, &cells)
    }
}

impl AtWork<'_> {
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
