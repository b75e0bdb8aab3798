//! From the outbox to causes and messages, and what wakes by itself.
//!
//! Comes in: messages of the outbox in their order, causes whose time has come, incidents that no
//! message tells of any more. Goes out: one decision for each round. A decision whose fate is not
//! known is made again from what the store holds: its messages are handled there, or they are not.

use std::collections::BTreeMap;

use assay_model::check::Check;
use assay_model::dataset::Dataset;
use assay_model::ids::{DatasetId, Epoch};
use assay_model::incident::{Incident, OutboxEntry};
use assay_model::notice::{Delivery, NoticeKind, Notices, Subscription};
use assay_model::outcome::CheckResult;
use assay_model::partition::PartitionKey;
use assay_notify::causes::{Book, Broken, News};
use assay_notify::{event, finding};
use assay_store::StoreError;
use assay_store::notices::{CauseFilter, is_finished};
use assay_store::port::ResultFilter;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    ADRIFT_MAX, BATCH, CAUSES_MAX, Desk, FORGET_EVERY, KEPT, Rounds, SWEEP_EVERY, is_held,
};
use crate::handle::Shared;

/// When what was looked at last.
#[derive(Default)]
pub(super) struct Outbox {
    epoch: Option<Epoch>,
    swept: Option<Instant>,
    forgotten: Option<Instant>,
}

impl Rounds for Outbox {
    const CANNOT: &'static str = "nobody can be told";

    async fn round(&mut self, shared: &Shared, desk: &Desk) -> Result<bool, StoreError> {
        let Ok(seat) = shared.seats.seat() else {
            return Ok(false);
        };
        if self.epoch != Some(seat.epoch) {
            *self = Self {
                epoch: Some(seat.epoch),
                ..Self::default()
            };
        }
        let entries = shared.parts.metrics.outbox(BATCH).await?;
        handle(shared, desk, seat.epoch, &entries).await?;
        // What is owed by now does not wait until nothing new is told: at work, that may never be.
        let is_due = |last: Option<Instant>, every| last.is_none_or(|at| at.elapsed() >= every);
        if is_due(self.swept, SWEEP_EVERY) && !is_held(shared).await? {
            adrift(shared, desk, seat.epoch).await?;
            due(shared, desk, seat.epoch).await?;
            self.swept = Some(Instant::now());
        }
        if is_due(self.forgotten, FORGET_EVERY) {
            let turn = desk.turn.lock().await;
            let now = (shared.parts.now)();
            let notices = Notices {
                forget_before: now.checked_sub(KEPT).ok(),
                ..Notices::default()
            };
            desk.settle(&turn, seat.epoch, &notices, now).await?;
            self.forgotten = Some(Instant::now());
        }
        Ok(entries.len() == BATCH as usize)
    }
}

/// Handles messages of the outbox: a decision for each dataset, in the order of its messages.
async fn handle(
    shared: &Shared,
    desk: &Desk,
    epoch: Epoch,
    entries: &[OutboxEntry],
) -> Result<(), StoreError> {
    let mut by_dataset: BTreeMap<&DatasetId, Vec<&OutboxEntry>> = BTreeMap::new();
    for entry in entries {
        by_dataset.entry(&entry.dataset).or_default().push(entry);
    }
    for (dataset, entries) in by_dataset {
        let turn = desk.turn.lock().await;
        let now = (shared.parts.now)();
        let mut notices = Notices::default();
        let (subscriptions, definition) =
            desk.subscribed(shared, dataset, &mut notices, now).await?;
        let mut book = Book::of(desk.causes_of(dataset).await?);
        for entry in entries {
            notices.handled.push(entry.key.clone());
            if is_finished(entry) {
                let of = (dataset, definition.as_ref());
                let told = finished(desk, entry, &subscriptions, of, now);
                notices.deliveries.extend(told);
            } else if let Some(news) = news(shared, entry, definition.as_ref()).await? {
                book.take(news, now);
            }
        }
        let (causes, events) = book.changes();
        notices.events = events;
        desk.decide(&mut notices, causes, &subscriptions, definition, now)
            .await?;
        desk.settle(&turn, epoch, &notices, now).await?;
    }
    Ok(())
}

/// The messages that a partition was judged, to those who asked for them.
fn finished(
    desk: &Desk,
    entry: &OutboxEntry,
    subscriptions: &[Subscription],
    (dataset, definition): (&DatasetId, Option<&Dataset>),
    now: Timestamp,
) -> Vec<Delivery> {
    let asked = subscriptions
        .iter()
        .filter(|s| s.is_live() && !s.operator && s.events.contains(&NoticeKind::Finished));
    asked
        .map(|to| {
            let id = Delivery::id_of_message(&entry.key, to.id);
            let of = (dataset.as_str(), definition);
            let sent = event::of_finished(&desk.parts.origin, id, of, &entry.body, now);
            Delivery {
                dataset: Some(dataset.clone()),
                ..event::delivery(id, to, NoticeKind::Finished, sent, now)
            }
        })
        .collect()
}

