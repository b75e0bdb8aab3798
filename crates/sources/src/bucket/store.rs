//! A client for a bucket, made of its definition.
//!
//! In: the bucket, its root, the secret and the policy. Out: a store that lists and reads. What a
//! definition may say of the service is its address and its region: nothing else of a client's many
//! options is anybody's to set.

use std::sync::Arc;
use std::time::Duration;

use assay_model::source::{Bucket, BucketStore};
use assay_scan::reach::Secret;
use object_store::aws::{AmazonS3Builder, AwsCredentialProvider};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::list::PaginatedListStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::http::Connector;
use super::identity::{self, Given};
use crate::policy::{Endpoint, Policy};

/// A client of any kind of store.
pub(crate) trait Store: ObjectStore + PaginatedListStore {}
impl<T: ObjectStore + PaginatedListStore> Store for T {}

/// A store, and who it is asked as.
#[derive(Clone)]
pub(crate) struct Client {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Who asks, for people.
    pub identity: String,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// Within what a request is tried again.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 5,
        retry_timeout: Duration::from_secs(60),
    }
}

/// A variable of this process that says something.
fn variable(names: &[&str]) -> Option<String> {
    let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    names.iter().find_map(set)
}

/// The address of a service that the operator of this machine has set.
fn operators(names: &[&str]) -> Result<Option<Endpoint>, String> {
    let Some(text) = variable(names) else {
        return Ok(None);
    };
    let parsed = Endpoint::parse(&text);
    parsed
        .map(Some)
        .map_err(|what| format!("{} names no endpoint: {what}", names.join(" or ")))
}

/// Makes the client of a bucket.
///
/// # Errors
/// A sentence that says what of it cannot be.
pub(crate) fn client(
    bucket: &Bucket,
    root: &str,
    secret: Option<&Secret>,
    endpoint: Option<Endpoint>,
    policy: &Policy,
) -> Result<Client, String> {
    if bucket.store != BucketStore::S3 && (bucket.role.is_some() || bucket.external_id.is_some()) {
        return Err("roles are taken on for S3 only".to_owned());
    }
    match bucket.store {
        BucketStore::S3 => s3(bucket, root, secret, endpoint, policy),
        BucketStore::Gcs => gcs(bucket, secret, endpoint.as_ref(), policy),
        BucketStore::Azure => azure(bucket, secret, endpoint.as_ref(), policy),
    }
}

fn s3(
    bucket: &Bucket,
    root: &str,
    secret: Option<&Secret>,
    endpoint: Option<Endpoint>,
    policy: &Policy,
) -> Result<Client, String> {
    let region = bucket
        .region
        .clone()
        .or_else(|| variable(&["AWS_REGION", "AWS_DEFAULT_REGION"]))
        .unwrap_or_else(|| "us-east-1".to_owned());
    let of_machine = match &endpoint {
        Some(_) => None,
        None => operators(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])?,
    };
    let sts = operators(&["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"])?;
    let mut policy = policy.clone();
    for trusted in [&of_machine, &sts].into_iter().flatten() {
        policy = policy.trusting(trusted.clone());
    }
    let service = endpoint.or(of_machine);
    let known = [&service, &sts].into_iter().flatten().cloned().collect();
    let connector = Connector::new(policy, known)?;
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(&region)
        .with_http_connector(connector.clone())
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(retries())
        .with_endpoint(service.as_ref().map_or_else(
            || format!("https://s3.{region}.amazonaws.com{suffix}"),
            Endpoint::to_string,
        ));
    let (by, mut identity) = match secret.map(identity::given).transpose()? {
        Some(Given::Anonymous) => (None, "an anonymous caller".to_owned()),
        Some(Given::Key { id, secret, token }) => (
            Some(identity::of_key(id, secret, token)),
            "the given key".to_owned(),
        ),
        None => (
            Some(machine(&region)?),
            "this machine's own identity".to_owned(),
        ),
    };
    let by = match (by, &bucket.role) {
        (by, None) => by,
        (None, Some(_)) => return Err("nobody in particular cannot take on a role".to_owned()),
        (Some(by), Some(role)) => {
            identity = format!("the role {role}");
            let own = service.filter(|_| sts.is_none());
            let service = sts.or(own).map_or_else(
                || format!("https://sts.{region}.amazonaws.com{suffix}/"),
                |endpoint| format!("{endpoint}/"),
            );
            let request = identity::request(bucket, role, root);
            Some(assumed(by, &connector, service, region.clone(), request))
        }
    };
    builder = match by {
        Some(by) => builder.with_credentials(by),
        None => builder.with_skip_signature(true),
    };
    let store = builder.build().map_err(|error| error.to_string())?;
    Ok(Client {
        store: Arc::new(store),
        identity,
    })
}

