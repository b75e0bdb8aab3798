//! A gateway on a server of its own: by itself, and whole behind its guard.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_answers::Reader;
use assay_gateway::{ByRole, Gateway, GuardSettings, Managers, Mode, Parts, Rights, Seams, Way};
use assay_guard::principal::Scope;
use assay_guard::tokens::{TokenFile, mint};
use assay_model::dataset::Dataset;
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

pub const CHECKS: &str = "/api/v1/datasets/orders/checks";
pub const POINTS: &str = "/api/v1/datasets/orders/metrics/rowCount/points";

/// The folder of dataset files, and where it is put when it is taken away.
const DEFINITIONS: &str = "datasets";
const AWAY: &str = "away";

/// A gateway on a server of its own, and what keeps them.
pub struct Scene {
    pub server: Postgres,
    /// The address of its database.
    pub url: String,
    pub bench: Bench,
    writes: PostgresStore,
    registry: Arc<FolderRegistry>,
    pub store: PostgresStore,
    pub telemetry: Telemetry,
    folder: tempfile::TempDir,
}

impl Scene {
    pub async fn new() -> Self {
        let server = tokio::task::spawn_blocking(|| Postgres::start(Options::default()));
        let server = server.await.unwrap();
        let url = server.create_database();
        let store = PostgresStore::connect(PostgresOptions::new(&url))
            .await
            .unwrap();
        let mut bench = Bench::new(Arc::new(store.clone())).await;
        bench.dataset = owned();
        store.put_definition(&bench.dataset).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(jiff::Timestamp::now);
        let definitions = folder.path().join(DEFINITIONS);
        let registry = FolderRegistry::open(&definitions, folder.path(), clock).unwrap();
        Self {
            server,
            bench,
            writes: store,
            registry: Arc::new(registry),
            store: PostgresStore::connect(PostgresOptions::new(&url))
                .await
                .unwrap(),
            telemetry: Telemetry::default(),
            url,
            folder,
        }
    }

