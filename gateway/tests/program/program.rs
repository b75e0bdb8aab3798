//! The program before a whole cluster: credentials, rights, quotas, the audit log, its end.

use std::time::{Duration, Instant};

use assay_guard::principal::Scope;

use crate::stage::{Stage, blocking, json};

const GUARD: &str = "[identity]
mode = 'credentials'
tokens = 'TOKENS'
[quotas]
principal = { per_second = 5, burst = 30 }
";
const RUNS: &str = "/api/v1/datasets/orders/runs";
const OPERATOR: Option<usize> = Some(0);
const PAYMENTS: Option<usize> = Some(1);
const LOOKS: Option<usize> = Some(2);

async fn begin() -> Stage {
    let roles: crate::stage::Roles<'_> = &[
        (&["operator"], Scope::Write),
        (&["owner:payments"], Scope::Write),
        (&["owner:payments"], Scope::Read),
    ];
    let more = [("ASSAY_GATEWAY_ANNOUNCE_S", "2")];
    Stage::before_a_manager(GUARD, roles, &more).await
}

/// Each gets what is its own, and a stranger nothing.
async fn doors(stage: &Stage) {
    for path in [
        "/api/v1/datasets",
        "/api/v1/datasets/orders",
        "/api/v1/datasets/nothing",
        "/api/v1/status",
        "/metrics",
        "/",
    ] {
        let refused = stage.get(path, None).await;
        assert_eq!(refused.status(), 401, "{path}");
        assert!(refused.headers().contains_key("www-authenticate"));
        assert_eq!(json(refused).await["type"], "/problems/unauthorized");
    }
    let wrong = stage.client.get(stage.url("/api/v1/datasets"));
    let wrong = wrong.bearer_auth(format!("{}0", stage.tokens[0]));
    assert_eq!(wrong.send().await.unwrap().status(), 401);
    for (token, seen) in [(OPERATOR, 2), (PAYMENTS, 1), (LOOKS, 1)] {
        let list = json(stage.get("/api/v1/datasets", token).await).await;
        assert_eq!(list["items"].as_array().unwrap().len(), seen, "{list}");
    }
    let theirs = stage.get("/api/v1/datasets/orders", PAYMENTS).await;
    assert_eq!(theirs.status(), 200);
    // What belongs to somebody else is answered as what is not there.
    let mut answers = Vec::new();
    for name in ["leads", "nothing"] {
        let answer = stage
            .get(&format!("/api/v1/datasets/{name}"), PAYMENTS)
            .await;
        assert_eq!(answer.status(), 404, "{name}");
        answers.push(answer.text().await.unwrap().replace(name, "NAME"));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(stage.get("/metrics", PAYMENTS).await.status(), 403);
    assert_eq!(stage.get("/metrics", OPERATOR).await.status(), 200);
    let page = stage.get("/datasets/orders", PAYMENTS).await;
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("orders"));
}

/// A change is on record with who made it, and what came of it.
async fn changes(stage: &Stage) {
    assert_eq!(stage.post(RUNS, None, "{}").await.status(), 401);
    assert_eq!(stage.post(RUNS, LOOKS, "{}").await.status(), 403);
    let leads = "/api/v1/datasets/leads/runs";
    assert_eq!(stage.post(leads, PAYMENTS, "{}").await.status(), 404);
    let begun = stage.post(RUNS, PAYMENTS, "{}").await;
    assert_eq!(begun.status(), 202);
    let run = json(begun).await["runId"].as_str().unwrap().to_owned();
    let known = stage.sql("SELECT run_word(id) FROM run");
    assert_eq!(known.trim(), run);
    let entries = "SELECT concat_ws(' ', who, stage, split_part(action, ' ', 1), object, \
                   detail::jsonb ->> 'status') FROM audit_log ORDER BY seq";
    let entries = stage.sql(entries);
    let entries: Vec<&str> = entries.lines().collect();
    let who = &stage.tokens[1].split('_').nth(1).unwrap();
    let expected = [
        format!("tok_{who} asked POST {leads}"),
        format!("tok_{who} failed POST {leads} 404"),
        format!("tok_{who} asked POST {RUNS}"),
        format!("tok_{who} done POST {RUNS} 202"),
    ];
    assert_eq!(entries, expected);
}

