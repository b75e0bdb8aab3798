//! Records of delimited text: blocks of whole records, their rows and their fields.
//!
//! In: blocks of bytes that begin at the beginning of a record. Out: for each block the place of
//! every field. Rows are checked to be even, and the quotes of a field to be where they may be.

use super::lines::Blocks;
use super::structure::{Finder, Marks};
use crate::error::ScanError;

/// The byte order mark that some writers begin a file with.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// The rows of a block: where each begins and where each of its fields ends.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) starts: Vec<u32>,
    pub(super) ends: Vec<u32>,
    pub(super) columns: usize,
    pub(super) quotes: bool,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The bytes of a field with its quotes.
    #[inline]
    pub(super) fn raw<'b>(&self, bytes: &'b [u8], row: usize, column: usize) -> &'b [u8] {
        let at = row * self.columns + column;
        let start = if column == 0 {
            self.starts[row]
        } else {
            self.ends[at - 1] + 1
        };
        &bytes[start as usize..self.ends[at] as usize]
    }
}

/// Why a field or a record cannot be read, and where.
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: String,
}

/// A delimited file that is being read.
pub(super) struct Csv<'a> {
    pub(super) blocks: Blocks<'a>,
    pub(super) marks: Marks,
    pub(super) positions: Vec<u32>,
    pub(super) rows: Rows,
    /// Bytes of the block that are whole records.
    pub(super) whole: usize,
}

impl<'a> Csv<'a> {
    /// Reads the next block of whole records; false at the end.
    pub(super) fn next(&mut self) -> Result<bool, ScanError> {
        if !self.blocks.advance(self.whole)? {
            return Ok(false);
        }
        loop {
            let bytes = self.blocks.bytes();
            let mut finder = Finder::new(self.marks);
            self.positions.clear();
            finder.find(bytes, 0, &mut self.positions);
            self.rows.quotes = finder.quotes;
            let last = self
                .positions
                .iter()
                .rposition(|at| bytes[*at as usize] == b'\n');
            let open = last.map_or(0, |i| self.positions[i] as usize + 1);
            if self.blocks.ended && finder.is_within() {
                let what = "a quote that is opened in or before this record is never closed";
                return Err(self.blocks.corrupt(open, what));
            }
            if let Some(last) = last {
                self.positions.truncate(last + 1);
                self.whole = open;
                self.blocks.check_utf8(open)?;
                return Ok(true);
            }
            let hint = if finder.is_within() {
                "; a quote in it is never closed"
            } else {
                ""
            };
            self.blocks.grow(hint)?;
        }
    }

    /// Tells the rows of the block apart, from the structural position `skip` on.
    pub(super) fn split(&mut self, columns: usize, skip: usize) -> Result<(), ScanError> {
        let bytes = self.blocks.bytes();
        let rows = &mut self.rows;
        rows.columns = columns;
        rows.starts.clear();
        rows.ends.clear();
        let mut start = skip
            .checked_sub(1)
            .map_or(0, |before| self.positions[before] + 1);
        let mut rest = &self.positions[skip..];
        while let Some(first) = rest.first() {
            let at = *first as usize;
            let blank = bytes[at] == b'\n'
                && (*first == start || (*first == start + 1 && bytes[start as usize] == b'\r'));
            if blank && columns > 1 {
                start = *first + 1;
                rest = &rest[1..];
                continue;
            }
            let is_end = |at: &u32| bytes[*at as usize] == b'\n';
            let even = rest.len() >= columns
                && is_end(&rest[columns - 1])
                && !rest[..columns - 1].iter().any(is_end);
            if !even {
                let found = rest.iter().position(is_end).map_or(rest.len(), |i| i + 1);
                return Err(self.uneven(start as usize, &rest[..found], columns));
            }
            let end = rest[columns - 1];
            rows.starts.push(start);
            rows.ends.extend_from_slice(&rest[..columns]);
            let last_field = if columns > 1 {
                rest[columns - 2] + 1
            } else {
                start
            };
            let cr = end > last_field && bytes[end as usize - 1] == b'\r';
            if let Some(last) = rows.ends.last_mut().filter(|_| cr) {
                *last -= 1;
            }
            start = end + 1;
            rest = &rest[columns..];
        }
        Ok(())
    }

