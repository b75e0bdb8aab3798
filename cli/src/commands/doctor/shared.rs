//! What is wrong with the registry that a cluster shares, and with who asks for it.
//!
//! Comes in: the URL that the settings name. Goes out: findings: whom AWS takes this end for, and
//! whether the tables are there, whole and readable. It reads, and changes nothing. It must never
//! call a table good that it was not let to look at.

use super::Finding;
use crate::context::Context;

/// Looks at the registry that the settings name; nothing when they name none.
pub(super) async fn look(cx: &Context) -> Vec<Finding> {
    match cx.settings.text("registry.url") {
        Some(url) => at(url).await,
        None => Vec::new(),
    }
}

/// This build speaks to no AWS.
#[cfg(not(feature = "cloud"))]
#[expect(clippy::unused_async, reason = "as with the feature `cloud`")]
async fn at(url: &str) -> Vec<Finding> {
    vec![unopened(&crate::cloud::missing(url))]
}

#[cfg(feature = "cloud")]
async fn at(url: &str) -> Vec<Finding> {
    match crate::cloud::open_with(url).await {
        Ok((table, config)) => {
            let (who, table) = tokio::join!(table::who(&config), table::table(&table));
            vec![who, table]
        }
        Err(error) => vec![unopened(&error)],
    }
}

/// A registry that cannot be asked at all.
fn unopened(error: &anyhow::Error) -> Finding {
    let text = crate::exit::said(error);
    let remedy = "mend registry.url: assay config view --sources says where it is set";
    let (why, remedy) = text.split_once("\n  ").unwrap_or((&text, remedy));
    Finding::failed("registry", why, remedy)
}

#[cfg(feature = "cloud")]
mod table {
    use std::collections::BTreeSet;

    use assay_aws::{SdkConfig, caller};
    use assay_registry::{Agenda as _, RegistryError};

    use super::Finding;
    use crate::cloud::Shared;

    /// Whom AWS takes this end for.
    pub async fn who(config: &SdkConfig) -> Finding {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        match caller(config).await {
            Ok(caller) => {
                let detail = format!("{} in {region}", caller.arn);
                Finding::good("AWS identity", detail)
            }
            Err(trouble) => {
                let remedy = trouble.remedy("AWS's identity service (STS)");
                Finding::failed("AWS identity", format!("{region}: {trouble}"), remedy)
            }
        }
    }

    /// Whether the tables are what a registry needs, and may be read.
    pub async fn table(shared: &Shared) -> Finding {
        let place = shared.place();
        let differs = match shared.check().await {
            Ok(differs) => differs,
            Err(error) => return failed(&error),
        };
        if !differs.is_empty() {
            return Finding::failed(
                "registry",
                format!("{place}: {}", differs.join("; ")),
                "make it as infra/modules/registry does (terraform apply), or name another: \
                 registry.url",
            );
        }
        // What every reader reads: the one list that holds for all owners.
        match shared.policy_of(&BTreeSet::new()).await {
            Ok(_) => Finding::good("registry", format!("{place}, whole and readable")),
            Err(error) => failed(&error),
        }
    }

    fn failed(error: &RegistryError) -> Finding {
        match error {
            RegistryError::Unavailable {
                place,
                reason,
                remedy,
                ..
            } => Finding::failed("registry", format!("{place}: {reason}"), remedy),
            other => Finding::failed("registry", other.to_string(), "try again"),
        }
    }
}
