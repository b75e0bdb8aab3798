//! The cluster's configuration, laid over the one that this manager was started with.
//!
//! Comes in: a JSON document from the coordinator, whose fields are those of the core's
//! configuration; what it leaves out stays as it was at the start. Goes out: the configuration to
//! decide by. It must never let a document through that a core cannot run on: the last good one
//! stands.

use std::sync::Arc;
use std::time::Duration;

use assay_manager_core::Config;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::handle::Shared;

/// Between two attempts to watch.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a term waits for the coordinator to say what the configuration is.
const FIRST: Duration = Duration::from_millis(500);

/// `base` with the fields of `document`; null changes nothing.
pub(crate) fn laid_over(base: &Config, document: &Value) -> Result<Config, String> {
    if document.is_null() {
        return Ok(base.clone());
    }
    if !document.is_object() {
        return Err("the configuration is not a JSON object".to_owned());
    }
    let mut whole = serde_json::to_value(base).map_err(|error| error.to_string())?;
    lay(&mut whole, document);
    let config: Config = serde_json::from_value(whole).map_err(|error| error.to_string())?;
    config.check()?;
    Ok(config)
}

fn lay(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (name, value) in above {
                lay(below.entry(name.as_str()).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above.clone(),
    }
}

/// The configuration for as long as this value lives.
pub(crate) struct Settings {
    present: watch::Receiver<Config>,
    _follower: JoinSet<()>,
}

impl Settings {
    /// Begins to follow; waits a little for the first word of the coordinator.
    pub(crate) async fn follow(shared: &Arc<Shared>) -> Self {
        let (told, mut present) = watch::channel(shared.parts.config.core.clone());
        let mut follower = JoinSet::new();
        let shared = Arc::clone(shared);
        let (heard, first) = tokio::sync::oneshot::channel();
        follower.spawn(async move { tell(&shared, &told, heard).await });
        // Without a word, what this manager was started with holds.
        let _ = tokio::time::timeout(FIRST, first).await;
        present.mark_unchanged();
        Self {
            present,
            _follower: follower,
        }
    }

    /// What holds at present.
    pub(crate) fn present(&mut self) -> Config {
        self.present.borrow_and_update().clone()
    }

    /// Returns when another configuration holds.
    pub(crate) async fn changed(&mut self) {
        if self.present.changed().await.is_err() {
            // Nobody tells any more: what holds goes on holding.
            std::future::pending::<()>().await;
        }
    }
}

async fn tell(
    shared: &Shared,
    told: &watch::Sender<Config>,
    heard: tokio::sync::oneshot::Sender<()>,
) {
    let mut heard = Some(heard);
    loop {
        match shared.parts.coordinator.watch_config().await {
            Ok(mut documents) => loop {
                let document = Arc::clone(&documents.borrow_and_update());
                match laid_over(&shared.parts.config.core, &document) {
                    Ok(config) => {
                        told.send_if_modified(|present| {
                            let changed = *present != config;
                            *present = config;
                            changed
                        });
                    }
                    Err(why) => {
                        tracing::error!(%why, "the cluster's configuration cannot be used; the last one stands");
                    }
                }
                // The term may have stopped waiting.
                heard.take().map(|heard| heard.send(()));
                if documents.changed().await.is_err() {
                    break;
                }
            },
            Err(error) => {
                tracing::warn!(%error, "the cluster's configuration is not seen; trying again");
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use super::*;

    #[test]
    fn a_document_changes_what_it_names_and_nothing_else() {
        let base = Config {
            grace_ms: 77,
            ..Config::default()
        };
        let document = serde_json::json!({ "dead_after_ms": 20_000, "scale": { "max": 9 } });
        let config = laid_over(&base, &document).unwrap();
        assert_eq!((config.grace_ms, config.dead_after_ms), (77, 20_000));
        assert_eq!((config.scale.min, config.scale.max), (base.scale.min, 9));
        assert_eq!(laid_over(&base, &Value::Null).unwrap(), base);
    }

    #[test]
    fn misspelt_and_impossible_documents_are_refused() {
        let base = Config::default();
        for (document, names) in [
            (serde_json::json!({ "grace": 1 }), "grace"),
            (serde_json::json!({ "grace_ms": "soon" }), "soon"),
            (serde_json::json!({ "scale": { "min": 5 } }), "scale.min"),
            (serde_json::json!([]), "object"),
        ] {
            let why = laid_over(&base, &document).unwrap_err();
            assert!(why.contains(names), "{why}");
        }
    }
}