/// Whoever asks too often is told when to come back, and nobody else is.
async fn quotas(stage: &Stage) {
    let all = (0..90).map(|_| stage.get("/api/v1/datasets", LOOKS));
    let (refused, served): (Vec<_>, Vec<_>) = futures::future::join_all(all)
        .await
        .into_iter()
        .partition(|answer| answer.status() == 429);
    assert!(served.iter().all(|answer| answer.status() == 200));
    let refused = refused.into_iter().next();
    let refused = refused.expect("90 requests at once are more than the quota");
    assert!(refused.headers().contains_key("retry-after"));
    let problem = json(refused).await;
    assert_eq!(problem["type"], "/problems/rate-limited");
    assert_eq!(problem["limit"], 5);
    assert_eq!(stage.get("/api/v1/datasets", OPERATOR).await.status(), 200);
}

fn series(stage: &Stage) {
    let page = &stage.program;
    let requests = "http_server_request_duration_seconds_count";
    let at_least_one = |name: &str, labels: &[&str]| {
        let (sum, found) = page.sum(name, labels);
        assert!(
            found > 0 && sum >= 1.0,
            "{name} {labels:?}: {sum} of {found}"
        );
    };
    let datasets = "http_route=\"/api/v1/datasets\"";
    for status in ["200", "429"] {
        let status = format!("http_response_status_code=\"{status}\"");
        at_least_one(requests, &[&status, datasets, "url_scheme=\"http\""]);
    }
    at_least_one(requests, &["http_route=\"pages\""]);
    at_least_one(
        "assay_rate_limit_exceeded_total",
        &["scope=\"client\"", "route="],
    );
    for reason in ["rate_limited", "unauthorized"] {
        at_least_one(
            "assay_requests_rejected_total",
            &[&format!("reason=\"{reason}\"")],
        );
    }
    for queue in ["owner", "subscriber", "anonymous"] {
        let queue = format!("queue=\"{queue}\"");
        assert_eq!(
            page.sum("assay_requests_queued", &[&queue]),
            (0.0, 1),
            "{queue}"
        );
    }
    at_least_one(
        "assay_request_queue_duration_seconds_count",
        &["queue=\"owner\""],
    );
    assert_eq!(page.sum("http_server_active_requests", &[]).1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_knows_who_asks_and_writes_down_what_they_change() {
    let stage = begin().await;
    doors(&stage).await;
    changes(&stage).await;
    quotas(&stage).await;
    series(&stage);
    let log = stage.program.log();
    assert!(!log.contains(&stage.tokens[1]), "a token is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_told_to_stop_says_so_and_ends_what_it_began() {
    let mut stage = begin().await;
    // There is no node: the run goes on, and so does its stream.
    let begun = stage.post(RUNS, PAYMENTS, "{}").await;
    let run = json(begun).await["runId"].as_str().unwrap().to_owned();
    let events = format!("/api/v1/runs/{run}/events");
    let mut events = stage.get(&events, PAYMENTS).await;
    assert_eq!(events.status(), 200);
    assert!(events.chunk().await.unwrap().is_some());
    let told = Instant::now();
    stage.program.process.terminate();
    let (mut announced, mut served) = (None, 0);
    // Two seconds are announced.
    while told.elapsed() < Duration::from_millis(1500) {
        let ready = stage.get("/readyz", None).await;
        if ready.status() == 503 {
            announced.get_or_insert(told.elapsed());
            assert_eq!(json(ready).await["type"], "/problems/draining");
            assert!(assay_telemetry::http::ask(stage.program.telemetry, "/readyz").is_err());
        }
        let answer = stage.get("/api/v1/datasets/orders", PAYMENTS).await;
        let why = "requests are served while the stop is announced";
        assert_eq!(answer.status(), 200, "{why}");
        served += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let announced = announced.expect("/readyz says that it leaves");
    assert!(announced < Duration::from_secs(1), "{announced:?}");
    assert!(served >= 2, "{served}");
    // The stream ends by itself, whole, for its reader to go elsewhere.
    while events.chunk().await.unwrap().is_some() {}
    let code = blocking(|| stage.program.process.code_within(Duration::from_secs(30)));
    assert_eq!(code, Some(0), "{}", stage.program.log());
    assert!(told.elapsed() >= Duration::from_secs(2));
}
