//! The series of requests, where no guard stands before the API to count them.
//!
//! Comes in: requests and their answers. Goes out: the time that each took, by the route that
//! answered. It must never make a label of what a client sent.

use std::time::Instant;

use assay_telemetry::Telemetry;
use assay_telemetry::series::SHORT_S;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

use crate::api::router::Route;

/// Counts what `router` answers.
pub(crate) fn counted(router: Router, telemetry: Telemetry) -> Router {
    router.layer(from_fn_with_state(telemetry, count))
}

async fn count(State(telemetry): State<Telemetry>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = word(request.method());
    let response = next.run(request).await;
    let route = response.extensions().get::<Route>();
    let route = route.map_or("unmatched", |route| route.0);
    let status = response.status();
    let labels = [
        ("http_request_method", method),
        ("http_route", route),
        ("http_response_status_code", status.as_str()),
        ("url_scheme", "http"),
    ];
    let series = "http_server_request_duration_seconds";
    telemetry.observe_duration(series, &labels, SHORT_S, begun.elapsed());
    response
}

/// A method, as a label: those that nobody has heard of are one.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}
