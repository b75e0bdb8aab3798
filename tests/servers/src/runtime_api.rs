//! A Lambda Runtime API, as a sandbox of the service speaks it to its function.
//!
//! Comes in: a program and its environment, and events. Goes out: its answers, how long it took to
//! start, and how much memory it holds. One sandbox deals with one event at a time; simultaneous ones
//! are several sandboxes. It must never answer for the program: one that ends or hangs is told so.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::supervised::Supervised;

/// What every path of the interface begins with.
const VERSION: &str = "/2018-06-01/runtime/";

/// An answer of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has answered.
    Response(String),
    /// It has failed.
    Error(String),
    /// It has not answered in time, or has ended.
    Nothing(String),
}

/// An event on its way.
#[derive(Debug)]
struct Event {
    id: String,
    payload: String,
    deadline_ms: u128,
}

#[derive(Debug)]
struct Shared {
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    answers: Mutex<HashMap<String, oneshot::Sender<Answer>>>,
    started: Instant,
    ready: OnceLock<Duration>,
}

/// A sandbox with a running function; it ends with this guard.
#[derive(Debug)]
pub struct Sandbox {
    process: Mutex<Supervised>,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Event>,
    server: JoinHandle<()>,
    count: Mutex<u64>,
}

impl Sandbox {
    /// Starts `program` in a sandbox of its own; it logs into `log`.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub async fn start(program: &Path, environment: &[(&str, &str)], log: File) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (events, waiting) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            events: tokio::sync::Mutex::new(waiting),
            answers: Mutex::default(),
            started: Instant::now(),
            ready: OnceLock::new(),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        let mut all = vec![
            ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "assay-scheduler"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/assay-scheduler"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "sandbox"),
            ("_HANDLER", "bootstrap"),
        ];
        all.extend_from_slice(environment);
        let path = program.to_str().expect("paths of tests are text");
        let process = Supervised::start(path, &[], &all, log);
        Self {
            process: Mutex::new(process.expect("the function can be started")),
            shared,
            events,
            server,
            count: Mutex::new(0),
        }
    }

    /// Has the function answer `payload` within `limit`.
    pub async fn invoke(&self, payload: &str, limit: Duration) -> Answer {
        let number = {
            let mut count = self.count.lock().expect("no panic while it is held");
            *count += 1;
            *count
        };
        let id = format!("00000000-0000-4000-8000-{number:012}");
        let (answer, answered) = oneshot::channel();
        self.expect(id.clone(), answer);
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let deadline = since_epoch.expect("it is after 1970") + limit;
        let event = Event {
            id,
            payload: payload.to_owned(),
            deadline_ms: deadline.as_millis(),
        };
        if self.events.send(event).is_err() {
            return Answer::Nothing("the sandbox has ended".to_owned());
        }
        let mut looks = tokio::time::interval(Duration::from_millis(100));
        let until = Instant::now() + limit;
        tokio::pin!(answered);
        loop {
            tokio::select! {
                answer = &mut answered => {
                    return answer.unwrap_or_else(|_| Answer::Nothing("no answer".to_owned()));
                }
                _ = looks.tick() => {
                    if !self.process.lock().expect("as above").runs() {
                        return Answer::Nothing("the function has ended".to_owned());
                    }
                    if Instant::now() > until {
                        return Answer::Nothing(format!("no answer within {limit:?}"));
                    }
                }
            }
        }
    }

    fn expect(&self, id: String, answer: oneshot::Sender<Answer>) {
        let mut answers = self.shared.answers.lock().expect("as above");
        answers.insert(id, answer);
    }

    /// How long the function took from its start until it asked for its first event.
    #[must_use]
    pub fn cold_start(&self) -> Option<Duration> {
        self.shared.ready.get().copied()
    }

    /// Memory that the function has held at most, in bytes.
    #[must_use]
    pub fn memory_peak(&self) -> Option<u64> {
        let id = self.process.lock().expect("as above").id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib << 10)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer(&shared, request).await) }
            });
            // A function that ends breaks its connection.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let Some(rest) = path.strip_prefix(VERSION) else {
        return plain(StatusCode::NOT_FOUND);
    };
    if (request.method(), rest) == (&Method::GET, "invocation/next") {
        // Only the first time counts.
        let _ = shared.ready.set(shared.started.elapsed());
        return match shared.events.lock().await.recv().await {
            Some(event) => next(event),
            None => plain(StatusCode::GONE),
        };
    }
    let body = request.into_body().collect().await;
    let body = body.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
    let text = String::from_utf8_lossy(&body).into_owned();
    let parts: Vec<&str> = rest.split('/').collect();
    let (id, said) = match parts.as_slice() {
        ["invocation", id, "response"] => (*id, Answer::Response(text)),
        ["invocation", id, "error"] => (*id, Answer::Error(text)),
        ["init", "error"] => return plain(StatusCode::ACCEPTED),
        _ => return plain(StatusCode::NOT_FOUND),
    };
    let waiting = shared.answers.lock().expect("as above").remove(id);
    if let Some(waiting) = waiting {
        // Whoever asked may have given up.
        let _ = waiting.send(said);
    }
    plain(StatusCode::ACCEPTED)
}

fn next(event: Event) -> Response<Full<Bytes>> {
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:assay-scheduler";
    Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", event.id)
        .header("Lambda-Runtime-Deadline-Ms", event.deadline_ms.to_string())
        .header("Lambda-Runtime-Trace-Id", "Root=1-0-0")
        .header("Lambda-Runtime-Invoked-Function-Arn", arn)
        .body(Full::new(Bytes::from(event.payload)))
        .expect("these are good headers")
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    *response.status_mut() = status;
    response
}
