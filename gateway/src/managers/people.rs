//! What people do, as calls to the leader: answers to the judge.
//!
//! Comes in: wishes, each with who has it. Goes out: what the leader says. It must never carry a wish
//! in the name of somebody who did not send it.

use std::time::Duration;

use assay_answers::Problem;
use assay_proto::limits::ANSWER_BYTES_MAX;
use assay_proto::v1;
use assay_proto::v1::feedback_service_client::FeedbackServiceClient;
use tonic::Request;
use tonic::transport::Channel;

use super::Managers;

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

impl Managers {
    /// What an answer, or its withdrawal, would change; nothing is kept.
    ///
    /// # Errors
    /// [`Problem`]; so for the others.
    pub async fn preview_feedback(
        &self,
        wish: v1::PreviewFeedbackRequest,
    ) -> Result<v1::FeedbackResponse, Problem> {
        self.ask(true, |channel| {
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
        self.ask(true, |channel| {
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
        self.ask(true, |channel| {
            let wish = wish.clone();
            async move { feedback(channel).withdraw(patient(wish)).await }
        })
        .await
    }
}
