//! What a task may reach, and what logs in there: resolved by the node, for one task at a time.
//!
//! In: a dataset's definition, which names its secrets by reference. Out: the [`Access`] of a task,
//! with the secrets of its own sources and no others. A secret lives in memory only, in the node and
//! in the process of the task; it must never be written, logged or put into an error.
//!
//! A reference comes from whoever registered the dataset, and the place that it is sent to comes
//! from there, too. On a machine that serves others a reference therefore reaches only what was put
//! there for sources ([`LocalKeys::for_sources`]), never the node's own secrets.

use std::ffi::OsString;
use std::sync::Arc;

use assay_model::dataset::{Credential, Dataset, Location, Source};
use assay_model::task::{AttemptOutcome, TaskFailure};
use assay_scan::reach::{Access, Identity, MakeReach};

use super::failure;

mod identities;

#[cfg(feature = "secrets-manager")]
pub use assay_keys::aws;
pub use assay_keys::{KeyError, Keys, LocalKeys};
pub use identities::Identities;

/// Variables that say who this machine is to an object store, and how its certificates are known:
/// for programs of the user who runs this one, and for no other's.
const OF_MACHINE: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "AZURE_CLIENT_ID",
    "AZURE_TENANT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// What of this process's environment says who the machine is to an object store, for children that
/// work for the very user of this process.
pub fn identity_of_machine() -> impl Iterator<Item = (OsString, OsString)> {
    let set = |name: &&str| std::env::var_os(name).map(|value| (name.into(), value));
    OF_MACHINE.iter().filter_map(set)
}

/// How the tasks of a node reach sources beyond its files.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Where secrets are.
    pub keys: Arc<dyn Keys>,
    /// The address prefixes that may be reached; `None`: any.
    pub allowed: Option<Vec<String>>,
    /// What makes the way there.
    pub make: MakeReach,
    /// Who object stores are asked as where no secret says it: resolved here, so that a task's
    /// process gets that and no way to more. `None`: whoever the task's process is.
    pub identities: Option<Identities>,
    /// The external id that roles are taken on with.
    pub external_id: Option<String>,
}

impl Sources {
    /// What a task of this dataset may reach.
    ///
    /// # Errors
    /// When a secret cannot be had: permanent, unless what keeps it does not answer.
    pub async fn access(&self, dataset: &Dataset) -> Result<Access, TaskFailure> {
        let mut access = self.access_to(&[&dataset.source]).await?;
        if let Some(identities) = &self.identities {
            access.identity = identities.of(&dataset.source, &access).await?;
        }
        Ok(access)
    }

    /// What a task may reach with the secret that is there by now, when that is another than it was
    /// refused with.
    pub async fn renewed(&self, dataset: &Dataset, used: &Access) -> Option<Access> {
        let credential = dataset.source.credential.as_ref()?;
        let used = used.secret(credential)?;
        self.keys.renewed(credential, used).await?;
        self.access(dataset).await.ok()
    }

    /// What a query of this dataset may reach: its own source, and the other servers that its
    /// definition names.
    ///
    /// # Errors
    /// As [`Sources::access`].
    pub async fn access_of_query(&self, dataset: &Dataset) -> Result<Access, TaskFailure> {
        let all: Vec<&Source> = std::iter::once(&dataset.source)
            .chain(&dataset.others)
            .collect();
        let mut access = self.access_to(&all).await?;
        if let Some(identities) = &self.identities {
            // A process asks as one: another store would be asked as who it does not know.
            let mut given = Identity::Nobody;
            for source in all {
                let identity = identities.of(source, &access).await?;
                if !matches!(identity, Identity::Given(_)) {
                    continue;
                }
                if matches!(given, Identity::Given(_)) && given != identity {
                    return Err(failure(
                        AttemptOutcome::Permanent,
                        format!(
                            "{}: the query reads servers as several identities, and a query has \
                             one: give all but one of them a secret of its own (credential)",
                            source.location.address()
                        ),
                    ));
                }
                given = identity;
            }
            access.identity = given;
        }
        Ok(access)
    }

    /// What a query of this dataset may reach with the secrets that are there by now, when one of
    /// them is another than it was refused with.
    pub async fn renewed_of_query(&self, dataset: &Dataset, used: &Access) -> Option<Access> {
        let all = std::iter::once(&dataset.source).chain(&dataset.others);
        for credential in all.filter_map(|source| source.credential.as_ref()) {
            if let Some(secret) = used.secret(credential)
                && self.keys.renewed(credential, secret).await.is_some()
            {
                return self.access_of_query(dataset).await.ok();
            }
        }
        None
    }

    /// What whoever reads these sources may reach.
    ///
    /// # Errors
    /// As [`Sources::access`].
    pub async fn access_to(&self, sources: &[&Source]) -> Result<Access, TaskFailure> {
        let mut access = Access {
            allowed: self.allowed.clone(),
            external_id: self.external_id.clone(),
            ..Access::default()
        };
        for source in sources {
            let Some(credential) = &source.credential else {
                continue;
            };
            let secret = self.keys.secret(credential).await;
            let secret = secret.map_err(|error| not_had(source, credential, &error))?;
            access.secrets.insert(credential.to_string(), secret);
        }
        Ok(access)
    }
}

/// Whether a task of this dataset needs anything but files.
pub(super) fn is_remote(dataset: &Dataset) -> bool {
    !matches!(dataset.source.location, Location::Local { .. })
}

fn not_had(source: &Source, credential: &Credential, error: &KeyError) -> TaskFailure {
    let outcome = match error {
        KeyError::NotToBeHad(_) => AttemptOutcome::Permanent,
        KeyError::Away(_) => AttemptOutcome::DependencyDown,
    };
    failure(
        outcome,
        format!(
            "{}: cannot log in, {credential} is not to be had: {error}",
            source.location.address()
        ),
    )
}
