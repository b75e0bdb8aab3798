//! What is too often, too big or too slow.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stage::{OPEN, Stage, client, json};

/// Sends raw bytes and reads what comes back until the other end closes.
async fn raw(stage: &Stage, sent: &[u8], patience: Duration) -> Option<String> {
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(patience, stream.read_to_end(&mut answer)).await;
    read.ok()?.ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn a_quota_that_is_used_up_says_when_to_ask_again() {
    let text = format!("{OPEN}[quotas]\nanonymous = {{ per_second = 1, burst = 3 }}");
    let stage = Stage::start(&text).await;
    for _ in 0..3 {
        assert_eq!(stage.get("/api/v1/datasets").await.status(), 200);
    }
    let refused = stage.get("/api/v1/datasets").await;
    assert_eq!(refused.status(), 429);
    let after: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let problem = json(refused).await;
    assert_eq!(problem["type"], "/problems/rate-limited");
    assert_eq!(problem["limit"], 1);
    assert_eq!(problem["instance"], "/api/v1/datasets");
    let ms = problem["retryAfterMs"].as_u64().unwrap();
    assert!(
        (1..=1_000).contains(&ms) && after == 1,
        "{ms} ms, {after} s"
    );
    let labels = [("scope", "client"), ("route", "/api/v1/datasets")];
    let exceeded = stage
        .telemetry
        .value("assay_rate_limit_exceeded_total", &labels);
    assert_eq!(exceeded, Some(1.0));
    let labels = [("reason", "rate_limited")];
    let rejected = stage
        .telemetry
        .value("assay_requests_rejected_total", &labels);
    assert_eq!(rejected, Some(1.0));
    assert_eq!(
        stage.get("/livez").await.status(),
        200,
        "supervisors are not counted"
    );
    tokio::time::sleep(Duration::from_millis(ms)).await;
    assert_eq!(
        stage.get("/api/v1/datasets").await.status(),
        200,
        "as it was told"
    );
}

#[tokio::test]
async fn a_client_behind_our_balancer_is_itself_and_one_that_claims_so_is_not() {
    let quota = "[quotas]\nanonymous = { per_second = 1, burst = 1 }";
    let trusting = format!("{OPEN}trusted_proxies = ['127.0.0.0/8']\n{quota}");
    let stage = Stage::start(&trusting).await;
    let from = async |stage: &Stage, address: &str| {
        let asked = client().get(stage.url("/api/v1/datasets"));
        let asked = asked.header("x-forwarded-for", address);
        asked.send().await.unwrap().status().as_u16()
    };
    assert_eq!(from(&stage, "198.51.100.1").await, 200);
    assert_eq!(from(&stage, "198.51.100.2").await, 200);
    assert_eq!(from(&stage, "198.51.100.1").await, 429);
    assert_eq!(
        from(&stage, "203.0.113.7, 198.51.100.1").await,
        429,
        "what it added itself"
    );
    let stage = Stage::start(&format!("{OPEN}{quota}")).await;
    assert_eq!(from(&stage, "198.51.100.1").await, 200);
    assert_eq!(from(&stage, "198.51.100.2").await, 429);
}

const LIMITS: &str = "[limits]\nbody_bytes = 1000\nhead_seconds = 1\nbody_seconds = 3\n\
     body_idle_seconds = 1\nhead_bytes = 8192\n";

#[tokio::test]
async fn a_body_that_is_too_big_is_cut_whether_it_says_so_or_not() {
    let stage = Stage::start(LIMITS).await;
    let put = async |body: reqwest::Body| {
        let asked = client()
            .put(stage.url("/api/v1/datasets/orders"))
            .body(body);
        asked.send().await.unwrap()
    };
    let whole = put("x".repeat(1_000).into()).await;
    assert_eq!(whole.status(), 200);
    assert_eq!(whole.text().await.unwrap(), "local orders 1000");
    let refused = put("x".repeat(1_001).into()).await;
    assert_eq!(refused.status(), 413);
    assert_eq!(json(refused).await["limit"], 1_000);
    let mut chunks = "PUT /api/v1/datasets/orders HTTP/1.1\r\nHost: localhost\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
        .to_owned();
    for _ in 0..3 {
        chunks.push_str(&format!("190\r\n{}\r\n", "x".repeat(400)));
    }
    let answer = raw(&stage, chunks.as_bytes(), Duration::from_secs(5)).await;
    assert!(answer.unwrap().starts_with("HTTP/1.1 413 "));
    // It says that it will send 10 GB, and is refused before it does.
    let huge = "PUT /api/v1/datasets/orders HTTP/1.1\r\nHost: localhost\r\n\
         Content-Length: 10000000000\r\n\r\n";
    let answer = raw(&stage, huge.as_bytes(), Duration::from_secs(5)).await;
    assert!(answer.unwrap().starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn clients_that_trickle_are_cut_and_hold_nobody_up() {
    let stage = Stage::start(&format!("{LIMITS}[queue]\nin_flight = 1\nwaiting = 1")).await;
    let head = "PUT /api/v1/datasets/orders HTTP/1.1\r\nHost: localhost\r\n";
    let body = format!("{head}Content-Length: 100\r\n\r\n0123456789");
    let part = format!("{head}X-A: ");
    let began = Instant::now();
    let long = Duration::from_secs(10);
    let silent = raw(&stage, b"", long);
    let headless = raw(&stage, part.as_bytes(), long);
    let bodiless = raw(&stage, body.as_bytes(), long);
    let others = async {
        // More than there are places, none of which a slow body holds.
        for _ in 0..20 {
            assert_eq!(stage.get("/api/v1/datasets").await.status(), 200);
        }
    };
    let (silent, headless, bodiless, ()) = tokio::join!(silent, headless, bodiless, others);
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(silent.as_deref(), Some(""), "it was closed without a word");
    let headless = headless.unwrap();
    assert!(
        headless.is_empty() || headless.starts_with("HTTP/1.1 408 "),
        "{headless}"
    );
    assert!(bodiless.unwrap().starts_with("HTTP/1.1 408 "));
    let labels = [("reason", "invalid")];
    let rejected = stage
        .telemetry
        .value("assay_requests_rejected_total", &labels);
    assert_eq!(rejected, Some(1.0));
}

#[tokio::test]
async fn a_head_that_is_too_big_is_refused() {
    let stage = Stage::start(LIMITS).await;
    let head = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    let answer = raw(&stage, head.as_bytes(), Duration::from_secs(5))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn streams_are_bounded_and_hold_no_place() {
    let text = "[queue]\nin_flight = 1\nwaiting = 1\n[limits]\nstreams_each = 3\n";
    let stage = Stage::start(text).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = stage.get("/api/v1/events").await;
        assert_eq!(stream.status(), 200);
        assert!(stream.chunk().await.unwrap().is_some(), "it has begun");
        open.push(stream);
    }
    let refused = stage.get("/api/v1/events").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(json(refused).await["type"], "/problems/too-many-streams");
    assert_eq!(
        stage.get("/api/v1/datasets").await.status(),
        200,
        "there are places"
    );
    drop(open.pop());
    let until = Instant::now() + Duration::from_secs(10);
    while stage.get("/api/v1/events").await.status() != 200 {
        assert!(
            Instant::now() < until,
            "a stream that ended is still counted"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn requests_are_measured_by_route_and_never_by_path() {
    let stage = Stage::start("").await;
    for id in ["orders", "leads", "never"] {
        stage.get(&format!("/api/v1/datasets/{id}")).await;
        stage.get(&format!("/nothing/{id}")).await;
    }
    let series = stage.telemetry.render();
    assert!(
        !series.contains("orders") && !series.contains("/nothing/"),
        "{series}"
    );
    let labels = |route, status| {
        [
            ("http_request_method", "GET"),
            ("http_route", route),
            ("http_response_status_code", status),
            ("url_scheme", "http"),
        ]
    };
    let seen = |route, status| {
        let name = "http_server_request_duration_seconds";
        stage.telemetry.observations(name, &labels(route, status))
    };
    assert_eq!(seen("/api/v1/datasets/{id}", "200"), 2);
    assert_eq!(seen("/api/v1/datasets/{id}", "404"), 1);
    assert_eq!(seen("unmatched", "404"), 3);
    assert_eq!(
        stage.telemetry.value("http_server_active_requests", &[]),
        Some(0.0)
    );
}

#[tokio::test]
async fn one_address_does_not_take_all_connections() {
    let stage = Stage::start("[limits]\nconnections_each = 3").await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        let asked = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(asked).await.unwrap();
        let mut begun = [0; 8];
        stream.read_exact(&mut begun).await.unwrap();
        held.push(stream);
    }
    let refused = raw(&stage, b"", Duration::from_secs(5)).await;
    assert_eq!(refused.as_deref(), Some(""), "it is closed at once");
    let labels = [("reason", "rate_limited")];
    let rejected = stage
        .telemetry
        .value("assay_requests_rejected_total", &labels);
    assert_eq!(rejected, Some(1.0));
    drop(held);
    let until = Instant::now() + Duration::from_secs(10);
    let livez = stage.url("/livez");
    while client().get(&livez).send().await.is_err() {
        assert!(
            Instant::now() < until,
            "connections that ended are still counted"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn handlers_say_their_route_and_are_told_who_asks_in_their_own_words() {
    let stage = Stage::start(OPEN).await;
    let told = stage.get("/api/v1/datasets/orders/tell").await;
    assert_eq!(told.text().await.unwrap(), "subscriber:* (read)");
    let labels = [
        ("http_request_method", "GET"),
        ("http_route", "/api/v1/datasets/{id}:tell"),
        ("http_response_status_code", "200"),
        ("url_scheme", "http"),
    ];
    let name = "http_server_request_duration_seconds";
    assert_eq!(stage.telemetry.observations(name, &labels), 1);
}
