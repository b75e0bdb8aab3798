//! Compressed text: what an object is compressed with, and its bytes as a stream.
//!
//! In: a reader at offsets. Out: a plain stream. gzip streams may have many members and zstd
//! streams many frames; a stream that ends early is an error, never a shorter file. The first bytes
//! decide; a name that promises a compression that the bytes do not have is an error.

use std::io::{self, Read};

use crate::error::{Place, ScanError};
use crate::object::ReadAt;

/// How an object is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, one member or many.
    Gzip,
    /// zstd, one frame or many.
    Zstd,
}

/// What an object's name promises.
#[must_use]
pub fn by_name(path: &str) -> Compression {
    let lower = path.to_ascii_lowercase();
    if lower.ends_with(".gz") || lower.ends_with(".gzip") {
        Compression::Gzip
    } else if lower.ends_with(".zst") || lower.ends_with(".zstd") {
        Compression::Zstd
    } else {
        Compression::None
    }
}

/// How the object is compressed, by its first bytes.
///
/// # Errors
/// [`ScanError::Corrupt`] when the name promises what the bytes are not; errors of the reader.
pub fn of(reader: &dyn ReadAt) -> Result<Compression, ScanError> {
    let mut first = [0u8; 4];
    let length = reader.size().min(4) as usize;
    reader.read_exact_at(0, &mut first[..length])?;
    let found = match first {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
        // A skippable frame; text does not begin with the control characters 0x50..=0x5f 0x2a 0x4d.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Compression::Zstd,
        _ => Compression::None,
    };
    let promised = by_name(reader.path());
    if promised != Compression::None && promised != found {
        let what = if length == 0 {
            "the file is empty, but its name says that it is compressed"
        } else {
            "its name says that it is compressed, but its first bytes are none of that format"
        };
        return Err(ScanError::corrupt(reader.path(), Place::byte(0), what));
    }
    Ok(found)
}

/// Bytes of a reader from one offset to another, as a stream.
struct Slice<'a> {
    reader: &'a dyn ReadAt,
    at: u64,
    end: u64,
    failed: &'a std::cell::Cell<Option<ScanError>>,
}

impl Read for Slice<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = (self.end - self.at).min(buffer.len() as u64) as usize;
        match self.reader.read_exact_at(self.at, &mut buffer[..length]) {
            Ok(()) => {
                self.at += length as u64;
                Ok(length)
            }
            Err(error) => {
                // The typed error travels beside the decoder, which only knows `io::Error`.
                self.failed.set(Some(error));
                Err(io::Error::other("the object could not be read"))
            }
        }
    }
}

/// The plain bytes of an object or of a part of one.
pub struct Plain<'a> {
    path: String,
    stream: Box<dyn Read + 'a>,
    failed: &'a std::cell::Cell<Option<ScanError>>,
    compression: Compression,
    read: u64,
}

impl<'a> Plain<'a> {
    /// The plain bytes of `reader` from `start` to `end`; a compressed object is always read whole.
    /// `failed` is a place for the reader's own error.
    ///
    /// # Errors
    /// [`ScanError::Corrupt`] for a compression that the name promises and the bytes are not.
    pub fn open(
        reader: &'a dyn ReadAt,
        start: u64,
        end: u64,
        failed: &'a std::cell::Cell<Option<ScanError>>,
    ) -> Result<Self, ScanError> {
        let compression = of(reader)?;
        let (start, end) = match compression {
            Compression::None => (start, end.min(reader.size()).max(start)),
            _ => (0, reader.size()),
        };
        let slice = Slice {
            reader,
            at: start,
            end,
            failed,
        };
        let stream: Box<dyn Read + 'a> = match compression {
            Compression::None => Box::new(slice),
            Compression::Gzip => {
                let buffered = io::BufReader::with_capacity(1 << 17, slice);
                Box::new(flate2::bufread::MultiGzDecoder::new(buffered))
            }
            Compression::Zstd => Box::new(
                zstd::stream::read::Decoder::new(slice)
                    .map_err(|error| ScanError::io(reader.path(), "decompress it", error))?,
            ),
        };
        Ok(Self {
            path: reader.path().to_owned(),
            stream,
            failed,
            compression,
            read: 0,
        })
    }

    /// A plain stream of no stated length. `failed` is a place for its own error.
    pub fn of_stream(
        path: &str,
        stream: Box<dyn Read + 'a>,
        failed: &'a std::cell::Cell<Option<ScanError>>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            stream,
            failed,
            compression: Compression::None,
            read: 0,
        }
    }

    /// Whether the bytes come out of a decompressor.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.compression != Compression::None
    }

    /// Fills as much of `buffer` as there are bytes left.
    ///
    /// # Errors
    /// The reader's error, or [`ScanError::Corrupt`] for a damaged or truncated stream.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ScanError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(self.failed.take().unwrap_or_else(|| {
                        let at = self.read + filled as u64;
                        let what = format!("the compressed stream is damaged or ends early, {at} plain bytes in: {error}");
                        ScanError::corrupt(&self.path, Place::file(), what)
                    }));
                }
            }
        }
        self.read += filled as u64;
        Ok(filled)
    }
}
