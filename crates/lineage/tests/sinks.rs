//! Sinks: a file of whole lines, and an endpoint that fails in every way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use assay_lineage::{FileSink, HttpSink, LineageSink, Settings, SinkError};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn event(number: u32) -> Value {
    json!({ "eventType": "START", "number": number, "text": "a\nb" })
}

#[tokio::test]
async fn a_file_has_a_line_per_event_and_half_a_line_spoils_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lineage.jsonl");
    let sink = FileSink::new(path.clone());
    sink.take(&event(1)).await.unwrap();
    // A process died in the middle of a line.
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    file.write_all(b"{\"eventType\": \"STA").unwrap();
    drop(file);
    let others: Vec<_> = (2..20)
        .map(|number| {
            let sink = sink.clone();
            tokio::spawn(async move { sink.take(&event(number)).await })
        })
        .collect();
    for other in others {
        other.await.unwrap().unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Option<Value>> = text.lines().map(|l| serde_json::from_str(l).ok()).collect();
    assert_eq!(lines.len(), 20, "{text}");
    let broken = lines.iter().filter(|line| line.is_none()).count();
    assert_eq!(broken, 1, "{text}");
    let mut numbers: Vec<u64> = lines
        .iter()
        .flatten()
        .map(|line| line["number"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let sink = FileSink::new(folder.path().join("no/such/folder/lineage.jsonl"));
    let answer = sink.take(&event(1)).await;
    assert!(matches!(answer, Err(SinkError::Away(_))), "{answer:?}");
}

/// What a server heard.
type Heard = Arc<Mutex<Vec<String>>>;

/// A server that gives these answers, one a connection, and then no more.
async fn server(answers: Vec<String>) -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Heard::default();
    let told = Arc::clone(&heard);
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            let mut part = [0; 4096];
            loop {
                let read = stream.read(&mut part).await.unwrap_or(0);
                bytes.extend_from_slice(&part[..read]);
                let text = String::from_utf8_lossy(&bytes);
                if read == 0 || whole(&text) {
                    break;
                }
            }
            told.lock().unwrap().push(String::from_utf8(bytes).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (format!("http://{address}/api/v1/lineage"), heard)
}

/// Whether a request is there with its body.
fn whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length:")?
            .trim()
            .parse()
            .ok()
    });
    body.len() >= length.unwrap_or(0)
}

fn status(code: u16, more: &str) -> String {
    format!("HTTP/1.1 {code} X\r\ncontent-length: 0\r\nconnection: close\r\n{more}\r\n")
}

#[tokio::test]
async fn an_endpoint_takes_refuses_or_is_away() {
    let elsewhere = "location: http://169.254.169.254/latest\r\n";
    let answers = [
        status(201, ""),
        status(500, ""),
        status(429, ""),
        status(401, ""),
        status(400, ""),
        status(307, elsewhere),
        String::new(),
    ];
    let (url, heard) = server(answers.to_vec()).await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "hush-1\n").unwrap();
    let settings = Settings {
        url: Some(url),
        credential: Some(format!("file:{}", token.display())),
        ..Settings::default()
    };
    let sink = settings.sink().unwrap().unwrap();
    assert_eq!(sink.take(&event(1)).await, Ok(()));
    let mut said = Vec::new();
    for _ in 0..3 {
        let answer = sink.take(&event(2)).await;
        assert!(matches!(answer, Err(SinkError::Away(_))), "{answer:?}");
        said.push(format!("{answer:?}"));
        // The credential is replaced while the program runs.
        std::fs::write(&token, "hush-2").unwrap();
    }
    for _ in 0..2 {
        // A redirect is not followed, wherever it leads.
        let answer = sink.take(&event(3)).await;
        assert!(matches!(answer, Err(SinkError::Refused(_))), "{answer:?}");
        said.push(format!("{answer:?}"));
    }
    // The server hangs up, and then is gone.
    for _ in 0..2 {
        let answer = sink.take(&event(4)).await;
        assert!(matches!(answer, Err(SinkError::Away(_))), "{answer:?}");
        said.push(format!("{answer:?}"));
    }
    assert!(said.iter().all(|said| !said.contains("hush")), "{said:?}");
    let heard = heard.lock().unwrap();
    assert!(heard[0].starts_with("POST /api/v1/lineage HTTP/1.1\r\n"));
    let (head, body) = heard[0].split_once("\r\n\r\n").unwrap();
    assert!(
        head.to_ascii_lowercase()
            .contains("content-type: application/json")
    );
    assert!(
        head.contains("Bearer hush-1\r\n") || head.ends_with("Bearer hush-1"),
        "{head}"
    );
    assert!(heard[2].contains("Bearer hush-2"), "{}", heard[2]);
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), event(1));
}

#[tokio::test]
async fn a_credential_that_is_not_there_keeps_the_event_for_later() {
    let credential = || Err("the variable TOKEN is not set".to_owned());
    let sink = HttpSink::new("http://127.0.0.1:9/", Some(Arc::new(credential))).unwrap();
    let answer = sink.take(&event(1)).await;
    let Err(SinkError::Away(why)) = answer else {
        panic!("{answer:?}");
    };
    assert!(why.contains("TOKEN"), "{why}");
}
