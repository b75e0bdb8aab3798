//! What pages ask beside reads and wishes, over the same API.
//!
//! Comes in: what somebody does on a page. Goes out: what the API says of it. It must never allow on a
//! page what the API refuses.

use std::sync::Arc;

use assay_answers::facts::Cut;
use assay_answers::feedback::{Feedback, FeedbackDraft, FeedbackTold, WithdrawFeedback};
use assay_answers::incident::{IncidentChange, NoteDraft};
use assay_answers::notice;
use assay_answers::value::MetricName;
use assay_answers::{Problem, Reader};
use assay_model::feedback::{FeedbackKind, FeedbackScope};
use assay_model::metric::MetricKey;
use assay_model::notice::{Delivery, NoticeKind, SubscriptionOrigin, shown_as};
use assay_pages::seams::{
    Answering, Backtest, Change, Incidents, Kept, Message, Said, Saying, Seams, Subscription,
    Subscriptions,
};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::api::Api;
use crate::reads::LIST_MOST;

/// The ports of pages: what `others` leaves out is asked of `api`, where it answers that.
pub(crate) fn over(api: &Api, others: Seams) -> Seams {
    let answering = || Some(Arc::new(api.clone()) as Arc<dyn Answering>);
    let incidents = || Some(Arc::new(api.clone()) as Arc<dyn Incidents>);
    let subscriptions = || Some(Arc::new(api.clone()) as Arc<dyn Subscriptions>);
    Seams {
        answering: others.answering.or_else(answering),
        incidents: others.incidents.or_else(incidents),
        subscriptions: others.subscriptions.or_else(subscriptions),
        ..others
    }
}

const fn kind(saying: Saying) -> FeedbackKind {
    match saying {
        Saying::MarkAsNormal => FeedbackKind::MarkAsNormal,
        Saying::TrainAsNewNormal => FeedbackKind::TrainAsNewNormal,
        Saying::ExcludeWindow => FeedbackKind::ExcludeWindow,
    }
}

const fn saying(kind: FeedbackKind) -> Saying {
    match kind {
        FeedbackKind::MarkAsNormal => Saying::MarkAsNormal,
        FeedbackKind::TrainAsNewNormal => Saying::TrainAsNewNormal,
        FeedbackKind::ExcludeWindow => Saying::ExcludeWindow,
    }
}

fn draft(said: &Said) -> FeedbackDraft {
    FeedbackDraft {
        kind: kind(said.saying),
        metric: Some(said.check.clone()),
        column: None,
        from: said.from.clone(),
        to: (said.saying == Saying::ExcludeWindow).then(|| said.to.clone()),
        reason: said.why.clone(),
        last: None,
    }
}

fn kept(answer: &Feedback, check: &str) -> Kept {
    Kept {
        id: answer.id.clone(),
        said: Said {
            saying: saying(answer.kind),
            dataset: answer.dataset.clone(),
            check: check.to_owned(),
            from: answer.from.clone(),
            to: answer.to.clone().unwrap_or_else(|| answer.from.clone()),
            why: answer.reason.clone(),
        },
        by: answer.by.clone(),
        at: answer.at,
        withdrawn_at: answer.withdrawn.as_ref().map(|how| how.at),
    }
}

/// What a backtest does not tell, in words.
fn note(told: &FeedbackTold) -> Option<String> {
    let of = &told.backtest;
    let mut notes = Vec::new();
    for (count, what) in [
        (
            of.after.learning,
            "partitions have too little history to be judged",
        ),
        (of.after.excluded, "partitions are excluded"),
        (
            of.series_left_out,
            "series of the dataset were not looked at",
        ),
    ] {
        if count > 0 {
            notes.push(format!("{count} {what}"));
        }
    }
    (!notes.is_empty()).then(|| notes.join("; ") + ".")
}

/// Whether an answer is about a metric.
fn is_about(scope: &FeedbackScope, of: &MetricName) -> bool {
    match scope {
        FeedbackScope::Metric(key) => MetricName::from(key) == *of,
        other => other.covers(&MetricKey::column(of.metric, of.column.clone())),
    }
}

#[async_trait]
impl Answering for Api {
    async fn backtest(&self, who: &Reader, said: &Said) -> Result<Backtest, Problem> {
        let told = self
            .preview_feedback(who, &said.dataset, &draft(said))
            .await?;
        let note = note(&told);
        let backtest = told.backtest;
        Ok(Backtest {
            partitions: u64::from(backtest.partitions),
            before: backtest.before.partitions,
            after: backtest.after.partitions,
            note,
        })
    }

