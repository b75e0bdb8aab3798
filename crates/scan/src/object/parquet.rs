//! A pinned object as the readers of the crate `parquet` see it.
//!
//! In: an open object. Out: the ranges of it that a reader asks for, each checked against its
//! length. The metrics read Parquet by their own scan; this is for whoever wants whole rows.

use std::io::Read;
use std::sync::Arc;

use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::Bytes;

use super::{ObjectReader, ReadAt};

/// An object whose ranges are asked for.
#[derive(Clone)]
pub struct Chunks(pub Arc<ObjectReader>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

/// Reads on from an offset.
pub struct From {
    chunks: Chunks,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.chunks.len().saturating_sub(self.at);
        let room = (buffer.len() as u64).min(left) as usize;
        let read = self.chunks.0.read_exact_at(self.at, &mut buffer[..room]);
        read.map_err(std::io::Error::other)?;
        self.at += room as u64;
        Ok(room)
    }
}

impl ChunkReader for Chunks {
    type T = std::io::BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let chunks = self.clone();
        Ok(std::io::BufReader::new(From { chunks, at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.len()) {
            let what = "a range beyond the end of the file".to_owned();
            return Err(ParquetError::EOF(what));
        }
        let mut bytes = vec![0; length];
        let read = self.0.read_exact_at(start, &mut bytes);
        read.map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(bytes.into())
    }
}
