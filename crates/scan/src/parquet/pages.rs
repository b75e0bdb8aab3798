//! The pages of one column chunk, one at a time.
//!
//! In: an object and the chunk's place in it. Out: each page decompressed, in buffers that are used
//! again for the next page and the next chunk. The chunk is read in ranges of bounded size; a page
//! is held only if it fits the memory budget. Every size that the file states is compared with the
//! bytes that are really there before anything is reserved.

use std::cell::Cell;
use std::sync::Arc;

use parquet::basic::Compression;

use super::codec::Codecs;
use super::header::{self, HeaderError, PageHeader, PageKind};
use super::values::Room;
use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::object::ReadAt;

/// Bytes that are read at a time, unless a page is longer: with the page that they become they stay
/// in the second cache.
const WINDOW: usize = 256 << 10;
/// Bytes behind a page that are read with it: the header of the next one, as a rule.
const BEHIND: usize = 512;
/// No honest header is longer: statistics hold two values, and writers truncate them.
const LONGEST_HEADER: usize = 16 << 20;

/// Buffers and decoders that outlive a chunk.
#[derive(Default)]
pub(crate) struct Scratch {
    window: Vec<u8>,
    page: Vec<u8>,
    room: Room,
    codecs: Codecs,
}

/// Bytes of buffers that a thread keeps between two scans: fresh memory costs about as much as
/// reading into it. More is given back.
const KEPT_MOST: usize = 16 << 20;

thread_local! {
    static KEPT: Cell<Option<Scratch>> = const { Cell::new(None) };
}

impl Scratch {
    /// What the last scan of this thread kept, or nothing.
    pub(crate) fn kept() -> Self {
        KEPT.take().unwrap_or_default()
    }

    /// Keeps the buffers for the next scan of this thread.
    pub(crate) fn keep(self) {
        let bytes = self.window.capacity() + self.page.capacity() + self.room.bytes();
        if bytes <= KEPT_MOST {
            KEPT.set(Some(self));
        }
    }
}

/// Where a column chunk is.
#[derive(Debug, Clone)]
pub(crate) struct ChunkPlace {
    pub(crate) row_group: usize,
    pub(crate) column: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) codec: Compression,
}

/// A page in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawPage<'a> {
    pub(crate) header: PageHeader,
    /// Levels and values, decompressed.
    pub(crate) body: &'a [u8],
    /// Bytes that its values may take in memory once they are decoded.
    pub(crate) budget: u64,
}

/// The pages of one column chunk.
pub(crate) struct ChunkPages<R> {
    reader: Arc<R>,
    context: ScanContext,
    place: ChunkPlace,
    scratch: Scratch,
    /// Offset of the window's first byte in the file.
    window_at: u64,
    /// Bytes of the window that are valid.
    window_len: usize,
    /// Offset of the next page in the file.
    next: u64,
    /// Offset of the page at hand, for errors.
    page_at: u64,
}

impl<R: ReadAt> ChunkPages<R> {
    pub(crate) fn new(
        reader: Arc<R>,
        context: ScanContext,
        place: ChunkPlace,
        scratch: Scratch,
    ) -> Result<Self, ScanError> {
        let pages = Self {
            reader,
            context,
            scratch,
            window_at: place.start,
            window_len: 0,
            next: place.start,
            page_at: place.start,
            place,
        };
        if pages.place.start > pages.place.end || pages.place.end > pages.reader.size() {
            let (start, end, size) = (pages.place.start, pages.place.end, pages.reader.size());
            let what =
                format!("the column chunk at bytes {start} to {end} is not within {size} bytes");
            return Err(pages.corrupt(what));
        }
        Ok(pages)
    }

    /// The buffers, for the next chunk.
    pub(crate) fn into_scratch(self) -> Scratch {
        self.scratch
    }

    /// The vectors for a dictionary.
    pub(crate) fn take_room(&mut self) -> Room {
        std::mem::take(&mut self.scratch.room)
    }

    /// The vectors, for the next dictionary.
    pub(crate) fn keep_room(&mut self, room: Room) {
        self.scratch.room = room;
    }

    /// An error at the page at hand.
    pub(crate) fn corrupt(&self, what: impl Into<String>) -> ScanError {
        ScanError::corrupt(self.reader.path(), self.at(), what)
    }

    fn at(&self) -> Place {
        Place::row_group(self.place.row_group)
            .in_column(&self.place.column)
            .at_byte(self.page_at)
    }

