//! A connection to a Postgres server: TCP, TLS, login.
//!
//! In: a machine's address that may be connected to, its name, and what logs in. Out: a [`Wire`]
//! that is ready for statements, and the marks by which a statement can be cancelled. The name is
//! looked up by the caller, once; the certificate is verified against the name. A password is sent
//! over a connection that others can read only where the secret says so or the server is on
//! loopback.

use std::net::SocketAddr;

use assay_scan::ScanContext;
use assay_scan::error::{Place, ScanError};
use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::SCRAM_SHA_256;
use postgres_protocol::message::backend::{ErrorFields, Message};
use postgres_protocol::message::frontend;

use super::fault::Fault;
use super::scram::Scram;
use super::wire::Wire;
use crate::login::Login;
use crate::net::{GREET, Peer, Stream, is_open};

/// Messages of a login: a server tells about twenty.
const WORDS: usize = 1_000;

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
    /// How its connections are named in `pg_stat_activity`.
    pub(super) application: &'static str,
}

/// What a statement of a connection is cancelled by.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CancelKey {
    process: i32,
    key: i32,
}

/// A connection that is logged in.
pub(super) struct Connected {
    pub(super) wire: Wire,
    pub(super) cancel: CancelKey,
    pub(super) encoding: String,
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

    /// What an error message of the server means. A server that is told a password may tell it on.
    pub(super) fn fault(&self, fields: ErrorFields<'_>) -> ScanError {
        let mut fault = Fault::read(fields);
        fault.forget(self.login.password.reveal());
        fault.error(&self.place, &self.credential)
    }

