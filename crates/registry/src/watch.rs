//! Changes of a registry, by comparing what it holds with what it held.
//!
//! In: listings. Out: changes, each once. It works with every adapter, and needs no notification
//! of the file system.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use assay_contract::Diagnostic;
use assay_model::ids::DatasetId;
use tokio::sync::mpsc;

use crate::port::{Definition, InvalidFile, Listing, Registry};

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A dataset is defined, or defined anew.
    Defined(Definition),
    /// A dataset is no longer defined.
    Removed(DatasetId),
    /// A document is invalid; `kept` in it says which definition stays in force.
    Invalid(InvalidFile),
    /// A document is valid again without another change.
    Mended {
        /// Where it is kept.
        origin: String,
    },
}

/// What was seen last.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    digests: BTreeMap<DatasetId, String>,
    invalid: BTreeMap<String, Vec<Diagnostic>>,
}

/// The changes from `seen` to `listing`, of which `seen` then is the state.
pub fn changes(seen: &mut Changes, listing: &Listing) -> Vec<Change> {
    let mut found = Vec::new();
    let mut digests = BTreeMap::new();
    for definition in &listing.definitions {
        let id = definition.dataset.id.clone();
        if seen.digests.get(&id) != Some(&definition.digest) {
            found.push(Change::Defined(definition.clone()));
        }
        digests.insert(id, definition.digest.clone());
    }
    for id in seen.digests.keys().filter(|id| !digests.contains_key(*id)) {
        found.push(Change::Removed(id.clone()));
    }
    let mut invalid = BTreeMap::new();
    for file in &listing.invalid {
        if seen.invalid.get(&file.origin) != Some(&file.diagnostics) {
            found.push(Change::Invalid(file.clone()));
        }
        invalid.insert(file.origin.clone(), file.diagnostics.clone());
    }
    for origin in seen
        .invalid
        .keys()
        .filter(|origin| !invalid.contains_key(*origin))
    {
        let redefined = found
            .iter()
            .any(|c| matches!(c, Change::Defined(d) if d.origin == *origin));
        let there = listing.definitions.iter().any(|d| d.origin == *origin);
        if there && !redefined {
            found.push(Change::Mended {
                origin: origin.clone(),
            });
        }
    }
    *seen = Changes { digests, invalid };
    found
}

/// Looks every `every`, and sends the changes that it finds; the first time, all that is there.
/// It ends when the receiver is dropped.
#[must_use]
pub fn watch(registry: Arc<dyn Registry>, every: Duration) -> mpsc::Receiver<Vec<Change>> {
    let (send, receive) = mpsc::channel(16);
    tokio::spawn(async move {
        let mut seen = Changes::default();
        let mut failing = false;
        let mut first = true;
        while !send.is_closed() {
            match registry.list().await {
                Ok(listing) => {
                    failing = false;
                    let found = changes(&mut seen, &listing);
                    if (first || !found.is_empty()) && send.send(found).await.is_err() {
                        return;
                    }
                    first = false;
                }
                // Told once, not every second; what was in force stays so.
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "the registry cannot be read; definitions stay as they are");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = send.closed() => return,
            }
        }
    });
    receive
}
