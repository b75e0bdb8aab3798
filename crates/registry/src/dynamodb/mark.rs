//! A mark: what a tick has made of an entry, unless somebody was faster.
//!
//! Comes in: the entry as it was read, and the look at it. Goes out: whether it was kept. It must never
//! move a watermark back, nor put off a definition that was not looked at.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use super::fields::{Item, s, stamp};
use super::write::Terms;
use super::{Does, Inner, item, pause, token};
use crate::agenda::{Entry, Look, Marked};
use crate::port::RegistryError;

/// Attempts at a mark that others hold up.
const ATTEMPTS_MAX: u32 = 6;

/// Bytes of the longest note that is kept: an item holds little besides its document.
const NOTE_BYTES_MAX: usize = 4096;

/// What became of an attempt.
enum Attempt {
    Made,
    /// The item is not what was thought: what it is, if it is there.
    Other(Option<Item>),
    /// A transaction is at it.
    Busy,
}

impl Inner {
    pub(super) async fn mark(&self, entry: &Entry, look: &Look) -> Result<Marked, RegistryError> {
        let token = s(token());
        // What is expected of the item. A spelling of the same instant by hand is no change.
        let mut expected = match &entry.definition {
            Ok(definition) => {
                let mut expected = Item::from([("digest".to_owned(), s(&definition.digest))]);
                if let Some(through) = entry.emitted_through {
                    expected.insert("emitted_through".to_owned(), s(stamp(through)));
                }
                expected
            }
            // Nothing of what cannot be read can be told from an entry: the item is asked.
            Err(_) => match self.broken(entry).await? {
                Some(item) => item,
                None => return Ok(Marked::Overtaken),
            },
        };
        for attempt in 1..=ATTEMPTS_MAX {
            match self.attempt_mark(entry, look, &expected, &token).await? {
                Attempt::Made => return Ok(Marked::Kept),
                Attempt::Busy => pause(attempt).await,
                Attempt::Other(None) => return Ok(Marked::Overtaken),
                Attempt::Other(Some(item)) => {
                    if item.get("mark_token") == Some(&token) {
                        // An attempt whose answer was lost.
                        return Ok(Marked::Kept);
                    }
                    let read = item::read(&self.origin(&entry.key), &item).entry;
                    if !is_same(&read, entry) {
                        return Ok(Marked::Overtaken);
                    }
                    expected = item;
                }
            }
        }
        Err(self.throttled("the mark"))
    }

    /// The item of an entry that cannot be read, if it still cannot.
    async fn broken(&self, entry: &Entry) -> Result<Option<Item>, RegistryError> {
        let items = self.batch([entry.key.clone()].into()).await?;
        let item = items.into_iter().next();
        Ok(item.filter(|item| {
            let read = item::read(&self.origin(&entry.key), item).entry;
            read.definition.is_err()
        }))
    }

    async fn attempt_mark(
        &self,
        entry: &Entry,
        look: &Look,
        expected: &Item,
        token: &AttributeValue,
    ) -> Result<Attempt, RegistryError> {
        let mut set = Item::from([("mark_token".to_owned(), token.clone())]);
        let mut remove = Vec::new();
        let compared: &[&str] = if entry.definition.is_ok() {
            if let Some(through) = entry.emitted_through.max(look.through) {
                set.insert("emitted_through".to_owned(), s(stamp(through)));
            }
            set.insert(
                "registered".to_owned(),
                AttributeValue::Bool(look.registered),
            );
            &["digest", "emitted_through"]
        } else {
            // What it says of its past is left for people to correct.
            &["digest", "revision", "put_token", "due_at", "mark_token"]
        };
        match look.next {
            Some(next) => set.extend(item::due_item(&entry.key, next)),
            None => remove.extend(["due_shard", "due_at"]),
        }
        match &look.note {
            Some(note) => {
                let end = note.floor_char_boundary(NOTE_BYTES_MAX);
                set.insert("note".to_owned(), s(&note[..end]));
            }
            None => remove.push("note"),
        }
        let mut terms = Terms::default();
        let change = terms.change(set, &remove);
        let condition = terms.same(expected, compared);
        let sent = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("id", s(&entry.key))
            .update_expression(change)
            .condition_expression(condition)
            .set_expression_attribute_names(Some(terms.names))
            .set_expression_attribute_values(Some(terms.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = sent else {
            return Ok(Attempt::Made);
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Attempt::Other(failed.item().cloned()))
            }
            Some(UpdateItemError::TransactionConflictException(_)) => Ok(Attempt::Busy),
            _ => Err(self.failed(&error, Does::Write)),
        }
    }
}

/// Whether an item that was read anew says what the entry said.
fn is_same(read: &Entry, entry: &Entry) -> bool {
    match (&read.definition, &entry.definition) {
        (Ok(a), Ok(b)) => a.digest == b.digest && read.emitted_through == entry.emitted_through,
        _ => false,
    }
}
