//! The commands, one module each: what they read, and how they show it.
//!
//! Comes in: parsed arguments and the context. Goes out: text or JSON on standard output and an
//! exit code. None of them decides anything about data or clusters.

pub mod audit;
pub mod cluster;
pub mod dataset;
pub mod doctor;
pub mod feedback;
pub mod help;
pub mod incident;
pub mod judge;
pub mod metric;
pub mod node;
mod partitions;
pub mod run;
pub mod schedule;
pub mod settings;
pub mod subscribe;
pub mod token;
pub mod version;

use anyhow::Result;
use assay_proto::v1;

pub use partitions::partition_key;

use crate::client::port::Cluster;
use crate::client::{coded, find};
use crate::context::Context;
use crate::exit::Exit;

/// Names that an ambiguous beginning is answered with.
const NAMED_MAX: usize = 5;

/// The one of `names` that is `wanted` or, failing that, the only one that begins with it.
pub fn by_prefix(kind: &str, wanted: &str, names: &[String]) -> Result<String> {
    if names.iter().any(|name| name == wanted) {
        return Ok(wanted.to_owned());
    }
    let mut found: Vec<&String> = names.iter().filter(|n| n.starts_with(wanted)).collect();
    found.sort();
    found.dedup();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(coded(Exit::Usage, unknown(kind, wanted, names))),
        several => {
            let shown: Vec<&str> = several.iter().take(NAMED_MAX).map(|n| n.as_str()).collect();
            let more = several.len().saturating_sub(shown.len());
            let more = match more {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            Err(coded(
                Exit::Usage,
                format!(
                    "`{wanted}` begins {} {kind}s: {}{more}\n  write more of it",
                    several.len(),
                    shown.join(", ")
                ),
            ))
        }
    }
}

/// Characters of an id that a list shows at least.
const SHORT: usize = 12;

/// How many characters of these ids tell each from every other, so that what a list shows of one can be
/// typed: ids that are made one after another begin alike.
pub fn shortest(ids: &[String]) -> usize {
    let mut sorted: Vec<&str> = ids.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let alike = |pair: &[&str]| match pair {
        [one, two] => one
            .chars()
            .zip(two.chars())
            .take_while(|(a, b)| a == b)
            .count(),
        _ => 0,
    };
    let most = sorted.windows(2).map(alike).max();
    most.map_or(SHORT, |most| SHORT.max(most + 1))
}

/// Refuses a dataset that the cluster does not know and that no run was ever of: a list of nothing would
/// look like good news.
pub async fn is_known(cluster: &dyn Cluster, dataset: Option<&str>) -> Result<()> {
    let Some(wanted) = dataset else {
        return Ok(());
    };
    let known = cluster.datasets().await?;
    let names: Vec<String> = known.into_iter().map(|d| d.id).collect();
    if names.iter().any(|name| name == wanted) {
        return Ok(());
    }
    let past = v1::ListRunsRequest {
        dataset: wanted.to_owned(),
        unfinished: false,
        limit: 1,
    };
    if cluster.runs(past).await?.is_empty() {
        return Err(coded(Exit::Usage, unknown("dataset", wanted, &names)));
    }
    Ok(())
}

/// The same, of the cluster that the settings name.
pub async fn known_to(dataset: Option<&str>, cx: &Context) -> Result<()> {
    match find(cx).await? {
        Some(cluster) if dataset.is_some() => is_known(cluster.as_ref(), dataset).await,
        _ => Ok(()),
    }
}

fn unknown(kind: &str, wanted: &str, names: &[String]) -> String {
    let near = names
        .iter()
        .map(|name| (strsim::jaro_winkler(name, wanted), name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.8);
    match near {
        Some((_, name)) => format!("there is no {kind} `{wanted}`; did you mean `{name}`?"),
        None => format!("there is no {kind} `{wanted}`; see: assay {kind} list"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["orders", "orders_daily", "shipments"]
            .map(str::to_owned)
            .to_vec()
    }

    #[test]
    fn a_whole_name_wins_over_names_that_it_begins() {
        assert_eq!(by_prefix("dataset", "orders", &names()).unwrap(), "orders");
        assert_eq!(
            by_prefix("dataset", "orders_", &names()).unwrap(),
            "orders_daily"
        );
        assert_eq!(by_prefix("dataset", "s", &names()).unwrap(), "shipments");
    }

    #[test]
    fn what_is_shown_of_an_id_names_one() {
        let ids =
            |texts: &[&str]| -> Vec<String> { texts.iter().map(|t| (*t).to_owned()).collect() };
        // Two that were made in the same minute, and one of another day.
        let made = ids(&[
            "sub_01a203a1f0c47d11aa00000000000001",
            "sub_01a203a1f0c87d11aa00000000000002",
            "sub_02b203a1f0c87d11aa00000000000003",
        ]);
        let length = shortest(&made);
        assert_eq!(length, 16);
        for id in &made {
            let shown: String = id.chars().take(length).collect();
            assert_eq!(by_prefix("subscription", &shown, &made).unwrap(), *id);
        }
        assert_eq!(shortest(&made[..1]), SHORT);
        assert_eq!(shortest(&[]), SHORT);
    }

    #[test]
    fn an_ambiguous_or_unknown_beginning_is_refused_with_what_there_is() {
        let error = by_prefix("dataset", "ord", &names())
            .unwrap_err()
            .to_string();
        assert!(error.contains("orders, orders_daily"), "{error}");
        let error = by_prefix("dataset", "shipmnts", &names()).unwrap_err();
        assert!(
            error.to_string().contains("did you mean `shipments`"),
            "{error}"
        );
        assert_eq!(crate::exit::of(&error), Exit::Usage);
        let error = by_prefix("dataset", "", &names()).unwrap_err().to_string();
        assert!(error.contains("begins 3 datasets"), "{error}");
    }
}