    async fn keep(&self, who: &Reader, said: &Said, key: &str) -> Result<Kept, Problem> {
        let told = self
            .keep_feedback(who, &said.dataset, &draft(said), key)
            .await?;
        Ok(kept(&told.feedback, &said.check))
    }

    async fn kept(&self, who: &Reader, dataset: &str, check: &str) -> Result<Vec<Kept>, Problem> {
        let of = self.check_row(who, dataset, check).await?.it.of;
        let mut cut = Cut {
            limit: Some(LIST_MOST),
            cursor: None,
        };
        let mut found = Vec::new();
        loop {
            let part = self.feedback_list(who, dataset, &cut).await?.it;
            let about = part.items.iter().filter(|a| is_about(&a.scope, &of));
            found.extend(about.map(|answer| kept(answer, check)));
            if part.next_cursor.is_none() {
                break;
            }
            cut.cursor = part.next_cursor;
        }
        found.sort_by_key(|kept| std::cmp::Reverse(kept.at));
        Ok(found)
    }

    async fn withdraw(
        &self,
        who: &Reader,
        dataset: &str,
        id: &str,
        why: &str,
    ) -> Result<(), Problem> {
        let how = WithdrawFeedback {
            reason: why.to_owned(),
            last: None,
        };
        self.withdraw_feedback(who, dataset, id, &how).await?;
        Ok(())
    }
}

/// What is changed, in the words of the API.
fn change(change: &Change, now: Timestamp) -> IncidentChange {
    let none = IncidentChange::default();
    match change {
        Change::Acknowledge => IncidentChange {
            acknowledge: Some(true),
            ..none
        },
        Change::Resolve => IncidentChange {
            resolve: Some(true),
            ..none
        },
        Change::Mute { hours } => {
            let until = now.checked_add(SignedDuration::from_hours(i64::from(*hours)));
            IncidentChange {
                mute_until: Some(until.unwrap_or(Timestamp::MAX)),
                ..none
            }
        }
        // It changes nothing of how the incident stands.
        Change::Note { .. } => none,
    }
}

#[async_trait]
impl Incidents for Api {
    async fn change(&self, who: &Reader, incident: &str, what: &Change) -> Result<(), Problem> {
        if let Change::Note { text } = what {
            let note = NoteDraft { text: text.clone() };
            self.note_incident(who, incident, &note).await?;
            return Ok(());
        }
        let wish = change(what, (self.parts.now)());
        self.change_incident(who, incident, &wish).await?;
        Ok(())
    }
}

/// When somebody is told, for people.
const fn event_words(event: NoticeKind) -> &'static str {
    match event {
        NoticeKind::Opened => "opened",
        NoticeKind::Escalated => "grown worse",
        NoticeKind::StillOpen => "still open after a day",
        NoticeKind::Resolved => "resolved",
        NoticeKind::Finished => "partitions that were judged",
        NoticeKind::RunFailed => "runs that could not be evaluated",
        NoticeKind::NodeLost => "nodes that are lost",
        NoticeKind::DatasetStale => "datasets without a good run for too long",
        NoticeKind::Test => "tests",
    }
}

/// What somebody is told of, in words: of incidents, and of what is none.
fn filter(of: &notice::Subscription) -> String {
    let is_of_incidents = |event: &NoticeKind| {
        use NoticeKind::{Escalated, Opened, Resolved, StillOpen};
        matches!(event, Opened | Escalated | StillOpen | Resolved)
    };
    let (when, besides): (Vec<NoticeKind>, Vec<NoticeKind>) =
        of.events.iter().partition(|event| is_of_incidents(event));
    let listed = |events: &[NoticeKind]| {
        let words: Vec<&str> = events.iter().copied().map(event_words).collect();
        words.join(", ")
    };
    let mut words = Vec::new();
    if !when.is_empty() {
        let what = match of.operator {
            true => "incidents of what could not be evaluated".to_owned(),
            false => format!("incidents that are {} or graver", of.severity),
        };
        words.push(format!("{what}: {}", listed(&when)));
        for (what, of) in [("dimension", &of.dimensions), ("column", &of.columns)] {
            if !of.is_empty() {
                words.push(format!("only {what} {}", of.join(", ")));
            }
        }
    }
    if !besides.is_empty() {
        words.push(listed(&besides));
    }
    words.join("; ")
}

