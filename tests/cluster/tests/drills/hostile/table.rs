//! What must not be done in the state that the cluster is in: one run has ended, one waits, and
//! both nodes are dead.

use assay_proto::limits::{DEFINITION_BYTES_MAX, KEYS_MAX, SLOTS_MAX};
use assay_proto::v1;
use assay_proto::v1::node_message::Kind;
use assay_proto::v1::submit_request::What;
use prost::Message;
use tonic::Code::{self, FailedPrecondition, InvalidArgument, NotFound};

use super::messages::{hello, nobody, run_of, said};
use super::reads;

/// What is there.
pub struct Facts {
    pub ended: String,
    pub waits: String,
    pub node: String,
}

/// One call, and how it is refused.
pub struct Case {
    /// `RunService/Submit`.
    pub path: &'static str,
    pub what: &'static str,
    pub bytes: Vec<u8>,
    pub code: Code,
    /// Words of the refusal.
    pub words: &'static str,
}

/// All cases.
pub fn cases(facts: &Facts) -> Vec<Case> {
    [
        submits(),
        runs(facts),
        cluster(facts),
        reads::metrics(),
        nodes(),
    ]
    .concat_all()
}

trait ConcatAll {
    fn concat_all(self) -> Vec<Case>;
}

impl<const N: usize> ConcatAll for [Vec<Case>; N] {
    fn concat_all(self) -> Vec<Case> {
        self.into_iter().flatten().collect()
    }
}

pub fn case(
    path: &'static str,
    what: &'static str,
    message: &impl Message,
    code: Code,
    words: &'static str,
) -> Case {
    Case {
        path,
        what,
        bytes: message.encode_to_vec(),
        code,
        words,
    }
}

fn submits() -> Vec<Case> {
    let path = "RunService/Submit";
    let of = |what: &'static str, code, words, change: &dyn Fn(&mut v1::SubmitRequest)| {
        let mut request = run_of("orders");
        change(&mut request);
        case(path, what, &request, code, words)
    };
    let keys = |keys: Vec<String>| {
        Some(v1::Selection {
            keys,
            ..v1::Selection::default()
        })
    };
    let at = |seconds: i64, nanos: i32| Some(prost_types::Timestamp { seconds, nanos });
    let bad = InvalidArgument;
    vec![
        case(
            path,
            "nothing",
            &v1::SubmitRequest::default(),
            bad,
            "`what`",
        ),
        of("of an unknown dataset", NotFound, "`unknown`", &|r| {
            r.what = Some(What::DatasetId("unknown".to_owned()));
        }),
        of("of a dataset without a name", bad, "dataset", &|r| {
            r.what = Some(What::DatasetId(String::new()));
        }),
        of(
            "of a definition that is none",
            bad,
            "definition_json",
            &|r| r.what = Some(What::DefinitionJson("{".to_owned())),
        ),
        of("without a trigger", bad, "trigger", &|r| {
            r.trigger = String::new();
        }),
        of("for an unknown trigger", bad, "whim", &|r| {
            r.trigger = "whim".to_owned();
        }),
        of("of too many keys", bad, "selection.keys", &|r| {
            r.selection = keys(vec!["k".to_owned(); KEYS_MAX + 1]);
        }),
        of("of a key that is empty", bad, "selection.keys", &|r| {
            r.selection = keys(vec![String::new()]);
        }),
        of("for an instant outside of time", bad, "slot", &|r| {
            r.trigger = "schedule".to_owned();
            r.slot = at(i64::MAX, 0);
        }),
        of("for a fraction that is none", bad, "slot", &|r| {
            r.trigger = "schedule".to_owned();
            r.slot = at(0, -1);
        }),
        of("on schedule, for no instant", bad, "slot", &|r| {
            r.trigger = "schedule".to_owned();
        }),
        of(
            "by hand, in the place of a scheduled one",
            bad,
            "slot",
            &|r| r.slot = at(1_790_000_000, 0),
        ),
        of(
            "on schedule, under a key besides",
            bad,
            "idempotency_key",
            &|r| {
                r.trigger = "schedule".to_owned();
                r.slot = at(1_790_000_000, 0);
                r.idempotency_key = "mine".to_owned();
            },
        ),
        of(
            "under the key of a run of other partitions",
            FailedPrecondition,
            "first",
            &|r| {
                r.idempotency_key = "first".to_owned();
                r.selection = keys(vec!["2026-01-01".to_owned()]);
            },
        ),
    ]
}

