//! The wiring of the embedded cluster: the one file of this command that names adapters.
//!
//! Comes in: where the state lies and how many nodes there shall be. Goes out: a manager and its
//! data nodes in this process, speaking the protocol of the cluster over pipes in memory (and, when
//! asked, over loopback TCP to clients). It must never decide what runs: that is the manager's.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use assay_answers::Reader;
use assay_coordination::port::LeaseTimes;
use assay_coordination::{Coordinator, LocalCoordinator};
use assay_datanode::runner::InProcess;
use assay_datanode::runner::access::identity_of_machine;
use assay_datanode::runner::child::Queries;
use assay_datanode::{DataNode, NodeConfig, NodeHandle, NodeParts};
use assay_gateway::{
    ByRole, Gateway, GuardSettings, Guarded, Managers, Mode, Parts, Seams, Settings, Way,
};
use assay_manager::{
    Manager, ManagerConfig, ManagerHandle, ManagerParts, NoticeParts, OutboxSink, system_clock,
};
use assay_manager_core as core;
use assay_model::incident::OutboxEntry;
use assay_proto::link::Door;
use assay_registry::{FolderRegistry, Registry};
use assay_scan::storage::StorageAt;
use assay_store::notices::NoticeStore;
use assay_store::sqlite::{OpenOptions, SqliteStore};
use assay_store::{Audit, JobStore, MetricStore};
use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::args::NodeRange;
use crate::sources;

/// The file in the data folder that names its store.
const OWNER: &str = "store-name";

/// How an embedded cluster is made.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// The folder of its store; `None` keeps everything in memory.
    pub data_dir: Option<PathBuf>,
    /// Its data nodes.
    pub nodes: NodeRange,
    /// Task slots of each.
    pub slots: u32,
    /// Memory for all scans together, in bytes.
    pub memory_bytes: u64,
    /// Where copies of partitions are stored, if anywhere.
    pub storage: Option<StorageAt>,
    /// Where clients are let in, if anywhere.
    pub address: Option<SocketAddr>,
}

/// A manager and its data nodes in this process.
pub struct Embedded {
    /// The manager.
    pub manager: ManagerHandle,
    /// The reads of people.
    pub metrics: Arc<dyn MetricStore>,
    store: SqliteStore,
    telemetry: assay_telemetry::Telemetry,
    coordinator: Arc<dyn Coordinator>,
    config: EmbeddedConfig,
    nodes: Mutex<Fleet>,
    /// Set once people are told.
    tells: OnceLock<()>,
}

/// How long messages that nobody is told of are waited for.
const UNTOLD: Duration = Duration::from_secs(5);

/// Takes every message and tells nobody.
struct Nobody;

#[async_trait]
impl OutboxSink for Nobody {
    async fn take(&self, _: &OutboxEntry) -> Result<(), String> {
        Ok(())
    }
}

#[derive(Default)]
struct Fleet {
    nodes: Vec<NodeHandle>,
    started: u32,
}

impl Embedded {
    /// Starts the cluster, without waiting for its nodes.
    pub async fn start(config: EmbeddedConfig) -> Result<Self> {
        let store = match &config.data_dir {
            Some(folder) => {
                std::fs::create_dir_all(folder).with_context(|| {
                    format!("cannot create the data folder {}", folder.display())
                })?;
                SqliteStore::open(store_path(folder), OpenOptions::default()).await?
            }
            None => SqliteStore::in_memory().await?,
        };
        let jobs: Arc<dyn JobStore> = Arc::new(store.clone());
        let metrics: Arc<dyn MetricStore> = Arc::new(store.clone());
        let coordinator: Arc<dyn Coordinator> =
            Arc::new(LocalCoordinator::new(LeaseTimes::default()));
        let telemetry = assay_telemetry::Telemetry::default();
        let manager = Manager::start(ManagerParts {
            store: jobs,
            metrics: metrics.clone(),
            coordinator: Arc::clone(&coordinator),
            config: ManagerConfig {
                core: core_config(&config),
                address: config
                    .address
                    .map_or_else(String::new, |at| format!("http://{at}")),
                ..ManagerConfig::default()
            },
            now: system_clock(),
            telemetry: telemetry.clone(),
        });
        let embedded = Self {
            manager,
            metrics,
            store,
            telemetry,
            coordinator,
            config,
            nodes: Mutex::default(),
            tells: OnceLock::new(),
        };
        // A node that asks before anybody leads is sent away, and waits before it asks again.
        embedded.manager.leads().await;
        for _ in 0..embedded.config.nodes.min {
            embedded.add_node().await?;
        }
        Ok(embedded)
    }

