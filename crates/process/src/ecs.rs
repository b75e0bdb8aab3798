//! What a task of ECS is told of itself: the zone that it runs in.
//!
//! Comes in: the address of the agent's metadata (task metadata endpoint, version 4), from the
//! environment. Goes out: the availability zone. It must never wait or read without a bound, or make
//! up a zone: a node in no zone would be lost together with others that seem to be elsewhere.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The variable in which ECS names the endpoint.
pub const METADATA_VARIABLE: &str = "ECS_CONTAINER_METADATA_URI_V4";

/// How long the agent may take in all.
const PATIENCE: Duration = Duration::from_secs(3);
/// The answer describes each container of the task: some KiB.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Names of zones are much shorter (`eu-west-1a`).
const ZONE_MAX: usize = 64;

/// Why the zone is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// This is no task of ECS.
    #[error(
        "the zone `auto` is asked of ECS, and {METADATA_VARIABLE} is not set: run as a task of ECS, or name the zone"
    )]
    NotThere,
    /// The agent did not answer in time, or in full.
    #[error("the metadata of the task at {uri} cannot be read: {detail}")]
    NoAnswer {
        /// What was asked.
        uri: String,
        /// What went wrong.
        detail: String,
    },
    /// The agent answered without a zone.
    #[error("the metadata of the task at {uri} names no zone: {detail}; name it yourself")]
    NoZone {
        /// What was asked.
        uri: String,
        /// What there is instead.
        detail: String,
    },
}

impl ZoneError {
    /// Whether it may be otherwise in a moment.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::NoAnswer { .. })
    }
}

/// The zone of this task.
///
/// # Errors
/// [`ZoneError`]: what is missing.
pub async fn zone() -> Result<String, ZoneError> {
    match std::env::var(METADATA_VARIABLE) {
        Ok(base) if !base.is_empty() => zone_at(&base).await,
        _ => Err(ZoneError::NotThere),
    }
}

/// The zone by the endpoint at `base`.
async fn zone_at(base: &str) -> Result<String, ZoneError> {
    let uri = format!("{}/task", base.trim_end_matches('/'));
    let answer = match tokio::time::timeout(PATIENCE, get(&uri)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    let body = answer.map_err(|detail| ZoneError::NoAnswer {
        uri: uri.clone(),
        detail,
    })?;
    zone_in(&body).map_err(|detail| ZoneError::NoZone { uri, detail })
}

fn zone_in(body: &[u8]) -> Result<String, String> {
    #[derive(serde::Deserialize)]
    struct Task {
        #[serde(rename = "AvailabilityZone", default)]
        zone: String,
    }
    let task: Task = serde_json::from_slice(body)
        .map_err(|error| format!("it is no JSON of a task ({error})"))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    match task.zone.as_str() {
        "" => Err("AvailabilityZone is absent or empty".to_owned()),
        zone if zone.len() <= ZONE_MAX && zone.chars().all(plain) => Ok(task.zone),
        _ => Err("AvailabilityZone is no name of a zone".to_owned()),
    }
}

/// The body of a good answer to a plain GET.
async fn get(uri: &str) -> Result<Bytes, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let uri: Uri = uri.parse().map_err(|error| told(&error))?;
    let host = match (uri.scheme_str(), uri.host()) {
        (Some("http"), Some(host)) => host.to_owned(),
        _ => return Err("it is no http:// address".to_owned()),
    };
    let stream = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(80)))
        .await
        .map_err(|error| told(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| told(&error))?;
    let served = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header("host", host)
        .body(Empty::<Bytes>::new())
        .map_err(|error| told(&error))?;
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|error| told(&error))?;
    if !answer.status().is_success() {
        return Err(format!("it answers {}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
    let body = body.await.map_err(|error| error.to_string())?.to_bytes();
    served.abort();
    Ok(body)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with `answer`, byte for byte, and gives what was asked.
    async fn agent(answer: Vec<u8>) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v4/abc", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let n = stream.read(&mut head).await.unwrap();
            // A client that has read enough hangs up.
            let _ = stream.write_all(&answer).await;
            String::from_utf8_lossy(&head[..n]).into_owned()
        });
        (base, asked)
    }

    fn answer(body: &str) -> Vec<u8> {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    #[tokio::test]
    async fn the_zone_of_a_task_is_what_its_metadata_say() {
        let body = r#"{"Cluster":"a","AvailabilityZone":"eu-west-1b","Containers":[{"Name":"n"}]}"#;
        let (base, asked) = agent(answer(body)).await;
        assert_eq!(zone_at(&base).await.unwrap(), "eu-west-1b");
        assert!(
            asked
                .await
                .unwrap()
                .starts_with("GET /v4/abc/task HTTP/1.1")
        );
        let chunked = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        );
        let (base, _) = agent(chunked.into_bytes()).await;
        assert_eq!(zone_at(&base).await.unwrap(), "eu-west-1b");
    }

    #[tokio::test]
    async fn an_answer_without_a_zone_gives_none_and_says_why() {
        for body in [
            "{}",
            r#"{"AvailabilityZone":""}"#,
            r#"{"AvailabilityZone":"a\nb"}"#,
            "<html>",
        ] {
            let (base, _) = agent(answer(body)).await;
            let refused = zone_at(&base).await.unwrap_err();
            assert!(!refused.may_pass(), "{refused}");
        }
        let (base, _) = agent(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
        let refused = zone_at(&base).await.unwrap_err();
        assert!(refused.may_pass() && refused.to_string().contains("500"));
    }

    #[tokio::test]
    async fn an_agent_that_says_too_much_or_nothing_does_not_hold_the_node_up() {
        let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        endless.resize(ANSWER_BYTES_MAX * 2, b' ');
        let (base, _) = agent(endless).await;
        assert!(
            zone_at(&base)
                .await
                .unwrap_err()
                .to_string()
                .contains("limit")
        );
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v4/abc", silent.local_addr().unwrap());
        let refused = zone_at(&base).await.unwrap_err();
        assert!(refused.to_string().contains("no answer"), "{refused}");
    }
}
