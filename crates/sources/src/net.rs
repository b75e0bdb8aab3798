//! Connections to machines: TCP to the addresses that were judged, and TLS on it.
//!
//! In: a machine's addresses that may be connected to, its name, and whose certificates are trusted.
//! Out: a stream. The name is looked up by the caller, once; the certificate is verified against the
//! name. No thread is needed, and whoever waits stops when the task is stopped.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_scan::ScanContext;
use assay_scan::error::{Place, ScanError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::login::Login;

/// How long a connection may take to be made, to each address.
const CONNECT: Duration = Duration::from_secs(5);
/// How long it may take to be encrypted, and then to log in.
pub(crate) const GREET: Duration = Duration::from_secs(20);
/// Addresses of a name that are tried.
const ADDRESSES: usize = 8;
/// How long a read waits at a time.
pub(crate) const STEP: Duration = Duration::from_millis(100);

/// The stream below.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    pub(crate) fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(to),
            Self::Tls(stream) => stream.read(to),
        }
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }
}

/// Whether a connection may be one that others can read: where the secret says so, or on loopback.
pub(crate) fn is_open(login: &Login, tcp: &TcpStream) -> bool {
    let here = tcp.peer_addr().is_ok_and(|peer| peer.ip().is_loopback());
    login.plain || here && login.ca.is_none()
}

/// A machine that is connected to.
pub(crate) struct Peer<'a> {
    /// The addresses that were judged, in the order they are tried.
    pub(crate) addresses: &'a [SocketAddr],
    /// The name that its certificate must have.
    pub(crate) host: &'a str,
    /// Certificates of the authority, in PEM, instead of the machine's.
    pub(crate) ca: Option<&'a str>,
    /// What errors call the place.
    pub(crate) place: &'a str,
    /// The reference that the login was found by.
    pub(crate) credential: &'a str,
}

impl Peer<'_> {
    fn away(&self, what: String) -> ScanError {
        ScanError::Away {
            path: self.place.to_owned(),
            what,
        }
    }

    fn wrong(&self, what: impl Into<String>, remedy: impl Into<String>) -> ScanError {
        ScanError::Definition {
            path: self.place.to_owned(),
            place: Place::file(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    fn lost(&self, context: &ScanContext, error: &std::io::Error) -> ScanError {
        let stopped = context.check(self.place).err();
        stopped.unwrap_or_else(|| self.away(format!("the connection is lost: {error}")))
    }

    /// A connection to the first address that takes one.
    pub(crate) fn tcp(&self, context: &ScanContext) -> Result<TcpStream, ScanError> {
        let mut failed = "the name has no address".to_owned();
        // Each was judged; a name may have one that nothing listens at.
        for address in self.addresses.iter().take(ADDRESSES) {
            context.check(self.place)?;
            let made = TcpStream::connect_timeout(address, CONNECT).and_then(|stream| {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(Duration::from_secs(30)))?;
                stream.set_read_timeout(Some(STEP))?;
                Ok(stream)
            });
            match made {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = format!("no connection to {address}: {error}"),
            }
        }
        Err(self.away(failed))
    }

    /// Says what asks for encryption, if anything does, and fills `answer` with what comes.
    pub(crate) fn greet(
        &self,
        tcp: &TcpStream,
        context: &ScanContext,
        ask: &[u8],
        answer: &mut [u8],
    ) -> Result<(), ScanError> {
        let mut paced = Paced::new(tcp, context);
        let said = paced.write_all(ask).and_then(|()| paced.read_exact(answer));
        said.map_err(|error| self.lost(context, &error))
    }

    /// The connection, encrypted from here on.
    pub(crate) fn encrypted(
        &self,
        tcp: TcpStream,
        context: &ScanContext,
    ) -> Result<Stream, ScanError> {
        let name = ServerName::try_from(self.host.to_owned())
            .map_err(|_| self.wrong("the host is no name of a machine", "correct `host`"))?;
        let connection = ClientConnection::new(self.trust()?, name).map_err(|error| {
            self.wrong(format!("no encrypted connection: {error}"), "see the node")
        });
        let mut connection = connection?;
        let mut paced = Paced::new(&tcp, context);
        while connection.is_handshaking() {
            if let Err(error) = connection.complete_io(&mut paced) {
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
                    self.lost(context, &error)
                });
            }
        }
        Ok(Stream::Tls(Box::new(StreamOwned::new(connection, tcp))))
    }

    /// Whose certificates are trusted.
    fn trust(&self) -> Result<Arc<ClientConfig>, ScanError> {
        let mut roots = RootCertStore::empty();
        match self.ca {
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
}

/// A stream on which all must be said and heard in [`GREET`], unless the task is stopped before.
struct Paced<'a> {
    stream: &'a TcpStream,
    context: &'a ScanContext,
    until: Instant,
}

impl<'a> Paced<'a> {
    fn new(stream: &'a TcpStream, context: &'a ScanContext) -> Self {
        Self {
            stream,
            context,
            until: Instant::now() + GREET,
        }
    }
}

impl Read for Paced<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if self.context.check("").is_err() {
                return Err(std::io::Error::other("the task is stopped"));
            }
            if Instant::now() > self.until {
                let late = format!("not encrypted within {} s", GREET.as_secs());
                return Err(std::io::Error::new(ErrorKind::TimedOut, late));
            }
            match self.stream.read(to) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                read => return read,
            }
        }
    }
}

impl Write for Paced<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}
