//! Where events go: a file that grows by whole lines, or an endpoint that takes them one by one.
//!
//! Comes in: an event. Goes out: that it was taken, or whether trying again may help. It must never
//! leave half of a line, follow a redirect, or let a credential into an error.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect;
use serde_json::Value;

/// How long an endpoint may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Why an event was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// It may be taken later.
    #[error("{0}")]
    Away(String),
    /// It will never be.
    #[error("{0}")]
    Refused(String),
}

/// Where events go. A repeat of an event is the same event.
#[async_trait]
pub trait LineageSink: Send + Sync {
    /// Takes an event.
    ///
    /// # Errors
    /// [`SinkError`].
    async fn take(&self, event: &Value) -> Result<(), SinkError>;
}

/// A file: one line per event.
#[derive(Debug, Clone)]
pub struct FileSink {
    path: PathBuf,
}

impl FileSink {
    /// The file at `path`; it is made when the first event comes.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

#[async_trait]
impl LineageSink for FileSink {
    async fn take(&self, event: &Value) -> Result<(), SinkError> {
        let (path, mut line) = (self.path.clone(), event.to_string());
        line.push('\n');
        let written = tokio::task::spawn_blocking(move || append(&path, line.as_bytes()));
        let away = |error: &dyn std::fmt::Display| {
            SinkError::Away(format!(
                "{}: {error}; see that it can be written to",
                self.path.display()
            ))
        };
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(away(&error)),
            Err(error) => Err(away(&error)),
        }
    }
}

/// Appends a line as one write. What an earlier process has left of a line is ended first, so that
/// it spoils no other; and a write that found no space is taken back.
fn append(path: &std::path::Path, line: &[u8]) -> std::io::Result<()> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(path)?;
    let before = file.seek(SeekFrom::End(0))?;
    let mut whole = Vec::with_capacity(line.len() + 1);
    if before > 0 {
        file.seek(SeekFrom::Start(before - 1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            whole.push(b'\n');
        }
    }
    whole.extend_from_slice(line);
    let written = file.write_all(&whole).and_then(|()| file.sync_data());
    if written.is_err() {
        file.set_len(before)?;
    }
    written
}

/// What gives the credential of an endpoint, anew for each event: it may be replaced meanwhile.
pub type Credential = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// An endpoint that takes events by `POST`.
pub struct HttpSink {
    client: reqwest::Client,
    url: reqwest::Url,
    credential: Option<Credential>,
}

impl HttpSink {
    /// The endpoint at `url` (`https://…/api/v1/lineage`); a credential is sent as a bearer token.
    ///
    /// # Errors
    /// In words, when the address cannot be one.
    pub fn new(url: &str, credential: Option<Credential>) -> Result<Self, String> {
        let url = reqwest::Url::parse(url).map_err(|why| format!("{url}: {why}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!(
                "{url}: an endpoint begins with https:// or http://"
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "the address of the endpoint holds a credential: name where it is kept instead"
                    .to_owned(),
            );
        }
        let client = reqwest::Client::builder()
            .timeout(ANSWER_MAX)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|why| why.to_string())?;
        Ok(Self {
            client,
            url,
            credential,
        })
    }

    /// The place without what a query may hold.
    fn place(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.to_string()
    }
}

#[async_trait]
impl LineageSink for HttpSink {
    async fn take(&self, event: &Value) -> Result<(), SinkError> {
        let place = self.place();
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(event.to_string());
        if let Some(credential) = &self.credential {
            let token = credential()
                .map_err(|why| SinkError::Away(format!("{place}: no credential: {why}")))?;
            request = request.bearer_auth(token.trim());
        }
        let answer = request.send().await.map_err(|error| {
            SinkError::Away(format!("{place}: {}", causes(&error.without_url())))
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let why = format!("{place} answers {status}");
        match status.as_u16() {
            // Not now, or not with this credential, which somebody may mend.
            401 | 403 | 404 | 408 | 425 | 429 | 500..=599 => Err(SinkError::Away(why)),
            _ => Err(SinkError::Refused(why)),
        }
    }
}

/// An error with what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
