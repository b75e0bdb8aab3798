//! Incidents, open ones first.
//!
//! Comes in: who asks, and which. Goes out: what is broken by its cause, as people handle it. It must
//! never tell one of a dataset that who asks may not read from one that there is not.

use std::sync::Arc;

use assay_answers::facts::{Answer, IncidentsQuery};
use assay_answers::incident::{BrokenCheck, Incident, IncidentDetail, IncidentEvent};
use assay_answers::{List, Problem, Reader, Told};
use assay_model::check::Severity;
use assay_model::ids::DatasetId;
use assay_model::incident::{self, IncidentStatus};
use assay_model::notice::{Cause, Finding, id_in};
use assay_notify::finding;
use assay_store::notices::CauseFilter;
use assay_store::port::ResultFilter;
use uuid::Uuid;

use super::{BRIEF, page};
use crate::api::Api;
use crate::memory::{Found, Good, Key, Source};
use crate::people::away;
use crate::problem::{BAD_PARAMETER, Miss, no};
use crate::rights::Action;

/// Incidents that are read.
const MOST: u32 = 5000;
/// What happened to one incident, at most; the newest of it.
const EVENTS: u32 = 200;
/// Broken checks of a dataset that are looked through for those of an incident.
const BROKEN: u32 = 10_000;

/// The cause that a broken check belongs to: open ones say so, and of others the one in which the
/// check was found last. `None` where that is not known any more.
fn cause_of<'a>(of: &incident::Incident, causes: &'a [Cause]) -> Option<&'a Cause> {
    let holds = |cause: &&Cause| cause.members.iter().any(|m| m.incident == of.id);
    let found = |cause: &&Cause| cause.column == of.column && cause.finding.check == of.check;
    let mut all = causes.iter();
    all.clone().find(holds).or_else(|| all.find(found))
}

/// A broken check that belongs to no cause, as one.
fn alone(of: &incident::Incident, dimension: String, finding: Finding) -> Cause {
    Cause {
        id: of.id,
        dataset: of.dataset.clone(),
        dimension,
        column: of.column.clone(),
        status: of.status,
        severity: of.severity,
        episode: 1,
        members: Vec::new(),
        finding,
        first_partition: of.first_partition.clone(),
        opened_at: of.opened_at,
        escalated_at: None,
        updated_at: of.updated_at,
        resolved_at: of.resolved_at,
        resolved_by: None,
        muted_until: None,
        acknowledged_by: None,
        assignee: None,
        noted: None,
        wake_at: None,
    }
}

impl Api {
    /// The causes of a dataset, or of all.
    async fn all_incidents(
        &self,
        dataset: Option<DatasetId>,
    ) -> Result<Found<Vec<Incident>>, Problem> {
        let notices = Arc::clone(&self.parts.notices);
        let key = Key {
            dataset: dataset.clone(),
            question: "incidents".to_owned(),
        };
        let load = async move {
            let filter = CauseFilter {
                dataset,
                limit: MOST,
                ..CauseFilter::default()
            };
            let found = notices.causes(&filter).await?;
            Ok::<_, Miss>(found.iter().map(Incident::from).collect())
        };
        self.memory
            .value(
                Source::Store,
                key,
                Good::For(BRIEF),
                |found: &Vec<Incident>| found.len() * 900,
                load,
            )
            .await
    }

    /// One cause with all that belongs to it, by its id or by that of a broken check, whoever asks:
    /// charts lead there by the check.
    async fn one_incident(&self, id: &str) -> Result<Found<Option<IncidentDetail>>, Problem> {
        let uuid = id_in("inc", id).map_err(|_| no("incident", id))?;
        let found = self.cause_detail(uuid).await?;
        if found.it.is_some() {
            return Ok(found);
        }
        let broken = self.broken_checks().await?;
        let Some(broken) = broken.it.iter().find(|one| one.id == uuid) else {
            return Ok(found);
        };
        let filter = CauseFilter {
            dataset: Some(broken.dataset.clone()),
            limit: MOST,
            ..CauseFilter::default()
        };
        let causes = self.parts.notices.causes(&filter).await.map_err(away)?;
        match cause_of(broken, &causes) {
            Some(cause) => self.cause_detail(cause.id).await,
            None => self.of_nobody(broken).await,
        }
    }

