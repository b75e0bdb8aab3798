//! What operators are told of the cluster's own work: runs that could not be evaluated, nodes that
//! were lost, datasets that went stale.
//!
//! Comes in: something that happened, the alert as it stands, who subscribes, the present. Goes out:
//! the alert as it stands then, and messages. Pure: the same again gives the same, ids of messages
//! too. It must never tell more than one message of an alert within an hour, count one thing that
//! happened twice, repeat the words of an error, or tell anybody but operators.

use std::collections::BTreeMap;

use assay_model::check::Severity;
use assay_model::dataset::Dataset;
use assay_model::ids::{DatasetId, Incarnation, NodeId};
use assay_model::notice::{Alert, Delivery, NoticeKind, Notices, Subscription};
use assay_model::run::{Run, RunState};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::event::{self, Origin};
use crate::telling::QUIET;

/// What a dataset's good runs may be late by, beyond twice the longest pause between its runs.
pub const STALE_GRACE: SignedDuration = SignedDuration::from_hours(2);

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    kind: NoticeKind,
    subject: String,
    dataset: Option<DatasetId>,
    /// Unique among what happens to the subject.
    occurrence: String,
    /// Its place in the log of events; 0 of what is in no log.
    seq: u64,
    at: Timestamp,
    message: String,
    detail: Value,
}

impl Happened {
    /// The key of the alert that it belongs to.
    #[must_use]
    pub fn key(&self) -> String {
        Alert::key_of(self.kind, &self.subject)
    }
}

/// Whether operators are told of a run that ended so and left `unjudged` partitions without a verdict.
/// Who stops a run knows of it.
#[must_use]
pub const fn is_told(state: RunState, unjudged: u64) -> bool {
    match state {
        RunState::Failed | RunState::SkippedStale => true,
        RunState::Partial => unjudged > 0,
        _ => false,
    }
}

/// That `run` ended at `at`, which is at the place `seq` of the log, with `unjudged` partitions, out of
/// `tasks` tasks, without a verdict: all of them, where it failed. Why is not told: the words of an error
/// may hold what rows hold.
#[must_use]
pub fn run_failed(run: &Run, (tasks, unjudged): (u64, u64), seq: u64, at: Timestamp) -> Happened {
    let dataset = &run.dataset;
    let message = match (run.state, unjudged) {
        (RunState::Failed, _) => format!("{dataset}: {} could not be evaluated", run.id),
        (RunState::SkippedStale, _) => format!(
            "{dataset}: {} waited for its turn past its deadline, and was skipped",
            run.id
        ),
        (_, 1) => format!("{dataset}: {} left one partition without a verdict", run.id),
        (_, many) => format!(
            "{dataset}: {} left {many} partitions without a verdict",
            run.id
        ),
    };
    Happened {
        kind: NoticeKind::RunFailed,
        subject: dataset.to_string(),
        dataset: Some(dataset.clone()),
        // A run that is tried again may fail again.
        occurrence: format!("{} {at}", run.id),
        seq,
        at,
        message,
        detail: json!({ "run": {
            "id": run.id.to_string(), "state": run.state, "trigger": run.trigger, "slot": run.slot,
            "createdAt": run.created_at, "endedAt": at, "tasks": tasks, "unjudged": unjudged,
        }}),
    }
}

/// That a life of `node` was found to be over at `at`, which is at the place `seq` of the log, without a
/// word.
#[must_use]
pub fn node_lost(node: &NodeId, incarnation: Incarnation, seq: u64, at: Timestamp) -> Happened {
    Happened {
        kind: NoticeKind::NodeLost,
        subject: node.to_string(),
        dataset: None,
        occurrence: incarnation.0.to_string(),
        seq,
        at,
        message: format!("node {node} is lost; its tasks go to other nodes"),
        detail: json!({ "node": { "id": node, "incarnation": incarnation.0, "lostAt": at } }),
    }
}

/// Since when a dataset is stale whose last good run was at `last`, and whose runs come by themselves
/// at most `pause` apart; `None` while it is not.
#[must_use]
pub fn stale_since(last: Timestamp, pause: SignedDuration, now: Timestamp) -> Option<Timestamp> {
    let promised = pause.checked_mul(2)?.checked_add(STALE_GRACE)?;
    last.checked_add(promised).ok().filter(|since| *since < now)
}

