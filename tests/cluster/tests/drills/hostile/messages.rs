//! For each call a message that is well formed, and does nothing: it names what is not there.

use assay_model::ids::{Epoch, Incarnation, NodeId};
use assay_model::node::{Node, NodeState};
use assay_proto::convert::hello_of;
use assay_proto::v1;
use assay_proto::v1::node_message::Kind;
use assay_proto::v1::submit_request::What;
use prost::Message;

use super::raw::Rpc;

/// A run that nobody started.
pub fn nobody() -> String {
    format!("run_{:032x}", 7)
}

/// What nobody made, of a kind.
pub fn nothing(kind: &str) -> String {
    format!("{kind}_{:032x}", 7)
}

/// A run of a dataset.
pub fn run_of(id: &str) -> v1::SubmitRequest {
    v1::SubmitRequest {
        what: Some(What::DatasetId(id.to_owned())),
        trigger: "manual".to_owned(),
        ..v1::SubmitRequest::default()
    }
}

/// A node's first word, from a time that is yet to come.
pub fn hello() -> v1::Hello {
    let node = Node {
        id: NodeId::new("node-1"),
        incarnation: Incarnation(0),
        state: NodeState::Registering,
        slots: 1,
        memory_bytes: 1 << 30,
        zone: String::new(),
    };
    hello_of(&node, &[], Epoch(u64::MAX), 0)
}

/// What a node says.
pub fn said(kind: Kind) -> Vec<u8> {
    v1::NodeMessage { kind: Some(kind) }.encode_to_vec()
}

/// An answer about a dataset that nobody has.
fn draft() -> v1::FeedbackDraft {
    v1::FeedbackDraft {
        dataset: "nobody".to_owned(),
        kind: "exclude_window".to_owned(),
        from: "2026-11-20".to_owned(),
        to: "2026-11-21".to_owned(),
        reason: "a drill".to_owned(),
        by: "somebody".to_owned(),
        ..v1::FeedbackDraft::default()
    }
}

/// The message of a call.
pub fn good(rpc: &Rpc) -> Vec<u8> {
    let run_id = nobody();
    let dataset = "orders".to_owned();
    let call = rpc.path.trim_start_matches("/assay.v1.");
    match call {
        "ClusterService/Status" => v1::StatusRequest {}.encode_to_vec(),
        "ClusterService/ListDatasets" => v1::ListDatasetsRequest {}.encode_to_vec(),
        "ClusterService/GetDefinition" => v1::GetDefinitionRequest {
            dataset: "nobody".to_owned(),
        }
        .encode_to_vec(),
        "ClusterService/Inspect" => v1::InspectRequest {}.encode_to_vec(),
        "ClusterService/DrainNode" => v1::DrainNodeRequest {
            node: "nobody".to_owned(),
            reason: "a drill".to_owned(),
        }
        .encode_to_vec(),
        "ClusterService/UncordonNode" => v1::UncordonNodeRequest {
            node: "nobody".to_owned(),
        }
        .encode_to_vec(),
        "ClusterService/Scale" => v1::ScaleRequest { min: 5, max: 1 }.encode_to_vec(),
        "ClusterService/SubmitDefinition" => v1::SubmitDefinitionRequest {
            definition_json: "{}".to_owned(),
        }
        .encode_to_vec(),
        "RunService/Submit" => run_of("nobody").encode_to_vec(),
        "RunService/Get" => v1::GetRunRequest { run_id }.encode_to_vec(),
        "RunService/List" => v1::ListRunsRequest::default().encode_to_vec(),
        "RunService/Watch" => v1::WatchRequest { run_id }.encode_to_vec(),
        "RunService/Cancel" => v1::CancelRequest {
            run_id,
            reason: String::new(),
        }
        .encode_to_vec(),
        "RunService/Retry" => v1::RetryRequest { run_id }.encode_to_vec(),
        "MetricService/ListMetrics" => v1::ListMetricsRequest { dataset }.encode_to_vec(),
        "MetricService/History" => v1::HistoryRequest {
            dataset,
            ..Default::default()
        }
        .encode_to_vec(),
        "MetricService/Results" => v1::ResultsRequest {
            dataset,
            ..Default::default()
        }
        .encode_to_vec(),
        "MetricService/Standing" => v1::StandingRequest {
            dataset,
            ..Default::default()
        }
        .encode_to_vec(),
        "MetricService/Verdicts" => v1::VerdictsRequest { dataset, limit: 0 }.encode_to_vec(),
        "MetricService/Incidents" => v1::IncidentsRequest::default().encode_to_vec(),
        "MetricService/Ledger" => v1::LedgerRequest { dataset, limit: 0 }.encode_to_vec(),
        "NoticeService/ListCauses" => v1::ListCausesRequest::default().encode_to_vec(),
        "NoticeService/GetCause" => v1::GetCauseRequest { id: nothing("inc") }.encode_to_vec(),
        "NoticeService/ChangeCause" => v1::ChangeCauseRequest {
            id: nothing("inc"),
            by: "a drill".to_owned(),
            wish: Some(v1::change_cause_request::Wish::Acknowledge(true)),
        }
        .encode_to_vec(),
        "NoticeService/ListSubscriptions" => {
            v1::ListSubscriptionsRequest::default().encode_to_vec()
        }
        "NoticeService/AddSubscription" => v1::AddSubscriptionRequest {
            subscription: Some(v1::Subscription {
                channel: "webhook".to_owned(),
                target: "http://169.254.169.254/".to_owned(),
                ..Default::default()
            }),
            by: "a drill".to_owned(),
        }
        .encode_to_vec(),
        "NoticeService/ChangeSubscription" => v1::ChangeSubscriptionRequest {
            id: nothing("sub"),
            verb: "pause".to_owned(),
            by: "a drill".to_owned(),
        }
        .encode_to_vec(),
        "NoticeService/TestSubscription" => v1::TestSubscriptionRequest {
            id: nothing("sub"),
            by: "a drill".to_owned(),
        }
        .encode_to_vec(),
        "NoticeService/ListDeliveries" => v1::ListDeliveriesRequest::default().encode_to_vec(),
        "NoticeService/SendAgain" => v1::SendAgainRequest {
            id: nothing("dlv"),
            by: "a drill".to_owned(),
        }
        .encode_to_vec(),
        "FeedbackService/Preview" => v1::PreviewFeedbackRequest {
            what: Some(v1::preview_feedback_request::What::Draft(draft())),
            last: 0,
        }
        .encode_to_vec(),
        "FeedbackService/Keep" => v1::KeepFeedbackRequest {
            id: format!("fb_{:032x}", 7),
            draft: Some(draft()),
            last: 0,
        }
        .encode_to_vec(),
        "FeedbackService/List" => v1::ListFeedbackRequest {
            dataset: "nobody".to_owned(),
            limit: 0,
        }
        .encode_to_vec(),
        "FeedbackService/Withdraw" => v1::WithdrawFeedbackRequest {
            dataset: "nobody".to_owned(),
            id: format!("fb_{:032x}", 7),
            reason: "a drill".to_owned(),
            by: "somebody".to_owned(),
            last: 0,
        }
        .encode_to_vec(),
        "ClusterService/ListScaleEvents" => v1::ListScaleEventsRequest::default().encode_to_vec(),
        "NodeService/Connect" => said(Kind::Hello(hello())),
        other => panic!("{other} is a new call: say here what it is asked with"),
    }
}
