//! More requests than can be served: who goes first and who is sent away, by order and not by time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_guard::principal::Scope;

use crate::stage::{Stage, json, tokens};

/// Waits until it is so.
async fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn waiting(stage: &Stage, queue: &str) -> f64 {
    let labels = [("queue", queue)];
    stage
        .telemetry
        .value("assay_requests_queued", &labels)
        .unwrap_or(0.0)
}

#[tokio::test]
async fn owners_go_first_and_the_lowest_are_sent_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    let texts = tokens(
        &path,
        &[
            (&["owner:payments"], Scope::Read),
            (&["subscriber:*"], Scope::Read),
            (&["owner:sales", "subscriber:payments"], Scope::Read),
        ],
    );
    let text = format!(
        "[identity]\nmode = 'credentials'\ntokens = '{}'\nanonymous = ['subscriber:*']\n\
         [queue]\nin_flight = 1\nwaiting = 3\npatience_ms = 60000",
        path.display()
    );
    let stage = Arc::new(Stage::start(&text).await);
    let ask = |token: Option<&str>| {
        let (stage, token) = (Arc::clone(&stage), token.map(str::to_owned));
        tokio::spawn(async move {
            let path = "/api/v1/datasets/orders/slow";
            match token {
                Some(token) => stage.ask("GET", path, &token).await,
                None => stage.get(path).await,
            }
        })
    };
    let (owner, subscriber, stranger) = (Some(&*texts[0]), Some(&*texts[1]), Some(&*texts[2]));
    let first = ask(None);
    until("one works", || {
        stage.telemetry.value("http_server_active_requests", &[]) == Some(1.0)
    })
    .await;
    // Three wait: two without a name, and one who owns another dataset.
    let mut anonymous = Vec::new();
    for n in 1..=2 {
        anonymous.push(ask(None));
        until("it waits", || waiting(&stage, "anonymous") == f64::from(n)).await;
    }
    let other = ask(stranger);
    until("it waits", || waiting(&stage, "subscriber") == 1.0).await;
    // The queue is full: one more without a name is refused, and a subscriber takes its room.
    let refused = ask(None).await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(json(refused).await["type"], "/problems/overloaded");
    let told = ask(subscriber);
    let shed = anonymous.pop().unwrap().await.unwrap();
    assert_eq!(shed.status(), 503, "the last of the lowest");
    let owns = ask(owner);
    let shed = anonymous.pop().unwrap().await.unwrap();
    assert_eq!(shed.status(), 503);
    until("it waits", || waiting(&stage, "owner") == 1.0).await;
    // Another owner takes the room of the last subscriber.
    let also = ask(owner);
    let shed = told.await.unwrap();
    assert_eq!(shed.status(), 503);
    assert!(
        json(shed).await["detail"]
            .as_str()
            .unwrap()
            .contains("owners go first")
    );
    until("they wait", || waiting(&stage, "owner") == 2.0).await;
    // No lower rank is left below a subscriber that arrives.
    assert_eq!(ask(subscriber).await.unwrap().status(), 503);
    // One place after the other becomes free: the owners have theirs first.
    stage.permits.add_permits(1);
    assert_eq!(first.await.unwrap().status(), 200);
    stage.permits.add_permits(1);
    assert_eq!(owns.await.unwrap().status(), 200);
    stage.permits.add_permits(1);
    assert_eq!(also.await.unwrap().status(), 200);
    assert!(!other.is_finished(), "it is the last");
    stage.permits.add_permits(1);
    assert_eq!(other.await.unwrap().status(), 200);
    let labels = [("reason", "overloaded")];
    let rejected = stage
        .telemetry
        .value("assay_requests_rejected_total", &labels);
    assert_eq!(rejected, Some(5.0));
    let name = "assay_request_queue_duration_seconds";
    assert_eq!(stage.telemetry.observations(name, &[("queue", "owner")]), 2);
}

#[tokio::test]
async fn a_gateway_that_stops_says_so_first_and_ends_what_it_began() {
    let mut stage = Stage::start("").await;
    let path = "/api/v1/datasets/orders/slow";
    let url = stage.url(path);
    let begun = tokio::spawn(async move { crate::stage::client().get(url).send().await.unwrap() });
    until("it works", || {
        stage.telemetry.value("http_server_active_requests", &[]) == Some(1.0)
    })
    .await;
    assert_eq!(stage.get("/readyz").await.status(), 200);
    stage.stop();
    until("it is announced", || !stage.guard.is_ready()).await;
    assert_eq!(stage.get("/readyz").await.status(), 503);
    assert_eq!(stage.get("/livez").await.status(), 200);
    let served = stage.get("/api/v1/datasets").await;
    assert_eq!(
        served.status(),
        200,
        "while balancers take notice, it serves"
    );
    assert_eq!(served.headers()["connection"], "close");
    let end = Instant::now() + Duration::from_secs(10);
    let refused = loop {
        let answer = stage.get("/api/v1/datasets").await;
        if answer.status() != 200 {
            break answer;
        }
        assert!(Instant::now() < end, "it never refuses");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(refused.status(), 503);
    assert_eq!(json(refused).await["type"], "/problems/draining");
    stage.permits.add_permits(1);
    assert_eq!(
        begun.await.unwrap().status(),
        200,
        "what was begun has its answer"
    );
    stage.ended().await;
}
