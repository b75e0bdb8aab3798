//! Ten thousand datasets, of which few are due.

use std::time::Instant;

use assay_registry::conformance::agenda::noon;
use assay_registry::conformance::document;
use assay_registry::dynamodb::DynamoRegistry;
use assay_registry::{Agenda, Entry, Look, Marked, Precondition, Registry, digest};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use jiff::SignedDuration;

use crate::{Item, World, s};

/// Datasets that are put one by one.
const PUT: usize = 1_000;
/// Datasets in all; the others are copied, as a restore does.
const ALL: usize = 10_000;
/// Datasets that are due in the end.
const DUE: usize = 15;

fn name(no: usize) -> String {
    format!("dataset-{no:05}")
}

/// Runs `work` for `0..count`, 16 at once.
async fn at_once<F: Future<Output = ()> + Send + 'static>(count: usize, work: impl Fn(usize) -> F) {
    let mut tasks = tokio::task::JoinSet::new();
    for no in 0..count {
        if tasks.len() == 16 {
            tasks.join_next().await.unwrap().unwrap();
        }
        tasks.spawn(work(no));
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// The item of another dataset, made of one that was put.
fn copied(of: &Item, no: usize) -> Item {
    let (name, mut item) = (name(no), of.clone());
    let text = document(&name, "copied");
    let packed = zstd::encode_all(text.as_bytes(), 3).unwrap();
    item.insert("id".to_owned(), s(&name));
    item.insert("document".to_owned(), AttributeValue::B(Blob::new(packed)));
    item.insert("digest".to_owned(), s(&digest(&text)));
    let shard = xxhash_rust::xxh3::xxh3_64(name.as_bytes()) % 8;
    item.insert("due_shard".to_owned(), s(&shard.to_string()));
    let at = noon() + SignedDuration::from_hours(if no < PUT + DUE { -1 } else { 1 });
    item.insert("due_at".to_owned(), s(&format!("{at:.9}")));
    item
}

async fn seed(world: &World) {
    let of = world.item(&name(0)).await.unwrap();
    let batches = (ALL - PUT).div_ceil(25);
    at_once(batches, |batch| {
        let (client, table) = (world.client.clone(), world.table.clone());
        let begin = PUT + batch * 25;
        let requests: Vec<WriteRequest> = (begin..ALL.min(begin + 25))
            .map(|no| {
                let put = PutRequest::builder().set_item(Some(copied(&of, no)));
                WriteRequest::builder()
                    .put_request(put.build().unwrap())
                    .build()
            })
            .collect();
        async move {
            let call = client.batch_write_item().request_items(table, requests);
            let left = call.send().await.unwrap().unprocessed_items;
            assert!(left.is_none_or(|left| left.is_empty()));
        }
    })
    .await;
}

async fn all_due(registry: &DynamoRegistry) -> Vec<Entry> {
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        let page = registry.due(noon(), next.as_ref(), 100).await.unwrap();
        all.extend(page.entries);
        next = page.next;
        if next.is_none() {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tick_over_ten_thousand_datasets_reads_what_is_due_and_not_the_table() {
    let world = World::new().await;
    let began = Instant::now();
    at_once(PUT, |no| {
        let registry = world.registry.clone();
        async move {
            let text = document(&name(no), "");
            registry.put(&text, Precondition::Absent).await.unwrap();
        }
    })
    .await;
    let put = began.elapsed();
    let began = Instant::now();
    seed(&world).await;
    let seeded = began.elapsed();

    let began = Instant::now();
    let listing = world.registry.list().await.unwrap();
    let listed = began.elapsed();
    assert!(listing.invalid.is_empty(), "{:?}", listing.invalid.first());
    let names = listing.definitions.iter().map(|d| d.dataset.id.to_string());
    assert!(names.eq((0..ALL).map(name)));

    let began = Instant::now();
    let entries = all_due(&world.registry).await;
    let first = began.elapsed();
    assert_eq!(entries.len(), PUT + DUE);
    let began = Instant::now();
    at_once(PUT, |no| {
        let (registry, entry) = (world.registry.clone(), entries[no].clone());
        let hours = if entry.key < name(PUT) { 24 } else { -2 };
        let look = Look {
            through: Some(noon()),
            next: Some(noon() + SignedDuration::from_hours(hours)),
            ..Look::default()
        };
        async move {
            assert_eq!(registry.mark(&entry, &look).await.unwrap(), Marked::Kept);
        }
    })
    .await;
    let marked = began.elapsed();
    let open = entries[PUT..].iter().filter(|e| e.key < name(PUT)).count();

    let before = world.registry.usage();
    let began = Instant::now();
    let entries = all_due(&world.registry).await;
    let tick = began.elapsed();
    let after = world.registry.usage();
    assert_eq!(entries.len(), DUE + open);
    let due = (DUE + open) as u64;
    let requests = after.requests - before.requests;
    assert_eq!(
        after.items - before.items,
        2 * due,
        "a key and an item each"
    );
    assert!(requests <= 2 * 8 + due.min(8) + 2, "{requests} requests");
    println!(
        "10,000 datasets: {PUT} puts {put:.1?} ({:.0}/s), the rest copied in {seeded:.1?}, \
         list {listed:.1?}, a tick with {} due {first:.1?}, {PUT} marks {marked:.1?} ({:.0}/s), \
         a tick with {due} due {tick:.1?}: {requests} requests, {} items, {:.1} read units",
        PUT as f64 / put.as_secs_f64(),
        PUT + DUE,
        PUT as f64 / marked.as_secs_f64(),
        after.items - before.items,
        after.read_units - before.read_units,
    );
}
