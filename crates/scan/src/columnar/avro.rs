//! Avro object container files.
//!
//! In: an object. Out: its rows as record batches. The container is taken apart here, so that every
//! block's sizes and its mark are held against the file, and what a block unpacks to against the
//! memory that a scan may take, before the library that reads the rows sees it.

use std::io::{self, BufRead, Read};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_avro::reader::{Reader, ReaderBuilder};
use arrow_schema::SchemaRef;

use super::files::Batches;
use crate::error::{Place, ScanError};
use crate::object::{ObjectReader, ReadAt};

const MAGIC: &[u8] = b"Obj\x01";
/// Bytes of the mark that ends every block.
const SYNC: usize = 16;
/// The most bytes that the description of a file may have.
const HEADER_MAX: u64 = 16 << 20;
/// Rows of a batch.
const BATCH_ROWS: usize = 8192;
/// Bytes that are read to find a header or the sizes of a block.
const STEP: u64 = 64 << 10;

/// How blocks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
}

/// What went wrong in the container, kept where the library cannot reword it.
type Fault = Arc<Mutex<Option<ScanError>>>;

/// The blocks of a file, handed out whole.
struct Blocks<'a> {
    reader: &'a ObjectReader,
    at: u64,
    budget: u64,
    codec: Codec,
    sync: [u8; SYNC],
    /// The bytes at hand, and how many of them are taken.
    bytes: Vec<u8>,
    taken: usize,
    fault: Fault,
}

/// A reader of little-endian numbers of seven bits a byte, as Avro has them.
struct Numbers<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Numbers<'b> {
    /// The next number; `None` when the bytes end in it, or it has none.
    fn long(&mut self) -> Option<i64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        None
    }

    fn take(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(self.long()?).ok()?;
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }
}

/// The bytes of the header, the codec it names, and the mark of the file's blocks; `None` when more
/// bytes are needed.
fn header(bytes: &[u8]) -> Option<(usize, Vec<u8>, [u8; SYNC])> {
    let mut numbers = Numbers {
        bytes,
        at: MAGIC.len(),
    };
    let mut codec = b"null".to_vec();
    loop {
        let mut count = numbers.long()?;
        if count == 0 {
            break;
        }
        if count < 0 {
            numbers.long()?;
            count = count.checked_neg()?;
        }
        for _ in 0..count {
            let key = numbers.take()?;
            let value = numbers.take()?;
            if key == b"avro.codec" {
                codec = value.to_vec();
            }
        }
    }
    let end = numbers.at.checked_add(SYNC)?;
    let sync = bytes.get(numbers.at..end)?.try_into().ok()?;
    Some((end, codec, sync))
}

impl<'a> Blocks<'a> {
    fn open(reader: &'a ObjectReader, budget: u64, fault: Fault) -> Result<Self, ScanError> {
        let corrupt = |what: String| ScanError::corrupt(reader.path(), Place::byte(0), what);
        let mut length = STEP;
        loop {
            let there = length.min(reader.size());
            let mut bytes = vec![0; usize::try_from(there).unwrap_or(usize::MAX)];
            reader.read_exact_at(0, &mut bytes)?;
            if !bytes.starts_with(MAGIC) {
                let what = "its first bytes are not those of an Avro container file";
                return Err(corrupt(what.to_owned()));
            }
            if let Some((end, codec, sync)) = header(&bytes) {
                bytes.truncate(end);
                let codec = match codec.as_slice() {
                    b"null" => Codec::Null,
                    b"deflate" => Codec::Deflate,
                    b"snappy" => Codec::Snappy,
                    b"zstandard" => Codec::Zstandard,
                    other => {
                        return Err(ScanError::Unsupported {
                            path: reader.path().to_owned(),
                            place: Place::file(),
                            what: format!(
                                "blocks compressed by `{}` are not read",
                                String::from_utf8_lossy(other)
                            ),
                            remedy: "write it with deflate, snappy or zstandard".to_owned(),
                        });
                    }
                };
                return Ok(Self {
                    reader,
                    at: end as u64,
                    budget,
                    codec,
                    sync,
                    bytes,
                    taken: 0,
                    fault,
                });
            }
            if there == reader.size() || length > HEADER_MAX {
                return Err(corrupt("its header does not end".to_owned()));
            }
            length *= 4;
        }
    }

    fn corrupt(&self, what: impl Into<String>) -> ScanError {
        ScanError::corrupt(self.reader.path(), Place::byte(self.at), what)
    }

