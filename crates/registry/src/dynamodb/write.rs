//! A change of a definition: the item and its version, both or neither.
//!
//! Comes in: a document, and what must hold of the one that is there. Goes out: the definition in
//! force, or what is there instead. It must never overwrite what the caller has not read, lose a
//! version, or call a change undone whose answer was lost.

use std::collections::{BTreeSet, HashMap};

use assay_model::dataset::{Dataset, DatasetStatus};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};

use super::fields::{Item, key, n, s};
use super::item::{self, Row};
use super::{Does, Inner, pause, token};
use crate::policy::{EVERYBODY, Policy};
use crate::port::{Conflict, Definition, Precondition, RegistryError};

/// Attempts at a change that others hold up.
const ATTEMPTS_MAX: u32 = 10;

/// What a put is about.
struct Wish<'a> {
    dataset: Dataset,
    text: &'a str,
    precondition: &'a Precondition,
    contents: Item,
    /// Tells this put's traces from those of another one of the same document.
    token: String,
}

/// The item that is there.
struct Found {
    item: Item,
    row: Row,
}

/// What became of an attempt.
enum Attempt {
    Made,
    /// The item is not what was read.
    Overtaken,
    /// The table of versions has that revision.
    RevisionTaken,
    /// Somebody else is at it, or there are too many calls.
    Busy,
    /// It failed; whether it was made is for a reading to tell.
    Failed(RegistryError),
}

impl Inner {
    pub(super) async fn put(
        &self,
        text: &str,
        precondition: &Precondition,
    ) -> Result<Definition, RegistryError> {
        let parsed = item::parse("definition", text);
        let Some(dataset) = parsed.dataset else {
            return Err(RegistryError::Invalid(parsed.diagnostics));
        };
        let now = (self.clock)();
        let contents = item::contents(&dataset, text, now, self.by.as_deref())?;
        let wish = Wish {
            dataset,
            text,
            precondition,
            contents,
            token: token(),
        };
        let (found, policy) = self.before(&wish).await?;
        // What its owner gives up may be given up from wherever it came.
        if wish.dataset.status != DatasetStatus::Retired
            && let Some(reason) = policy.refusal(&wish.dataset)
        {
            return Err(RegistryError::Refused {
                id: wish.dataset.id,
                reason,
                remedy: "have the address allowed, or name another owner".to_owned(),
            });
        }
        self.change(&wish, found).await
    }

    /// What is there, and what its owner may read, in one call.
    async fn before(&self, wish: &Wish<'_>) -> Result<(Option<Found>, Policy), RegistryError> {
        let id = wish.dataset.id.as_str();
        let mut owners = BTreeSet::from([EVERYBODY.to_owned()]);
        owners.extend(wish.dataset.owner.clone());
        let mut keys: BTreeSet<String> = owners.iter().map(|o| super::due::owner_key(o)).collect();
        keys.insert(id.to_owned());
        let (mine, lists): (Vec<Item>, Vec<Item>) = self
            .batch(keys)
            .await?
            .into_iter()
            .partition(|item| item.get("id") == Some(&s(id)));
        let found = mine.into_iter().next().map(|item| self.found(item, id));
        Ok((found, super::due::policy(lists)))
    }

    fn found(&self, item: Item, id: &str) -> Found {
        let row = item::read(&self.origin(id), &item);
        Found { item, row }
    }

    async fn change(
        &self,
        wish: &Wish<'_>,
        mut found: Option<Found>,
    ) -> Result<Definition, RegistryError> {
        let id = &wish.dataset.id;
        let mut above = 0;
        for attempt in 1..=ATTEMPTS_MAX {
            if let Some(done) = already(wish, found.as_ref())? {
                return Ok(done);
            }
            if found.as_ref().is_some_and(|f| f.row.revision.is_none()) {
                above = above.max(self.last_revision(id).await?);
            }
            let present = found.as_ref().and_then(|f| f.row.revision).unwrap_or(0);
            let revision = present.max(above).saturating_add(1);
            match self.attempt(wish, found.as_ref(), revision).await? {
                Attempt::Made => return self.definition(wish),
                Attempt::Overtaken => {}
                Attempt::RevisionTaken => above = self.last_revision(id).await?,
                Attempt::Busy => pause(attempt).await,
                Attempt::Failed(error) => {
                    // Not made by now may still be made by an attempt that is on its way.
                    return match self.raw(id).await {
                        Ok(Some(item)) if is_of(&item, wish) => self.definition(wish),
                        _ => Err(error),
                    };
                }
            }
            let item = self.raw(id).await?;
            if item.as_ref().is_some_and(|item| is_of(item, wish)) {
                return self.definition(wish);
            }
            found = item.map(|item| self.found(item, id.as_str()));
        }
        Err(self.throttled("the change"))
    }

