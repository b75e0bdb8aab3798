//! `[sources]`: what the node's tasks may reach beyond its files, and which secrets are for that.
//!
//! Comes in: flags, the environment, a section of the file. Goes out: settings whose default lets
//! tasks reach nothing: a node serves many owners, and what they may reach is for its operator to
//! say.

use std::path::PathBuf;

use assay_datanode::runner::access::KeyError;
use assay_datanode::runner::copies::StorageLogin;
use assay_process::options::without_password;
use assay_process::{Refused, layered};
use assay_scan::storage::StorageAt;
use assay_sources::policy::Policy;
use assay_sources::storage_at;
use async_trait::async_trait;
use clap::Args;
use serde::Deserialize;

/// `[sources]`
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceOptions {
    /// Places that datasets may be read from, with commas between: `s3://bucket/prefix/`,
    /// `s3://bucket/prefix/ at https://host` for one that another service holds,
    /// `az://account/container/`, `postgres://host:5432/database`, `file:///data/` [default: files
    /// of this machine, any].
    #[arg(
        id = "sources.allow",
        long = "sources-allow",
        env = "ASSAY_SOURCES_ALLOW",
        value_name = "PLACES",
        value_delimiter = ','
    )]
    pub allow: Option<Vec<String>>,
    /// How the names of variables begin that a dataset may log in by [default: ASSAY_SOURCE_].
    #[arg(
        id = "sources.env_prefix",
        long = "sources-env-prefix",
        env = "ASSAY_SOURCES_ENV_PREFIX",
        value_name = "PREFIX"
    )]
    pub env_prefix: Option<String>,
    /// The folder of files that a dataset may log in by [default: none].
    #[arg(
        id = "sources.files",
        long = "sources-files",
        env = "ASSAY_SOURCES_FILES",
        value_name = "DIR"
    )]
    pub files: Option<PathBuf>,
    /// How the names of secrets in AWS Secrets Manager begin that a dataset may log in by
    /// [default: none may].
    #[arg(
        id = "sources.aws_prefix",
        long = "sources-aws-prefix",
        env = "ASSAY_SOURCES_AWS_PREFIX",
        value_name = "PREFIX"
    )]
    pub aws_prefix: Option<String>,
    /// The external id that roles of datasets are taken on with [default: none].
    #[arg(
        id = "sources.external_id",
        long = "sources-external-id",
        env = "ASSAY_SOURCES_EXTERNAL_ID",
        value_name = "ID"
    )]
    pub external_id: Option<String>,
}
layered!(SourceOptions {
    allow,
    env_prefix,
    files,
    aws_prefix,
    external_id
});

/// `[ingest]`
#[derive(Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestOptions {
    /// Where copies of partitions are stored: `postgres://user:password@host/database`, `file:PATH`
    /// of a file that holds this address, best of a role that owns nothing else; or `store`: in the
    /// store, whose login the processes of such tasks are told then [default: none are stored].
    #[arg(
        id = "ingest.url",
        long = "ingest-url",
        env = "ASSAY_INGEST_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub url: Option<String>,
}
layered!(IngestOptions { url });

impl std::fmt::Debug for IngestOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = self.url.as_deref().map(without_password);
        f.debug_struct("IngestOptions").field("url", &url).finish()
    }
}

/// Where copies are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IngestPlace {
    /// In the store itself.
    Store,
    /// At this address.
    At(StorageAt),
    /// At the address that a file holds.
    File(PathBuf),
}

impl std::fmt::Display for IngestPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store => f.write_str("in the store"),
            Self::At(at) => f.write_str(&at.address()),
            Self::File(path) => write!(f, "where {} says", path.display()),
        }
    }
}

/// Storage whose address lies in a file, which may be changed at any time.
#[derive(Debug)]
pub struct LoginFile(pub PathBuf);

impl LoginFile {
    fn read(&self) -> Result<StorageAt, String> {
        let path = self.0.display();
        let text = std::fs::read_to_string(&self.0);
        let text =
            text.map_err(|e| format!("cannot read the address of ingest.url: {path}: {e}"))?;
        storage_at(&text).map_err(|what| format!("ingest.url: {path}: {what}"))
    }
}

#[async_trait]
impl StorageLogin for LoginFile {
    async fn at(&self) -> Result<StorageAt, KeyError> {
        self.read().map_err(KeyError::NotToBeHad)
    }
}

