//! What is due: a few questions to the index, and the items that it names.
//!
//! Comes in: an instant. Goes out: entries whose time has come, part by part of the index. It must
//! never read items that are not due, believe the index where the item says otherwise, or leave an
//! entry out for ever because its time was edited into nonsense.

use std::collections::BTreeSet;

use assay_model::ids::DatasetId;
use async_trait::async_trait;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use jiff::Timestamp;

use super::fields::{Fields, Item, s, stamp};
use super::{Does, DynamoRegistry, Inner, SHARDS, definitions, item};
use crate::agenda::{Agenda, Cursor, Entry, Look, Marked, Page};
use crate::policy::{EVERYBODY, Policy};
use crate::port::RegistryError;

/// The index of what is due.
pub(super) const INDEX: &str = "due";

/// Sorts after every instant and before every text that begins with a letter: what lies behind it was
/// never a time.
const NO_TIME: &str = ":";

/// Entries of the largest page.
const PAGE_MAX: usize = 1000;

/// Where in the index to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spot {
    /// The parts of the index come twice: first what is due, then what has no time.
    part: u64,
    /// The key that was read last, within the part: `due_at` and `id`.
    after: Option<(String, String)>,
}

#[async_trait]
impl Agenda for DynamoRegistry {
    async fn due(
        &self,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, RegistryError> {
        let begin = Spot {
            part: 0,
            after: None,
        };
        let mut spot = after.map_or(Ok(begin), Spot::of)?;
        let limit = limit.clamp(1, PAGE_MAX);
        let mut entries = Vec::new();
        loop {
            let wanted = limit - entries.len();
            let (keys, next) = self.inner.due_keys(&spot, now, wanted).await?;
            entries.extend(self.inner.still_due(keys, now).await?);
            let Some(next) = next.or_else(|| spot.next_part()) else {
                return Ok(Page {
                    entries,
                    next: None,
                });
            };
            if entries.len() >= limit {
                let next = Some(next.cursor());
                return Ok(Page { entries, next });
            }
            spot = next;
        }
    }

    async fn entry(&self, id: &DatasetId) -> Result<Option<Entry>, RegistryError> {
        let item = self.inner.raw(id).await?;
        Ok(item.map(|item| item::read(&self.inner.origin(id.as_str()), &item).entry))
    }

    async fn mark(&self, entry: &Entry, look: &Look) -> Result<Marked, RegistryError> {
        self.inner.mark(entry, look).await
    }

    async fn policy(&self) -> Result<Policy, RegistryError> {
        let mut lists = Vec::new();
        let filter = ("begins_with(id, :value)", definitions::OWNER);
        self.inner
            .scan(Some(filter), |item| lists.push(item))
            .await?;
        Ok(policy(lists))
    }

    async fn policy_of(&self, owners: &BTreeSet<String>) -> Result<Policy, RegistryError> {
        let everybody = std::iter::once(owner_key(EVERYBODY));
        let keys = owners.iter().map(|owner| owner_key(owner));
        Ok(policy(
            self.inner.batch(keys.chain(everybody).collect()).await?,
        ))
    }
}

/// The key of an owner's allow-list.
pub(super) fn owner_key(owner: &str) -> String {
    format!("{}{owner}", definitions::OWNER)
}

/// The lists in these items. One that cannot be read allows nothing.
pub(super) fn policy(lists: Vec<Item>) -> Policy {
    let mut policy = Policy::default();
    for item in lists {
        let mut fields = Fields::of(&item);
        let Some(key) = fields.text("id") else {
            continue;
        };
        let Some(owner) = key.strip_prefix(definitions::OWNER) else {
            continue;
        };
        let list = fields
            .texts("allow")
            .unwrap_or_else(|| vec![format!("(the list `allow` of `{key}` cannot be read)")]);
        policy.owners.insert(owner.to_owned(), list);
    }
    policy
}

impl Inner {
    /// A page of keys of one part, with the time that the index has for each.
    async fn due_keys(
        &self,
        spot: &Spot,
        now: Timestamp,
        limit: usize,
    ) -> Result<(BTreeSet<String>, Option<Spot>), RegistryError> {
        let (condition, bound) = match spot.part < SHARDS {
            true => ("due_shard = :shard AND due_at <= :bound", stamp(now)),
            false => ("due_shard = :shard AND due_at > :bound", NO_TIME.to_owned()),
        };
        let part = (spot.part % SHARDS).to_string();
        let from = spot.after.as_ref().map(|(at, id)| {
            let parts = [("id", id), ("due_shard", &part), ("due_at", at)];
            Item::from(parts.map(|(name, value)| (name.to_owned(), s(value))))
        });
        let call = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(INDEX)
            .key_condition_expression(condition)
            .expression_attribute_values(":shard", s(&part))
            .expression_attribute_values(":bound", s(bound))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(from)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let page = call.send().await.map_err(|e| self.failed(&e, Does::Read))?;
        let items = page.items.unwrap_or_default();
        self.used
            .count(items.len(), page.consumed_capacity.as_ref());
        let text = |item: &Item, name: &str| item.get(name).and_then(|v| v.as_s().ok()).cloned();
        let next = page
            .last_evaluated_key
            .and_then(|key| Some((text(&key, "due_at")?, text(&key, "id")?)))
            .map(|after| Spot {
                part: spot.part,
                after: Some(after),
            });
        let keys = items.iter().filter_map(|item| text(item, "id")).collect();
        Ok((keys, next))
    }

