//! Messages of the Postgres protocol (version 3) over one connection.
//!
//! In: bytes of a stream that may be encrypted. Out: whole messages, in a buffer that is reused.
//! A read waits in short steps, so that a stop of the task is noticed within one of them. No
//! length that the server states is trusted beyond [`MOST_BYTES`].

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use assay_scan::ScanContext;
use assay_scan::error::{Place, ScanError};
use rustls::{ClientConnection, StreamOwned};

/// How long a read waits at a time.
pub(super) const STEP: Duration = Duration::from_millis(100);
/// The longest message that is taken: a row may not be larger.
const MOST_BYTES: usize = 256 << 20;
/// Bytes that are read at a time.
const CHUNK: usize = 64 << 10;

/// The stream below.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub(super) fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(to),
            Self::Tls(stream) => stream.read(to),
        }
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }
}

/// One connection.
pub(super) struct Wire {
    stream: Stream,
    /// What errors call the place.
    pub(super) place: String,
    context: ScanContext,
    /// How long a server may be silent.
    pub(super) patience: Duration,
    inbox: Vec<u8>,
    start: usize,
    end: usize,
}

impl Wire {
    pub(super) fn new(stream: Stream, place: String, context: &ScanContext) -> Self {
        Self {
            stream,
            place,
            context: context.clone(),
            patience: Duration::from_secs(20),
            inbox: vec![0; CHUNK],
            start: 0,
            end: 0,
        }
    }

    /// The connection is lost, or was never had.
    pub(super) fn away(&self, what: impl Into<String>) -> ScanError {
        ScanError::Away {
            path: self.place.clone(),
            what: what.into(),
        }
    }

    pub(super) fn broken(&self, what: &str) -> ScanError {
        ScanError::Unsupported {
            path: self.place.clone(),
            place: Place::file(),
            what: format!("it does not speak as Postgres does: {what}"),
            remedy: "see that host and port are those of a Postgres server".to_owned(),
        }
    }

    /// Sends whole messages.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        let sent = self.stream.write_all(bytes);
        sent.map_err(|error| self.away(format!("the connection is lost while sending: {error}")))
    }

    /// The next message: its kind, and its body, which [`Wire::body`] gives.
    pub(super) fn next(&mut self) -> Result<(u8, std::ops::Range<usize>), ScanError> {
        self.fill(5)?;
        let head = &self.inbox[self.start..self.start + 5];
        let kind = head[0];
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length < 4 {
            return Err(self.broken("a message has no length"));
        }
        if length > MOST_BYTES {
            return Err(ScanError::Unsupported {
                path: self.place.clone(),
                place: Place::file(),
                what: format!("a row or message has {length} bytes, more than {MOST_BYTES}"),
                remedy: "leave columns with values of that size out, by a view".to_owned(),
            });
        }
        self.fill(1 + length)?;
        let body = self.start + 5..self.start + 1 + length;
        self.start += 1 + length;
        Ok((kind, body))
    }

    /// The body of the message that came last.
    pub(super) fn body(&self, at: std::ops::Range<usize>) -> &[u8] {
        &self.inbox[at]
    }

    /// Makes sure that so many bytes are there.
    fn fill(&mut self, wanted: usize) -> Result<(), ScanError> {
        if self.end - self.start >= wanted {
            return Ok(());
        }
        if self.inbox.len() - self.start < wanted.max(CHUNK / 2) {
            self.inbox.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.inbox.len() < wanted {
                self.inbox.resize(wanted.next_multiple_of(CHUNK), 0);
            }
        }
        let mut silent_since = Instant::now();
        while self.end - self.start < wanted {
            match self.stream.read(&mut self.inbox[self.end..]) {
                Ok(0) => return Err(self.away("the server ended the connection")),
                Ok(bytes) => {
                    self.end += bytes;
                    silent_since = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    self.context.check(&self.place)?;
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

    pub(super) fn context(&self) -> &ScanContext {
        &self.context
    }
}

/// A message in the making.
pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(body.len() + 5);
    bytes.push(kind);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The text up to the next zero byte, and what follows it.
pub(super) fn text(body: &[u8]) -> (String, &[u8]) {
    let end = memchr::memchr(0, body).unwrap_or(body.len());
    let text = String::from_utf8_lossy(&body[..end]).into_owned();
    (text, body.get(end + 1..).unwrap_or_default())
}
