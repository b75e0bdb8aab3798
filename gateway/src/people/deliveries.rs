//! The messages that tell people.
//!
//! Comes in: who asks, and for which. Goes out: messages as the store has them. It must never show an
//! address that may hold a secret, or a message to somebody of whom who asks may not know.

use std::collections::HashMap;
use std::slice;

use assay_answers::facts::{Answer, Cut};
use assay_answers::notice::{Delivery, without};
use assay_answers::{List, Problem, Reader, Told};
use assay_model::notice::{self, DeliveryState, id_in};
use assay_proto::v1;
use assay_store::notices::DeliveryFilter;
use uuid::Uuid;

use super::away;
use crate::api::Api;
use crate::problem::{UNCONFIRMED, no};
use crate::reads::{page, word};

/// Messages of one list that are read.
const MOST: u32 = 1000;

/// A message, fit to be shown.
fn message(of: &notice::Delivery, to: &notice::Subscription) -> Delivery {
    let mut shown = Delivery::from(of);
    let error = shown.error.as_deref();
    shown.error = error.map(|error| without(error, to.channel, &to.target));
    shown
}

/// What is answered once the leader has taken a message: where it cannot be read back, nobody may take
/// that for «nothing was done», and send it once more.
fn taken(to: &str, delivery: &str, read: Result<Delivery, Problem>) -> Result<Delivery, Problem> {
    read.map_err(|problem| {
        let what = format!(
            "{delivery} was taken to be sent, and how it stands cannot be read ({}); do not send it \
             again, look at /api/v1/subscriptions/{to}/deliveries/{delivery}",
            problem.detail
        );
        Problem {
            // A repeat would be another message.
            retry_after_ms: None,
            ..UNCONFIRMED.because(what)
        }
    })
}

impl Api {
    /// Sends a message that only shows that messages come.
    pub(crate) async fn test_subscription(
        &self,
        who: &Reader,
        id: &str,
    ) -> Result<Delivery, Problem> {
        let to = self.turned(who, id).await?;
        let wish = v1::TestSubscriptionRequest {
            id: to.shown(),
            by: who.id.clone(),
        };
        let sent = self.parts.managers.test_subscription(wish).await;
        // Messages are counted with their subscriptions.
        self.resubscribes();
        let sent = sent?;
        taken(&to.shown(), &sent, self.delivery_to(&to, &sent).await)
    }

    /// A message to a subscription that may be seen.
    async fn delivery_to(
        &self,
        to: &notice::Subscription,
        delivery: &str,
    ) -> Result<Delivery, Problem> {
        let none = || no("delivery", delivery);
        let filter = DeliveryFilter {
            id: Some(id_in("dlv", delivery).map_err(|_| none())?),
            limit: 1,
            ..DeliveryFilter::default()
        };
        let found = self.deliveries_to(slice::from_ref(to), filter).await?.pop();
        found.ok_or_else(none)
    }

    /// The messages to a subscription, newest first.
    pub(crate) async fn delivery_list(
        &self,
        who: &Reader,
        id: &str,
        state: Option<&str>,
        cut: &Cut,
    ) -> Answer<List<Delivery>> {
        let to = self.seen(who, id).await?;
        let filter = DeliveryFilter {
            state: word::<DeliveryState>("state", state)?,
            limit: MOST,
            ..DeliveryFilter::default()
        };
        let items = self.deliveries_to(slice::from_ref(&to), filter).await?;
        let now = (self.parts.now)();
        Ok(Told::fresh(page(items, cut, |one| one.id.clone())?, now))
    }

    /// One message.
    pub(crate) async fn delivery_of(
        &self,
        who: &Reader,
        id: &str,
        delivery: &str,
    ) -> Answer<Delivery> {
        let to = self.seen(who, id).await?;
        let found = self.delivery_to(&to, delivery).await?;
        Ok(Told::fresh(found, (self.parts.now)()))
    }

    /// Sends a message that was given up again.
    pub(crate) async fn send_again(
        &self,
        who: &Reader,
        id: &str,
        delivery: &str,
    ) -> Result<Delivery, Problem> {
        let to = self.turned(who, id).await?;
        let found = self.delivery_to(&to, delivery).await?;
        let wish = v1::SendAgainRequest {
            id: found.id.clone(),
            by: who.id.clone(),
        };
        let sent = self.parts.managers.send_again(wish).await;
        self.resubscribes();
        sent?;
        taken(
            &to.shown(),
            &found.id,
            self.delivery_to(&to, &found.id).await,
        )
    }

    /// The messages to all subscriptions that `who` may see, removed ones among them, newest first.
    pub(crate) async fn all_deliveries(
        &self,
        who: &Reader,
        state: Option<&str>,
        cut: &Cut,
    ) -> Answer<List<Delivery>> {
        let seen = self.all_seen(who).await?;
        let filter = DeliveryFilter {
            state: word::<DeliveryState>("state", state)?,
            limit: MOST,
            ..DeliveryFilter::default()
        };
        let items = self.deliveries_to(&seen, filter).await?;
        let now = (self.parts.now)();
        Ok(Told::fresh(page(items, cut, |one| one.id.clone())?, now))
    }

    /// One message, whichever subscription that may be seen it is to.
    pub(crate) async fn any_delivery(&self, who: &Reader, delivery: &str) -> Answer<Delivery> {
        let none = || no("delivery", delivery);
        let filter = DeliveryFilter {
            id: Some(id_in("dlv", delivery).map_err(|_| none())?),
            limit: 1,
            ..DeliveryFilter::default()
        };
        let seen = self.all_seen(who).await?;
        let found = self.deliveries_to(&seen, filter).await?.pop();
        Ok(Told::fresh(found.ok_or_else(none)?, (self.parts.now)()))
    }

    /// The messages to these subscriptions alone.
    async fn deliveries_to(
        &self,
        to: &[notice::Subscription],
        filter: DeliveryFilter,
    ) -> Result<Vec<Delivery>, Problem> {
        let filter = DeliveryFilter {
            to: Some(to.iter().map(|one| one.id).collect()),
            ..filter
        };
        let found = self.parts.notices.deliveries(&filter).await.map_err(away)?;
        let to: HashMap<Uuid, &notice::Subscription> = to.iter().map(|one| (one.id, one)).collect();
        let shown = |one: &notice::Delivery| Some(message(one, to.get(&one.subscription)?));
        Ok(found.iter().filter_map(shown).collect())
    }

    /// The newest message to each of `ids`, which may be seen.
    pub(crate) async fn newest_deliveries(
        &self,
        ids: &[String],
    ) -> Result<Vec<notice::Delivery>, Problem> {
        let to: Vec<Uuid> = ids.iter().filter_map(|id| id_in("sub", id).ok()).collect();
        let found = self.parts.notices.newest_deliveries(&to).await;
        found.map_err(away)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_was_taken_and_cannot_be_read_is_not_told_as_not_sent() {
        let to = notice::shown_as("sub", Uuid::from_u128(7));
        for read in [
            away(assay_store::StoreError::Unavailable("gone".into())),
            no("delivery", "dlv_1"),
        ] {
            let told = taken(&to, "dlv_1", Err(read)).unwrap_err();
            assert_eq!((told.slug(), told.retry_after_ms), ("unconfirmed", None));
            let path = format!("/api/v1/subscriptions/{to}/deliveries/dlv_1");
            assert!(told.detail.contains(&path), "{}", told.detail);
        }
    }
}
