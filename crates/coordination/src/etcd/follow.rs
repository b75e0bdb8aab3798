//! What lies under a prefix, now and after each change.
//!
//! Comes in: readings and events. Goes out: the value that a reader makes of them. It must never
//! rest on events alone: a key that vanishes is confirmed by a linearisable reading, and so is
//! everything every so often, because watches lose events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::KeyValue;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::Core;
use crate::port::CoordinationError;

/// Between two attempts to read what cannot be read.
const PAUSE: Duration = Duration::from_millis(200);

/// One key.
pub(super) struct Entry {
    pub(super) value: Vec<u8>,
    pub(super) created: i64,
}

/// All keys under a prefix; those that are no UTF-8 are nobody's.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) entries: BTreeMap<String, Entry>,
}

impl Listing {
    pub(super) fn of(pairs: Vec<KeyValue>) -> Self {
        let mut listing = Self::default();
        for pair in pairs {
            listing.take(&pair);
        }
        listing
    }

    fn take(&mut self, pair: &KeyValue) {
        let Ok(key) = pair.key_str() else {
            tracing::warn!("a key in etcd is no text and not one of ours: ignored");
            return;
        };
        let entry = Entry {
            value: pair.value().to_vec(),
            created: pair.create_revision(),
        };
        self.entries.insert(key.to_owned(), entry);
    }
}

/// Reads what is there, and tells of every change from then on, for as long as somebody listens.
/// `read` gives nothing for what cannot be used; the last usable value then stands.
pub(super) async fn follow<T, R>(
    core: Arc<Core>,
    prefix: String,
    relist: Duration,
    read: R,
) -> Result<watch::Receiver<T>, CoordinationError>
where
    T: Default + PartialEq + Send + Sync + 'static,
    R: Fn(&Listing) -> Option<T> + Send + Sync + 'static,
{
    let (pairs, revision) = core.members.list(&prefix).await?;
    let listing = Listing::of(pairs);
    let (sender, receiver) = watch::channel(read(&listing).unwrap_or_default());
    tokio::spawn(async move {
        let told = |listing: &Listing| {
            if let Some(value) = read(listing) {
                sender.send_if_modified(|present| {
                    let changed = *present != value;
                    if changed {
                        *present = value;
                    }
                    changed
                });
            }
        };
        let following = go_on(&core, &prefix, relist, (listing, revision), told);
        tokio::select! {
            () = sender.closed() => {}
            () = following => {}
        }
    });
    Ok(receiver)
}

async fn go_on(
    core: &Core,
    prefix: &str,
    relist: Duration,
    first: (Listing, i64),
    told: impl Fn(&Listing),
) {
    let (mut listing, mut revision) = first;
    loop {
        let until = Instant::now() + relist;
        listen(core, prefix, revision, until, &mut listing, &told).await;
        loop {
            match core.members.list(prefix).await {
                Ok((pairs, of)) => {
                    (listing, revision) = (Listing::of(pairs), of);
                    break;
                }
                Err(error) => {
                    tracing::debug!(%error, prefix, "what is watched cannot be read");
                    sleep(PAUSE).await;
                }
            }
        }
        told(&listing);
    }
}

/// Applies events until something calls for a new reading: a key that vanished, a broken watch, or
/// the passing of time.
async fn listen(
    core: &Core,
    prefix: &str,
    revision: i64,
    until: Instant,
    listing: &mut Listing,
    told: &impl Fn(&Listing),
) {
    let Ok(mut watch) = core.members.watch(prefix, revision + 1).await else {
        return;
    };
    loop {
        let Ok(message) = timeout_at(until, watch.message()).await else {
            return;
        };
        let events = match &message {
            Ok(Some(events)) if !events.canceled() => events.events(),
            _ => {
                core.members.turn();
                sleep(PAUSE).await;
                return;
            }
        };
        // An etcd that was emptied counts from the beginning again, and would say nothing until it
        // has come as far as before.
        let present = message.as_ref().ok().and_then(|m| m.as_ref()?.header());
        if present.is_some_and(|header| header.revision() < revision) {
            return;
        }
        for event in events {
            match event.kv() {
                // A deletion leaves no version.
                Some(pair) if pair.version() > 0 => listing.take(pair),
                _ => return,
            }
        }
        if !events.is_empty() {
            told(listing);
        }
    }
}
