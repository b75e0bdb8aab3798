//! Clients that are slow, too big or silent, before the program: they are cut, and hold nobody up.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use assay_test_servers::pki::{Authority, Holds};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::stage::{Stage, client};

const GUARD: &str = "[identity]
mode = 'credentials'
anonymous = ['subscriber:*']
[quotas]
anonymous = { per_second = 1000, burst = 1000 }
[limits]
head_seconds = 2
head_bytes = 8192
body_seconds = 4
body_idle_seconds = 2
body_bytes = 4096
write_seconds = 2
";
const VALIDATE: &str = "POST /api/v1/datasets:validate HTTP/1.1\r\nhost: a\r\n\
                        content-type: application/yaml\r\n";
const SECOND: Duration = Duration::from_secs(1);

/// Sends `first` and then `piece` a second, until the server closes; gives what it said, and when.
async fn trickle(address: SocketAddr, first: String, piece: &[u8]) -> (String, Duration) {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(first.as_bytes()).await.unwrap();
    let (mut reads, mut writes) = stream.split();
    let mut said = Vec::new();
    let closed = async {
        // A connection that is reset has ended as well.
        let _ = reads.read_to_end(&mut said).await;
    };
    let sends = async {
        loop {
            tokio::time::sleep(SECOND).await;
            if !piece.is_empty() && writes.write_all(piece).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = closed => {}
        () = sends => {}
        () = tokio::time::sleep(Duration::from_secs(20)) => {}
    }
    (String::from_utf8_lossy(&said).into_owned(), begun.elapsed())
}

/// What a client sends first and then each second, what it is told, and between which seconds its
/// connection ends.
type Client = (String, &'static [u8], &'static str, (u64, u64));

fn clients() -> Vec<Client> {
    let head = "GET / HTTP/1.1\r\nhost: a\r\nx-long: ".to_owned();
    let length = |bytes: usize| format!("{VALIDATE}content-length: {bytes}\r\n\r\n");
    let chunked = format!("{VALIDATE}transfer-encoding: chunked\r\n\r\n");
    let chunk = format!("1388\r\n{}\r\n", "x".repeat(5000));
    vec![
        // The head a byte a second, or not at all.
        (head.clone(), b"a", "", (2, 4)),
        (String::new(), b"", "", (2, 4)),
        // The body a byte a second; or a pause.
        (length(1000), b"x", "HTTP/1.1 408", (4, 7)),
        (length(1000), b"", "HTTP/1.1 408", (2, 4)),
        (chunked.clone(), b"1\r\nx\r\n", "HTTP/1.1 408", (4, 7)),
        // More than there may be, said before or not.
        (length(4097), b"", "HTTP/1.1 413", (0, 2)),
        (format!("{chunked}{chunk}"), b"", "HTTP/1.1 413", (0, 2)),
        (
            format!("{head}{}\r\n\r\n", "a".repeat(9000)),
            b"",
            "HTTP/1.1 431",
            (0, 2),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_oversized_clients_are_cut_and_hold_nobody_up() {
    let stage = Stage::alone(Some(GUARD), &[], &[]).await;
    // Once, so that everything is there that the first answer needs.
    assert_eq!(stage.get("/api/v1/datasets", None).await.status(), 200);
    let mut slow = JoinSet::new();
    for _ in 0..8 {
        for (first, piece, says, (least, most)) in clients() {
            let address = stage.address;
            slow.spawn(async move {
                let shown: String = first.chars().take(60).collect();
                let (said, took) = trickle(address, first, piece).await;
                // A head that does not come is cut without a word, or with one.
                let silent = says.is_empty() && said.is_empty();
                let says = if says.is_empty() {
                    "HTTP/1.1 408"
                } else {
                    says
                };
                assert!(silent || said.starts_with(says), "{shown:?}: {said}");
                let bounds = Duration::from_secs(least)..Duration::from_secs(most + 2);
                // A clock may be a little ahead of the one that the server waits by.
                let took = took + Duration::from_millis(100);
                assert!(bounds.contains(&took), "{shown:?}: closed after {took:?}");
            });
        }
    }
    let mut longest = Duration::ZERO;
    while !slow.is_empty() {
        let begun = Instant::now();
        assert_eq!(stage.get("/api/v1/datasets", None).await.status(), 200);
        longest = longest.max(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
        while let Some(ended) = slow.try_join_next() {
            ended.unwrap();
        }
    }
    println!("the longest answer among 64 such clients took {longest:?}");
    assert!(longest < Duration::from_secs(2), "held up for {longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_of_its_answers_is_cut() {
    const ASKED: usize = 20;
    let stage = Stage::alone(Some(GUARD), &[], &[]).await;
    let one = stage.get("/api/v1/openapi.json", None).await;
    let size = one.bytes().await.unwrap().len();
    // It has hardly any room for what it does not read.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(stage.address).await.unwrap();
    let request = "GET /api/v1/openapi.json HTTP/1.1\r\nhost: a\r\n\r\n";
    let all = request.repeat(ASKED);
    stream.write_all(all.as_bytes()).await.unwrap();
    tokio::time::sleep(6 * SECOND).await;
    let mut said = Vec::new();
    // What was sent before may be lost when a connection is reset.
    let read = stream.read_to_end(&mut said);
    let _ = tokio::time::timeout(20 * SECOND, read)
        .await
        .expect("it is closed");
    let kept = said.len();
    assert!(kept < ASKED * size, "all of {kept} bytes were kept for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_a_silent_handshake_is_cut_and_others_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("web");
    let (cert, key) = authority.issue("gateway", None, Holds::Today);
    let at = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let more = [
        ("ASSAY_GATEWAY_CERT", &*at("cert.pem", &cert)),
        ("ASSAY_GATEWAY_KEY", &*at("key.pem", &key)),
    ];
    let stage = Stage::alone(Some(GUARD), &[], &more).await;
    let silent = tokio::spawn(trickle(stage.address, String::new(), b""));
    let ca = reqwest::Certificate::from_pem(authority.ca.as_bytes()).unwrap();
    let browser = client().add_root_certificate(ca).build().unwrap();
    let port = stage.address.port();
    let asked = browser.get(format!("https://localhost:{port}/api/v1/datasets"));
    assert_eq!(asked.send().await.unwrap().status(), 200);
    let plain = stage.client.get(stage.url("/api/v1/datasets")).send().await;
    assert!(plain.is_err(), "nothing is told without TLS");
    let (said, took) = silent.await.unwrap();
    assert_eq!(said, "");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let labels = ["url_scheme=\"https\"", "http_route=\"/api/v1/datasets\""];
    let (requests, _) = stage
        .program
        .sum("http_server_request_duration_seconds_count", &labels);
    assert!((requests - 1.0).abs() < f64::EPSILON, "{requests}");
}