    pub fn parts(&self, rights: Arc<dyn Rights>, nobody: Reader) -> Parts {
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

    /// Writes a dataset file.
    pub fn define(&self, file: &str, text: &str) {
        let folder = self.folder.path().join(DEFINITIONS);
        std::fs::write(folder.join(file), text).unwrap();
    }

    /// Takes the folder of dataset files away.
    pub fn lose_definitions(&self) {
        let at = |name| self.folder.path().join(name);
        std::fs::rename(at(DEFINITIONS), at(AWAY)).unwrap();
    }

    pub fn gateway(&self) -> Gateway {
        Gateway::new(self.parts(Arc::new(ByRole), Reader::of_this_machine()))
    }

    /// Lets the connections go that the server has ended: a write over one of them is not confirmed.
    pub async fn write_again(&self) {
        let (orders, begun) = (owned(), Instant::now());
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

    /// The number of a series.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.telemetry.value(name, labels).unwrap_or(0.0)
    }

    /// A gateway with pages and guard, on a socket; `queue` are settings of its queue.
    pub async fn whole(&self, queue: &str) -> Whole {
        let roles = ["owner:payments", "subscriber:*"];
        let path = self.folder.path().join("tokens.toml");
        let now = jiff::Timestamp::now();
        let later = now + jiff::SignedDuration::from_hours(1);
        let mut file = TokenFile::default();
        let [owner, subscriber] = roles.map(|role| {
            let role = vec![role.parse().unwrap()];
            let (text, token) = mint("test", role, Scope::Write, now, later).unwrap();
            file.token.push(token);
            text
        });
        file.write(&path).unwrap();
        let settings: Result<GuardSettings, _> = toml::from_str(&format!(
            "[identity]\nmode = 'credentials'\ntokens = '{}'\n\
             [quotas]\nprincipal = {{ per_second = 1000000, burst = 1000000 }}\n\
             [queue]\n{queue}\n",
            path.display()
        ));
        let parts = self.parts(Arc::new(ByRole), assay_gateway::anonymous());
        let gateway = Gateway::new(parts).paged(Seams::default());
        let gateway = gateway.guarded(settings.unwrap(), Arc::new(self.store.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        tokio::spawn(
            gateway
                .unwrap()
                .serve(listener, async move { drop(stopped.await) }),
        );
        Whole {
            address,
            owner,
            subscriber,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            _stop: stop,
        }
    }

    pub async fn judge(&self, day: &str) {
        let judged = evaluation(day, "v1", 10, Outcome::Pass);
        self.bench.judged(day, judged).await;
    }
}

/// The dataset `orders`, of the owner `payments`.
fn owned() -> Dataset {
    Dataset {
        owner: Some("payments".to_owned()),
        ..dataset("orders")
    }
}

/// A router whose gateway serves; dropped, it stops.
pub struct Served {
    router: Router,
    _stop: tokio::sync::oneshot::Sender<()>,
}

pub async fn served(scene: &Scene, gateway: Gateway) -> Served {
    let router = assay_gateway::api::router::router(gateway.api());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let audit = Arc::new(scene.store.clone());
    let gateway = gateway.guarded(GuardSettings::default(), audit).unwrap();
    tokio::spawn(gateway.serve(listener, async move { drop(stopped.await) }));
    Served {
        router,
        _stop: stop,
    }
}

impl Served {
    pub async fn ask(&self, path: &str) -> (Response<()>, Value) {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    /// Asks with one more header.
    pub async fn ask_with(
        &self,
        path: &str,
        name: &str,
        value: &http::HeaderValue,
    ) -> (Response<()>, Value) {
        let request = Request::get(path).header(name, value);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> (Response<()>, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (Response::from_parts(parts, ()), json)
    }

    /// The number of points that are known, in force. A machine that is busy elsewhere may take longer
    /// than a reader with a known answer waits: it is asked again.
    pub async fn points(&self) -> usize {
        let begun = Instant::now();
        loop {
            let (response, json) = self.ask(POINTS).await;
            assert_eq!(response.status(), StatusCode::OK, "{json}");
            if response.headers().get("assay-stale").is_none() {
                return json["points"].as_array().unwrap().len();
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{response:?}");
        }
    }
}

/// A gateway with pages and guard; dropped, it stops.
pub struct Whole {
    address: SocketAddr,
    pub owner: String,
    pub subscriber: String,
    client: reqwest::Client,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Whole {
    /// Asks as the holder of `token`.
    pub async fn get(&self, path: &str, token: &str) -> reqwest::Response {
        let url = format!("http://{}{path}", self.address);
        self.client
            .get(url)
            .bearer_auth(token)
            .send()
            .await
            .unwrap()
    }

    /// Wishes for something, as the holder of `token`.
    pub async fn post(&self, path: &str, token: &str, body: &'static str) -> reqwest::Response {
        let url = format!("http://{}{path}", self.address);
        let request = self.client.post(url).bearer_auth(token).body(body);
        let request = request.header("content-type", "application/json");
        request.send().await.unwrap()
    }
}

/// A table that nobody else reads; dropped, it is free.
pub struct Locked(std::process::Child);

impl Locked {
    pub async fn of(server: &Postgres, url: &str, table: &str) -> Self {
        let program = assay_test_servers::postgres::programs().join("psql");
        // It holds the lock until its input ends.
        let statement = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;\n");
        let mut psql = std::process::Command::new(program)
            .args(["-qAtX", url])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pipe = psql.stdin.as_mut().unwrap();
        std::io::Write::write_all(pipe, statement.as_bytes()).unwrap();
        let held = format!(
            "SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass \
             AND mode = 'AccessExclusiveLock' AND granted"
        );
        let begun = Instant::now();
        while server.sql(url, &held) != "1" {
            assert!(begun.elapsed() < Duration::from_secs(20), "no lock");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self(psql)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
