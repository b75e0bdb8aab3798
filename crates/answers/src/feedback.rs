//! What people answer back to the judge: drafts, answers as they are kept, and what each would have
//! changed.
//!
//! Comes in: the model's answers and backtests. Goes out: their JSON, as `assay feedback … -o json`
//! has it. It must never name who answers from what was sent.

use crate::schema::{Book, Described, described};
use assay_model::feedback::{self, Answered, FeedbackKind, FeedbackScope};
use assay_model::metric::{Metric, MetricKey};
use assay_model::outcome::Outcome;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::value::Value;

described! {
/// `POST /datasets/{id}/feedback` and `…/feedback:preview`: what is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FeedbackDraft {
    /// What is answered.
    pub kind: FeedbackKind,
    /// A metric as it is shown (`sum(amount)`), or the id of a check.
    #[serde(default)]
    pub metric: Option<String>,
    /// A column. With neither this nor a metric it is about the whole dataset.
    #[serde(default)]
    pub column: Option<String>,
    /// The partition, or the first of them: a key or a day.
    pub from: String,
    /// The last partition of a window.
    #[serde(default)]
    pub to: Option<String>,
    /// Why, for those who wonder later. A preview needs none.
    #[serde(default)]
    pub reason: String,
    /// Partitions that are judged over again for the backtest; 90 when absent, at most 365.
    #[serde(default)]
    pub last: Option<u32>,
}
}

described! {
/// `POST /datasets/{id}/feedback/{feedback}:withdraw`: what is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WithdrawFeedback {
    /// Why, for those who wonder later.
    pub reason: String,
    /// Partitions that are judged over again for the backtest; 90 when absent, at most 365.
    #[serde(default)]
    pub last: Option<u32>,
}
}

described! {
/// `POST /datasets/{id}/feedback/{feedback}:preview`: what is sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WithdrawalPreview {
    /// Partitions that are judged over again for the backtest; 90 when absent, at most 365.
    #[serde(default)]
    pub last: Option<u32>,
}
}

described! {
/// That an answer was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Withdrawn {
    /// Who took it back.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}
}

described! {
/// An answer as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Feedback {
    /// `fb_` and 32 hex digits.
    pub id: String,
    /// The dataset.
    pub dataset: String,
    /// What is answered.
    pub kind: FeedbackKind,
    /// The same for people: `mark as normal`.
    pub phrase: String,
    /// What it is about.
    pub scope: FeedbackScope,
    /// The series of the partitions that it is about (empty where the dataset is one); `null`: all.
    pub series: Option<String>,
    /// The partition, or the first one.
    pub from: String,
    /// The last partition of a window.
    pub to: Option<String>,
    /// Who answered.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// Whether it counts.
    pub in_force: bool,
    /// That it was taken back.
    pub withdrawn: Option<Withdrawn>,
}
}

impl From<&Answered> for Feedback {
    fn from(of: &Answered) -> Self {
        Self {
            id: of.id.to_string(),
            dataset: of.dataset.to_string(),
            kind: of.kind,
            phrase: of.kind.phrase().to_owned(),
            scope: of.scope.clone(),
            series: of.series.clone(),
            from: of.from.to_string(),
            to: of.to.as_ref().map(ToString::to_string),
            by: of.by.clone(),
            at: of.at,
            reason: of.reason.clone(),
            in_force: of.in_force(),
            withdrawn: of.withdrawn.as_ref().map(|how| Withdrawn {
                by: how.by.clone(),
                at: how.at,
                reason: how.reason.clone(),
            }),
        }
    }
}

described! {
/// An answer with what the judge would have alerted on without and with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedbackTold {
    /// The answer.
    pub feedback: Feedback,
    /// What it changes of the past, were that judged again.
    pub backtest: Backtest,
    /// Whether something was kept; `false` of a preview.
    pub kept: bool,
}
}

described! {
/// What the judge would have alerted on, before and after an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backtest {
    /// Partitions that were judged over again, each by what lies before it.
    pub partitions: u32,
    /// The first of them, in their order.
    pub first: Option<String>,
    /// The last of them.
    pub last: Option<String>,
    /// Series of the dataset that were looked at.
    pub series: u32,
    /// Series that the bound left out.
    pub series_left_out: u32,
    /// By the answers that are in force.
    pub before: Alerts,
    /// By those and the one that is asked about.
    pub after: Alerts,
}
}