    /// Tells people, for as long as this cluster runs.
    pub async fn tell(&self, file: Option<&str>) -> Result<()> {
        let (channels, origin) = sources::channels(file).await?;
        // A repeat changes nothing.
        let _ = self.tells.set(());
        self.manager.tell(NoticeParts {
            store: Arc::new(self.store.clone()),
            carrier: Arc::new(channels),
            origin,
        });
        Ok(())
    }
    /// What the store is called where it stores copies: a name of its own in its folder, so that it
    /// is another's nowhere.
    fn owner(&self) -> Result<String> {
        let Some(folder) = &self.config.data_dir else {
            return Ok("a store that is not kept".to_owned());
        };
        let path = folder.join(OWNER);
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        if !written.trim().is_empty() {
            return Ok(format!("store {}", written.trim()));
        }
        let name = Uuid::now_v7().to_string();
        std::fs::write(&path, &name).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(format!("store {name}"))
    }

    /// Adds one data node.
    pub async fn add_node(&self) -> Result<()> {
        let mut fleet = self.nodes.lock().await;
        fleet.started += 1;
        let name = format!("node-{}", fleet.started);
        let doors = vec![Door::Local(self.manager.doorway())];
        let share = self.config.memory_bytes / u64::from(self.config.nodes.max.max(1));
        let node = DataNode::start(NodeParts {
            store: Arc::new(self.store.clone()),
            coordinator: Some(Arc::clone(&self.coordinator)),
            runner: Arc::new(
                // The user's own machine: what the user may read and reach, a dataset may.
                InProcess::new(self.metrics.clone())
                    .reaching(sources::of_user().await)
                    .asking(Queries::beside(
                        self.config.slots,
                        identity_of_machine().collect(),
                    ))
                    .storing(match &self.config.storage {
                        Some(at) => Some(sources::copies(at.clone(), &self.owner()?)),
                        None => None,
                    }),
            ),
            config: NodeConfig {
                slots: self.config.slots,
                memory_bytes: share,
                zone: "local".to_owned(),
                probe: None,
                ..NodeConfig::new(name, doors)
            },
            now: system_clock(),
            telemetry: assay_telemetry::Telemetry::default(),
        })
        .context("cannot start a data node")?;
        fleet.nodes.push(node);
        Ok(())
    }

    /// Lets the youngest node finish its tasks and leave.
    pub async fn remove_node(&self) {
        let node = self.nodes.lock().await.nodes.pop();
        if let Some(node) = node {
            node.drain("fewer nodes are needed").await;
        }
    }

    /// Data nodes at present.
    pub async fn node_count(&self) -> u32 {
        self.nodes.lock().await.nodes.len() as u32
    }

    /// Follows the manager's wish for nodes within the bounds, until dropped.
    pub async fn follow_the_load(&self) {
        let mut desired = self.manager.desired_nodes();
        loop {
            let (wanted, reason) = desired.borrow_and_update().clone();
            let wanted = wanted.clamp(self.config.nodes.min, self.config.nodes.max);
            let mut present = self.node_count().await;
            if wanted != present {
                tracing::info!(present, wanted, %reason, "the fleet follows the load");
            }
            while present < wanted {
                if let Err(error) = self.add_node().await {
                    tracing::warn!(%error, "a data node did not start");
                    break;
                }
                present += 1;
            }
            while present > wanted {
                self.remove_node().await;
                present -= 1;
            }
            if desired.changed().await.is_err() {
                return;
            }
        }
    }

    /// Lets clients in over loopback TCP.
    pub fn serve(&self, listener: TcpListener) {
        self.manager.serve(listener);
    }

    /// The HTTP API over this cluster and `registry`, with pages beside it. Whoever reaches it on this
    /// machine may do everything, as with the manager's port.
    pub fn gateway(
        &self,
        registry: Arc<dyn Registry>,
        settings: Arc<dyn Settings>,
    ) -> Result<Guarded> {
        let gateway = Gateway::new(Parts {
            store: Arc::clone(&self.metrics),
            notices: Arc::new(self.store.clone()),
            news: Arc::new(self.store.clone()),
            registry,
            managers: Managers::new(Way::One(Door::Local(self.manager.doorway()))),
            rights: Arc::new(ByRole),
            nobody: Reader::of_this_machine(),
            now: system_clock(),
            telemetry: self.telemetry.clone(),
            mode: Mode::Embedded,
        });
        // Open to whoever sits at this machine, and to no page of elsewhere in their browser.
        let audit = Arc::new(self.store.clone());
        let seams = Seams {
            settings: Some(settings),
            ..Seams::default()
        };
        gateway
            .paged(seams)
            .guarded(GuardSettings::default(), audit)
            .map_err(|what| anyhow::anyhow!("the guard of the web: {what}"))
    }

