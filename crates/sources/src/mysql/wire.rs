//! Packets of the MySQL protocol over one connection.
//!
//! In: bytes of a stream that may be encrypted. Out: whole packets, in their order. No length that a
//! server states is believed: nothing is allocated for a packet beyond what has come of it, and one
//! that is too long is refused by its head.

use assay_scan::error::{Place, ScanError};
use bytes::BytesMut;

use crate::line::Line;

/// The longest packet that is no row.
pub(super) const WORD_BYTES: u64 = 1 << 20;
/// A packet of this length goes on in the next one.
const FULL: usize = 0xff_ff_ff;

/// One connection.
pub(super) struct Wire {
    pub(super) line: Line,
    /// The number that the next packet has, from whichever side.
    next: u8,
}

impl Wire {
    /// A connection whose next packet has this number.
    pub(super) fn new(line: Line, next: u8) -> Self {
        Self { line, next }
    }

    /// The server says what no server says.
    pub(super) fn broken(&self, what: impl std::fmt::Display) -> ScanError {
        broken(&self.line.place, what)
    }

    /// Sends a command, which begins a new exchange.
    pub(super) fn command(&mut self, kind: u8, body: &[u8]) -> Result<(), ScanError> {
        self.next = 0;
        self.send(&[&[kind], body].concat())
    }

    /// Sends one packet of the exchange.
    pub(super) fn send(&mut self, body: &[u8]) -> Result<(), ScanError> {
        let mut bytes = Vec::with_capacity(body.len() + 8);
        let mut rest = body;
        loop {
            let (part, more) = rest.split_at(rest.len().min(FULL));
            bytes.extend_from_slice(&part.len().to_le_bytes()[..3]);
            bytes.push(self.next);
            bytes.extend_from_slice(part);
            self.next = self.next.wrapping_add(1);
            rest = more;
            if part.len() < FULL {
                break;
            }
        }
        self.line.send(&bytes)
    }

    /// The next packet, of at most so many bytes.
    pub(super) fn packet(&mut self, most: u64) -> Result<BytesMut, ScanError> {
        let mut whole = BytesMut::new();
        loop {
            self.line.check()?;
            self.line.fill(4)?;
            let head = [0, 1, 2].map(|at| usize::from(self.line.inbox[at]));
            let length = head[0] | head[1] << 8 | head[2] << 16;
            if self.line.inbox[3] != self.next {
                return Err(self.broken("packets out of their order"));
            }
            self.next = self.next.wrapping_add(1);
            let all = (whole.len() + length) as u64;
            if all > most {
                return Err(self.line.too_long(all, most));
            }
            // What was announced is within the bound; memory is taken for what comes.
            self.line.fill(4 + length)?;
            let mut part = self.line.inbox.split_to(4 + length);
            let part = part.split_off(4);
            if whole.is_empty() {
                whole = part;
            } else {
                whole.extend_from_slice(&part);
            }
            if length < FULL {
                return Ok(whole);
            }
        }
    }
}

/// The server at a place says what no server says.
pub(super) fn broken(place: &str, what: impl std::fmt::Display) -> ScanError {
    ScanError::Unsupported {
        path: place.to_owned(),
        place: Place::file(),
        what: format!("it does not speak as MySQL does: {what}"),
        remedy: "see that host and port are those of a MySQL or MariaDB server".to_owned(),
    }
}

/// Reads the parts of a packet; `None` where it ends early.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a>(pub(super) &'a [u8]);

impl<'a> Parts<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.fixed::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.fixed().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.fixed().map(u32::from_le_bytes)
    }

    /// A number in one, three, four or nine bytes.
    pub(super) fn count(&mut self) -> Option<u64> {
        match self.byte()? {
            small @ 0..=0xfa => Some(u64::from(small)),
            0xfc => self.u16().map(u64::from),
            0xfd => {
                let [a, b, c] = self.fixed()?;
                Some(u64::from(u32::from_le_bytes([a, b, c, 0])))
            }
            0xfe => self.fixed().map(u64::from_le_bytes),
            _ => None,
        }
    }

    /// Bytes behind their count.
    pub(super) fn counted(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.count()?).ok()?;
        self.bytes(count)
    }

    /// Bytes up to a zero, or to the end.
    pub(super) fn until_zero(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0);
        let (taken, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest.get(1..).unwrap_or_default();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{STEP, Stream};
    use assay_scan::ScanContext;
    use proptest::prelude::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    /// What a connection to whoever says this comes to when all must be done in `time`.
    fn heard(time: Duration, say: impl Fn(&mut TcpStream) -> bool + Send + 'static) -> ScanError {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_read_timeout(Some(STEP)).unwrap();
        let talking = std::thread::spawn(move || {
            let (mut to, _) = listener.accept().unwrap();
            while say(&mut to) {}
        });
        let context = ScanContext::default();
        let line = Line::new(Stream::Plain(stream), "there".to_owned(), &context, time);
        let mut wire = Wire::new(line, 0);
        let ended = loop {
            if let Err(error) = wire.packet(WORD_BYTES) {
                break error;
            }
        };
        drop(wire);
        talking.join().unwrap();
        ended
    }

    #[test]
    fn no_length_is_believed_and_no_order_but_the_right_one() {
        for (head, said) in [
            (&b"\xff\xff\xff\0"[..], "16777215 bytes, more than 1048576"),
            (b"\x01\0\0\x05x", "packets out of their order"),
        ] {
            let told = heard(Duration::from_secs(60), move |to| {
                to.write_all(head).is_ok()
            });
            assert!(told.to_string().contains(said), "{head:?}: {told}");
        }
    }

    #[test]
    fn a_server_that_keeps_talking_is_stopped_by_the_end_of_the_time() {
        let number = std::sync::atomic::AtomicU8::new(0);
        let empty = move |to: &mut TcpStream| {
            let next = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            to.write_all(&[0, 0, 0, next]).is_ok()
        };
        let told = heard(Duration::from_millis(300), empty).to_string();
        assert!(told.contains("goes on and on"), "{told}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut parts = Parts(&bytes);
            while let Some(part) = parts.counted() {
                prop_assert!(part.len() <= bytes.len());
            }
            parts.until_zero();
        }
    }
}