described! {
/// What would have been alerted on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alerts {
    /// Partitions of which something in the scope could be judged.
    pub judged: u32,
    /// Partitions of which nothing in the scope could be judged, for too little history.
    pub learning: u32,
    /// Partitions that the owner excluded.
    pub excluded: u32,
    /// Partitions with an alert, in their order.
    pub partitions: Vec<String>,
    /// The alerts on what is in the scope of the answer, in the order of the partitions.
    pub alerts: Vec<Alert>,
    /// Alerts on other metrics of the same partitions.
    pub elsewhere: u32,
}
}

described! {
/// One check that would have been broken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// The partition.
    pub partition: String,
    /// The check.
    pub check: String,
    /// What it measures.
    pub metric: MetricKey,
    /// `warn` or `fail`.
    pub outcome: Outcome,
    /// The value.
    pub value: Value,
    /// Least accepted value; `null` is unbounded.
    pub lower: Option<f64>,
    /// The value expected.
    pub expected: Option<f64>,
    /// Greatest accepted value; `null` is unbounded.
    pub upper: Option<f64>,
    /// Whether the owner marked it as normal: it alerts, and teaches all the same.
    pub marked_as_normal: bool,
}
}

impl From<&feedback::Backtest> for Backtest {
    fn from(of: &feedback::Backtest) -> Self {
        Self {
            partitions: of.partitions,
            first: of.first.as_ref().map(ToString::to_string),
            last: of.last.as_ref().map(ToString::to_string),
            series: of.series,
            series_left_out: of.series_left_out,
            before: Alerts::from(&of.before),
            after: Alerts::from(&of.after),
        }
    }
}

impl From<&feedback::Alerts> for Alerts {
    fn from(of: &feedback::Alerts) -> Self {
        Self {
            judged: of.judged,
            learning: of.learning,
            excluded: of.excluded,
            partitions: of.partitions.iter().map(ToString::to_string).collect(),
            alerts: of.alerts.iter().map(Alert::from).collect(),
            elsewhere: of.elsewhere,
        }
    }
}

impl From<&feedback::Alert> for Alert {
    fn from(of: &feedback::Alert) -> Self {
        Self {
            partition: of.partition.to_string(),
            check: of.check.to_string(),
            metric: of.metric.clone(),
            outcome: of.outcome,
            value: Value::from(&of.value),
            lower: of.lower,
            expected: of.expected,
            upper: of.upper,
            marked_as_normal: of.marked_as_normal,
        }
    }
}

impl Described for MetricKey {
    fn name() -> Option<String> {
        Some("MetricKey".to_owned())
    }

    fn schema(book: &mut Book) -> serde_json::Value {
        json!({
            "type": "object",
            "description": "The identity of a metric within a dataset.",
            "required": ["metric", "column", "args", "filter", "semantics"],
            "properties": {
                "metric": book.of::<Metric>(),
                "column": { "type": "string", "description": "The column, or empty." },
                "args": { "type": "string", "description": "Canonical JSON, or empty." },
                "filter": { "type": "string", "description": "The row filter, or empty." },
                "semantics": { "type": "integer", "description": "The rules it was measured by." },
            },
        })
    }
}

impl Described for FeedbackScope {
    fn name() -> Option<String> {
        Some("FeedbackScope".to_owned())
    }

    fn schema(book: &mut Book) -> serde_json::Value {
        let one = |name: &str, of: serde_json::Value| {
            json!({ "type": "object", "required": [name], "properties": { name: of },
                    "additionalProperties": false })
        };
        let metric = book.of::<MetricKey>();
        json!({
            "description": "What an answer is about: everything that is measured, a column, or a metric.",
            "oneOf": [
                { "const": "dataset" },
                one("column", json!({ "type": "string" })),
                one("metric", metric),
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_printed_as_it_is_described() {
        let mut book = Book::default();
        book.of::<FeedbackScope>();
        let all = book.components();
        let one = &all["FeedbackScope"]["oneOf"];
        assert_eq!(json!(FeedbackScope::Dataset), one[0]["const"]);
        let column = json!(FeedbackScope::Column("amount".to_owned()));
        assert_eq!(column, json!({ "column": "amount" }));
        let key = MetricKey::column(Metric::Sum, "amount");
        let metric = json!(FeedbackScope::Metric(key));
        let described = all["MetricKey"]["required"].as_array().unwrap();
        let printed = metric["metric"].as_object().unwrap();
        assert_eq!(printed.len(), described.len());
        for name in described {
            assert!(printed.contains_key(name.as_str().unwrap()), "{name}");
        }
    }

    #[test]
    fn a_draft_says_nothing_of_who_answers() {
        let sent = json!({ "kind": "mark_as_normal", "from": "2026-01-01", "by": "ada" });
        let refused = serde_json::from_value::<FeedbackDraft>(sent).unwrap_err();
        assert!(refused.to_string().contains("`by`"), "{refused}");
    }
}
