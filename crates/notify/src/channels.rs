//! The channels: how a message gets to whoever subscribes.
//!
//! Comes in: a delivery and its subscription. Goes out: that the receiver has taken it, or why not
//! and whether trying again may help. An attempt has a bound in time, whatever the receiver does. It
//! must never follow a redirect, reach an address that the operator did not allow, or say a secret.

pub mod address;
#[cfg(feature = "cloud")]
mod aws;
mod email;
mod http;
mod slack;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use assay_keys::{KeyError, Keys, Secret};
use assay_model::dataset::Credential;
use assay_model::notice::{ChannelKind, Delivery, Subscription};
use async_trait::async_trait;
use jiff::SignedDuration;

use crate::settings::Settings;

/// How long an attempt may take.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Why a message was not taken. It never quotes a secret, nor what the receiver said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// What is wrong, and what to do.
    pub why: String,
    /// Whether the receiver wants no more of it.
    pub is_final: bool,
    /// The pause that the receiver asks for.
    pub after: Option<SignedDuration>,
}

impl Failure {
    /// What may pass.
    #[must_use]
    pub fn passing(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            is_final: false,
            after: None,
        }
    }
}

/// What carries messages.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Whether a subscription can be one at all: its target is spelt and allowed.
    ///
    /// # Errors
    /// Why not, in a sentence.
    fn check(&self, subscription: &Subscription) -> Result<(), String>;

    /// Whether messages can be sent to a new subscription: [`Carrier::check`], and its secret is to be
    /// had where messages are sent from. What may come back is no hindrance.
    ///
    /// # Errors
    /// Why not, in a sentence.
    async fn ready(&self, subscription: &Subscription) -> Result<(), String>;

    /// Carries a message to its receiver. A repeat is the same message: its id says so.
    ///
    /// # Errors
    /// [`Failure`]: it may have been taken all the same.
    async fn carry(&self, to: &Subscription, delivery: &Delivery) -> Result<(), Failure>;
}

/// All channels of this program.
pub struct Channels {
    settings: Settings,
    keys: Arc<dyn Keys>,
    http: http::Client,
    #[cfg(feature = "cloud")]
    aws: Option<aws::Clients>,
}

impl Channels {
    /// Channels by these settings, with these secrets.
    ///
    /// # Errors
    /// When no client of HTTP can be made.
    pub fn new(settings: Settings, keys: Arc<dyn Keys>) -> Result<Self, String> {
        Ok(Self {
            http: http::Client::new(settings.webhook.allow.clone())?,
            settings,
            keys,
            #[cfg(feature = "cloud")]
            aws: None,
        })
    }

    /// The same, which reach SNS and Lambda as whoever this configuration is.
    #[cfg(feature = "cloud")]
    #[must_use]
    pub fn with_aws(mut self, config: &assay_aws::SdkConfig) -> Self {
        self.aws = Some(aws::Clients::new(config));
        self
    }

    async fn secret(&self, credential: &Credential) -> Result<Secret, Failure> {
        let secret = self.keys.secret(credential).await;
        secret.map_err(|error| match error {
            KeyError::NotToBeHad(why) | KeyError::Away(why) => {
                Failure::passing(format!("{credential} is not to be had: {why}"))
            }
        })
    }

    async fn carry_by(&self, to: &Subscription, delivery: &Delivery) -> Result<(), Failure> {
        match to.channel {
            ChannelKind::Webhook => webhook::carry(self, to, delivery).await,
            ChannelKind::Slack => slack::carry(self, to, delivery).await,
            ChannelKind::Email => email::carry(self, to, delivery).await,
            ChannelKind::Sns | ChannelKind::Lambda => self.carry_by_aws(to, delivery).await,
        }
    }

    #[cfg(feature = "cloud")]
    async fn carry_by_aws(&self, to: &Subscription, delivery: &Delivery) -> Result<(), Failure> {
        self.check(to).map_err(Failure::passing)?;
        let Some(clients) = &self.aws else {
            return Err(Failure::passing(
                "this program has no AWS region and identity: set AWS_REGION where it runs",
            ));
        };
        clients.carry(to, delivery).await
    }

    #[cfg(not(feature = "cloud"))]
    #[expect(clippy::unused_async, reason = "as with the feature `cloud`")]
    async fn carry_by_aws(&self, _: &Subscription, _: &Delivery) -> Result<(), Failure> {
        Err(Failure::passing(
            "this program was built without AWS: build it with the feature `cloud`",
        ))
    }

    fn check_arn(&self, subscription: &Subscription) -> Result<(), String> {
        let service = match subscription.channel {
            ChannelKind::Sns => "sns",
            _ => "lambda",
        };
        let arn = &subscription.target;
        let mut parts = arn.split(':');
        let partition = parts.nth(1).unwrap_or_default();
        if !arn.starts_with("arn:")
            || !partition.starts_with("aws")
            || parts.next() != Some(service)
        {
            return Err(format!(
                "{arn} is no ARN of {service}: arn:aws:{service}:REGION:ACCOUNT:NAME"
            ));
        }
        let allowed = &self.settings.aws.allow;
        if allowed
            .iter()
            .any(|prefix| arn.starts_with(prefix.as_str()))
        {
            return Ok(());
        }
        Err(format!(
            "{arn} is not allowed: the operator names what may be reached under `[aws] allow` of \
             the settings of notifications"
        ))
    }
}

#[async_trait]
impl Carrier for Channels {
    fn check(&self, subscription: &Subscription) -> Result<(), String> {
        match subscription.channel {
            ChannelKind::Webhook => self.http.check(&subscription.target).map(drop),
            ChannelKind::Slack => slack::check(&self.settings, subscription),
            ChannelKind::Email => email::check(&self.settings, subscription),
            ChannelKind::Sns | ChannelKind::Lambda => self.check_arn(subscription),
        }
    }

    async fn ready(&self, subscription: &Subscription) -> Result<(), String> {
        self.check(subscription)?;
        let Some(credential) = &subscription.secret else {
            return Ok(());
        };
        match tokio::time::timeout(PATIENCE, self.keys.secret(credential)).await {
            Ok(Err(KeyError::NotToBeHad(why))) => Err(format!(
                "its secret {credential} is not to be had where messages are sent from: {why}"
            )),
            Ok(Ok(_) | Err(KeyError::Away(_))) | Err(_) => Ok(()),
        }
    }

    async fn carry(&self, to: &Subscription, delivery: &Delivery) -> Result<(), Failure> {
        let carried = tokio::time::timeout(PATIENCE, self.carry_by(to, delivery)).await;
        carried.unwrap_or_else(|_| {
            Err(Failure::passing(format!(
                "the receiver did not answer within {} s",
                PATIENCE.as_secs()
            )))
        })
    }
}

/// The sentence for people of an event.
pub(crate) fn message(delivery: &Delivery) -> &str {
    let message = delivery.event["data"]["message"].as_str();
    message.unwrap_or("a message of Assay")
}

/// The link to what an event is about, if there are pages.
pub(crate) fn link(delivery: &Delivery) -> Option<&str> {
    let links = &delivery.event["data"]["links"];
    links["incident"]
        .as_str()
        .or_else(|| links["page"].as_str())
}
