//! What people want of causes and subscriptions, carried out by the leader.
//!
//! Comes in: a wish, and whose it is. Goes out: what it was about, as it stands then. It must never
//! change anything without saying who did it, or let in a subscription that cannot be reached.

use assay_model::ids::Epoch;
use assay_model::notice::{
    Cause, Delivery, DeliveryState, NoticeKind, Notices, Subscription, SubscriptionOrigin,
};
use assay_notify::causes::{Refusal, Wish, wish};
use assay_notify::event;
use assay_store::StoreError;
use assay_store::notices::{CauseFilter, DeliveryFilter};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Desk, desk};
use crate::handle::{Shared, SubmitError};

/// Why a wish was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WishError {
    /// There is no such thing.
    #[error("there is no {0} {1}; see: assay {0} list")]
    Unknown(&'static str, String),
    /// It cannot be.
    #[error("{0}")]
    Refused(String),
    /// It is another's to do, or cannot be done here.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Refusal> for WishError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.to_string())
    }
}

/// Where wishes are carried out: the desk of a manager that leads.
fn place(shared: &Shared) -> Result<(&Desk, Epoch, Timestamp), WishError> {
    let desk = desk(shared)?;
    let seat = shared.seats.seat().map_err(SubmitError::from)?;
    Ok((desk, seat.epoch, (shared.parts.now)()))
}

/// One cause.
pub(crate) async fn cause(shared: &Shared, id: Uuid) -> Result<Cause, WishError> {
    let filter = CauseFilter {
        id: Some(id),
        limit: 1,
        ..CauseFilter::default()
    };
    let found = desk(shared)?.store().causes(&filter).await?.pop();
    let name = assay_model::notice::shown_as("inc", id);
    found.ok_or(WishError::Unknown("incident", name))
}

/// Changes a cause; one that is as it is wanted already stays as it is, and nothing is told.
pub(crate) async fn change(
    shared: &Shared,
    id: Uuid,
    wanted: &Wish,
    by: &str,
) -> Result<Cause, WishError> {
    let (desk, epoch, now) = place(shared)?;
    let turn = desk.turn.lock().await;
    let mut cause = cause(shared, id).await?;
    let members: Vec<Uuid> = cause.members.iter().map(|m| m.incident).collect();
    let Some(event) = wish(&mut cause, wanted, by, now)? else {
        return Ok(cause);
    };
    tracing::info!(incident = %cause.shown(), wish = ?wanted, by, "a person changes an incident");
    let mut notices = Notices {
        events: vec![event],
        ..Notices::default()
    };
    match wanted {
        Wish::Resolve => notices.resolved = members,
        Wish::Acknowledge => notices.acknowledged = members,
        Wish::Mute(_) | Wish::Unmute | Wish::Assign(_) => {}
        Wish::Note(_) => {
            // Nobody is told of it, whatever they are owed besides.
            notices.causes = vec![cause.clone()];
            desk.settle(&turn, epoch, &notices, now).await?;
            return Ok(cause);
        }
    }
    let dataset = cause.dataset.clone();
    let (subscriptions, definition) = desk.subscribed(shared, &dataset, &mut notices, now).await?;
    desk.decide(
        &mut notices,
        vec![cause.clone()],
        &subscriptions,
        definition,
        now,
    )
    .await?;
    desk.settle(&turn, epoch, &notices, now).await?;
    Ok(cause)
}

/// Looks at the open causes of a subscription's datasets again: it may be owed something of them.
async fn look_again(
    shared: &Shared,
    desk: &Desk,
    subscription: &Subscription,
    notices: &mut Notices,
    now: Timestamp,
) -> Result<(), StoreError> {
    let filter = CauseFilter {
        dataset: subscription.dataset.clone(),
        open: true,
        limit: super::CAUSES_MAX,
        ..CauseFilter::default()
    };
    for cause in desk.store().causes(&filter).await? {
        let dataset = cause.dataset.clone();
        let (subscriptions, definition) = desk.subscribed(shared, &dataset, notices, now).await?;
        desk.decide(notices, vec![cause], &subscriptions, definition, now)
            .await?;
    }
    Ok(())
}

/// What is there under the id of `asked`: the same one, if it was asked for before.
fn repeated(
    known: Option<Subscription>,
    asked: &Subscription,
) -> Result<Option<Subscription>, WishError> {
    let Some(known) = known else {
        return Ok(None);
    };
    let same = Subscription {
        paused_by: known.paused_by.clone(),
        created_by: known.created_by.clone(),
        created_at: known.created_at,
        since: known.since,
        removed_at: None,
        ..asked.clone()
    };
    if known == same {
        return Ok(Some(known));
    }
    Err(WishError::Refused(format!(
        "{} was made before, and is another one or has been removed\n  \
         take a new id, or a new Idempotency-Key",
        known.shown()
    )))
}

