//! A manager behind TLS, on a store in memory.

use std::sync::Arc;

use assay_coordination::port::LeaseTimes;
use assay_coordination::{Coordinator, LocalCoordinator};
use assay_manager::{Manager, ManagerConfig, ManagerHandle, ManagerParts, Role, system_clock};
use assay_model::ids::{AttemptToken, Epoch, Incarnation, NodeId};
use assay_model::node::{Node, NodeState};
use assay_proto::convert::hello_of;
use assay_proto::link::{Door, PeerRole, Tls, TlsFiles};
use assay_proto::v1;
use assay_proto::v1::node_service_client::NodeServiceClient;
use assay_store::SqliteStore;
use assay_telemetry::Telemetry;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::pki::{Authority, Vouches as _};

/// A manager behind TLS.
pub struct Cluster {
    pub authority: Arc<Authority>,
    pub manager: ManagerHandle,
    pub telemetry: Telemetry,
    pub address: String,
    pub files: TlsFiles,
    _folder: tempfile::TempDir,
}

impl Cluster {
    /// One manager, leading.
    pub async fn secured() -> Self {
        let store = SqliteStore::in_memory().await.unwrap();
        let coordinator = Arc::new(LocalCoordinator::new(LeaseTimes::default()));
        let authority = Arc::new(Authority::new("an authority"));
        let cluster = Self::start("manager-1", &store, coordinator, authority).await;
        cluster.manager.leads().await;
        cluster
    }

    /// Two managers of one cluster; the first leads, and the second knows.
    pub async fn two() -> (Self, Self) {
        Self::two_with(LeaseTimes::default()).await
    }

    /// The same, with leases that last so long.
    pub async fn two_with(times: LeaseTimes) -> (Self, Self) {
        let store = SqliteStore::in_memory().await.unwrap();
        let coordinator = Arc::new(LocalCoordinator::new(times));
        let authority = Arc::new(Authority::new("an authority"));
        let first = Self::start(
            "manager-1",
            &store,
            Arc::clone(&coordinator),
            Arc::clone(&authority),
        )
        .await;
        first.manager.leads().await;
        let second = Self::start("manager-2", &store, coordinator, authority).await;
        let mut roles = second.manager.roles();
        let knows = |role: &Role| matches!(role, Role::Standby { leader: Some(_) });
        roles.wait_for(knows).await.unwrap();
        (first, second)
    }

    /// A manager of this name.
    pub async fn start(
        name: &str,
        store: &SqliteStore,
        coordinator: Arc<LocalCoordinator>,
        authority: Arc<Authority>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            ca: folder.path().join("ca.pem"),
            cert: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
        };
        authority.write(&files, PeerRole::Manager, name);
        let coordinator: Arc<dyn Coordinator> = coordinator;
        let telemetry = Telemetry::default();
        let manager = Manager::start(ManagerParts {
            store: Arc::new(store.clone()),
            metrics: Arc::new(store.clone()),
            coordinator,
            config: ManagerConfig {
                name: name.to_owned(),
                address: address.clone(),
                ..ManagerConfig::default()
            },
            now: system_clock(),
            telemetry: telemetry.clone(),
        });
        manager.serve_secured(listener, Tls::load(files.clone()).unwrap());
        Self {
            authority,
            manager,
            telemetry,
            address,
            files,
            _folder: folder,
        }
    }

    /// A connection with a certificate of the authority.
    pub async fn open(&self, role: PeerRole, name: &str) -> Channel {
        let tls = self.authority.tls(role, name);
        Door::Tls(self.address.clone(), tls).open().await.unwrap()
    }

    /// The registered nodes.
    pub async fn nodes(&self) -> Vec<String> {
        let view = self.manager.view().await.unwrap();
        view.nodes.iter().map(|n| n.node.to_string()).collect()
    }
}

/// A node's first message.
pub fn greeting(id: &str) -> v1::Hello {
    let node = Node {
        id: NodeId::new(id),
        incarnation: Incarnation(0),
        state: NodeState::Registering,
        slots: 1,
        memory_bytes: 1 << 30,
        zone: String::new(),
    };
    let held: [AttemptToken; 0] = [];
    hello_of(&node, &held, Epoch(0), 0)
}

/// Says hello; the stream that answers, once it has.
pub async fn hello(
    channel: Channel,
    id: &str,
) -> Result<(mpsc::Sender<v1::NodeMessage>, Streaming<v1::ManagerMessage>), Status> {
    say(channel, v1::node_message::Kind::Hello(greeting(id))).await
}

/// Says something first.
pub async fn say(
    channel: Channel,
    kind: v1::node_message::Kind,
) -> Result<(mpsc::Sender<v1::NodeMessage>, Streaming<v1::ManagerMessage>), Status> {
    let (says, stream) = mpsc::channel(8);
    let message = v1::NodeMessage { kind: Some(kind) };
    says.send(message).await.unwrap();
    let answer = NodeServiceClient::new(channel)
        .connect(ReceiverStream::new(stream))
        .await?;
    let mut hears = answer.into_inner();
    // The first word comes when the node is one of the cluster.
    hears.message().await?;
    Ok((says, hears))
}
