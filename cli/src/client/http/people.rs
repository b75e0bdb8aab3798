//! What people do, as requests of the HTTP API: in the name of whose the token is.

use assay_answers::feedback::{FeedbackTold, WithdrawFeedback, WithdrawalPreview};
use assay_answers::incident::{IncidentChange, NoteDraft};
use assay_proto::convert;
use assay_proto::v1;
use assay_proto::v1::change_cause_request::Wish;
use assay_proto::v1::preview_feedback_request::What;
use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::port::{Answer, Answers, Notices, Why};
use super::asks::ALL;
use super::call::{Ask, KEY, Repeat};
use super::problem::{broken, unreadable};
use super::{Http, words};

/// How many items are asked for, as a manager takes it: `usual` where none are named, never more
/// than `most`.
fn bound(asked: u32, usual: u32, most: u32) -> usize {
    let asked = match asked {
        0 => usual,
        asked => asked.min(most),
    };
    asked as usize
}

/// A text, where there is one.
fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// What is sent of a draft: words as they were typed, for the gateway to refuse.
fn drafted(draft: &v1::FeedbackDraft, last: u32) -> Value {
    json!({
        "kind": draft.kind,
        "metric": some(&draft.metric),
        "column": some(&draft.column),
        "from": draft.from,
        "to": some(&draft.to),
        "reason": draft.reason,
        "last": last,
    })
}

/// What is sent to tell somebody more: words as they were typed, and never who it is.
fn wanted(of: &v1::Subscription) -> Value {
    json!({
        "channel": of.channel,
        "target": of.target,
        "dataset": some(&of.dataset),
        "secret": some(&of.secret),
        "operator": of.operator,
        "severity": some(&of.severity),
        "dimensions": of.dimensions,
        "columns": of.columns,
        "events": of.events,
    })
}

impl Http {
    async fn message(&self, delivery: &str) -> Answer<v1::Delivery> {
        let told: Value = self.ask(&Ask::get(&["deliveries", delivery])).await?;
        self.read(words::people::delivery(told))
    }

    async fn answered(&self, ask: &Ask<'_>) -> Answer<v1::FeedbackResponse> {
        let told: FeedbackTold = self.ask(ask).await?;
        self.read(words::people::told(told))
    }
}

#[async_trait]
impl Notices for Http {
    async fn causes(&self, which: v1::ListCausesRequest) -> Answer<Vec<v1::Cause>> {
        let mut query = Vec::new();
        if !which.dataset.is_empty() {
            query.push(("dataset", which.dataset));
        }
        if which.only_open {
            query.push(("status", "active".to_owned()));
        }
        let most = bound(which.limit, 100, 1000);
        let listed = self.list(&["incidents"], query, most).await?;
        self.each(listed, words::people::cause)
    }

    async fn cause(&self, id: &str) -> Answer<v1::GetCauseResponse> {
        let told: Value = self.ask(&Ask::get(&["incidents", id])).await?;
        self.read(words::people::detail(told))
    }

    async fn change_cause(&self, id: &str, wish: Wish) -> Answer<v1::Cause> {
        // What is as it is wished already stays so, and a note that is noted again is one.
        let again = Repeat::Harmless;
        let (one, notes) = (["incidents", id], ["incidents", id, "notes"]);
        let no = IncidentChange::default();
        let change = match wish {
            Wish::Note(text) => {
                let ask = Ask::post(&notes, &NoteDraft { text }, again);
                return self.read(words::people::cause(self.ask(&ask).await?));
            }
            Wish::Acknowledge(yes) => IncidentChange {
                acknowledge: Some(yes),
                ..no
            },
            Wish::MuteUntil(until) => {
                let until = convert::time("mute_until", Some(until));
                let until = until.map_err(|error| broken(self, &error.to_string()))?;
                IncidentChange {
                    mute_until: Some(until),
                    ..no
                }
            }
            Wish::Unmute(yes) => IncidentChange {
                unmute: Some(yes),
                ..no
            },
            Wish::Resolve(yes) => IncidentChange {
                resolve: Some(yes),
                ..no
            },
            Wish::Assign(who) => IncidentChange {
                assign: Some(who),
                ..no
            },
        };
        let mut ask = Ask::post(&one, &change, again);
        ask.method = Method::PATCH;
        self.read(words::people::cause(self.ask(&ask).await?))
    }

    async fn subscriptions(
        &self,
        which: v1::ListSubscriptionsRequest,
    ) -> Answer<Vec<v1::Subscription>> {
        let mut query = Vec::new();
        if !which.dataset.is_empty() {
            query.push(("dataset", which.dataset));
        }
        if which.with_removed {
            query.push(("removed", "true".to_owned()));
        }
        let listed = self.list(&["subscriptions"], query, ALL).await?;
        self.each(listed, words::people::subscription)
    }

    async fn subscribe(&self, of: v1::Subscription) -> Answer<v1::Subscription> {
        // Under one key it is one subscription, at every gateway.
        let ask = Ask::post(&["subscriptions"], &wanted(&of), Repeat::Harmless);
        let told: Value = self.ask(&ask).await?;
        self.read(words::people::subscription(told))
    }

    async fn turn(&self, subscription: &str, verb: &str) -> Answer<v1::Subscription> {
        let told: Value = match verb {
            "remove" => {
                let path = ["subscriptions", subscription];
                let mut ask = Ask::get(&path);
                // One that was removed is not there: a repeat would say that it never was.
                (ask.method, ask.repeat) = (Method::DELETE, Repeat::Harmful);
                self.ask(&ask).await?
            }
            verb => {
                let named = format!("{subscription}:{verb}");
                let path = ["subscriptions", named.as_str()];
                self.ask(&Ask::post(&path, &json!({}), Repeat::Harmless))
                    .await?
            }
        };
        self.read(words::people::subscription(told))
    }

