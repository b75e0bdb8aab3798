//! Postgres stops under load and comes back: reads of what is known go on, and say how old they are.
//!
//! For 20 seconds, or `ASSAY_AWAY_SECONDS`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::scene::{CHECKS, POINTS, Scene, Whole};

const KNOWN: [&str; 7] = [
    POINTS,
    CHECKS,
    "/api/v1/datasets",
    "/api/v1/datasets/orders",
    "/api/v1/runs",
    "/datasets/orders",
    "/",
];
/// What pages say of their age.
const BANNER: &str = "The store does not answer. This is what was known";
const READERS: usize = 6;

/// What came of the reads of one path.
#[derive(Debug, Default)]
struct Seen {
    answers: u64,
    stale: u64,
    slowest: Duration,
}

/// Asks for everything that is known, over and over, until it is told to stop.
async fn read(whole: Arc<Whole>, stop: Arc<AtomicBool>) -> BTreeMap<&'static str, Seen> {
    let mut all: BTreeMap<&'static str, Seen> = BTreeMap::new();
    while !stop.load(Ordering::SeqCst) {
        for path in KNOWN {
            let begun = Instant::now();
            let answer = whole.get(path, &whole.subscriber).await;
            let seen = all.entry(path).or_default();
            seen.slowest = seen.slowest.max(begun.elapsed());
            seen.answers += 1;
            let told = answer.headers().contains_key("assay-stale");
            let status = answer.status();
            let text = answer.text().await.unwrap();
            seen.stale += u64::from(told || text.contains(BANNER));
            assert_eq!(status, StatusCode::OK, "{path}: {text}");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    all
}

/// The age that an answer tells, if it is not in force.
async fn age(whole: &Whole) -> Option<u64> {
    let answer = whole.get(POINTS, &whole.subscriber).await;
    let age = answer.headers().get("assay-stale")?;
    Some(age.to_str().unwrap().parse().unwrap())
}

/// Wishes are refused and answers grow older until `lasts` is over; the answer is how many wishes.
async fn away_for(whole: &Whole, away: Instant, lasts: Duration) -> usize {
    let (mut ages, mut refused) = (Vec::new(), 0);
    while away.elapsed() < lasts {
        let runs = "/api/v1/datasets/orders/runs";
        let wish = whole.post(runs, &whole.owner, "{}").await;
        let after = wish.headers().get("retry-after").cloned();
        let (status, text) = (wish.status(), wish.text().await.unwrap());
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
        assert!(after.is_some(), "when to come again: {text}");
        refused += 1;
        ages.extend(age(whole).await);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(ages.is_sorted(), "it grows older: {ages:?}");
    let told = ages.last().copied().unwrap_or(0);
    let after = away.elapsed();
    assert!(told + 5 >= after.as_secs(), "{told} s told after {after:?}");
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_of_what_is_known_go_on_while_postgres_is_stopped_under_load() {
    let lasts = std::env::var("ASSAY_AWAY_SECONDS").map_or(20, |text| text.parse().unwrap());
    let lasts = Duration::from_secs(lasts);
    let scene = Scene::new().await;
    scene.judge("2026-11-20").await;
    let whole = Arc::new(scene.whole("").await);
    for path in KNOWN {
        let answer = whole.get(path, &whole.subscriber).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let readers = (0..READERS).map(|_| tokio::spawn(read(Arc::clone(&whole), Arc::clone(&stop))));
    let readers: Vec<_> = readers.collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.server.stop();
    let away = Instant::now();
    let refused = away_for(&whole, away, lasts).await;
    let restart = Instant::now();
    scene.server.restart();
    let back = Instant::now();
    // What a client without a past needs at this moment, of the same machine.
    scene.server.sql(&scene.url, "SELECT 1");
    let yardstick = back.elapsed();
    while age(&whole).await.is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let fresh = back.elapsed();
    assert!(
        fresh < Duration::from_secs(1) + yardstick * 5,
        "in force {fresh:?} after the return, {yardstick:?} for one question"
    );
    stop.store(true, Ordering::SeqCst);
    for reader in readers {
        for (path, seen) in reader.await.unwrap() {
            assert!(seen.stale > 0, "{path} never told its age: {seen:?}");
            println!("{path}: {seen:?}");
        }
    }
    println!(
        "{refused} wishes refused; the server was up {:?} after its start, and answers were in force \
         {fresh:?} later",
        back - restart
    );
    scene.write_again().await;
    scene.judge("2026-11-21").await;
    let committed = Instant::now();
    loop {
        let answer = whole.get(POINTS, &whole.subscriber).await;
        let json: serde_json::Value =
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        if json["points"].as_array().unwrap().len() == 2 {
            break;
        }
        assert!(
            committed.elapsed() < Duration::from_secs(10),
            "a commit is not heard of"
        );
    }
}