/// That `dataset` is stale since `since`: its last good run was at `last`, or none is known of it.
#[must_use]
pub fn dataset_stale(
    dataset: &DatasetId,
    last: Option<Timestamp>,
    since: Timestamp,
    pause: SignedDuration,
) -> Happened {
    let hours = pause.as_secs().unsigned_abs().div_ceil(3600);
    let often = match hours {
        0 | 1 => "every hour".to_owned(),
        many => format!("every {many} hours"),
    };
    let message = match last {
        Some(last) => format!(
            "{dataset}: no run has succeeded since {last:.0}, and one is due at least {often}"
        ),
        // There may have been one before the oldest that was looked at.
        None => format!("{dataset}: no good run of it is known, and one is due at least {often}"),
    };
    Happened {
        kind: NoticeKind::DatasetStale,
        subject: dataset.to_string(),
        dataset: Some(dataset.clone()),
        occurrence: last.map_or_else(|| "never".to_owned(), |last| last.to_string()),
        seq: 0,
        at: since,
        message,
        detail: json!({ "stale": {
            "lastSuccess": last, "since": since, "pauseSeconds": pause.as_secs(),
        }}),
    }
}

/// The alert as it stands after something happened; `None` when that is known. Of what is in the log
/// all is known up to what happened last: a leader may read it twice.
#[must_use]
pub fn after(known: Option<&Alert>, happened: Happened) -> Option<Alert> {
    let is_known = |known: &Alert| {
        known.occurrence == happened.occurrence || (1..=known.seq).contains(&happened.seq)
    };
    if known.is_some_and(is_known) {
        return None;
    }
    Some(Alert {
        kind: happened.kind,
        subject: happened.subject,
        dataset: happened.dataset,
        occurrence: happened.occurrence,
        seq: happened.seq,
        at: happened.at,
        message: happened.message,
        detail: happened.detail,
        waiting: known.map_or(0, |known| known.waiting).saturating_add(1),
        told_at: known.and_then(|known| known.told_at),
        wake_at: None,
    })
}

/// The alert once what it tells of is over, by what is at the place `seq` of the log: what waits for its
/// hour is told no more. `None` when nothing waits, or it happened after that.
#[must_use]
pub fn over(known: &Alert, seq: u64) -> Option<Alert> {
    (known.waiting > 0 && known.seq < seq).then(|| Alert {
        waiting: 0,
        wake_at: None,
        ..known.clone()
    })
}

/// How grave it is.
#[must_use]
pub const fn severity(kind: NoticeKind) -> Severity {
    match kind {
        NoticeKind::NodeLost => Severity::Warning,
        _ => Severity::Error,
    }
}

/// Whether `subscription` is one for `alert` at all.
#[must_use]
pub fn concerns(subscription: &Subscription, alert: &Alert) -> bool {
    let of_dataset = subscription.dataset.as_ref();
    subscription.is_live()
        && subscription.operator
        && subscription.events.contains(&alert.kind)
        && of_dataset.is_none_or(|dataset| alert.dataset.as_ref() == Some(dataset))
        && severity(alert.kind) >= subscription.severity
        // It is of no dimension and of no column.
        && subscription.dimensions.is_empty()
        && subscription.columns.is_empty()
        && alert.at >= subscription.since
}

/// What alerts are told by.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What this cluster calls itself.
    pub origin: &'a Origin,
    /// Everybody who may be told.
    pub subscriptions: &'a [Subscription],
    /// The newest definition of the datasets that are told of.
    pub datasets: &'a BTreeMap<String, Dataset>,
    /// The present.
    pub now: Timestamp,
}

/// Adds `alert` to `notices` as it wakes next, and what is to be told of it.
pub fn tell(notices: &mut Notices, mut alert: Alert, known: &Known<'_>) {
    let quiet = alert.told_at.and_then(|at| at.checked_add(QUIET).ok());
    alert.wake_at = quiet.filter(|at| alert.waiting > 0 && *at > known.now);
    if alert.waiting == 0 || alert.wake_at.is_some() {
        notices.alerts.push(alert);
        return;
    }
    let to = known.subscriptions.iter();
    for subscription in to.filter(|one| concerns(one, &alert)) {
        let id = Delivery::id_of_alert(&alert, subscription.id);
        let dataset = alert.dataset.as_ref();
        let definition = dataset.and_then(|dataset| known.datasets.get(dataset.as_str()));
        let sent = event::of_alert(known.origin, id, &alert, definition, known.now);
        notices.deliveries.push(Delivery {
            dataset: alert.dataset.clone(),
            ..event::delivery(id, subscription, alert.kind, sent, known.now)
        });
    }
    alert.told_at = Some(known.now);
    alert.waiting = 0;
    notices.alerts.push(alert);
}

#[cfg(test)]
#[path = "alerts_tests.rs"]
mod tests;
