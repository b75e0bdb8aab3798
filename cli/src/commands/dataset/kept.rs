//! `assay dataset retire` and `history` by a gateway, which keeps documents and their versions.
//!
//! Comes in: the id of a dataset. Goes out: what became of it, as with a registry. It must never
//! retire a version that was not looked at.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use assay_answers::definition;
use assay_model::dataset::{Dataset, DatasetStatus};
use assay_registry::Definition;
use jiff::Timestamp;

use super::{retired_shown, version_shown, versions_shown};
use crate::client::coded;
use crate::client::http::Http;
use crate::client::port::Why;
use crate::context::Context;
use crate::exit::Exit;

/// Retires a dataset.
pub async fn retire(http: &Http, id: &str, cx: &Context) -> Result<Exit> {
    let none = || coded(Exit::Usage, format!("there is no dataset `{id}`"));
    let found = http.document(id).await?.ok_or_else(none)?;
    let done = http.retire(id, &found.digest).await?;
    let mut retired = of_registry(found)?;
    let mut dataset = (*retired.dataset).clone();
    dataset.status = DatasetStatus::Retired;
    (retired.dataset, retired.digest) = (Arc::new(dataset), done.digest);
    retired_shown(&retired, cx)
}

/// A definition as registries tell of it.
fn of_registry(found: definition::Definition) -> Result<Definition> {
    let decoded = found.decoded.unwrap_or_default();
    let dataset: Dataset = serde_json::from_value(decoded)
        .context("the gateway's answer cannot be read; compare: assay version")?;
    Ok(Definition {
        dataset: Arc::new(dataset),
        text: found.text.into(),
        origin: found.file,
        digest: found.digest,
        since: found.since.unwrap_or(Timestamp::UNIX_EPOCH),
        kept: found.kept,
    })
}

/// Shows the versions of a definition, or the document of one of them.
pub async fn history(http: &Http, id: &str, revision: Option<u64>, cx: &Context) -> Result<Exit> {
    let Some(number) = revision else {
        return versions_shown(&http.versions(id).await?, cx);
    };
    match http.version(id, number).await {
        Ok(found) => version_shown(number, Some(&found.digest), &found.text, cx),
        Err(refusal) if refusal.why == Why::NotFound => {
            let why = format!("`{id}` has no revision {number}: assay dataset history {id}");
            Err(coded(Exit::Usage, why))
        }
        Err(refusal) => Err(refusal.into()),
    }
}
