//! Sends what is to be sent.
//!
//! Comes in: messages that are due. Goes out: attempts, each counted in the store before it is made
//! and reported there after it. Many at once, and one of each subscription: a receiver that hangs
//! holds up its own messages and no other's. What a manager had in its hands when it died is sent by
//! the next leader, under the same id.

use std::sync::Arc;
use std::time::Duration;

use assay_model::ids::Epoch;
use assay_model::notice::{Delivery, DeliveryState, Notices, Report, Subscription};
use assay_notify::backoff;
use assay_notify::channels::{Failure, PATIENCE};
use assay_store::StoreError;
use assay_store::notices::DeliveryFilter;
use assay_telemetry::repeat::Repeat;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::Desk;
use crate::handle::Shared;

/// Messages that are under way at once.
const AT_ONCE: usize = 128;
/// Between two looks when nothing is told of.
const PAUSE: Duration = Duration::from_millis(1000);
/// How long a claim holds: an attempt, and time to report it.
const CLAIMED: SignedDuration = SignedDuration::from_secs(120);
/// Between two attempts to report.
const REPORT_PAUSE: Duration = Duration::from_secs(1);
/// Attempts to report, within the time of the claim.
const REPORTS: u32 = 60;

/// Sends until the manager stops.
pub(super) async fn keep(shared: Arc<Shared>, desk: Arc<Desk>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut stop = shared.stop.subscribe();
    let mut repeat = Repeat::default();
    while !*stop.borrow() {
        match round(&shared, &desk, &places).await {
            Ok(()) => repeat.ends(),
            // Who leads now sends.
            Err(StoreError::FencedEpoch { .. }) => {}
            Err(error) => {
                if let Some(again) = repeat.fails() {
                    tracing::warn!(%error, "nothing can be sent; trying again{again}");
                }
            }
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = desk.sent.notified() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Claims what is due and begins to send it.
async fn round(
    shared: &Arc<Shared>,
    desk: &Arc<Desk>,
    places: &Arc<Semaphore>,
) -> Result<(), StoreError> {
    let Ok(seat) = shared.seats.seat() else {
        return Ok(());
    };
    let free = u32::try_from(places.available_permits()).unwrap_or_default();
    if free == 0 || !is_any_pending(desk).await? {
        return Ok(());
    }
    let now = (shared.parts.now)();
    let until = now.checked_add(CLAIMED).unwrap_or(Timestamp::MAX);
    let claimed = desk.parts.store.claim(seat.epoch, now, until, free).await?;
    if claimed.is_empty() {
        return Ok(());
    }
    let subscriptions = Arc::new(desk.parts.store.subscriptions(None).await?);
    for delivery in claimed {
        // There are as many as were asked for, and nobody else takes any.
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            break;
        };
        let (shared, desk) = (Arc::clone(shared), Arc::clone(desk));
        let subscriptions = Arc::clone(&subscriptions);
        tokio::spawn(async move {
            let to = subscriptions.iter().find(|s| s.id == delivery.subscription);
            attempt(&shared, &desk, seat.epoch, to, &delivery).await;
            drop(place);
            // The next one to this receiver.
            desk.sent.notify_one();
        });
    }
    Ok(())
}

async fn is_any_pending(desk: &Desk) -> Result<bool, StoreError> {
    let filter = DeliveryFilter {
        state: Some(DeliveryState::Pending),
        limit: 1,
        ..DeliveryFilter::default()
    };
    Ok(!desk.parts.store.deliveries(&filter).await?.is_empty())
}

/// One attempt, reported.
async fn attempt(
    shared: &Shared,
    desk: &Desk,
    epoch: Epoch,
    to: Option<&Subscription>,
    delivery: &Delivery,
) {
    let carried = match to {
        // Whatever a carrier promises: nothing takes longer.
        Some(to) => tokio::time::timeout(PATIENCE * 2, desk.carrier().carry(to, delivery))
            .await
            .unwrap_or_else(|_| Err(Failure::passing("the attempt took too long"))),
        None => Err(Failure {
            is_final: true,
            ..Failure::passing("there is no such subscription")
        }),
    };
    let now = (shared.parts.now)();
    let report = outcome(delivery, &carried, jitter(), now);
    let channel = to.map_or("none", |to| to.channel.as_str());
    let labels = [("channel", channel), ("outcome", word(&report))];
    let telemetry = &shared.parts.telemetry;
    telemetry.count("assay_notifications_total", &labels, 1);
    if let Err(failure) = &carried {
        tracing::warn!(
            delivery = %delivery.shown(), attempt = delivery.attempts, why = %failure,
            state = %report.state, "a message was not taken"
        );
    }
    let notices = Notices {
        reports: vec![report],
        ..Notices::default()
    };
    for _ in 0..REPORTS {
        match desk.parts.store.settle(epoch, &notices, now).await {
            Ok(()) => return,
            // The next leader sends it again, under the same id.
            Err(StoreError::FencedEpoch { .. }) => return,
            Err(error) => {
                tracing::debug!(%error, "an attempt cannot be reported; trying again");
                tokio::time::sleep(REPORT_PAUSE).await;
            }
        }
    }
    tracing::warn!(delivery = %delivery.shown(), "an attempt was not reported; it is made again");
}

fn word(report: &Report) -> &'static str {
    match report.state {
        DeliveryState::Pending => "failed",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Dead => "dead",
    }
}

fn jitter() -> u64 {
    // The lower half of a random UUID has 62 random bits.
    Uuid::new_v4().as_u64_pair().1 % 1_001
}

/// What an attempt that ended so leaves.
fn outcome(
    delivery: &Delivery,
    carried: &Result<(), Failure>,
    jitter_permille: u64,
    now: Timestamp,
) -> Report {
    let (state, next_at, error) = match carried {
        Ok(()) => (DeliveryState::Delivered, None, None),
        Err(failure) => {
            let next = match failure.is_final {
                true => None,
                false => backoff::next(delivery.attempts, jitter_permille, failure.after, now),
            };
            let state = next.map_or(DeliveryState::Dead, |_| DeliveryState::Pending);
            (state, next, Some(failure.why.clone()))
        }
    };
    Report {
        delivery: delivery.id,
        attempt: delivery.attempts,
        state,
        next_at,
        error,
    }
}
