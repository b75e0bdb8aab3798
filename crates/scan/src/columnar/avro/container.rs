//! The container of an Avro file: its header and its blocks.
//!
//! In: an object. Out: the schema's text, and one block after another, unpacked, with the rows that
//! it declares. Every size, checksum and mark is held against the file, and what a block unpacks to
//! against the memory that a scan may take. It must never hand out bytes that the file does not
//! vouch for.

use std::io::{self, Read};

use crate::error::{Place, ScanError};
use crate::object::{ObjectReader, ReadAt};

pub(super) const MAGIC: &[u8] = b"Obj\x01";
/// Bytes of the mark that ends every block.
pub(super) const SYNC: usize = 16;
/// The most bytes that the description of a file may have.
const HEADER_MAX: u64 = 16 << 20;
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

/// The blocks of a file, handed out whole.
pub(super) struct Blocks<'a> {
    reader: &'a ObjectReader,
    at: u64,
    budget: u64,
    codec: Codec,
    sync: [u8; SYNC],
    /// The schema, as the file has it.
    pub(super) schema: Vec<u8>,
    /// The bytes of the block at hand, as the file has them.
    packed: Vec<u8>,
}

/// What a header says.
struct Header {
    bytes: usize,
    codec: Vec<u8>,
    schema: Vec<u8>,
    sync: [u8; SYNC],
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

/// What a header says; `None` when more bytes are needed.
fn header(bytes: &[u8]) -> Option<Header> {
    let mut numbers = Numbers {
        bytes,
        at: MAGIC.len(),
    };
    let (mut codec, mut schema) = (b"null".to_vec(), Vec::new());
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
            match key {
                b"avro.codec" => codec = value.to_vec(),
                b"avro.schema" => schema = value.to_vec(),
                _ => {}
            }
        }
    }
    let end = numbers.at.checked_add(SYNC)?;
    Some(Header {
        bytes: end,
        codec,
        schema,
        sync: bytes.get(numbers.at..end)?.try_into().ok()?,
    })
}

fn codec(named: &[u8], path: &str) -> Result<Codec, ScanError> {
    Ok(match named {
        b"null" => Codec::Null,
        b"deflate" => Codec::Deflate,
        b"snappy" => Codec::Snappy,
        b"zstandard" => Codec::Zstandard,
        other => {
            return Err(ScanError::Unsupported {
                path: path.to_owned(),
                place: Place::file(),
                what: format!(
                    "blocks compressed by `{}` are not read",
                    String::from_utf8_lossy(other)
                ),
                remedy: "write it with deflate, snappy or zstandard".to_owned(),
            });
        }
    })
}

impl<'a> Blocks<'a> {
    /// Reads a file's header; no block may unpack to more than `budget` bytes.
    pub(super) fn open(reader: &'a ObjectReader, budget: u64) -> Result<Self, ScanError> {
        let corrupt = |what: &str| ScanError::corrupt(reader.path(), Place::byte(0), what);
        let mut length = STEP;
        loop {
            let there = length.min(reader.size());
            let mut bytes = vec![0; usize::try_from(there).unwrap_or(usize::MAX)];
            reader.read_exact_at(0, &mut bytes)?;
            if !bytes.starts_with(MAGIC) {
                return Err(corrupt(
                    "its first bytes are not those of an Avro container file",
                ));
            }
            if let Some(header) = header(&bytes) {
                return Ok(Self {
                    reader,
                    at: header.bytes as u64,
                    budget,
                    codec: codec(&header.codec, reader.path())?,
                    sync: header.sync,
                    schema: header.schema,
                    packed: Vec::new(),
                });
            }
            if there == reader.size() || length > HEADER_MAX {
                return Err(corrupt("its header does not end"));
            }
            length *= 4;
        }
    }

    /// That something is wrong with the block at hand.
    pub(super) fn corrupt(&self, what: impl Into<String>) -> ScanError {
        ScanError::corrupt(self.reader.path(), Place::byte(self.at), what)
    }

