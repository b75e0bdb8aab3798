//! The tables.
//!
//! Comes in: a name. Goes out: tables for tests and trials, or what differs from what a registry
//! needs. It must never be what makes the tables of a production cluster: Terraform does, with backups,
//! encryption and protection.

use std::time::Duration;

use assay_aws::SdkConfig;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableDescription, TableStatus,
};

use super::{Does, DynamoRegistry, Inner};
use crate::port::RegistryError;

/// How long a table may take to be made.
const PATIENCE: Duration = Duration::from_secs(60);

/// A key: its attribute, its type, and what it is for.
type Key = (&'static str, ScalarAttributeType, KeyType);

/// Makes both tables and waits until they can be used.
///
/// # Errors
/// When they cannot be made.
pub async fn create_tables(config: &SdkConfig, table: &str) -> Result<(), RegistryError> {
    use ScalarAttributeType::{N, S};
    let registry = DynamoRegistry::open(
        config,
        super::Place {
            table: table.to_owned(),
            by: None,
        },
        std::sync::Arc::new(jiff::Timestamp::now),
    );
    let inner = &registry.inner;
    let id = ("id", S, KeyType::Hash);
    let due = [
        ("due_shard", S, KeyType::Hash),
        ("due_at", S, KeyType::Range),
    ];
    inner
        .create(&inner.table, std::slice::from_ref(&id), &due)
        .await?;
    let revision = ("revision", N, KeyType::Range);
    inner
        .create(&inner.versions(), &[id, revision], &[])
        .await?;
    for name in [inner.table.clone(), inner.versions()] {
        inner.await_active(&name).await?;
    }
    Ok(())
}

fn schema(keys: &[Key]) -> Result<Vec<KeySchemaElement>, BuildError> {
    let element = |(name, _, kind): &Key| {
        KeySchemaElement::builder()
            .attribute_name(*name)
            .key_type(kind.clone())
            .build()
    };
    keys.iter().map(element).collect()
}

fn attributes(keys: &[Key]) -> Result<Vec<AttributeDefinition>, BuildError> {
    let attribute = |(name, kind, _): &Key| {
        AttributeDefinition::builder()
            .attribute_name(*name)
            .attribute_type(kind.clone())
            .build()
    };
    keys.iter().map(attribute).collect()
}

fn indexes(keys: &[Key]) -> Result<Option<Vec<GlobalSecondaryIndex>>, BuildError> {
    if keys.is_empty() {
        return Ok(None);
    }
    let projection = Projection::builder().projection_type(ProjectionType::KeysOnly);
    let index = GlobalSecondaryIndex::builder()
        .index_name(super::due::INDEX)
        .set_key_schema(Some(schema(keys)?))
        .projection(projection.build())
        .build()?;
    Ok(Some(vec![index]))
}

impl Inner {
    async fn create(&self, name: &str, keys: &[Key], index: &[Key]) -> Result<(), RegistryError> {
        let all = [keys, index].concat();
        let built = |error: BuildError| self.misbuilt(&error);
        let call = self
            .client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(schema(keys).map_err(built)?))
            .set_attribute_definitions(Some(attributes(&all).map_err(built)?))
            .set_global_secondary_indexes(indexes(index).map_err(built)?);
        let sent = call.send().await;
        sent.map(drop).map_err(|e| self.failed(&e, Does::Write))
    }

    async fn describe(&self, name: &str) -> Result<TableDescription, RegistryError> {
        let answer = self.client.describe_table().table_name(name).send().await;
        let answer = answer.map_err(|e| self.failed_at(name, &e, Does::Read))?;
        answer.table.ok_or_else(|| RegistryError::Unavailable {
            place: self.place(),
            reason: "its description is empty".to_owned(),
            remedy: "try again".to_owned(),
            passing: true,
            unchanged: true,
        })
    }

    async fn await_active(&self, name: &str) -> Result<(), RegistryError> {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let table = self.describe(name).await?;
                if table.table_status == Some(TableStatus::Active) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        waited
            .await
            .unwrap_or_else(|_| Err(self.throttled("making the table")))
    }
}

impl DynamoRegistry {
    /// What differs in the tables from what a registry needs, each in a sentence; empty: nothing.
    ///
    /// # Errors
    /// When they cannot be looked at.
    pub async fn check(&self) -> Result<Vec<String>, RegistryError> {
        let inner = &self.inner;
        let mut wrong = Vec::new();
        for (name, keys) in [
            (inner.table.clone(), ["id"].as_slice()),
            (inner.versions(), ["id", "revision"].as_slice()),
        ] {
            let table = inner.describe(&name).await?;
            if table.table_status != Some(TableStatus::Active) {
                let status = table
                    .table_status
                    .as_ref()
                    .map_or("unknown", |s| s.as_str());
                wrong.push(format!("the table {name} is {status}, not ACTIVE"));
            }
            let found: Vec<&str> = table
                .key_schema()
                .iter()
                .map(|k| k.attribute_name())
                .collect();
            if found != keys {
                wrong.push(format!(
                    "the table {name} has the key {found:?}, not {keys:?}"
                ));
            }
            if keys.len() == 1 {
                wrong.extend(index_of(&table));
            }
        }
        Ok(wrong)
    }
}

/// What is wrong with the index of what is due.
fn index_of(table: &TableDescription) -> Option<String> {
    let mut all = table.global_secondary_indexes().iter();
    let index = all.find(|index| index.index_name() == Some(super::due::INDEX));
    let Some(index) = index else {
        return Some("the table has no index `due`: no tick would find anything".to_owned());
    };
    let found: Vec<&str> = index
        .key_schema()
        .iter()
        .map(|k| k.attribute_name())
        .collect();
    (found != ["due_shard", "due_at"])
        .then(|| format!("the index `due` has the key {found:?}, not [\"due_shard\", \"due_at\"]"))
}
