//! What the function is asked, and what it answers.
//!
//! Comes in: an event, and until when it has to be answered. Goes out: a report. It must never run
//! into the end of its time: what is left then is said, and done by the next tick.

use std::time::{Duration, SystemTime};

use assay_model::ids::DatasetId;
use assay_registry::Agenda;
use assay_scheduler::{Budget, explain, list, tick};
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::wiring::Parts;

/// Kept back for the answer.
const RESERVE: Duration = Duration::from_secs(2);
/// A tick takes no longer, whatever its time.
const LONGEST: Duration = Duration::from_secs(50);

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Event {
    /// Ask for what is due.
    Tick {
        /// At which instant: for trials, and never later than the clock says.
        at: Option<Timestamp>,
    },
    /// Tell how one dataset stands.
    Explain {
        /// Which.
        dataset: String,
    },
    /// Tell how all of them stand.
    List,
}

/// Answers one event.
pub async fn answer(parts: &Parts, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let asked: Event = serde_json::from_value(event.payload).map_err(|error| {
        format!(
            "the event is none of {{\"kind\":\"tick\"}}, {{\"kind\":\"explain\",\"dataset\":\"ID\"}} \
             and {{\"kind\":\"list\"}}: {error}"
        )
    })?;
    let now = Timestamp::now();
    match asked {
        Event::Tick { at } => {
            let now = at.map_or(now, |at| at.min(now));
            let left = event.context.deadline().duration_since(SystemTime::now());
            let left = left.unwrap_or_default().saturating_sub(RESERVE);
            ticked(parts, now, left.min(LONGEST)).await
        }
        Event::Explain { dataset } => {
            let id = DatasetId::new(dataset.as_str())?;
            let told = match parts.agenda.entry(&id).await? {
                None => None,
                Some(entry) => {
                    let policy = parts.agenda.policy_of(&entry.owners()).await?;
                    Some(explain(&entry, &policy, now))
                }
            };
            Ok(json!({ "kind": "explain", "found": told.is_some(), "explanation": told }))
        }
        Event::List => {
            let listed = list(&parts.agenda, now).await?;
            Ok(json!({ "kind": "list", "datasets": listed.datasets, "more": listed.more }))
        }
    }
}

async fn ticked(parts: &Parts, now: Timestamp, longest: Duration) -> Result<Value, Error> {
    let managers = parts.managers().await?;
    let report = tick(&parts.agenda, &managers, now, Budget::of(longest)).await?;
    let outcome = report.outcome();
    let mut answer = serde_json::to_value(&report)?;
    tracing::info!(outcome, report = %answer, "ticked");
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("kind".to_owned(), "tick".into());
        fields.insert("outcome".to_owned(), outcome.into());
    }
    Ok(answer)
}
