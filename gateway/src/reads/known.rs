//! Which datasets there are: those of the registry, and those that the store alone remembers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use assay_answers::{Problem, Reader};
use assay_model::dataset::Dataset;
use assay_model::ids::DatasetId;
use assay_registry::{Definition, InvalidFile};

use super::BRIEF;
use crate::api::Api;
use crate::memory::{Found, Good, Key, Source};
use crate::parts::Mode;
use crate::problem::{Miss, STORE_AWAY, no};
use crate::rights::Action;

/// Datasets that the store is asked for.
const STORED_MAX: u32 = 10_000;
/// How long a listing of a shared registry is in force: it reads a whole table.
const SHARED_LISTING: Duration = Duration::from_secs(5);

/// A dataset that there is.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// Its definition, decoded.
    pub(crate) dataset: Arc<Dataset>,
    /// The digest of that, which is computed of all of it.
    pub(crate) digest: Arc<str>,
    /// Its document; absent when only the store remembers it.
    pub(crate) definition: Option<Arc<Definition>>,
}

/// All datasets that there are.
#[derive(Debug, Default)]
pub(crate) struct AllKnown {
    pub(crate) datasets: BTreeMap<DatasetId, Known>,
    pub(crate) invalid: Vec<InvalidFile>,
    /// What is not known of them, and why.
    pub(crate) unknown: Vec<String>,
}

/// About how much memory datasets take.
fn weight(all: &AllKnown) -> usize {
    let documents = all
        .datasets
        .values()
        .filter_map(|known| known.definition.as_ref());
    let texts: usize = documents.map(|definition| definition.text.len()).sum();
    // A decoded definition is about as large as its document.
    texts * 2 + all.datasets.len() * 2048
}

impl Known {
    fn of(dataset: Arc<Dataset>, definition: Option<Arc<Definition>>) -> Self {
        let digest = dataset.digest().into();
        Self {
            dataset,
            digest,
            definition,
        }
    }
}

impl Api {
    /// The datasets that there are, whoever asks.
    pub(crate) async fn known(&self) -> Result<Found<AllKnown>, Problem> {
        // What is told of commits says nothing of definitions, and comes as fast as partitions do. Of
        // a folder beside the program a commit is the first word that there is another file in it.
        let good = match self.parts.mode {
            Mode::Embedded => Good::For(BRIEF),
            Mode::Cluster => Good::Besides(SHARED_LISTING),
        };
        let api = self.clone();
        let load = async move { api.load_known().await };
        let key = Key::about_all("known");
        self.memory
            .value(Source::Registry, key, good, weight, load)
            .await
    }

    /// The datasets that the store remembers.
    async fn stored(&self) -> Result<Found<Vec<Dataset>>, Problem> {
        let store = Arc::clone(&self.parts.store);
        let load = async move { Ok::<_, Miss>(store.definitions(None, STORED_MAX).await?) };
        let key = Key::about_all("stored");
        let bytes = |stored: &Vec<Dataset>| stored.len() * 4096;
        let good = match self.parts.mode {
            Mode::Embedded => Good::For(SHARED_LISTING),
            Mode::Cluster => Good::Besides(SHARED_LISTING),
        };
        self.memory
            .value(Source::Store, key, good, bytes, load)
            .await
    }

    async fn load_known(&self) -> Result<AllKnown, Miss> {
        let (listed, stored) = tokio::join!(self.parts.registry.list(), self.stored());
        let mut all = AllKnown::default();
        // One that the store remembered before it went away is still there.
        let stored = match stored {
            Ok(found) => found.it.as_ref().clone(),
            Err(problem) => {
                let why = problem.detail;
                all.unknown
                    .push(format!("datasets that only the store remembers: {why}"));
                Vec::new()
            }
        };
        for dataset in stored {
            let known = Known::of(Arc::new(dataset), None);
            all.datasets.insert(known.dataset.id.clone(), known);
        }
        let listing = listed?;
        for definition in listing.definitions {
            let dataset = Arc::clone(&definition.dataset);
            let known = Known::of(dataset, Some(Arc::new(definition)));
            all.datasets.insert(known.dataset.id.clone(), known);
        }
        all.invalid = listing.invalid;
        let owner =
            |(id, known): (&DatasetId, &Known)| (id.to_string(), known.dataset.owner.clone());
        self.remember_owners(all.datasets.iter().map(owner).collect());
        Ok(all)
    }

    /// The dataset `id`, if `who` may do this with it. One of another owner is answered as none.
    pub(crate) async fn permitted(
        &self,
        who: &Reader,
        action: Action,
        id: &str,
    ) -> Result<Known, Problem> {
        let none = || no("dataset", id);
        let id = DatasetId::new(id).map_err(|_| none())?;
        let all = self.known().await?;
        let known = all.it.datasets.get(&id);
        let Some(known) = known else {
            // What cannot be told must not be denied.
            return Err(match all.it.unknown.first() {
                None => none(),
                Some(why) => STORE_AWAY.because(why),
            });
        };
        if !self.may(who, action, &known.dataset) {
            return Err(none());
        }
        Ok(known.clone())
    }

    /// Whether `who` may read what is about this dataset.
    pub(crate) async fn may_read(&self, who: &Reader, id: &DatasetId) -> Result<bool, Problem> {
        self.may_of(who, Action::Read, id).await
    }

    /// Whether `who` may do this with what is about this dataset.
    pub(crate) async fn may_of(
        &self,
        who: &Reader,
        action: Action,
        id: &DatasetId,
    ) -> Result<bool, Problem> {
        let all = self.known().await?;
        let known = all.it.datasets.get(id);
        // What nobody remembers has no owner.
        Ok(known.map_or_else(
            || self.parts.rights.may(who, action, None),
            |known| self.may(who, action, &known.dataset),
        ))
    }
}
