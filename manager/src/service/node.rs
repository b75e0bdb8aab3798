//! The streams of data nodes.
//!
//! Comes in: a stream whose first message is `hello`. Goes out: a registered node, and its facts in
//! the term's inbox. It must never pass on a message that breaks the contract, or one of a node
//! that has not said hello.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use assay_manager_core::Event;
use assay_model::ids::{AttemptToken, Epoch, Incarnation, NodeId};
use assay_model::node::Node;
use assay_proto::convert::{NodeSays, node_says};
use assay_proto::link::PeerRole;
use assay_proto::v1;
use assay_proto::v1::node_service_server::NodeService;
use assay_store::StoreError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{only, peer, store_status};
use crate::handle::Shared;
use crate::inbox::{Inbox, Input, Opened};
use crate::knock;
use crate::links::{LINK_MAX, Link};
use crate::seat::Seat;
use crate::speakers::{Speaker, Speakers};

/// A stream says hello within this time.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// A stream that says nothing for so long has ended, whatever TCP says.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// The service.
pub(crate) struct Nodes {
    shared: Arc<Shared>,
    streams: AtomicU64,
    speakers: Arc<Speakers>,
}

impl Nodes {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            streams: AtomicU64::new(1),
            speakers: Arc::default(),
        }
    }
}

#[tonic::async_trait]
impl NodeService for Nodes {
    type ConnectStream = ReceiverStream<Result<v1::ManagerMessage, Status>>;

