//! Secrets of sources in AWS Secrets Manager.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use assay_aws::{Options, SdkConfig};
use assay_datanode::runner::access::aws::AwsKeys;
use assay_datanode::runner::access::{KeyError, Keys, LocalKeys};
use assay_model::dataset::Credential;
use assay_test_servers::ministack::{Ministack, REGION};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

async fn config(url: &str) -> SdkConfig {
    let options = Options {
        region: Some(REGION.to_owned()),
        attempts: 2,
        ..Options::default()
    };
    let nobody = Credentials::new("test", "test", None, None, "test");
    let config = assay_aws::config(&options).await.unwrap();
    config
        .into_builder()
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(nobody))
        .build()
}

#[tokio::test]
async fn a_secret_is_had_by_its_name_once_for_many_and_only_one_for_sources() {
    let mut stack = Ministack::start();
    let config = config(&stack.url()).await;
    let client = aws_sdk_secretsmanager::Client::new(&config);
    for name in ["assay/sources/lake", "assay/store"] {
        let made = client
            .create_secret()
            .name(name)
            .secret_string("canary:secret\n");
        made.send().await.unwrap();
    }
    let described = client.describe_secret().secret_id("assay/sources/lake");
    let arn = described.send().await.unwrap().arn().unwrap().to_owned();
    let keys = AwsKeys::new(&config, LocalKeys::of_user(), "assay/sources/");
    let ask = async |name: &str| keys.secret(&Credential::AwsSecret(name.to_owned())).await;
    for name in ["assay/sources/lake", &arn] {
        assert_eq!(ask(name).await.unwrap().reveal(), "canary:secret");
    }
    let missing = ask("assay/sources/none").await.unwrap_err();
    assert!(matches!(missing, KeyError::NotToBeHad(_)), "{missing}");
    let others = arn.replace("assay/sources/lake", "assay/store");
    for name in [
        "assay/store",
        &others,
        "arn:aws:s3:::x:secret:assay/sources/lake",
    ] {
        let refused = ask(name).await.unwrap_err();
        assert!(
            matches!(refused, KeyError::NotToBeHad(_)),
            "{name}: {refused}"
        );
    }
    // One that is changed is had anew once it is refused, and no sooner.
    let lake = Credential::AwsSecret("assay/sources/lake".to_owned());
    let old = keys.secret(&lake).await.unwrap();
    let changed = client.put_secret_value().secret_id("assay/sources/lake");
    changed
        .secret_string("canary:changed")
        .send()
        .await
        .unwrap();
    assert_eq!(keys.secret(&lake).await.unwrap(), old);
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let renewed = keys.renewed(&lake, &old).await.unwrap();
    assert_eq!(renewed.reveal(), "canary:changed");
    assert_eq!(keys.secret(&lake).await.unwrap(), renewed);
    assert!(keys.renewed(&lake, &renewed).await.is_none());
    stack.kill();
    // It is kept for a while; what is not had yet waits for the service.
    assert!(ask("assay/sources/lake").await.is_ok());
    let away = ask("assay/sources/another").await.unwrap_err();
    assert!(matches!(away, KeyError::Away(_)), "{away}");
    assert!(!format!("{keys:?} {missing} {away}").contains("canary"));
}
