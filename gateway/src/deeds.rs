//! The wishes of the API: definitions to the registry, runs and nodes to the leader.
//!
//! Comes in: who wishes what. Goes out: what was done, or a problem that says whether something may
//! have been. It must never change a version that the writer has not seen.

use assay_answers::cluster::Scale;
use assay_answers::definition::{Applied, Validation};
use assay_answers::facts::{Deeds, Match};
use assay_answers::run::{Done, StartRun, Started};
use assay_answers::{Problem, Reader};
use assay_contract::{Diagnostic, Parsed};
use assay_model::dataset::Dataset;
use assay_model::ids::DatasetId;
use assay_proto::v1;
use assay_registry::{Conflict, Definition, Precondition, RegistryError};
use async_trait::async_trait;

use crate::api::Api;
use crate::convert;
use crate::people::away;
use crate::problem::{
    BAD_BODY, CONFLICT, FORBIDDEN, INVALID_DEFINITION, PRECONDITION_FAILED, PRECONDITION_REQUIRED,
    REGISTRY_AWAY, TOO_LARGE, UNCONFIRMED, no,
};
use crate::reads::diff;
use crate::rights::Action;

/// What a document is called in its diagnostics.
const DOCUMENT: &str = "definition";

/// What a document says, by the rules of `assay dataset validate`.
fn parsed(text: &str) -> Parsed {
    assay_contract::parse_document(DOCUMENT, text)
}

fn invalid(diagnostics: &[Diagnostic]) -> Problem {
    let errors = diagnostics.iter().filter(|d| d.is_error()).count();
    let first = diagnostics.iter().find(|d| d.is_error());
    let first = first.map_or_else(String::new, |d| {
        format!(": line {}, column {}: {}", d.line, d.column, d.message)
    });
    Problem {
        diagnostics: diagnostics.iter().map(convert::diagnostic).collect(),
        ..INVALID_DEFINITION.because(format!("{errors} errors{first}"))
    }
}

/// A refusal of the registry.
fn refused(error: RegistryError) -> Problem {
    let said = error.to_string();
    match error {
        RegistryError::Invalid(diagnostics) => invalid(&diagnostics),
        RegistryError::Conflict(conflict) => changed(&conflict),
        RegistryError::Refused { .. } => FORBIDDEN.because(said),
        RegistryError::TooLarge { limit, .. } => Problem {
            limit: Some(limit as u64),
            ..TOO_LARGE.because(said)
        },
        RegistryError::NotFound(id) => no("dataset", id.as_str()),
        error if error.nothing_happened() => REGISTRY_AWAY.because(said),
        _ => UNCONFIRMED.because(said),
    }
}

fn changed(conflict: &Conflict) -> Problem {
    Problem {
        etag: conflict.found.clone(),
        ..PRECONDITION_FAILED.because(conflict.to_string())
    }
}

/// What the registry is to make sure of, by what was found and what the writer has seen.
fn precondition(
    id: &DatasetId,
    found: Option<&Definition>,
    condition: &Match,
) -> Result<Precondition, Problem> {
    let told = String::new;
    match (found, condition) {
        (None, Match::Any | Match::Absent) => Ok(Precondition::Absent),
        (Some(found), Match::Digest(seen)) if found.digest == *seen => {
            Ok(Precondition::Digest(seen.clone()))
        }
        (Some(found), Match::Any) => {
            let what = format!("`{id}` is defined: send its ETag as If-Match");
            Err(Problem {
                etag: Some(found.digest.clone()),
                ..PRECONDITION_REQUIRED.because(what)
            })
        }
        (found, _) => Err(changed(&Conflict {
            id: id.clone(),
            found: found.map(|found| found.digest.clone()),
            told: told(),
        })),
    }
}

