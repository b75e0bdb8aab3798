//! A proxy on loopback that does to requests what networks and services do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of a request.
pub enum Act {
    /// It is passed on.
    Forward,
    /// It is passed on after so long.
    #[allow(dead_code, reason = "the benchmark's alone")]
    Late(Duration),
    /// This is answered.
    Answer(u16, String),
    /// It is passed on, and its answer broken off in the midst of its body.
    Cut,
    /// An answer that begins so and goes on with the same piece for ever.
    Endless(&'static str, String),
    /// The connection is closed without an answer.
    Close,
    /// Nothing is answered for so long.
    Stall(Duration),
}

type Decide = dyn Fn(usize, &str) -> Act + Send + Sync;

/// The proxy; its thread ends with the program.
pub struct Proxy {
    port: u16,
    count: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A proxy before the server at `upstream`. `decide` is given the number of the request, from 0,
    /// and its text.
    pub fn before(
        upstream: u16,
        decide: impl Fn(usize, &str) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let this = Self {
            port: listener.local_addr().unwrap().port(),
            count: Arc::default(),
            seen: Arc::default(),
        };
        let (count, seen) = (this.count.clone(), this.seen.clone());
        let decide: Arc<Decide> = Arc::new(decide);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(connection) = connection else { return };
                let (count, seen, decide) = (count.clone(), seen.clone(), decide.clone());
                std::thread::spawn(move || {
                    // Whoever asks may leave at any time.
                    let _ = serve(connection, upstream, &count, &seen, decide.as_ref());
                });
            }
        });
        this
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// The texts of the requests so far.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(
    mut client: TcpStream,
    upstream: u16,
    count: &AtomicUsize,
    seen: &Mutex<Vec<String>>,
    decide: &Decide,
) -> std::io::Result<()> {
    let Some(request) = request(&mut client)? else {
        return Ok(());
    };
    let number = count.fetch_add(1, Ordering::SeqCst);
    seen.lock().unwrap().push(request.clone());
    match decide(number, &request) {
        Act::Close => Ok(()),
        Act::Stall(time) => {
            std::thread::sleep(time);
            Ok(())
        }
        Act::Answer(status, body) => write!(
            client,
            "HTTP/1.1 {status} Said\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            body.len()
        ),
        Act::Endless(begins, piece) => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\n\
                        transfer-encoding: chunked\r\n\r\n";
            write!(client, "{head}{:x}\r\n{begins}\r\n", begins.len())?;
            let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
            loop {
                client.write_all(chunk.as_bytes())?;
            }
        }
        act @ (Act::Forward | Act::Late(_) | Act::Cut) => {
            if let Act::Late(time) = act {
                std::thread::sleep(time);
            }
            let mut server = TcpStream::connect(("127.0.0.1", upstream))?;
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            write!(server, "{head}\r\nconnection: close\r\n\r\n{body}")?;
            let mut answer = Vec::new();
            server.read_to_end(&mut answer)?;
            if matches!(act, Act::Cut) {
                let body = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
                answer.truncate(body + (answer.len() - body) / 2);
            }
            client.write_all(&answer)
        }
    }
}

/// A whole request; `None` when there is none.
fn request(client: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut text = Vec::new();
    let mut part = [0; 4096];
    loop {
        let whole = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = whole.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length:")
                        .map(|n| n.trim().parse::<usize>().unwrap())
                })
                .unwrap_or(0);
            if body.len() >= length {
                return Ok(Some(whole));
            }
        }
        match client.read(&mut part)? {
            0 => return Ok(None),
            length => text.extend_from_slice(&part[..length]),
        }
    }
}
