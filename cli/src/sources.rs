//! How this program reaches data beyond the files of its machine.
//!
//! Comes in: sources, as definitions name them. Goes out: a context for scans that may reach them,
//! as the user who runs this: with the user's own secrets, and wherever the user may go.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use assay_datanode::runner::access::{Keys, LocalKeys, Sources};
use assay_datanode::runner::copies::Copies;
use assay_model::dataset::{Location, Source};
use assay_notify::channels::Channels;
use assay_notify::event::Origin;
use assay_notify::settings as notify;
use assay_scan::ScanContext;
use assay_scan::storage::StorageAt;

/// What the user of this machine may reach: all, by any secret.
pub async fn of_user() -> Sources {
    Sources {
        keys: keys().await,
        allowed: None,
        make: assay_sources::reach,
        identities: None,
        external_id: None,
    }
}

/// Copies of partitions, stored there for the store of `owner`.
pub fn copies(at: StorageAt, owner: &str) -> Copies {
    Copies::new(Arc::new(at), assay_sources::reach, owner)
}

/// Where copies are stored, by the setting `ingest.url`.
///
/// # Errors
/// When what it names cannot be read, is no address, or is a setting that holds a password.
pub fn storage(setting: &str) -> Result<StorageAt> {
    let named = |what: String| anyhow!("ingest.url: {what}");
    let address = if let Some(name) = setting.strip_prefix("env:") {
        let value = std::env::var(name);
        value.map_err(|_| named(format!("the variable {name} is not set")))?
    } else if let Some(path) = setting.strip_prefix("file:") {
        let text = std::fs::read_to_string(path);
        text.map_err(|error| named(format!("cannot read {path}: {error}")))?
    } else {
        setting.to_owned()
    };
    let at = assay_sources::storage_at(&address).map_err(named)?;
    if address == setting && !at.password.reveal().is_empty() {
        return Err(named(
            "a setting is shown and holds no password: write env:NAME or file:PATH of what holds \
             the address"
                .to_owned(),
        ));
    }
    Ok(at)
}

/// What tells people, by the file of the setting `notify.file`, as the user who runs this.
///
/// # Errors
/// When the file cannot be read or used.
pub async fn channels(file: Option<&str>) -> Result<(Channels, Origin)> {
    let settings = match file {
        None => notify::Settings::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| anyhow!("notify.file: cannot read {path}: {error}"))?;
            let settings = notify::Settings::parse(&text);
            settings.map_err(|error| anyhow!("notify.file: {path}: {error}"))?
        }
    };
    let origin = settings.origin();
    let channels = Channels::new(settings, keys().await).map_err(|what| anyhow!(what))?;
    Ok((with_aws(channels).await, origin))
}

#[cfg(feature = "cloud")]
async fn with_aws(channels: Channels) -> Channels {
    match assay_aws::config(&assay_aws::Options::default()).await {
        Ok(config) => channels.with_aws(&config),
        Err(_) => channels,
    }
}

#[cfg(not(feature = "cloud"))]
#[expect(clippy::unused_async, reason = "as the other one")]
async fn with_aws(channels: Channels) -> Channels {
    channels
}

/// Where the user's secrets are.
#[cfg(feature = "cloud")]
async fn keys() -> Arc<dyn Keys> {
    use assay_datanode::runner::access::aws::AwsKeys;

    let local = LocalKeys::of_user();
    // Without a region there is no Secrets Manager to ask: a reference to it is told so.
    match assay_aws::config(&assay_aws::Options::default()).await {
        Ok(config) => Arc::new(AwsKeys::new(&config, local, "")),
        Err(_) => Arc::new(local),
    }
}

/// The same, of a program that knows no AWS.
#[cfg(not(feature = "cloud"))]
#[expect(clippy::unused_async, reason = "as the other one")]
async fn keys() -> Arc<dyn Keys> {
    Arc::new(LocalKeys::of_user())
}

/// A context in which these sources can be read.
///
/// # Errors
/// When a secret is not to be had.
pub async fn context(sources: &[&Source]) -> Result<ScanContext> {
    let mut context = ScanContext::default();
    let files = |source: &&Source| matches!(source.location, Location::Local { .. });
    if !sources.iter().all(files) {
        let user = of_user().await;
        let access = user.access_to(sources).await;
        let access = access.map_err(|failure| anyhow!("{}", failure.message))?;
        context.reach = Some((user.make)(access));
    }
    Ok(context)
}
