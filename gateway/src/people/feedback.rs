//! Answers to the judge: looked at, kept, listed, withdrawn.
//!
//! Comes in: who answers what. Goes out: the answers as they are kept, each with its backtest. It must
//! never keep an answer in another's name, or two under one key of one sender.

use std::sync::Arc;

use assay_answers::facts::{Answer, Cut};
use assay_answers::feedback::{
    Backtest, Feedback, FeedbackDraft, FeedbackTold, WithdrawFeedback, WithdrawalPreview,
};
use assay_answers::{List, Problem, Reader, Told};
use assay_model::feedback::FeedbackId;
use assay_model::ids::DatasetId;
use assay_proto::convert;
use assay_proto::v1;
use assay_proto::v1::preview_feedback_request::What;
use assay_store::feedback::READ_MAX;
use uuid::Uuid;

use super::unreadable;
use crate::api::Api;
use crate::memory::{Found, Good, Key, Source};
use crate::problem::{FORBIDDEN, KEY_REUSED, Miss, no};
use crate::reads::{BRIEF, Known, page};
use crate::rights::Action;

/// The names of answers that are kept under a key.
const NAMES: Uuid = Uuid::from_u128(0x6f1d_9c0e_52a4_4b7e_9d3b_77c1_08e2_a5f4);

/// The id of the answer that `who` keeps under `key`: the same at every gateway.
fn id_of(who: &Reader, dataset: &DatasetId, key: &str) -> FeedbackId {
    if key.is_empty() {
        return FeedbackId(Uuid::now_v7());
    }
    let name = format!("{}\u{0}{dataset}\u{0}{key}", who.id);
    FeedbackId(Uuid::new_v5(&NAMES, name.as_bytes()))
}

/// The draft for the wire, in the name of who asks.
fn wire(who: &Reader, dataset: &DatasetId, draft: &FeedbackDraft) -> v1::FeedbackDraft {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    v1::FeedbackDraft {
        dataset: dataset.to_string(),
        kind: draft.kind.to_string(),
        metric: text(&draft.metric),
        column: text(&draft.column),
        from: draft.from.clone(),
        to: text(&draft.to),
        reason: draft.reason.clone(),
        by: who.id.clone(),
    }
}

/// What the leader says, in the API's words.
fn told(response: v1::FeedbackResponse, kept: bool) -> Result<FeedbackTold, Problem> {
    let wrong = |error: convert::WireError| unreadable(&error);
    let feedback = convert::feedback(response.feedback).map_err(wrong)?;
    let backtest = convert::backtest(response.backtest).map_err(wrong)?;
    Ok(FeedbackTold {
        feedback: Feedback::from(&feedback),
        backtest: Backtest::from(&backtest),
        kept,
    })
}

impl Api {
    /// The dataset, if `who` may answer for it: one that they do not see is answered as none.
    async fn answerable(&self, who: &Reader, dataset: &str) -> Result<Known, Problem> {
        let known = self.permitted(who, Action::Read, dataset).await?;
        if self.may(who, Action::Define, &known.dataset) {
            return Ok(known);
        }
        Err(FORBIDDEN.because("you may read this dataset, and not answer back for it"))
    }

    /// What an answer would change; nothing is kept.
    pub(crate) async fn preview_feedback(
        &self,
        who: &Reader,
        dataset: &str,
        draft: &FeedbackDraft,
    ) -> Result<FeedbackTold, Problem> {
        let known = self.answerable(who, dataset).await?;
        let mut wire = wire(who, &known.dataset.id, draft);
        if wire.reason.trim().is_empty() {
            // A look needs no reason.
            "a look".clone_into(&mut wire.reason);
        }
        let wish = v1::PreviewFeedbackRequest {
            what: Some(What::Draft(wire)),
            last: draft.last.unwrap_or(0),
        };
        told(self.parts.managers.preview_feedback(wish).await?, false)
    }

    /// Keeps an answer; repeats under one `key` are one answer.
    pub(crate) async fn keep_feedback(
        &self,
        who: &Reader,
        dataset: &str,
        draft: &FeedbackDraft,
        key: &str,
    ) -> Result<FeedbackTold, Problem> {
        let known = self.answerable(who, dataset).await?;
        let id = &known.dataset.id;
        let wish = v1::KeepFeedbackRequest {
            id: id_of(who, id, key).to_string(),
            draft: Some(wire(who, id, draft)),
            last: draft.last.unwrap_or(0),
        };
        let answered = self.parts.managers.keep_feedback(wish).await;
        // Also where it is not known whether it was kept.
        self.memory.told(id);
        let told = told(answered?, true)?;
        if told.feedback.reason.trim() != draft.reason.trim() {
            // The store tells answers under one id apart by what they are about alone.
            let what = format!(
                "this key has kept {} for another reason; take a new one",
                told.feedback.id
            );
            return Err(KEY_REUSED.because(what));
        }
        Ok(told)
    }

