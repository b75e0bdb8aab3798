//! A connection to a MySQL or MariaDB server: TCP, TLS, login.
//!
//! In: a machine's address that may be connected to, its name, and what logs in. Out: a [`Wire`] that
//! is ready for commands, and the number by which its statement can be ended. The password itself is
//! sent over an encrypted connection only; where others can read, only a hash of it with what the
//! server has made up. The server is never told that files of this machine could be had.

use std::net::SocketAddr;

use assay_scan::ScanContext;
use assay_scan::error::{Place, ScanError};
use bytes::BytesMut;

use super::auth::{Way, itself};
use super::fault::Fault;
use super::wire::{Parts, WORD_BYTES, Wire, broken};
use crate::line::Line;
use crate::login::Login;
use crate::net::{GREET, Peer, Stream, is_open};

/// What a client of ours can do: names of columns as they are, a database from the start, the
/// protocol since 4.1, transactions, ways to log in by their names. Neither several statements at a
/// time nor files of this machine.
const ABLE: u32 = 1 | 4 | 8 | 0x200 | 0x2000 | 0x8000 | 0x8_0000 | ATTRIBUTES;
/// A connection that says what it is for.
const ATTRIBUTES: u32 = 0x10_0000;
/// Encryption.
const TLS: u32 = 0x800;
/// The protocol since 4.1, and ways to log in by their names.
const NEEDED: u32 = 0x200 | 0x8000 | 0x8_0000;
/// `utf8mb4_general_ci`, which every server knows.
const UTF8: u8 = 45;
/// The longest greeting.
const GREETING: usize = 4096;
/// Messages of a login: there are five at most.
const WORDS: usize = 12;

/// Where a server is and how its connections are made.
#[derive(Clone)]
pub(super) struct Server {
    /// The addresses that were judged, in the order they are tried.
    pub(super) addresses: Vec<SocketAddr>,
    /// The name that its certificate must have.
    pub(super) host: String,
    pub(super) database: String,
    pub(super) login: Login,
    /// The reference that the login was found by.
    pub(super) credential: String,
    /// What errors call the place.
    pub(super) place: String,
}

/// A connection that is logged in.
pub(super) struct Connected {
    pub(super) wire: Wire,
    /// What a statement of the connection is ended by.
    pub(super) id: u32,
    /// Whether it is MariaDB.
    pub(super) maria: bool,
}

/// What a server says first.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Greeting {
    version: String,
    id: u32,
    able: u32,
    made_up: Vec<u8>,
    way: Vec<u8>,
}

impl Greeting {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut parts = Parts(bytes);
        if parts.byte()? != 10 {
            return None;
        }
        let version = String::from_utf8_lossy(parts.until_zero()).into_owned();
        let id = parts.u32()?;
        let mut made_up = parts.bytes(8)?.to_vec();
        parts.byte()?;
        let low = u32::from(parts.u16()?);
        parts.bytes(3)?;
        let able = low | u32::from(parts.u16()?) << 16;
        let length = usize::from(parts.byte()?);
        parts.bytes(10)?;
        made_up.extend_from_slice(parts.bytes(length.saturating_sub(8).max(13))?);
        // It ends with a zero that is no part of it.
        made_up.truncate(20);
        Some(Self {
            version,
            id,
            able,
            made_up,
            way: parts.until_zero().to_vec(),
        })
    }

    /// What both sides can do.
    fn ours(&self) -> u32 {
        self.able & ABLE
    }
}

