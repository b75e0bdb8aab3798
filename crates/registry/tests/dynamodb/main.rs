//! The registry in DynamoDB, on a stand-in of AWS that is a server of its own.

#![allow(clippy::unwrap_used)]

mod changes;
mod faults;
mod many;
mod nonsense;
mod proxy;
mod suites;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use assay_aws::{Options, SdkConfig};
use assay_model::ids::DatasetId;
use assay_registry::dynamodb::{DynamoRegistry, Place, create_tables};
use assay_test_servers::ministack::{self, REGION};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

/// An item as DynamoDB gives it.
type Item = std::collections::HashMap<String, AttributeValue>;

/// Tables of a test's own.
struct World {
    registry: DynamoRegistry,
    client: Client,
    table: String,
}

/// What clients of `url` are made of.
async fn config(url: &str, attempts: u32) -> SdkConfig {
    let options = Options {
        region: Some(REGION.to_owned()),
        attempts,
        // A busy machine is no fault.
        attempt: Duration::from_secs(30),
        call: Duration::from_secs(60),
        ..Options::default()
    };
    let keys = Credentials::new("test", "test", None, None, "test");
    let config = assay_aws::config(&options).await.unwrap();
    config
        .into_builder()
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build()
}

fn open(config: &SdkConfig, table: &str) -> DynamoRegistry {
    let place = Place {
        table: table.to_owned(),
        by: Some("ana".to_owned()),
    };
    DynamoRegistry::open(config, place, Arc::new(Timestamp::now))
}

impl World {
    async fn new() -> Self {
        static TABLES: AtomicU32 = AtomicU32::new(0);
        let table = format!("datasets-{}", TABLES.fetch_add(1, Ordering::Relaxed));
        let url = tokio::task::spawn_blocking(|| ministack::shared().url());
        let config = config(&url.await.unwrap(), 5).await;
        create_tables(&config, &table).await.unwrap();
        Self {
            registry: open(&config, &table),
            client: Client::new(&config),
            table,
        }
    }

    /// The item as it is kept.
    async fn item(&self, key: &str) -> Option<Item> {
        let call = self.client.get_item().table_name(&self.table);
        let answer = call.key("id", s(key)).consistent_read(true).send().await;
        answer.unwrap().item
    }

    /// Keeps an item as somebody does by hand.
    async fn keep(&self, item: Item) {
        let call = self.client.put_item().table_name(&self.table);
        call.set_item(Some(item)).send().await.unwrap();
    }

    /// Allows an owner these beginnings of addresses.
    async fn allow(&self, owner: &str, prefixes: &[&str]) {
        let list = prefixes.iter().map(|prefix| s(prefix)).collect();
        let key = ("id".to_owned(), s(&format!("#owner/{owner}")));
        let item = Item::from([key, ("allow".to_owned(), AttributeValue::L(list))]);
        self.keep(item).await;
    }
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn id(text: &str) -> DatasetId {
    DatasetId::new(text).unwrap()
}

/// A document with an owner.
fn owned(id: &str, owner: &str, note: &str) -> String {
    let text = assay_registry::conformance::document(id, note);
    text + &format!("team: {{ name: {owner} }}\n")
}