    /// The error of a record with the wrong number of fields; a stray quote in it comes first.
    fn uneven(&self, start: usize, ends: &[u32], columns: usize) -> ScanError {
        let bytes = self.blocks.bytes();
        let mut from = start;
        for end in ends {
            let raw = &bytes[from..*end as usize];
            let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
            if let Err(fault) = unquote(raw, self.marks.quote, &mut Vec::new()) {
                return self.blocks.corrupt(from + fault.at, fault.what);
            }
            from = *end as usize + 1;
        }
        let record = self.rows.len() + 1;
        let found = ends.len();
        self.blocks.corrupt(
            start,
            format!(
                "the record has {found} field{}, {columns} are expected (record {record} of its block)",
                if found == 1 { "" } else { "s" }
            ),
        )
    }

    /// The fields of the block's record at structural position 0 as texts, and how many positions
    /// it takes. Used for the header.
    pub(super) fn first_record(&self) -> Result<(Vec<String>, usize), ScanError> {
        let bytes = self.blocks.bytes();
        let count = self
            .positions
            .iter()
            .position(|at| bytes[*at as usize] == b'\n');
        let count = count.map_or(self.positions.len(), |i| i + 1);
        let mut from = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
        let mut names = Vec::with_capacity(count);
        for end in &self.positions[..count] {
            let raw = &bytes[from..(*end as usize).max(from)];
            let is_last = bytes.get(*end as usize) == Some(&b'\n');
            let raw = raw.strip_suffix(b"\r").filter(|_| is_last).unwrap_or(raw);
            let cr = memchr::memchr(b'\r', raw);
            if let Some(at) = cr.filter(|_| raw.first() != Some(&self.marks.quote)) {
                let what = "a carriage return inside the first record: lines must end with a line feed (\\n or \\r\\n)";
                return Err(self.blocks.corrupt(from + at, what));
            }
            let mut copy = Vec::new();
            let text = unquote(raw, self.marks.quote, &mut copy)
                .map_err(|fault| self.blocks.corrupt(from + fault.at, fault.what))?;
            names.push(String::from_utf8_lossy(text).into_owned());
            from = *end as usize + 1;
        }
        Ok((names, count))
    }
}

/// A field without its quotes.
pub(super) fn unquote<'b>(
    raw: &'b [u8],
    quote: u8,
    copy: &'b mut Vec<u8>,
) -> Result<&'b [u8], Fault> {
    let stray = |at: usize, what: &str| {
        Err(Fault {
            at,
            what: what.to_owned(),
        })
    };
    if raw.first() != Some(&quote) {
        return match memchr::memchr(quote, raw) {
            None => Ok(raw),
            Some(at) => stray(at, "a quote inside a field that is not quoted"),
        };
    }
    if raw.len() < 2 || raw[raw.len() - 1] != quote {
        let at = memchr::memrchr(quote, raw).unwrap_or(0);
        return stray(at, "text behind the closing quote of a field");
    }
    let inner = &raw[1..raw.len() - 1];
    if memchr::memchr(quote, inner).is_none() {
        return Ok(inner);
    }
    copy.clear();
    let mut rest = inner;
    while let Some(at) = memchr::memchr(quote, rest) {
        if rest.get(at + 1) != Some(&quote) {
            let at = 1 + inner.len() - rest.len() + at;
            return stray(at, "a quote inside a quoted field that is not doubled");
        }
        copy.extend_from_slice(&rest[..=at]);
        rest = &rest[at + 2..];
    }
    copy.extend_from_slice(rest);
    Ok(copy)
}
