//! From parts to a served API.
//!
//! Comes in: parts; if there are any, pages; a guard, a listener, the wish to stop. Goes out: served
//! connections, and at the end a moment for what is being answered. It must never serve anything
//! without a guard.

use std::io;
use std::sync::Arc;

use assay_guard::{Guard, Server, Stopping};
use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::api::Api;
use crate::api::router::router;
use crate::follow::follow;
use crate::parts::Parts;

/// A gateway without a guard: it can be asked in process, and not be served.
pub struct Gateway {
    api: Api,
    router: Router,
    has_pages: bool,
}

impl Gateway {
    /// A gateway of the API alone.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let api = Api::new(parts);
        Self {
            router: router(&api),
            api,
            has_pages: false,
        }
    }

    /// The API, to be asked in process.
    #[must_use]
    pub const fn api(&self) -> &Api {
        &self.api
    }

    /// Has `pages`, made over the API, where the API has no path.
    #[must_use]
    pub(crate) fn with_pages(mut self, pages: impl FnOnce(&Api) -> Router) -> Self {
        let pages = pages(&self.api);
        self.router = self.router.fallback_service(pages);
        self.has_pages = true;
        self
    }

    /// Whether there are pages.
    pub(crate) const fn has_pages(&self) -> bool {
        self.has_pages
    }

    /// Puts a guard round everything.
    pub(crate) fn behind(self, guard: Guard, layer: impl FnOnce(Router) -> Router) -> Guarded {
        Guarded {
            server: Server::new(layer(self.router), guard),
            api: self.api,
        }
    }
}

/// A gateway behind its guard, about to serve.
pub struct Guarded {
    api: Api,
    server: Server,
}

impl Guarded {
    /// Serves over TLS alone, if there is a certificate.
    #[must_use]
    pub fn secured(mut self, tls: Option<TlsAcceptor>) -> Self {
        self.server = self.server.secured(tls);
        self
    }

    /// Stops in this way.
    #[must_use]
    pub fn stopping(mut self, stopping: Stopping) -> Self {
        self.server = self.server.stopping(stopping);
        self
    }

    /// Says whether requests should come here, and why not, for as long as the program runs.
    pub fn readiness(&self) -> impl Fn() -> Result<(), String> + Send + Sync + 'static {
        let (api, guard) = (self.api.clone(), self.server.guard().clone());
        move || {
            if !guard.is_ready() {
                return Err("this gateway is leaving".to_owned());
            }
            api.ready().map_err(|problem| problem.detail)
        }
    }

    /// Serves `listener` until `stop` ends, and then what is being answered.
    ///
    /// # Errors
    /// When the listener has no address, or one that the guard may not be put before.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        // Both end with this future.
        let mut beside = JoinSet::new();
        let (news, memory) = (Arc::clone(&self.api.parts.news), self.api.memory.clone());
        beside.spawn(follow(news, memory));
        let (guard, api) = (self.server.guard().clone(), self.api);
        beside.spawn(async move {
            guard.refuses().await;
            // Readers of streams are sent elsewhere only once nobody is sent here.
            api.drain();
        });
        self.server.serve(listener, stop).await
    }
}
