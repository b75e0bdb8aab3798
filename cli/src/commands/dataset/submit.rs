//! `assay dataset apply` with a server: definitions to the cluster.
//!
//! Comes in: dataset files. Goes out: what the leader has taken into its store. Nothing is sent
//! before every file is known to be valid. A path of local files has to mean the same place on
//! every data node: it is sent in full.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use assay_proto::v1;
use serde_json::{Value, json};

use super::apply::{Done, valid};
use super::expand;
use crate::client::{Client, refused};
use crate::context::Context;
use crate::exit::Exit;
use crate::show::text;

/// Runs the command.
pub async fn run(files: &[PathBuf], dry_run: bool, cx: &Context) -> Result<Exit> {
    let files = expand(files)?;
    let Some(wanted) = valid(&files, cx)? else {
        return Ok(Exit::Invalid);
    };
    let client = Client::connect(cx).await?;
    let known = client.call(v1::ListDatasetsRequest {});
    let known = client.cluster().list_datasets(known).await;
    let known = known.map_err(|status| refused(&status))?.into_inner();
    let known: BTreeMap<String, String> = known
        .datasets
        .into_iter()
        .map(|dataset| (dataset.id, dataset.digest))
        .collect();
    let mut items: Vec<Value> = Vec::new();
    for (source, dataset) in &wanted {
        let done = match known.get(dataset.id.as_str()) {
            None => Done::Created,
            Some(digest) if *digest == dataset.digest() => Done::Unchanged,
            Some(_) => Done::Changed,
        };
        if !dry_run && done != Done::Unchanged {
            let request = client.call(v1::SubmitDefinitionRequest {
                definition_json: serde_json::to_string(dataset)?,
            });
            let taken = client.cluster().submit_definition(request).await;
            taken.map_err(|status| refused(&status))?;
        }
        cx.screen.text(&format!(
            "{:<9}  {} {}  {}  from {}\n",
            done.word(),
            dataset.id,
            dataset.version,
            text::counted(dataset.checks.len(), "check"),
            source.path.display()
        ))?;
        items.push(json!({
            "id": dataset.id,
            "version": dataset.version,
            "change": done.word(),
            "file": source.path,
        }));
    }
    if dry_run {
        cx.screen.text(&format!(
            "dry run: nothing was sent to {}\n",
            client.address
        ))?;
    }
    let count = |done: Done| {
        let of = |item: &&Value| item.get("change").and_then(Value::as_str) == Some(done.word());
        items.iter().filter(of).count()
    };
    let summary = json!({
        "created": count(Done::Created),
        "changed": count(Done::Changed),
        "unchanged": count(Done::Unchanged),
        "dryRun": dry_run,
    });
    cx.screen
        .items("DatasetChangeList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}
