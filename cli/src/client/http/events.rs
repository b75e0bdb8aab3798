//! What happens to a run, as server-sent events.
//!
//! Comes in: bytes as they arrive. Goes out: events whole, each with the mark that leads back to it.
//! It must never take a part of an event for one, or wait for ever for a gateway that is gone.

use std::collections::VecDeque;
use std::time::Duration;

use assay_model::ids::RunId;
use assay_proto::v1;
use async_trait::async_trait;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderName};
use serde_json::Value;

use super::super::port::{Answer, Events, Heard};
use super::call::Ask;
use super::problem::{Refused, unreadable};
use super::{Http, words, words_of};

/// The header by which a watcher says what it was told last.
const LAST: HeaderName = HeaderName::from_static("last-event-id");
/// A stream that says nothing for so long is gone: a gateway gives a sign of life every ten seconds.
const SILENT_MAX: Duration = Duration::from_secs(30);
/// Bytes of one event.
const EVENT_MAX: usize = 4 << 20;

/// One event as it was sent.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    id: Option<String>,
    /// Empty: a sign of life.
    data: String,
}

/// Takes the first whole event out of `buffer`.
fn take(buffer: &mut Vec<u8>) -> Option<Sent> {
    let end = |mark: &[u8]| {
        let at = buffer.windows(mark.len()).position(|bytes| bytes == mark);
        at.map(|at| at + mark.len())
    };
    let end = [end(b"\n\n"), end(b"\r\n\r\n")]
        .into_iter()
        .flatten()
        .min()?;
    let bytes: Vec<u8> = buffer.drain(..end).collect();
    let text = String::from_utf8_lossy(&bytes);
    let mut sent = Sent {
        id: None,
        data: String::new(),
    };
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => sent.id = Some(value.to_owned()),
            "data" => {
                if !sent.data.is_empty() {
                    sent.data.push('\n');
                }
                sent.data.push_str(value);
            }
            // A comment, the kind (which the data names, too), or what a later version says.
            _ => {}
        }
    }
    Some(sent)
}

/// A stream of events.
struct Stream {
    http: Http,
    response: Response,
    buffer: Vec<u8>,
    heard: VecDeque<Heard>,
}

impl Stream {
    /// What an event tells.
    fn hear(&mut self, sent: Sent) -> Answer<()> {
        if sent.data.is_empty() {
            self.heard.push_back(Heard {
                event: None,
                mark: None,
            });
            return Ok(());
        }
        let kinds = serde_json::from_str(&sent.data).and_then(|data: Value| words::event(data));
        let kinds = kinds.map_err(|why| unreadable(&self.http, &why.to_string()))?;
        let of = |kind| v1::RunEvent {
            kind: Some(kind),
            ..v1::RunEvent::default()
        };
        let events = kinds.into_iter().map(|kind| Heard {
            event: Some(of(kind)),
            mark: None,
        });
        self.heard.extend(events);
        // The mark stands after all that it speaks for.
        self.heard.push_back(Heard {
            event: None,
            mark: sent.id,
        });
        Ok(())
    }
}

#[async_trait]
impl Events for Stream {
    async fn next(&mut self) -> Answer<Option<Heard>> {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Ok(Some(heard));
            }
            if let Some(sent) = take(&mut self.buffer) {
                self.hear(sent)?;
                continue;
            }
            let chunk = tokio::time::timeout(SILENT_MAX, self.response.chunk()).await;
            match chunk {
                Ok(Ok(Some(bytes))) if self.buffer.len() + bytes.len() <= EVENT_MAX => {
                    self.buffer.extend_from_slice(&bytes);
                }
                Ok(Ok(Some(_))) => return Err(unreadable(&self.http, "an event has no end")),
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(error)) => {
                    let cut = Refused::cut(&self.http, &words_of(&error));
                    return Err(cut.meaning(&self.http, &Ask::get(&[])));
                }
                Err(_) => {
                    let silent = Refused::silent(&self.http);
                    return Err(silent.meaning(&self.http, &Ask::get(&[])));
                }
            }
        }
    }
}

impl Http {
    /// The events of a run after `mark`. One attempt: whoever watches tries again.
    pub(super) async fn events(&self, run: RunId, mark: Option<&str>) -> Answer<Box<dyn Events>> {
        let id = run.to_string();
        let path = ["runs", id.as_str(), "events"];
        let mut ask = Ask::get(&path);
        if let Some(mark) = mark {
            ask = ask.header(LAST, mark.to_owned());
        }
        let head = tokio::time::timeout(self.budget, self.send(&ask, "text/event-stream")).await;
        let refused = match head {
            Err(_) => Refused::silent(self),
            Ok(sent) => match sent? {
                Err(error) => Refused::unreached(self, &error),
                Ok(response) if is_stream(&response) => {
                    return Ok(Box::new(Stream {
                        http: self.clone(),
                        response,
                        buffer: Vec::new(),
                        heard: VecDeque::new(),
                    }));
                }
                Ok(response) => {
                    let (status, headers) = (response.status(), response.headers().clone());
                    let body = tokio::time::timeout(self.budget, response.bytes()).await;
                    let body = body.ok().and_then(Result::ok).unwrap_or_default();
                    Refused::answered(self, status, &headers, &body)
                }
            },
        };
        Err(refused.meaning(self, &ask))
    }
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    response.status().is_success() && kind.starts_with("text/event-stream")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_taken_when_it_is_whole_wherever_it_was_cut() {
        let text = "id: 7\nevent: run\ndata: {\"a\":\"ä\"}\n\n: alive\n\nid: 8\r\ndata: x\r\ndata:y\r\n\r\n";
        let whole = [
            Sent {
                id: Some("7".to_owned()),
                data: "{\"a\":\"ä\"}".to_owned(),
            },
            Sent {
                id: None,
                data: String::new(),
            },
            Sent {
                id: Some("8".to_owned()),
                data: "x\ny".to_owned(),
            },
        ];
        for cut in 0..text.len() {
            let (first, second) = text.as_bytes().split_at(cut);
            let mut buffer = first.to_vec();
            let mut found = Vec::new();
            found.extend(std::iter::from_fn(|| take(&mut buffer)));
            buffer.extend_from_slice(second);
            found.extend(std::iter::from_fn(|| take(&mut buffer)));
            assert_eq!(found, whole, "cut at {cut}");
            assert!(buffer.is_empty());
        }
    }
}
