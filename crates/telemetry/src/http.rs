//! What a scraper and a supervisor ask a process: `/metrics`, `/livez`, `/readyz`.
//!
//! Comes in: plain HTTP/1.1 on a port of its own. Goes out: the series, and whether the process
//! lives and is ready. It must never say anything of datasets' contents, wait for another program
//! before it answers whether this one lives, or let a slow reader hold up another.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::Telemetry;

/// Connections at once; more wait.
const CONNECTIONS_MAX: usize = 32;
/// The longest that a request's head may take, and an idle connection may last.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that a connection may last.
const CONNECTION_MAX: Duration = Duration::from_secs(60);
/// How long [`ask`] waits.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);

/// What the pages are made of.
#[derive(Clone)]
pub struct Pages {
    /// The series.
    pub telemetry: Telemetry,
    /// Called before the series are shown, to set those that are read off on demand.
    pub refresh: Arc<dyn Fn(&Telemetry) + Send + Sync>,
    /// Whether the process is ready, and what for, or why not.
    pub ready: Arc<dyn Fn() -> Result<String, String> + Send + Sync>,
}

/// Serves the pages for as long as the program runs.
pub async fn serve(listener: TcpListener, pages: Pages) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let connection = match listener.accept().await {
            Ok((connection, _)) => connection,
            Err(error) => {
                tracing::warn!(%error, "a telemetry connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let pages = pages.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let answer = answer(&pages, &request);
                async move { Ok::<_, Infallible>(answer) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(16 << 10)
                .serve_connection(TokioIo::new(connection), answer);
            // A scraper that goes away has what it wanted, or asks again.
            let _ = tokio::time::timeout(CONNECTION_MAX, served).await;
            drop(place);
        });
    }
}

fn answer(pages: &Pages, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
    }
    match request.uri().path() {
        "/metrics" => {
            (pages.refresh)(&pages.telemetry);
            let mut page = text(StatusCode::OK, pages.telemetry.render());
            let kind = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4");
            page.headers_mut().insert(CONTENT_TYPE, kind);
            page
        }
        "/livez" => text(StatusCode::OK, "alive\n".to_owned()),
        "/readyz" => match (pages.ready)() {
            Ok(what) => text(StatusCode::OK, format!("ready: {what}\n")),
            Err(why) => text(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready: {why}\n"),
            ),
        },
        _ => text(
            StatusCode::NOT_FOUND,
            "there are /metrics, /livez and /readyz\n".to_owned(),
        ),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::new(Bytes::from(body)));
    *page.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    page.headers_mut().insert(CONTENT_TYPE, kind);
    page
}

/// Asks a process for one of its pages: the body of a good answer. For health checks of containers,
/// which have no other program to ask with.
///
/// # Errors
/// In words for people: nobody answers, or the answer is a refusal.
pub fn ask(address: SocketAddr, path: &str) -> Result<String, String> {
    let nobody = |error: std::io::Error| format!("nobody answers at {address}: {error}");
    let mut stream = TcpStream::connect_timeout(&address, ASK_TIMEOUT).map_err(nobody)?;
    stream.set_read_timeout(Some(ASK_TIMEOUT)).map_err(nobody)?;
    stream
        .set_write_timeout(Some(ASK_TIMEOUT))
        .map_err(nobody)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .map_err(nobody)?;
    let mut answer = Vec::new();
    // More than any page of ours.
    stream
        .take(64 << 20)
        .read_to_end(&mut answer)
        .map_err(nobody)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.starts_with("HTTP/1.1 200 ") {
        return Ok(body.to_owned());
    }
    let first = head.lines().next().unwrap_or_default();
    Err(format!("{first} {}", body.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask_of(address: SocketAddr, path: &'static str) -> Result<String, String> {
        tokio::task::spawn_blocking(move || ask(address, path))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn the_pages_say_the_series_life_and_readiness() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let pages = Pages {
            telemetry: Telemetry::default(),
            refresh: Arc::new(|telemetry| telemetry.set("assay_looked", &[], 1.0)),
            ready: Arc::new(|| Err("no leader is known".to_owned())),
        };
        let server = tokio::spawn(serve(listener, pages));
        let series = ask_of(address, "/metrics").await.unwrap();
        assert!(series.contains("assay_looked 1\n"), "{series}");
        assert_eq!(ask_of(address, "/livez").await.unwrap(), "alive\n");
        let refused = ask_of(address, "/readyz").await.unwrap_err();
        assert!(
            refused.contains("503") && refused.contains("no leader"),
            "{refused}"
        );
        assert!(ask_of(address, "/etc").await.unwrap_err().contains("404"));
        server.abort();
    }
}
