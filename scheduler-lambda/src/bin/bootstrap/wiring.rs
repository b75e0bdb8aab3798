//! The wiring of the function: the one place of it that names adapters.
//!
//! Comes in: settings. Goes out: the agenda in DynamoDB, and the managers with the identity of a
//! secret. A connection to a manager is made anew for each event: between two of them the function
//! is frozen, and what the other end said meanwhile was not heard.

use std::sync::Arc;
use std::time::Duration;

use assay_aws::{SdkConfig, trouble};
use assay_proto::link::Tls;
use assay_registry::dynamodb::{DynamoRegistry, Place};
use assay_scheduler::Managers;
use aws_sdk_secretsmanager::Client;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::settings::Settings;

/// How long an identity is used before the secret is read again: it may have been renewed.
const IDENTITY_AGE: Duration = Duration::from_secs(300);

/// What the secret holds: three PEM texts.
#[derive(Deserialize)]
struct Secret {
    ca: String,
    cert: String,
    key: String,
}

/// What events are answered with.
pub struct Parts {
    /// The definitions, and what is due.
    pub agenda: DynamoRegistry,
    settings: Settings,
    config: SdkConfig,
    // Held while the secret is read, once in a while.
    identity: Mutex<Option<(Instant, Tls)>>,
}

impl Parts {
    /// Asks nobody yet.
    ///
    /// # Errors
    /// When no region is known.
    pub async fn new(settings: Settings) -> Result<Self, assay_aws::NoRegion> {
        let config = assay_aws::config(&assay_aws::Options::default()).await?;
        let place = Place {
            table: settings.table.clone(),
            by: Some("the scheduled function".to_owned()),
        };
        Ok(Self {
            agenda: DynamoRegistry::open(&config, place, Arc::new(Timestamp::now)),
            settings,
            config,
            identity: Mutex::new(None),
        })
    }

    /// The managers, not yet connected to.
    ///
    /// # Errors
    /// When the identity cannot be read.
    pub async fn managers(&self) -> Result<Managers, String> {
        let addresses = self.settings.managers.clone();
        let tls = match &self.settings.secret {
            Some(secret) => Some(self.identity(secret).await?),
            None => None,
        };
        Ok(Managers::at(addresses, tls))
    }

    async fn identity(&self, secret: &str) -> Result<Tls, String> {
        let mut known = self.identity.lock().await;
        if let Some((since, tls)) = known.as_ref()
            && since.elapsed() < IDENTITY_AGE
        {
            return Ok(tls.clone());
        }
        match self.read(secret).await {
            Ok(tls) => {
                *known = Some((Instant::now(), tls.clone()));
                Ok(tls)
            }
            // The one before may still hold.
            Err(why) => match known.as_ref() {
                Some((_, tls)) => {
                    tracing::warn!(%why, "the identity is not renewed; the one before stays in use");
                    Ok(tls.clone())
                }
                None => Err(why),
            },
        }
    }

    async fn read(&self, secret: &str) -> Result<Tls, String> {
        let what = format!("the secret {secret}");
        let client = Client::new(&self.config);
        let found = client.get_secret_value().secret_id(secret).send().await;
        let found = found.map_err(|error| {
            let trouble = trouble(&error);
            format!(
                "{what} cannot be read: {trouble}; {}",
                trouble.remedy(&what)
            )
        })?;
        let text = found.secret_string().unwrap_or_default();
        // The parser's own words would show what it has read.
        let secret: Secret = serde_json::from_str(text)
            .map_err(|_| format!("{what} is no JSON object with `ca`, `cert` and `key` (PEM)"))?;
        let tls = Tls::of_pem(&secret.ca, &secret.cert, &secret.key);
        let tls = tls.map_err(|error| format!("{what}: {error}"))?;
        match &self.settings.server_name {
            Some(name) => tls.expecting(name).map_err(|error| error.to_string()),
            None => Ok(tls),
        }
    }
}