fn runs(facts: &Facts) -> Vec<Case> {
    let cancel = |run: &str, reason: &str| v1::CancelRequest {
        run_id: run.to_owned(),
        reason: reason.to_owned(),
    };
    let retry = |run: &str| v1::RetryRequest {
        run_id: run.to_owned(),
    };
    let get = |run: &str| v1::GetRunRequest {
        run_id: run.to_owned(),
    };
    let watch = |run: &str| v1::WatchRequest {
        run_id: run.to_owned(),
    };
    let list = |dataset: &str| v1::ListRunsRequest {
        dataset: dataset.to_owned(),
        ..Default::default()
    };
    vec![
        case(
            "RunService/Get",
            "of no run",
            &get(""),
            InvalidArgument,
            "run",
        ),
        case(
            "RunService/Get",
            "of a misspelt run",
            &get("run_7"),
            InvalidArgument,
            "run_7",
        ),
        case(
            "RunService/Get",
            "of an unknown run",
            &get(&nobody()),
            NotFound,
            "run",
        ),
        case(
            "RunService/Watch",
            "of no run",
            &watch(""),
            InvalidArgument,
            "run",
        ),
        case(
            "RunService/Watch",
            "of an unknown run",
            &watch(&nobody()),
            NotFound,
            "run",
        ),
        case(
            "RunService/List",
            "of a dataset that can be none",
            &list("a b"),
            InvalidArgument,
            "a b",
        ),
        case(
            "RunService/Cancel",
            "of no run",
            &cancel("", ""),
            InvalidArgument,
            "run",
        ),
        case(
            "RunService/Cancel",
            "of an unknown run",
            &cancel(&nobody(), ""),
            NotFound,
            "run",
        ),
        case(
            "RunService/Cancel",
            "of a run that has ended",
            &cancel(&facts.ended, "late"),
            FailedPrecondition,
            "has ended",
        ),
        case(
            "RunService/Retry",
            "of no run",
            &retry(""),
            InvalidArgument,
            "run",
        ),
        case(
            "RunService/Retry",
            "of an unknown run",
            &retry(&nobody()),
            NotFound,
            "run",
        ),
        case(
            "RunService/Retry",
            "of a run that has succeeded",
            &retry(&facts.ended),
            FailedPrecondition,
            "has succeeded",
        ),
        case(
            "RunService/Retry",
            "of a run that has not ended",
            &retry(&facts.waits),
            FailedPrecondition,
            "has not ended",
        ),
    ]
}

