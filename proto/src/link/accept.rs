//! The server's end of connections: accepted, secured, and known by who is at the other end.
//!
//! Comes in: a listener. Goes out: streams that are ready to be spoken on. It must never let a slow
//! or hostile handshake hold up another connection, or hold more of them than there are places.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::peer::{Identity, Peer};
use super::tls::Tls;
use crate::limits::{CONNECTIONS_MAX, HANDSHAKE_TIMEOUT};

/// Secured connections that wait to be served.
const WAITING_MAX: usize = 64;

/// One connection, of whichever kind.
pub struct Connection {
    stream: Stream,
    peer: Peer,
    _place: Option<OwnedSemaphorePermit>,
}

enum Stream {
    Local(DuplexStream),
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// A connection of this process.
    #[must_use]
    pub const fn local(stream: DuplexStream) -> Self {
        Self {
            stream: Stream::Local(stream),
            peer: Peer::Local,
            _place: None,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// Accepts connections for as long as the receiver lives.
#[must_use]
pub fn accept(listener: TcpListener, tls: Option<Tls>) -> mpsc::Receiver<Connection> {
    let (ready, connections) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let accepted = tokio::select! {
                () = ready.closed() => return,
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, or a peer that is gone: the next one may do better.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let (ready, tls) = (ready.clone(), tls.clone());
            tokio::spawn(async move {
                let secured = tokio::time::timeout(HANDSHAKE_TIMEOUT, secure(stream, tls)).await;
                match secured {
                    Ok(Ok((stream, peer))) => {
                        let _place = Some(place);
                        // Nobody serves any more: the connection ends.
                        let connection = Connection {
                            stream,
                            peer,
                            _place,
                        };
                        let _ = ready.send(connection).await;
                    }
                    Ok(Err(error)) => tracing::warn!(%error, "a connection was refused"),
                    Err(_) => tracing::warn!("a connection took too long to be secured"),
                }
            });
        }
    });
    connections
}

async fn secure(stream: TcpStream, tls: Option<Tls>) -> io::Result<(Stream, Peer)> {
    let address = stream.peer_addr()?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Ok((Stream::Plain(stream), Peer::Unproven { address }));
    };
    let secured = TlsAcceptor::from(tls.server())
        .accept(stream)
        .await
        .map_err(|error| io::Error::other(format!("TLS with {address}: {error}")))?;
    let shown = secured.get_ref().1.peer_certificates();
    let identity = shown.and_then(|chain| Identity::of(chain.first()?));
    let peer = Peer::Proven { address, identity };
    Ok((Stream::Secured(Box::new(secured)), peer))
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Local(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Secured(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Local(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Secured(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Local(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Secured(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Local(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Secured(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
