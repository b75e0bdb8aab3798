//! The folder as a registry: the suite of the port, and what only files can do.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use assay_contract::Code;
use assay_model::ids::DatasetId;
use assay_registry::conformance::{self, document};
use assay_registry::{Change, FolderRegistry, Precondition, Registry, RegistryError, watch};
use jiff::Timestamp;

fn open(folder: &Path) -> FolderRegistry {
    FolderRegistry::open(folder, Path::new("/"), Arc::new(Timestamp::now)).unwrap()
}

macro_rules! conforms {
    ($($case:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $case() {
            let folder = tempfile::tempdir().unwrap();
            let outcome = conformance::$case(&open(folder.path())).await;
            assert_eq!(outcome, Ok(()));
        }
    )+};
}

conforms!(
    what_is_put_can_be_got,
    a_change_of_another_version_is_a_conflict,
    an_invalid_document_is_refused,
    a_list_has_every_definition_in_order,
    a_retired_dataset_keeps_its_definition,
);

fn id(text: &str) -> DatasetId {
    DatasetId::new(text).unwrap()
}

#[tokio::test]
async fn a_bad_file_takes_no_other_down_and_keeps_its_last_good_version() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (
        folder.path().join("a.yaml"),
        folder.path().join("b.odcs.yaml"),
    );
    std::fs::write(&good, document("a", "")).unwrap();
    std::fs::write(&bad, document("b", "")).unwrap();
    let registry = open(folder.path());
    let before = registry.list().await.unwrap();
    assert_eq!(before.definitions.len(), 2);
    assert!(before.invalid.is_empty());

    std::fs::write(
        &bad,
        document("b", "").replace("status: active", "statsu: active"),
    )
    .unwrap();
    let during = registry.list().await.unwrap();
    assert_eq!(during.definitions.len(), 2);
    let kept = &during.definitions[1];
    assert!(kept.kept && kept.digest == before.definitions[1].digest);
    assert_eq!(during.invalid.len(), 1);
    let told = &during.invalid[0];
    assert_eq!(told.kept, Some((id("b"), before.definitions[1].since)));
    assert!(
        told.diagnostics
            .iter()
            .any(|d| d.code == Code::UnknownKey && d.line == 6)
    );

    std::fs::write(&bad, document("b", "mended")).unwrap();
    let after = registry.list().await.unwrap();
    assert!(after.invalid.is_empty() && !after.definitions[1].kept);
    assert_ne!(after.definitions[1].digest, kept.digest);

    std::fs::remove_file(&bad).unwrap();
    assert_eq!(registry.list().await.unwrap().definitions.len(), 1);
}

#[tokio::test]
async fn two_files_of_one_dataset_name_each_other_and_the_first_stays_in_force() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("z.yaml"), document("orders", "first")).unwrap();
    let registry = open(folder.path());
    std::fs::write(folder.path().join("a.yaml"), document("orders", "second")).unwrap();
    let listing = registry.list().await.unwrap();
    assert_eq!(listing.definitions.len(), 1);
    assert!(listing.definitions[0].origin.ends_with("z.yaml"));
    assert_eq!(listing.invalid.len(), 2);
    for (file, other) in [(0, "z.yaml"), (1, "a.yaml")] {
        let told = listing.invalid[file].diagnostics.last().unwrap();
        assert_eq!(told.code, Code::DuplicateDataset);
        assert!(told.message.contains(other), "{told}");
    }
    // Started with both, neither can claim to be the one.
    let fresh = open(folder.path()).list().await.unwrap();
    assert!(fresh.definitions.is_empty());
    assert_eq!(fresh.invalid.len(), 2);
    // Without the other, the one that is left is in force.
    std::fs::remove_file(folder.path().join("z.yaml")).unwrap();
    let left = registry.list().await.unwrap();
    assert!(left.invalid.is_empty() && left.definitions[0].origin.ends_with("a.yaml"));
}

#[tokio::test]
async fn a_file_of_an_unsupported_source_is_told_apart_from_an_invalid_one() {
    let folder = tempfile::tempdir().unwrap();
    let text = "apiVersion: v3.1.0\nkind: DataContract\nid: k\nversion: 1.0.0\nstatus: active\n\
                servers: [{ server: a, type: kafka, host: example }]\n";
    std::fs::write(folder.path().join("k.yaml"), text).unwrap();
    std::fs::write(folder.path().join("x.yaml"), b"\xff\xfe").unwrap();
    std::fs::write(folder.path().join("notes.txt"), "not a dataset").unwrap();
    let listing = open(folder.path()).list().await.unwrap();
    assert_eq!(listing.invalid.len(), 2);
    assert!(listing.invalid[0].is_only_unsupported());
    assert!(!listing.invalid[1].is_only_unsupported());
}

#[tokio::test]
async fn an_edit_by_hand_makes_a_put_of_the_old_version_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path());
    let put = registry
        .put(&document("orders", "1"), Precondition::Absent)
        .await
        .unwrap();
    std::fs::write(&put.origin, document("orders", "by hand")).unwrap();
    let refused = registry
        .put(&document("orders", "2"), Precondition::Digest(put.digest))
        .await;
    assert!(matches!(refused, Err(RegistryError::Conflict(_))));
    let got = registry.get(&id("orders")).await.unwrap().unwrap();
    assert!(got.text.contains("by hand"));
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["orders.odcs.yaml"], "nothing is left beside it");
}

#[tokio::test]
async fn many_who_put_the_same_new_dataset_leave_one_winner() {
    let folder = tempfile::tempdir().unwrap();
    let mut tasks = Vec::new();
    for no in 0..8 {
        // Registries of their own, as processes of their own would have.
        let registry = open(folder.path());
        tasks.push(tokio::spawn(async move {
            registry
                .put(&document("orders", &no.to_string()), Precondition::Absent)
                .await
        }));
    }
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert!(matches!(error, RegistryError::Conflict(_)), "{error}"),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_watch_tells_all_at_first_and_then_each_change_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    std::fs::write(&path, document("a", "1")).unwrap();
    let registry = open(folder.path());
    let mut changes = watch(Arc::new(registry), Duration::from_millis(20));
    let mut next = async || {
        tokio::time::timeout(Duration::from_secs(20), changes.recv())
            .await
            .unwrap()
            .unwrap()
    };
    assert!(matches!(next().await.as_slice(), [Change::Defined(d)] if d.text.contains("# 1")));
    // The same size within the same instant is seen too.
    std::fs::write(&path, document("a", "2")).unwrap();
    assert!(matches!(next().await.as_slice(), [Change::Defined(d)] if d.text.contains("# 2")));
    std::fs::write(&path, document("a", "2").replace("kind", "knid")).unwrap();
    assert!(matches!(next().await.as_slice(), [Change::Invalid(f)] if f.kept.is_some()));
    std::fs::write(&path, document("a", "2")).unwrap();
    assert!(matches!(next().await.as_slice(), [Change::Mended { .. }]));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(next().await.as_slice(), [Change::Removed(gone)] if *gone == id("a")));
}
