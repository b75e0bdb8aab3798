//! Messages of the Postgres protocol (version 3) over one connection.
//!
//! In: bytes of a stream that may be encrypted. Out: whole messages, as `postgres-protocol` reads
//! them. No length that a server states is believed: nothing is allocated for a message beyond what
//! has come of it, and one that is too long is refused by its head.

use assay_scan::error::{Place, ScanError};
use postgres_protocol::message::backend::{
    COPY_DATA_TAG, DATA_ROW_TAG, Header, Message, PARAMETER_DESCRIPTION_TAG, ROW_DESCRIPTION_TAG,
};

pub(super) use crate::line::Line as Wire;

/// The longest message that is no row.
const WORD_BYTES: u64 = 1 << 20;

impl Wire {
    /// The server says what no server says.
    pub(super) fn broken(&self, what: impl std::fmt::Display) -> ScanError {
        broken(&self.place, what)
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
    use crate::net::{STEP, Stream};
    use assay_scan::ScanContext;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

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