    fn peer(&self) -> Peer<'_> {
        Peer {
            addresses: &self.addresses,
            host: &self.host,
            ca: self.login.ca.as_deref(),
            place: &self.place,
            credential: &self.credential,
        }
    }

    /// A stream as safe as it has to be.
    fn stream(&self, context: &ScanContext) -> Result<Stream, ScanError> {
        let peer = self.peer();
        let tcp = peer.tcp(context)?;
        if is_open(&self.login, &tcp) {
            return Ok(Stream::Plain(tcp));
        }
        let (mut answer, mut ask) = ([0], BytesMut::new());
        frontend::ssl_request(&mut ask);
        peer.greet(&tcp, context, &ask, &mut answer)?;
        if answer != *b"S" {
            return Err(self.wrong(
                "the server offers no encrypted connection",
                "turn `ssl` on there, or have the secret say that the network is trusted \
                 (`sslmode=disable` in an address, `\"tls\": \"off\"` in an object)",
            ));
        }
        peer.encrypted(tcp, context)
    }

    /// Connects and logs in.
    pub(super) fn connect(&self, context: &ScanContext) -> Result<Connected, ScanError> {
        let stream = self.stream(context)?;
        let mut wire = Wire::new(stream, self.place.clone(), context, GREET);
        let mut bytes = BytesMut::new();
        let told = [
            ("user", self.login.user.as_str()),
            ("database", &self.database),
            ("application_name", self.application),
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO, YMD"),
            ("TimeZone", "UTC"),
            ("extra_float_digits", "1"),
        ];
        self.sayable(frontend::startup_message(told, &mut bytes))?;
        wire.send(&bytes)?;
        self.authenticate(wire)
    }

    /// A message could not be made.
    pub(super) fn sayable<T>(&self, made: std::io::Result<T>) -> Result<T, ScanError> {
        made.map_err(|error| self.wrong(format!("it cannot be said: {error}"), "correct the name"))
    }

    fn authenticate(&self, mut wire: Wire) -> Result<Connected, ScanError> {
        let mut scram = None;
        let mut cancel = CancelKey::default();
        let mut encoding = String::new();
        for _ in 0..WORDS {
            match wire.next()? {
                Message::BackendKeyData(body) => {
                    cancel = CancelKey {
                        process: body.process_id(),
                        key: body.secret_key(),
                    };
                }
                Message::ParameterStatus(body) => {
                    if body.name().ok() == Some("server_encoding") {
                        encoding = body.value().unwrap_or_default().to_owned();
                    }
                }
                Message::ReadyForQuery(_) => {
                    return Ok(Connected {
                        wire,
                        cancel,
                        encoding,
                    });
                }
                Message::ErrorResponse(body) => return Err(self.fault(body.fields())),
                Message::NoticeResponse(_) => {}
                other => {
                    if let Some(answer) = self.answer(&wire, &other, &mut scram)? {
                        wire.send(&answer)?;
                    }
                }
            }
        }
        Err(wire.broken("a login without an end"))
    }

    /// The answer to a demand for authentication; `None` when nothing is to be answered.
    fn answer(
        &self,
        wire: &Wire,
        asked: &Message,
        scram: &mut Option<Scram>,
    ) -> Result<Option<BytesMut>, ScanError> {
        let password = self.login.password.reveal();
        let refused = |what: String| self.wrong(what, "see who answers at that address");
        let unproven = || refused("the server has not shown that it knows the password".to_owned());
        let disorder = || wire.broken("a login out of order");
        let mut bytes = BytesMut::new();
        match asked {
            Message::AuthenticationOk => match scram {
                Some(begun) if !begun.is_done() => return Err(unproven()),
                _ => return Ok(None),
            },
            // Not after it has begun to prove itself: it would learn what it could not prove.
            Message::AuthenticationCleartextPassword if scram.is_none() => {
                self.sayable(frontend::password_message(password.as_bytes(), &mut bytes))?;
            }
            Message::AuthenticationMd5Password(body) if scram.is_none() => {
                let user = self.login.user.as_bytes();
                let hashed = md5_hash(user, password.as_bytes(), body.salt());
                self.sayable(frontend::password_message(hashed.as_bytes(), &mut bytes))?;
            }
            Message::AuthenticationSasl(body) if scram.is_none() => {
                let known = body.mechanisms().any(|name| Ok(name == SCRAM_SHA_256));
                if !known.map_err(|error| wire.broken(error))? {
                    return Err(wire.broken("it knows no way to log in that is known here"));
                }
                let begun = scram.insert(Scram::new(password));
                let first = begun.first().as_bytes();
                let said = frontend::sasl_initial_response(SCRAM_SHA_256, first, &mut bytes);
                self.sayable(said)?;
            }
            Message::AuthenticationSaslContinue(body) => {
                let begun = scram.as_mut().ok_or_else(disorder)?;
                let answer = begun.answer(body.data()).map_err(refused)?;
                self.sayable(frontend::sasl_response(&answer, &mut bytes))?;
            }
            Message::AuthenticationSaslFinal(body) => {
                let begun = scram.as_mut().ok_or_else(disorder)?;
                if !begun.is_proven(body.data()) {
                    return Err(unproven());
                }
                return Ok(None);
            }
            Message::AuthenticationGss
            | Message::AuthenticationSspi
            | Message::AuthenticationKerberosV5
            | Message::AuthenticationScmCredential => {
                return Err(self.wrong(
                    "the server asks for a way to log in that is not known here",
                    "let the role log in by password (scram-sha-256) in pg_hba.conf",
                ));
            }
            _ => return Err(disorder()),
        }
        Ok(Some(bytes))
    }

    /// Has the server end the statement of a connection. It is told nothing if it cannot be.
    pub(super) fn cancel(&self, key: CancelKey) {
        if key.process == 0 {
            return;
        }
        // The task may be stopped: that is why.
        let Ok(mut stream) = self.stream(&ScanContext::default()) else {
            return;
        };
        let mut bytes = BytesMut::new();
        frontend::cancel_request(key.process, key.key, &mut bytes);
        // The server ends the connection without an answer; it may be gone altogether.
        if stream.write_all(&bytes).is_ok() {
            let _ = stream.read(&mut [0]);
        }
    }
}
