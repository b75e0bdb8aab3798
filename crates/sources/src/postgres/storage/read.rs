//! A stored batch into the state of its partition.
//!
//! In: the table of a batch and what is written down of it. Out: the state that its rows give,
//! equal to the last digit to that of the same rows where they came from: columns come back with
//! the types they had, and fields of delimited text are read as those of a file are.

use std::cell::Cell;
use std::io::Read;

use arrow_array::RecordBatch;
use assay_metrics::TableState;
use assay_model::dataset::Dataset;
use assay_model::partition::Partition;
use assay_scan::ScanContext;
use assay_scan::columnar::{Feed, Rows};
use assay_scan::error::{Place, ScanError};
use assay_scan::plan::table_plan;
use assay_scan::text::csv::stored::measure_stream;

use super::super::connect::Server;
use super::super::decode::Decoder;
use super::super::measure::digits;
use super::super::session::{CopyOut, Session, literal, name};
use super::super::types::Reading;
use super::bookkeeping::{Batch, Part, table};
use super::kept::{Back, Kept};
use crate::table::odd::{add_odd, count_wide};

/// Bytes of text that are given on at a time.
const CHUNK: usize = 64 << 10;

/// Reads one batch back.
pub(super) struct Reader<'a> {
    pub(super) session: &'a mut Session,
    pub(super) server: &'a Server,
    pub(super) dataset: &'a Dataset,
    pub(super) partition: &'a Partition,
    pub(super) batch: &'a Batch,
}

impl Reader<'_> {
    /// The state of all rows.
    pub(super) fn state(mut self, context: &ScanContext) -> Result<TableState, ScanError> {
        // What is read of our own storage is no progress at the source.
        let own = ScanContext {
            progress: std::sync::Arc::default(),
            ..context.clone()
        };
        let path = format!("{}: {}", self.server.place, table(self.batch.id));
        self.session.begin()?;
        let state = match self.batch.told.text {
            true => self.text(&path, &own)?,
            false => self.columns(&path, &own)?,
        };
        self.session.end()?;
        if state.rows != self.batch.rows {
            let what = format!("{} rows were read of {}", state.rows, self.batch.rows);
            return Err(ScanError::corrupt(path, Place::file(), what));
        }
        Ok(state)
    }

    fn names(&self) -> String {
        let columns = self.batch.told.columns.iter().filter(|c| !c.void);
        columns
            .map(|c| name(&c.name))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn columns(&mut self, path: &str, context: &ScanContext) -> Result<TableState, ScanError> {
        let told = &self.batch.told;
        let rows_of = format!("FROM {} WHERE true", table(self.batch.id));
        let stored = told.columns.iter().filter(|column| !column.void);
        let stored: Vec<Kept> = stored.cloned().collect();
        let mut found = Vec::with_capacity(stored.len());
        for kept in &stored {
            let column = kept.column();
            found.push(match column.reading {
                Reading::Numeric => digits(self.session, &column, &rows_of)?,
                _ => None,
            });
        }
        let whole = Back::new(&stored, &found);
        let corrupt = |what: String| ScanError::corrupt(path, Place::file(), what);
        let mut decoder = Decoder::new(&whole.stored).map_err(corrupt)?;
        decoder.row_bytes = self.session.row_bytes();
        let mut wide = Vec::new();
        let mut cutter = Cutter {
            dataset: self.dataset,
            partition: self.partition,
            path,
            context,
            whole: &told.columns,
            columns: &stored,
            found: &found,
            parts: told.parts.iter(),
            at_work: None,
            state: TableState::default(),
        };
        // Rows without a column that has values are rows all the same.
        let statement = format!(
            "COPY (SELECT {} {rows_of}) TO STDOUT (FORMAT binary)",
            self.names()
        );
        self.session.copy_out(&statement, |piece| {
            let mut take = |batch| cutter.add(&batch).map_err(Wrong);
            let added = decoder.add::<Wrong>(piece, &mut take);
            wide.append(&mut decoder.wide);
            added.map_err(|wrong| wrong.0)
        })?;
        cutter.add(&decoder.finish().map_err(corrupt)?)?;
        let mut state = cutter.finish()?;
        let names: Vec<&str> = told.columns.iter().map(|kept| kept.name.as_str()).collect();
        let scan = table_plan(self.dataset, &names);
        for (at, digits) in wide {
            let column = stored[at].column();
            if let Some(own) = state.columns.get_mut(&column.name) {
                count_wide(own, &column, &scan, &digits);
            }
        }
        for (kept, odd) in stored.iter().zip(&decoder.odd) {
            add_odd(&mut state, &kept.column(), &scan, *odd);
        }
        Ok(state)
    }

    fn text(&mut self, path: &str, context: &ScanContext) -> Result<TableState, ScanError> {
        let told = &self.batch.told;
        let mut dataset = self.dataset.clone();
        let format = &mut dataset.source.format;
        let null = null_word(&format.null_tokens).ok_or_else(|| ScanError::Unsupported {
            path: path.to_owned(),
            place: Place::file(),
            what: "every null token has a quote, a comma or a line end in it".to_owned(),
            remedy: "write `mode: in-place` under assayStorage".to_owned(),
        })?;
        // What meant NULL has been NULL since it was written; nothing else means it.
        if !format.null_tokens.is_empty() {
            format.null_tokens = vec![null.clone()];
        }
        (format.delimiter, format.quote) = (',', '"');
        format.header = !told.columns.is_empty();
        let head: Vec<String> = told
            .columns
            .iter()
            .map(|column| format!("\"{}\"", column.name.replace('"', "\"\"")))
            .collect();
        let mut head = head.join(",");
        head.push('\n');
        if told.columns.is_empty() {
            head.clear();
        }
        let statement = match told.columns.is_empty() {
            true => format!(
                "COPY (SELECT FROM {} LIMIT 0) TO STDOUT",
                table(self.batch.id)
            ),
            false => format!(
                "COPY (SELECT {} FROM {}) TO STDOUT (FORMAT csv, NULL {})",
                self.names(),
                table(self.batch.id),
                literal(&null)
            ),
        };
        let mut copy = self.session.pull(&statement)?;
        let mut whole = TableState::default();
        for part in &told.parts {
            let failed = Cell::new(None);
            let lines = Box::new(Lines {
                copy: &mut copy,
                left: part.rows,
                buffer: head.clone().into_bytes(),
                at: 0,
                path,
                failed: &failed,
            });
            let mut state =
                measure_stream(&dataset, self.partition, path, lines, &failed, context)?;
            as_part(&mut state, part);
            whole.merge(&state);
        }
        match copy.next()? {
            None => Ok(whole),
            Some(_) => {
                let what = "it has more rows than were written";
                Err(ScanError::corrupt(path, Place::file(), what))
            }
        }
    }
}