/// Adds a subscription; one that was added before stays as it is.
pub(crate) async fn subscribe(
    shared: &Shared,
    subscription: Subscription,
) -> Result<Subscription, WishError> {
    let (desk, epoch, now) = place(shared)?;
    let ready = desk.carrier().ready(&subscription).await;
    ready.map_err(WishError::Refused)?;
    if let Some(dataset) = &subscription.dataset {
        shared.definition(dataset.clone()).await?;
    }
    let turn = desk.turn.lock().await;
    let all = desk.store().subscriptions(None).await?;
    let known = all.into_iter().find(|known| known.id == subscription.id);
    if let Some(known) = repeated(known, &subscription)? {
        return Ok(known);
    }
    let mut notices = Notices {
        subscriptions: vec![subscription.clone()],
        ..Notices::default()
    };
    look_again(shared, desk, &subscription, &mut notices, now).await?;
    desk.settle(&turn, epoch, &notices, now).await?;
    tracing::info!(
        subscription = %subscription.shown(), by = subscription.created_by,
        channel = %subscription.channel, "somebody is told from now on"
    );
    Ok(subscription)
}

/// The subscriptions for a dataset, or all; those that definitions make are among them.
pub(crate) async fn subscriptions(
    shared: &Shared,
    dataset: Option<&assay_model::ids::DatasetId>,
) -> Result<Vec<Subscription>, WishError> {
    const DATASETS_MAX: u32 = 10_000;
    let desk = desk(shared)?;
    let definitions = match dataset {
        Some(dataset) => vec![shared.definition(dataset.clone()).await?],
        None => shared.parts.metrics.definitions(None, DATASETS_MAX).await?,
    };
    // What is listed is there: one that a definition makes is paused and tested like any other.
    if let Ok((desk, epoch, now)) = place(shared) {
        let turn = desk.turn.lock().await;
        let known = desk.store().subscriptions(None).await?;
        let mut notices = Notices::default();
        for definition in &definitions {
            let changed = assay_notify::defaults::changes(definition, &known, now);
            notices.subscriptions.extend(changed);
        }
        desk.settle(&turn, epoch, &notices, now).await?;
    }
    Ok(desk.store().subscriptions(dataset).await?)
}

async fn known(desk: &Desk, id: Uuid) -> Result<Subscription, WishError> {
    let all = desk.store().subscriptions(None).await?;
    let found = all.into_iter().find(|subscription| subscription.id == id);
    let name = assay_model::notice::shown_as("sub", id);
    let found = found.filter(|subscription| subscription.removed_at.is_none());
    found.ok_or(WishError::Unknown("subscription", name))
}

/// What is done to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Pause,
    Resume,
    Remove,
}

/// Pauses, resumes or removes a subscription.
pub(crate) async fn turn(
    shared: &Shared,
    id: Uuid,
    verb: Verb,
    by: &str,
) -> Result<Subscription, WishError> {
    let (desk, epoch, now) = place(shared)?;
    let turn = desk.turn.lock().await;
    let mut subscription = known(desk, id).await?;
    match verb {
        Verb::Pause => subscription.paused_by = Some(by.to_owned()),
        Verb::Resume if subscription.paused_by.is_some() => {
            subscription.paused_by = None;
            subscription.since = now;
        }
        Verb::Resume => {}
        Verb::Remove => {
            subscription.removed_at = Some(now);
            // What the definition goes on naming stays removed.
            if subscription.origin == SubscriptionOrigin::Definition {
                subscription.paused_by = Some(by.to_owned());
            }
        }
    }
    let mut notices = Notices {
        subscriptions: vec![subscription.clone()],
        ..Notices::default()
    };
    if verb == Verb::Resume {
        look_again(shared, desk, &subscription, &mut notices, now).await?;
    }
    desk.settle(&turn, epoch, &notices, now).await?;
    tracing::info!(subscription = %subscription.shown(), ?verb, by, "a subscription changes");
    Ok(subscription)
}

/// Sends a message that only shows that messages come; gives its id.
pub(crate) async fn test(shared: &Shared, id: Uuid, by: &str) -> Result<Delivery, WishError> {
    let (desk, epoch, now) = place(shared)?;
    let turn = desk.turn.lock().await;
    let subscription = known(desk, id).await?;
    if !subscription.is_live() {
        let name = subscription.shown();
        return Err(WishError::Refused(format!(
            "{name} is paused: nothing is sent to it\n  assay subscribe resume {name}"
        )));
    }
    let id = Uuid::now_v7();
    let sent = event::of_test(&desk.parts.origin, id, &subscription, now);
    let delivery = event::delivery(id, &subscription, NoticeKind::Test, sent, now);
    let notices = Notices {
        deliveries: vec![delivery.clone()],
        ..Notices::default()
    };
    desk.settle(&turn, epoch, &notices, now).await?;
    tracing::info!(subscription = %subscription.shown(), by, "a test is sent");
    Ok(delivery)
}

/// Sends a message that has ended again.
pub(crate) async fn again(shared: &Shared, id: Uuid, by: &str) -> Result<(), WishError> {
    let (desk, epoch, now) = place(shared)?;
    let filter = DeliveryFilter {
        id: Some(id),
        limit: 1,
        ..DeliveryFilter::default()
    };
    let name = assay_model::notice::shown_as("dlv", id);
    let turn = desk.turn.lock().await;
    let Some(found) = desk.store().deliveries(&filter).await?.pop() else {
        return Err(WishError::Unknown("delivery", name));
    };
    if found.state == DeliveryState::Pending {
        return Err(WishError::Refused(format!(
            "{name} is still tried by itself"
        )));
    }
    known(desk, found.subscription).await?;
    let notices = Notices {
        again: vec![id],
        ..Notices::default()
    };
    desk.settle(&turn, epoch, &notices, now).await?;
    tracing::info!(delivery = name, by, "a message is sent again");
    Ok(())
}
