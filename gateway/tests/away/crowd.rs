//! More readers than can be served, before the gateway as it is: who is answered is a matter of rank,
//! not of time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::scene::{Locked, POINTS, Scene};

async fn until(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_answered_while_subscribers_are_sent_away() {
    let scene = Scene::new().await;
    scene.judge("2026-11-20").await;
    let whole = scene
        .whole("in_flight = 1\nwaiting = 3\npatience_ms = 60000")
        .await;
    let whole = Arc::new(whole);
    // Whose the dataset is is known once it was asked for.
    let first = whole.get(POINTS, &whole.owner).await;
    assert_eq!(first.status(), StatusCode::OK);
    let ask = |token: &str, most: u32| {
        let (whole, token) = (Arc::clone(&whole), token.to_owned());
        let path = format!("{POINTS}?maxPoints={most}");
        tokio::spawn(async move { whole.get(&path, &token).await })
    };
    let queued = |queue: &str| scene.value("assay_requests_queued", &[("queue", queue)]);
    let active = || scene.value("http_server_active_requests", &[]);
    // The store does not get to answer: whoever works waits for it.
    let locked = Locked::of(&scene.server, &scene.url, "verdict").await;
    let works = ask(&whole.subscriber, 11);
    until("one works", || active() == 1.0).await;
    let mut told: Vec<_> = Vec::new();
    for n in 1..=3 {
        told.push(ask(&whole.subscriber, 20 + n));
        until("they wait", || queued("subscriber") == f64::from(n)).await;
    }
    // Five times as many as there is room for: the same rank is refused, owners take its room.
    for n in 0..8 {
        let refused = ask(&whole.subscriber, 30 + n).await.unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key("retry-after"));
    }
    let mut owners = Vec::new();
    for n in 1..=3_u32 {
        owners.push(ask(&whole.owner, 40 + n));
        let shed = told.pop().unwrap().await.unwrap();
        assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
        until("the owner waits", || queued("owner") == f64::from(n)).await;
    }
    drop(locked);
    for one in owners {
        assert_eq!(one.await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(
        works.await.unwrap().status(),
        StatusCode::OK,
        "it had its place"
    );
    let rejected = [("reason", "overloaded")];
    assert_eq!(
        scene.value("assay_requests_rejected_total", &rejected),
        11.0
    );
    let waited = "assay_request_queue_duration_seconds";
    assert_eq!(
        scene.telemetry.observations(waited, &[("queue", "owner")]),
        4
    );
    let text = scene.telemetry.render();
    for line in [
        "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_route=\"/api/v1/datasets/{dataset}/metrics/{metric}/points\",http_response_status_code=\"200\"",
        "http_response_status_code=\"503\"",
        "assay_requests_queued{queue=\"owner\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