    /// Reads the next block; false at the end of the file.
    fn advance(&mut self) -> Result<bool, ScanError> {
        let left = self.reader.size() - self.at;
        if left == 0 {
            self.bytes.clear();
            self.taken = 0;
            return Ok(false);
        }
        let mut head = vec![0; left.min(20) as usize];
        self.reader.read_exact_at(self.at, &mut head)?;
        let mut numbers = Numbers {
            bytes: &head,
            at: 0,
        };
        let (Some(rows), Some(size)) = (numbers.long(), numbers.long()) else {
            return Err(self.corrupt("a block's sizes cannot be read"));
        };
        let head_bytes = numbers.at as u64;
        let size = u64::try_from(size).ok().filter(|_| rows >= 0);
        let whole = size.and_then(|size| size.checked_add(head_bytes + SYNC as u64));
        let Some((size, whole)) = size.zip(whole).filter(|(_, whole)| *whole <= left) else {
            return Err(self.corrupt("a block goes beyond the end of the file"));
        };
        if size > self.budget {
            return Err(self.too_large(size));
        }
        let length = usize::try_from(whole).map_err(|_| self.corrupt("a block is too long"))?;
        self.bytes.resize(length, 0);
        self.reader.read_exact_at(self.at, &mut self.bytes)?;
        self.taken = 0;
        if self.bytes[length - SYNC..] != self.sync {
            return Err(self.corrupt("a block does not end with the mark of the file's blocks"));
        }
        self.verify_size(&self.bytes[numbers.at..length - SYNC])?;
        self.at += whole;
        Ok(true)
    }

    /// Holds what a block unpacks to against the memory; the library unpacks it to its end.
    fn verify_size(&self, packed: &[u8]) -> Result<(), ScanError> {
        let most = self.budget.saturating_add(1);
        let sink = &mut io::sink();
        let plain = match self.codec {
            Codec::Null => Ok(packed.len() as u64),
            Codec::Snappy => match packed.split_last_chunk::<4>() {
                Some((packed, _)) => snap::raw::decompress_len(packed)
                    .map(|length| length as u64)
                    .map_err(io::Error::other),
                None => Err(io::Error::other("it lacks its checksum")),
            },
            Codec::Deflate => io::copy(
                &mut flate2::read::DeflateDecoder::new(packed).take(most),
                sink,
            ),
            Codec::Zstandard => zstd::Decoder::new(packed)
                .and_then(|decoder| io::copy(&mut decoder.take(most), sink)),
        };
        match plain {
            Ok(bytes) if bytes <= self.budget => Ok(()),
            Ok(bytes) => Err(self.too_large(bytes)),
            Err(error) => Err(self.corrupt(format!("a block cannot be unpacked: {error}"))),
        }
    }

    fn too_large(&self, bytes: u64) -> ScanError {
        ScanError::Unsupported {
            path: self.reader.path().to_owned(),
            place: Place::byte(self.at),
            what: format!(
                "a block of {bytes} bytes or more does not fit the memory of {} bytes that a scan may take",
                self.budget
            ),
            remedy: "write smaller blocks, or give the scan more memory".to_owned(),
        }
    }
}

impl Read for Blocks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let length = there.len().min(buffer.len());
        buffer[..length].copy_from_slice(&there[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Blocks<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken >= self.bytes.len()
            && let Err(error) = self.advance()
        {
            let what = error.to_string();
            *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            return Err(io::Error::other(what));
        }
        Ok(&self.bytes[self.taken..])
    }

    fn consume(&mut self, amount: usize) {
        self.taken += amount;
    }
}

/// The rows of one file.
pub(super) struct Avro<'a> {
    rows: Reader<Blocks<'a>>,
    schema: SchemaRef,
    path: String,
    fault: Fault,
}

impl<'a> Avro<'a> {
    /// Opens a file and reads its schema.
    pub(super) fn open(reader: &'a ObjectReader, budget: u64) -> Result<Self, ScanError> {
        let fault = Fault::default();
        let blocks = Blocks::open(reader, budget, Arc::clone(&fault))?;
        let built = ReaderBuilder::new()
            .with_batch_size(BATCH_ROWS)
            .build(blocks);
        let rows = built.map_err(|error| {
            let what = format!("its schema cannot be read: {error}");
            ScanError::corrupt(reader.path(), Place::file(), what)
        })?;
        Ok(Self {
            schema: rows.schema(),
            rows,
            path: reader.path().to_owned(),
            fault,
        })
    }
}

impl Batches for Avro<'_> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, ScanError> {
        match self.rows.next() {
            None => Ok(None),
            Some(Ok(batch)) => Ok(Some(batch)),
            Some(Err(error)) => {
                let own = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
                let own = { own }.take();
                Err(own.unwrap_or_else(|| {
                    ScanError::corrupt(&self.path, Place::file(), error.to_string())
                }))
            }
        }
    }
}
