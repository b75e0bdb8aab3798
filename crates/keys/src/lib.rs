//! Where secrets are kept: by name in the environment, in files, in AWS Secrets Manager.
//!
//! In: a reference, which may come from whoever registered a dataset or a subscription. Out: the
//! secret, in memory only. On a machine that serves others a reference reaches only what was put
//! there for the purpose ([`LocalKeys::put_there_for`]). No secret is ever written, logged or put
//! into an error.

use std::fmt;
use std::path::{Component, Path, PathBuf};

pub use assay_model::source::Secret;

use assay_model::dataset::Credential;
use async_trait::async_trait;

#[cfg(feature = "secrets-manager")]
pub mod aws;

/// The most bytes that a secret may have.
const SECRET_BYTES_MAX: u64 = 64 << 10;

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
    /// What they are for, in words.
    purpose: &'static str,
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
        Self::put_there_for("sources", prefix, folder)
    }

    /// The same for another purpose, named in words: a reference reaches nothing else.
    #[must_use]
    pub fn put_there_for(
        purpose: &'static str,
        prefix: impl Into<String>,
        folder: Option<PathBuf>,
    ) -> Self {
        Self {
            purpose,
            prefix: prefix.into(),
            no_files: folder.is_none(),
            folder,
        }
    }

    fn variable(&self, name: &str) -> Result<Secret, KeyError> {
        if !name.starts_with(&self.prefix) {
            return Err(KeyError::NotToBeHad(format!(
                "the variable {name} is not one for {}, whose names begin with {}",
                self.purpose, self.prefix
            )));
        }
        match std::env::var(name) {
            Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
            Ok(_) => Err(KeyError::NotToBeHad(format!(
                "the variable {name} is empty"
            ))),
            Err(_) => Err(KeyError::NotToBeHad(format!(
                "the variable {name} is not set where it is used: set it there"
            ))),
        }
    }

    fn file(&self, path: &str) -> Result<Secret, KeyError> {
        let refused = |why: String| Err(KeyError::NotToBeHad(why));
        if self.no_files {
            return refused(format!(
                "no folder with files for {} is set here",
                self.purpose
            ));
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
            Ok(_) => {
                return refused(format!(
                    "{path} is not in the folder of files for {}",
                    self.purpose
                ));
            }
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
