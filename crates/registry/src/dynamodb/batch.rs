//! Many items by their keys.
//!
//! Comes in: keys. Goes out: the items that are there, in no order. It must never take an item that
//! was not read this time for one that is not there.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity};

use super::fields::{Item, s};
use super::{Does, Inner, pause};
use crate::port::RegistryError;

/// Keys of one call.
const KEYS_MAX: usize = 100;

/// Rounds in which nothing more was read before it is given up.
const ROUNDS_MAX: u32 = 8;

impl Inner {
    /// The items of the table that have these keys, as they are at this moment.
    pub(super) async fn batch(&self, keys: BTreeSet<String>) -> Result<Vec<Item>, RegistryError> {
        let mut found = Vec::with_capacity(keys.len());
        let mut open: Vec<Item> = keys
            .into_iter()
            .map(|key| Item::from([("id".to_owned(), s(key))]))
            .collect();
        let mut idle = 0;
        while !open.is_empty() {
            let asked: Vec<Item> = open.split_off(open.len().saturating_sub(KEYS_MAX));
            let count = asked.len();
            let (items, left) = self.batch_once(asked).await?;
            idle = if left.len() < count { 0 } else { idle + 1 };
            if idle == ROUNDS_MAX {
                return Err(self.throttled("reading a batch of items"));
            }
            let partial = !left.is_empty();
            found.extend(items);
            open.extend(left);
            if partial {
                pause(idle + 1).await;
            }
        }
        Ok(found)
    }

    /// One call: what was read, and the keys that were left for another.
    async fn batch_once(&self, keys: Vec<Item>) -> Result<(Vec<Item>, Vec<Item>), RegistryError> {
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(true)
            .build()
            .map_err(|error| self.misbuilt(&error))?;
        let call = self
            .client
            .batch_get_item()
            .set_request_items(Some(HashMap::from([(self.table.clone(), wanted)])))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = call.send().await.map_err(|e| self.failed(&e, Does::Read))?;
        let capacity = answer.consumed_capacity.unwrap_or_default();
        let items: Vec<Item> = answer
            .responses
            .and_then(|mut tables| tables.remove(&self.table))
            .unwrap_or_default();
        self.used.count(items.len(), &capacity);
        let left = answer
            .unprocessed_keys
            .and_then(|mut tables| tables.remove(&self.table))
            .map(|left| left.keys)
            .unwrap_or_default();
        Ok((items, left))
    }

    /// The error of a request that could not even be built.
    pub(super) fn misbuilt(&self, error: &dyn std::error::Error) -> RegistryError {
        RegistryError::Unavailable {
            place: self.place(),
            reason: error.to_string(),
            remedy: "this is a mistake of the caller: please report it".to_owned(),
            passing: false,
            unchanged: true,
        }
    }
}
