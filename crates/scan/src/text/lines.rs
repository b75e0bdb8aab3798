//! Blocks of text of bounded size, and where a byte of them is in the file.
//!
//! In: the plain bytes of an object. Out: a buffer that always begins at the beginning of a record
//! and grows only for a record that is longer than it, up to a share of the memory budget.

use std::cell::Cell;

use crate::compress::Plain;
use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::object::ReadAt;

/// A buffer over the plain bytes of an object.
pub struct Blocks<'a> {
    reader: &'a dyn ReadAt,
    context: &'a ScanContext,
    plain: Plain<'a>,
    buffer: Vec<u8>,
    filled: usize,
    /// Whether everything has been read into the buffer.
    pub ended: bool,
    /// The offset of the buffer in the plain bytes of the object.
    base: u64,
    /// Line ends between the beginning of the part and the buffer.
    lines: u64,
    start: u64,
    /// Whether the last line end was added because the file lacks it.
    added_end: bool,
}

impl<'a> Blocks<'a> {
    /// Blocks of `reader` from byte `start` to `end`.
    ///
    /// # Errors
    /// See [`Plain::open`].
    pub fn open(
        reader: &'a dyn ReadAt,
        (start, end): (u64, u64),
        context: &'a ScanContext,
        failed: &'a Cell<Option<ScanError>>,
    ) -> Result<Self, ScanError> {
        let plain = Plain::open(reader, start, end, failed)?;
        if plain.is_compressed() && (start, end) != (0, reader.size()) {
            let what = "a part of a compressed text was planned".to_owned();
            return Err(ScanError::Changed {
                path: reader.path().to_owned(),
                what,
            });
        }
        let size = usize::try_from(end - start).unwrap_or(usize::MAX);
        let size = if plain.is_compressed() {
            super::BLOCK_BYTES
        } else {
            size + 1
        };
        Ok(Self::over(reader, plain, start, size, context))
    }

    /// Blocks of a stream of no stated length; `reader` only names it.
    #[must_use]
    pub fn of_stream(reader: &'a dyn ReadAt, plain: Plain<'a>, context: &'a ScanContext) -> Self {
        Self::over(reader, plain, 0, super::BLOCK_BYTES, context)
    }

    fn over(
        reader: &'a dyn ReadAt,
        plain: Plain<'a>,
        start: u64,
        size: usize,
        context: &'a ScanContext,
    ) -> Self {
        Self {
            reader,
            context,
            plain,
            buffer: vec![0; size.clamp(64, super::BLOCK_BYTES)],
            filled: 0,
            ended: false,
            base: start,
            lines: 0,
            start,
            added_end: false,
        }
    }

    /// The bytes at hand.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// Drops the first `consumed` bytes, which end a record, and reads on. False at the end.
    ///
    /// # Errors
    /// The reader's, the decompressor's, or that the scan was cancelled.
    pub fn advance(&mut self, consumed: usize) -> Result<bool, ScanError> {
        self.context.check(self.reader.path())?;
        let gone = &self.buffer[..consumed];
        self.lines += memchr::memchr_iter(b'\n', gone).count() as u64;
        self.base += consumed as u64;
        self.context.progress.add_bytes(consumed as u64);
        self.buffer.copy_within(consumed..self.filled, 0);
        self.filled -= consumed;
        self.fill()?;
        Ok(self.filled > 0)
    }

    fn fill(&mut self) -> Result<(), ScanError> {
        if self.ended {
            return Ok(());
        }
        let room = self.buffer.len() - 1;
        let read = self.plain.fill(&mut self.buffer[self.filled..room])?;
        self.filled += read;
        if self.filled < room {
            self.ended = true;
            // A last record without a line end is given one, so that all records end alike.
            if self.filled > 0 && self.buffer[self.filled - 1] != b'\n' {
                self.buffer[self.filled] = b'\n';
                self.filled += 1;
                self.added_end = true;
            }
        }
        Ok(())
    }

    /// Makes room for a record that is longer than the buffer.
    ///
    /// # Errors
    /// [`ScanError::Unsupported`] when the budget is spent.
    pub fn grow(&mut self, hint: &str) -> Result<(), ScanError> {
        let limit = usize::try_from(self.context.memory_bytes / 4).unwrap_or(usize::MAX);
        let limit = limit.clamp(1 << 20, u32::MAX as usize / 2);
        if self.buffer.len() >= limit {
            return Err(ScanError::Unsupported {
                path: self.reader.path().to_owned(),
                place: self.place(0),
                what: format!("a record is longer than {limit} bytes{hint}"),
                remedy: "correct the file, or give the scan more memory: by the setting \
                         `scan.memory`, or of a cluster on its data nodes"
                    .to_owned(),
            });
        }
        let size = (self.buffer.len() * 2).min(limit);
        self.buffer.resize(size, 0);
        self.fill()
    }

    /// Where the byte at `offset` of the buffer is.
    #[must_use]
    pub fn place(&self, offset: usize) -> Place {
        let before = &self.buffer[..offset.min(self.filled)];
        let here = self.lines + memchr::memchr_iter(b'\n', before).count() as u64;
        match lines_before(self.reader, self.start) {
            Some(earlier) => Place::line(earlier + here + 1),
            None => Place::byte(self.base + offset as u64),
        }
    }

    /// An error of the bytes at `offset` of the buffer.
    #[must_use]
    pub fn corrupt(&self, offset: usize, what: impl Into<String>) -> ScanError {
        ScanError::corrupt(self.reader.path(), self.place(offset), what)
    }

    /// Checks that the first `length` bytes are UTF-8.
    ///
    /// # Errors
    /// [`ScanError::Corrupt`] at the first byte that is not.
    pub fn check_utf8(&self, length: usize) -> Result<(), ScanError> {
        self.text(length).map(|_| ())
    }

    /// The first `length` bytes as text.
    ///
    /// # Errors
    /// [`ScanError::Corrupt`] at the first byte that is not UTF-8.
    pub fn text(&self, length: usize) -> Result<&str, ScanError> {
        match std::str::from_utf8(&self.buffer[..length]) {
            Ok(text) => Ok(text),
            Err(error) => {
                let at = error.valid_up_to();
                let byte = self.buffer[at];
                Err(self.corrupt(at, {
                    let offset = self.base + at as u64;
                    format!("the byte 0x{byte:02x} at offset {offset} is not UTF-8")
                }))
            }
        }
    }
}

/// Line ends before `start`, for an error message; `None` when they cannot be read.
fn lines_before(reader: &dyn ReadAt, start: u64) -> Option<u64> {
    let mut buffer = vec![0; super::BLOCK_BYTES];
    let (mut at, mut lines) = (0u64, 0u64);
    while at < start {
        let length = (start - at).min(buffer.len() as u64) as usize;
        reader.read_exact_at(at, &mut buffer[..length]).ok()?;
        lines += memchr::memchr_iter(b'\n', &buffer[..length]).count() as u64;
        at += length as u64;
    }
    Some(lines)
}