    /// What was put, as reading it gives it.
    fn definition(&self, wish: &Wish<'_>) -> Result<Definition, RegistryError> {
        let id = wish.dataset.id.as_str();
        let mut item = wish.contents.clone();
        item.extend([item::revision(1)]);
        let read = item::read(&self.origin(id), &item).entry.definition;
        read.map_err(|file| RegistryError::Invalid(file.diagnostics))
    }

    async fn attempt(
        &self,
        wish: &Wish<'_>,
        found: Option<&Found>,
        revision: u64,
    ) -> Result<Attempt, RegistryError> {
        let update = self.update(wish, found, revision);
        let update = update.map_err(|error| self.misbuilt(&error))?;
        let mut version = wish.contents.clone();
        version.extend([item::revision(revision)]);
        let version = Put::builder()
            .table_name(self.versions())
            .set_item(Some(version))
            .condition_expression("attribute_not_exists(id)")
            .build()
            .map_err(|error| self.misbuilt(&error))?;
        let sent = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().update(update).build())
            .transact_items(TransactWriteItem::builder().put(version).build())
            .client_request_token(token())
            .send()
            .await;
        let Err(error) = sent else {
            return Ok(Attempt::Made);
        };
        Ok(match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                let reasons = cancelled.cancellation_reasons();
                let code = |no: usize| reasons.get(no).and_then(|r| r.code()).unwrap_or("None");
                why(code(0), code(1))
                    .unwrap_or_else(|| Attempt::Failed(self.failed(&error, Does::Write)))
            }
            Some(TransactWriteItemsError::TransactionInProgressException(_)) => Attempt::Busy,
            _ => Attempt::Failed(self.failed(&error, Does::Write)),
        })
    }

    /// The change of the item: everything but what ticks have written.
    fn update(
        &self,
        wish: &Wish<'_>,
        found: Option<&Found>,
        revision: u64,
    ) -> Result<Update, aws_sdk_dynamodb::error::BuildError> {
        let mut set = wish.contents.clone();
        set.remove("id");
        set.insert("revision".to_owned(), n(revision));
        set.insert("put_token".to_owned(), s(wish.token.clone()));
        let created = found
            .and_then(|f| f.item.get("created_at"))
            .filter(|at| {
                at.as_s()
                    .is_ok_and(|at| at.parse::<jiff::Timestamp>().is_ok())
            })
            .or_else(|| wish.contents.get("updated_at"));
        if let Some(created) = created {
            set.insert("created_at".to_owned(), created.clone());
        }
        let mut remove = vec!["note"];
        match item::due_after_put(&wish.dataset) {
            Some(due) => set.extend(due),
            None => remove.extend(["due_shard", "due_at"]),
        }
        for optional in ["owner", "updated_by"] {
            if !set.contains_key(optional) {
                remove.push(optional);
            }
        }
        if found.is_some_and(|f| f.item.get("registered").is_some_and(|v| !v.is_bool())) {
            remove.push("registered");
        }
        let mut terms = Terms::default();
        let change = terms.change(set, &remove);
        let condition = match found {
            None => "attribute_not_exists(id)".to_owned(),
            Some(found) => terms.same(&found.item, &["digest", "revision", "put_token"]),
        };
        Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(&wish.dataset.id)))
            .update_expression(change)
            .condition_expression(condition)
            .set_expression_attribute_names(Some(terms.names))
            .set_expression_attribute_values(Some(terms.values))
            .build()
    }
}

