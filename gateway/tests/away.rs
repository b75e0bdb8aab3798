//! The gateway on a real Postgres: what is committed is seen at once, and what is known is told while
//! the store is away.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_answers::{Reader, Role};
use assay_gateway::{ByRole, Gateway, Managers, Mode, Parts, Rights, Way};
use assay_model::outcome::Outcome;
use assay_proto::link::Door;
use assay_registry::FolderRegistry;
use assay_store::conformance::fixtures::{Bench, dataset, evaluation};
use assay_store::{JobStore as _, PostgresOptions, PostgresStore};
use assay_telemetry::Telemetry;
use assay_test_servers::postgres::{Options, Postgres};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

const CHECKS: &str = "/api/v1/datasets/orders/checks";
const POINTS: &str = "/api/v1/datasets/orders/metrics/rowCount/points";

/// A gateway on a server of its own, and what keeps them.
struct Scene {
    server: Postgres,
    bench: Bench,
    writes: PostgresStore,
    registry: Arc<FolderRegistry>,
    store: PostgresStore,
    telemetry: Telemetry,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let server = tokio::task::spawn_blocking(|| Postgres::start(Options::default()));
        let server = server.await.unwrap();
        let url = server.create_database();
        let store = PostgresStore::connect(PostgresOptions::new(&url))
            .await
            .unwrap();
        let bench = Bench::new(Arc::new(store.clone())).await;
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(jiff::Timestamp::now);
        let registry = FolderRegistry::open(folder.path(), folder.path(), clock).unwrap();
        Self {
            server,
            bench,
            writes: store,
            registry: Arc::new(registry),
            store: PostgresStore::connect(PostgresOptions::new(&url))
                .await
                .unwrap(),
            telemetry: Telemetry::default(),
            _folder: folder,
        }
    }

    fn parts(&self, rights: Arc<dyn Rights>, nobody: Reader) -> Parts {
        let nowhere = Door::Tcp("http://127.0.0.1:1".to_owned());
        Parts {
            store: Arc::new(self.store.clone()),
            notices: Arc::new(self.store.clone()),
            news: Arc::new(self.store.clone()),
            registry: self.registry.clone(),
            managers: Managers::new(Way::One(nowhere)),
            rights,
            nobody,
            now: Arc::new(jiff::Timestamp::now),
            telemetry: self.telemetry.clone(),
            mode: Mode::Cluster,
        }
    }

    fn gateway(&self) -> Gateway {
        Gateway::new(self.parts(Arc::new(ByRole), Reader::of_this_machine()))
    }

    /// Lets the connections go that the server has ended: a write over one of them is not confirmed.
    async fn write_again(&self) {
        let (orders, begun) = (dataset("orders"), Instant::now());
        let mut good = 0;
        while good < 8 {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "no write comes through"
            );
            let put = self.writes.put_definition(&orders).await;
            good = if put.is_ok() { good + 1 } else { 0 };
        }
    }

    async fn judge(&self, day: &str) {
        let judged = evaluation(day, "v1", 10, Outcome::Pass);
        self.bench.judged(day, judged).await;
    }
}

/// A router whose gateway serves; dropped, it stops.
struct Served {
    router: Router,
    _stop: tokio::sync::oneshot::Sender<()>,
}

async fn served(gateway: Gateway) -> Served {
    let router = assay_gateway::api::router::router(gateway.api());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(gateway.serve(listener, async move { drop(stopped.await) }));
    Served {
        router,
        _stop: stop,
    }
}

impl Served {
    async fn ask(&self, path: &str) -> (Response<()>, Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (Response::from_parts(parts, ()), json)
    }

    /// The number of points that are known, in force.
    async fn points(&self) -> usize {
        let (response, json) = self.ask(POINTS).await;
        assert_eq!(response.status(), StatusCode::OK, "{json}");
        assert!(
            response.headers().get("assay-stale").is_none(),
            "{response:?}"
        );
        json["points"].as_array().unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_seen_at_once_and_kept_until_then() {
    let scene = Scene::new().await;
    scene.judge("2026-11-20").await;
    let served = served(scene.gateway()).await;
    assert_eq!(served.points().await, 1);
    let reads = |outcome: &str| {
        let labels = [("outcome", outcome)];
        scene
            .telemetry
            .value("assay_gateway_reads_total", &labels)
            .unwrap_or(0.0)
    };
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
            assert!(waited < Duration::from_secs(2), "not seen after {waited:?}");
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
    let served = served(scene.gateway()).await;
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
            committed.elapsed() < Duration::from_secs(2),
            "a commit is not heard of"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_object_is_answered_as_one_that_does_not_exist() {
    let scene = Scene::new().await;
    scene.judge("2026-11-20").await;
    let stranger = Reader {
        id: "stranger".to_owned(),
        role: Role::Owner,
        owners: vec!["somebody".to_owned()],
        reads: Vec::new(),
        writes: true,
    };
    let gateway = Gateway::new(scene.parts(Arc::new(ByRole), stranger));
    let operator = served(scene.gateway()).await;
    let served = served(gateway).await;
    let (_, runs) = operator.ask("/api/v1/runs").await;
    let run = runs["items"][0]["id"].as_str().unwrap();
    let strange = format!("run_{:032x}", 1);
    let pairs = [
        (CHECKS.to_owned(), CHECKS.replace("orders", "nothing")),
        (POINTS.to_owned(), POINTS.replace("orders", "nothing")),
        (
            format!("/api/v1/runs/{run}"),
            format!("/api/v1/runs/{strange}"),
        ),
        (
            format!("/api/v1/runs/{run}/tasks"),
            format!("/api/v1/runs/{strange}/tasks"),
        ),
        (
            format!("/api/v1/runs/{run}/events"),
            format!("/api/v1/runs/{strange}/events"),
        ),
        (
            "/api/v1/datasets/orders".to_owned(),
            "/api/v1/datasets/nothing".to_owned(),
        ),
        (
            "/api/v1/datasets/orders/versions".to_owned(),
            "/api/v1/datasets/nothing/versions".to_owned(),
        ),
    ];
    for (theirs, none) in pairs {
        let (first, mut one) = served.ask(&theirs).await;
        let (second, mut other) = served.ask(&none).await;
        assert_eq!(first.status(), StatusCode::NOT_FOUND, "{theirs}");
        assert_eq!(second.status(), StatusCode::NOT_FOUND, "{none}");
        for problem in [&mut one, &mut other] {
            let fields = problem.as_object_mut().unwrap();
            fields.remove("instance");
            let told = fields["detail"].as_str().unwrap().to_owned();
            let plain = told.replace(run, "ID").replace(&strange, "ID");
            let plain = plain.replace("orders", "ID").replace("nothing", "ID");
            fields.insert("detail".to_owned(), Value::String(plain));
        }
        assert_eq!(one, other, "{theirs}");
    }
    for list in ["/api/v1/datasets", "/api/v1/runs", "/api/v1/incidents"] {
        let (_, json) = served.ask(list).await;
        assert_eq!(json["items"], serde_json::json!([]), "{list}");
        assert_eq!(json["total"].as_u64().unwrap_or(0), 0);
    }
}