/// Tells a state of the object that its rows came from.
fn as_part(state: &mut TableState, part: &Part) {
    state.bytes = part.bytes;
    state.files = u64::from(part.first);
    if !part.first {
        state.schema = assay_metrics::Schema::default();
    }
}

/// A word for NULL that the database can write as it is.
fn null_word(tokens: &[String]) -> Option<String> {
    if tokens.is_empty() {
        return Some(String::new());
    }
    let plain = |token: &&String| !token.contains(['"', ',', '\n', '\r', '\0']);
    tokens.iter().find(plain).cloned()
}

/// Lines of delimited text, as the database gives them: a row a piece.
struct Lines<'c, 's> {
    copy: &'c mut CopyOut<'s>,
    /// Rows that are still to come.
    left: u64,
    buffer: Vec<u8>,
    at: usize,
    path: &'c str,
    failed: &'c Cell<Option<ScanError>>,
}

impl Lines<'_, '_> {
    fn fill(&mut self) -> Result<(), ScanError> {
        self.buffer.clear();
        self.at = 0;
        while self.left > 0 && self.buffer.len() < CHUNK {
            let Some(row) = self.copy.next()? else {
                let what = format!("{} rows are missing", self.left);
                return Err(ScanError::corrupt(self.path, Place::file(), what));
            };
            self.buffer.extend_from_slice(row);
            self.left -= 1;
        }
        Ok(())
    }
}

impl Read for Lines<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.buffer.len()
            && self.left > 0
            && let Err(error) = self.fill()
        {
            self.failed.set(Some(error));
            return Err(std::io::Error::other("storage could not be read"));
        }
        let ready = &self.buffer[self.at..];
        let length = ready.len().min(into.len());
        into[..length].copy_from_slice(&ready[..length]);
        self.at += length;
        Ok(length)
    }
}

