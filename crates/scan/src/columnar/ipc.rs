//! Arrow IPC files and streams.
//!
//! In: an object. Out: its record batches. A file is read as the stream that it contains. Each
//! message's lengths are held against what is there and against the memory that a scan may take
//! before anything of that size is made.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::{CompressionType, Message, root_as_message};
use arrow_schema::{Schema, SchemaRef};

use super::files::Batches;
use crate::error::{Place, ScanError};
use crate::object::{ObjectReader, ReadAt};

/// What files begin with, filled up to a multiple of eight bytes.
const MAGIC: &[u8] = b"ARROW1\0\0";
/// The first message begins here at the latest.
const ALIGNED_MAX: u64 = 64;
/// What a message begins with; absent from those of the oldest writers.
const CONTINUES: u32 = u32::MAX;
/// The most bytes that a message's description may have.
const DESCRIPTION_MAX: u64 = 16 << 20;

/// The batches of one object.
pub(super) struct Ipc<'a> {
    reader: &'a ObjectReader,
    at: u64,
    budget: u64,
    decoder: StreamDecoder,
    schema: SchemaRef,
    ended: bool,
}

impl<'a> Ipc<'a> {
    /// Opens a file or stream and reads its schema.
    pub(super) fn open(reader: &'a ObjectReader, budget: u64) -> Result<Self, ScanError> {
        let mut first = [0; MAGIC.len()];
        let is_file = reader.size() >= MAGIC.len() as u64 && {
            reader.read_exact_at(0, &mut first)?;
            first == MAGIC
        };
        let mut ipc = Self {
            reader,
            at: if is_file { MAGIC.len() as u64 } else { 0 },
            budget,
            decoder: StreamDecoder::new(),
            schema: Arc::new(Schema::empty()),
            ended: false,
        };
        if is_file {
            ipc.skip_filling()?;
        }
        let first = ipc.message()?;
        match ipc.decoder.schema() {
            Some(schema) if first.is_none() && !ipc.ended => ipc.schema = schema,
            _ => return Err(ipc.corrupt("it does not begin with a schema")),
        }
        Ok(ipc)
    }

    /// Passes over the zeros that some writers align the first message with.
    fn skip_filling(&mut self) -> Result<(), ScanError> {
        let mut words = [0; 8];
        while self.at < ALIGNED_MAX && self.reader.size() - self.at >= 8 {
            self.reader.read_exact_at(self.at, &mut words)?;
            if words != [0; 8] {
                break;
            }
            self.at += 8;
        }
        Ok(())
    }

    fn corrupt(&self, what: impl Into<String>) -> ScanError {
        ScanError::corrupt(self.reader.path(), Place::byte(self.at), what)
    }

    fn u32(&mut self) -> Result<Option<u32>, ScanError> {
        if self.reader.size() - self.at < 4 {
            return Ok(None);
        }
        let mut bytes = [0; 4];
        self.reader.read_exact_at(self.at, &mut bytes)?;
        self.at += 4;
        Ok(Some(u32::from_le_bytes(bytes)))
    }

    fn take(&mut self, length: u64) -> Result<Vec<u8>, ScanError> {
        if length > self.reader.size() - self.at {
            let what = format!("a message of {length} bytes goes beyond the end of the file");
            return Err(self.corrupt(what));
        }
        let length = usize::try_from(length).map_err(|_| self.corrupt("a message is too long"))?;
        let mut bytes = vec![0; length];
        self.reader.read_exact_at(self.at, &mut bytes)?;
        self.at += length as u64;
        Ok(bytes)
    }