    async fn test(&self, subscription: &str) -> Answer<String> {
        let named = format!("{subscription}:test");
        let path = ["subscriptions", named.as_str()];
        // At another gateway a repeat would be another message.
        let ask = Ask::post(&path, &json!({}), Repeat::Harmful);
        let told: Value = self.ask(&ask).await?;
        Ok(self.read(words::people::delivery(told))?.id)
    }

    async fn deliveries(&self, which: v1::ListDeliveriesRequest) -> Answer<Vec<v1::Delivery>> {
        let mut query = Vec::new();
        if !which.state.is_empty() {
            query.push(("state", which.state));
        }
        let most = bound(which.limit, 100, 1000);
        let to = ["subscriptions", which.subscription.as_str(), "deliveries"];
        let path: &[&str] = match which.subscription.as_str() {
            "" => &["deliveries"],
            _ => &to,
        };
        if which.id.is_empty() {
            let listed = self.list(path, query, most).await?;
            return self.each(listed, words::people::delivery);
        }
        match self.message(&which.id).await {
            Ok(one) => Ok(vec![one]),
            Err(refusal) if refusal.why == Why::NotFound => Ok(Vec::new()),
            Err(refusal) => Err(refusal),
        }
    }

    async fn send_again(&self, delivery: &str) -> Answer<()> {
        let to = self.message(delivery).await?.subscription;
        let named = format!("{delivery}:again");
        let path = ["subscriptions", to.as_str(), "deliveries", named.as_str()];
        let ask = Ask::post(&path, &json!({}), Repeat::Harmful);
        self.told(&ask).await.map(|_| ())
    }
}

#[async_trait]
impl Answers for Http {
    fn who(&self, said: Option<&str>) -> Answer<String> {
        match said {
            // What was typed must not be believed to have counted.
            Some(_) => Err(broken(
                self,
                "an answer is kept in the name of the token that is shown, so --by says nothing\n  \
                 leave it out; who you are there: assay doctor",
            )),
            None => Ok(String::new()),
        }
    }

    async fn preview(&self, asked: v1::PreviewFeedbackRequest) -> Answer<v1::FeedbackResponse> {
        let (last, again) = (asked.last, Repeat::Harmless);
        match asked.what {
            Some(What::Draft(draft)) => {
                let path = ["datasets", draft.dataset.as_str(), "feedback:preview"];
                let ask = Ask::post(&path, &drafted(&draft, last), again);
                self.answered(&ask).await
            }
            Some(What::Withdrawal(of)) => {
                let named = format!("{}:preview", of.id);
                let path = ["datasets", of.dataset.as_str(), "feedback", named.as_str()];
                let last = Some(last);
                let ask = Ask::post(&path, &WithdrawalPreview { last }, again);
                self.answered(&ask).await
            }
            None => Err(unreadable(self, "a preview is of something")),
        }
    }

    async fn keep(&self, wish: v1::KeepFeedbackRequest) -> Answer<v1::FeedbackResponse> {
        let draft = wish.draft.unwrap_or_default();
        let path = ["datasets", draft.dataset.as_str(), "feedback"];
        // Under one key it is one answer, at every gateway.
        let ask = Ask::post(&path, &drafted(&draft, wish.last), Repeat::Harmless);
        self.answered(&ask.header(KEY, wish.id)).await
    }

    async fn answers(&self, which: v1::ListFeedbackRequest) -> Answer<v1::ListFeedbackResponse> {
        let path = ["datasets", which.dataset.as_str(), "feedback"];
        let most = bound(which.limit, 100, 10_000);
        // One more tells whether there are more.
        let mut listed = self.list(&path, Vec::new(), most + 1).await?;
        let more = listed.len() > most;
        listed.truncate(most);
        Ok(v1::ListFeedbackResponse {
            feedback: self.each(listed, words::people::feedback)?,
            more,
        })
    }

    async fn withdraw(&self, wish: v1::WithdrawFeedbackRequest) -> Answer<v1::FeedbackResponse> {
        let named = format!("{}:withdraw", wish.id);
        let path = [
            "datasets",
            wish.dataset.as_str(),
            "feedback",
            named.as_str(),
        ];
        let how = WithdrawFeedback {
            reason: wish.reason,
            last: Some(wish.last),
        };
        // One that was withdrawn stays as it was.
        let ask = Ask::post(&path, &how, Repeat::Harmless);
        self.answered(&ask).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_names_nobody() {
        let of = v1::Subscription {
            channel: "slack".to_owned(),
            target: "#orders".to_owned(),
            created_by: "ada".to_owned(),
            ..Default::default()
        };
        let draft = v1::FeedbackDraft {
            kind: "mark_as_normal".to_owned(),
            from: "2026-01-01".to_owned(),
            by: "ada".to_owned(),
            ..Default::default()
        };
        for sent in [wanted(&of), drafted(&draft, 7)] {
            assert!(!sent.to_string().contains("ada"), "{sent}");
        }
    }

    #[test]
    fn as_many_are_asked_for_as_a_manager_gives() {
        for (asked, given) in [(0, 100), (1, 1), (1000, 1000), (9999, 1000)] {
            assert_eq!(bound(asked, 100, 1000), given);
        }
    }
}