fn subscription(of: &notice::Subscription, newest: &[Delivery]) -> Subscription {
    let last = newest
        .iter()
        .find(|one| shown_as("sub", one.subscription) == of.id);
    Subscription {
        id: of.id.clone(),
        dataset: of.dataset.clone().unwrap_or_default(),
        tool: of.channel.to_string(),
        channel: of.target.clone(),
        filter: filter(of),
        declared: of.origin == SubscriptionOrigin::Definition,
        mine: of.mine,
        paused: of.paused_by.is_some(),
        last: last.map(|one| {
            let at = one.ended_at.unwrap_or(one.created_at);
            (at, one.state.to_string())
        }),
        dead: u64::from(of.dead),
    }
}

#[async_trait]
impl Subscriptions for Api {
    async fn list(&self, who: &Reader) -> Result<Vec<Subscription>, Problem> {
        let mut cut = Cut {
            limit: Some(LIST_MOST),
            cursor: None,
        };
        let mut found = Vec::new();
        loop {
            let part = self.subscription_list(who, None, false, &cut).await?.it;
            let ids: Vec<String> = part.items.iter().map(|one| one.id.clone()).collect();
            let newest = self.newest_deliveries(&ids).await?;
            found.extend(part.items.iter().map(|one| subscription(one, &newest)));
            if part.next_cursor.is_none() {
                return Ok(found);
            }
            cut.cursor = part.next_cursor;
        }
    }

    async fn messages(&self, who: &Reader, id: &str, limit: u32) -> Result<Vec<Message>, Problem> {
        let cut = Cut {
            limit: Some(limit),
            cursor: None,
        };
        let found = self.delivery_list(who, id, None, &cut).await?.it.items;
        let shown = found.into_iter().map(|one| Message {
            id: one.id,
            kind: one.kind.to_string(),
            words: one.message,
            state: one.state.to_string(),
            attempts: one.attempts,
            at: one.created_at,
            error: one.error,
        });
        Ok(shown.collect())
    }

    async fn again(&self, who: &Reader, id: &str, message: &str) -> Result<(), Problem> {
        self.send_again(who, id, message).await?;
        Ok(())
    }

    async fn test(&self, who: &Reader, id: &str) -> Result<String, Problem> {
        let sent = self.test_subscription(who, id).await?;
        Ok(sent.state.to_string())
    }
}

#[cfg(test)]
mod tests {
    use assay_model::metric::Metric;

    use super::*;

    #[test]
    fn every_saying_is_a_kind_and_back() {
        for of in Saying::ALL {
            assert_eq!(saying(kind(of)), of);
            assert_eq!(kind(of).as_str(), of.as_str());
        }
        assert_eq!(Saying::ALL.len(), FeedbackKind::ALL.len());
    }

    fn told_of(operator: bool, events: &[NoticeKind]) -> String {
        let of = serde_json::json!({
            "id": "sub_1", "dataset": null, "origin": "person", "channel": "webhook",
            "target": "hooks.example", "secret": null, "operator": operator,
            "severity": "warning", "dimensions": [], "columns": ["amount"], "events": events,
            "pausedBy": null, "createdBy": "ada", "createdAt": "2026-11-20T00:00:00Z",
            "removedAt": null, "pending": 0, "dead": 0, "trouble": null, "mine": true,
        });
        filter(&serde_json::from_value(of).unwrap())
    }

    #[test]
    fn what_somebody_is_told_of_is_said_whole() {
        use NoticeKind::{DatasetStale, Finished, NodeLost, Opened, Resolved};
        assert_eq!(
            told_of(false, &[Opened, Resolved, Finished]),
            "incidents that are warning or graver: opened, resolved; only column amount; \
             partitions that were judged"
        );
        assert_eq!(
            told_of(true, &[NodeLost, DatasetStale]),
            "nodes that are lost, datasets without a good run for too long"
        );
        assert!(told_of(true, &[Opened]).starts_with("incidents of what could not be evaluated"));
        for event in NoticeKind::ALL {
            assert!(told_of(true, &[*event]).contains(event_words(*event)));
        }
    }

    #[test]
    fn an_answer_is_shown_at_the_checks_that_it_is_about() {
        let sum = MetricKey::column(Metric::Sum, "amount");
        let of = MetricName::from(&sum);
        let other = MetricKey::column(Metric::Sum, "tax");
        assert!(is_about(&FeedbackScope::Dataset, &of));
        assert!(is_about(&FeedbackScope::Column("amount".to_owned()), &of));
        assert!(is_about(&FeedbackScope::Metric(sum), &of));
        assert!(!is_about(&FeedbackScope::Metric(other), &of));
        assert!(!is_about(&FeedbackScope::Column("tax".to_owned()), &of));
    }
}