    async fn connect(
        &self,
        request: Request<Streaming<v1::NodeMessage>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        only(&request, &[PeerRole::Node])?;
        let caller = peer(&request).clone();
        let address = caller
            .address()
            .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
        let mut says = request.into_inner();
        let seat = self.shared.seats.seat()?;
        let hello = tokio::time::timeout(HELLO_TIMEOUT, first(&mut says))
            .await
            .map_err(|_| Status::deadline_exceeded("no hello within 5 s"))??;
        if let Err(why) = caller.may_act(&[PeerRole::Node], Some(hello.node.id.as_str())) {
            tracing::warn!(peer = ?caller, node = %hello.node.id, %why, "a node was refused");
            return Err(Status::permission_denied(why));
        }
        if hello.highest_epoch > seat.epoch {
            // A newer leader exists; the store will fence this one with its next write.
            return Err(Status::failed_precondition(format!(
                "this manager's epoch {} is behind {}",
                seat.epoch.0, hello.highest_epoch.0
            )));
        }
        self.is_nobody_elses(&hello.node).await?;
        let (node, registered) = self.admit(&seat, hello.node).await?;
        self.shared.versions.note(&node.id, hello.version);
        // Bounded: a node that does not read is told less, never buffered without end.
        let (messages, stream) = mpsc::channel(LINK_MAX);
        let number = self.streams.fetch_add(1, Ordering::Relaxed);
        let reader = Reader {
            node: node.id.clone(),
            incarnation: node.incarnation,
            stream: number,
            inbox: seat.inbox.clone(),
            speaker: self.speakers.opened(&node.id, number, caller.address()),
            probe: hello.probe_port.map(|port| SocketAddr::new(address, port)),
        };
        let link = Link {
            stream: number,
            incarnation: node.incarnation,
            messages,
        };
        let opened = Opened {
            node,
            registered,
            held: hello.held,
            link,
        };
        let sent = seat.inbox.send(Input::NodeOpened(opened)).await;
        sent.map_err(|_| Status::unavailable("the leader's term has ended"))?;
        tokio::spawn(reader.run(says));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

impl Nodes {
    /// Refuses a new life under a name under which another process is at work: they would take each
    /// other's tasks away for ever.
    async fn is_nobody_elses(&self, node: &Node) -> Result<(), Status> {
        if node.incarnation != Incarnation(0) {
            return Ok(());
        }
        let Some(place) = self.speakers.at_work(&node.id).await else {
            return Ok(());
        };
        tracing::warn!(node = %node.id, %place, "a second process comes under this node's name: it is refused while the first one speaks");
        Err(Status::already_exists(format!(
            "another process is at work as node `{}` (it speaks from {place}); each needs an id of its \
             own: --id, or ASSAY_NODE_ID",
            node.id
        )))
    }

    /// Registers a new life; takes a known one as it is.
    async fn admit(&self, seat: &Seat, mut node: Node) -> Result<(Node, bool), Status> {
        if node.incarnation != Incarnation(0) {
            return Ok((node, false));
        }
        let registered = self.shared.parts.store.register(seat.epoch, &node).await;
        match registered {
            Ok(incarnation) => {
                node.incarnation = incarnation;
                node.state = assay_model::node::NodeState::Live;
                Ok((node, true))
            }
            Err(StoreError::FencedEpoch { epoch }) => Err(Status::failed_precondition(format!(
                "a newer leader has taken over (epoch {epoch} is fenced)"
            ))),
            // A registration that may have happened is repeated by the node: it only skips a life.
            Err(error) => Err(store_status(&error)),
        }
    }
}

/// A stream's first message, checked.
struct Hello {
    node: Node,
    held: Vec<AttemptToken>,
    highest_epoch: Epoch,
    probe_port: Option<u16>,
    version: String,
}

async fn first(says: &mut Streaming<v1::NodeMessage>) -> Result<Hello, Status> {
    let message = says
        .message()
        .await?
        .ok_or_else(|| Status::invalid_argument("the stream ended before its hello"))?;
    match node_says(message)? {
        NodeSays::Hello {
            node,
            held,
            highest_epoch,
            probe_port,
            version,
        } => Ok(Hello {
            node,
            held,
            highest_epoch,
            probe_port,
            version,
        }),
        NodeSays::Unknown => Err(Status::invalid_argument(
            "the first message is `hello`, and this one is of a kind that this version of the \
             manager does not know; bring the managers up to the node's version",
        )),
        _ => Err(Status::invalid_argument("the first message is `hello`")),
    }
}

/// Reads one node's stream.
struct Reader {
    node: NodeId,
    incarnation: Incarnation,
    stream: u64,
    inbox: Inbox,
    speaker: Speaker,
    probe: Option<SocketAddr>,
}

impl Reader {
    async fn run(self, mut says: Streaming<v1::NodeMessage>) {
        let mut unknown = false;
        let left = loop {
            let message = tokio::select! {
                // The term has ended: its streams do, too.
                () = self.inbox.closed() => return,
                message = tokio::time::timeout(SILENCE_MAX, says.message()) => message,
            };
            let Ok(Ok(Some(message))) = message else {
                break false;
            };
            self.speaker.said();
            match node_says(message) {
                Ok(NodeSays::Goodbye) => break true,
                // A newer node must not lose its stream for what it knows better.
                Ok(NodeSays::Unknown) => {
                    if !unknown {
                        tracing::warn!(node = %self.node, "a kind of message that this version does not know is refused; the node's version is newer: bring the managers up to it");
                    }
                    unknown = true;
                }
                Ok(said) => {
                    let Some(event) = self.event(said) else {
                        tracing::warn!(node = %self.node, "a second hello: the stream ends");
                        break false;
                    };
                    if self.inbox.send(Input::Event(event)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(node = %self.node, %error, "a message breaks the contract");
                    break false;
                }
            }
        };
        self.closed(left).await;
    }

    fn event(&self, said: NodeSays) -> Option<Event> {
        Some(match said {
            NodeSays::Heartbeat(load) => Event::NodeHeartbeat {
                node: self.node.clone(),
                incarnation: self.incarnation,
                load,
            },
            NodeSays::Started(token) => Event::TaskStarted { token },
            NodeSays::Finished(token) => Event::TaskFinished { token },
            NodeSays::Failed(token, failure) => Event::TaskFailed { token, failure },
            NodeSays::Dropped(token, _reason) => Event::TaskDropped { token },
            NodeSays::Leaving(reason) => Event::DrainNode {
                node: self.node.clone(),
                reason,
            },
            NodeSays::Hello { .. } | NodeSays::Goodbye | NodeSays::Unknown => return None,
        })
    }

    /// Tells that the stream has closed, and then whether the node's process is gone.
    async fn closed(&self, left: bool) {
        let closed = Input::NodeClosed {
            node: self.node.clone(),
            incarnation: self.incarnation,
            stream: self.stream,
            left,
        };
        if self.inbox.send(closed).await.is_err() || left {
            return;
        }
        let Some(address) = self.probe else { return };
        if knock::refuses(address).await {
            let refuses = Input::NodeRefuses {
                node: self.node.clone(),
                incarnation: self.incarnation,
            };
            // A term that has ended needs no word.
            let _ = self.inbox.send(refuses).await;
        }
    }
}
