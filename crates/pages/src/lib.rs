//! The web pages: what people see of the cluster.
//!
//! Comes in: a request with who makes it and when, and the API's reads and wishes in process
//! ([`assay_answers::Facts`], [`assay_answers::Deeds`]). Goes out: an HTTP response, always; a refusal
//! is a page as well. Pages must never know a store, a clock or a socket, never say more than they
//! were told, and never need a script to be read.
//!
//! A server mounts [`Pages::respond`] beside the API, for every path that is not the API's: those
//! that [`Pages::owns`] knows.

pub mod chart;
mod frame;
pub mod html;
pub mod mark;
pub mod picture;
pub mod reply;
pub mod request;
mod route;
pub mod seams;
mod show;
mod view;
pub mod words;

pub use request::Door;
pub use view::session::refusal;

use std::sync::Arc;

use assay_answers::{Deeds, Facts, Problem, Reader};
use bytes::Bytes;
use http::Request;
use jiff::Timestamp;

use reply::Reply;
use seams::Seams;

/// The pages over the API's reads and wishes.
#[derive(Clone)]
pub struct Pages {
    /// The reads.
    pub facts: Arc<dyn Facts>,
    /// The wishes; absent where a server only reads.
    pub deeds: Option<Arc<dyn Deeds>>,
    /// What else pages ask.
    pub seams: Seams,
}

impl Pages {
    /// Pages over `facts`, which carry wishes to `deeds`.
    #[must_use]
    pub fn new(facts: Arc<dyn Facts>, deeds: Option<Arc<dyn Deeds>>, seams: Seams) -> Self {
        Self {
            facts,
            deeds,
            seams,
        }
    }

    /// Whether a path is one of the pages', whatever is behind it.
    #[must_use]
    pub fn owns(path: &str) -> bool {
        let first = path
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default();
        path == "/api/docs" || route::FIRST.contains(&first)
    }

    /// The response to a request, made by `who` at `now`. The body is read whole by the server, which
    /// bounds it.
    pub async fn respond(&self, request: &Request<Bytes>, who: &Reader, now: Timestamp) -> Reply {
        route::respond(self, request, who, now).await
    }

    /// The wishes, or why there are none.
    fn deeds(&self) -> Result<&dyn Deeds, Problem> {
        self.deeds.as_deref().ok_or_else(|| {
            view::problem::absent(
                "This server only reads.",
                "Use the command, or a server that carries changes.",
            )
        })
    }
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages")
            .field("deeds", &self.deeds.is_some())
            .field("seams", &self.seams)
            .finish_non_exhaustive()
    }
}
