//! The checker: what a drill has left must be whole, right, and explained.
//!
//! Comes in: a database and the truth of the data. Goes out: each broken invariant, by its id in the
//! protocol, with the row that breaks it. It must never look at anything but tables and truth.
//!
//! The store's own invariants are asked first; [`questions`] adds what only a drill can know: the
//! truth of the data, which nodes were drained or killed, and that nothing is at work any more.

pub mod questions;

use std::collections::BTreeSet;
use std::fmt;

use assay_store::invariants::{check_invariants, check_settled};
use assay_store::{PostgresOptions, PostgresStore};

use crate::data::Data;
use crate::database::Database;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Broken {
    /// Its id in the protocol.
    pub id: String,
    /// What breaks it.
    pub detail: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.detail)
    }
}

/// What a drill knows beside the tables.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Nodes that were only ever drained: nothing of theirs is charged.
    pub drained: BTreeSet<String>,
    /// Nothing was lost that may be charged: no attempt is.
    pub nothing_charged: bool,
    /// Runs that may have ended otherwise than with all of the truth.
    pub may_be_partial: bool,
}

/// All that is broken.
///
/// # Errors
/// When the database cannot be read.
pub async fn check(
    database: &Database,
    data: &[&Data],
    facts: &Facts,
) -> Result<Vec<Broken>, Box<dyn std::error::Error + Send + Sync>> {
    let store = PostgresStore::connect(PostgresOptions {
        migrate: false,
        ..PostgresOptions::new(database.url.clone())
    })
    .await?;
    let mut found = Vec::new();
    let mut violations = check_invariants(&store).await?;
    violations.extend(check_settled(&store).await?);
    found.extend(violations.into_iter().map(|v| Broken {
        id: v.id.to_owned(),
        detail: v.detail,
    }));
    let mut asked: Vec<(&str, String)> = Vec::new();
    for (id, query) in questions::ALWAYS {
        asked.push((id, (*query).to_owned()));
    }
    if !facts.may_be_partial {
        asked.extend(data.iter().flat_map(|data| questions::of_truth(data)));
        asked.push(("I6", questions::ALL_SUCCEEDED.to_owned()));
    }
    if facts.nothing_charged {
        asked.push(("I8", questions::NOTHING_CHARGED.to_owned()));
    }
    for node in &facts.drained {
        asked.push(("I12", questions::of_drained(node)));
    }
    for (id, query) in asked {
        let details = database.texts(&query).await;
        let details = details.map_err(|error| format!("{id}: {error}\n{query}"))?;
        found.extend(details.into_iter().map(|detail| Broken {
            id: id.to_owned(),
            detail,
        }));
    }
    found.sort();
    found.dedup();
    Ok(found)
}
