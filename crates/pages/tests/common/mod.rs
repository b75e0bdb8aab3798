//! What tests of pages share: a world of typed answers, and a server over it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses a part of it; a test that cannot prepare fails"
)]

pub mod facts;
pub mod fleet;
pub mod incidents;
pub mod server;
pub mod state;
pub mod wishes;
pub mod world;

use assay_answers::Reader;
use assay_pages::Pages;
use bytes::Bytes;
use http::Request;
use jiff::Timestamp;

/// The instant at which every page of a test is made.
pub fn now() -> Timestamp {
    "2026-11-20T15:00:00Z".parse().unwrap()
}

/// Reads a page: status, headers, text.
pub async fn get(pages: &Pages, path: &str) -> (u16, http::HeaderMap, String) {
    let request = Request::get(path).body(Bytes::new()).unwrap();
    answer(pages, request).await
}

/// Sends a form, as a browser does from a page of the same server.
pub async fn post(pages: &Pages, path: &str, form: &str) -> (u16, http::HeaderMap, String) {
    let request = Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .body(Bytes::from(form.to_owned()))
        .unwrap();
    answer(pages, request).await
}

/// The answer to a request by the user of this machine.
pub async fn answer(pages: &Pages, request: Request<Bytes>) -> (u16, http::HeaderMap, String) {
    let reply = answer_bytes(pages, request).await;
    let (parts, body) = reply.into_parts();
    (
        parts.status.as_u16(),
        parts.headers,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

/// The same, as bytes.
pub async fn answer_bytes(pages: &Pages, request: Request<Bytes>) -> http::Response<Bytes> {
    pages
        .respond(&request, &Reader::of_this_machine(), now())
        .await
}