    /// Adds the next block's plain bytes to `plain`; gives the rows that it declares, `None` at the
    /// end of the file.
    pub(super) fn append(&mut self, plain: &mut Vec<u8>) -> Result<Option<u64>, ScanError> {
        let left = self.reader.size() - self.at;
        if left == 0 {
            return Ok(None);
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
        let (Ok(rows), Ok(size)) = (u64::try_from(rows), u64::try_from(size)) else {
            return Err(self.corrupt("a block states a size below zero"));
        };
        let head_bytes = numbers.at as u64;
        let whole = size.checked_add(head_bytes + SYNC as u64);
        let Some(whole) = whole.filter(|whole| *whole <= left) else {
            return Err(self.corrupt("a block goes beyond the end of the file"));
        };
        if size > self.budget {
            return Err(self.too_large(&format!("{size} bytes")));
        }
        let length =
            usize::try_from(whole - head_bytes).map_err(|_| self.corrupt("a block is too long"))?;
        let mut packed = std::mem::take(&mut self.packed);
        packed.resize(length, 0);
        self.reader
            .read_exact_at(self.at + head_bytes, &mut packed)?;
        let (packed_rows, mark) = packed.split_at(length - SYNC);
        if mark != self.sync {
            return Err(self.corrupt("a block does not end with the mark of the file's blocks"));
        }
        let before = plain.len();
        self.unpack(packed_rows, plain)?;
        if rows > (plain.len() - before) as u64 {
            return Err(self.corrupt(format!(
                "a block declares {rows} rows and has {} bytes of them",
                plain.len() - before
            )));
        }
        if rows == 0 && plain.len() > before {
            return Err(self.corrupt("a block holds more rows than it declares"));
        }
        self.packed = packed;
        self.at += whole;
        Ok(Some(rows))
    }

    /// Adds what a block unpacks to.
    fn unpack(&self, packed: &[u8], plain: &mut Vec<u8>) -> Result<(), ScanError> {
        let before = plain.len();
        let most = self.budget.saturating_add(1);
        let unpacked = match self.codec {
            Codec::Null => {
                plain.extend_from_slice(packed);
                Ok(())
            }
            Codec::Snappy => return self.unpack_snappy(packed, plain),
            Codec::Deflate => flate2::read::DeflateDecoder::new(packed)
                .take(most)
                .read_to_end(plain)
                .map(drop),
            Codec::Zstandard => zstd::Decoder::new(packed)
                .and_then(|decoder| decoder.take(most).read_to_end(plain).map(drop)),
        };
        unpacked.map_err(|error| self.unpackable(&error))?;
        let bytes = (plain.len() - before) as u64;
        if bytes > self.budget {
            return Err(self.too_large(&format!("{bytes} bytes or more")));
        }
        Ok(())
    }

    /// A block of Snappy ends with the checksum of what it unpacks to.
    fn unpack_snappy(&self, packed: &[u8], plain: &mut Vec<u8>) -> Result<(), ScanError> {
        let Some((packed, sum)) = packed.split_last_chunk::<4>() else {
            return Err(self.unpackable(&io::Error::other("it lacks its checksum")));
        };
        let length = snap::raw::decompress_len(packed)
            .map_err(|error| self.unpackable(&io::Error::other(error)))?;
        if length as u64 > self.budget {
            return Err(self.too_large(&format!("{length} bytes")));
        }
        let before = plain.len();
        plain.resize(before + length, 0);
        snap::raw::Decoder::new()
            .decompress(packed, &mut plain[before..])
            .map_err(|error| self.unpackable(&io::Error::other(error)))?;
        if crc32fast::hash(&plain[before..]) != u32::from_be_bytes(*sum) {
            return Err(self.unpackable(&io::Error::other("its checksum is another one")));
        }
        Ok(())
    }

    fn unpackable(&self, error: &io::Error) -> ScanError {
        self.corrupt(format!("a block cannot be unpacked: {error}"))
    }

    /// That the block at hand, which has `what`, is more than a scan may hold.
    pub(super) fn too_large(&self, what: &str) -> ScanError {
        ScanError::Unsupported {
            path: self.reader.path().to_owned(),
            place: Place::byte(self.at),
            what: format!(
                "a block of {what} does not fit the memory of {} bytes that a scan may take",
                self.budget
            ),
            remedy: "write smaller blocks, or give the scan more memory".to_owned(),
        }
    }
}
