//! The wiring of the data node: the one file of this program that names adapters.
//!
//! Comes in: settings. Goes out: a node's parts, on Postgres and etcd, with a child process per
//! slot.

use std::process::ExitCode;
use std::sync::Arc;

use assay_coordination::etcd::{EtcdCoordinator, EtcdOptions, EtcdTls};
use assay_datanode::runner::access::{Identities, KeyError, Keys, LocalKeys, Sources};
use assay_datanode::runner::child::{self, ChildConfig, ChildRunner, Reaching};
use assay_datanode::runner::copies::{Copies, StorageLogin};
use assay_datanode::{NodeConfig, NodeParts};
use assay_process::ecs::{self, ZoneError};
use assay_process::options::{Store, StoreAuth, without_password};
use assay_process::run::{Failure, patiently};
use assay_proto::link::{Door, PeerRole, Tls, TlsFiles};
use assay_scan::reach::Secret;
use assay_scan::storage::StorageAt;
use assay_store::StoreError;
use assay_store::postgres::{Passwords, PostgresOptions, PostgresStore};
use assay_telemetry::Telemetry;
use async_trait::async_trait;

use crate::options::Settings;
use crate::sources::{IngestPlace, LoginFile, SourceSettings};

/// Whether this process was started by a node to run its tasks.
pub fn is_task_child() -> bool {
    std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == child::SUBCOMMAND)
}

/// Runs tasks for the node that started this process.
pub fn serve_child() -> ExitCode {
    child::serve_child(Some(Reaching {
        make: assay_sources::reach,
        warm: assay_sources::warm,
    }))
}

/// What the node shows of itself, if it is to.
fn tls(settings: &Settings) -> Result<Option<Tls>, Failure> {
    let Some(files) = settings.tls.clone() else {
        return Ok(None);
    };
    let mut tls = Tls::load(TlsFiles {
        ca: files.ca,
        cert: files.cert,
        key: files.key,
    })?;
    if let Some(name) = &files.server_name {
        tls = tls.expecting(name)?;
    }
    // No manager would take it in.
    tls.is_of(PeerRole::Node, Some(&settings.id))?;
    Ok(Some(tls))
}

/// Passwords of the store that hold for a while only, if it is logged in to by such.
#[cfg(feature = "cloud")]
async fn passwords(store: &Store) -> Result<Option<Arc<dyn Passwords>>, Failure> {
    Ok(match store.auth {
        StoreAuth::Password => None,
        StoreAuth::Iam => Some(assay_store::postgres::iam(&store.url).await?),
    })
}

/// The same, of a program that knows no AWS.
#[cfg(not(feature = "cloud"))]
#[expect(clippy::unused_async, reason = "as the other one")]
async fn passwords(store: &Store) -> Result<Option<Arc<dyn Passwords>>, Failure> {
    match store.auth {
        StoreAuth::Password => Ok(None),
        StoreAuth::Iam => Err("this program was built without AWS, and knows no tokens of IAM: build it with the feature `cloud`, or log in by a password".into()),
    }
}

/// What the node's tasks may reach.
async fn sources(settings: &Settings) -> Result<Sources, Failure> {
    let SourceSettings {
        allow,
        env_prefix,
        files,
        aws_prefix,
        external_id,
    } = settings.sources.clone();
    let local = LocalKeys::for_sources(env_prefix, files);
    Ok(Sources {
        keys: keys(local, aws_prefix).await?,
        allowed: Some(allow),
        make: assay_sources::reach,
        identities: Some(Identities::new(assay_sources::resolve)),
        external_id,
    })
}

/// The login of the store, for copies that are kept there.
struct OfStore {
    at: StorageAt,
    passwords: Option<Arc<dyn Passwords>>,
}

impl std::fmt::Debug for OfStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OfStore({})", self.at.address())
    }
}

#[async_trait]
impl StorageLogin for OfStore {
    async fn at(&self) -> Result<StorageAt, KeyError> {
        let mut at = self.at.clone();
        if let Some(passwords) = &self.passwords {
            let password = passwords.password().await.map_err(KeyError::Away)?;
            at.password = Secret::new(password.text);
        }
        Ok(at)
    }
}

/// Where copies of partitions are stored, if the operator says so: the process that reads a source
/// is told what logs in there.
fn copies(
    settings: &Settings,
    passwords: Option<Arc<dyn Passwords>>,
    owner: &str,
) -> Option<Copies> {
    let store = assay_sources::storage_at(&settings.store.url);
    let login: Arc<dyn StorageLogin> = match settings.ingest.as_ref()? {
        IngestPlace::File(path) => Arc::new(LoginFile(path.clone())),
        IngestPlace::At(at) => {
            if store.is_ok_and(|store| store.user == at.user && store.address() == at.address()) {
                tracing::warn!(
                    at = at.address(),
                    "`[ingest] url` logs in as the store's own role: processes that read sources \
                     could change the store; give it a role, best a database, of its own"
                );
            }
            Arc::new(at.clone())
        }
        IngestPlace::Store => Arc::new(of_store(&settings.store, store, passwords)?),
    };
    Some(Copies::new(login, assay_sources::reach, owner))
}