    /// What a broken check is of that belongs to no cause any more: by what it is about, since an
    /// incident may be called by another check; or the check on its own, where nobody was told of it,
    /// as of the past that a backfill looks at.
    async fn of_nobody(
        &self,
        of: &incident::Incident,
    ) -> Result<Found<Option<IncidentDetail>>, Problem> {
        let all = self.known().await?;
        let definition = all.it.datasets.get(&of.dataset).map(|known| &known.dataset);
        let mut checks = definition.iter().flat_map(|known| &known.checks);
        let check = checks.find(|check| check.id == of.check);
        let filter = ResultFilter {
            partition: Some(of.last_partition.clone()),
            check: Some(of.check.clone()),
            limit: 1,
            ..ResultFilter::default()
        };
        let rows = self.parts.store.results(&of.dataset, &filter).await;
        let row = rows.map_err(away)?.pop();
        let result = row.as_ref().map(|row| &row.result);
        let dimension = finding::dimension(of, check, result);
        let id = Cause::id_of(&of.dataset, &dimension, &of.column);
        let found = self.cause_detail(id).await?;
        if found.it.is_some() {
            return Ok(found);
        }
        let told = result.filter(|result| result.is_breach());
        let cause = alone(of, dimension, finding::finding(of, told));
        let detail = IncidentDetail {
            incident: Incident::from(&cause),
            events: Vec::new(),
            checks: vec![BrokenCheck::from(of)],
        };
        Found::made_of(&all, Some(detail))
    }

    /// The incidents of single checks.
    async fn broken_checks(&self) -> Result<Found<Vec<incident::Incident>>, Problem> {
        let store = Arc::clone(&self.parts.store);
        let load = async move { Ok::<_, Miss>(store.incidents(None, false, MOST).await?) };
        let key = Key::about_all("broken checks");
        let weight = |found: &Vec<incident::Incident>| found.len() * 600;
        self.memory
            .value(Source::Store, key, Good::For(BRIEF), weight, load)
            .await
    }

    /// One cause with all that belongs to it, by its id.
    async fn cause_detail(&self, id: Uuid) -> Result<Found<Option<IncidentDetail>>, Problem> {
        let (notices, store) = (
            Arc::clone(&self.parts.notices),
            Arc::clone(&self.parts.store),
        );
        let load = async move {
            let filter = CauseFilter {
                id: Some(id),
                limit: 1,
                ..CauseFilter::default()
            };
            let Some(cause) = notices.causes(&filter).await?.pop() else {
                return Ok::<_, Miss>(None);
            };
            let events = notices.cause_events(id, EVENTS).await?;
            let mut broken = Vec::new();
            if !cause.members.is_empty() {
                broken = store.incidents(Some(&cause.dataset), true, BROKEN).await?;
                broken.retain(|one| cause.members.iter().any(|m| m.incident == one.id));
            }
            Ok(Some(IncidentDetail {
                incident: Incident::from(&cause),
                events: events.iter().map(IncidentEvent::from).collect(),
                checks: broken.iter().map(BrokenCheck::from).collect(),
            }))
        };
        let weight = |found: &Option<IncidentDetail>| match found {
            None => 0,
            Some(found) => 900 + (found.events.len() + found.checks.len()) * 300,
        };
        let key = Key::about_all(format!("incident {id}"));
        self.memory
            .value(Source::Store, key, Good::For(BRIEF), weight, load)
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
        let active = query.status.as_deref() == Some("active");
        let status = match active {
            true => None,
            false => word::<IncidentStatus>("status", query.status.as_deref())?,
        };
        let severity = word::<Severity>("severity", query.severity.as_deref())?;
        let found = self.all_incidents(dataset).await?;
        let mut items = Vec::new();
        for incident in found.it.iter() {
            let wanted = status.is_none_or(|s| incident.status == s)
                && !(active && incident.status == IncidentStatus::Resolved)
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
    pub(crate) async fn incident_of(&self, who: &Reader, id: &str) -> Answer<IncidentDetail> {
        let found = self.one_incident(id).await?;
        let detail = found
            .it
            .as_ref()
            .clone()
            .ok_or_else(|| no("incident", id))?;
        if !self.reads(who, &detail.incident.dataset).await? {
            return Err(no("incident", id));
        }
        Ok(Told {
            it: detail,
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
