//! The server of the gateway's connections.
//!
//! Comes in: a listener and a router with its guard. Goes out: answers over HTTP/1.1. It must never
//! wait without end for a client that sends its head by and by, hold more connections than it is
//! told, or break off an answer that was begun when it is told to stop.

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
use tower::ServiceExt as _;

use crate::address::{Peer, group};
use crate::layer::Guard;
use crate::settings::{LimitSettings, Mode};
use crate::streams::{Refused, Stream, Streams};

/// How a server stops.
#[derive(Debug, Clone, Copy)]
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

/// Serves `router` behind `guard` until `stop` comes to its end, and then stops by and by.
///
/// # Errors
/// When the listener has no address, or one that others reach in embedded mode.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    guard: Guard,
    stop: impl Future<Output = ()>,
    stopping: Stopping,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    may_listen(&guard, address)?;
    let router = guard.wrap(router);
    let (closing, closed) = watch::channel(());
    {
        let drained = async {
            stop.await;
            guard.drain(stopping.announce, stopping.finish).await;
        };
        // What accepts ends here, and with it the listener.
        tokio::select! {
            () = drained => {}
            () = accept(listener, &router, &guard, closed) => {}
        }
    }
    // Each connection ends after the answer that it is at.
    closing.send_replace(());
    if tokio::time::timeout(stopping.finish, closing.closed())
        .await
        .is_err()
    {
        tracing::warn!("connections that did not end in time are broken off");
    }
    Ok(())
}

/// Whether a server in this mode may listen here.
///
/// # Errors
/// In embedded mode, when others reach the address.
pub fn may_listen(guard: &Guard, address: SocketAddr) -> io::Result<()> {
    if guard.settings().identity.mode == Mode::Loopback && !address.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "the embedded program asks nobody for a credential, so that it does not listen on \
                 {address}, which others reach: listen on 127.0.0.1, or set [identity] mode = \
                 \"credentials\""
            ),
        ));
    }
    Ok(())
}

async fn accept(
    listener: TcpListener,
    router: &Router,
    guard: &Guard,
    closed: watch::Receiver<()>,
) {
    let limits = Arc::new(guard.settings().limits.clone());
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
        let Ok(seat) = seat(&crowd, guard, peer) else {
            guard.count_closed();
            continue;
        };
        // Answers are small and complete: waiting to fill a packet only delays them.
        drop(stream.set_nodelay(true));
        let (router, limits, closed) = (router.clone(), Arc::clone(&limits), closed.clone());
        tokio::spawn(async move {
            connection(stream, peer, router, &limits, closed).await;
            drop((place, seat));
        });
    }
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

/// Serves one connection, encrypted or not, until it ends or `closed` says so.
pub async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    limits: &LimitSettings,
    mut closed: watch::Receiver<()>,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head())
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), service);
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
