//! The wiring of the gateway: the one file of this program that names adapters.
//!
//! Comes in: settings. Goes out: a gateway's parts, on Postgres and a table or a folder of
//! definitions, and the audit log in the same Postgres.

use std::path::Path;
use std::sync::Arc;

use assay_gateway::{ByRole, Clock, Managers, Mode, Parts, Way, anonymous};
use assay_process::options::{Store, StoreAuth, without_password};
use assay_process::run::{Failure, patiently};
use assay_proto::link::{PeerRole, Tls, TlsFiles};
use assay_registry::{FolderRegistry, Registry};
use assay_store::postgres::{Passwords, PostgresOptions, PostgresStore};
use assay_store::{Audit, StoreError};
use assay_telemetry::Telemetry;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::options::{Definitions, Settings};

/// Connections for reads: more than of a manager, since reads are all that this program does.
const READERS: u32 = 8;

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

/// What the gateway is made of, and where changes are written down.
pub async fn parts(
    settings: &Settings,
    telemetry: Telemetry,
) -> Result<(Parts, Arc<dyn Audit>), Failure> {
    let options = PostgresOptions {
        // A manager brings the schema up to date; this program has no right to.
        migrate: false,
        passwords: passwords(&settings.store).await?,
        password: settings.store.password.clone(),
        ca: settings.store.ca.clone(),
        reader_connections: READERS,
        ..PostgresOptions::new(settings.store.url.clone())
    };
    let the_store = format!("the store at {}", without_password(&settings.store.url));
    let connect = || PostgresStore::connect(options.clone());
    // An older schema is brought up to date by a manager that starts at the same time.
    let may_come =
        |error: &StoreError| error.is_retryable() || matches!(error, StoreError::Open { .. });
    let store = patiently(&the_store, connect, may_come).await?;
    let clock = || store.clock();
    let now: Clock = patiently("the store's clock", clock, StoreError::is_retryable).await?;
    let parts = Parts {
        store: Arc::new(store.clone()),
        notices: Arc::new(store.clone()),
        news: Arc::new(store.clone()),
        registry: registry(settings, now.clone()).await?,
        managers: Managers::new(Way::Several {
            addresses: settings.managers.clone(),
            tls: client(settings)?,
        }),
        rights: Arc::new(ByRole),
        // The guard says of every request who asks.
        nobody: anonymous(),
        now,
        telemetry,
        mode: Mode::Cluster,
    };
    Ok((parts, Arc::new(store)))
}

/// The definitions in a table.
#[cfg(feature = "cloud")]
async fn table(name: &str, now: Clock) -> Result<Arc<dyn Registry>, Failure> {
    use assay_registry::dynamodb::{DynamoRegistry, Place};
    let config = assay_aws::config(&assay_aws::Options::default()).await?;
    let place = Place {
        table: name.to_owned(),
        by: Some("assay-gateway".to_owned()),
    };
    Ok(Arc::new(DynamoRegistry::open(&config, place, now)))
}

/// Without DynamoDB there is no such table; the options have refused one.
#[cfg(not(feature = "cloud"))]
#[expect(clippy::unused_async, reason = "as with the feature `cloud`")]
async fn table(name: &str, _: Clock) -> Result<Arc<dyn Registry>, Failure> {
    Err(format!("the table {name} cannot be used by this build").into())
}

async fn registry(settings: &Settings, now: Clock) -> Result<Arc<dyn Registry>, Failure> {
    match &settings.definitions {
        Definitions::Table(name) => table(name, now).await,
        Definitions::Folder(folder) => {
            let registry = FolderRegistry::open(folder, Path::new("/"), now)?;
            Ok(Arc::new(registry))
        }
    }
}

/// What is shown to the managers, if anything is.
fn client(settings: &Settings) -> Result<Option<Tls>, Failure> {
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
    // One that every manager refuses would only ever answer what it remembers.
    tls.is_of(PeerRole::Client, None)?;
    Ok(Some(tls))
}

/// What the HTTP API shows of itself, if it is to.
pub fn tls(settings: &Settings) -> Result<Option<TlsAcceptor>, Failure> {
    let Some((cert, key)) = &settings.http_tls else {
        return Ok(None);
    };
    let (chain, key) = (assay_files::read(cert)?, assay_files::read(key)?);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let key = PrivateKeyDer::from_pem_slice(&key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain?, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}
