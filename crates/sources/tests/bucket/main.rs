//! Objects of a real S3 API: listings, pinned reads, identities, failures on the way, and what is
//! never connected to.

#![allow(clippy::unwrap_used)]

mod corpus;
mod listing;
mod proxy;
mod reads;
mod same;
mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use assay_model::dataset::{Format, FormatKind, Location, Source};
use assay_model::partition::ObjectRef;
use assay_model::source::{Bucket, BucketStore};
use assay_scan::error::ScanError;
use assay_scan::reach::{Access, RemoteObjects, Secret};
use assay_test_servers::ministack;
use assay_test_servers::s3::TestBucket;

/// A new bucket of the shared stand-in.
fn bucket() -> TestBucket {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    TestBucket::create(ministack::shared().port(), &format!("trips-{number}"))
}

/// A location in it, read at `endpoint`.
fn place(bucket: &str, path: &str, endpoint: &str) -> Bucket {
    Bucket {
        store: BucketStore::S3,
        name: bucket.to_owned(),
        path: path.to_owned(),
        region: Some(ministack::REGION.to_owned()),
        endpoint: Some(endpoint.to_owned()),
        account: None,
        role: None,
        external_id: None,
    }
}

fn source(bucket: Bucket) -> Source {
    Source {
        server: "lake".to_owned(),
        location: Location::Bucket(bucket),
        format: Format::of(FormatKind::Csv),
        credential: Some("env:KEY".parse().unwrap()),
    }
}

/// The user's access, with a key.
fn access() -> Access {
    Access {
        secrets: [("env:KEY".to_owned(), Secret::new("test:test"))].into(),
        ..Access::default()
    }
}

const MEMORY: u64 = 64 << 20;

fn open_at(bucket: &str, path: &str, endpoint: &str) -> Result<Arc<dyn RemoteObjects>, ScanError> {
    let source = source(place(bucket, path, endpoint));
    assay_sources::reach(access()).objects(&source, MEMORY)
}

fn open(bucket: &TestBucket, path: &str) -> Arc<dyn RemoteObjects> {
    open_at(&bucket.name, path, &ministack::shared().url()).unwrap()
}

fn list(objects: &dyn RemoteObjects) -> (Vec<ObjectRef>, Vec<ScanError>) {
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    for item in objects.list("") {
        match item {
            Ok(object) => found.push(object),
            Err(error) => refused.push(error),
        }
    }
    (found, refused)
}

fn read(objects: &dyn RemoteObjects, object: &ObjectRef) -> Result<Vec<u8>, ScanError> {
    let reader = objects.open(object)?;
    let mut bytes = vec![0; usize::try_from(object.size).unwrap()];
    reader.read_exact_at(0, &mut bytes)?;
    reader.verify_unchanged()?;
    Ok(bytes)
}
