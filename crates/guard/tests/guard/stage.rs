//! A gateway of a test: a few handlers behind the guard, on a socket of loopback.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use assay_guard::rights::Decision;
use assay_guard::serve::{Server, Stopping};
use assay_guard::{
    Action, Guard, GuardSettings, Holding, Object, Owners, Parts, Principal, RouteLabel, decide,
};
use assay_store::SqliteStore;
use assay_telemetry::Telemetry;
use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path as UrlPath, Request};
use axum::response::Response;
use axum::routing::{get, post};
use futures::StreamExt as _;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

/// `orders` is of payments, `leads` of sales, `old` of nobody.
pub struct Known;

impl Owners for Known {
    fn of(&self, dataset: &str) -> Holding {
        match dataset {
            "orders" => Holding::Owner("payments".to_owned()),
            "leads" => Holding::Owner("sales".to_owned()),
            "old" => Holding::Unowned,
            _ => Holding::Unknown,
        }
    }
}

/// A running gateway.
pub struct Stage {
    pub address: SocketAddr,
    pub telemetry: Telemetry,
    pub store: SqliteStore,
    pub guard: Guard,
    /// Handlers of `/slow` wait for a permit each.
    pub permits: Arc<Semaphore>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

pub fn settings(text: &str) -> GuardSettings {
    toml::from_str(text).unwrap()
}

/// Settings that let anybody read everything.
pub const OPEN: &str = "[identity]\nmode = 'credentials'\nanonymous = ['subscriber:*']\n";

/// Why this is not done, if it is not.
fn refusal(who: &Principal, action: Action, dataset: &str) -> Option<Response> {
    let refused = |status: u16, text: &'static str| {
        let mut answer = Response::new(Body::from(text));
        *answer.status_mut() = axum::http::StatusCode::from_u16(status).unwrap();
        Some(answer)
    };
    // One answer for what is not there and for what is hidden.
    let hidden = || refused(404, "there is no such dataset, or it is not yours to see");
    let holding = Known.of(dataset);
    let owner = match &holding {
        Holding::Owner(owner) => Some(owner.as_str()),
        Holding::Unowned => None,
        Holding::Unknown => return hidden(),
    };
    match decide(who, action, Object::of(owner)) {
        Decision::Allowed => None,
        Decision::Hidden => hidden(),
        Decision::Forbidden => refused(403, "not yours to do"),
        Decision::Unidentified => refused(401, "who are you?"),
    }
}

async fn dataset(
    UrlPath(id): UrlPath<String>,
    Extension(who): Extension<Principal>,
    request: Request,
) -> Response {
    let reads = request.method() == axum::http::Method::GET;
    let action = if reads { Action::Read } else { Action::Change };
    if let Some(refused) = refusal(&who, action, &id) {
        return refused;
    }
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    Response::new(Body::from(format!(
        "{} {id} {}",
        who.id,
        body.unwrap().len()
    )))
}

/// A principal in the words of these handlers.
#[derive(Clone)]
struct Told(String);

/// Says what it was told of who asks, under a label of its own.
async fn verb(Extension(told): Extension<Told>) -> Response {
    let mut answer = Response::new(Body::from(told.0));
    let label = RouteLabel("/api/v1/datasets/{id}:tell".to_owned());
    answer.extensions_mut().insert(label);
    answer
}

async fn bug() -> &'static str {
    panic!("a bug")
}

fn router(permits: Arc<Semaphore>) -> Router {
    let slow = move || async move {
        // Each request takes one for good.
        permits.acquire().await.unwrap().forget();
        "slow"
    };
    let events = || async {
        let first = futures::stream::iter([Ok::<_, std::io::Error>("data: hello\n\n")]);
        let body = Body::from_stream(first.chain(futures::stream::pending()));
        let mut answer = Response::new(body);
        let kind = axum::http::HeaderValue::from_static("text/event-stream");
        answer.headers_mut().insert("content-type", kind);
        answer
    };
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(|| async { "ready\n" }))
        .route("/metrics", get(|| async { "series" }))
        .route("/api/v1/version", get(|| async { "v" }))
        .route("/api/v1/datasets", get(|| async { "list" }))
        .route(
            "/api/v1/datasets/{id}",
            get(dataset).put(dataset).delete(dataset),
        )
        .route("/api/v1/datasets/{id}/slow", get(slow))
        .route("/api/v1/nodes/{id}", post(|| async { "drained" }))
        .route("/api/v1/runs/{id}", post(bug))
        .route("/api/v1/datasets/{id}/{verb}", get(verb))
        .route("/api/v1/nodes", get(|| async { "nodes" }))
        .route("/api/v1/events", get(events))
}

impl Stage {
    /// A gateway of these settings.
    pub async fn start(text: &str) -> Self {
        Self::at(text, "127.0.0.1:0", SqliteStore::in_memory().await.unwrap()).await
    }

    pub async fn at(text: &str, address: &str, store: SqliteStore) -> Self {
        let telemetry = Telemetry::default();
        let parts = Parts {
            owners: Arc::new(Known),
            audit: Arc::new(store.clone()),
            telemetry: telemetry.clone(),
            attach: Some(Arc::new(|who, extensions| {
                extensions.insert(Told(who.rights()));
            })),
            present: None,
        };
        let guard = Guard::new(settings(text), parts).unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let permits = Arc::new(Semaphore::new(0));
        let (stop, stopped) = oneshot::channel::<()>();
        let stopping = Stopping {
            announce: Duration::from_millis(800),
            finish: Duration::from_secs(5),
        };
        let server = Server::new(router(Arc::clone(&permits)), guard.clone()).stopping(stopping);
        let stopped = async move { drop(stopped.await) };
        let task = tokio::spawn(async move { server.serve(listener, stopped).await.unwrap() });
        Self {
            address,
            telemetry,
            store,
            guard,
            permits,
            stop: Some(stop),
            task,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Asks without a credential.
    pub async fn get(&self, path: &str) -> reqwest::Response {
        client().get(self.url(path)).send().await.unwrap()
    }

    /// Asks with a token.
    pub async fn ask(&self, method: &str, path: &str, token: &str) -> reqwest::Response {
        let method = method.parse().unwrap();
        let asked = client().request(method, self.url(path)).bearer_auth(token);
        asked.send().await.unwrap()
    }

    /// Has it stop by and by.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has.
    pub async fn ended(self) {
        self.task.await.unwrap();
    }

    /// Ends it at once, with all of its connections unanswered.
    pub fn kill(&self) {
        self.task.abort();
    }
}

/// A client that is told every answer as it is.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

/// A file of tokens with one for each of these lists of roles, and their texts.
pub fn tokens(path: &Path, of: &[(&[&str], assay_guard::principal::Scope)]) -> Vec<String> {
    use assay_guard::tokens::{TokenFile, mint};
    let now = jiff::Timestamp::now();
    let later = now + jiff::SignedDuration::from_hours(1);
    let (mut file, mut texts) = (TokenFile::default(), Vec::new());
    for (roles, scope) in of {
        let roles = roles.iter().map(|word| word.parse().unwrap()).collect();
        let (text, token) = mint("test", roles, *scope, now, later).unwrap();
        file.token.push(token);
        texts.push(text);
    }
    file.write(path).unwrap();
    texts
}

/// The body of an answer as JSON.
pub async fn json(answer: reqwest::Response) -> serde_json::Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}
