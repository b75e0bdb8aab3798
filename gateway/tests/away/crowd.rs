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
    let queued = |queue: &str| scene.value("assay_store_questions_queued", &[("queue", queue)]);
    let turns = scene.value("assay_store_question_places", &[]);
    assert!(turns >= 1.0);
    // The store does not get to answer: whoever has a turn waits for it, and no more than one at a time
    // would be worked on if whoever waits kept a place.
    let locked = Locked::of(&scene.server, &scene.url, "verdict").await;
    let mut told = Vec::new();
    for n in (1_u32..).take_while(|n| f64::from(*n) <= turns + 3.0) {
        told.push(ask(&whole.subscriber, 20 + n));
        let asked = f64::from(n);
        let wait = (asked - turns).max(0.0);
        until("they have a turn, or wait for one", || {
            scene.value("http_server_active_requests", &[]) == asked && queued("subscriber") == wait
        })
        .await;
    }
    // Five times as many as there is room for: the same rank is refused, owners take its room.
    for n in 0..8 {
        let refused = ask(&whole.subscriber, 50 + n).await.unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.headers().contains_key("retry-after"));
        let problem = refused.text().await.unwrap();
        assert!(problem.contains("/problems/overloaded"), "{problem}");
    }
    // One turn is in hand for owners: the first of them waits for nobody.
    let mut owners = vec![ask(&whole.owner, 70)];
    until("an owner has a turn", || {
        let asked = scene.value("http_server_active_requests", &[]);
        asked == turns + 4.0 && queued("owner") == 0.0
    })
    .await;
    for n in 1..=3_u32 {
        owners.push(ask(&whole.owner, 70 + n));
        until("the owner waits", || {
            queued("owner") == f64::from(n) && queued("subscriber") == f64::from(3 - n)
        })
        .await;
    }
    drop(locked);
    for one in owners {
        assert_eq!(one.await.unwrap().status(), StatusCode::OK);
    }
    let mut answered = 0.0;
    for one in told {
        let status = one.await.unwrap().status();
        assert!(status == StatusCode::OK || status == StatusCode::SERVICE_UNAVAILABLE);
        answered += f64::from(u8::from(status == StatusCode::OK));
    }
    assert_eq!(answered, turns, "those that had a turn");
    let rejected = [("reason", "overloaded")];
    assert_eq!(
        scene.value("assay_requests_rejected_total", &rejected),
        11.0
    );
    let waited = "assay_store_question_queue_duration_seconds";
    assert_eq!(
        scene.telemetry.observations(waited, &[("queue", "owner")]),
        5
    );
    let text = scene.telemetry.render();
    for line in [
        "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_route=\"/api/v1/datasets/{dataset}/metrics/{metric}/points\",http_response_status_code=\"200\"",
        "http_response_status_code=\"503\"",
        "assay_store_questions_queued{queue=\"owner\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
