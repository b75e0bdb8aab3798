//! Whether the data of the definitions is there.
//!
//! Comes in: datasets. Goes out: findings. Of files it is looked whether they exist; of a Delta table
//! whether its log can be read; of a bucket the beginning of a listing is asked for, with the secret
//! that the definition names; of a database, whether the table is there and may be read. It must
//! never write anything.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use assay_model::dataset::{Dataset, FormatKind, Location};
use assay_scan::ScanError;
use assay_scan::object::Objects;

use super::{Finding, named};
use crate::sources;

/// How long one source may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks at the sources of all datasets.
pub async fn look(datasets: Vec<Arc<Dataset>>) -> Vec<Finding> {
    let count = datasets.len();
    let (mut absent, mut away) = (Vec::new(), Vec::new());
    for dataset in datasets {
        match &dataset.source.location {
            Location::Local { path } => {
                if !path.contains(['*', '{']) && !Path::new(path).exists() {
                    absent.push(format!("{} at {path}", dataset.id));
                } else if dataset.source.format.kind == FormatKind::Delta
                    && let Err(why) = answers(dataset.clone()).await
                {
                    away.push(format!("{}: {why}", dataset.id));
                }
            }
            Location::Bucket(_) | Location::Database(_) => {
                if let Err(why) = answers(dataset.clone()).await {
                    away.push(format!("{}: {why}", dataset.id));
                }
            }
        }
    }
    if absent.is_empty() && away.is_empty() {
        let good = format!("{count} of {count} are there");
        return (count > 0)
            .then(|| Finding::good("sources", good))
            .into_iter()
            .collect();
    }
    let mut found = Vec::new();
    if !absent.is_empty() {
        let absent: Vec<&str> = absent.iter().map(String::as_str).collect();
        found.push(Finding::failed(
            "sources",
            format!("no data: {}", named(&absent)),
            "mend the path of the server in the dataset file; it starts at the file's folder",
        ));
    }
    if !away.is_empty() {
        let away: Vec<&str> = away.iter().map(String::as_str).collect();
        found.push(Finding::failed(
            "sources",
            format!("not reached: {}", named(&away)),
            "mend the server in the dataset file, or what its `credentialRef` names",
        ));
    }
    found
}

/// Asks for the beginning of a listing, or for the table.
async fn answers(dataset: Arc<Dataset>) -> Result<(), String> {
    let context = sources::context(&[&dataset.source]).await;
    let context = context.map_err(|error| error.to_string())?;
    let asked = tokio::task::spawn_blocking(move || -> Result<(), ScanError> {
        if let Location::Database(database) = &dataset.source.location {
            let reach = context.reach(&database.address())?;
            return reach.table(&dataset.source)?.look(&context);
        }
        if dataset.source.format.kind == FormatKind::Delta {
            return assay_scan::delta::look(&dataset, &context);
        }
        let objects = Objects::open(&dataset.source, &context)?;
        match objects.walk("").next() {
            Some(Err(ScanError::Refused { .. }) | Ok(_)) => Ok(()),
            Some(Err(error)) => Err(error),
            None => Err(ScanError::Changed {
                path: objects.root(),
                what: "nothing is there".to_owned(),
            }),
        }
    });
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(answered)) => answered.map_err(|error| error.to_string()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer in {} s", PATIENCE.as_secs())),
    }
}
