//! How the model's words describe themselves in the OpenAPI document.
//!
//! Comes in: the vocabularies of the model. Goes out: schemas that list every word. It must never
//! spell a word itself.

use std::borrow::Cow;

use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema as Named};
use utoipa::{PartialSchema, ToSchema};

macro_rules! described {
    ($($(#[$doc:meta])* $name:ident = $words:ty, $about:literal;)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub enum $name {}

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    let words: Vec<&str> = <$words>::ALL.iter().map(|w| w.as_str()).collect();
                    let object = ObjectBuilder::new()
                        .schema_type(SchemaType::new(Type::String))
                        .description(Some($about))
                        .enum_values(Some(words));
                    Named::Object(object.build()).into()
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    Cow::Borrowed(stringify!($name))
                }
            }
        )+
    };
}

described! {
    /// Schema of [`assay_model::outcome::Outcome`].
    Outcome = assay_model::outcome::Outcome, "How a check ended. Only `pass` is green.";
    /// Schema of [`assay_model::outcome::Health`].
    Health = assay_model::outcome::Health, "A dataset's health in one word.";
    /// Schema of [`assay_model::check::Severity`].
    Severity = assay_model::check::Severity, "How grave a broken check is.";
    /// Schema of [`assay_model::check::CheckOrigin`].
    CheckOrigin = assay_model::check::CheckOrigin, "Where a check comes from.";
    /// Schema of [`assay_model::metric::MetricStatus`].
    MetricStatus = assay_model::metric::MetricStatus, "Whether a metric could be computed.";
    /// Schema of [`assay_model::metric::Metric`].
    Metric = assay_model::metric::Metric, "What is measured.";
    /// Schema of [`assay_model::run::RunState`].
    RunState = assay_model::run::RunState, "Where a run is.";
    /// Schema of [`assay_model::run::Trigger`].
    Trigger = assay_model::run::Trigger, "What started a run.";
    /// Schema of [`assay_model::run::Priority`].
    Priority = assay_model::run::Priority, "Which runs go first.";
    /// Schema of [`assay_model::task::TaskState`].
    TaskState = assay_model::task::TaskState, "Where a task is.";
    /// Schema of [`assay_model::task::TaskKind`].
    TaskKind = assay_model::task::TaskKind, "What kind of work a task is.";
    /// Schema of [`assay_model::node::NodeState`].
    NodeState = assay_model::node::NodeState, "Where a node is in its life.";
    /// Schema of [`assay_model::incident::IncidentStatus`].
    IncidentStatus = assay_model::incident::IncidentStatus, "Whether an incident is still open.";
    /// Schema of [`assay_model::dataset::DatasetStatus`].
    DatasetStatus = assay_model::dataset::DatasetStatus, "Where a definition is in its life.";
    /// Schema of [`assay_model::ledger::LedgerState`].
    LedgerState = assay_model::ledger::LedgerState, "Where a partition is in its life.";
}
