//! The versions of a definition.
//!
//! Comes in: a dataset. Goes out: what was put of it, newest first, and each document. It must never
//! leave a version out because it cannot be read.

use assay_model::ids::DatasetId;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;

use super::fields::{Fields, Item, key, n, s};
use super::{Does, DynamoRegistry, Inner, item};
use crate::port::{RegistryError, Revision};

/// Reads an item of the table of versions.
fn revision_of(item: &Item) -> Revision {
    let mut fields = Fields::of(item);
    let mut text = |name| fields.text(name).map(str::to_owned);
    Revision {
        version: text("version"),
        status: text("status"),
        owner: text("owner"),
        digest: text("digest"),
        by: text("updated_by"),
        at: fields.instant("updated_at", ""),
        revision: fields.required_number("revision").unwrap_or(0),
    }
}

impl DynamoRegistry {
    /// Every version of a dataset, newest first; empty when it was never put.
    ///
    /// # Errors
    /// When the table of versions cannot be read.
    pub async fn versions(&self, id: &DatasetId) -> Result<Vec<Revision>, RegistryError> {
        let mut all = Vec::new();
        let mut from = None;
        loop {
            let page = self.inner.query_versions(id, from, None).await?;
            all.extend(page.0.iter().map(revision_of));
            from = page.1;
            if from.is_none() {
                return Ok(all);
            }
        }
    }

    /// One version of a dataset and its document; `None` when there is no such version.
    ///
    /// # Errors
    /// When the table of versions cannot be read, or the document in it.
    pub async fn version(
        &self,
        id: &DatasetId,
        revision: u64,
    ) -> Result<Option<(Revision, String)>, RegistryError> {
        let mut wanted = key(id);
        wanted.insert("revision".to_owned(), n(revision));
        let inner = &self.inner;
        let call = inner
            .client
            .get_item()
            .table_name(inner.versions())
            .set_key(Some(wanted))
            .consistent_read(true);
        let answer = call
            .send()
            .await
            .map_err(|e| inner.failed(&e, Does::Read))?;
        let Some(found) = answer.item else {
            return Ok(None);
        };
        let mut fields = Fields::of(&found);
        let text = match fields.required_bytes("document") {
            Some(bytes) => item::unpack(bytes),
            None => Err("is missing, or not B".to_owned()),
        };
        let text = text.map_err(|why| RegistryError::Unavailable {
            place: format!(
                "revision {revision} of `{id}` in the table {}",
                inner.versions()
            ),
            reason: format!("its `document` {why}"),
            remedy: "restore the table from a backup, or take another revision".to_owned(),
            passing: false,
            unchanged: true,
        })?;
        Ok(Some((revision_of(&found), text)))
    }
}

impl Inner {
    /// The number of the newest version; 0 when there is none.
    pub(super) async fn last_revision(&self, id: &DatasetId) -> Result<u64, RegistryError> {
        let (items, _) = self.query_versions(id, None, Some(1)).await?;
        Ok(items.first().map_or(0, |item| revision_of(item).revision))
    }

    /// A page of versions without their documents, newest first, and where the next one begins.
    async fn query_versions(
        &self,
        id: &DatasetId,
        from: Option<Item>,
        limit: Option<i32>,
    ) -> Result<(Vec<Item>, Option<Item>), RegistryError> {
        let attributes = [
            "version",
            "status",
            "owner",
            "digest",
            "updated_at",
            "updated_by",
        ];
        let mut call = self
            .client
            .query()
            .table_name(self.versions())
            .key_condition_expression("id = :id")
            .expression_attribute_values(":id", s(id.as_str()))
            .projection_expression(
                "revision, #version, #status, #owner, #digest, #updated_at, #updated_by",
            )
            .scan_index_forward(false)
            .consistent_read(true)
            .set_exclusive_start_key(from)
            .set_limit(limit)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        for name in attributes {
            call = call.expression_attribute_names(format!("#{name}"), name);
        }
        let page = call.send().await.map_err(|e| self.failed(&e, Does::Read))?;
        let items = page.items.unwrap_or_default();
        self.used
            .count(items.len(), page.consumed_capacity.as_ref());
        Ok((items, page.last_evaluated_key.filter(|key| !key.is_empty())))
    }
}