impl Server {
    fn wrong(&self, what: impl Into<String>, remedy: impl Into<String>) -> ScanError {
        ScanError::Definition {
            path: self.place.clone(),
            place: Place::file(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// What an error of the server means. A server that is told a password may tell it on.
    pub(super) fn fault(&self, packet: &[u8]) -> ScanError {
        let mut fault = Fault::read(packet);
        fault.forget(self.login.password.reveal());
        fault.error(&self.place, &self.credential)
    }

    /// Connects and logs in.
    pub(super) fn connect(&self, context: &ScanContext) -> Result<Connected, ScanError> {
        let peer = Peer {
            addresses: &self.addresses,
            host: &self.host,
            ca: self.login.ca.as_deref(),
            place: &self.place,
            credential: &self.credential,
        };
        let tcp = peer.tcp(context)?;
        let mut head = [0; 4];
        peer.greet(&tcp, context, &[], &mut head)?;
        let length = usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16;
        if length > GREETING || head[3] != 0 {
            return Err(broken(
                &self.place,
                "it does not greet as such a server does",
            ));
        }
        let mut bytes = vec![0; length];
        peer.greet(&tcp, context, &[], &mut bytes)?;
        if bytes.first() == Some(&0xff) {
            return Err(self.fault(&bytes));
        }
        let greeting = Greeting::read(&bytes).filter(|it| it.able & NEEDED == NEEDED);
        let greeting = greeting
            .ok_or_else(|| broken(&self.place, "it greets as no server since MySQL 5.6 does"))?;
        let (stream, next) = if is_open(&self.login, &tcp) {
            (Stream::Plain(tcp), 1)
        } else {
            if greeting.able & TLS == 0 {
                return Err(self.wrong(
                    "the server offers no encrypted connection",
                    "give it a certificate (`ssl_cert`, `ssl_key`), or have the secret say that \
                     the network is trusted (`ssl-mode=DISABLED` in an address, `\"tls\": \"off\"` \
                     in an object)",
                ));
            }
            let ask = able(greeting.ours() | TLS);
            let ask = [&[32, 0, 0, 1][..], &ask].concat();
            peer.greet(&tcp, context, &ask, &mut [])?;
            (peer.encrypted(tcp, context)?, 2)
        };
        let is_encrypted = matches!(stream, Stream::Tls(_));
        let line = Line::new(stream, self.place.clone(), context, GREET);
        let mut wire = Wire::new(line, next);
        self.log_in(&mut wire, &greeting, is_encrypted)?;
        Ok(Connected {
            wire,
            id: greeting.id,
            maria: greeting.version.contains("MariaDB"),
        })
    }

    fn log_in(
        &self,
        wire: &mut Wire,
        greeting: &Greeting,
        is_encrypted: bool,
    ) -> Result<(), ScanError> {
        let password = self.login.password.reveal();
        // Another way than the server's own has it name one that is the role's.
        let mut way = Way::named(&greeting.way)
            .filter(|way| *way != Way::Itself)
            .unwrap_or(Way::Native);
        let first = way.answer(password, &greeting.made_up, is_encrypted);
        let ours = greeting.ours();
        let mut said = able(ours | if is_encrypted { TLS } else { 0 });
        let answer = first.unwrap_or_default();
        said.extend_from_slice(self.login.user.as_bytes());
        said.push(0);
        // At most 32 bytes.
        said.push(u8::try_from(answer.len()).unwrap_or(0));
        said.extend_from_slice(&answer);
        said.extend_from_slice(self.database.replace('\0', "").as_bytes());
        said.push(0);
        said.extend_from_slice(way.name().as_bytes());
        said.push(0);
        if ours & ATTRIBUTES != 0 {
            said.extend_from_slice(&attributes());
        }
        wire.send(&said)?;
        for _ in 0..WORDS {
            let packet = wire.packet(WORD_BYTES)?;
            match packet.first() {
                Some(0) => return Ok(()),
                Some(0xff) => return Err(self.fault(&packet)),
                Some(0xfe) => way = self.other_way(wire, &packet, is_encrypted)?,
                Some(1) if way == Way::CachingSha2 => match packet.get(1..) {
                    // It knows the hash already.
                    Some([3]) => {}
                    Some([4]) if is_encrypted => wire.send(&itself(password))?,
                    Some([4]) => return Err(self.in_the_open()),
                    _ => return Err(wire.broken("a login out of order")),
                },
                _ => return Err(wire.broken("a login out of order")),
            }
        }
        Err(wire.broken("a login without an end"))
    }

    /// Answers a server that asks for another way to log in.
    fn other_way(
        &self,
        wire: &mut Wire,
        packet: &BytesMut,
        is_encrypted: bool,
    ) -> Result<Way, ScanError> {
        let mut parts = Parts(packet.get(1..).unwrap_or_default());
        let name = parts.until_zero();
        let Some(way) = Way::named(name) else {
            let name: String = String::from_utf8_lossy(name).chars().take(60).collect();
            return Err(self.wrong(
                format!("the server asks for the way to log in `{name}`, which is not known here"),
                "have the user identified by mysql_native_password or caching_sha2_password",
            ));
        };
        let answer = way.answer(self.login.password.reveal(), parts.0, is_encrypted);
        wire.send(&answer.ok_or_else(|| self.in_the_open())?)?;
        Ok(way)
    }

    fn in_the_open(&self) -> ScanError {
        self.wrong(
            "the server asks for the password itself, and others could read the connection",
            "let the connection be encrypted: put the authority's certificate into `ca` of the \
             secret, and say nothing of `tls` there",
        )
    }

    /// Has the server end a connection and its statement. It is told nothing if it cannot be.
    pub(super) fn end(&self, id: u32) {
        // The task may be stopped: that is why.
        let Ok(mut connected) = self.connect(&ScanContext::default()) else {
            return;
        };
        let statement = format!("KILL CONNECTION {id}");
        // It may be gone by now.
        if connected.wire.command(3, statement.as_bytes()).is_ok() {
            let _ = connected.wire.packet(WORD_BYTES);
        }
    }
}

/// How a client begins to speak.
fn able(able: u32) -> Vec<u8> {
    let mut said = able.to_le_bytes().to_vec();
    said.extend_from_slice(&(1u32 << 30).to_le_bytes());
    said.push(UTF8);
    said.extend_from_slice(&[0; 23]);
    said
}

/// How connections are named in `performance_schema`.
fn attributes() -> Vec<u8> {
    let pair = ["program_name", super::session::APPLICATION];
    let mut all = Vec::new();
    for text in pair {
        // Both are short.
        all.push(u8::try_from(text.len()).unwrap_or(0));
        all.extend_from_slice(text.as_bytes());
    }
    let mut counted = vec![u8::try_from(all.len()).unwrap_or(0)];
    counted.append(&mut all);
    counted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn greeting() -> Vec<u8> {
        let mut bytes = b"\x0a5.5.5-10.11.19-MariaDB\0".to_vec();
        bytes.extend_from_slice(&7u32.to_le_bytes());
        bytes.extend_from_slice(b"01234567\0");
        bytes.extend_from_slice(&[0xfe, 0xf7, 45, 2, 0, 0xff, 0x81, 21]);
        bytes.extend_from_slice(&[0; 10]);
        bytes.extend_from_slice(b"89abcdefghij\0mysql_native_password\0");
        bytes
    }

    #[test]
    fn a_greeting_is_read() {
        let read = Greeting::read(&greeting()).unwrap();
        assert_eq!(read.version, "5.5.5-10.11.19-MariaDB");
        assert_eq!((read.id, read.able), (7, 0x81ff_f7fe));
        assert_eq!(read.made_up, b"0123456789abcdefghij");
        assert_eq!(read.way, b"mysql_native_password");
    }

    proptest! {
        #[test]
        fn a_greeting_that_ends_early_is_none(length in 0usize..90, byte in any::<u8>(), at in 0usize..90) {
            let mut bytes = greeting();
            let whole = bytes.len() - b"mysql_native_password\0".len();
            let length = length.min(bytes.len());
            prop_assert_eq!(Greeting::read(&bytes[..length]).is_some(), length >= whole);
            if let Some(changed) = bytes.get_mut(at) {
                *changed = byte;
            }
            let _ = Greeting::read(&bytes);
        }
    }
}
