//! Incidents, open ones first.

use std::sync::Arc;

use assay_answers::facts::{Answer, IncidentsQuery};
use assay_answers::incident::Incident;
use assay_answers::{List, Problem, Reader, Told};
use assay_model::check::Severity;
use assay_model::ids::DatasetId;
use assay_model::incident::IncidentStatus;

use super::{BRIEF, page};
use crate::api::Api;
use crate::memory::{Found, Good, Key, Source};
use crate::problem::{BAD_PARAMETER, Miss, no};
use crate::rights::Action;

/// Incidents that are read.
const MOST: u32 = 5000;

impl Api {
    async fn all_incidents(
        &self,
        dataset: Option<DatasetId>,
    ) -> Result<Found<Vec<Incident>>, Problem> {
        let store = Arc::clone(&self.parts.store);
        let key = Key {
            dataset: dataset.clone(),
            question: "incidents".to_owned(),
        };
        let load = async move {
            let found = store.incidents(dataset.as_ref(), false, MOST).await?;
            Ok::<_, Miss>(found.iter().map(Incident::from).collect())
        };
        self.memory
            .value(
                Source::Store,
                key,
                Good::For(BRIEF),
                |found: &Vec<Incident>| found.len() * 600,
                load,
            )
            .await
    }

    /// The incidents that a query leaves.
    pub(crate) async fn incident_list(
        &self,
        who: &Reader,
        query: &IncidentsQuery,
    ) -> Answer<List<Incident>> {
        let dataset = match &query.dataset {
            None => None,
            Some(id) => {
                let known = self.permitted(who, Action::Read, id).await?;
                Some(known.dataset.id.clone())
            }
        };
        let status = word::<IncidentStatus>("status", query.status.as_deref())?;
        let severity = word::<Severity>("severity", query.severity.as_deref())?;
        let found = self.all_incidents(dataset).await?;
        let mut items = Vec::new();
        for incident in found.it.iter() {
            let wanted = status.is_none_or(|s| incident.status == s)
                && severity.is_none_or(|s| incident.severity == s);
            if wanted && self.reads(who, &incident.dataset).await? {
                items.push(incident.clone());
            }
        }
        Ok(Told {
            it: page(items, &query.cut, |incident| incident.id.clone())?,
            as_of: found.as_of,
            stale_s: found.stale_s,
        })
    }

    /// One incident.
    pub(crate) async fn incident_of(&self, who: &Reader, id: &str) -> Answer<Incident> {
        let found = self.all_incidents(None).await?;
        let incident = found.it.iter().find(|incident| incident.id == id);
        let incident = incident.ok_or_else(|| no("incident", id))?;
        if !self.reads(who, &incident.dataset).await? {
            return Err(no("incident", id));
        }
        Ok(Told {
            it: incident.clone(),
            as_of: found.as_of,
            stale_s: found.stale_s,
        })
    }

    /// Whether `who` may read what is about the dataset of this name.
    pub(crate) async fn reads(&self, who: &Reader, dataset: &str) -> Result<bool, Problem> {
        match DatasetId::new(dataset) {
            Ok(id) => self.may_read(who, &id).await,
            Err(_) => Ok(false),
        }
    }
}

/// A word of a vocabulary, from a query.
pub(crate) fn word<T: std::str::FromStr>(
    name: &str,
    text: Option<&str>,
) -> Result<Option<T>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let why = || BAD_PARAMETER.because(format!("`{name}` is not one of its words"));
    text.parse().map(Some).map_err(|_| why())
}