impl IngestOptions {
    /// Where copies are stored; `None`: nowhere.
    ///
    /// # Errors
    /// [`Refused`] when the address is none, or its file cannot be read.
    pub fn checked(&self) -> Result<Option<IngestPlace>, Refused> {
        let Some(url) = self.url.as_deref() else {
            return Ok(None);
        };
        if url == "store" {
            return Ok(Some(IngestPlace::Store));
        }
        if let Some(path) = url.strip_prefix("file:") {
            let file = LoginFile(path.into());
            file.read().map_err(Refused)?;
            return Ok(Some(IngestPlace::File(file.0)));
        }
        let at = storage_at(url).map_err(|what| Refused(format!("ingest.url: {what}")))?;
        Ok(Some(IngestPlace::At(at)))
    }
}

/// The same, checked.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// Places that may be reached.
    pub allow: Vec<String>,
    /// How names of variables for sources begin.
    pub env_prefix: String,
    /// The folder of files for sources.
    pub files: Option<PathBuf>,
    /// How names of secrets in AWS Secrets Manager begin.
    pub aws_prefix: Option<String>,
    /// The external id of roles.
    pub external_id: Option<String>,
}

impl SourceOptions {
    /// The settings.
    ///
    /// # Errors
    /// [`Refused`] for a place that is none.
    pub fn checked(self) -> Result<SourceSettings, Refused> {
        let allow = self.allow.unwrap_or_default();
        for place in &allow {
            if let Err(what) = Policy::is_place(place) {
                return Err(Refused(format!(
                    "`{place}` is no place that can be allowed: {what}; write one such as \
                     s3://bucket/prefix/ or postgres://host:5432/database"
                )));
            }
        }
        let env_prefix = self
            .env_prefix
            .unwrap_or_else(|| "ASSAY_SOURCE_".to_owned());
        if env_prefix.is_empty() {
            return Err(Refused::new(
                "with an empty sources.env_prefix every variable of the node could be sent to a \
                 source: write how the names of those for sources begin",
            ));
        }
        if self.aws_prefix.as_deref() == Some("") {
            return Err(Refused::new(
                "with an empty sources.aws_prefix every secret that the node may read could be \
                 sent to a source: write how the names of those for sources begin",
            ));
        }
        if let Some(id) = &self.external_id {
            Policy::is_external_id(id).map_err(Refused::new)?;
        }
        Ok(SourceSettings {
            allow,
            env_prefix,
            files: self.files,
            aws_prefix: self.aws_prefix,
            external_id: self.external_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_is_an_address_or_a_file_that_holds_one_and_shows_no_password() {
        let of = |url: &str| IngestOptions {
            url: Some(url.to_owned()),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        std::fs::write(&path, "postgres://u:hunter2@h/d\n").unwrap();
        let file = of(&format!("file:{}", path.display()));
        let plain = of("postgres://u:hunter2@h:5432/d");
        let told = |options: &IngestOptions| {
            let place = options.checked().unwrap().unwrap();
            let told = format!("{options:?} {place:?} {place}");
            assert!(!told.contains("hunter2"), "{told}");
            place
        };
        assert_eq!(told(&plain).to_string(), "postgres://h:5432/d");
        assert_eq!(told(&of("store")), IngestPlace::Store);
        let IngestPlace::File(named) = told(&file) else {
            panic!("no file");
        };
        // The file is read again by every task.
        let login = LoginFile(named);
        assert_eq!(login.read().unwrap().password.reveal(), "hunter2");
        std::fs::write(&path, "postgres://u:hunter3@h/d").unwrap();
        assert_eq!(login.read().unwrap().password.reveal(), "hunter3");
        assert!(IngestOptions::default().checked().unwrap().is_none());
        for bad in ["hunter2", "file:/nowhere"] {
            let told = of(bad).checked().unwrap_err().to_string();
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn a_place_is_written_with_its_scheme_and_no_prefix_is_empty() {
        let of = |place: &str| SourceOptions {
            allow: Some(vec![place.to_owned()]),
            ..SourceOptions::default()
        };
        for good in [
            "s3://trips/p/",
            "postgres://h:5432/db",
            "mysql://h/db",
            "file:///",
            "s3://trips/p/ at https://minio",
        ] {
            assert!(of(good).checked().is_ok(), "{good}");
        }
        for bad in [
            "b",
            "s3://",
            "ftp://x",
            "s3://trips/../",
            "",
            "https://minio",
        ] {
            assert!(of(bad).checked().is_err(), "{bad}");
        }
        let open = SourceOptions {
            env_prefix: Some(String::new()),
            ..SourceOptions::default()
        };
        assert!(open.checked().is_err());
        let open = SourceOptions {
            aws_prefix: Some(String::new()),
            ..SourceOptions::default()
        };
        assert!(open.checked().is_err());
        let strange = SourceOptions {
            external_id: Some("a&Action=GetUser".to_owned()),
            ..SourceOptions::default()
        };
        assert!(strange.checked().is_err());
    }
}
