//! The wiring of the manager: the one file of this program that names adapters.
//!
//! Comes in: settings. Goes out: a manager's parts, on Postgres and etcd.

use std::sync::Arc;

use assay_coordination::etcd::{EtcdCoordinator, EtcdOptions, EtcdTls};
use assay_keys::LocalKeys;
use assay_manager::{ManagerConfig, ManagerHandle, ManagerParts, NoticeParts};
use assay_notify::channels::Channels;
use assay_process::options::{Store, StoreAuth, without_password};
use assay_process::run::{Failure, patiently};
use assay_proto::link::{PeerRole, Tls, TlsFiles};
use assay_store::StoreError;
use assay_store::postgres::{Passwords, PostgresOptions, PostgresStore};
use assay_telemetry::Telemetry;
use tokio::net::TcpListener;

use crate::options::Settings;

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

/// What the manager is made of.
pub async fn parts(
    settings: &Settings,
    telemetry: Telemetry,
    door: &TcpListener,
) -> Result<(ManagerParts, PostgresStore), Failure> {
    let options = PostgresOptions {
        migrate: settings.migrate,
        gateway_role: settings.gateway_role.clone(),
        passwords: passwords(&settings.store).await?,
        password: settings.store.password.clone(),
        ca: settings.store.ca.clone(),
        ..PostgresOptions::new(settings.store.url.clone())
    };
    let the_store = format!("the store at {}", without_password(&settings.store.url));
    let connect = || PostgresStore::connect(options.clone());
    let store = patiently(&the_store, connect, StoreError::is_retryable).await?;
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
    let scheme = if settings.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let bound = door.local_addr()?;
    let mut config = ManagerConfig {
        name: settings.name.clone(),
        address: settings
            .advertise
            .clone()
            .unwrap_or_else(|| format!("{scheme}://{bound}")),
        ..ManagerConfig::default()
    };
    config.core.scale.min = settings.nodes.0;
    config.core.scale.max = settings.nodes.1;
    let parts = ManagerParts {
        store: Arc::new(store.clone()),
        metrics: Arc::new(store.clone()),
        coordinator: Arc::new(coordinator),
        config,
        now,
        telemetry,
    };
    Ok((parts, store))
}

/// What secrets of subscriptions begin with: a reference reaches nothing else of this machine.
const SECRETS: (&str, &str) = ("ASSAY_NOTIFY_", "assay/notify/");

/// Tells people, while the manager leads.
pub async fn tell(
    manager: &ManagerHandle,
    settings: &Settings,
    store: PostgresStore,
) -> Result<(), Failure> {
    let of = &settings.notifications;
    let local = LocalKeys::put_there_for("notifications", SECRETS.0, of.secrets.clone());
    let origin = of.settings.origin();
    let channels = channels(of.settings.clone(), local).await?;
    manager.tell(NoticeParts {
        store: Arc::new(store),
        carrier: Arc::new(channels),
        origin,
    });
    Ok(())
}

/// Channels that reach AWS where this program has a region.
#[cfg(feature = "cloud")]
async fn channels(
    settings: assay_notify::settings::Settings,
    local: LocalKeys,
) -> Result<Channels, Failure> {
    use assay_keys::aws::AwsKeys;
    match assay_aws::config(&assay_aws::Options::default()).await {
        Ok(config) => {
            let keys = AwsKeys::new(&config, local, SECRETS.1);
            Ok(Channels::new(settings, Arc::new(keys))?.with_aws(&config))
        }
        Err(_) => Ok(Channels::new(settings, Arc::new(local))?),
    }
}

/// The same, of a program that knows no AWS.
#[cfg(not(feature = "cloud"))]
#[expect(clippy::unused_async, reason = "as with the feature `cloud`")]
async fn channels(
    settings: assay_notify::settings::Settings,
    local: LocalKeys,
) -> Result<Channels, Failure> {
    Ok(Channels::new(settings, Arc::new(local))?)
}

/// What the manager shows of itself, if it is to.
pub fn tls(settings: &Settings) -> Result<Option<Tls>, Failure> {
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
    // One that everybody refuses must not come to lead.
    tls.is_of(PeerRole::Manager, None)?;
    Ok(Some(tls))
}

/// Asks for what is due by the table of definitions, if there is one, while the manager leads.
#[cfg(feature = "cloud")]
pub async fn keep_schedule(manager: &ManagerHandle, settings: &Settings) -> Result<(), Failure> {
    use assay_registry::dynamodb::{DynamoRegistry, Place};
    let Some((table, every)) = settings.schedule.clone() else {
        return Ok(());
    };
    let config = assay_aws::config(&assay_aws::Options::default()).await?;
    let place = Place {
        table,
        by: Some(settings.name.clone()),
    };
    let agenda = DynamoRegistry::open(&config, place, assay_manager::system_clock());
    manager.keep_schedule(Arc::new(agenda), every);
    Ok(())
}

/// Without DynamoDB there is no such table; the options have refused one.
#[cfg(not(feature = "cloud"))]
#[expect(clippy::unused_async, reason = "as with the feature `cloud`")]
pub async fn keep_schedule(_: &ManagerHandle, _: &Settings) -> Result<(), Failure> {
    Ok(())
}

/// Lets nodes and clients in.
pub fn serve(manager: &ManagerHandle, door: TcpListener, tls: Option<Tls>) {
    match tls {
        Some(tls) => manager.serve_secured(door, tls),
        None => manager.serve(door),
    }
}