    /// Reads one message; a batch, if it is one.
    fn message(&mut self) -> Result<Option<RecordBatch>, ScanError> {
        let begin = self.at;
        let mut length = self.u32()?;
        if length == Some(CONTINUES) {
            length = self.u32()?;
        }
        let length = match length {
            Some(length) if length > 0 => u64::from(length),
            // The mark of the end. A stream that was cut off between two messages lacks it.
            Some(_) => {
                self.ended = true;
                return Ok(None);
            }
            None => return Err(self.corrupt("it ends without the mark of its end")),
        };
        if length > DESCRIPTION_MAX {
            return Err(self.corrupt(format!("a message is described in {length} bytes")));
        }
        let description = self.take(length)?;
        let message = root_as_message(&description)
            .map_err(|error| self.corrupt(format!("a message cannot be read: {error}")))?;
        let body = u64::try_from(message.bodyLength())
            .map_err(|_| self.corrupt("a message has a negative length"))?;
        if body > self.budget {
            return Err(self.too_large(body));
        }
        let body = self.take(body)?;
        self.verify_sizes(&message, &body)?;
        let mut whole = Vec::with_capacity(8 + description.len() + body.len());
        whole.extend_from_slice(&(description.len() as u32).to_le_bytes());
        whole.extend_from_slice(&description);
        whole.extend_from_slice(&body);
        // A message without a body is taken up when the next one begins, so that each is followed
        // by the mark that the next begins with.
        whole.extend_from_slice(&CONTINUES.to_le_bytes());
        let mut buffer = Buffer::from_vec(whole);
        let decoded = self.decoder.decode(&mut buffer).and_then(|batch| {
            self.decoder.decode(&mut buffer)?;
            Ok(batch)
        });
        decoded.map_err(|error| {
            self.at = begin;
            self.corrupt(error.to_string())
        })
    }

    fn too_large(&self, bytes: u64) -> ScanError {
        ScanError::Unsupported {
            path: self.reader.path().to_owned(),
            place: Place::byte(self.at),
            what: format!(
                "a batch of {bytes} bytes does not fit the memory of {} bytes that a scan may take",
                self.budget
            ),
            remedy: "write smaller batches, or give the scan more memory".to_owned(),
        }
    }

    /// Holds what compressed buffers say of their size, and what they hold, against the memory.
    fn verify_sizes(&self, message: &Message<'_>, body: &[u8]) -> Result<(), ScanError> {
        let batch = message.header_as_record_batch().or_else(|| {
            let dictionary = message.header_as_dictionary_batch()?;
            dictionary.data()
        });
        let Some(batch) = batch else { return Ok(()) };
        let (Some(compression), Some(buffers)) = (batch.compression(), batch.buffers()) else {
            return Ok(());
        };
        let mut total = 0u64;
        for buffer in buffers {
            let range = usize::try_from(buffer.offset())
                .ok()
                .zip(usize::try_from(buffer.length()).ok())
                .and_then(|(start, length)| body.get(start..start.checked_add(length)?));
            let Some(bytes) = range else {
                return Err(self.corrupt("a buffer lies outside its message"));
            };
            let Some((stated, packed)) = bytes.split_first_chunk::<8>() else {
                continue;
            };
            // A buffer that is not compressed states -1.
            let Ok(stated) = u64::try_from(i64::from_le_bytes(*stated)) else {
                continue;
            };
            total = total.saturating_add(stated);
            if total > self.budget {
                return Err(self.too_large(total));
            }
            if compression.codec() == CompressionType::LZ4_FRAME {
                self.verify_lz4(packed, stated)?;
            }
        }
        Ok(())
    }

    /// The library unpacks such a buffer to its end, whatever size it states.
    fn verify_lz4(&self, packed: &[u8], stated: u64) -> Result<(), ScanError> {
        use std::io::Read;
        let plain = lz4_flex::frame::FrameDecoder::new(packed);
        let most = stated.saturating_add(1);
        let found = std::io::copy(&mut plain.take(most), &mut std::io::sink());
        match found {
            Ok(found) if found == stated => Ok(()),
            Ok(_) => Err(self.corrupt(format!(
                "a buffer does not have the {stated} bytes it states"
            ))),
            Err(error) => Err(self.corrupt(format!("a buffer cannot be unpacked: {error}"))),
        }
    }
}

impl Batches for Ipc<'_> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, ScanError> {
        while !self.ended {
            if let Some(batch) = self.message()? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}
