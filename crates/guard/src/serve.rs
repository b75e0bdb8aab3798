//! The server of the gateway's connections.
//!
//! Comes in: a listener and a router with its guard. Goes out: answers over HTTP/1.1, encrypted if it
//! is given a certificate. It must never wait without end for a client that shakes hands or sends its
//! head by and by or does not take its answer, hold more connections than it is told, or break off an answer that was begun when
//! it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::address::{Encrypted, Peer, group};
use crate::layer::Guard;
use crate::paced::Paced;
use crate::settings::{LimitSettings, Mode};
use crate::streams::{Refused, Stream, Streams};

/// How a server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopping {
    /// How long the stop is announced by `/readyz` before requests are refused: longer than balancers
    /// take to notice.
    pub announce: Duration,
    /// How long requests at work may take after that.
    pub finish: Duration,
}

impl Default for Stopping {
    fn default() -> Self {
        Self {
            announce: Duration::from_secs(5),
            finish: Duration::from_secs(20),
        }
    }
}

impl Stopping {
    /// How a server of this mode stops, without a word: where nobody stands before it, nobody needs
    /// time to notice.
    #[must_use]
    pub fn of(mode: Mode) -> Self {
        match mode {
            Mode::Loopback => Self {
                announce: Duration::ZERO,
                finish: Duration::from_secs(10),
            },
            Mode::Credentials => Self::default(),
        }
    }
}

/// A router behind its guard, about to be served.
pub struct Server {
    guard: Guard,
    router: Router,
    tls: Option<TlsAcceptor>,
    stopping: Stopping,
}

impl Server {
    /// `router` behind `guard`.
    #[must_use]
    pub fn new(router: Router, guard: Guard) -> Self {
        Self {
            router: guard.wrap(router),
            tls: None,
            stopping: Stopping::of(guard.settings().identity.mode),
            guard,
        }
    }

    /// Over TLS alone, if there is a certificate.
    #[must_use]
    pub fn secured(mut self, tls: Option<TlsAcceptor>) -> Self {
        self.tls = tls;
        self
    }

    /// Stops in this way.
    #[must_use]
    pub const fn stopping(mut self, stopping: Stopping) -> Self {
        self.stopping = stopping;
        self
    }

    /// The guard.
    #[must_use]
    pub const fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Serves `listener` until `stop` comes to its end, and then stops by and by.
    ///
    /// # Errors
    /// When the listener has no address, or one that others reach in loopback mode.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        may_listen(&self.guard, listener.local_addr()?)?;
        let (closing, closed) = watch::channel(());
        let Stopping { announce, finish } = self.stopping;
        {
            let drained = async {
                stop.await;
                self.guard.drain(announce, finish).await;
            };
            // What accepts ends here, and with it the listener.
            tokio::select! {
                () = drained => {}
                () = self.accept(listener, closed) => {}
            }
        }
        // Each connection ends after the answer that it is at.
        closing.send_replace(());
        if tokio::time::timeout(finish, closing.closed())
            .await
            .is_err()
        {
            tracing::warn!("connections that did not end in time are broken off");
        }
        Ok(())
    }

    async fn accept(&self, listener: TcpListener, closed: watch::Receiver<()>) {
        let limits = Arc::new(self.guard.settings().limits.clone());
        let places = Arc::new(Semaphore::new(limits.connections));
        let crowd = Streams::new(limits.connections_each, usize::MAX);
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Ok(seat) = seat(&crowd, &self.guard, peer) else {
                self.guard.count_closed();
                continue;
            };
            // Answers are small and complete: waiting to fill a packet only delays them.
            drop(stream.set_nodelay(true));
            let (router, tls) = (self.router.clone(), self.tls.clone());
            let (limits, closed) = (Arc::clone(&limits), closed.clone());
            tokio::spawn(async move {
                match tls {
                    None => connection(stream, peer, router, &limits, closed).await,
                    Some(tls) => {
                        let shaken = tokio::time::timeout(limits.head(), tls.accept(stream)).await;
                        // Whoever does not speak TLS is told so by silence.
                        if let Ok(Ok(stream)) = shaken {
                            speak(stream, (peer, true), router, &limits, closed).await;
                        }
                    }
                }
                drop((place, seat));
            });
        }
    }
}

/// Whether a server in this mode may listen here.
///
/// # Errors
/// In loopback mode, when others reach the address.
pub fn may_listen(guard: &Guard, address: SocketAddr) -> io::Result<()> {
    if guard.settings().identity.mode == Mode::Loopback && !address.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "in loopback mode nobody is asked for a credential, so that a gateway does not listen on \
                 {address}, which others reach: listen on 127.0.0.1, or set [identity] mode = \
                 \"credentials\""
            ),
        ));
    }
    Ok(())
}

/// A place among the connections of one address; balancers of ours bring those of many.
fn seat(crowd: &Streams, guard: &Guard, peer: SocketAddr) -> Result<Option<Stream>, Refused> {
    let proxies = &guard.settings().identity.trusted_proxies;
    if proxies.iter().any(|network| network.holds(peer.ip())) {
        return Ok(None);
    }
    let address = Arc::from(group(peer.ip()).to_string());
    crowd.open(&address).map(Some)
}

/// Serves one connection until it ends or `closed` says so.
pub async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    limits: &LimitSettings,
    closed: watch::Receiver<()>,
) {
    speak(stream, (peer, false), router, limits, closed).await;
}

/// The same, of a stream that may be encrypted.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    (peer, encrypted): (SocketAddr, bool),
    router: Router,
    limits: &LimitSettings,
    mut closed: watch::Receiver<()>,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        if encrypted {
            request.extensions_mut().insert(Encrypted);
        }
        router.clone().oneshot(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head())
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(Paced::new(stream, limits.write())), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        _ = closed.changed() => {
            served.as_mut().graceful_shutdown();
            served.as_mut().await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection broke off");
    }
}
