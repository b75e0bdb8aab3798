//! What is kept: seen anew after a commit, told with its age while the store is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::Value;

use crate::scene::{CHECKS, Locked, POINTS, Scene, served};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_seen_at_once_and_kept_until_then() {
    let scene = Scene::new().await;
    scene.judge("2026-11-20").await;
    let served = served(&scene, scene.gateway()).await;
    assert_eq!(served.points().await, 1);
    let reads = |outcome: &str| {
        let labels = [("outcome", outcome)];
        scene
            .telemetry
            .value("assay_gateway_reads_total", &labels)
            .unwrap_or(0.0)
    };
    // What was read before commits are heard of is read once more.
    let begun = Instant::now();
    loop {
        let before = reads("miss");
        assert_eq!(served.points().await, 1);
        if reads("miss") == before {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "never kept");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (loaded, hits) = (reads("miss"), reads("hit"));
    for _ in 0..50 {
        assert_eq!(served.points().await, 1);
    }
    assert!(reads("hit") >= hits + 50.0);
    // What is brief by itself may have been read again, what is told of was not.
    assert!(
        reads("miss") <= loaded + 5.0,
        "{} reads",
        reads("miss") - loaded
    );
    for (n, day) in (2..).zip(["2026-11-21", "2026-11-22", "2026-11-23"]) {
        scene.judge(day).await;
        let committed = Instant::now();
        while served.points().await != n {
            let waited = committed.elapsed();
            assert!(
                waited < Duration::from_secs(10),
                "not seen after {waited:?}"
            );
        }
        println!(
            "seen {:?} after the commit was answered",
            committed.elapsed()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_told_with_its_age_while_the_store_is_away() {
    let scene = Scene::new().await;
    scene.judge("2026-11-20").await;
    let served = served(&scene, scene.gateway()).await;
    let paths = [
        POINTS,
        CHECKS,
        "/api/v1/datasets",
        "/api/v1/datasets/orders",
        "/api/v1/runs",
    ];
    for path in paths {
        let (response, json) = served.ask(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}: {json}");
    }
    scene.server.stop();
    let away = Instant::now();
    let (mut slowest, mut asked, mut stale) = (Duration::ZERO, 0, 0);
    while away.elapsed() < Duration::from_secs(4) {
        for path in paths {
            let begun = Instant::now();
            let (response, json) = served.ask(path).await;
            slowest = slowest.max(begun.elapsed());
            assert_eq!(response.status(), StatusCode::OK, "{path}: {json}");
            assert!(json["asOf"].is_string());
            stale += usize::from(response.headers().get("assay-stale").is_some());
            asked += 1;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(asked >= 40, "{asked} reads within four seconds");
    assert!(
        stale * 2 > asked,
        "{stale} of {asked} answers told their age"
    );
    // What was never asked for is not made up.
    let (response, json) = served.ask(&format!("{CHECKS}/rows_exist/results")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{json}");
    assert!(response.headers().get("retry-after").is_some());
    scene.server.restart();
    let back = Instant::now();
    loop {
        let (response, _) = served.ask(POINTS).await;
        if response.headers().get("assay-stale").is_none() {
            break;
        }
        assert!(back.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!(
        "{asked} reads while away, {stale} with their age, slowest {slowest:?}; in force {:?} after the return",
        back.elapsed()
    );
    scene.write_again().await;
    scene.judge("2026-11-21").await;
    let committed = Instant::now();
    while served.points().await != 2 {
        assert!(
            committed.elapsed() < Duration::from_secs(10),
            "a commit is not heard of"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_shown_the_old_after_somebody_saw_the_new() {
    let scene = Scene::new().await;
    scene.judge("2026-11-01").await;
    let served = Arc::new(served(&scene, scene.gateway()).await);
    // The most partitions that any answer so far has had.
    let newest = Arc::new(AtomicUsize::new(served.points().await));
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (served, newest) = (Arc::clone(&served), Arc::clone(&newest));
            tokio::spawn(async move {
                let mut asked = 0_u32;
                while newest.load(Ordering::SeqCst) < 12 {
                    let before = newest.load(Ordering::SeqCst);
                    let (response, json) = served.ask(POINTS).await;
                    assert_eq!(response.status(), StatusCode::OK, "{json}");
                    let points = json["points"].as_array().unwrap().len();
                    assert!(points >= before, "{points} after {before}: {response:?}");
                    newest.fetch_max(points, Ordering::SeqCst);
                    asked += 1;
                    tokio::task::yield_now().await;
                }
                asked
            })
        })
        .collect();
    for day in 2..=12 {
        scene.judge(&format!("2026-11-{day:02}")).await;
    }
    let mut asked = 0;
    for reader in readers {
        let ended = tokio::time::timeout(Duration::from_secs(60), reader).await;
        asked += ended.expect("the last commit is seen").unwrap();
    }
    println!("{asked} answers, none older than one before it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_who_miss_the_same_are_one_question_to_the_store() {
    let scene = Scene::new().await;
    scene.judge("2026-11-20").await;
    let served = Arc::new(served(&scene, scene.gateway()).await);
    // What answers are made of is known; the answer itself is not.
    assert_eq!(served.points().await, 1);
    let url = scene.url.clone();
    let sql = |text: &str| scene.server.sql(&url, text);
    let locked = Locked::of(&scene.server, &url, "verdict").await;
    let misses = scene.value("assay_gateway_reads_total", &[("outcome", "miss")]);
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let served = Arc::clone(&served);
            let path = format!("{POINTS}?maxPoints=50");
            tokio::spawn(async move { served.ask(&path).await })
        })
        .collect();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND state = 'active' AND wait_event_type = 'Lock'";
    let begun = Instant::now();
    while sql(waits) != "1" {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "nobody asks the store"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Everybody has had the time to ask for themselves.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(sql(waits), "1", "one asks for all");
    drop(locked);
    for one in asking {
        let (response, json) = one.await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{json}");
        assert!(response.headers().get("assay-stale").is_none());
    }
    let more = scene.value("assay_gateway_reads_total", &[("outcome", "miss")]) - misses;
    // Besides the answer itself: listings, which hold for seconds only.
    assert!(more <= 6.0, "{more} reads for a hundred");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_very_bytes_is_not_sent_them_again() {
    let scene = Scene::new().await;
    scene.judge("2026-11-20").await;
    let served = served(&scene, scene.gateway()).await;
    for path in [POINTS, CHECKS] {
        // What was told of the commit may come after the first answer, and have it read once more.
        let (mut tries, until) = (0, Instant::now() + Duration::from_secs(5));
        let (tag, json, again, none) = loop {
            let (first, json) = served.ask(path).await;
            let tag = first.headers()["etag"].clone();
            let (again, none) = served.ask_with(path, "if-none-match", &tag).await;
            if again.status() == StatusCode::NOT_MODIFIED {
                break (tag, json, again, none);
            }
            tries += 1;
            assert!(Instant::now() < until, "{path}: sent again {tries} times");
        };
        assert_eq!(
            (again.headers()["etag"].clone(), none),
            (tag.clone(), Value::Null)
        );
        let other = http::HeaderValue::from_static("\"0\", W/\"1\"");
        let (all, same) = served.ask_with(path, "if-none-match", &other).await;
        assert_eq!((all.status(), same), (StatusCode::OK, json), "{path}");
    }
    let (first, _) = served.ask(POINTS).await;
    let tag = first.headers()["etag"].clone();
    scene.judge("2026-11-21").await;
    let begun = Instant::now();
    while served.points().await != 2 {
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    let (changed, _) = served.ask_with(POINTS, "if-none-match", &tag).await;
    assert_eq!(changed.status(), StatusCode::OK, "it is another answer");
}
