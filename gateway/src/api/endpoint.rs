//! What an endpoint is: everything that the router, the checks and the document are made from.

use assay_answers::schema::Book;
use assay_answers::{Problem, Reader};
use axum::response::Response;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Method};
use serde_json::Value;

use super::Api;
use super::params::{Param, Query};
use crate::problem::Kind;

/// A request that was let through its checks.
#[derive(Debug)]
pub struct Ask {
    /// Who asks.
    pub who: Reader,
    /// The parts of the path, by name.
    pub path: Vec<(&'static str, String)>,
    /// The parameters of the query.
    pub query: Query,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty where none is taken.
    pub body: Bytes,
}

impl Ask {
    /// A part of the path. A name that the path has not is empty: nothing is called so.
    #[must_use]
    pub fn part(&self, name: &str) -> &str {
        let found = self.path.iter().find(|(part, _)| *part == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

/// What an endpoint does.
pub type Act = fn(Api, Ask) -> BoxFuture<'static, Result<Response, Problem>>;

/// A schema, written into a book.
pub type Schema = fn(&mut Book) -> Value;

/// What is sent with a request.
#[derive(Clone, Copy)]
pub enum Body {
    /// Nothing.
    None,
    /// JSON; nothing at all is an empty object.
    Json(Schema),
    /// A dataset file, in YAML or JSON.
    Document,
}

/// What a good answer is.
#[derive(Clone, Copy)]
pub enum Gives {
    /// JSON with the instant that it was read at.
    Told(Schema),
    /// The same with an ETag: whoever has these very bytes is answered 304.
    Kept(Schema),
    /// JSON, with this status.
    Json(u16, Schema),
    /// A definition, by the header `Accept`: JSON, or the document itself as YAML.
    Definition(Schema),
    /// Server-sent events, each with data of this schema.
    Events(Schema),
    /// Something of this type.
    Plain(&'static str),
}

/// An endpoint.
#[derive(Clone, Copy)]
pub struct Endpoint {
    /// Its method.
    pub method: fn() -> Method,
    /// Its path, with `{name}` for what varies.
    pub path: &'static str,
    /// Its name, for programs that are made from the document.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// The parameters of its query.
    pub query: &'static [Param],
    /// What is sent with it.
    pub body: Body,
    /// What a good answer is.
    pub gives: Gives,
    /// How it may be refused, besides what every path may answer.
    pub refuses: &'static [Kind],
    /// What it does.
    pub act: Act,
}

impl Endpoint {
    /// Its method.
    #[must_use]
    pub fn verb(&self) -> Method {
        (self.method)()
    }

    /// Whether it changes something.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.verb() != Method::GET
    }

    /// The path up to a verb (`:cancel`), and the verb.
    #[must_use]
    pub fn split(&self) -> (&'static str, &'static str) {
        match self.path.rfind("}:") {
            Some(at) => self.path.split_at(at + 1),
            None => (self.path, ""),
        }
    }

    /// The names of what varies in its path, in order.
    #[must_use]
    pub fn parts(&self) -> Vec<&'static str> {
        let pieces = self.path.split('{').skip(1);
        pieces.filter_map(|piece| piece.split('}').next()).collect()
    }
}
