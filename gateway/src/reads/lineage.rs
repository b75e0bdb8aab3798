//! A run as an OpenLineage event.

use std::sync::Arc;

use assay_answers::{Problem, Reader};
use assay_lineage::{Settings, events};
use assay_model::ids::RunId;
use assay_model::run::RunState;
use serde_json::Value;

use crate::api::Api;
use crate::memory::{Good, Key, Source};
use crate::problem::{Miss, no};

/// How long an event is in force: a run that has ended may be tried again.
const BRIEFLY: std::time::Duration = std::time::Duration::from_secs(2);
/// About how much memory an event takes: some results with their words.
const WEIGHT: usize = 64 << 10;

impl Api {
    /// The event of a run's end, or of its present state, and its age where it is an old one.
    pub(crate) async fn lineage_of(
        &self,
        who: &Reader,
        id: &str,
        namespace: Option<&str>,
    ) -> Result<(Value, Option<u64>), Problem> {
        self.readable_run(who, id).await?;
        let none = || no("lineage event of run", id);
        let run: RunId = id.parse().map_err(|_| none())?;
        let namespace = namespace.map_or_else(|| Settings::default().namespace(), str::to_owned);
        let key = Key::about_all(format!("lineage {run} {namespace}"));
        let store = Arc::clone(&self.parts.store);
        let load = async move {
            let Some(mut run) = store.run(run).await? else {
                return Ok::<_, Miss>(None);
            };
            // What waits for its end is still at work.
            if run.state == RunState::Finalising {
                run.state = RunState::Running;
            }
            let at = run.finished_at.or(run.started_at).unwrap_or(run.created_at);
            let told = events(store.as_ref(), &run, at, &namespace).await?;
            Ok(told.into_iter().next_back())
        };
        let good = Good::For(BRIEFLY);
        let found = self
            .memory
            .value(Source::Store, key, good, |_: &Option<Value>| WEIGHT, load)
            .await?;
        let event = found.it.as_ref().clone().ok_or_else(none)?;
        Ok((event, found.stale_s))
    }
}
