//! A connection to a Postgres server: TCP, TLS, login.
//!
//! In: a machine's address that may be connected to, its name, and what logs in. Out: a [`Wire`]
//! that is ready for statements, and the marks by which a statement can be cancelled. The name is
//! looked up by the caller, once; the certificate is verified against the name. A password is sent
//! over a connection that others can read only where the secret says so or the server is on
//! loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use assay_scan::ScanContext;
use assay_scan::error::{Place, ScanError};
use md5::{Digest, Md5};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::fault::Fault;
use super::login::Login;
use super::scram::Scram;
use super::wire::{STEP, Stream, Wire, message, text};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

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

/// What a statement of a connection is cancelled by.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CancelKey {
    pub(super) process: u32,
    key: u32,
}

/// A connection that is logged in.
pub(super) struct Connected {
    pub(super) wire: Wire,
    pub(super) cancel: CancelKey,
    pub(super) encoding: String,
}

impl Server {
    fn away(&self, what: String) -> ScanError {
        ScanError::Away {
            path: self.place.clone(),
            what,
        }
    }

    fn wrong(&self, what: impl Into<String>, remedy: impl Into<String>) -> ScanError {
        ScanError::Definition {
            path: self.place.clone(),
            place: Place::file(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    fn tcp(&self) -> Result<TcpStream, ScanError> {
        let mut failed = "the name has no address".to_owned();
        // Each was judged; a name may have one that nothing listens at.
        for address in &self.addresses {
            let made = TcpStream::connect_timeout(address, CONNECT).and_then(|stream| {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(Duration::from_secs(30)))?;
                stream.set_read_timeout(Some(CONNECT))?;
                Ok(stream)
            });
            match made {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = format!("no connection to {address}: {error}"),
            }
        }
        Err(self.away(failed))
    }

    /// A stream as safe as it has to be.
    fn stream(&self) -> Result<Stream, ScanError> {
        let mut tcp = self.tcp()?;
        let here = tcp.peer_addr().is_ok_and(|peer| peer.ip().is_loopback());
        let open = self.login.plain || here && self.login.ca.is_none();
        if open {
            return Ok(Stream::Plain(tcp));
        }
        let lost = |error: std::io::Error| self.away(format!("the connection is lost: {error}"));
        let mut answer = [0];
        tcp.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).map_err(lost)?;
        tcp.read_exact(&mut answer).map_err(lost)?;
        if answer != *b"S" {
            return Err(self.wrong(
                "the server offers no encrypted connection",
                "turn `ssl` on there, or have the secret say that the network is trusted \
                 (`sslmode=disable` in an address, `\"tls\": \"off\"` in an object)",
            ));
        }
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| self.wrong("the host is no name of a machine", "correct `host`"))?;
        let connection = ClientConnection::new(self.trust()?, name).map_err(|error| {
            self.wrong(format!("no encrypted connection: {error}"), "see the node")
        })?;
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            if let Err(error) = stream.conn.complete_io(&mut stream.sock) {
                let refused = error
                    .get_ref()
                    .is_some_and(|inner| inner.is::<rustls::Error>());
                return Err(if refused {
                    self.wrong(
                        format!("its certificate is refused: {error}"),
                        "put the authority's certificate into `ca` of the secret, or among those \
                         that the machine trusts; `host` must be a name in the certificate",
                    )
                } else {
                    lost(error)
                });
            }
        }
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// Whose certificates are trusted.
    fn trust(&self) -> Result<Arc<ClientConfig>, ScanError> {
        let mut roots = RootCertStore::empty();
        match &self.login.ca {
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    let added = certificate.ok().and_then(|one| roots.add(one).ok());
                    if added.is_none() {
                        let what = format!("`ca` in {} is no certificate in PEM", self.credential);
                        return Err(self.wrong(what, "correct it"));
                    }
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = versions.map_err(|error| {
            self.wrong(format!("no encrypted connection: {error}"), "see the node")
        })?;
        Ok(Arc::new(
            config.with_root_certificates(roots).with_no_client_auth(),
        ))
    }

    /// Connects and logs in.
    pub(super) fn connect(&self, context: &ScanContext) -> Result<Connected, ScanError> {
        let stream = self.stream()?;
        let tcp = match &stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref(),
        };
        tcp.set_read_timeout(Some(STEP))
            .map_err(|error| self.away(error.to_string()))?;
        let mut wire = Wire::new(stream, self.place.clone(), context);
        wire.send(&self.startup())?;
        self.authenticate(wire)
    }

    fn startup(&self) -> Vec<u8> {
        let mut body = 196_608u32.to_be_bytes().to_vec();
        for text in [
            "user",
            &self.login.user,
            "database",
            &self.database,
            "application_name",
            super::session::APPLICATION,
            "client_encoding",
            "UTF8",
            "DateStyle",
            "ISO, YMD",
            "TimeZone",
            "UTC",
            "extra_float_digits",
            "1",
        ] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
        body.push(0);
        let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
        [&length.to_be_bytes()[..], &body].concat()
    }