    /// Withdraws an answer, which stays on record.
    pub(crate) async fn withdraw_feedback(
        &self,
        who: &Reader,
        dataset: &str,
        feedback: &str,
        how: &WithdrawFeedback,
    ) -> Result<FeedbackTold, Problem> {
        let known = self.answerable(who, dataset).await?;
        let named: Result<FeedbackId, _> = feedback.parse();
        let feedback = named.map_err(|_| no("feedback", feedback))?;
        let id = &known.dataset.id;
        let wish = v1::WithdrawFeedbackRequest {
            dataset: id.to_string(),
            id: feedback.to_string(),
            reason: how.reason.clone(),
            by: who.id.clone(),
            last: how.last.unwrap_or(0),
        };
        let answered = self.parts.managers.withdraw_feedback(wish).await;
        self.memory.told(id);
        told(answered?, true)
    }

    /// What the withdrawal of an answer would change; nothing is withdrawn.
    pub(crate) async fn preview_withdrawal(
        &self,
        who: &Reader,
        dataset: &str,
        feedback: &str,
        how: &WithdrawalPreview,
    ) -> Result<FeedbackTold, Problem> {
        let known = self.answerable(who, dataset).await?;
        let named: Result<FeedbackId, _> = feedback.parse();
        let feedback = named.map_err(|_| no("feedback", feedback))?;
        let wish = v1::PreviewFeedbackRequest {
            what: Some(What::Withdrawal(v1::WithdrawFeedbackRequest {
                dataset: known.dataset.id.to_string(),
                id: feedback.to_string(),
                by: who.id.clone(),
                ..Default::default()
            })),
            last: how.last.unwrap_or(0),
        };
        told(self.parts.managers.preview_feedback(wish).await?, false)
    }

    async fn all_feedback(&self, id: &DatasetId) -> Result<Found<Vec<Feedback>>, Problem> {
        let store = Arc::clone(&self.parts.store);
        let dataset = id.clone();
        let load = async move {
            let found = store.feedback(&dataset, READ_MAX).await?;
            Ok::<_, Miss>(found.iter().map(Feedback::from).collect())
        };
        let weight = |found: &Vec<Feedback>| found.len() * 800;
        let key = Key::of(id, "feedback");
        self.memory
            .value(Source::Store, key, Good::For(BRIEF), weight, load)
            .await
    }

    /// The answers of a dataset: those in force first, then the newest.
    pub(crate) async fn feedback_list(
        &self,
        who: &Reader,
        dataset: &str,
        cut: &Cut,
    ) -> Answer<List<Feedback>> {
        let known = self.permitted(who, Action::Read, dataset).await?;
        let found = self.all_feedback(&known.dataset.id).await?;
        let items = found.it.as_ref().clone();
        Ok(Told {
            it: page(items, cut, |answer| answer.id.clone())?,
            as_of: found.as_of,
            stale_s: found.stale_s,
        })
    }

    /// One answer.
    pub(crate) async fn feedback_of(
        &self,
        who: &Reader,
        dataset: &str,
        feedback: &str,
    ) -> Answer<Feedback> {
        let known = self.permitted(who, Action::Read, dataset).await?;
        let all = self.all_feedback(&known.dataset.id).await?;
        let found = all.it.iter().find(|answer| answer.id == feedback);
        let found = found.ok_or_else(|| no("feedback", feedback))?;
        Ok(Told {
            it: found.clone(),
            as_of: all.as_of,
            stale_s: all.stale_s,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_one_answer_of_one_sender_and_dataset() {
        let ada = Reader::of_this_machine();
        let bob = Reader {
            id: "bob".to_owned(),
            ..ada.clone()
        };
        let dataset = |id: &str| DatasetId::new(id).unwrap();
        let first = id_of(&ada, &dataset("orders"), "monday");
        assert_eq!(id_of(&ada, &dataset("orders"), "monday"), first);
        for other in [
            id_of(&ada, &dataset("orders"), "tuesday"),
            id_of(&ada, &dataset("refunds"), "monday"),
            id_of(&bob, &dataset("orders"), "monday"),
            id_of(&ada, &dataset("orders"), ""),
        ] {
            assert_ne!(other, first);
        }
    }
}
