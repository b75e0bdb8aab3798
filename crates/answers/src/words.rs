//! How the model's words describe themselves in the OpenAPI document.
//!
//! Comes in: the vocabularies of the model. Goes out: schemas that list every word. It must never
//! spell a word itself.

use serde_json::{Value, json};

use crate::schema::{Book, Described};

macro_rules! words {
    ($($words:ty = $about:literal;)+) => {
        $(impl Described for $words {
            fn name() -> Option<String> {
                let path = stringify!($words);
                path.rsplit("::").next().map(|name| name.trim().to_owned())
            }

            fn schema(_: &mut Book) -> Value {
                let words: Vec<&str> = <$words>::ALL.iter().map(|w| w.as_str()).collect();
                json!({ "type": "string", "description": $about, "enum": words })
            }
        })+
    };
}

words! {
    assay_model::outcome::Outcome = "How a check ended. Only `pass` is green.";
    assay_model::outcome::Health = "A dataset's health in one word.";
    assay_model::check::Severity = "How grave a broken check is.";
    assay_model::check::CheckOrigin = "Where a check comes from.";
    assay_model::metric::MetricStatus = "Whether a metric could be computed.";
    assay_model::metric::Metric = "What is measured.";
    assay_model::run::RunState = "Where a run is.";
    assay_model::run::Trigger = "What started a run.";
    assay_model::run::Priority = "Which runs go first.";
    assay_model::task::TaskState = "Where a task is.";
    assay_model::task::TaskKind = "What kind of work a task is.";
    assay_model::node::NodeState = "Where a node is in its life.";
    assay_model::feedback::FeedbackKind = "What is answered back to the judge.";
    assay_model::incident::IncidentStatus = "Whether an incident is still open.";
    assay_model::notice::NoticeKind = "What one can be told of.";
    assay_model::notice::ChannelKind = "How one is told.";
    assay_model::notice::SubscriptionOrigin = "Where a subscription comes from.";
    assay_model::notice::DeliveryState = "How a message stands.";
    assay_model::dataset::DatasetStatus = "Where a definition is in its life.";
    assay_model::ledger::LedgerState = "Where a partition is in its life.";
}