/// What a message of the outbox says of a check; `None` for one that says nothing.
async fn news(
    shared: &Shared,
    entry: &OutboxEntry,
    definition: Option<&Dataset>,
) -> Result<Option<News>, StoreError> {
    let incident = serde_json::from_value::<Incident>(entry.body["incident"].clone());
    let incident = match incident {
        Ok(incident) => incident,
        Err(error) => {
            // It would be as unreadable the next time.
            tracing::error!(key = %entry.key, %error, "a message of the outbox tells nothing");
            return Ok(None);
        }
    };
    Ok(match entry.event.as_str() {
        "incident.resolved" => Some(News::Mended {
            incident: incident.id,
        }),
        "incident.opened" | "incident.escalated" => {
            let broken = broken(shared, &incident, definition).await?;
            Some(News::Broken(Box::new(broken)))
        }
        event => {
            tracing::error!(key = %entry.key, event, "a message of the outbox is of no kind");
            None
        }
    })
}

/// What is broken, from the result in force.
async fn broken(
    shared: &Shared,
    incident: &Incident,
    definition: Option<&Dataset>,
) -> Result<Broken, StoreError> {
    let check = definition.and_then(|d| d.checks.iter().find(|c| c.id == incident.check));
    let result = result_of(shared, incident).await?;
    let (check, result): (Option<&Check>, _) = (check, result.as_ref());
    Ok(Broken {
        incident: incident.id,
        dataset: incident.dataset.clone(),
        check: incident.check.clone(),
        dimension: finding::dimension(incident, check, result),
        column: incident.column.clone(),
        severity: incident.severity,
        declared: finding::is_declared(check, result),
        finding: finding::finding(incident, result),
    })
}

async fn result_of(
    shared: &Shared,
    incident: &Incident,
) -> Result<Option<CheckResult>, StoreError> {
    let filter = ResultFilter {
        partition: Some(PartitionKey(incident.last_partition.as_str().to_owned())),
        check: Some(incident.check.clone()),
        limit: 1,
        ..ResultFilter::default()
    };
    let rows = shared.parts.metrics.results(&incident.dataset, &filter);
    let row = rows.await?.pop();
    Ok(row.map(|row| row.result).filter(CheckResult::is_breach))
}

/// Takes up what no message tells of any more.
async fn adrift(shared: &Shared, desk: &Desk, epoch: Epoch) -> Result<(), StoreError> {
    let found = desk.parts.store.adrift(ADRIFT_MAX).await?;
    let mut by_dataset: BTreeMap<DatasetId, Vec<Incident>> = BTreeMap::new();
    for stray in found.strays {
        by_dataset
            .entry(stray.dataset.clone())
            .or_default()
            .push(stray);
    }
    for (dataset, strays) in by_dataset {
        let turn = desk.turn.lock().await;
        let now = (shared.parts.now)();
        let mut notices = Notices::default();
        let (subscriptions, definition) =
            desk.subscribed(shared, &dataset, &mut notices, now).await?;
        let mut book = Book::of(desk.causes_of(&dataset).await?);
        for stray in &strays {
            let broken = broken(shared, stray, definition.as_ref()).await?;
            // Since when it is open: whoever subscribes since then knows nothing new.
            book.take(News::Broken(Box::new(broken)), stray.opened_at);
        }
        let (causes, events) = book.changes();
        notices.events = events;
        desk.decide(&mut notices, causes, &subscriptions, definition, now)
            .await?;
        desk.settle(&turn, epoch, &notices, now).await?;
    }
    if found.ghosts.is_empty() {
        return Ok(());
    }
    let turn = desk.turn.lock().await;
    let now = (shared.parts.now)();
    let open = CauseFilter {
        open: true,
        limit: CAUSES_MAX,
        ..CauseFilter::default()
    };
    let mut book = Book::of(desk.parts.store.causes(&open).await?);
    for incident in found.ghosts {
        book.take(News::Mended { incident }, now);
    }
    let (causes, events) = book.changes();
    let mut notices = Notices {
        events,
        ..Notices::default()
    };
    for cause in causes {
        let (subscriptions, definition) = desk
            .subscribed(shared, &cause.dataset.clone(), &mut notices, now)
            .await?;
        desk.decide(&mut notices, vec![cause], &subscriptions, definition, now)
            .await?;
    }
    desk.settle(&turn, epoch, &notices, now).await
}

/// Tells what is owed by now.
async fn due(shared: &Shared, desk: &Desk, epoch: Epoch) -> Result<(), StoreError> {
    let turn = desk.turn.lock().await;
    let now = (shared.parts.now)();
    let filter = CauseFilter {
        due: Some(now),
        limit: CAUSES_MAX,
        ..CauseFilter::default()
    };
    let causes = desk.parts.store.causes(&filter).await?;
    let mut notices = Notices::default();
    for cause in causes {
        let dataset = cause.dataset.clone();
        let (subscriptions, definition) =
            desk.subscribed(shared, &dataset, &mut notices, now).await?;
        desk.decide(&mut notices, vec![cause], &subscriptions, definition, now)
            .await?;
    }
    desk.settle(&turn, epoch, &notices, now).await
}
