//! A client for a bucket, made of its definition.
//!
//! In: the bucket, its root, the secret and the policy. Out: a store that lists and reads. What a
//! definition may say of the service is its address and its region: nothing else of a client's many
//! options is anybody's to set.

use std::sync::Arc;
use std::time::Duration;

use assay_model::source::{Bucket, BucketStore};
use assay_scan::reach::{Identity, Secret};
use object_store::aws::{AmazonS3Builder, AwsCredentialProvider};
use object_store::azure::{AzureCredential, AzureCredentialProvider, MicrosoftAzureBuilder};
use object_store::gcp::{GcpCredential, GcpCredentialProvider, GoogleCloudStorageBuilder};
use object_store::list::PaginatedListStore;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig, StaticCredentialProvider,
};

use super::http::Connector;
use super::identity::{self, Given, NoIdentity};
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

/// Who a bucket is asked as, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who<'a> {
    /// What the source's reference names.
    pub(crate) secret: Option<&'a Secret>,
    /// Who, where that does not say it.
    pub(crate) identity: &'a Identity,
    /// What a role is asked with.
    pub(crate) external_id: Option<&'a str>,
}

impl Who<'_> {
    /// Refuses to look who the machine is in a process that may not.
    fn may_look(self) -> Result<(), String> {
        match self.identity {
            Identity::OfProcess => Ok(()),
            Identity::Nobody | Identity::Given(_) => {
                Err("no identity of the machine was handed to this task".to_owned())
            }
        }
    }
}

/// Makes the client of a bucket.
///
/// # Errors
/// A sentence that says what of it cannot be.
pub(crate) fn client(
    bucket: &Bucket,
    root: &str,
    who: Who<'_>,
    endpoint: Option<Endpoint>,
    policy: &Policy,
) -> Result<Client, String> {
    has_roles(bucket)?;
    match bucket.store {
        BucketStore::S3 => s3(bucket, root, who, endpoint, policy),
        BucketStore::Gcs => gcs(bucket, who, endpoint.as_ref(), policy),
        BucketStore::Azure => azure(bucket, who, endpoint.as_ref(), policy),
    }
}

fn has_roles(bucket: &Bucket) -> Result<(), String> {
    if bucket.store != BucketStore::S3 && (bucket.role.is_some() || bucket.external_id.is_some()) {
        return Err("roles are taken on for S3 only".to_owned());
    }
    Ok(())
}

/// The way to a store of S3.
struct WayToS3 {
    region: String,
    service: Option<Endpoint>,
    sts: Option<Endpoint>,
    connector: Connector,
    suffix: &'static str,
}

impl WayToS3 {
    fn of(bucket: &Bucket, endpoint: Option<Endpoint>, policy: &Policy) -> Result<Self, String> {
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
        Ok(Self {
            connector: Connector::new(policy, known)?,
            suffix: if region.starts_with("cn-") { ".cn" } else { "" },
            region,
            service,
            sts,
        })
    }

    /// Who asks (nobody in particular: `None`), and what that is called.
    fn by(
        &self,
        bucket: &Bucket,
        root: &str,
        who: Who<'_>,
    ) -> Result<(Option<AwsCredentialProvider>, String), String> {
        if let (Identity::Given(given), true) =
            (who.identity, who.secret.is_none() || bucket.role.is_some())
        {
            let called = match &bucket.role {
                Some(role) => format!("the role {role}"),
                None => "this machine's own identity".to_owned(),
            };
            return match identity::given(given)? {
                Given::Key { id, secret, token } => {
                    Ok((Some(identity::of_key(id, secret, token)), called))
                }
                Given::Anonymous => Err("what was handed to this task is no key".to_owned()),
            };
        }
        let (by, called) = match who.secret.map(identity::given).transpose()? {
            Some(Given::Anonymous) => (None, "an anonymous caller".to_owned()),
            Some(Given::Key { id, secret, token }) => (
                Some(identity::of_key(id, secret, token)),
                identity::GIVEN_KEY.to_owned(),
            ),
            None => {
                who.may_look()?;
                let machine = machine(&self.region)?;
                (Some(machine), "this machine's own identity".to_owned())
            }
        };
        match (by, &bucket.role) {
            (by, None) => Ok((by, called)),
            (None, Some(_)) => Err("nobody in particular cannot take on a role".to_owned()),
            (Some(by), Some(role)) => {
                who.may_look()?;
                let own = self.service.clone().filter(|_| self.sts.is_none());
                let service = self.sts.clone().or(own).map_or_else(
                    || format!("https://sts.{}.amazonaws.com{}/", self.region, self.suffix),
                    |endpoint| format!("{endpoint}/"),
                );
                let request = identity::request(bucket, role, root, who.external_id);
                let assumed = assumed(by, &self.connector, service, self.region.clone(), request);
                Ok((Some(assumed), format!("the role {role}")))
            }
        }
    }
}

