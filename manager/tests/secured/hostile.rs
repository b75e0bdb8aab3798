//! Messages that break the contract: each is refused with the right code, in words that name what is
//! wrong, and nothing is changed.

use assay_proto::limits::{DEFINITION_BYTES_MAX, KEYS_MAX, NAME_BYTES_MAX, SLOTS_MAX};
use assay_proto::link::PeerRole;
use assay_proto::v1;
use assay_proto::v1::cluster_service_client::ClusterServiceClient;
use assay_proto::v1::metric_service_client::MetricServiceClient;
use assay_proto::v1::node_message::Kind;
use assay_proto::v1::run_service_client::RunServiceClient;
use assay_proto::v1::submit_request::What;
use tonic::Code;

use crate::cluster::{self, Cluster, greeting};

/// A short definition, as JSON.
pub fn definition(id: &str, version: &str) -> String {
    serde_json::json!({
        "id": id, "version": version, "status": "active", "tenant": "shop",
        "source": {
            "server": "here",
            "location": { "local": { "path": "/nowhere" } },
            "format": { "kind": "parquet" },
        },
        "partitions": { "layout": "auto" },
    })
    .to_string()
}

/// A run of a known dataset.
pub fn run_of(id: &str) -> v1::SubmitRequest {
    v1::SubmitRequest {
        what: Some(What::DatasetId(id.to_owned())),
        trigger: "manual".to_owned(),
        selection: None,
        idempotency_key: String::new(),
        slot: None,
    }
}

