//! Good messages and good rows, with something in every field: what alterations begin with.

use assay_model::dataset::Dataset;
use assay_model::ids::{AttemptToken, CheckId, Epoch, Incarnation, NodeId, RunId, TaskId};
use assay_model::ledger::LedgerEntry;
use assay_model::node::{Load, Node, NodeState, Progress};
use assay_model::outcome::{HeldBack, Limits, OutcomeCounts, Span};
use assay_model::output::Discovery;
use assay_model::partition::{Partition, PartitionKey};
use assay_model::run::Selection;
use assay_model::task::{MeasureSpec, TaskSpec};
use assay_proto::convert;
use assay_proto::v1::{self, manager_message, node_message, submit_request::What};
use proptest::sample::Index;
use prost::Message;
use uuid::Uuid;

fn token() -> AttemptToken {
    AttemptToken {
        task: TaskId {
            run: RunId(Uuid::from_u128(7)),
            no: 300,
        },
        attempt: 2,
        nonce: Uuid::from_u128(9),
    }
}

fn partition() -> Partition {
    Partition {
        order: "2026-11-20".to_owned(),
        key: PartitionKey("2026-11-20".to_owned()),
        date: Some("2026-11-20".parse().unwrap()),
        start: Some("2026-11-20T00:00:00Z".parse().unwrap()),
        end: Some("2026-11-21T00:00:00Z".parse().unwrap()),
        series: "region=eu".to_owned(),
    }
}

fn limits() -> Limits {
    Limits {
        lower: Some(1.5),
        expected: Some(2.0),
        upper: Some(f64::MAX),
        model: "weekday-median+t5".to_owned(),
        model_version: 3,
        learned_from: vec![Span::one("2026-11-19".to_owned())],
        provisional: true,
        held_back: vec![HeldBack {
            partition: "a".to_owned(),
            by: CheckId::new("c"),
        }],
    }
}

fn ledger() -> LedgerEntry {
    let json = serde_json::json!({
        "partition": partition(), "state": "scanned", "version": "v1", "judged": "v1", "revision": 2,
        "objects": 3, "bytes": 1_u64 << 40, "first_seen": "2026-11-20T00:00:00Z",
        "last_modified": "2026-11-20T00:00:00.5Z", "verdict": OutcomeCounts::default(),
    });
    serde_json::from_value(json).unwrap()
}

/// A definition with a little of everything.
fn definition() -> String {
    serde_json::json!({
        "id": "orders", "version": "1.2.0", "status": "active", "tenant": "shop",
        "tags": ["a", "é"],
        "source": {
            "server": "here",
            "location": { "local": { "path": "/nowhere" } },
            "format": { "kind": "parquet" },
        },
        "columns": [{
            "name": "amount", "logical_type": "number", "physical_type": null, "required": true,
            "unique": false, "primary_key": null, "masked": false,
        }],
        "partitions": { "layout": "auto" },
        "run": {
            "schedule": "0 6 * * *", "time_zone": "UTC", "timeout_s": 600, "retries": 2,
            "catch_up": "latest",
        },
    })
    .to_string()
}

fn node_says(kind: node_message::Kind) -> Vec<u8> {
    v1::NodeMessage { kind: Some(kind) }.encode_to_vec()
}

fn manager_says(kind: manager_message::Kind) -> Vec<u8> {
    v1::ManagerMessage {
        epoch: 5,
        kind: Some(kind),
    }
    .encode_to_vec()
}

