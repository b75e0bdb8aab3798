//! The port of definitions.

use assay_model::dataset::DatasetStatus;
use assay_model::ids::DatasetId;
use async_trait::async_trait;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;

use super::fields::{Item, key};
use super::item::{self, Row};
use super::{Does, DynamoRegistry, Inner};
use crate::policy::EVERYBODY;
use crate::port::{
    Conflict, Definition, InvalidFile, Listing, Precondition, Registry, RegistryError, Revision,
};

/// The beginning of the keys of allow-lists.
pub(super) const OWNER: &str = "#owner/";

#[async_trait]
impl Registry for DynamoRegistry {
    /// An item that cannot be read is an error, not a dataset that is not there.
    async fn get(&self, id: &DatasetId) -> Result<Option<Definition>, RegistryError> {
        let Some(row) = self.inner.row(id).await? else {
            return Ok(None);
        };
        let definition = row.entry.definition.map_err(refused)?;
        Ok(Some(definition))
    }

    async fn list(&self) -> Result<Listing, RegistryError> {
        self.inner.list().await
    }

    async fn put(
        &self,
        text: &str,
        precondition: Precondition,
    ) -> Result<Definition, RegistryError> {
        self.inner.put(text, &precondition).await
    }

    async fn retire(&self, id: &DatasetId, expected: &str) -> Result<Definition, RegistryError> {
        let Some(row) = self.inner.row(id).await? else {
            return Err(RegistryError::NotFound(id.clone()));
        };
        let found = row.entry.definition.map_err(refused)?;
        if found.digest != expected {
            return Err(RegistryError::Conflict(Conflict {
                id: id.clone(),
                found: Some(found.digest),
                told: row.told,
            }));
        }
        let text = assay_contract::with_status(&found.text, DatasetStatus::Retired)
            .unwrap_or_else(|| found.text.to_string());
        let precondition = Precondition::Digest(found.digest);
        self.inner.put(&text, &precondition).await
    }

    async fn revisions(&self, id: &DatasetId) -> Result<Vec<Revision>, RegistryError> {
        self.versions(id).await
    }

    async fn revision(
        &self,
        id: &DatasetId,
        number: u64,
    ) -> Result<Option<(Revision, String)>, RegistryError> {
        self.version(id, number).await
    }
}

fn refused(file: InvalidFile) -> RegistryError {
    RegistryError::Invalid(file.diagnostics)
}

impl Inner {
    /// The item of a dataset, as it is at this moment.
    pub(super) async fn raw(&self, id: &DatasetId) -> Result<Option<Item>, RegistryError> {
        let call = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(id)))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = call.send().await.map_err(|e| self.failed(&e, Does::Read))?;
        let capacity = answer.consumed_capacity.as_ref();
        self.used
            .count(usize::from(answer.item.is_some()), capacity);
        Ok(answer.item)
    }

    async fn row(&self, id: &DatasetId) -> Result<Option<Row>, RegistryError> {
        let item = self.raw(id).await?;
        Ok(item.map(|item| item::read(&self.origin(id.as_str()), &item)))
    }

    /// Every page of the table. `keep` takes each item.
    pub(super) async fn scan(
        &self,
        filter: Option<(&str, &str)>,
        mut keep: impl FnMut(Item) + Send,
    ) -> Result<(), RegistryError> {
        let mut from = None;
        loop {
            let mut call = self
                .client
                .scan()
                .table_name(&self.table)
                .consistent_read(true)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .set_exclusive_start_key(from);
            if let Some((expression, value)) = filter {
                call = call
                    .filter_expression(expression)
                    .expression_attribute_values(":value", super::fields::s(value));
            }
            let page = call.send().await.map_err(|e| self.failed(&e, Does::Read))?;
            let read = usize::try_from(page.scanned_count).unwrap_or(0);
            self.used.count(read, page.consumed_capacity.as_ref());
            page.items
                .unwrap_or_default()
                .into_iter()
                .for_each(&mut keep);
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok(());
            }
        }
    }

    async fn list(&self) -> Result<Listing, RegistryError> {
        let mut listing = Listing::default();
        self.scan(None, |item| self.add(&mut listing, &item))
            .await?;
        listing
            .definitions
            .sort_by(|a, b| a.dataset.id.cmp(&b.dataset.id));
        listing.invalid.sort_by(|a, b| a.origin.cmp(&b.origin));
        Ok(listing)
    }

    /// Adds an item of any kind to a listing.
    fn add(&self, listing: &mut Listing, item: &Item) {
        let id = item.get("id").and_then(|id| id.as_s().ok());
        let id = id.map_or("", String::as_str);
        let origin = self.origin(id);
        if let Some(owner) = id.strip_prefix(OWNER) {
            let mut fields = super::fields::Fields::of(item);
            let list = fields.texts("allow");
            if list.is_none() && fields.problems.is_empty() {
                fields.problem("it has no attribute `allow`".to_owned(), ALLOW);
            }
            for (message, hint) in fields.problems {
                let hint = if hint == ALLOW {
                    hint
                } else {
                    "correct the item by hand"
                };
                let code = assay_contract::Code::Unreadable;
                let who = if owner == EVERYBODY {
                    "everybody"
                } else {
                    owner
                };
                let message = format!("the allow-list of {who}: {message}");
                listing.invalid.push(InvalidFile {
                    origin: origin.clone(),
                    text: "".into(),
                    diagnostics: vec![crate::port::at_start(&origin, code, message, hint)],
                    kept: None,
                });
            }
            return;
        }
        let row = item::read(&origin, item);
        listing.warnings.extend(row.warnings);
        match row.entry.definition {
            Ok(definition) => listing.definitions.push(definition),
            Err(file) => listing.invalid.push(file),
        }
    }
}

/// What to do about an allow-list without a list.
const ALLOW: &str =
    "give it the list `allow` of beginnings of addresses: [\"s3://lake/payments/\"]";
