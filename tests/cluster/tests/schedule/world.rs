//! A table of definitions, and sandboxes of the function over it.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use assay_aws::{Options, SdkConfig};
use assay_cluster_tests::{Cluster, binaries};
use assay_proto::link::PeerRole;
use assay_registry::dynamodb::{DynamoRegistry, Place, create_tables};
use assay_registry::{Precondition, Registry as _, digest};
use assay_test_servers::ministack::{self, REGION};
use assay_test_servers::runtime_api::{Answer, Sandbox};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde_json::{Value, json};

/// How long one event may take: a busy machine is no fault.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Attributes of an item.
pub type Item = HashMap<String, AttributeValue>;

/// A table of definitions of its own.
pub struct World {
    pub registry: DynamoRegistry,
    pub client: Client,
    pub table: String,
    config: SdkConfig,
    folder: PathBuf,
}

pub fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// What clients of the stand-in are made of.
pub async fn config() -> SdkConfig {
    let url = tokio::task::block_in_place(|| ministack::shared().url());
    let options = Options {
        region: Some(REGION.to_owned()),
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

/// The document of a dataset of CSV files.
pub fn document(id: &str, path: &Path, run: &str) -> String {
    format!(
        "apiVersion: v3.1.0
kind: DataContract
id: {id}
version: 1.0.0
status: active
servers:
  - {{ server: here, type: local, path: {}, format: csv }}
customProperties:
  - property: assayPartitions
    value: {{ layout: hive, sealing: immediately }}
  - property: assayRun
    value: {{ {run} }}
",
        path.display()
    )
}

impl World {
    pub async fn new(table: &str, folder: &Path) -> Self {
        let config = config().await;
        create_tables(&config, table).await.unwrap();
        Self::over(config, table, folder)
    }

    /// Over a table that is there.
    pub fn over(config: SdkConfig, table: &str, folder: &Path) -> Self {
        let place = Place {
            table: table.to_owned(),
            by: Some("drill".to_owned()),
        };
        Self {
            registry: DynamoRegistry::open(&config, place, Arc::new(Timestamp::now)),
            client: Client::new(&config),
            table: table.to_owned(),
            config,
            folder: folder.to_owned(),
        }
    }

    /// Puts a definition.
    pub async fn define(&self, id: &str, path: &Path, run: &str) {
        let text = document(id, path, run);
        let put = self.registry.put(&text, Precondition::Absent).await;
        put.unwrap_or_else(|why| panic!("{id}: {why}"));
    }

    /// Edits an item by hand.
    pub async fn edit(&self, id: &str, attributes: &[(&str, AttributeValue)]) {
        let mut item = self.item(id).await;
        for (name, value) in attributes {
            item.insert((*name).to_owned(), value.clone());
        }
        self.put(item).await;
    }

    /// Makes it look as if a dataset had been looked at last at `through`.
    pub async fn looked_at(&self, id: &str, through: Timestamp) {
        let through = s(&through.to_string());
        self.edit(
            id,
            &[
                ("emitted_through", through),
                ("registered", AttributeValue::Bool(true)),
            ],
        )
        .await;
    }

    /// Gives an item another document, as an editor that checks nothing.
    pub async fn scribble(&self, id: &str, text: &str) {
        let bytes = zstd::encode_all(text.as_bytes(), 3).unwrap();
        let bytes = AttributeValue::B(Blob::new(bytes));
        self.edit(id, &[("document", bytes), ("digest", s(&digest(text)))])
            .await;
    }

    pub async fn item(&self, id: &str) -> Item {
        let call = self.client.get_item().table_name(&self.table);
        let answer = call.key("id", s(id)).consistent_read(true).send().await;
        answer.unwrap().item.unwrap_or_default()
    }

    pub async fn put(&self, item: Item) {
        let call = self.client.put_item().table_name(&self.table);
        call.set_item(Some(item)).send().await.unwrap();
    }

    /// A secret that holds an identity of the cluster's authority; gives its name.
    pub async fn secret(&self, cluster: &Cluster, role: PeerRole, name: &str) -> String {
        let files = cluster.identify(role, name);
        let text = |path: &Path| std::fs::read_to_string(path).unwrap();
        let secret = json!({
            "ca": text(&files.ca), "cert": text(&files.cert), "key": text(&files.key),
        });
        let name = format!("{}/{name}", self.table);
        let client = aws_sdk_secretsmanager::Client::new(&self.config);
        let call = client.create_secret().name(&name);
        call.secret_string(secret.to_string()).send().await.unwrap();
        name
    }

    /// A sandbox with the function, which asks the managers of `cluster`.
    pub async fn sandbox(&self, cluster: &Cluster, more: &[(&str, &str)]) -> Sandbox {
        let mut environment = tokio::task::block_in_place(|| ministack::shared().environment());
        let managers = cluster.client.managers.join(",");
        for (name, value) in [
            ("ASSAY_REGISTRY_TABLE", self.table.as_str()),
            ("ASSAY_MANAGERS", &managers),
        ]
        .iter()
        .chain(more)
        {
            environment.push(((*name).to_owned(), (*value).to_owned()));
        }
        let pairs: Vec<(&str, &str)> = environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path());
        Sandbox::start(&binaries::path_of("bootstrap"), &pairs, log.unwrap()).await
    }

    /// The folder of the drill.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("function.log")
    }

    /// What all sandboxes have logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

/// Has the function tick for the instant `at`, or the present one.
pub async fn ticked(sandbox: &Sandbox, at: Option<Timestamp>) -> Value {
    asked(sandbox, &json!({ "kind": "tick", "at": at })).await
}

/// The same, as often as it takes: an event that fails is repeated by whoever sends it, and a
/// stand-in of AWS on a busy machine may not answer in time.
pub async fn ticked_at_last(sandbox: &Sandbox, at: Timestamp) -> Value {
    let event = json!({ "kind": "tick", "at": at }).to_string();
    for _ in 0..10 {
        if let Answer::Response(text) = sandbox.invoke(&event, LIMIT).await {
            return serde_json::from_str(&text).unwrap();
        }
    }
    panic!("ten invocations at {at} have failed")
}

/// Asks the function something that it answers.
pub async fn asked(sandbox: &Sandbox, event: &Value) -> Value {
    match sandbox.invoke(&event.to_string(), LIMIT).await {
        Answer::Response(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("{event}: {other:?}"),
    }
}

/// A count of a report; 0 when it is not in it.
pub fn count(report: &Value, path: &str) -> u64 {
    report.pointer(path).and_then(Value::as_u64).unwrap_or(0)
}
