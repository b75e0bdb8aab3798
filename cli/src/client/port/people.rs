//! What people do: they are told of incidents, and answer the judge back.
//!
//! Comes in: questions and wishes as the wire contract words them, without who has them. Goes out:
//! answers in the same words. Whoever carries a wish says whose it is: it must never be somebody whom
//! the other end knows by another name.

use assay_proto::v1;
use assay_proto::v1::change_cause_request::Wish;
use async_trait::async_trait;

use super::Answer;

/// Incidents by their cause, who is told of them, and the messages that tell them.
#[async_trait]
pub trait Notices: Send + Sync {
    /// Incidents, open ones first.
    async fn causes(&self, which: v1::ListCausesRequest) -> Answer<Vec<v1::Cause>>;

    /// One, with what happened to it and its broken checks.
    async fn cause(&self, id: &str) -> Answer<v1::GetCauseResponse>;

    /// Changes one, or notes something about it; it is told as it stands then.
    async fn change_cause(&self, id: &str, wish: Wish) -> Answer<v1::Cause>;

    /// Who is told.
    async fn subscriptions(
        &self,
        which: v1::ListSubscriptionsRequest,
    ) -> Answer<Vec<v1::Subscription>>;

    /// Tells somebody more.
    async fn subscribe(&self, wanted: v1::Subscription) -> Answer<v1::Subscription>;

    /// Pauses, resumes or removes a subscription, by this verb.
    async fn turn(&self, subscription: &str, verb: &str) -> Answer<v1::Subscription>;

    /// Sends a message that only shows that messages come; gives its id.
    async fn test(&self, subscription: &str) -> Answer<String>;

    /// Messages, newest first.
    async fn deliveries(&self, which: v1::ListDeliveriesRequest) -> Answer<Vec<v1::Delivery>>;

    /// Sends a message that has ended again.
    async fn send_again(&self, delivery: &str) -> Answer<()>;
}

/// What people answer back to the judge.
#[async_trait]
pub trait Answers: Send + Sync {
    /// Who answers, where `said` is who was typed; empty where the other end alone knows it.
    ///
    /// # Errors
    /// When nobody can be named for whoever answers.
    fn who(&self, said: Option<&str>) -> Answer<String>;

    /// What an answer, or its withdrawal, would change; nothing is kept.
    async fn preview(&self, asked: v1::PreviewFeedbackRequest) -> Answer<v1::FeedbackResponse>;

    /// Keeps an answer. A repeat with the same id is the same answer.
    async fn keep(&self, wish: v1::KeepFeedbackRequest) -> Answer<v1::FeedbackResponse>;

    /// The answers of a dataset: those in force first, then the newest.
    async fn answers(&self, which: v1::ListFeedbackRequest) -> Answer<v1::ListFeedbackResponse>;

    /// Withdraws an answer, which stays on record.
    async fn withdraw(&self, wish: v1::WithdrawFeedbackRequest) -> Answer<v1::FeedbackResponse>;
}
