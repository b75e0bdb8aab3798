//! A proxy on loopback between the registry and the server, which counts, refuses, fails and loses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use assay_test_servers::ministack;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is done to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Refused with this code, and nothing is done.
    Refuse(&'static str),
    /// Failed by the server, and nothing is done.
    Fail,
    /// The connection ends before anything is done.
    LoseRequest,
    /// It is done, and the connection ends without an answer.
    LoseAnswer,
    /// A batch is answered by halves.
    Halve,
    /// A batch is answered with nothing at all.
    Nothing,
}

#[derive(Default)]
struct State {
    /// For each operation, the faults of its next calls.
    faults: BTreeMap<&'static str, Vec<Fault>>,
    calls: BTreeMap<String, u32>,
}

/// A running proxy.
#[derive(Clone)]
pub(crate) struct Proxy {
    state: Arc<Mutex<State>>,
    /// Where it listens.
    pub(crate) url: String,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let upstream = tokio::task::spawn_blocking(|| ministack::shared().port());
        let upstream = upstream.await.unwrap();
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move { serve(client, upstream, &state).await });
            }
        });
        Self { state, url }
    }

    /// The next calls of `operation` meet these faults, in this order.
    pub(crate) fn plan(&self, operation: &'static str, faults: &[Fault]) {
        let mut queue = faults.to_vec();
        queue.reverse();
        self.state.lock().unwrap().faults.insert(operation, queue);
    }

    /// Calls of an operation so far.
    pub(crate) fn calls(&self, operation: &str) -> u32 {
        let state = self.state.lock().unwrap();
        state.calls.get(operation).copied().unwrap_or(0)
    }
}

/// A message: its head, and its body.
struct Message {
    head: String,
    body: Vec<u8>,
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim())
}

/// Reads one message; `None` at the end of the connection.
async fn read(stream: &mut TcpStream) -> Option<Message> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        let mut part = vec![0; 16384];
        let count = stream.read(&mut part).await.ok()?;
        if count == 0 {
            return None;
        }
        bytes.extend_from_slice(&part[..count]);
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut body = bytes[end..].to_vec();
    let length: usize = header(&head, "content-length").map_or(0, |n| n.parse().unwrap());
    while body.len() < length {
        let mut part = vec![0; 65536];
        let count = stream.read(&mut part).await.ok()?;
        if count == 0 {
            return None;
        }
        body.extend_from_slice(&part[..count]);
    }
    Some(Message { head, body })
}

async fn serve(mut client: TcpStream, upstream: u16, state: &Mutex<State>) {
    let _ = client.set_nodelay(true);
    while let Some(request) = read(&mut client).await {
        let target = header(&request.head, "x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let fault = {
            let mut state = state.lock().unwrap();
            *state.calls.entry(operation.clone()).or_default() += 1;
            let queue = state.faults.get_mut(operation.as_str());
            queue.and_then(Vec::pop)
        };
        let answer = match fault {
            Some(Fault::Refuse(code)) => refusal(400, code),
            Some(Fault::Fail) => refusal(500, "InternalServerError"),
            Some(Fault::LoseRequest) => return,
            Some(Fault::LoseAnswer) => {
                forward(&request, upstream).await;
                return;
            }
            Some(Fault::Halve) => halved(forward(&request, upstream).await, &request, 2),
            Some(Fault::Nothing) => halved(forward(&request, upstream).await, &request, 0),
            None => forward(&request, upstream).await,
        };
        let head = format!(
            "{}\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
            answer.head,
            answer.body.len()
        );
        let bytes = [head.as_bytes(), &answer.body].concat();
        if client.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

fn refusal(status: u16, code: &str) -> Message {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    let body = json!({"__type": kind, "message": "the proxy says so"});
    Message {
        head: format!("HTTP/1.1 {status} No"),
        body: body.to_string().into_bytes(),
    }
}

/// The answer of the server: the first line of its head, and its body.
async fn forward(request: &Message, upstream: u16) -> Message {
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).await.unwrap();
    let bytes = [request.head.as_bytes(), &request.body].concat();
    server.write_all(&bytes).await.unwrap();
    let answer = read(&mut server).await.unwrap();
    Message {
        head: answer.head.lines().next().unwrap().to_owned(),
        body: answer.body,
    }
}

/// The answer to a batch with one in `keep` of its items; the others are left for another call.
fn halved(answer: Message, request: &Message, keep: usize) -> Message {
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap();
    let asked: Value = serde_json::from_slice(&request.body).unwrap();
    let mut unprocessed = serde_json::Map::new();
    for (table, items) in body["Responses"].as_object_mut().unwrap() {
        let all = std::mem::take(items.as_array_mut().unwrap());
        let (mut kept, mut left) = (Vec::new(), Vec::new());
        for (no, item) in all.into_iter().enumerate() {
            if keep > 0 && no % keep == 0 {
                kept.push(item);
            } else {
                left.push(json!({"id": item["id"]}));
            }
        }
        *items = Value::Array(kept);
        if !left.is_empty() {
            let mut open = asked["RequestItems"][table].clone();
            open["Keys"] = Value::Array(left);
            unprocessed.insert(table.clone(), open);
        }
    }
    body["UnprocessedKeys"] = Value::Object(unprocessed);
    Message {
        head: answer.head,
        body: body.to_string().into_bytes(),
    }
}
