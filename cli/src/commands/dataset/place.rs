//! The data that `assay dataset init` is given, as its argument names it.
//!
//! Comes in: a path of this machine, or an address such as `s3://bucket/prefix`. Goes out: a source
//! that can be looked at, and the place as the definition is to name it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use assay_contract::Place;
use assay_model::dataset::{Credential, Format, FormatKind, Location, Source};
use assay_model::source::{Bucket, BucketStore};

use super::init::{clean, relative};
use crate::client::coded;
use crate::exit::{Exit, OrExit};

/// Where the data is.
pub enum Data {
    /// On this machine: an absolute path, and whether it is a folder.
    Local(PathBuf, bool),
    /// In a bucket.
    Bucket(Bucket),
}

impl Data {
    /// Reads the argument.
    pub fn of(named: &Path) -> Result<Self> {
        let text = named.to_string_lossy();
        let Some((scheme, rest)) = text.split_once("://") else {
            if !named.exists() {
                let why = format!("there is no file or folder {text}");
                return Err(coded(Exit::Usage, why));
            }
            return Ok(Self::Local(
                clean(&std::path::absolute(named)?),
                named.is_dir(),
            ));
        };
        let Some(store) = BucketStore::ALL.iter().find(|s| s.as_str() == scheme) else {
            let why = format!(
                "{text}: this version looks at files, folders and buckets (s3://, gs://, az://)"
            );
            return Err(coded(Exit::Usage, why));
        };
        let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self::Bucket(Bucket {
            store: *store,
            name: name.to_owned(),
            path: path.to_owned(),
            region: None,
            endpoint: None,
            account: None,
            role: None,
            external_id: None,
        }))
    }

    /// What a name can be made of.
    pub fn name(&self) -> &Path {
        match self {
            Self::Local(path, _) => path,
            Self::Bucket(bucket) => {
                let is_plain = |part: &&str| !part.is_empty() && !part.contains(['*', '{', '?']);
                let last = bucket.path.split('/').rfind(is_plain);
                Path::new(last.unwrap_or(&bucket.name))
            }
        }
    }

    /// The source, logged in to by `credential`.
    pub fn source(&self, credential: Option<&str>) -> Result<Source> {
        let credential: Option<Credential> = credential
            .map(str::parse)
            .transpose()
            .or_exit(Exit::Usage)?;
        Ok(Source {
            server: "data".to_owned(),
            location: match self {
                Self::Local(path, _) => Location::Local {
                    path: path.display().to_string(),
                },
                Self::Bucket(bucket) => Location::Bucket(bucket.clone()),
            },
            // Told by the data.
            format: Format::of(FormatKind::Parquet),
            credential,
        })
    }

    /// The place as it is written into a definition in the folder `base`.
    pub fn place(&self, base: Option<&Path>, source: Source) -> Place {
        match self {
            Self::Local(path, folder) => {
                let seen = base.and_then(|base| relative(path, &clean(base)));
                let mut text = seen.unwrap_or_else(|| path.display().to_string());
                if *folder && !text.ends_with('/') {
                    text.push('/');
                }
                Place::Local(text)
            }
            Self::Bucket(_) => Place::Remote(source.location, source.credential),
        }
    }
}