/// Rows in their order, told apart by what they came from.
struct Cutter<'a> {
    dataset: &'a Dataset,
    partition: &'a Partition,
    path: &'a str,
    context: &'a ScanContext,
    /// The columns of the batch, and those of them that are in its table.
    whole: &'a [Kept],
    columns: &'a [Kept],
    found: &'a [Option<(u8, i8)>],
    parts: std::slice::Iter<'a, Part>,
    at_work: Option<AtWork<'a>>,
    state: TableState,
}

struct AtWork<'a> {
    part: &'a Part,
    left: u64,
    /// The places of its columns in the table; those without values have none.
    places: Vec<Option<usize>>,
    back: Back,
    feed: Feed<'a>,
}

impl<'a> Cutter<'a> {
    fn corrupt(&self, what: impl Into<String>) -> ScanError {
        ScanError::corrupt(self.path, Place::file(), what)
    }

    fn begin(&self, part: &'a Part) -> Result<AtWork<'a>, ScanError> {
        let own = part.columns.as_deref().unwrap_or(self.whole);
        let place = |c: &Kept| self.columns.iter().position(|known| known.name == c.name);
        let places: Vec<Option<usize>> = own
            .iter()
            .map(|column| (!column.void).then(|| place(column)).flatten())
            .collect();
        if own
            .iter()
            .zip(&places)
            .any(|(c, at)| at.is_none() != c.void)
        {
            return Err(self.corrupt("it lacks columns that it should have"));
        }
        let found: Vec<_> = places
            .iter()
            .map(|at| at.and_then(|at| self.found[at]))
            .collect();
        let back = Back::new(own, &found);
        let rows = Rows::Of(self.partition.key.clone());
        let feed = Feed::new(self.dataset, &back.measured, rows, self.path, self.context)?;
        Ok(AtWork {
            part,
            left: part.rows,
            places,
            back,
            feed,
        })
    }

    /// Goes on to the next part that has rows left; parts without rows are told, too.
    fn advance(&mut self) -> Result<bool, ScanError> {
        loop {
            match self.at_work.take() {
                Some(at) if at.left > 0 => {
                    self.at_work = Some(at);
                    return Ok(true);
                }
                Some(at) => {
                    let states = at.feed.finish(at.part.bytes, at.part.first);
                    for state in states.into_values() {
                        self.state.merge(&state);
                    }
                }
                None => {}
            }
            match self.parts.next() {
                Some(part) => self.at_work = Some(self.begin(part)?),
                None => return Ok(false),
            }
        }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), ScanError> {
        let mut from = 0;
        while from < batch.num_rows() {
            if !self.advance()? {
                return Err(self.corrupt("it has more rows than were written"));
            }
            let path = self.path;
            let Some(at) = &mut self.at_work else {
                continue;
            };
            let rest = batch.num_rows() - from;
            let rows = usize::try_from(at.left).unwrap_or(usize::MAX).min(rest);
            let piece = batch.slice(from, rows);
            let odd = |what: String| ScanError::corrupt(path, Place::file(), what);
            at.feed
                .add(&at.back.batch(&piece, &at.places).map_err(odd)?)?;
            at.left -= rows as u64;
            from += rows;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<TableState, ScanError> {
        match self.advance()? {
            false => Ok(self.state),
            true => Err(self.corrupt("it has fewer rows than were written")),
        }
    }
}

/// What ends a copy: an error of the decoder has no place yet.
struct Wrong(ScanError);

impl From<String> for Wrong {
    fn from(what: String) -> Self {
        Self(ScanError::corrupt("storage", Place::file(), what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_a_word_that_is_no_value() {
        let of = |tokens: &[&str]| {
            let tokens: Vec<String> = tokens.iter().map(|t| (*t).to_owned()).collect();
            null_word(&tokens)
        };
        assert_eq!(of(&["", "NA"]).as_deref(), Some(""));
        assert_eq!(of(&["a,b", "NA"]).as_deref(), Some("NA"));
        assert_eq!(of(&["a,b", "\""]), None);
        assert_eq!(of(&[]).as_deref(), Some(""));
    }
}