fn long(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// A run that nobody started.
fn nobody() -> String {
    format!("run_{:032x}", 7)
}

type Refusals = Vec<(&'static str, Code, Option<tonic::Status>)>;

/// `what: call => code`, each on a fresh clone of a client.
macro_rules! refusals {
    ($into:ident; $($what:literal: $client:ident.$call:ident($message:expr) => $code:ident,)+) => {
        $($into.push(($what, Code::$code, $client.clone().$call($message).await.err()));)+
    };
}

async fn runs(cluster: &Cluster, found: &mut Refusals) {
    let client = RunServiceClient::new(cluster.open(PeerRole::Client, "a").await)
        .max_encoding_message_size(64 << 20);
    let submit = |change: &dyn Fn(&mut v1::SubmitRequest)| {
        let mut request = run_of("orders");
        change(&mut request);
        request
    };
    let id = |run_id: &str| run_id.to_owned();
    refusals! { found;
        "submit nothing": client.submit(v1::SubmitRequest::default()) => InvalidArgument,
        "submit of an unknown dataset": client.submit(run_of("unknown")) => NotFound,
        "submit of a dataset without a name": client.submit(run_of("")) => InvalidArgument,
        "submit of a name without end": client.submit(run_of(&long(NAME_BYTES_MAX + 1))) => InvalidArgument,
        "submit for an unknown trigger":
            client.submit(submit(&|r| r.trigger = "whim".to_owned())) => InvalidArgument,
        "submit of too many keys": client.submit(submit(&|r| {
            r.selection = Some(v1::Selection {
                keys: vec!["k".to_owned(); KEYS_MAX + 1],
                ..v1::Selection::default()
            });
        })) => InvalidArgument,
        "submit of an instant outside of time": client.submit(submit(&|r| {
            r.slot = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
        })) => InvalidArgument,
        "submit of a definition that is none": client.submit(submit(&|r| {
            r.what = Some(What::DefinitionJson("{".to_owned()));
        })) => InvalidArgument,
        "submit of more than a message holds": client.submit(submit(&|r| {
            r.idempotency_key = long(5 << 20);
        })) => OutOfRange,
        "submit of a good definition for an unknown trigger": client.submit(submit(&|r| {
            r.what = Some(What::DefinitionJson(definition("orders", "1")));
            r.trigger = "whim".to_owned();
        })) => InvalidArgument,
        "get of no run": client.get(v1::GetRunRequest { run_id: id("") }) => InvalidArgument,
        "get of a misspelt run": client.get(v1::GetRunRequest { run_id: id("run_7") }) => InvalidArgument,
        "get of an unknown run": client.get(v1::GetRunRequest { run_id: nobody() }) => NotFound,
        "list of a dataset that can be none":
            client.list(v1::ListRunsRequest { dataset: long(9999), unfinished: false, limit: 1 }) => InvalidArgument,
        "watch of an unknown run": client.watch(v1::WatchRequest { run_id: nobody() }) => NotFound,
        "cancel of a misspelt run":
            client.cancel(v1::CancelRequest { run_id: id("x"), reason: String::new() }) => InvalidArgument,
        "cancel for a reason without end":
            client.cancel(v1::CancelRequest { run_id: nobody(), reason: long(20_000) }) => InvalidArgument,
        "cancel of an unknown run":
            client.cancel(v1::CancelRequest { run_id: nobody(), reason: String::new() }) => NotFound,
        "retry of an unknown run": client.retry(v1::RetryRequest { run_id: nobody() }) => NotFound,
        "retry of no run": client.retry(v1::RetryRequest::default()) => InvalidArgument,
    }
}

async fn cluster_calls(cluster: &Cluster, found: &mut Refusals) {
    let client = ClusterServiceClient::new(cluster.open(PeerRole::Client, "a").await)
        .max_encoding_message_size(64 << 20);
    let drain = |node: String| v1::DrainNodeRequest {
        node,
        reason: String::new(),
    };
    let define = |definition_json: String| v1::SubmitDefinitionRequest { definition_json };
    refusals! { found;
        "drain of no node": client.drain_node(drain(String::new())) => InvalidArgument,
        "drain of a name with a line break": client.drain_node(drain("a\nb".to_owned())) => InvalidArgument,
        "drain of an unknown node": client.drain_node(drain("nobody".to_owned())) => NotFound,
        "uncordon of an unknown node":
            client.uncordon_node(v1::UncordonNodeRequest { node: "nobody".to_owned() }) => NotFound,
        "a fleet of nobody": client.scale(v1::ScaleRequest { min: 0, max: 0 }) => InvalidArgument,
        "a fleet upside down": client.scale(v1::ScaleRequest { min: 5, max: 1 }) => InvalidArgument,
        "an absurd fleet": client.scale(v1::ScaleRequest { min: 1, max: u32::MAX }) => InvalidArgument,
        "an empty definition": client.submit_definition(define(String::new())) => InvalidArgument,
        "a definition without a source":
            client.submit_definition(define("{\"id\": \"a\"}".to_owned())) => InvalidArgument,
        "a definition of too many bytes":
            client.submit_definition(define(long(DEFINITION_BYTES_MAX + 1))) => InvalidArgument,
        "a definition nested without end":
            client.submit_definition(define("[".repeat(100_000))) => InvalidArgument,
    }
}

async fn metrics(cluster: &Cluster, found: &mut Refusals) {
    let client = MetricServiceClient::new(cluster.open(PeerRole::Client, "a").await);
    refusals! { found;
        "verdicts of a dataset that can be none":
            client.verdicts(v1::VerdictsRequest { dataset: String::new(), limit: 0 }) => InvalidArgument,
        "incidents of a dataset that can be none":
            client.incidents(v1::IncidentsRequest { dataset: long(9999), only_open: false, limit: 0 }) => InvalidArgument,
        "the ledger of a dataset that can be none":
            client.ledger(v1::LedgerRequest { dataset: "\0".to_owned(), limit: u32::MAX }) => InvalidArgument,
    }
}

async fn nodes(cluster: &Cluster, found: &mut Refusals) {
    let channel = cluster.open(PeerRole::Node, "node-a").await;
    let changed = |change: &dyn Fn(&mut v1::Hello)| {
        let mut hello = greeting("node-a");
        change(&mut hello);
        Kind::Hello(hello)
    };
    let token = v1::AttemptToken::default();
    for (what, code, kind) in [
        (
            "a goodbye before the hello",
            Code::InvalidArgument,
            Kind::Goodbye(v1::Goodbye {}),
        ),
        (
            "a token before the hello",
            Code::InvalidArgument,
            Kind::Started(token.clone()),
        ),
        (
            "a node without a name",
            Code::InvalidArgument,
            changed(&|h| h.node = String::new()),
        ),
        (
            "a node without slots",
            Code::InvalidArgument,
            changed(&|h| h.slots = 0),
        ),
        (
            "a node with absurd slots",
            Code::InvalidArgument,
            changed(&|h| h.slots = SLOTS_MAX + 1),
        ),
        (
            "a zone without end",
            Code::InvalidArgument,
            changed(&|h| h.zone = long(257)),
        ),
        (
            "a held token that is none",
            Code::InvalidArgument,
            changed(&|h| h.held = vec![token.clone()]),
        ),
        (
            "an epoch that is yet to come",
            Code::FailedPrecondition,
            changed(&|h| h.highest_epoch = u64::MAX),
        ),
    ] {
        let said = cluster::say(channel.clone(), kind).await;
        found.push((what, code, said.err()));
    }
}

#[tokio::test]
async fn what_breaks_the_contract_is_refused_by_name_and_changes_nothing() {
    let cluster = Cluster::secured().await;
    let before = cluster.manager.view().await.unwrap();
    let mut found = Refusals::new();
    runs(&cluster, &mut found).await;
    cluster_calls(&cluster, &mut found).await;
    metrics(&cluster, &mut found).await;
    nodes(&cluster, &mut found).await;
    let wrong: Vec<String> = found
        .iter()
        .filter_map(|(what, code, refusal)| match refusal {
            Some(refusal) if refusal.code() == *code && !refusal.message().is_empty() => None,
            Some(refusal) => Some(format!("{what}: {refusal}, not {code:?}")),
            None => Some(format!("{what}: was accepted")),
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cluster.manager.view().await.unwrap(), before);
    let mut asked = ClusterServiceClient::new(cluster.open(PeerRole::Client, "a").await);
    let known = asked.list_datasets(v1::ListDatasetsRequest {}).await;
    assert!(known.unwrap().into_inner().datasets.is_empty());
}
