//! What people do, as calls to the leader: answers to the judge, incidents, who is told.
//!
//! Comes in: wishes, each with who has it. Goes out: what the leader says. It must never carry a wish
//! in the name of somebody who did not send it.

use std::time::Duration;

use assay_answers::Problem;
use assay_proto::limits::ANSWER_BYTES_MAX;
use assay_proto::v1;
use assay_proto::v1::feedback_service_client::FeedbackServiceClient;
use assay_proto::v1::notice_service_client::NoticeServiceClient;
use tonic::Request;
use tonic::transport::Channel;

use super::{Managers, Sort, call};

/// How long a call may take that judges the past over again.
const BACKTEST: Duration = Duration::from_secs(30);

fn patient<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(BACKTEST);
    request
}

fn feedback(channel: Channel) -> FeedbackServiceClient<Channel> {
    FeedbackServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}

fn notices(channel: Channel) -> NoticeServiceClient<Channel> {
    NoticeServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}

impl Managers {
    /// What an answer, or its withdrawal, would change; nothing is kept.
    ///
    /// # Errors
    /// [`Problem`]; so for the others.
    pub async fn preview_feedback(
        &self,
        wish: v1::PreviewFeedbackRequest,
    ) -> Result<v1::FeedbackResponse, Problem> {
        self.ask(Sort::Question, |channel| {
            let wish = wish.clone();
            async move { feedback(channel).preview(patient(wish)).await }
        })
        .await
    }

    /// Keeps an answer. The id is the caller's: a repeat is the same answer.
    pub async fn keep_feedback(
        &self,
        wish: v1::KeepFeedbackRequest,
    ) -> Result<v1::FeedbackResponse, Problem> {
        self.ask(Sort::Harmless, |channel| {
            let wish = wish.clone();
            async move { feedback(channel).keep(patient(wish)).await }
        })
        .await
    }

    /// Withdraws an answer; one that was withdrawn stays as it was.
    pub async fn withdraw_feedback(
        &self,
        wish: v1::WithdrawFeedbackRequest,
    ) -> Result<v1::FeedbackResponse, Problem> {
        self.ask(Sort::Harmless, |channel| {
            let wish = wish.clone();
            async move { feedback(channel).withdraw(patient(wish)).await }
        })
        .await
    }

    /// Acknowledges, mutes, resolves or assigns an incident, or notes something about it; a repeat leaves it as it is.
    pub async fn change_incident(
        &self,
        wish: v1::ChangeCauseRequest,
    ) -> Result<v1::Cause, Problem> {
        let answer = self.ask(Sort::Harmless, |channel| {
            let wish = wish.clone();
            async move { notices(channel).change_cause(call(wish)).await }
        });
        Ok(answer.await?.cause.unwrap_or_default())
    }

    /// Who is told: those that definitions make are among them.
    pub async fn subscriptions(
        &self,
        wish: v1::ListSubscriptionsRequest,
    ) -> Result<Vec<v1::Subscription>, Problem> {
        let answer = self.ask(Sort::Question, |channel| {
            let wish = wish.clone();
            async move { notices(channel).list_subscriptions(patient(wish)).await }
        });
        Ok(answer.await?.subscriptions)
    }

    /// Tells somebody more; under an id of the caller's, a repeat is the same subscription.
    pub async fn subscribe(
        &self,
        wish: v1::AddSubscriptionRequest,
    ) -> Result<v1::Subscription, Problem> {
        let chosen = wish.subscription.as_ref().is_some_and(|s| !s.id.is_empty());
        // Without one, a repeat would tell them twice.
        let sort = if chosen {
            Sort::Harmless
        } else {
            Sort::Harmful
        };
        let answer = self.ask(sort, |channel| {
            let wish = wish.clone();
            async move { notices(channel).add_subscription(call(wish)).await }
        });
        Ok(answer.await?.subscription.unwrap_or_default())
    }

    /// Pauses, resumes or removes a subscription.
    pub async fn change_subscription(
        &self,
        wish: v1::ChangeSubscriptionRequest,
    ) -> Result<v1::Subscription, Problem> {
        let answer = self.ask(Sort::Harmless, |channel| {
            let wish = wish.clone();
            async move { notices(channel).change_subscription(call(wish)).await }
        });
        Ok(answer.await?.subscription.unwrap_or_default())
    }

    /// Sends a message that only shows that messages come; gives its id.
    pub async fn test_subscription(
        &self,
        wish: v1::TestSubscriptionRequest,
    ) -> Result<String, Problem> {
        let answer = self.ask(Sort::Harmful, |channel| {
            let wish = wish.clone();
            async move { notices(channel).test_subscription(call(wish)).await }
        });
        Ok(answer.await?.delivery)
    }

    /// Sends a message that was given up again.
    pub async fn send_again(&self, wish: v1::SendAgainRequest) -> Result<(), Problem> {
        let answer = self.ask(Sort::Harmful, |channel| {
            let wish = wish.clone();
            async move { notices(channel).send_again(call(wish)).await }
        });
        answer.await.map(|_| ())
    }
}
