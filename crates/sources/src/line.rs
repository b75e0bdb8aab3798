//! Bytes of one connection.
//!
//! In: a stream that may be encrypted, and how long all may take. Out: bytes that were sent whole,
//! and bytes that have come. A server that keeps talking without an end, or says nothing, is stopped
//! by the task's stop and by the end of its time, which are looked at between any two reads. Nothing
//! is allocated beyond what has come.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use assay_scan::ScanContext;
use assay_scan::error::{Place, ScanError};
use bytes::BytesMut;

use crate::net::Stream;

/// The longest row that is taken, of however much memory; and that which any task takes.
const ROW_BYTES: std::ops::RangeInclusive<u64> = 16 << 20..=256 << 20;
/// Bytes that are read at a time.
const CHUNK: usize = 64 << 10;

/// One connection.
pub(crate) struct Line {
    stream: Stream,
    /// What errors call the place.
    pub(crate) place: String,
    context: ScanContext,
    /// How long a server may be silent.
    pub(crate) patience: Duration,
    /// When all must be done.
    until: Instant,
    chunk: Vec<u8>,
    /// What has come and is not taken yet.
    pub(crate) inbox: BytesMut,
}

impl Line {
    /// A connection on which all must be done within `time`.
    pub(crate) fn new(
        stream: Stream,
        place: String,
        context: &ScanContext,
        time: Duration,
    ) -> Self {
        Self {
            stream,
            place,
            context: context.clone(),
            patience: Duration::from_secs(20),
            until: Instant::now() + time,
            chunk: vec![0; CHUNK],
            inbox: BytesMut::new(),
        }
    }

    /// Gives the connection so long from here on.
    pub(crate) fn give(&mut self, time: Duration) {
        self.until = Instant::now() + time;
    }

    /// The longest row that is taken: a part of what the task's buffers may take.
    pub(crate) fn row_bytes(&self) -> u64 {
        (self.context.memory_bytes / 4).clamp(*ROW_BYTES.start(), *ROW_BYTES.end())
    }

    /// The connection is lost, or was never had.
    pub(crate) fn away(&self, what: impl Into<String>) -> ScanError {
        ScanError::Away {
            path: self.place.clone(),
            what: what.into(),
        }
    }

    /// Sends whole messages.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        let sent = self.stream.write_all(bytes);
        sent.map_err(|error| self.away(format!("the connection is lost while sending: {error}")))
    }

    /// Whether there is still time, and nobody has stopped the task.
    pub(crate) fn check(&self) -> Result<(), ScanError> {
        self.context.check(&self.place)?;
        if Instant::now() > self.until {
            return Err(ScanError::Io {
                path: self.place.clone(),
                doing: "hear it out in the task's time",
                source: std::io::Error::new(
                    ErrorKind::TimedOut,
                    "the server goes on and on; cut smaller ranges or raise `timeout`",
                ),
            });
        }
        Ok(())
    }

    /// The refusal of a row, or of another message, that has too many bytes.
    pub(crate) fn too_long(&self, bytes: u64, most: u64) -> ScanError {
        ScanError::Unsupported {
            path: self.place.clone(),
            place: Place::file(),
            what: format!("a row or message has {bytes} bytes, more than {most}"),
            remedy: "leave columns with values of that size out, by a view".to_owned(),
        }
    }

    /// Makes sure that so many bytes are there.
    pub(crate) fn fill(&mut self, wanted: usize) -> Result<(), ScanError> {
        let mut silent_since = Instant::now();
        while self.inbox.len() < wanted {
            match self.stream.read(&mut self.chunk) {
                Ok(0) => return Err(self.away("the server ended the connection")),
                Ok(bytes) => {
                    self.inbox.extend_from_slice(&self.chunk[..bytes]);
                    silent_since = Instant::now();
                    self.check()?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    self.check()?;
                    if silent_since.elapsed() > self.patience {
                        let waited = self.patience.as_secs();
                        return Err(self.away(format!("no answer for {waited} s")));
                    }
                }
                Err(error) => return Err(self.away(format!("the connection is lost: {error}"))),
            }
        }
        Ok(())
    }
}