    /// Ends with an error when the store has had no space for `longest`, and never otherwise.
    pub async fn out_of_space(&self, longest: Duration) -> anyhow::Error {
        const LOOK: Duration = Duration::from_millis(250);
        let mut full_for = Duration::ZERO;
        while full_for < longest {
            tokio::time::sleep(LOOK).await;
            full_for = if self.store.is_full() {
                full_for + LOOK
            } else {
                Duration::ZERO
            };
        }
        let place = self.config.data_dir.as_deref().unwrap_or(Path::new("."));
        anyhow::anyhow!(
            "there was no space in {} for {} s; what was judged before is kept\n  \
             free some space and check again, or take another folder: --data-dir DIR",
            place.display(),
            longest.as_secs()
        )
    }

    /// Has what nobody was told of be told by nobody later, either: who tells people from this store
    /// some day finds incidents that are still open by themselves.
    async fn tell_nobody(&self) {
        self.manager.hand_on_messages(Arc::new(Nobody));
        let all = async {
            let mut pause = Duration::from_millis(1);
            while self
                .metrics
                .outbox(1)
                .await
                .is_ok_and(|left| !left.is_empty())
            {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(20));
            }
        };
        if tokio::time::timeout(UNTOLD, all).await.is_err() {
            tracing::warn!("some messages wait to be told by whoever tells people from this store");
        }
    }

    /// Lets running tasks finish, hands the rest back, and closes the store.
    pub async fn shutdown(self, grace: Duration) {
        let nodes = std::mem::take(&mut self.nodes.lock().await.nodes);
        let leaving = nodes.iter().map(|node| node.drain("the cluster stops"));
        let all = futures::future::join_all(leaving);
        if tokio::time::timeout(grace, all).await.is_err() {
            tracing::warn!("tasks were still at work; they are run again at the next start");
        }
        // What is in memory alone ends with this process: nobody can be told of it later.
        if self.tells.get().is_none() && self.config.data_dir.is_some() {
            self.tell_nobody().await;
        }
        self.manager.shutdown().await;
        self.store.close().await;
    }
}

fn core_config(config: &EmbeddedConfig) -> core::Config {
    let mut core = core::Config::default();
    core.scale.min = config.nodes.min;
    core.scale.max = config.nodes.max;
    core.scale.slots_per_node = config.slots;
    core
}

/// The listener of a manager on a loopback port: before the manager is begun, which tells where it is.
pub async fn manager_port(port: u16) -> Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    listener.with_context(|| {
        format!(
            "cannot listen on 127.0.0.1:{port}; is the port in use? \
             try --grpc-port {} or --grpc-port 0 (any free port)",
            port.saturating_add(10)
        )
    })
}

/// The store's file in a data folder.
pub fn store_path(folder: &Path) -> PathBuf {
    folder.join("assay.sqlite")
}

/// Opens the store of `folder` for reading beside whoever writes it; `None` when there is none.
pub async fn open_reader(folder: &Path) -> Result<Option<Arc<dyn MetricStore>>> {
    let store = read_only(folder).await?;
    Ok(store.map(|store| Arc::new(store) as Arc<dyn MetricStore>))
}

/// Opens what people are told of, in the store in `folder`, for reading only, if there is one.
pub async fn open_notices(folder: &Path) -> Result<Option<Arc<dyn NoticeStore>>> {
    let store = read_only(folder).await?;
    Ok(store.map(|store| Arc::new(store) as Arc<dyn NoticeStore>))
}

/// Opens the audit log of the store in `folder` for reading only, if there is one.
pub async fn open_audit(folder: &Path) -> Result<Option<Arc<dyn Audit>>> {
    let store = read_only(folder).await?;
    Ok(store.map(|store| Arc::new(store) as Arc<dyn Audit>))
}

async fn read_only(folder: &Path) -> Result<Option<SqliteStore>> {
    let path = store_path(folder);
    if !path.is_file() {
        return Ok(None);
    }
    let options = OpenOptions {
        read_only: true,
        ..OpenOptions::default()
    };
    Ok(Some(SqliteStore::open(path, options).await?))
}

/// Opens the folder of definitions `folder`; local paths in them are relative to `base`.
pub fn open_registry(folder: &Path, base: &Path) -> Result<Arc<dyn Registry>> {
    let registry = FolderRegistry::open(folder, base, system_clock())?;
    Ok(Arc::new(registry))
}

/// Copies the store of `folder`, in use or not, into the folder `to`.
pub async fn snapshot_store(folder: &Path, to: &Path) -> Result<()> {
    let Some(store) = read_only(folder).await? else {
        return Ok(());
    };
    store.copy_to(&store_path(to)).await?;
    store.close().await;
    Ok(())
}
