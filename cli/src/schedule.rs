//! The schedule of an embedded cluster: the agenda over a folder and a store, and who starts runs.
//!
//! Comes in: definitions, the store's rows, a manager of this process. Goes out: an agenda that knows
//! what was emitted, and runs. It must never keep a watermark of its own: whoever emitted a run, the
//! store says so.

use std::sync::Arc;

use assay_manager::ManagerHandle;
use assay_model::dataset::Dataset;
use assay_model::ids::{DatasetId, RunId};
use assay_model::run::Trigger;
use assay_registry::{
    Agenda, Cursor, Entry, Look, Marked, MemoryAgenda, Page, Policy, Registry, RegistryError,
    Watermarks,
};
use assay_scheduler::{Emission, EmitError, Emitted, Emitter, REGISTRATION};
use assay_store::MetricStore;
use assay_store::port::RunFilter;
use async_trait::async_trait;
use jiff::Timestamp;

/// Runs that the newest slot is looked for among.
const RUNS_MAX: u32 = 500;

/// What the store says was emitted.
struct Marks(Arc<dyn MetricStore>);

#[async_trait]
impl Watermarks for Marks {
    /// The newest scheduled instant that has a run, whoever emitted it; without one, when the first
    /// run was begun.
    async fn emitted_through(&self, id: &DatasetId) -> Result<Option<Timestamp>, RegistryError> {
        let filter = RunFilter {
            dataset: Some(id.clone()),
            unfinished: false,
            limit: RUNS_MAX,
        };
        let runs = self.0.runs(&filter).await;
        let runs = runs.map_err(|error| RegistryError::Unavailable {
            place: "the store".to_owned(),
            reason: error.to_string(),
            remedy: "look at it: assay doctor".to_owned(),
            passing: true,
            unchanged: true,
        })?;
        let slots = runs.iter().filter_map(|run| run.slot);
        Ok(slots
            .max()
            .or_else(|| runs.iter().map(|run| run.created_at).min()))
    }
}

/// Nothing was ever emitted: there is no store.
struct NoMarks;

#[async_trait]
impl Watermarks for NoMarks {
    async fn emitted_through(&self, _: &DatasetId) -> Result<Option<Timestamp>, RegistryError> {
        Ok(None)
    }
}

/// The agenda over a registry, with the truth of a store.
pub struct StoreAgenda {
    /// The definitions.
    pub registry: Arc<dyn Registry>,
    agenda: MemoryAgenda,
    store: Option<Arc<dyn MetricStore>>,
}

impl StoreAgenda {
    /// The agenda over `registry`; without a store, nothing was ever emitted.
    pub fn new(registry: Arc<dyn Registry>, store: Option<Arc<dyn MetricStore>>) -> Self {
        let marks: Arc<dyn Watermarks> = match &store {
            Some(store) => Arc::new(Marks(Arc::clone(store))),
            None => Arc::new(NoMarks),
        };
        Self {
            agenda: MemoryAgenda::new(Arc::clone(&registry), marks, Policy::default()),
            registry,
            store,
        }
    }

    /// An entry as a process that has kept on looking would know it: what an agenda that has just
    /// been opened cannot know, the store does.
    async fn as_kept(&self, mut entry: Entry) -> Entry {
        if let (Some(store), Ok(definition), false) =
            (&self.store, &entry.definition, entry.registered)
        {
            let id = RunId::of_key(&definition.dataset.id, &format!("key|{REGISTRATION}"));
            entry.registered = matches!(store.run(id).await, Ok(Some(_)));
        }
        entry
    }
}

#[async_trait]
impl Agenda for StoreAgenda {
    async fn due(
        &self,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, RegistryError> {
        let mut page = self.agenda.due(now, after, limit).await?;
        let mut entries = Vec::with_capacity(page.entries.len());
        for entry in page.entries {
            entries.push(self.as_kept(entry).await);
        }
        page.entries = entries;
        Ok(page)
    }

    async fn entry(&self, id: &DatasetId) -> Result<Option<Entry>, RegistryError> {
        Ok(match self.agenda.entry(id).await? {
            Some(entry) => Some(self.as_kept(entry).await),
            None => None,
        })
    }

    async fn mark(&self, entry: &Entry, look: &Look) -> Result<Marked, RegistryError> {
        self.agenda.mark(entry, look).await
    }

    async fn policy(&self) -> Result<Policy, RegistryError> {
        self.agenda.policy().await
    }
}

/// Starts runs in this process, and says so.
pub struct Here<'a> {
    /// The manager.
    pub manager: &'a ManagerHandle,
    /// Where a line of what goes on is written.
    pub say: fn(&str),
}

#[async_trait]
impl Emitter for Here<'_> {
    async fn emit(&self, dataset: &Dataset, emission: &Emission) -> Result<Emitted, EmitError> {
        if emission.trigger == Trigger::Arrival {
            // Whoever keeps the cluster looks at the data itself, and far more often.
            return Ok(Emitted::Existed);
        }
        let emitted = self.manager.emit(dataset, emission).await?;
        if emitted == Emitted::Begun {
            let run = emission.run_of(&dataset.id);
            (self.say)(&format!("{}  {} {run}", dataset.id, emission.trigger));
        }
        Ok(emitted)
    }
}