fn cluster(facts: &Facts) -> Vec<Case> {
    let drain = |node: &str| v1::DrainNodeRequest {
        node: node.to_owned(),
        reason: String::new(),
    };
    let uncordon = |node: &str| v1::UncordonNodeRequest {
        node: node.to_owned(),
    };
    let scale = |min, max| v1::ScaleRequest { min, max };
    let define = |json: String| v1::SubmitDefinitionRequest {
        definition_json: json,
    };
    let (drains, uncordons) = ("ClusterService/DrainNode", "ClusterService/UncordonNode");
    let (scales, defines) = ("ClusterService/Scale", "ClusterService/SubmitDefinition");
    let bad = InvalidArgument;
    let get = |dataset: &str| v1::GetDefinitionRequest {
        dataset: dataset.to_owned(),
    };
    vec![
        case(
            "ClusterService/GetDefinition",
            "of no dataset",
            &get(""),
            bad,
            "dataset",
        ),
        case(
            "ClusterService/GetDefinition",
            "of an unknown dataset",
            &get("unknown"),
            NotFound,
            "`unknown`",
        ),
        case(drains, "of no node", &drain(""), bad, "node"),
        case(
            drains,
            "of a name with a line break",
            &drain("a\nb"),
            bad,
            "control",
        ),
        case(
            drains,
            "of an unknown node",
            &drain("nobody"),
            NotFound,
            "nobody",
        ),
        case(
            drains,
            "of a dead node",
            &drain(&facts.node),
            NotFound,
            "has left",
        ),
        case(uncordons, "of no node", &uncordon(""), bad, "node"),
        case(
            uncordons,
            "of an unknown node",
            &uncordon("nobody"),
            NotFound,
            "nobody",
        ),
        case(
            uncordons,
            "of a dead node",
            &uncordon(&facts.node),
            NotFound,
            "has left",
        ),
        case(scales, "to nobody", &scale(0, 0), bad, "max"),
        case(scales, "upside down", &scale(5, 1), bad, "min"),
        case(scales, "without measure", &scale(1, u32::MAX), bad, "10000"),
        case(
            defines,
            "of nothing",
            &define(String::new()),
            bad,
            "definition_json",
        ),
        case(
            defines,
            "without a source",
            &define("{\"id\": \"a\"}".to_owned()),
            bad,
            "definition_json",
        ),
        case(
            defines,
            "of too many bytes",
            &define("x".repeat(DEFINITION_BYTES_MAX + 1)),
            bad,
            "definition_json",
        ),
        case(
            defines,
            "nested without end",
            &define("[".repeat(100_000)),
            bad,
            "definition_json",
        ),
    ]
}

fn nodes() -> Vec<Case> {
    let of = |what: &'static str, code, words, kind: Kind| Case {
        path: "NodeService/Connect",
        what,
        bytes: said(kind),
        code,
        words,
    };
    let greets = |change: &dyn Fn(&mut v1::Hello)| {
        let mut said = hello();
        change(&mut said);
        Kind::Hello(said)
    };
    let token = v1::AttemptToken::default();
    let bad = InvalidArgument;
    vec![
        Case {
            path: "NodeService/Connect",
            what: "without a word",
            bytes: Vec::new(),
            code: bad,
            words: "kind",
        },
        of(
            "that begins with a goodbye",
            bad,
            "hello",
            Kind::Goodbye(v1::Goodbye {}),
        ),
        of(
            "that begins with a heartbeat",
            bad,
            "hello",
            Kind::Heartbeat(v1::Heartbeat::default()),
        ),
        of(
            "that begins with an attempt",
            bad,
            "nonce",
            Kind::Started(v1::AttemptToken::default()),
        ),
        of(
            "without a name",
            bad,
            "`node`",
            greets(&|h| h.node = String::new()),
        ),
        of("without slots", bad, "`slots`", greets(&|h| h.slots = 0)),
        of(
            "of absurd slots",
            bad,
            "`slots`",
            greets(&|h| h.slots = SLOTS_MAX + 1),
        ),
        of(
            "of a zone without end",
            bad,
            "`zone`",
            greets(&|h| h.zone = "z".repeat(257)),
        ),
        of(
            "that holds what is no attempt",
            bad,
            "`nonce`",
            greets(&|h| h.held = vec![token.clone()]),
        ),
        of(
            "under another name",
            Code::PermissionDenied,
            "node-2",
            greets(&|h| h.node = "node-2".to_owned()),
        ),
        of(
            "from an epoch that is yet to come",
            FailedPrecondition,
            "epoch",
            greets(&|_| {}),
        ),
        of(
            "in a life that never was",
            FailedPrecondition,
            "epoch",
            greets(&|h| h.incarnation = 99),
        ),
    ]
}