    /// The entries of these keys that are due by what the items say, which the index may lag behind.
    async fn still_due(
        &self,
        keys: BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Vec<Entry>, RegistryError> {
        let items = self.batch(keys).await?;
        let bound = stamp(now);
        let mut due: Vec<(String, Entry)> = Vec::with_capacity(items.len());
        for item in items {
            let text = |name: &str| item.get(name).and_then(|v| v.as_s().ok());
            let (Some(id), Some(at)) = (text("id"), text("due_at")) else {
                continue;
            };
            if *at <= bound || at.as_str() > NO_TIME {
                let entry = item::read(&self.origin(id), &item).entry;
                due.push((at.clone(), entry));
            }
        }
        due.sort_by(|a, b| (&a.0, &a.1.key).cmp(&(&b.0, &b.1.key)));
        Ok(due.into_iter().map(|(_, entry)| entry).collect())
    }
}

impl Spot {
    fn next_part(&self) -> Option<Self> {
        let part = self.part + 1;
        (part < 2 * SHARDS).then_some(Self { part, after: None })
    }

    /// `part`, then the length of `due_at`, then both parts of the key: any of them may hold anything.
    fn cursor(&self) -> Cursor {
        Cursor(match &self.after {
            None => self.part.to_string(),
            Some((at, id)) => format!("{}|{}|{at}{id}", self.part, at.len()),
        })
    }

    fn of(cursor: &Cursor) -> Result<Self, RegistryError> {
        Self::parse(&cursor.0).ok_or_else(Cursor::foreign)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '|');
        let part = parts
            .next()?
            .parse()
            .ok()
            .filter(|part| *part < 2 * SHARDS)?;
        let after = match (parts.next(), parts.next()) {
            (None, _) => None,
            (Some(length), Some(rest)) => {
                let length = length.parse().ok()?;
                let at = rest.get(..length)?;
                Some((at.to_owned(), rest.get(length..)?.to_owned()))
            }
            (Some(_), None) => return None,
        };
        Some(Self { part, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::fields::shard;

    #[test]
    fn a_cursor_reads_back_whatever_the_keys_hold_and_others_are_refused() {
        for after in [None, Some(("2026|3|x".to_owned(), "#\u{e9}|1".to_owned()))] {
            let spot = Spot { part: 9, after };
            assert_eq!(Spot::of(&spot.cursor()).expect("its own"), spot);
        }
        for text in [
            "",
            "x",
            "16",
            "-1",
            "3|",
            "3|4",
            "3|9|short",
            "3|1|\u{e9}",
            "3|x|ab",
        ] {
            assert!(Spot::of(&Cursor(text.to_owned())).is_err(), "{text}");
        }
    }

    #[test]
    fn the_part_of_an_id_never_changes() {
        assert_eq!(shard("orders"), shard("orders"));
        let parts: BTreeSet<String> = (0..100).map(|no| shard(&format!("d{no}"))).collect();
        assert_eq!(parts.len() as u64, SHARDS);
    }
}