/// What the reasons of a cancelled transaction ask for: of the item, and of its version.
fn why(item: &str, version: &str) -> Option<Attempt> {
    let busy = [
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
    ];
    match (item, version) {
        ("ConditionalCheckFailed", _) => Some(Attempt::Overtaken),
        (_, "ConditionalCheckFailed") => Some(Attempt::RevisionTaken),
        (a, b) if busy.contains(&a) || busy.contains(&b) => Some(Attempt::Busy),
        _ => None,
    }
}

/// Whether an item is what this put has made.
fn is_of(item: &Item, wish: &Wish<'_>) -> bool {
    item.get("put_token") == Some(&s(wish.token.clone()))
}

/// Whether the precondition holds of what is there. The definition, when it is what is wished already.
fn already(wish: &Wish<'_>, found: Option<&Found>) -> Result<Option<Definition>, RegistryError> {
    let id = wish.dataset.id.clone();
    let conflict = |found: Option<String>, told: String| {
        Err(RegistryError::Conflict(Conflict {
            id: id.clone(),
            found,
            told,
        }))
    };
    let Some(found) = found else {
        return match wish.precondition {
            Precondition::Absent => Ok(None),
            Precondition::Digest(_) => conflict(None, String::new()),
        };
    };
    let there = found.item.get("digest").and_then(|d| d.as_s().ok());
    let there = there.cloned().unwrap_or_default();
    let told = || found.row.told.clone();
    match wish.precondition {
        Precondition::Absent => match owner_of(found) {
            Some(owner) if wish.dataset.owner.as_deref() != Some(owner) => {
                Err(RegistryError::Refused {
                    id: id.clone(),
                    reason: format!("it belongs to `{owner}` ({})", told()),
                    remedy: format!(
                        "give yours another id, or agree with `{owner}` on who owns it"
                    ),
                })
            }
            _ => conflict(Some(there), told()),
        },
        Precondition::Digest(expected) if *expected != there => conflict(Some(there), told()),
        Precondition::Digest(_) => match &found.row.entry.definition {
            Ok(definition) if *definition.text == *wish.text => Ok(Some(definition.clone())),
            _ => Ok(None),
        },
    }
}

/// Who owns what is there; `None` when nobody does, or nobody can tell.
fn owner_of(found: &Found) -> Option<&str> {
    let definition = found.row.entry.definition.as_ref().ok()?;
    definition.dataset.owner.as_deref()
}

/// The parts of an expression, with their names and values.
#[derive(Default)]
pub(super) struct Terms {
    pub(super) names: HashMap<String, String>,
    pub(super) values: HashMap<String, AttributeValue>,
}

impl Terms {
    fn name(&mut self, attribute: &str) -> String {
        let name = format!("#{attribute}");
        self.names.insert(name.clone(), attribute.to_owned());
        name
    }

    /// Sets these attributes and removes those.
    pub(super) fn change(&mut self, set: Item, remove: &[&str]) -> String {
        let mut parts: Vec<String> = Vec::with_capacity(set.len());
        for (attribute, value) in set {
            let name = self.name(&attribute);
            self.values.insert(format!(":{attribute}"), value);
            parts.push(format!("{name} = :{attribute}"));
        }
        let mut text = format!("SET {}", parts.join(", "));
        if !remove.is_empty() {
            let names: Vec<String> = remove.iter().map(|name| self.name(name)).collect();
            text.push_str(" REMOVE ");
            text.push_str(&names.join(", "));
        }
        text
    }

    /// Whether these attributes are what they are in `item`, whatever that is.
    pub(super) fn same(&mut self, item: &Item, attributes: &[&str]) -> String {
        let mut parts = vec!["attribute_exists(id)".to_owned()];
        for attribute in attributes {
            let name = self.name(attribute);
            match item.get(*attribute) {
                None => parts.push(format!("attribute_not_exists({name})")),
                Some(value) => {
                    let old = format!(":old_{attribute}");
                    parts.push(format!("{name} = {old}"));
                    self.values.insert(old, value.clone());
                }
            }
        }
        parts.join(" AND ")
    }
}