/// Encoded messages.
pub fn messages() -> Vec<Vec<u8>> {
    use manager_message::Kind as Manager;
    use node_message::Kind as Says;
    let node = Node {
        id: NodeId::new("node-1"),
        incarnation: Incarnation(3),
        state: NodeState::Registering,
        slots: 4,
        memory_bytes: 8 << 30,
        zone: "eu-1".to_owned(),
    };
    let load = Load {
        cpu: 0.5,
        memory_bytes: 1 << 30,
        read_bytes_per_s: 77,
        running: vec![Progress {
            task: token().task,
            attempt: 2,
            rows: 1,
            bytes: u64::MAX,
        }],
    };
    let failed = v1::Failed {
        token: Some(convert::token_of(&token())),
        outcome: "retryable".to_owned(),
        message: "the file is away; try again".to_owned(),
    };
    let assign = v1::Assign {
        token: Some(convert::token_of(&token())),
        kind: "measure".to_owned(),
        timeout_ms: 600_000,
        bytes: 1 << 20,
        suspect: true,
    };
    let selection = convert::selection_of(&Selection {
        keys: vec!["2026-11-20".to_owned(), "k".to_owned()],
        last_days: Some(7),
        rescan: true,
    });
    let submit = |what| v1::SubmitRequest {
        what: Some(what),
        trigger: "manual".to_owned(),
        selection: Some(selection.clone()),
        idempotency_key: "key".to_owned(),
        slot: Some(convert::time_of("2026-11-20T00:00:00Z".parse().unwrap())),
    };
    let point = v1::HistoryPoint {
        partition: Some(convert::partition_of(&partition())),
        version: "v1".to_owned(),
        status: "computed".to_owned(),
        value: Some(v1::MetricValue {
            kind: Some(v1::metric_value::Kind::Exact("12.50".to_owned())),
        }),
        outcome: "pass".to_owned(),
        limits: Some(convert::limits_of(&limits())),
        error_bound: Some(0.01),
        also_expected: vec!["= 3".to_owned()],
    };
    let series = v1::MetricSeries {
        key: Some(v1::MetricKey {
            metric: "rowCount".to_owned(),
            semantics: 1,
            ..Default::default()
        }),
        points: vec![point],
    };
    vec![
        node_says(Says::Hello(convert::hello_of(
            &node,
            &[token(), token()],
            Epoch(4),
            4242,
        ))),
        node_says(Says::Heartbeat(convert::load_of(&load))),
        node_says(Says::Started(convert::token_of(&token()))),
        node_says(Says::Failed(failed)),
        node_says(Says::Leaving(v1::Leaving {
            reason: "spot".to_owned(),
        })),
        manager_says(Manager::Assign(assign)),
        manager_says(Manager::Cancel(convert::token_of(&token()))),
        manager_says(Manager::Drain(v1::Drain {
            grace_ms: u64::MAX,
            reason: "r".to_owned(),
        })),
        submit(What::DatasetId("orders".to_owned())).encode_to_vec(),
        submit(What::DefinitionJson(definition())).encode_to_vec(),
        v1::HistoryResponse {
            series: vec![series],
        }
        .encode_to_vec(),
        convert::limits_of(&limits()).encode_to_vec(),
        convert::ledger_entry_of(&ledger()).encode_to_vec(),
        v1::CancelRequest {
            run_id: token().task.run.to_string(),
            reason: "why".to_owned(),
        }
        .encode_to_vec(),
    ]
}

/// JSON as it lies in the state of record.
pub fn rows() -> Vec<Vec<u8>> {
    let measure = MeasureSpec {
        queries: false,
        reading: None,
        partitions: vec![partition()],
        batch: 1,
        batches: 2,
        slices: Vec::new(),
        bytes: 1 << 33,
    };
    let plan = Discovery {
        unchanged: 4,
        measures: vec![measure.clone()],
        ignored: vec!["f: odd".to_owned()],
        notices: vec!["a word".to_owned()],
        ..Discovery::default()
    };
    let dataset: Dataset = serde_json::from_str(&definition()).unwrap();
    let selection = Selection {
        keys: vec!["k".to_owned()],
        last_days: Some(3),
        rescan: false,
    };
    vec![
        serde_json::to_vec(&dataset).unwrap(),
        definition().into_bytes(),
        serde_json::to_vec(&TaskSpec::Measure(measure)).unwrap(),
        serde_json::to_vec(&plan).unwrap(),
        serde_json::to_vec(&selection).unwrap(),
        serde_json::to_vec(&ledger()).unwrap(),
        serde_json::to_vec(&limits()).unwrap(),
        b"[1,2,3]".to_vec(),
    ]
}

/// The text with another thing in the place of one of its numbers.
pub fn with_number(text: &str, at: Index, other: &str) -> String {
    let bytes = text.as_bytes();
    let is_digit = |i: usize| bytes[i].is_ascii_digit();
    let starts: Vec<usize> = (1..bytes.len())
        .filter(|i| is_digit(*i) && matches!(bytes[*i - 1], b':' | b'[' | b','))
        .collect();
    let Some(&start) = starts.get(at.index(starts.len().max(1))) else {
        return text.to_owned();
    };
    let end = (start..bytes.len())
        .find(|i| !is_digit(*i))
        .unwrap_or(bytes.len());
    format!("{}{other}{}", &text[..start], &text[end..])
}

/// The samples are what they are meant to be, or altering them would test nothing.
pub fn are_good() {
    let all = messages();
    for bytes in &all[..5] {
        let message = v1::NodeMessage::decode(bytes.as_slice()).unwrap();
        convert::node_says(message).unwrap();
    }
    let submit = v1::SubmitRequest::decode(all[9].as_slice()).unwrap();
    let Some(What::DefinitionJson(json)) = submit.what else {
        panic!("{submit:?}")
    };
    convert::definition(json).unwrap();
    convert::limits(v1::Limits::decode(all[11].as_slice()).unwrap()).unwrap();
    convert::ledger_entry(v1::LedgerEntry::decode(all[12].as_slice()).unwrap()).unwrap();
    let rows = rows();
    serde_json::from_slice::<TaskSpec>(&rows[2]).unwrap();
    serde_json::from_slice::<Discovery>(&rows[3]).unwrap();
}
