//! Secrets of AWS Secrets Manager, beside those of this machine.
//!
//! In: a reference. Out: the secret, asked for with the identity of this process and kept in memory
//! for a few minutes, so that a dataset of a thousand tasks asks once. On a machine that serves
//! others only secrets whose name begins as the operator says are given out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use assay_aws::SdkConfig;
use assay_model::dataset::Credential;
use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use tokio::sync::Mutex;

use crate::{KeyError, Keys, LocalKeys, Secret};

/// How long a secret is kept: a secret that is rotated is known that much later.
const KEPT: Duration = Duration::from_secs(300);
/// How soon a secret that was refused is asked for again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// The most secrets that are kept.
const KEPT_MAX: usize = 1000;

/// Secrets of Secrets Manager, and of this machine.
pub struct AwsKeys {
    client: Client,
    local: LocalKeys,
    prefix: String,
    kept: Mutex<BTreeMap<String, (Secret, Instant)>>,
}

impl std::fmt::Debug for AwsKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsKeys")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl AwsKeys {
    /// Keys that ask with this configuration; names of secrets must begin with `prefix` (empty:
    /// any).
    #[must_use]
    pub fn new(config: &SdkConfig, local: LocalKeys, prefix: impl Into<String>) -> Self {
        Self {
            client: Client::new(config),
            local,
            prefix: prefix.into(),
            kept: Mutex::default(),
        }
    }

    /// By its name, which an ARN ends on.
    fn may_be_given(&self, name: &str) -> bool {
        let plain = match name.split_once(":secret:") {
            Some((arn, plain)) if is_of_secrets(arn) => plain,
            _ => name,
        };
        plain.starts_with(&self.prefix)
    }

    async fn ask(&self, name: &str) -> Result<Secret, KeyError> {
        let asked = self.client.get_secret_value().secret_id(name).send().await;
        let told = asked.map_err(|error| {
            let trouble = assay_aws::trouble(&error);
            let what = format!("the secret {name} of AWS Secrets Manager");
            let text = format!("{what}: {trouble}: {}", trouble.remedy(&what));
            if trouble.is_passing() {
                KeyError::Away(text)
            } else {
                KeyError::NotToBeHad(text)
            }
        })?;
        match told.secret_string() {
            Some(text) if !text.trim().is_empty() => Ok(Secret::new(text.trim_end())),
            _ => Err(KeyError::NotToBeHad(format!(
                "the secret {name} of AWS Secrets Manager holds no text"
            ))),
        }
    }
}

/// `arn:aws:secretsmanager:region:account`
fn is_of_secrets(arn: &str) -> bool {
    let mut parts = arn.split(':');
    parts.next() == Some("arn")
        && parts
            .next()
            .is_some_and(|partition| partition.starts_with("aws"))
        && parts.next() == Some("secretsmanager")
        && parts.count() == 2
}

#[async_trait]
impl Keys for AwsKeys {
    async fn secret(&self, credential: &Credential) -> Result<Secret, KeyError> {
        let Credential::AwsSecret(name) = credential else {
            return self.local.secret(credential).await;
        };
        if !self.may_be_given(name) {
            return Err(KeyError::NotToBeHad(format!(
                "the secret {name} is not one for sources, whose names begin with {}",
                self.prefix
            )));
        }
        // Held while it is asked for: tasks that start together ask once.
        let mut kept = self.kept.lock().await;
        if let Some((secret, since)) = kept.get(name)
            && since.elapsed() < KEPT
        {
            return Ok(secret.clone());
        }
        let secret = self.ask(name).await?;
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(name.clone(), (secret.clone(), Instant::now()));
        Ok(secret)
    }

    async fn renewed(&self, credential: &Credential, used: &Secret) -> Option<Secret> {
        let Credential::AwsSecret(name) = credential else {
            return self.local.renewed(credential, used).await;
        };
        // Tasks that are refused together ask once.
        let mut kept = self.kept.lock().await;
        let (held, since) = kept.get_mut(name)?;
        if held == used && since.elapsed() > ASKED_AGAIN_AFTER {
            *held = self.ask(name).await.ok()?;
            *since = Instant::now();
        }
        (held != used).then(|| held.clone())
    }
}
