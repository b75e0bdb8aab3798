//! The registry that a cluster shares, as `registry.url` names it.
//!
//! Comes in: a URL. Goes out: the registry behind it, with the caller's own AWS identity. It must
//! never fall back to a folder where a table was meant: a build without AWS says so.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::client::coded;
use crate::exit::Exit;

/// A table, as a URL names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The table.
    pub table: String,
    /// Its region, if not that of the environment.
    pub region: Option<String>,
    /// The profile of `~/.aws`, if not that of the environment.
    pub aws_profile: Option<String>,
}

impl Named {
    /// Reads `dynamodb://TABLE?region=REGION&aws_profile=NAME`.
    pub fn of(url: &str) -> Result<Self> {
        let wrong = |why: &str| {
            let text = format!(
                "registry.url is `{url}`: {why}\n  write dynamodb://TABLE, and if need be \
                 ?region=REGION&aws_profile=NAME"
            );
            coded(Exit::Usage, text)
        };
        let Some(rest) = url.strip_prefix("dynamodb://") else {
            return Err(wrong("only tables of DynamoDB are known"));
        };
        let (table, query) = rest.split_once('?').unwrap_or((rest, ""));
        let table = table.trim_end_matches('/');
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !(3..=255).contains(&table.len()) || !table.chars().all(known) {
            return Err(wrong("a table's name has 3 to 255 of A-Z a-z 0-9 _ - ."));
        }
        let mut options = BTreeMap::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((key @ ("region" | "aws_profile"), value)) if !value.is_empty() => {
                    options.insert(key, value.to_owned());
                }
                _ => return Err(wrong(&format!("`{part}` is no option"))),
            }
        }
        Ok(Self {
            table: table.to_owned(),
            region: options.remove("region"),
            aws_profile: options.remove("aws_profile"),
        })
    }
}

#[cfg(feature = "cloud")]
mod open {
    use std::sync::Arc;

    use assay_aws::SdkConfig;
    use assay_registry::dynamodb::{DynamoRegistry, Place};

    use super::{Exit, Named, Result};
    use crate::exit::OrExit;

    /// A registry that is shared.
    pub type Shared = DynamoRegistry;

    /// Opens the registry at `url`.
    pub async fn open(url: &str) -> Result<Shared> {
        Ok(open_with(url).await?.0)
    }

    /// The same, with what its clients are made of.
    pub async fn open_with(url: &str) -> Result<(Shared, SdkConfig)> {
        let named = Named::of(url)?;
        let options = assay_aws::Options {
            region: named.region,
            profile: named.aws_profile,
            ..assay_aws::Options::default()
        };
        let config = assay_aws::config(&options).await.or_exit(Exit::Usage)?;
        let place = Place {
            table: named.table,
            by: std::env::var("USER").ok().filter(|user| !user.is_empty()),
        };
        let clock = Arc::new(jiff::Timestamp::now);
        Ok((DynamoRegistry::open(&config, place, clock), config))
    }
}

#[cfg(feature = "cloud")]
pub use open::{Shared, open, open_with};

/// What a build without AWS says of a shared registry.
#[cfg(not(feature = "cloud"))]
pub fn missing(url: &str) -> anyhow::Error {
    match Named::of(url) {
        Err(error) => error,
        Ok(named) => {
            let region = named.region.map(|r| format!(" in {r}")).unwrap_or_default();
            let who = named
                .aws_profile
                .map(|p| format!(" as {p}"))
                .unwrap_or_default();
            let text = format!(
                "registry.url names the table {}{region}{who}, and this build of assay speaks to no \
                 AWS\n  take the build for clusters (cargo build --release -p assay --features \
                 cloud), or leave registry.url empty",
                named.table
            );
            coded(Exit::Usage, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_table_and_says_what_is_wrong_with_it() {
        let named = Named::of("dynamodb://assay-staging?region=eu-west-1&aws_profile=ops");
        let named = named.unwrap();
        assert_eq!(named.table, "assay-staging");
        assert_eq!(named.region.as_deref(), Some("eu-west-1"));
        assert_eq!(named.aws_profile.as_deref(), Some("ops"));
        assert_eq!(Named::of("dynamodb://abc").unwrap().region, None);
        for (url, why) in [
            ("s3://bucket", "only tables"),
            ("dynamodb://", "3 to 255"),
            ("dynamodb://a b c", "3 to 255"),
            ("dynamodb://abc?zone=1", "`zone=1` is no option"),
            ("dynamodb://abc?region=", "`region=` is no option"),
        ] {
            let error = Named::of(url).unwrap_err();
            assert!(error.to_string().contains(why), "{url}: {error}");
            assert_eq!(crate::exit::of(&error), Exit::Usage);
        }
    }
}
