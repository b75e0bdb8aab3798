//! A server over a world: pages as a gateway mounts them, and the stream of events of its live run.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::state::{TASKS, World};

type Body = BoxBody<Bytes, Infallible>;

/// Serves a world on a free port of loopback until the runtime ends.
pub async fn serve(world: Arc<World>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let service = service_fn(|request| answer(Arc::clone(&world), request));
                // A browser that goes away is no failure of the server.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

async fn answer(
    world: Arc<World>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    if path.starts_with("/api/v1/") && path.ends_with("/events") {
        return Ok(events(world));
    }
    let (parts, body) = request.into_parts();
    let bytes = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let reply = super::answer_bytes(&world.pages(), Request::from_parts(parts, bytes)).await;
    Ok(reply.map(|body| Full::new(body).boxed()))
}

/// The live run goes on by a task for each event.
fn events(world: Arc<World>) -> Response<Body> {
    let (sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, Infallible>>(4);
    tokio::spawn(async move {
        for id in 0u32.. {
            let text = format!("id: {id}\nevent: run\ndata: {{\"kind\":\"Run\"}}\n\n");
            if sender
                .send(Ok(Frame::data(Bytes::from(text))))
                .await
                .is_err()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
            if world.done.load(Ordering::SeqCst) < TASKS {
                world.done.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    Response::builder()
        .header("content-type", "text/event-stream")
        .header("cache-control", "no-store")
        .body(StreamBody::new(ReceiverStream::new(receiver)).boxed())
        .unwrap()
}