    fn authenticate(&self, mut wire: Wire) -> Result<Connected, ScanError> {
        let mut scram = None;
        let mut cancel = CancelKey::default();
        let mut encoding = String::new();
        loop {
            let (kind, at) = wire.next()?;
            let body = wire.body(at).to_vec();
            match kind {
                b'R' => {
                    if let Some(answer) = self.answer(&wire, &body, &mut scram)? {
                        wire.send(&message(b'p', &answer))?;
                    }
                }
                b'K' => {
                    let number = |at: usize| {
                        let bytes = body.get(at..at + 4).and_then(|b| b.try_into().ok());
                        bytes.map(u32::from_be_bytes).unwrap_or_default()
                    };
                    cancel = CancelKey {
                        process: number(0),
                        key: number(4),
                    };
                }
                b'S' => {
                    let (name, rest) = text(&body);
                    let (value, _) = text(rest);
                    if name == "server_encoding" {
                        encoding = value;
                    }
                }
                b'Z' => {
                    return Ok(Connected {
                        wire,
                        cancel,
                        encoding,
                    });
                }
                b'E' => return Err(Fault::read(&body).error(&self.place, &self.credential)),
                b'N' | b'v' => {}
                _ => return Err(wire.broken("an unknown message while logging in")),
            }
        }
    }

    /// The answer to a demand for authentication; `None` when nothing is to be answered.
    fn answer(
        &self,
        wire: &Wire,
        body: &[u8],
        scram: &mut Option<Scram>,
    ) -> Result<Option<Vec<u8>>, ScanError> {
        let (kind, rest) = body.split_at_checked(4).unwrap_or((&[], &[]));
        let kind: [u8; 4] = kind.try_into().unwrap_or([255; 4]);
        let password = self.login.password.reveal();
        let said = || String::from_utf8_lossy(rest).into_owned();
        let refused = |what: &str| self.wrong(what, "see who answers at that address");
        match u32::from_be_bytes(kind) {
            0 => match scram {
                Some(begun) if !begun.is_done() => Err(refused(
                    "the server has not shown that it knows the password",
                )),
                _ => Ok(None),
            },
            3 => Ok(Some([password.as_bytes(), &[0]].concat())),
            5 => Ok(Some(md5_answer(&self.login.user, password, rest))),
            10 => {
                if !rest
                    .split(|byte| *byte == 0)
                    .any(|name| name == b"SCRAM-SHA-256")
                {
                    return Err(wire.broken("it knows no way to log in that is known here"));
                }
                let begun = Scram::new(password, nonce());
                let first = begun.first();
                *scram = Some(begun);
                let length = u32::try_from(first.len()).unwrap_or(u32::MAX).to_be_bytes();
                Ok(Some(
                    [b"SCRAM-SHA-256\0", &length[..], first.as_bytes()].concat(),
                ))
            }
            11 => {
                let begun = scram
                    .as_mut()
                    .ok_or_else(|| wire.broken("a login out of order"))?;
                let answer = begun.answer(&said()).map_err(refused)?;
                Ok(Some(answer.into_bytes()))
            }
            12 => {
                let begun = scram
                    .as_mut()
                    .ok_or_else(|| wire.broken("a login out of order"))?;
                if begun.is_proven(&said()) {
                    return Ok(None);
                }
                Err(refused(
                    "the server has not shown that it knows the password",
                ))
            }
            _ => Err(self.wrong(
                "the server asks for a way to log in that is not known here",
                "let the role log in by password (scram-sha-256) in pg_hba.conf",
            )),
        }
    }

    /// Has the server end the statement of a connection. It is told nothing if it cannot be.
    pub(super) fn cancel(&self, key: CancelKey) {
        if key.process == 0 {
            return;
        }
        let Ok(mut stream) = self.stream() else {
            return;
        };
        let mut bytes = vec![0, 0, 0, 16, 4, 210, 22, 46];
        bytes.extend_from_slice(&key.process.to_be_bytes());
        bytes.extend_from_slice(&key.key.to_be_bytes());
        // The server ends the connection without an answer; it may be gone altogether.
        if stream.write_all(&bytes).is_ok() {
            let _ = stream.read(&mut [0]);
        }
    }
}

/// The answer of the old way to log in: never the password itself.
fn md5_answer(user: &str, password: &str, salt: &[u8]) -> Vec<u8> {
    let hex = |digest: &[u8]| {
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let inner = hex(&Md5::digest(
        [password.as_bytes(), user.as_bytes()].concat(),
    ));
    let outer = hex(&Md5::digest([inner.as_bytes(), salt].concat()));
    format!("md5{outer}\0").into_bytes()
}

fn nonce() -> String {
    let random = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
    format!("{}{}", random[0].simple(), random[1].simple())
}
