//! What people do, as calls to the manager: in the name of the user of this machine.

use assay_proto::v1;
use assay_proto::v1::change_cause_request::Wish;
use async_trait::async_trait;
use tonic::{Response, Status};

use super::super::Client;
use super::super::port::{Answer, Answers, Notices};
use super::{told, unfit};

/// Who types this, as the machine knows them.
fn user() -> String {
    let named = ["ASSAY_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    named.unwrap_or_else(|| "somebody without a name".to_owned())
}

/// What became of a wish.
fn done<T>(answer: Result<Response<T>, Status>) -> Answer<T> {
    let answer = answer.map(Response::into_inner);
    answer.map_err(|status| unfit(&status))
}

#[async_trait]
impl Notices for Client {
    async fn causes(&self, which: v1::ListCausesRequest) -> Answer<Vec<v1::Cause>> {
        let asked = self.call(which);
        Ok(told(self.notices().list_causes(asked).await)?.causes)
    }

    async fn cause(&self, id: &str) -> Answer<v1::GetCauseResponse> {
        let asked = self.call(v1::GetCauseRequest { id: id.to_owned() });
        told(self.notices().get_cause(asked).await)
    }

    async fn change_cause(&self, id: &str, wish: Wish) -> Answer<v1::Cause> {
        let asked = self.call(v1::ChangeCauseRequest {
            id: id.to_owned(),
            by: user(),
            wish: Some(wish),
        });
        let changed = done(self.notices().change_cause(asked).await)?;
        Ok(changed.cause.unwrap_or_default())
    }

    async fn subscriptions(
        &self,
        which: v1::ListSubscriptionsRequest,
    ) -> Answer<Vec<v1::Subscription>> {
        let asked = self.call(which);
        Ok(told(self.notices().list_subscriptions(asked).await)?.subscriptions)
    }

    async fn subscribe(&self, wanted: v1::Subscription) -> Answer<v1::Subscription> {
        let asked = self.call(v1::AddSubscriptionRequest {
            subscription: Some(wanted),
            by: user(),
        });
        let made = done(self.notices().add_subscription(asked).await)?;
        Ok(made.subscription.unwrap_or_default())
    }

    async fn turn(&self, subscription: &str, verb: &str) -> Answer<v1::Subscription> {
        let asked = self.call(v1::ChangeSubscriptionRequest {
            id: subscription.to_owned(),
            verb: verb.to_owned(),
            by: user(),
        });
        let turned = done(self.notices().change_subscription(asked).await)?;
        Ok(turned.subscription.unwrap_or_default())
    }

    async fn test(&self, subscription: &str) -> Answer<String> {
        let asked = self.call(v1::TestSubscriptionRequest {
            id: subscription.to_owned(),
            by: user(),
        });
        Ok(done(self.notices().test_subscription(asked).await)?.delivery)
    }

    async fn deliveries(&self, which: v1::ListDeliveriesRequest) -> Answer<Vec<v1::Delivery>> {
        let asked = self.call(which);
        Ok(told(self.notices().list_deliveries(asked).await)?.deliveries)
    }

    async fn send_again(&self, delivery: &str) -> Answer<()> {
        let asked = self.call(v1::SendAgainRequest {
            id: delivery.to_owned(),
            by: user(),
        });
        done(self.notices().send_again(asked).await).map(|_| ())
    }
}

#[async_trait]
impl Answers for Client {
    fn who(&self, said: Option<&str>) -> Answer<String> {
        Ok(said.map_or_else(user, str::to_owned))
    }

    async fn preview(&self, asked: v1::PreviewFeedbackRequest) -> Answer<v1::FeedbackResponse> {
        let asked = self.call(asked);
        told(self.feedback().preview(asked).await)
    }

    async fn keep(&self, wish: v1::KeepFeedbackRequest) -> Answer<v1::FeedbackResponse> {
        let wish = self.call(wish);
        done(self.feedback().keep(wish).await)
    }

    async fn answers(&self, which: v1::ListFeedbackRequest) -> Answer<v1::ListFeedbackResponse> {
        let asked = self.call(which);
        told(self.feedback().list(asked).await)
    }

    async fn withdraw(&self, wish: v1::WithdrawFeedbackRequest) -> Answer<v1::FeedbackResponse> {
        let wish = self.call(wish);
        done(self.feedback().withdraw(wish).await)
    }
}
