//! From parts to a served API.
//!
//! Comes in: parts, a listener, the wish to stop; if there are any, pages and a layer round
//! everything. Goes out: served connections, each with bounds on its head and its number, and at the
//! end a moment for what is being answered. It must never let one slow reader hold up another.
//!
//! The layer stands between the connection and everything else: it says who asks by a
//! [`Reader`](assay_answers::Reader) among the extensions of the request, and finds
//! [`Route`](crate::api::router::Route) among those of the response.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use assay_guard::{Guard, Peer};
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::api::Api;
use crate::api::router::router;
use crate::counted::counted;
use crate::follow::follow;
use crate::parts::Parts;

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;
/// How long the head of a request may take, and a connection may sit idle.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// How long a handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of a head.
const HEAD_MAX: usize = 64 << 10;
/// How long what is being answered may take at the end.
const GRACE: Duration = Duration::from_secs(10);

/// A gateway that is about to serve.
pub struct Gateway {
    api: Api,
    router: Router,
    guard: Option<Guard>,
    tls: Option<TlsAcceptor>,
}

impl Gateway {
    /// A gateway that serves the API alone.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let api = Api::new(parts);
        Self {
            router: router(&api),
            api,
            guard: None,
            tls: None,
        }
    }

    /// The API, to be asked in process.
    #[must_use]
    pub const fn api(&self) -> &Api {
        &self.api
    }

    /// Serves `pages` where the API has no path: they are made over the API.
    #[must_use]
    pub fn with_pages(mut self, pages: impl FnOnce(&Api) -> Router) -> Self {
        let pages = pages(&self.api);
        self.router = self.router.fallback_service(pages);
        self
    }

    /// Puts a layer round everything.
    #[must_use]
    pub fn within(mut self, layer: impl FnOnce(Router) -> Router) -> Self {
        self.router = layer(self.router);
        self
    }

    /// Puts a guard round everything.
    #[must_use]
    pub fn behind(mut self, guard: Guard) -> Self {
        self.router = guard.wrap(self.router);
        self.guard = Some(guard);
        self
    }

    /// Serves over TLS alone.
    #[must_use]
    pub fn secured(mut self, tls: Option<TlsAcceptor>) -> Self {
        self.tls = tls;
        self
    }

    /// Serves `listener` until `stop` ends, and then what is being answered.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let follower = tokio::spawn(follow(
            Arc::clone(&self.api.parts.news),
            self.api.memory.clone(),
        ));
        let served = match &self.guard {
            Some(_) => self.router.clone(),
            None => counted(self.router.clone(), self.api.parts.telemetry.clone()),
        };
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let (ending, ends) = watch::channel(false);
        let mut open = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                Some(_) = open.join_next(), if !open.is_empty() => continue,
                accepted = accept(&listener, &places) => accepted,
            };
            let Some((stream, peer, place)) = accepted else {
                continue;
            };
            let (router, tls, ends) = (served.clone(), self.tls.clone(), ends.clone());
            open.spawn(async move {
                match tls {
                    None => connection(stream, peer, router, ends).await,
                    Some(tls) => {
                        let shaken = tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(stream));
                        // Whoever does not speak TLS is told so by silence.
                        if let Ok(Ok(stream)) = shaken.await {
                            connection(stream, peer, router, ends).await;
                        }
                    }
                }
                drop(place);
            });
        }
        drop(listener);
        self.api.drain();
        ending.send_replace(true);
        let all = async { while open.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::info!("some connections are cut off");
        }
        follower.abort();
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Small answers must not wait for more to come.
            let _ = stream.set_nodelay(true);
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection was not accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn connection<S>(stream: S, peer: SocketAddr, router: Router, mut ends: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = tower::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|e| match e {})) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut served = std::pin::pin!(served);
    // The guard inside is dropped here, before anything is awaited.
    let ends = async move { drop(ends.wait_for(|ends| *ends).await) };
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = ends => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        // A reader that goes away has what it wanted, or asks again.
        tracing::debug!(%error, "a connection ended");
    }
}
