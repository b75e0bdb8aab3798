//! How a channel to a manager is opened: over TCP, or inside one process.
//!
//! Comes in: an address, or the manager's in-process [`Doorway`]. Goes out: a channel with pings,
//! deadlines and bounds set. It must never open a channel without them: a half-open socket would
//! hang for ever.

use std::io;
use std::sync::Arc;

use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::limits::{CALL_TIMEOUT, CONNECT_TIMEOUT, HEADER_BYTES_MAX, PING_INTERVAL, PING_TIMEOUT};

/// Bytes that an in-process connection buffers in each direction.
const DUPLEX_BYTES: usize = 256 << 10;

/// Where a manager is reached.
#[derive(Debug, Clone)]
pub enum Door {
    /// Over TCP: `http://127.0.0.1:8081`.
    Tcp(String),
    /// In this process.
    Local(Doorway),
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

impl Door {
    /// Opens a channel. It sets no deadline on calls, since streams have none: see [`unary`].
    ///
    /// # Errors
    /// The transport's error when the address is malformed or nobody answers.
    pub async fn open(&self) -> Result<Channel, tonic::transport::Error> {
        match self {
            Self::Tcp(address) => endpoint(address.clone())?.connect().await,
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
