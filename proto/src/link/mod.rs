//! How a channel to a manager is opened, and how a manager accepts it: over TCP, with mutual TLS or
//! without, or inside one process.
//!
//! Comes in: an address, or the manager's in-process [`Doorway`]. Goes out: a channel with pings,
//! deadlines and bounds set. It must never open a channel without them: a half-open socket would
//! hang for ever.

mod accept;
mod leader;
mod peer;
mod tls;
mod validity;
mod words;

pub use accept::{Connection, accept};
pub use leader::{Led, NoLeader, ask_leader};
pub use peer::{Identity, Peer, PeerRole, URI_PREFIX};
pub use tls::{Shown, Tls, TlsError, TlsFiles};
pub use words::{causes, why};

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::limits::{
    CALL_TIMEOUT, CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT, HEADER_BYTES_MAX, PING_INTERVAL, PING_TIMEOUT,
};

/// Bytes that an in-process connection buffers in each direction.
const DUPLEX_BYTES: usize = 256 << 10;

/// Where a manager is reached.
#[derive(Debug, Clone)]
pub enum Door {
    /// Over TCP: `http://127.0.0.1:8081`.
    Tcp(String),
    /// Over TCP with mutual TLS: `https://manager-1.example:8081`. The name must be one of the
    /// manager's certificate, unless [`Tls::expecting`] has named another.
    Tls(String, Tls),
    /// In this process.
    Local(Doorway),
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) | Self::Tls(address, _) => f.write_str(address),
            Self::Local(_) => f.write_str("this process"),
        }
    }
}

/// The in-process door of a manager: each knock is a connection over a pipe in memory.
#[derive(Debug, Clone)]
pub struct Doorway {
    knocks: mpsc::Sender<DuplexStream>,
    name: Arc<str>,
}

impl Doorway {
    /// A doorway and the manager's end of it.
    #[must_use]
    pub fn new(name: &str) -> (Self, mpsc::Receiver<DuplexStream>) {
        let (knocks, arrivals) = mpsc::channel(64);
        let doorway = Self {
            knocks,
            name: Arc::from(name),
        };
        (doorway, arrivals)
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// `ConnectionRefused` when the manager is gone.
    pub async fn knock(&self) -> io::Result<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(DUPLEX_BYTES);
        self.knocks.send(theirs).await.map_err(|_| {
            io::Error::new(
                io::ErrorKind::ConnectionRefused,
                format!("the manager {} has stopped", self.name),
            )
        })?;
        Ok(ours)
    }
}

/// The metadata of a refusal that names the address of the manager that leads.
pub const LEADER_HEADER: &str = "assay-leader";

/// The metadata of a refusal that names the run that a key belongs to, when it is another one than
/// was asked for.
pub const EXISTING_RUN_HEADER: &str = "assay-existing-run";

/// The address of the leader that a manager that does not lead has named.
#[must_use]
pub fn leader_of(refusal: &tonic::Status) -> Option<String> {
    let address = refusal.metadata().get(LEADER_HEADER)?.to_str().ok()?;
    (!address.is_empty()).then(|| address.to_owned())
}

impl Door {
    /// The door at `address`: over TLS, if there are files for it.
    #[must_use]
    pub fn at(address: String, tls: Option<&Tls>) -> Self {
        match tls {
            Some(tls) => Self::Tls(address, tls.clone()),
            None => Self::Tcp(address),
        }
    }

    /// The door of another manager of the same cluster; `None` from inside one process.
    #[must_use]
    pub fn beside(&self, address: String) -> Option<Self> {
        match self {
            Self::Tcp(_) => Some(Self::Tcp(address)),
            Self::Tls(_, tls) => Some(Self::Tls(address, tls.clone())),
            Self::Local(_) => None,
        }
    }

    /// Opens a channel. It sets no deadline on calls, since streams have none: see [`unary`].
    ///
    /// # Errors
    /// The transport's error when the address is malformed or nobody answers.
    pub async fn open(&self) -> Result<Channel, tonic::transport::Error> {
        match self {
            Self::Tcp(address) => endpoint(address.clone())?.connect().await,
            Self::Tls(address, tls) => {
                // The transport sees plain HTTP/2: what is beneath it is secured here, by files
                // that may change between two connections.
                let plain = match address.strip_prefix("https://") {
                    Some(rest) => format!("http://{rest}"),
                    None => address.clone(),
                };
                let tls = tls.clone();
                endpoint(plain)?
                    .connect_with_connector(tower::service_fn(move |to: Uri| {
                        let tls = tls.clone();
                        async move { secured(&to, &tls).await.map(hyper_util::rt::TokioIo::new) }
                    }))
                    .await
            }
            Self::Local(doorway) => {
                let doorway = doorway.clone();
                endpoint("http://manager.invalid".to_owned())?
                    .connect_with_connector(tower::service_fn(move |_: Uri| {
                        let doorway = doorway.clone();
                        async move { doorway.knock().await.map(hyper_util::rt::TokioIo::new) }
                    }))
                    .await
            }
        }
    }
}

/// A connection to a manager that has proven to be one.
async fn secured(to: &Uri, tls: &Tls) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let host = to.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = match tls.expected() {
        Some(name) => name,
        None => ServerName::try_from(host.to_owned()).map_err(tls::refused)?,
    };
    let connecting = TcpStream::connect((host, to.port_u16().unwrap_or(443)));
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    let handshake = TlsConnector::from(tls.client()).connect(name, stream);
    let mut stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
        .map_err(tls::refused)?;
    let shown = stream.get_ref().1.peer_certificates();
    let identity = shown.and_then(|chain| Identity::of(chain.first()?));
    // This end's certificate is judged after the handshake is over here: whoever lets us in speaks
    // first, and whoever does not says why.
    let word = tokio::time::timeout(HANDSHAKE_TIMEOUT, stream.fill_buf());
    let word = word.await.map_err(|_| io::ErrorKind::TimedOut)?;
    if word.map_err(tls::refused)?.is_empty() {
        return Err(tls::refused(format!("{host} has hung up without a word")));
    }
    match identity {
        Some(identity) if identity.role == PeerRole::Manager => Ok(stream),
        Some(other) => Err(tls::refused(format!("{host} is {other}, not a manager"))),
        None => Err(tls::refused(format!(
            "the certificate of {host} names no manager ({URI_PREFIX}manager/NAME)"
        ))),
    }
}

fn endpoint(address: String) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(address)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(HEADER_BYTES_MAX))
}

/// A request with the deadline of a unary call.
#[must_use]
pub fn unary<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}
