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
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use assay_model::dataset::{Credential, Dataset, Location, Source};
use assay_model::task::{AttemptOutcome, TaskFailure};
use assay_scan::reach::{Access, Identity, MakeReach, Secret};
use async_trait::async_trait;

use super::failure;

#[cfg(feature = "secrets-manager")]
pub mod aws;
mod identities;

pub use identities::Identities;

/// The most bytes that a secret may have.
const SECRET_BYTES_MAX: u64 = 64 << 10;

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

/// Why a secret cannot be had. It never quotes one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not there, or not to be used for sources.
    #[error("{0}")]
    NotToBeHad(String),
    /// What keeps it does not answer.
    #[error("{0}")]
    Away(String),
}

/// The port to where secrets are kept.
#[async_trait]
pub trait Keys: fmt::Debug + Send + Sync {
    /// The secret that a reference names.
    ///
    /// # Errors
    /// See [`KeyError`].
    async fn secret(&self, credential: &Credential) -> Result<Secret, KeyError>;

    /// Another secret than `used`, when there is one by now: it may have been changed since it was
    /// kept or read.
    async fn renewed(&self, _credential: &Credential, _used: &Secret) -> Option<Secret> {
        None
    }
}

/// Secrets of this machine: its environment and its files.
#[derive(Debug, Clone, Default)]
pub struct LocalKeys {
    /// What names of variables must begin with; empty: any.
    prefix: String,
    /// The folder that files must lie in; absent: any.
    folder: Option<PathBuf>,
    /// Whether files may be read at all.
    no_files: bool,
}

impl LocalKeys {
    /// The secrets of the user who runs this process: any variable, any file.
    #[must_use]
    pub fn of_user() -> Self {
        Self::default()
    }

    /// Only what was put there for sources: variables whose name begins with `prefix`, files in
    /// `folder`.
    #[must_use]
    pub fn for_sources(prefix: impl Into<String>, folder: Option<PathBuf>) -> Self {
        Self {
            prefix: prefix.into(),
            no_files: folder.is_none(),
            folder,
        }
    }

    fn variable(&self, name: &str) -> Result<Secret, KeyError> {
        if !name.starts_with(&self.prefix) {
            return Err(KeyError::NotToBeHad(format!(
                "the variable {name} is not one for sources, whose names begin with {}",
                self.prefix
            )));
        }
        match std::env::var(name) {
            Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
            Ok(_) => Err(KeyError::NotToBeHad(format!(
                "the variable {name} is empty"
            ))),
            Err(_) => Err(KeyError::NotToBeHad(format!(
                "the variable {name} is not set where the source is read: set it there"
            ))),
        }
    }

    fn file(&self, path: &str) -> Result<Secret, KeyError> {
        let refused = |why: String| Err(KeyError::NotToBeHad(why));
        if self.no_files {
            return refused("no folder with files for sources is set on this node".to_owned());
        }
        let full = match &self.folder {
            Some(folder) => folder.join(path),
            None => PathBuf::from(path),
        };
        let leaves = Path::new(path)
            .components()
            .any(|part| part == Component::ParentDir);
        let real = full.canonicalize();
        let within = |real: &PathBuf| {
            let folder = self.folder.as_ref().map(|folder| folder.canonicalize());
            folder.is_none_or(|folder| folder.is_ok_and(|folder| real.starts_with(folder)))
        };
        let real = match real {
            Ok(real) if !leaves && within(&real) => real,
            Ok(_) => return refused(format!("{path} is not in the folder of files for sources")),
            Err(error) => return refused(format!("cannot read {path}: {error}")),
        };
        let length = std::fs::metadata(&real).map_or(0, |metadata| metadata.len());
        if length > SECRET_BYTES_MAX {
            return refused(format!("{path} has {length} bytes, too many for a secret"));
        }
        match std::fs::read_to_string(&real) {
            Ok(text) => Ok(Secret::new(text.trim_end_matches(['\n', '\r']))),
            Err(error) => refused(format!("cannot read {path}: {error}")),
        }
    }
}

#[async_trait]
impl Keys for LocalKeys {
    async fn secret(&self, credential: &Credential) -> Result<Secret, KeyError> {
        match credential {
            Credential::Env(name) => self.variable(name),
            Credential::File(path) => self.file(path),
            Credential::AwsSecret(name) => Err(KeyError::NotToBeHad(format!(
                "the secret {name} is in AWS Secrets Manager, which this program does not know"
            ))),
            // What the adapters take for nobody.
            Credential::Anonymous => Ok(Secret::new("anonymous")),
        }
    }

    async fn renewed(&self, credential: &Credential, used: &Secret) -> Option<Secret> {
        // Variables and files are read for each task: a file may have been written since.
        let secret = self.secret(credential).await.ok();
        secret.filter(|secret| secret != used)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_gives_only_what_was_put_there_for_sources() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("orders"), "s3cret\n").unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
        let keys = LocalKeys::for_sources("ASSAY_SOURCE_", Some(folder.path().to_owned()));
        let ask = async |text: &str| keys.secret(&text.parse().unwrap()).await;
        assert_eq!(ask("file:orders").await.unwrap().reveal(), "s3cret");
        let outside = format!("file:{}", outside.path().display());
        for refused in [
            "env:PATH",
            "env:ASSAY_SOURCE_UNSET",
            "file:/etc/passwd",
            "file:../orders",
            "file:link",
            outside.as_str(),
            "aws-sm:prod/orders",
        ] {
            let told = ask(refused).await.unwrap_err().to_string();
            assert!(!told.contains("s3cret"), "{told}");
        }
        let file: Credential = "file:orders".parse().unwrap();
        let used = Secret::new("s3cret");
        assert!(keys.renewed(&file, &used).await.is_none());
        std::fs::write(folder.path().join("orders"), "an0ther").unwrap();
        assert_eq!(
            keys.renewed(&file, &used).await.unwrap().reveal(),
            "an0ther"
        );
        let none = LocalKeys::for_sources("ASSAY_SOURCE_", None);
        assert!(none.secret(&Credential::File("x".into())).await.is_err());
        assert!(LocalKeys::of_user().variable("PATH").is_ok());
    }
}
