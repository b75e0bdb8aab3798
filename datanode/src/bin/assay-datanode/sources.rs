//! `[sources]`: what the node's tasks may reach beyond its files, and which secrets are for that.
//!
//! Comes in: flags, the environment, a section of the file. Goes out: settings whose default lets
//! tasks reach nothing: a node serves many owners, and what they may reach is for its operator to
//! say.

use std::path::PathBuf;

use assay_process::{Refused, layered};
use clap::Args;
use serde::Deserialize;

/// The schemes of places that can be allowed.
const SCHEMES: &[&str] = &[
    "s3://",
    "gs://",
    "az://",
    "postgres://",
    "mysql://",
    "file:///",
];

/// `[sources]`
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceOptions {
    /// Places that datasets may be read from, with commas between: `s3://bucket/prefix/`,
    /// `postgres://host:5432/database`, `file:///data/` [default: files of this machine, any].
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
}
layered!(SourceOptions {
    allow,
    env_prefix,
    files
});

/// The same, checked.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// Places that may be reached.
    pub allow: Vec<String>,
    /// How names of variables for sources begin.
    pub env_prefix: String,
    /// The folder of files for sources.
    pub files: Option<PathBuf>,
}

impl SourceOptions {
    /// The settings.
    ///
    /// # Errors
    /// [`Refused`] for a place that is none.
    pub fn checked(self) -> Result<SourceSettings, Refused> {
        let allow = self.allow.unwrap_or_default();
        let is_place = |place: &str| {
            let rest = SCHEMES.iter().find_map(|scheme| place.strip_prefix(scheme));
            rest.is_some_and(|rest| !rest.is_empty() || place.starts_with("file:"))
        };
        if let Some(other) = allow.iter().find(|place| !is_place(place)) {
            return Err(Refused(format!(
                "`{other}` is no place that can be allowed: write one of {} with what follows, \
                 such as s3://bucket/prefix/",
                SCHEMES.join(", ")
            )));
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
        Ok(SourceSettings {
            allow,
            env_prefix,
            files: self.files,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_with_its_scheme_and_no_prefix_is_empty() {
        let of = |place: &str| SourceOptions {
            allow: Some(vec![place.to_owned()]),
            ..SourceOptions::default()
        };
        for good in ["s3://b/p/", "postgres://h:5432/db", "file:///"] {
            assert!(of(good).checked().is_ok(), "{good}");
        }
        for bad in ["b", "s3://", "http://x", ""] {
            assert!(of(bad).checked().is_err(), "{bad}");
        }
        let open = SourceOptions {
            env_prefix: Some(String::new()),
            ..SourceOptions::default()
        };
        assert!(open.checked().is_err());
    }
}
