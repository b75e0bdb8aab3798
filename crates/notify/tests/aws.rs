//! SNS and Lambda against a stand-in for AWS.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use assay_aws::{Options, SdkConfig};
use assay_keys::LocalKeys;
use assay_model::check::Severity;
use assay_model::notice::{
    ChannelKind, Delivery, DeliveryState, NoticeKind, Subscription, SubscriptionOrigin,
};
use assay_notify::channels::{Carrier, Channels};
use assay_notify::settings::Settings;
use assay_test_servers::ministack::{REGION, shared};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use uuid::Uuid;

async fn config() -> SdkConfig {
    let options = Options {
        region: Some(REGION.to_owned()),
        attempts: 2,
        ..Options::default()
    };
    let nobody = Credentials::new("test", "test", None, None, "test");
    let config = assay_aws::config(&options).await.unwrap();
    config
        .into_builder()
        .endpoint_url(shared().url())
        .credentials_provider(SharedCredentialsProvider::new(nobody))
        .build()
}

async fn channels() -> Channels {
    let allow = format!(
        "[aws]\nallow = [\"arn:aws:sns:{REGION}:000000000000:\", \"arn:aws:lambda:{REGION}:000000000000:\"]\n"
    );
    let keys = Arc::new(LocalKeys::put_there_for("tests", "ASSAY_NOTIFY_", None));
    let channels = Channels::new(Settings::parse(&allow).unwrap(), keys).unwrap();
    channels.with_aws(&config().await)
}

fn subscription(channel: ChannelKind, target: &str) -> Subscription {
    let at = Timestamp::UNIX_EPOCH;
    Subscription {
        id: Uuid::from_u128(1),
        dataset: None,
        origin: SubscriptionOrigin::Person,
        channel,
        target: target.to_owned(),
        secret: None,
        operator: false,
        severity: Severity::Warning,
        dimensions: Vec::new(),
        columns: Vec::new(),
        events: Subscription::USUAL.to_vec(),
        paused_by: None,
        created_by: "ada".to_owned(),
        created_at: at,
        since: at,
        removed_at: None,
    }
}

fn delivery() -> Delivery {
    let id = Uuid::from_u128(0xabc);
    Delivery {
        id,
        subscription: Uuid::from_u128(1),
        kind: NoticeKind::Test,
        dataset: None,
        cause: None,
        event: serde_json::json!({ "id": id.simple().to_string(), "data": { "message": "é!" } }),
        created_at: Timestamp::UNIX_EPOCH,
        state: DeliveryState::Pending,
        attempts: 1,
        next_at: None,
        ended_at: None,
        error: None,
    }
}

#[tokio::test]
async fn a_topic_takes_the_event_and_one_that_is_not_there_is_told() {
    let sns = aws_sdk_sns::Client::new(&config().await);
    let made = sns.create_topic().name("assay-told").send().await.unwrap();
    let arn = made.topic_arn().unwrap();
    let channels = channels().await;
    let to = subscription(ChannelKind::Sns, arn);
    channels.check(&to).unwrap();
    channels.carry(&to, &delivery()).await.unwrap();
    let none = format!("arn:aws:sns:{REGION}:000000000000:nobody");
    let refused = channels
        .carry(&subscription(ChannelKind::Sns, &none), &delivery())
        .await;
    let refused = refused.unwrap_err();
    assert!(
        !refused.is_final && refused.why.contains(&none),
        "{refused}"
    );
    // Of an account that the operator did not name: nothing is asked.
    let other = format!("arn:aws:sns:{REGION}:111111111111:assay-told");
    let refused = channels
        .carry(&subscription(ChannelKind::Sns, &other), &delivery())
        .await;
    assert!(refused.unwrap_err().why.contains("[aws] allow"));
}

#[tokio::test]
async fn a_function_that_is_not_there_is_told() {
    let arn = format!("arn:aws:lambda:{REGION}:000000000000:function:nobody");
    let to = subscription(ChannelKind::Lambda, &arn);
    let channels = channels().await;
    channels.check(&to).unwrap();
    let refused = channels.carry(&to, &delivery()).await.unwrap_err();
    assert!(
        !refused.is_final && refused.why.contains("nobody"),
        "{refused}"
    );
}
