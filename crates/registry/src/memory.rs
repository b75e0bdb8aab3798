//! The agenda of an embedded cluster: kept in memory, over any registry.
//!
//! Comes in: what the registry holds, and up to where the store says that slots were emitted. Goes
//! out: what is due. Nothing of it outlives the process, and nothing has to: at the start everything
//! is due, and the watermarks come from the store. It must never take its own memory for the truth
//! about a watermark, nor ask the store about what is not due.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use assay_model::dataset::DatasetStatus;
use assay_model::ids::DatasetId;
use async_trait::async_trait;
use jiff::Timestamp;

use crate::agenda::{AT_ONCE, Agenda, Cursor, Entry, Look, Marked, Page};
use crate::policy::Policy;
use crate::port::{Definition, InvalidFile, Registry, RegistryError, digest};

/// The truth about what was emitted, which the store keeps.
#[async_trait]
pub trait Watermarks: Send + Sync {
    /// Up to where the slots of a dataset have been emitted; `None` when none ever was.
    async fn emitted_through(&self, id: &DatasetId) -> Result<Option<Timestamp>, RegistryError>;
}

/// An agenda in memory. A definition that changes is due at once, from the next first page on.
pub struct MemoryAgenda {
    registry: Arc<dyn Registry>,
    watermarks: Arc<dyn Watermarks>,
    policy: Policy,
    /// Held over a listing, so that an older one never comes after a newer one.
    listing: tokio::sync::Mutex<()>,
    slots: std::sync::Mutex<Slots>,
}

type Slots = BTreeMap<String, Slot>;

/// What is remembered of one entry.
#[derive(Clone)]
struct Slot {
    definition: Result<Definition, InvalidFile>,
    digest: String,
    through: Option<Timestamp>,
    registered: bool,
    due_at: Option<Timestamp>,
    note: Option<String>,
}

impl MemoryAgenda {
    /// An agenda of what `registry` holds, with the truth of `watermarks`.
    #[must_use]
    pub fn new(
        registry: Arc<dyn Registry>,
        watermarks: Arc<dyn Watermarks>,
        policy: Policy,
    ) -> Self {
        Self {
            registry,
            watermarks,
            policy,
            listing: tokio::sync::Mutex::new(()),
            slots: std::sync::Mutex::default(),
        }
    }

    /// Runs `work` on what is remembered. A panic in between can only have left an entry to be looked
    /// at again.
    fn with<T>(&self, work: impl FnOnce(&mut Slots) -> T) -> T {
        work(&mut self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Brings what is remembered up to date with the registry.
    async fn refresh(&self) -> Result<(), RegistryError> {
        let _alone = self.listing.lock().await;
        let listing = self.registry.list().await?;
        self.with(|slots| {
            let mut before = std::mem::take(slots);
            for definition in listing.definitions {
                let key = definition.dataset.id.to_string();
                let (mark, resting) = (definition.digest.clone(), is_resting(&definition));
                let slot = remembered(before.remove(&key), mark, resting, Ok(definition));
                slots.insert(key, slot);
            }
            for file in listing.invalid {
                let (key, mark) = (file.origin.clone(), digest(&file.text));
                let slot = remembered(before.remove(&key), mark, false, Err(file));
                slots.insert(key, slot);
            }
        });
        Ok(())
    }

    /// The entry under `key`, with the watermark of the store.
    async fn read(&self, key: &str) -> Result<Option<Entry>, RegistryError> {
        let Some(found) = self.with(|slots| slots.get(key).cloned()) else {
            return Ok(None);
        };
        let truth = match &found.definition {
            Ok(definition) => {
                let id = &definition.dataset.id;
                self.watermarks.emitted_through(id).await?
            }
            Err(_) => None,
        };
        let entry = self.with(|slots| {
            let slot = slots.get_mut(key)?;
            slot.through = slot.through.max(truth);
            Some(slot.entry(key))
        });
        Ok(entry)
    }
}

/// Whether a definition has nothing to be looked at for until it changes.
fn is_resting(definition: &Definition) -> bool {
    definition.dataset.status == DatasetStatus::Retired
}

/// What is remembered once the registry holds `definition`, whose document has the digest `digest`.
fn remembered(
    before: Option<Slot>,
    digest: String,
    resting: bool,
    definition: Result<Definition, InvalidFile>,
) -> Slot {
    let due_at = (!resting).then_some(AT_ONCE);
    match before {
        Some(slot) if slot.digest == digest => Slot { definition, ..slot },
        Some(slot) => Slot {
            definition,
            digest,
            due_at,
            note: None,
            ..slot
        },
        None => Slot {
            definition,
            digest,
            through: None,
            registered: false,
            due_at,
            note: None,
        },
    }
}

impl Slot {
    fn entry(&self, key: &str) -> Entry {
        Entry {
            key: key.to_owned(),
            definition: self.definition.clone(),
            emitted_through: self.through,
            registered: self.registered,
            due_at: self.due_at,
            note: self.note.clone(),
        }
    }
}

/// The digest of the document of an entry.
fn digest_of(entry: &Entry) -> String {
    match &entry.definition {
        Ok(definition) => definition.digest.clone(),
        Err(file) => digest(&file.text),
    }
}

#[async_trait]
impl Agenda for MemoryAgenda {
    async fn due(
        &self,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, RegistryError> {
        let after = after.map(place).transpose()?;
        if after.is_none() {
            self.refresh().await?;
        }
        let mut due: Vec<(Timestamp, String)> = self.with(|slots| {
            let of = |(key, slot): (&String, &Slot)| Some((slot.due_at?, key.clone()));
            slots.iter().filter_map(of).collect()
        });
        due.retain(|place| place.0 <= now && after.as_ref().is_none_or(|after| place > after));
        due.sort_unstable();
        let more = due.len() > limit.max(1);
        due.truncate(limit.max(1));
        let next = due.last().filter(|_| more);
        let next = next.map(|(at, key)| Cursor(format!("{at}|{key}")));
        let mut entries = Vec::with_capacity(due.len());
        for (_, key) in &due {
            entries.extend(self.read(key).await?);
        }
        Ok(Page { entries, next })
    }

    async fn entry(&self, id: &DatasetId) -> Result<Option<Entry>, RegistryError> {
        self.refresh().await?;
        self.read(id.as_str()).await
    }

    async fn mark(&self, entry: &Entry, look: &Look) -> Result<Marked, RegistryError> {
        let marked = self.with(|slots| {
            let same = |slot: &&mut Slot| {
                slot.digest == digest_of(entry) && slot.through == entry.emitted_through
            };
            let Some(slot) = slots.get_mut(&entry.key).filter(same) else {
                return Marked::Overtaken;
            };
            slot.through = slot.through.max(look.through);
            slot.registered = look.registered;
            slot.due_at = look.next;
            slot.note.clone_from(&look.note);
            Marked::Kept
        });
        Ok(marked)
    }

    async fn policy(&self) -> Result<Policy, RegistryError> {
        Ok(self.policy.clone())
    }
}

/// The place in the order of what is due that a cursor stands for.
fn place(cursor: &Cursor) -> Result<(Timestamp, String), RegistryError> {
    let parts = cursor.0.split_once('|');
    let place = parts.and_then(|(at, key)| Some((at.parse().ok()?, key.to_owned())));
    place.ok_or_else(Cursor::foreign)
}
