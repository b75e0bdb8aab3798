//! What people are told: any manager reads it out, the leader changes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_model::notice::{DeliveryState, Subscription};
use assay_notify::causes::Wish;
use assay_proto::convert;
use assay_proto::link::Peer;
use assay_proto::v1;
use assay_proto::v1::change_cause_request::Wish as Wanted;
use assay_proto::v1::notice_service_server::NoticeService;
use assay_store::notices::{CauseFilter, DeliveryFilter};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{ASKERS, bound, only, peer, rows, store_status};
use crate::handle::Shared;
use crate::notices::wishes::{self, Verb};
use crate::notices::{WishError, desk};

/// What happened to one cause, at most; the newest of it.
const EVENTS_MAX: u32 = 200;
/// Incidents of a dataset that are looked through for those of a cause.
const INCIDENTS_MAX: u32 = 10_000;
/// Deliveries that are counted for a list of subscriptions.
const COUNTED_MAX: u32 = 10_000;

/// The service.
pub(crate) struct Notices {
    shared: Arc<Shared>,
}

impl Notices {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
        }
    }

    /// Messages that wait and that were given up, by subscription.
    async fn counts(&self) -> Result<BTreeMap<Uuid, (u32, u32)>, Status> {
        let store = desk(&self.shared)?.store();
        let mut counts: BTreeMap<Uuid, (u32, u32)> = BTreeMap::new();
        for state in [DeliveryState::Pending, DeliveryState::Dead] {
            let filter = DeliveryFilter {
                state: Some(state),
                limit: COUNTED_MAX,
                ..DeliveryFilter::default()
            };
            let found = store.deliveries(&filter).await;
            for delivery in found.map_err(|error| store_status(&error))? {
                let (pending, dead) = counts.entry(delivery.subscription).or_default();
                let one = if state == DeliveryState::Dead {
                    dead
                } else {
                    pending
                };
                *one += 1;
            }
        }
        Ok(counts)
    }

    fn shown(&self, one: &Subscription) -> Result<v1::Subscription, Status> {
        let carrier = desk(&self.shared)?.carrier();
        Ok(v1::Subscription {
            trouble: carrier.check(one).err().unwrap_or_default(),
            ..convert::subscription_of(one)
        })
    }
}

impl From<WishError> for Status {
    fn from(error: WishError) -> Self {
        match error {
            WishError::Unknown(..) => Self::not_found(error.to_string()),
            WishError::Refused(why) => Self::failed_precondition(why),
            WishError::Submit(error) => error.into(),
            WishError::Store(error) => store_status(&error),
        }
    }
}

/// Who wants something: as the caller says, beside what the certificate says.
fn by<T>(request: &Request<T>, said: String) -> Result<String, Status> {
    let said = convert::name("by", said)?;
    Ok(match peer(request) {
        Peer::Proven {
            identity: Some(identity),
            ..
        } => format!("{said} ({} {})", identity.role.word(), identity.name),
        _ => said,
    })
}

fn wish(wanted: Option<Wanted>) -> Result<Wish, Status> {
    Ok(match convert::present("wish", wanted)? {
        Wanted::Acknowledge(_) => Wish::Acknowledge,
        Wanted::MuteUntil(until) => Wish::Mute(convert::time("mute_until", Some(until))?),
        Wanted::Unmute(_) => Wish::Unmute,
        Wanted::Resolve(_) => Wish::Resolve,
        Wanted::Note(text) => Wish::Note(convert::text("note", text)?),
        Wanted::Assign(who) => Wish::Assign(convert::opt_text("assign", who)?.unwrap_or_default()),
    })
}

#[tonic::async_trait]
impl NoticeService for Notices {
    async fn list_causes(
        &self,
        request: Request<v1::ListCausesRequest>,
    ) -> Result<Response<v1::ListCausesResponse>, Status> {
        only(&request, ASKERS)?;
        let request = request.into_inner();
        let dataset = rows::opt_dataset(request.dataset)?;
        if let Some(dataset) = &dataset {
            // That nothing is wrong with it is said of no dataset that there is not.
            self.shared.definition(dataset.clone()).await?;
        }
        let filter = CauseFilter {
            dataset,
            open: request.only_open,
            limit: bound(request.limit, 100, 1000),
            ..CauseFilter::default()
        };
        let found = desk(&self.shared)?.store().causes(&filter).await;
        let found = found.map_err(|error| store_status(&error))?;
        Ok(Response::new(v1::ListCausesResponse {
            causes: found.iter().map(convert::cause_of).collect(),
        }))
    }

    async fn get_cause(
        &self,
        request: Request<v1::GetCauseRequest>,
    ) -> Result<Response<v1::GetCauseResponse>, Status> {
        only(&request, ASKERS)?;
        let id = convert::notice_id("inc", request.into_inner().id)?;
        let cause = wishes::cause(&self.shared, id).await?;
        let events = desk(&self.shared)?.store().cause_events(id, EVENTS_MAX);
        let events = events.await.map_err(|error| store_status(&error))?;
        let metrics = &self.shared.parts.metrics;
        let open = metrics.incidents(Some(&cause.dataset), true, INCIDENTS_MAX);
        let mut open = open.await.map_err(|error| store_status(&error))?;
        open.retain(|i| cause.members.iter().any(|m| m.incident == i.id));
        Ok(Response::new(v1::GetCauseResponse {
            cause: Some(convert::cause_of(&cause)),
            events: events.iter().map(convert::cause_event_of).collect(),
            incidents: open.iter().map(convert::incident_of).collect(),
        }))
    }

