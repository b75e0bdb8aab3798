//! The agenda in memory: the suite of the port, and what comes from the store.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use assay_model::ids::DatasetId;
use assay_registry::conformance::agenda::{self as conformance, Spoil, Subject, noon};
use assay_registry::conformance::document;
use assay_registry::{
    Agenda, Cursor, FolderRegistry, Look, Marked, MemoryAgenda, Policy, Precondition, Registry,
    RegistryError, Watermarks,
};
use async_trait::async_trait;
use jiff::Timestamp;

#[derive(Default)]
struct Truth {
    known: Mutex<BTreeMap<DatasetId, Timestamp>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Watermarks for Truth {
    async fn emitted_through(&self, id: &DatasetId) -> Result<Option<Timestamp>, RegistryError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(self.known.lock().unwrap().get(id).copied())
    }
}

struct Folder(PathBuf);

#[async_trait]
impl Spoil for Folder {
    async fn spoil(&self, name: &str) {
        std::fs::write(self.0.join(format!("{name}.odcs.yaml")), "{ not: [yaml").unwrap();
    }
}

struct World {
    folder: tempfile::TempDir,
    registry: Arc<FolderRegistry>,
    truth: Arc<Truth>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Timestamp::now);
        let registry = FolderRegistry::open(folder.path(), Path::new("/"), clock).unwrap();
        Self {
            folder,
            registry: Arc::new(registry),
            truth: Arc::default(),
        }
    }

    fn agenda(&self) -> MemoryAgenda {
        MemoryAgenda::new(self.registry.clone(), self.truth.clone(), Policy::default())
    }

    async fn put(&self, name: &str) {
        let text = document(name, "");
        let put = self.registry.put(&text, Precondition::Absent).await;
        put.unwrap();
    }
}

macro_rules! conforms {
    ($($case:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $case() {
            let world = World::new();
            let subject = Subject {
                registry: &*world.registry,
                agenda: &world.agenda(),
                spoil: &Folder(world.folder.path().to_path_buf()),
            };
            assert_eq!(conformance::$case(&subject).await, Ok(()));
        }
    )+};
}

conforms!(
    a_new_definition_is_due_at_once,
    nothing_due_is_an_empty_page,
    pages_meet_every_due_entry_once,
    a_mark_never_moves_the_watermark_back,
    a_mark_that_was_overtaken_changes_nothing,
    a_new_definition_is_not_put_off_by_a_mark_of_the_old,
    a_retired_dataset_is_not_due,
    a_note_is_kept_and_cleared,
    what_nobody_can_read_is_met_and_hides_no_other,
);

fn id(text: &str) -> DatasetId {
    DatasetId::new(text).unwrap()
}

fn look(through: Timestamp, next_s: i64) -> Look {
    Look {
        through: Some(through),
        next: Some(Timestamp::from_second(next_s).unwrap()),
        ..Look::default()
    }
}

#[tokio::test]
async fn a_restart_takes_the_watermark_from_the_store() {
    let world = World::new();
    world.put("orders").await;
    world
        .truth
        .known
        .lock()
        .unwrap()
        .insert(id("orders"), noon());
    let page = world.agenda().due(noon(), None, 10).await.unwrap();
    assert_eq!(page.entries[0].emitted_through, Some(noon()));
}

#[tokio::test]
async fn what_another_has_emitted_overtakes_a_mark() {
    let world = World::new();
    world.put("orders").await;
    let agenda = world.agenda();
    let page = agenda.due(noon(), None, 10).await.unwrap();
    world
        .truth
        .known
        .lock()
        .unwrap()
        .insert(id("orders"), noon());
    agenda.entry(&id("orders")).await.unwrap();
    let marked = agenda.mark(&page.entries[0], &look(noon(), 0)).await;
    assert_eq!(marked.unwrap(), Marked::Overtaken);
}

#[tokio::test]
async fn those_due_longest_come_first_and_the_store_is_asked_about_them_alone() {
    let world = World::new();
    let agenda = world.agenda();
    for name in ["a", "b", "c", "d"] {
        world.put(name).await;
    }
    let page = agenda.due(noon(), None, 10).await.unwrap();
    let next = [30, 10, 20, i64::from(u32::MAX)];
    for (entry, next_s) in page.entries.iter().zip(next) {
        let marked = agenda.mark(entry, &look(noon(), next_s)).await.unwrap();
        assert_eq!(marked, Marked::Kept);
    }
    world.truth.asked.store(0, Ordering::Relaxed);
    let first = agenda.due(noon(), None, 2).await.unwrap();
    let second = agenda.due(noon(), first.next.as_ref(), 2).await.unwrap();
    let keys: Vec<&str> = [&first, &second]
        .iter()
        .flat_map(|page| page.entries.iter().map(|e| e.key.as_str()))
        .collect();
    assert_eq!(keys, ["b", "c", "a"]);
    assert_eq!(second.next, None);
    assert_eq!(world.truth.asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_dataset_that_is_gone_has_no_entry_and_cannot_be_marked() {
    let world = World::new();
    world.put("orders").await;
    let agenda = world.agenda();
    let page = agenda.due(noon(), None, 10).await.unwrap();
    std::fs::remove_file(world.folder.path().join("orders.odcs.yaml")).unwrap();
    let none: Option<Cursor> = None;
    assert!(
        agenda
            .due(noon(), none.as_ref(), 10)
            .await
            .unwrap()
            .entries
            .is_empty()
    );
    let marked = agenda
        .mark(&page.entries[0], &look(noon(), 0))
        .await
        .unwrap();
    assert_eq!(marked, Marked::Overtaken);
    assert!(agenda.entry(&id("orders")).await.unwrap().is_none());
}

#[tokio::test]
async fn the_policy_is_read_from_a_file_and_a_file_that_is_not_there_allows_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("owners.toml");
    assert_eq!(Policy::read(&path).unwrap(), Policy::default());
    std::fs::write(&path, "payments = [\"s3://lake/payments/\"]\n\"*\" = []\n").unwrap();
    let read = Policy::read(&path).unwrap();
    assert_eq!(read.owners["payments"], ["s3://lake/payments/"]);
    assert!(read.owners["*"].is_empty());
    // A typing error must not allow everything.
    std::fs::write(&path, "payments = \"s3://lake/payments/\"").unwrap();
    let error = Policy::read(&path).unwrap_err();
    assert!(error.to_string().contains("owners.toml"), "{error}");
    assert!(error.nothing_happened() && !error.is_worth_a_retry());
}
