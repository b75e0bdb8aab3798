//! Messages of the Postgres protocol (version 3) over one connection.
//!
//! In: bytes of a stream that may be encrypted. Out: whole messages, as `postgres-protocol` reads
//! them. No length that a server states is believed: nothing is allocated for a message beyond what
//! has come of it, and one that is too long is refused by its head. A server that keeps talking
//! without an end is stopped by the task's stop and by the end of its time, which are looked at
//! between any two reads and messages.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use assay_scan::ScanContext;
use assay_scan::error::{Place, ScanError};
use bytes::BytesMut;
use postgres_protocol::message::backend::{
    COPY_DATA_TAG, DATA_ROW_TAG, Header, Message, PARAMETER_DESCRIPTION_TAG, ROW_DESCRIPTION_TAG,
};
use rustls::{ClientConnection, StreamOwned};

/// How long a read waits at a time.
pub(super) const STEP: Duration = Duration::from_millis(100);
/// The longest row that is taken, of however much memory; and that which any task takes.
const ROW_BYTES: std::ops::RangeInclusive<u64> = 16 << 20..=256 << 20;
/// The longest message that is no row.
const WORD_BYTES: u64 = 1 << 20;
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
    /// When all must be done.
    until: Instant,
    chunk: Vec<u8>,
    inbox: BytesMut,
}

impl Wire {
    /// A connection on which all must be done within `time`.
    pub(super) fn new(
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
    pub(super) fn give(&mut self, time: Duration) {
        self.until = Instant::now() + time;
    }

    /// The longest row that is taken: a part of what the task's buffers may take.
    pub(super) fn row_bytes(&self) -> u64 {
        (self.context.memory_bytes / 4).clamp(*ROW_BYTES.start(), *ROW_BYTES.end())
    }

    /// The connection is lost, or was never had.
    pub(super) fn away(&self, what: impl Into<String>) -> ScanError {
        ScanError::Away {
            path: self.place.clone(),
            what: what.into(),
        }
    }

    /// The server says what no server says.
    pub(super) fn broken(&self, what: impl std::fmt::Display) -> ScanError {
        broken(&self.place, what)
    }

    /// Sends whole messages.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        let sent = self.stream.write_all(bytes);
        sent.map_err(|error| self.away(format!("the connection is lost while sending: {error}")))
    }

    /// Whether there is still time, and nobody has stopped the task.
    pub(super) fn check(&self) -> Result<(), ScanError> {
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

    /// The next message.
    pub(super) fn next(&mut self) -> Result<Message, ScanError> {
        self.check()?;
        self.fill(5)?;
        let header = Header::parse(&self.inbox).map_err(|error| self.broken(error))?;
        let header = header.ok_or_else(|| self.broken("a message without a head"))?;
        let length = u64::try_from(header.len()).unwrap_or(u64::MAX);
        let most = match header.tag() {
            DATA_ROW_TAG | COPY_DATA_TAG => self.row_bytes(),
            ROW_DESCRIPTION_TAG | PARAMETER_DESCRIPTION_TAG => 16 * WORD_BYTES,
            _ => WORD_BYTES,
        };
        if length > most {
            return Err(self.too_long(length, most));
        }
        // What was announced is within the bound; memory is taken for what comes.
        self.fill(1 + usize::try_from(length).unwrap_or(usize::MAX))?;
        let message = Message::parse(&mut self.inbox).map_err(|error| self.broken(error))?;
        message.ok_or_else(|| self.broken("a message of another length than it says"))
    }

    /// The refusal of a row, or of another message, that has too many bytes.
    pub(super) fn too_long(&self, bytes: u64, most: u64) -> ScanError {
        ScanError::Unsupported {
            path: self.place.clone(),
            place: Place::file(),
            what: format!("a row or message has {bytes} bytes, more than {most}"),
            remedy: "leave columns with values of that size out, by a view".to_owned(),
        }
    }

    /// Makes sure that so many bytes are there.
    fn fill(&mut self, wanted: usize) -> Result<(), ScanError> {
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

/// The server at a place says what no server says.
pub(super) fn broken(place: &str, what: impl std::fmt::Display) -> ScanError {
    ScanError::Unsupported {
        path: place.to_owned(),
        place: Place::file(),
        what: format!("it does not speak as Postgres does: {what}"),
        remedy: "see that host and port are those of a Postgres server".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A connection to whoever says this, and what it comes to when all must be done in `time`.
    fn heard(time: Duration, say: impl Fn(&mut TcpStream) -> bool + Send + 'static) -> ScanError {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_read_timeout(Some(STEP)).unwrap();
        let talking = std::thread::spawn(move || {
            let (mut to, _) = listener.accept().unwrap();
            while say(&mut to) {}
        });
        let context = ScanContext::default();
        let mut wire = Wire::new(Stream::Plain(stream), "there".to_owned(), &context, time);
        let ended = loop {
            if let Err(error) = wire.next() {
                break error;
            }
        };
        drop(wire);
        talking.join().unwrap();
        ended
    }

    #[test]
    fn a_server_that_keeps_talking_is_stopped_by_the_end_of_the_time() {
        let time = Duration::from_millis(300);
        let notices = |to: &mut TcpStream| to.write_all(b"N\0\0\0\x05\0").is_ok();
        let told = heard(time, notices).to_string();
        assert!(told.contains("goes on and on"), "{told}");
        // A byte at a time of a message that never is whole.
        let trickle = |to: &mut TcpStream| {
            std::thread::sleep(Duration::from_millis(1));
            to.write_all(b"d\0").is_ok()
        };
        let told = heard(time, trickle).to_string();
        assert!(
            told.contains("goes on and on") || told.contains("more than"),
            "{told}"
        );
    }

    #[test]
    fn no_length_is_believed() {
        let time = Duration::from_secs(60);
        for (head, said) in [
            (
                &b"d\x7f\xff\xff\xff"[..],
                "2147483647 bytes, more than 16777216",
            ),
            (b"d\xff\xff\xff\xff", "does not speak as Postgres"),
            (b"N\0\x20\0\0", "2097152 bytes, more than 1048576"),
            (b"Z\0\0\0\x03", "does not speak as Postgres"),
            (b"Z\0\0\0\x04", "does not speak as Postgres"),
            (b"?\0\0\0\x04", "does not speak as Postgres"),
            (b"T\0\0\0\x05\0", "does not speak as Postgres"),
        ] {
            let told = heard(time, move |to| to.write_all(head).is_ok()).to_string();
            assert!(told.contains(said), "{head:?}: {told}");
        }
    }
}
