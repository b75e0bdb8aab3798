//! The factory of configurations.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

/// What a client is to be like. The endpoint is the SDK's affair: `AWS_ENDPOINT_URL` moves all
/// services, `AWS_ENDPOINT_URL_DYNAMODB` and the like one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The region; absent: that of the environment, the profile or the machine.
    pub region: Option<String>,
    /// The profile of `~/.aws`; absent: `AWS_PROFILE`, then the default one.
    pub profile: Option<String>,
    /// Attempts of one call in all, the first included. What is throttled or fails with a 5xx is
    /// tried again, after a pause that doubles from 50 ms, drawn at random.
    pub attempts: u32,
    /// How long one attempt may take.
    pub attempt: Duration,
    /// How long a call may take with all its attempts.
    pub call: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            region: None,
            profile: None,
            attempts: 5,
            attempt: Duration::from_secs(5),
            call: Duration::from_secs(20),
        }
    }
}

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);

/// Nothing says which region is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no AWS region is known: set AWS_REGION, or `region` in the profile of ~/.aws/config, or name \
     it where the service is named (dynamodb://TABLE?region=eu-west-1)"
)]
pub struct NoRegion;

/// The configuration that every AWS client is made of.
///
/// # Errors
/// [`NoRegion`] when neither `options` nor the surroundings name one. Whether there is an identity
/// shows with the first call only, as it may come from a service.
pub async fn config(options: &Options) -> Result<SdkConfig, NoRegion> {
    let http = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let retries = RetryConfig::standard()
        .with_max_attempts(options.attempts.max(1))
        .with_initial_backoff(Duration::from_millis(50))
        .with_max_backoff(Duration::from_secs(5));
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(options.attempt)
        .operation_timeout(options.call)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(retries)
        .timeout_config(timeouts);
    if let Ok(name) = AppName::new("assay") {
        loader = loader.app_name(name);
    }
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    let config = loader.load().await;
    match config.region() {
        Some(_) => Ok(config),
        None => Err(NoRegion),
    }
}