fn s3(
    bucket: &Bucket,
    root: &str,
    who: Who<'_>,
    endpoint: Option<Endpoint>,
    policy: &Policy,
) -> Result<Client, String> {
    let way = WayToS3::of(bucket, endpoint, policy)?;
    let (by, identity) = way.by(bucket, root, who)?;
    let (region, suffix) = (&way.region, way.suffix);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(region)
        .with_http_connector(way.connector.clone())
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(retries())
        .with_endpoint(way.service.as_ref().map_or_else(
            || format!("https://s3.{region}.amazonaws.com{suffix}"),
            Endpoint::to_string,
        ));
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

/// What says who a bucket is read as.
pub(crate) enum Provider {
    Aws(AwsCredentialProvider),
    Gcp(GcpCredentialProvider),
    Azure(AzureCredentialProvider),
}

impl Provider {
    /// Credentials that end soon, as [`Identity::Given`] holds them.
    pub(crate) async fn get(self) -> object_store::Result<Secret> {
        let told = match self {
            Self::Aws(by) => {
                let key = by.get_credential().await?;
                serde_json::json!({
                    "access_key_id": key.key_id,
                    "secret_access_key": key.secret_key,
                    "session_token": key.token,
                })
            }
            Self::Gcp(by) => serde_json::json!({"bearer": by.get_credential().await?.bearer}),
            Self::Azure(by) => match by.get_credential().await?.as_ref() {
                AzureCredential::BearerToken(bearer) => serde_json::json!({"bearer": bearer}),
                _ => {
                    let what = "this machine's own identity at Azure is no token: name a \
                                `credentialRef`";
                    return Err(NoIdentity::Refused(what.to_owned()).into());
                }
            },
        };
        Ok(Secret::new(told.to_string()))
    }
}

/// What says who a bucket is read as that has no secret of its own, or a role.
///
/// # Errors
/// A sentence that says what of it cannot be.
pub(crate) fn provider(
    bucket: &Bucket,
    root: &str,
    who: Who<'_>,
    endpoint: Option<Endpoint>,
    policy: &Policy,
) -> Result<Provider, String> {
    has_roles(bucket)?;
    who.may_look()?;
    Ok(match bucket.store {
        BucketStore::S3 => {
            let (by, _) = WayToS3::of(bucket, endpoint, policy)?.by(bucket, root, who)?;
            Provider::Aws(by.ok_or("nobody in particular has no credentials")?)
        }
        BucketStore::Gcs => Provider::Gcp(machine_gcp(bucket)?),
        BucketStore::Azure => Provider::Azure(machine_azure(bucket)?),
    })
}

/// A token that was handed to this task.
fn bearer(given: &Secret) -> Result<String, String> {
    let read: serde_json::Value = serde_json::from_str(given.reveal()).unwrap_or_default();
    let token = read.get("bearer").and_then(serde_json::Value::as_str);
    token
        .map(str::to_owned)
        .ok_or_else(|| "what was handed to this task is no token".to_owned())
}

/// It is the machine that is asked who it is, at addresses of its own.
fn machine_gcp(bucket: &Bucket) -> Result<GcpCredentialProvider, String> {
    let machine = GoogleCloudStorageBuilder::from_env().with_bucket_name(&bucket.name);
    Ok(machine.build().map_err(no_machine)?.credentials().clone())
}

fn machine_azure(bucket: &Bucket) -> Result<AzureCredentialProvider, String> {
    let machine = MicrosoftAzureBuilder::from_env().with_container_name(&bucket.name);
    let machine = machine.with_account(bucket.account.clone().unwrap_or_default());
    Ok(machine.build().map_err(no_machine)?.credentials().clone())
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
    who: Who<'_>,
    endpoint: Option<&Endpoint>,
    policy: &Policy,
) -> Result<Client, String> {
    let secret = who.secret;
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
        builder = builder.with_credentials(match who.identity {
            Identity::Given(given) => Arc::new(StaticCredentialProvider::new(GcpCredential {
                bearer: bearer(given)?,
            })),
            Identity::OfProcess | Identity::Nobody => {
                who.may_look()?;
                machine_gcp(bucket)?
            }
        });
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
    who: Who<'_>,
    endpoint: Option<&Endpoint>,
    policy: &Policy,
) -> Result<Client, String> {
    let secret = who.secret;
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
        builder = builder.with_credentials(match who.identity {
            Identity::Given(given) => Arc::new(StaticCredentialProvider::new(
                AzureCredential::BearerToken(bearer(given)?),
            )),
            Identity::OfProcess | Identity::Nobody => {
                who.may_look()?;
                machine_azure(bucket)?
            }
        });
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
mod tests;
