//! One batch of a table of Postgres: what is asked of the server.
//!
//! In: statements of [`table::batch`](crate::table::batch). Out: the server's answers, and the state of
//! rows that are copied. Values that no type of Arrow has are counted apart, never left out.

use std::sync::Arc;

use arrow_schema::Schema;
use assay_metrics::{TableState, Wants};
use assay_model::partition::PartitionKey;
use assay_scan::columnar::{Feed, Rows};
use assay_scan::error::{Place, ScanError};
use assay_scan::plan::ScanPlan;

use super::AtWork;
use super::decode::Decoder;
use super::list::{blocks, from};
use super::marks::Mark;
use super::push;
use super::session::Session;
use super::types::{Column, Reading};
use crate::table::batch::{Asked, Cells, Told, Work};
use crate::table::odd::{add_odd, count_wide};
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
        let relations = &self.shape.relations;
        let relation = relations.iter().find(|r| r.quoted() == range.table);
        let relation = relation.ok_or("the table with its rows is gone")?;
        let condition = match (&range.key, self.key) {
            (KeyIs::Any, None) => blocks(range),
            (is, Some(key)) if *is != KeyIs::Any => {
                format!("({} AND {})", key.condition(is), blocks(range))
            }
            _ => return Err("its partitions are told otherwise"),
        };
        Ok((from(relation), condition))
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
        Ok(self.marking.read(rows, mark))
    }

    fn is_pushable(&self, column: &Column, wants: Wants) -> bool {
        push::is_pushable(column, wants, self.session.is_utf8())
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