/// A role, taken on by another identity.
fn assumed(
    by: AwsCredentialProvider,
    connector: &Connector,
    service: String,
    region: String,
    request: String,
) -> AwsCredentialProvider {
    Arc::new(identity::Assumed {
        by,
        client: connector.client(),
        service,
        region,
        request,
        held: tokio::sync::Mutex::default(),
    })
}

/// Whatever this machine is given: keys of the environment, or the role of a task, a pod or an
/// instance. These come from addresses of the machine's own, which no definition can name.
fn machine(region: &str) -> Result<AwsCredentialProvider, String> {
    let machine = AmazonS3Builder::from_env()
        .with_bucket_name("none")
        .with_region(region)
        .with_skip_signature(false)
        .with_retry(RetryConfig {
            max_retries: 2,
            retry_timeout: Duration::from_secs(10),
            ..retries()
        })
        .build()
        .map_err(no_machine)?;
    Ok(machine.credentials().clone())
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn no_machine(error: object_store::Error) -> String {
    format!("this machine's own identity is not to be had: {error}")
}

fn connector(endpoint: Option<&Endpoint>, policy: &Policy) -> Result<Connector, String> {
    let known = endpoint.into_iter().cloned().collect();
    Connector::new(policy.clone(), known)
}

fn is_anonymous(secret: Option<&Secret>) -> bool {
    secret.is_some_and(|s| s.reveal().trim().eq_ignore_ascii_case("anonymous"))
}

fn gcs(
    bucket: &Bucket,
    secret: Option<&Secret>,
    endpoint: Option<&Endpoint>,
    policy: &Policy,
) -> Result<Client, String> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&bucket.name)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(retries());
    let mut identity = "this machine's own identity".to_owned();
    if let Some(endpoint) = endpoint {
        builder = builder.with_base_url(&endpoint.to_string());
    }
    match secret {
        Some(_) if is_anonymous(secret) => {
            identity = "an anonymous caller".to_owned();
            builder = builder.with_skip_signature(true);
        }
        Some(secret) => {
            identity = "the given service account".to_owned();
            builder = builder.with_service_account_key(secret.reveal());
        }
        None => {}
    }
    if secret.is_none() {
        // It is the machine that is asked who it is, at addresses of its own.
        let machine = GoogleCloudStorageBuilder::from_env().with_bucket_name(&bucket.name);
        let machine = machine.build().map_err(no_machine)?;
        builder = builder.with_credentials(machine.credentials().clone());
    }
    builder = builder.with_http_connector(connector(endpoint, policy)?);
    // The library's own error could show the key.
    let store = builder.build().map_err(|error| match secret {
        Some(_) => {
            "it is no key of a service account: give the JSON that Google Cloud issues".to_owned()
        }
        None => error.to_string(),
    })?;
    Ok(Client {
        store: Arc::new(store),
        identity,
    })
}