impl Api {
    /// The document in force, also one that nobody can read (as none).
    async fn present(&self, id: &DatasetId) -> Result<Option<Definition>, Problem> {
        match self.parts.registry.get(id).await {
            Ok(found) => Ok(found),
            Err(RegistryError::Invalid(_)) => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    /// Refuses a writer who may not have both what is there and what it is to be.
    fn may_define(
        &self,
        who: &Reader,
        id: &str,
        found: Option<&Definition>,
        owner: Option<&str>,
    ) -> Result<(), Problem> {
        if let Some(found) = found
            && !self.may(who, Action::Define, &found.dataset)
        {
            return Err(no("dataset", id));
        }
        self.may_give(who, owner)
    }

    /// Refuses a writer who may not have what is to be of this owner.
    fn may_give(&self, who: &Reader, owner: Option<&str>) -> Result<(), Problem> {
        if self.parts.rights.may(who, Action::Define, owner) {
            return Ok(());
        }
        let owner = owner.unwrap_or("nobody");
        Err(FORBIDDEN.because(format!("you may define nothing that belongs to `{owner}`")))
    }

    /// Refuses a writer of what has no document where the store remembers it as another's: all that
    /// is kept of it would be theirs.
    async fn may_begin(&self, who: &Reader, id: &DatasetId) -> Result<(), Problem> {
        // Asked itself, not what is remembered of it: who owns it decides, and may be new.
        let stored = self.parts.store.definition(id).await.map_err(away)?;
        match stored {
            Some(stored) if !self.may(who, Action::Define, &stored) => {
                Err(no("dataset", id.as_str()))
            }
            _ => Ok(()),
        }
    }

    /// The definition that a run is to be started with: the registry's, as it is at this moment.
    async fn definition_json(&self, id: &DatasetId) -> Result<Option<String>, Problem> {
        let found = match self.parts.registry.get(id).await {
            Ok(Some(found)) => found.dataset,
            // The leader knows the dataset, too.
            Ok(None) | Err(_) => return Ok(None),
        };
        let text = serde_json::to_string::<Dataset>(&found);
        text.map(Some).map_err(|e| CONFLICT.because(e.to_string()))
    }

    /// Refuses whoever may not do this with a run; gives its dataset.
    async fn may_move(&self, who: &Reader, run: &str) -> Result<(), Problem> {
        let found = self.readable_run(who, run).await?;
        match self
            .permitted(who, Action::Run, &found.it.run.dataset)
            .await
        {
            Ok(_) => Ok(()),
            Err(problem) if problem.status == 404 => {
                Err(FORBIDDEN.because("you may read this run, and not move it"))
            }
            Err(problem) => Err(problem),
        }
    }
}

fn done(id: &str, done: &str) -> Done {
    Done {
        id: id.to_owned(),
        done: done.to_owned(),
    }
}

#[async_trait]
impl Deeds for Api {
    async fn validate(&self, _: &Reader, text: &str) -> Result<Validation, Problem> {
        let parsed = parsed(text);
        let dataset = parsed.dataset.as_ref();
        Ok(Validation {
            valid: !parsed.has_errors(),
            id: dataset.map(|d| d.id.to_string()),
            version: dataset.map(|d| d.version.clone()),
            checks: dataset.map_or(0, |d| d.checks.len() as u64),
            diagnostics: parsed.diagnostics.iter().map(convert::diagnostic).collect(),
        })
    }

    async fn apply(
        &self,
        who: &Reader,
        dataset: &str,
        text: &str,
        condition: &Match,
        dry_run: bool,
    ) -> Result<Applied, Problem> {
        let id = DatasetId::new(dataset).map_err(|e| BAD_BODY.because(e.to_string()))?;
        let parsed = parsed(text);
        if parsed.has_errors() {
            return Err(invalid(&parsed.diagnostics));
        }
        let stated = parsed.dataset.as_ref();
        if let Some(stated) = stated.filter(|stated| stated.id != id) {
            let what = format!("the document defines `{}`, not `{id}`", stated.id);
            return Err(BAD_BODY.because(what));
        }
        let owner = stated.and_then(|stated| stated.owner.as_deref());
        // Before anything is looked for, so that the refusal says nothing of what is there.
        self.may_give(who, owner)?;
        let found = self.present(&id).await?;
        self.may_define(who, dataset, found.as_ref(), owner)?;
        if found.is_none() {
            self.may_begin(who, &id).await?;
        }
        let before = found.as_ref().map(|found| &*found.text);
        let word = match before {
            None => "created",
            Some(before) if before == text => "unchanged",
            Some(_) => "changed",
        };
        let mut applied = Applied {
            id: id.to_string(),
            done: word.to_owned(),
            dry_run,
            digest: assay_registry::digest(text),
            diff: diff(before, text),
            warnings: parsed.diagnostics.iter().map(convert::diagnostic).collect(),
        };
        let wanted = match condition {
            Match::Any if dry_run || word == "unchanged" => None,
            condition => Some(precondition(&id, found.as_ref(), condition)?),
        };
        let Some(wanted) = wanted.filter(|_| !dry_run && word != "unchanged") else {
            return Ok(applied);
        };
        let put = self.parts.registry.put(text, wanted).await;
        self.memory.redefined(&id);
        applied.digest = put.map_err(refused)?.digest;
        Ok(applied)
    }

    async fn retire(
        &self,
        who: &Reader,
        dataset: &str,
        condition: &Match,
    ) -> Result<Applied, Problem> {
        let none = || no("dataset", dataset);
        let id = DatasetId::new(dataset).map_err(|_| none())?;
        let found = self.present(&id).await?.ok_or_else(none)?;
        let owner = found.dataset.owner.clone();
        self.may_define(who, dataset, Some(&found), owner.as_deref())?;
        let Precondition::Digest(seen) = precondition(&id, Some(&found), condition)? else {
            return Err(none());
        };
        let retired = self.parts.registry.retire(&id, &seen).await;
        self.memory.redefined(&id);
        let retired = retired.map_err(refused)?;
        Ok(Applied {
            id: id.to_string(),
            done: "retired".to_owned(),
            dry_run: false,
            diff: diff(Some(&found.text), &retired.text),
            digest: retired.digest,
            warnings: Vec::new(),
        })
    }

    async fn start_run(
        &self,
        who: &Reader,
        dataset: &str,
        what: &StartRun,
        key: &str,
    ) -> Result<Started, Problem> {
        let known = self.permitted(who, Action::Read, dataset).await?;
        if !self.may(who, Action::Run, &known.dataset) {
            return Err(FORBIDDEN.because("you may read this dataset, and not run it"));
        }
        let mut keys = what.partitions.clone();
        keys.extend(what.partition.clone());
        let id = &known.dataset.id;
        let definition = self.definition_json(id).await?;
        let wish = v1::SubmitRequest {
            what: Some(match definition {
                Some(json) => v1::submit_request::What::DefinitionJson(json),
                None => v1::submit_request::What::DatasetId(id.to_string()),
            }),
            trigger: if what.backfill { "backfill" } else { "manual" }.to_owned(),
            selection: Some(v1::Selection {
                keys,
                last_days: what.last_days.unwrap_or(0),
                rescan: what.rescan,
            }),
            idempotency_key: key.to_owned(),
            slot: None,
        };
        let started = self.parts.managers.submit(wish).await?;
        Ok(Started {
            run_id: started.run_id,
            existed: started.existed,
        })
    }

    async fn cancel_run(&self, who: &Reader, run: &str, reason: &str) -> Result<Done, Problem> {
        self.may_move(who, run).await?;
        let reason = match reason {
            "" => format!("asked by {}", who.id),
            reason => format!("{reason} (asked by {})", who.id),
        };
        self.parts.managers.cancel(run, &reason).await?;
        Ok(done(run, "is being cancelled"))
    }

    async fn retry_run(&self, who: &Reader, run: &str) -> Result<Done, Problem> {
        self.may_move(who, run).await?;
        self.parts.managers.retry(run).await?;
        Ok(done(run, "is tried again"))
    }

    async fn drain_node(&self, who: &Reader, node: &str, reason: &str) -> Result<Done, Problem> {
        self.may_cluster(who, Action::Operate)?;
        let reason = match reason {
            "" => format!("asked by {}", who.id),
            reason => reason.to_owned(),
        };
        self.parts.managers.drain(node, &reason).await?;
        Ok(done(node, "draining"))
    }

    async fn uncordon_node(&self, who: &Reader, node: &str) -> Result<Done, Problem> {
        self.may_cluster(who, Action::Operate)?;
        self.parts.managers.uncordon(node).await?;
        Ok(done(node, "takes tasks again"))
    }

    async fn scale(&self, who: &Reader, bounds: Scale) -> Result<Scale, Problem> {
        self.may_cluster(who, Action::Operate)?;
        let Scale { min, max } = bounds;
        if max == 0 || min > max || max > 10_000 {
            let what = "the bounds of the fleet: 0 <= min <= max, 1 <= max <= 10000";
            return Err(BAD_BODY.because(what));
        }
        self.parts.managers.scale(min, max).await?;
        Ok(bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_what_it_changes() {
        let id = DatasetId::new("orders").unwrap();
        let slug = |condition: &Match| precondition(&id, None, condition).err().map(|p| p.status);
        assert_eq!(slug(&Match::Any), None);
        assert_eq!(slug(&Match::Absent), None);
        assert_eq!(slug(&Match::Digest("x".to_owned())), Some(412));
    }
}
