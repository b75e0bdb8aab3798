//! Neighbours of a newer version: a relay between nodes and a manager that says more than both know.
//!
//! Comes in: the streams of nodes. Goes out: the same messages, each with fields that nobody knows,
//! and between them messages of a kind that nobody knows. It must never change what it passes
//! otherwise, nor the order.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use assay_proto::v1;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{NamedService, StreamingService};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

use crate::raw::Raw;

/// The call that a node's stream is.
const CONNECT: &str = "/assay.v1.NodeService/Connect";
/// Between two messages of an unknown kind.
const EVERY: u64 = 3;

/// What every message of a newer version says, too.
#[derive(Clone, PartialEq, Message)]
struct More {
    #[prost(uint64, tag = "1900")]
    number: u64,
    #[prost(string, tag = "1901")]
    text: String,
}

/// A kind of message that nobody knows yet.
#[derive(Clone, PartialEq, Message)]
struct Unknown {
    /// As in a manager's message; a node's has none.
    #[prost(uint64, optional, tag = "1")]
    epoch: Option<u64>,
    #[prost(message, optional, tag = "200")]
    kind: Option<More>,
}

fn more() -> More {
    More {
        number: u64::MAX,
        text: "of a version that is yet to come".to_owned(),
    }
}

/// A message as a newer version would put it.
#[must_use]
pub fn newer(mut message: Vec<u8>) -> Vec<u8> {
    message.extend(more().encode_to_vec());
    message
}

/// A message of a kind that nobody knows; a manager's carries its epoch.
#[must_use]
pub fn unknown(epoch: Option<u64>) -> Vec<u8> {
    let kind = Some(more());
    Unknown { epoch, kind }.encode_to_vec()
}

/// The relay.
#[derive(Debug, Clone)]
pub struct Newer {
    manager: Arc<OnceLock<Channel>>,
    streams: Arc<AtomicUsize>,
    unknown: Arc<AtomicUsize>,
}

impl Newer {
    /// A relay that leads nowhere yet, and its port.
    ///
    /// # Panics
    /// When loopback has no free port.
    pub async fn open() -> (Self, u16) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("loopback has a free port");
        let ours = listener.local_addr().expect("a bound socket").port();
        let relay = Self {
            manager: Arc::default(),
            streams: Arc::default(),
            unknown: Arc::default(),
        };
        let serve = Server::builder()
            .add_service(relay.clone())
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serve);
        (relay, ours)
    }

    /// Has it lead to the manager on `port`, for good.
    ///
    /// # Panics
    /// When it leads somewhere already.
    pub fn leads_to(&self, port: u16) {
        let manager = SocketAddr::from(([127, 0, 0, 1], port));
        let endpoint = Endpoint::from_shared(format!("http://{manager}"));
        let channel = endpoint.expect("an address").connect_lazy();
        self.manager.set(channel).expect("it leads nowhere yet");
    }

    /// Streams that were opened so far.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    /// Messages of an unknown kind that were sent so far.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.unknown.load(Ordering::Relaxed)
    }

    /// Passes messages on; `epoch` gives that of the last message of a manager.
    fn pass(
        &self,
        mut from: Streaming<Vec<u8>>,
        epoch: impl Fn(&[u8]) -> Option<u64> + Send + 'static,
    ) -> (mpsc::Sender<Vec<u8>>, mpsc::Receiver<Vec<u8>>) {
        let (to, passed) = mpsc::channel(64);
        let (sender, count) = (to.clone(), Arc::clone(&self.unknown));
        tokio::spawn(async move {
            let mut passed = 0_u64;
            while let Ok(Some(message)) = from.message().await {
                let of = epoch(&message);
                if sender.send(newer(message)).await.is_err() {
                    return;
                }
                passed += 1;
                if passed.is_multiple_of(EVERY) {
                    count.fetch_add(1, Ordering::Relaxed);
                    if sender.send(unknown(of)).await.is_err() {
                        return;
                    }
                }
            }
        });
        (to, passed)
    }
}

impl NamedService for Newer {
    const NAME: &'static str = "assay.v1.NodeService";
}

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Service<http::Request<Body>> for Newer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Later<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let relay = self.clone();
        Box::pin(async move {
            Ok(tonic::server::Grpc::new(Raw)
                .streaming(relay, request)
                .await)
        })
    }
}

impl StreamingService<Vec<u8>> for Newer {
    type Response = Vec<u8>;
    type ResponseStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<Vec<u8>, Status>> + Send>>;
    type Future = Later<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<Vec<u8>>>) -> Self::Future {
        let relay = self.clone();
        Box::pin(async move {
            let manager = relay.manager.get().cloned();
            let manager = manager.ok_or_else(|| Status::unavailable("there is no manager yet"))?;
            let (_, up) = relay.pass(request.into_inner(), |_| None);
            let mut manager = tonic::client::Grpc::new(manager);
            let ready = manager.ready().await;
            ready.map_err(|error| Status::unavailable(error.to_string()))?;
            let path = http::uri::PathAndQuery::from_static(CONNECT);
            let said = manager
                .streaming(Request::new(ReceiverStream::new(up)), path, Raw)
                .await?;
            let epoch = |message: &[u8]| {
                let known = v1::ManagerMessage::decode(message).ok()?;
                Some(known.epoch)
            };
            // Counted when the manager has taken it.
            relay.streams.fetch_add(1, Ordering::Relaxed);
            let (_, down) = relay.pass(said.into_inner(), epoch);
            let down = tokio_stream::StreamExt::map(ReceiverStream::new(down), Ok);
            Ok(Response::new(Box::pin(down) as Self::ResponseStream))
        })
    }
}