/// The store as a place of copies. One whose address cannot be used for that (a socket) keeps none,
/// and a dataset that is ingested is told so.
fn of_store(
    store: &Store,
    at: Result<StorageAt, String>,
    passwords: Option<Arc<dyn Passwords>>,
) -> Option<OfStore> {
    let mut at = at
        .inspect_err(|what| tracing::warn!(what, "the store keeps no copies"))
        .ok()?;
    if let Some(password) = &store.password {
        at.password = Secret::new(password.as_str());
    }
    if let Some(ca) = &store.ca {
        let pem = assay_files::read(ca)
            .inspect_err(|error| tracing::warn!(%error, "the store keeps no copies"))
            .ok()?;
        at.ca = Some(String::from_utf8_lossy(&pem).into_owned());
    }
    tracing::warn!("copies are stored in the store: processes that read sources could change it");
    Some(OfStore { at, passwords })
}

/// Where secrets of sources are.
#[cfg(feature = "cloud")]
async fn keys(local: LocalKeys, aws_prefix: Option<String>) -> Result<Arc<dyn Keys>, Failure> {
    use assay_datanode::runner::access::aws::AwsKeys;

    Ok(match aws_prefix {
        None => Arc::new(local),
        Some(prefix) => {
            let config = assay_aws::config(&assay_aws::Options::default()).await?;
            Arc::new(AwsKeys::new(&config, local, prefix))
        }
    })
}

/// The same, of a program that knows no AWS.
#[cfg(not(feature = "cloud"))]
#[expect(clippy::unused_async, reason = "as the other one")]
async fn keys(local: LocalKeys, aws_prefix: Option<String>) -> Result<Arc<dyn Keys>, Failure> {
    match aws_prefix {
        None => Ok(Arc::new(local)),
        Some(_) => Err("this program was built without AWS, and knows no AWS Secrets Manager: build it with the feature `cloud`, or leave sources.aws_prefix out".into()),
    }
}

/// Variables that say where object stores are, and how their certificates are known. A child has
/// nothing else of the node's environment, and these only where it may reach a bucket; who it asks
/// as comes with its task.
const OF_STORES: &[&str] = &[
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// How children are started.
fn children(settings: &Settings) -> ChildConfig {
    let mut config = ChildConfig::own(settings.slots);
    let is_bucket = |place: &String| {
        ["s3://", "gs://", "az://"]
            .iter()
            .any(|scheme| place.starts_with(scheme))
    };
    if settings.sources.allow.iter().any(is_bucket) {
        let set = |name: &&str| std::env::var_os(name).map(|value| (name.into(), value));
        config.env.extend(OF_STORES.iter().filter_map(set));
    }
    config
}

/// What the node is made of.
pub async fn parts(settings: &Settings, telemetry: Telemetry) -> Result<NodeParts, Failure> {
    let tls = tls(settings)?;
    let zone = match settings.zone.as_str() {
        "auto" => patiently("the zone", ecs::zone, ZoneError::may_pass).await?,
        zone => zone.to_owned(),
    };
    let passwords = passwords(&settings.store).await?;
    let options = PostgresOptions {
        migrate: false,
        passwords: passwords.clone(),
        password: settings.store.password.clone(),
        ca: settings.store.ca.clone(),
        ..PostgresOptions::new(settings.store.url.clone())
    };
    let the_store = format!("the store at {}", without_password(&settings.store.url));
    let connect = || PostgresStore::connect(options.clone());
    let store = patiently(
        &the_store,
        connect,
        // The managers bring the schema up to date, perhaps at this moment.
        |error: &StoreError| error.is_retryable() || matches!(error, StoreError::Open { .. }),
    )
    .await?;
    // Not the machine's own clock, which may be wrong or be set.
    let clock = || store.clock();
    let now = patiently("the store's clock", clock, StoreError::is_retryable).await?;
    let etcd = &settings.etcd;
    let coordinator = EtcdCoordinator::connect(EtcdOptions {
        prefix: etcd.prefix.clone(),
        tls: etcd.tls.clone().map(|files| EtcdTls {
            ca: files.ca,
            certificate: files.cert,
            key: files.key,
        }),
        ..EtcdOptions::new(etcd.endpoints.clone())
    })
    .await?;
    let managers = settings.managers.iter().cloned();
    let doors = managers.map(|m| Door::at(m, tls.as_ref())).collect();
    let config = NodeConfig {
        slots: settings.slots,
        memory_bytes: settings.memory_bytes,
        zone,
        drain_grace: settings.drain_grace,
        probe: Some(settings.probe),
        ..NodeConfig::new(settings.id.clone(), doors)
    };
    let identity = || store.identity();
    let owner = patiently("the store's name", identity, StoreError::is_retryable).await?;
    let runner = ChildRunner::new(Arc::new(store.clone()), children(settings))
        .reaching(sources(settings).await?)
        .storing(copies(settings, passwords, &owner));
    // A node that cannot start its children must not register.
    runner.warm(config.memory_per_slot()).await?;
    Ok(NodeParts {
        store: Arc::new(store),
        coordinator: Some(Arc::new(coordinator)),
        runner: Arc::new(runner),
        config,
        now,
        telemetry,
    })
}