    /// Makes `len` bytes from `self.next` on part of the window, where the chunk has as many.
    fn fill(&mut self, len: usize) -> Result<(), ScanError> {
        let left = self.place.end - self.next;
        let skip = (self.next - self.window_at) as usize;
        let have = self.window_len.saturating_sub(skip);
        let wanted = (len as u64).min(left) as usize;
        if have >= wanted {
            return Ok(());
        }
        let window = &mut self.scratch.window;
        // A long page is read to little more than its end: what lies behind it in the window is
        // copied to the front for the next one.
        let target = (WINDOW.max(wanted.saturating_add(BEHIND)) as u64).min(left) as usize;
        if have > 0 {
            window.copy_within(skip..skip + have, 0);
        }
        if window.len() < target {
            window.resize(target, 0);
        }
        self.reader
            .read_exact_at(self.next + have as u64, &mut window[have..target])?;
        self.context.progress.add_bytes((target - have) as u64);
        self.window_at = self.next;
        self.window_len = target;
        Ok(())
    }

    fn window(&self) -> &[u8] {
        &self.scratch.window[(self.next - self.window_at) as usize..self.window_len]
    }

    /// Reads the header of the next page and steps behind it.
    fn header(&mut self) -> Result<PageHeader, ScanError> {
        let mut ask = BEHIND;
        loop {
            self.fill(ask)?;
            let bytes = self.window();
            match header::read(bytes) {
                Ok((found, len)) => {
                    self.next += len as u64;
                    return Ok(found);
                }
                Err(HeaderError::Short) if (bytes.len() as u64) < self.place.end - self.next => {
                    if ask >= LONGEST_HEADER {
                        return Err(self.corrupt("a page header is longer than 16 MiB"));
                    }
                    ask = (bytes.len() + 1).max(ask * 4);
                }
                Err(HeaderError::Short) => {
                    return Err(self.corrupt("the column chunk ends inside a page header"));
                }
                Err(HeaderError::Broken(what)) => return Err(self.corrupt(what)),
            }
        }
    }

    /// The next page, or `None` at the end of the chunk.
    pub(crate) fn next_page(&mut self) -> Result<Option<RawPage<'_>>, ScanError> {
        let found = loop {
            if self.next >= self.place.end {
                return Ok(None);
            }
            self.context.check(self.reader.path())?;
            self.page_at = self.next;
            let found = self.header()?;
            self.verify(&found)?;
            if found.kind != PageKind::Other {
                break found;
            }
            self.next += found.compressed as u64;
        };
        self.fill(found.compressed)?;
        let from = (self.next - self.window_at) as usize;
        let stored = from..from + found.compressed;
        self.next += found.compressed as u64;
        let bytes = &self.scratch.window[stored.clone()];
        if let Some(stated) = found.checksum {
            let sum = crc32fast::hash(bytes);
            if sum != stated {
                return Err(self.corrupt(format!(
                    "the bytes of a page have the checksum {sum:08x}, its header states {stated:08x}: the file is damaged"
                )));
            }
        }
        let levels = match found.kind {
            PageKind::DataV2 => found.definition_bytes + found.repetition_bytes,
            _ => 0,
        };
        let plain = self.place.codec == Compression::UNCOMPRESSED
            || (found.kind == PageKind::DataV2 && !found.is_compressed);
        if plain {
            return Ok(Some(RawPage {
                header: found,
                body: &self.scratch.window[stored],
                budget: self.context.memory_bytes,
            }));
        }
        let Scratch {
            window,
            page,
            codecs,
            ..
        } = &mut self.scratch;
        if page.len() < found.uncompressed {
            page.resize(found.uncompressed, 0);
        }
        let (apart, packed) = window[stored].split_at(levels);
        let (front, room) = page[..found.uncompressed].split_at_mut(levels);
        front.copy_from_slice(apart);
        // A page without values may be stored as no bytes at all, compressed or not.
        if !room.is_empty()
            && let Err(what) = codecs.decompress(self.place.codec, packed, room)
        {
            return Err(self.corrupt(what));
        }
        Ok(Some(RawPage {
            header: found,
            body: &self.scratch.page[..found.uncompressed],
            budget: self.context.memory_bytes,
        }))
    }

    fn verify(&self, found: &PageHeader) -> Result<(), ScanError> {
        let left = self.place.end - self.next;
        if found.compressed as u64 > left {
            let what = format!(
                "a page of {} bytes begins {left} bytes before the end of its column chunk",
                found.compressed
            );
            return Err(self.corrupt(what));
        }
        let levels = found
            .definition_bytes
            .saturating_add(found.repetition_bytes);
        if levels > found.compressed || levels > found.uncompressed {
            return Err(self.corrupt("the levels of a page are longer than the page"));
        }
        let largest = found.uncompressed.max(found.compressed) as u64;
        if found.kind != PageKind::Other && largest > self.context.memory_bytes {
            return Err(ScanError::Unsupported {
                path: self.reader.path().to_owned(),
                place: self.at(),
                what: format!(
                    "a page of {largest} bytes does not fit the memory of {} bytes that a scan may take",
                    self.context.memory_bytes
                ),
                remedy: "write smaller pages, or give the scan more memory".to_owned(),
            });
        }
        Ok(())
    }
}