fn azure(
    bucket: &Bucket,
    secret: Option<&Secret>,
    endpoint: Option<&Endpoint>,
    policy: &Policy,
) -> Result<Client, String> {
    let account = bucket
        .account
        .clone()
        .ok_or("the account of the container is not named: write az://ACCOUNT.blob.core.windows.net/CONTAINER/…")?;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(&account)
        .with_container_name(&bucket.name)
        .with_allow_http(true)
        .with_retry(retries());
    let mut identity = "this machine's own identity".to_owned();
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint.to_string());
    }
    if let Some(given) = secret {
        let text = given.reveal().trim();
        builder = if is_anonymous(secret) {
            identity = "an anonymous caller".to_owned();
            builder.with_skip_signature(true)
        } else if text.starts_with('{') {
            identity = "the given application".to_owned();
            application(builder, text)?
        } else if text.contains("sig=") {
            identity = "the given shared access signature".to_owned();
            use object_store::azure::AzureConfigKey;
            builder.with_config(AzureConfigKey::SasKey, text.trim_start_matches('?'))
        } else {
            identity = "the given key of the account".to_owned();
            builder.with_access_key(text)
        };
    } else {
        let machine = MicrosoftAzureBuilder::from_env().with_container_name(&bucket.name);
        let machine = machine.with_account(account).build().map_err(no_machine)?;
        builder = builder.with_credentials(machine.credentials().clone());
    }
    builder = builder.with_http_connector(connector(endpoint, policy)?);
    let store = builder.build().map_err(|error| match secret {
        Some(_) => "it is no credential of Azure: give a key of the account, a shared access \
                    signature, or JSON with tenant_id, client_id and client_secret"
            .to_owned(),
        None => error.to_string(),
    })?;
    Ok(Client {
        store: Arc::new(store),
        identity,
    })
}

fn application(
    builder: MicrosoftAzureBuilder,
    text: &str,
) -> Result<MicrosoftAzureBuilder, String> {
    let read: serde_json::Value =
        serde_json::from_str(text).map_err(|_| "it is no JSON".to_owned())?;
    let of = |name: &str| {
        let found = read.get(name).and_then(serde_json::Value::as_str);
        found.ok_or_else(|| format!("its JSON has no {name}"))
    };
    Ok(builder.with_client_secret_authorization(
        of("client_id")?,
        of("client_secret")?,
        of("tenant_id")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_scan::reach::Access;

    fn bucket(store: BucketStore) -> Bucket {
        Bucket {
            store,
            name: "trips".to_owned(),
            path: String::new(),
            region: None,
            endpoint: None,
            account: (store == BucketStore::Azure).then(|| "lake".to_owned()),
            role: None,
            external_id: None,
        }
    }

    fn of(bucket: &Bucket, secret: &str) -> Result<Client, String> {
        let policy = Policy::new(&Access::default()).map_err(|error| error.to_string())?;
        client(bucket, "", Some(&Secret::new(secret)), None, &policy)
    }

    #[test]
    fn each_kind_of_store_takes_its_own_secrets_and_shows_none() {
        use BucketStore::{Azure, Gcs, S3};
        for (store, secret, who) in [
            (S3, "AKIA:secret", "the given key"),
            (S3, "anonymous", "an anonymous caller"),
            (Gcs, "anonymous", "an anonymous caller"),
            (Azure, "anonymous", "an anonymous caller"),
            (Azure, "a2V5", "the given key of the account"),
            (
                Azure,
                "?sv=2024-01-01&sig=abc",
                "the given shared access signature",
            ),
            (
                Azure,
                r#"{"tenant_id":"t","client_id":"c","client_secret":"s"}"#,
                "the given application",
            ),
        ] {
            let made = of(&bucket(store), secret).unwrap_or_else(|e| panic!("{store}: {e}"));
            assert_eq!(made.identity, who);
        }
        for (store, secret) in [
            (S3, "canary"),
            (Gcs, "canary"),
            (Gcs, r#"{"private_key":"canary"}"#),
            (Azure, "canary!!"),
            (Azure, r#"{"client_secret":"canary"}"#),
        ] {
            let told = of(&bucket(store), secret).expect_err("no secret");
            assert!(!told.contains("canary"), "{told}");
        }
    }

    #[test]
    fn what_a_kind_of_store_does_not_have_is_told() {
        let mut nameless = bucket(BucketStore::Azure);
        nameless.account = None;
        assert!(of(&nameless, "a2V5").is_err());
        let mut role = bucket(BucketStore::Gcs);
        role.role = Some("arn:aws:iam::123456789012:role/x".to_owned());
        assert!(of(&role, "anonymous").is_err());
    }
}