    async fn change_cause(
        &self,
        request: Request<v1::ChangeCauseRequest>,
    ) -> Result<Response<v1::ChangeCauseResponse>, Status> {
        only(&request, ASKERS)?;
        let by = by(&request, request.get_ref().by.clone())?;
        let request = request.into_inner();
        let id = convert::notice_id("inc", request.id)?;
        let cause = wishes::change(&self.shared, id, &wish(request.wish)?, &by).await?;
        Ok(Response::new(v1::ChangeCauseResponse {
            cause: Some(convert::cause_of(&cause)),
        }))
    }

    async fn list_subscriptions(
        &self,
        request: Request<v1::ListSubscriptionsRequest>,
    ) -> Result<Response<v1::ListSubscriptionsResponse>, Status> {
        only(&request, ASKERS)?;
        let request = request.into_inner();
        let dataset = rows::opt_dataset(request.dataset)?;
        let mut found = wishes::subscriptions(&self.shared, dataset.as_ref()).await?;
        found.retain(|one| request.with_removed || one.removed_at.is_none());
        let counts = self.counts().await?;
        let mut subscriptions = Vec::with_capacity(found.len());
        for one in &found {
            let (pending, dead) = counts.get(&one.id).copied().unwrap_or_default();
            subscriptions.push(v1::Subscription {
                pending,
                dead,
                ..self.shown(one)?
            });
        }
        Ok(Response::new(v1::ListSubscriptionsResponse {
            subscriptions,
        }))
    }

    async fn add_subscription(
        &self,
        request: Request<v1::AddSubscriptionRequest>,
    ) -> Result<Response<v1::AddSubscriptionResponse>, Status> {
        only(&request, ASKERS)?;
        let by = by(&request, request.get_ref().by.clone())?;
        let now = (self.shared.parts.now)();
        let asked = request.into_inner().subscription;
        // Whoever chooses the id may ask again: it is one subscription.
        let chosen = asked.as_ref().map(|asked| asked.id.clone());
        let id = match chosen.filter(|id| !id.is_empty()) {
            Some(id) => convert::notice_id("sub", id)?,
            None => Uuid::now_v7(),
        };
        let made = convert::new_subscription(asked, id, by, now)?;
        let made = wishes::subscribe(&self.shared, made).await?;
        Ok(Response::new(v1::AddSubscriptionResponse {
            subscription: Some(convert::subscription_of(&made)),
        }))
    }

    async fn change_subscription(
        &self,
        request: Request<v1::ChangeSubscriptionRequest>,
    ) -> Result<Response<v1::ChangeSubscriptionResponse>, Status> {
        only(&request, ASKERS)?;
        let by = by(&request, request.get_ref().by.clone())?;
        let request = request.into_inner();
        let id = convert::notice_id("sub", request.id)?;
        let verb = match request.verb.as_str() {
            "pause" => Verb::Pause,
            "resume" => Verb::Resume,
            "remove" => Verb::Remove,
            _ => {
                return Err(Status::invalid_argument(
                    "`verb` is pause, resume or remove",
                ));
            }
        };
        let changed = wishes::turn(&self.shared, id, verb, &by).await?;
        Ok(Response::new(v1::ChangeSubscriptionResponse {
            subscription: Some(self.shown(&changed)?),
        }))
    }

    async fn test_subscription(
        &self,
        request: Request<v1::TestSubscriptionRequest>,
    ) -> Result<Response<v1::TestSubscriptionResponse>, Status> {
        only(&request, ASKERS)?;
        let by = by(&request, request.get_ref().by.clone())?;
        let id = convert::notice_id("sub", request.into_inner().id)?;
        let delivery = wishes::test(&self.shared, id, &by).await?;
        Ok(Response::new(v1::TestSubscriptionResponse {
            delivery: delivery.shown(),
        }))
    }

    async fn list_deliveries(
        &self,
        request: Request<v1::ListDeliveriesRequest>,
    ) -> Result<Response<v1::ListDeliveriesResponse>, Status> {
        only(&request, ASKERS)?;
        let request = request.into_inner();
        let id = |kind, text: String| match text.is_empty() {
            true => Ok(None),
            false => convert::notice_id(kind, text).map(Some),
        };
        let filter = DeliveryFilter {
            id: id("dlv", request.id)?,
            to: id("sub", request.subscription)?.map(|id| vec![id]),
            state: match request.state.is_empty() {
                true => None,
                false => Some(convert::word("state", request.state)?),
            },
            limit: bound(request.limit, 100, 1000),
        };
        let found = desk(&self.shared)?.store().deliveries(&filter).await;
        let found = found.map_err(|error| store_status(&error))?;
        Ok(Response::new(v1::ListDeliveriesResponse {
            deliveries: found.iter().map(convert::delivery_of).collect(),
        }))
    }

    async fn send_again(
        &self,
        request: Request<v1::SendAgainRequest>,
    ) -> Result<Response<v1::SendAgainResponse>, Status> {
        only(&request, ASKERS)?;
        let by = by(&request, request.get_ref().by.clone())?;
        let id = convert::notice_id("dlv", request.into_inner().id)?;
        wishes::again(&self.shared, id, &by).await?;
        Ok(Response::new(v1::SendAgainResponse {}))
    }
}
