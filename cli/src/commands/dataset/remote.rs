//! `assay dataset list` and `get` with a server: what the cluster knows.
//!
//! Comes in: a connection. Goes out: the definitions that were applied last, as rows or as the JSON
//! that runs are planned with. It must never show a file of this machine for the cluster's word.

use anyhow::{Context as _, Result};
use assay_model::dataset::Dataset;
use assay_proto::v1;
use serde_json::{Value, json};

use crate::client::connect;
use crate::commands::by_prefix;
use crate::context::Context;
use crate::exit::Exit;
use crate::show::table;

/// `assay dataset list`.
pub async fn list(cx: &Context) -> Result<Exit> {
    let cluster = connect(cx).await?;
    let datasets = cluster.datasets().await?;
    if datasets.is_empty() {
        cx.screen.text(&format!(
            "No datasets at {}. Send one: assay dataset apply FILE\n",
            cluster.address()
        ))?;
    } else {
        let mut table = table::table(&[
            "DATASET", "VERSION", "STATUS", "CHECKS", "SCHEDULE", "OWNER",
        ]);
        let or = |text: &str, none: &str| if text.is_empty() { none } else { text }.to_owned();
        for dataset in &datasets {
            table.add_row([
                dataset.id.clone(),
                dataset.version.clone(),
                dataset.status.clone(),
                dataset.checks.to_string(),
                or(&dataset.schedule, "on change"),
                or(&dataset.owner, "-"),
            ]);
        }
        cx.screen.text(&table::print(&table))?;
    }
    let items: Vec<Value> = datasets.iter().map(item).collect();
    let summary = json!({"datasets": items.len(), "server": cluster.address()});
    cx.screen.items("DatasetList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}

fn item(dataset: &v1::DatasetSummary) -> Value {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "id": dataset.id,
        "version": dataset.version,
        "status": dataset.status,
        "owner": some(&dataset.owner),
        "checks": dataset.checks,
        "schedule": some(&dataset.schedule),
        "digest": dataset.digest,
    })
}

/// `assay dataset get`.
pub async fn get(id: &str, cx: &Context) -> Result<Exit> {
    let cluster = connect(cx).await?;
    let known = cluster.datasets().await?;
    let names: Vec<String> = known.into_iter().map(|d| d.id).collect();
    let dataset = by_prefix("dataset", id, &names)?;
    let got = cluster.definition(&dataset).await?;
    let definition: Dataset = serde_json::from_str(&got.definition_json)
        .context("the manager's answer cannot be read; compare: assay version")?;
    cx.screen
        .text(&format!("{}\n", serde_json::to_string_pretty(&definition)?))?;
    let summary = json!({"server": cluster.address(), "digest": got.digest});
    cx.screen
        .items("Dataset", &[&definition], &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}
