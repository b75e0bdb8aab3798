//! Receivers of messages on loopback: one of HTTP and one of mail, that behave as they are told.
//!
//! Comes in: requests, mails. Goes out: what the test wants: success, an error, silence, a slow
//! answer; and all that was heard. They end with their guard.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a receiver that hangs does so.
const HANGS: Duration = Duration::from_secs(60);
/// The longest body.
const BODY_MAX: usize = 1 << 20;

/// What is done with a request.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Answers with this status.
    Status(u16),
    /// Answers with this status and these further lines of the head.
    With(u16, String),
    /// Answers with this status after a while.
    Slow(Duration, u16),
    /// Never answers.
    Hang,
    /// Breaks the connection off.
    Break,
}

/// A request that came in.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Method and path.
    pub line: String,
    /// The head, names in small letters.
    pub head: BTreeMap<String, String>,
    /// The body.
    pub body: String,
    /// When.
    pub at: Instant,
}

type Behave = dyn Fn(&Heard, usize) -> Behaviour + Send + Sync;

/// A receiver of HTTP.
pub struct Receiver {
    port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    ended: Arc<AtomicBool>,
}

impl Receiver {
    /// Starts one that does with each request what `behave` says of it and of how many came before.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn start(behave: impl Fn(&Heard, usize) -> Behaviour + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let port = listener.local_addr().expect("an address").port();
        let this = Self {
            port,
            heard: Arc::default(),
            ended: Arc::default(),
        };
        let (heard, ended) = (Arc::clone(&this.heard), Arc::clone(&this.ended));
        let behave: Arc<Behave> = Arc::new(behave);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (heard, behave) = (Arc::clone(&heard), Arc::clone(&behave));
                std::thread::spawn(move || serve(client, &heard, behave.as_ref()));
            }
        });
        this
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All that came in so far.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        end(&self.ended, self.port);
    }
}

/// Wakes a listener so that it ends.
fn end(ended: &AtomicBool, port: u16) {
    ended.store(true, Ordering::SeqCst);
    // Nobody listens any more when it fails.
    let _ = TcpStream::connect(("127.0.0.1", port));
}

fn serve(client: TcpStream, heard: &Mutex<Vec<Heard>>, behave: &Behave) {
    let Ok(mut out) = client.try_clone() else {
        return;
    };
    let mut reader = BufReader::new(client);
    let Some(request) = request(&mut reader) else {
        return;
    };
    let before = {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push(request.clone());
        heard.len() - 1
    };
    let (status, more) = match behave(&request, before) {
        Behaviour::Status(status) => (status, String::new()),
        Behaviour::With(status, more) => (status, more),
        Behaviour::Slow(pause, status) => {
            std::thread::sleep(pause);
            (status, String::new())
        }
        Behaviour::Hang => {
            std::thread::sleep(HANGS);
            return;
        }
        Behaviour::Break => return,
    };
    let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: 2\r\nconnection: close\r\n");
    // A client that has gone needs no answer.
    let _ = out.write_all(format!("{head}{more}\r\nok").as_bytes());
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<Heard> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut head = BTreeMap::new();
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok()?;
        let Some((name, value)) = field.trim_end().split_once(':') else {
            break;
        };
        head.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = head.get("content-length").and_then(|n| n.parse().ok());
    let mut body = vec![0; length.unwrap_or(0).min(BODY_MAX)];
    reader.read_exact(&mut body).ok()?;
    Some(Heard {
        line: line.trim_end().to_owned(),
        head,
        body: String::from_utf8_lossy(&body).into_owned(),
        at: Instant::now(),
    })
}

/// A server of mail that keeps what it takes.
pub struct Mailbox {
    port: u16,
    mails: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
}

impl Mailbox {
    /// Starts one that refuses the first `refused` mails for the time being.
    ///
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn start(refused: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let port = listener.local_addr().expect("an address").port();
        let this = Self {
            port,
            mails: Arc::default(),
            ended: Arc::default(),
        };
        let (mails, ended) = (Arc::clone(&this.mails), Arc::clone(&this.ended));
        let left = Arc::new(Mutex::new(refused));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (mails, left) = (Arc::clone(&mails), Arc::clone(&left));
                std::thread::spawn(move || talk(client, &mails, &left));
            }
        });
        this
    }

    /// Its port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The mails that it has taken, as they were sent.
    #[must_use]
    pub fn mails(&self) -> Vec<String> {
        let mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
        mails.clone()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        end(&self.ended, self.port);
    }
}

fn talk(client: TcpStream, mails: &Mutex<Vec<String>>, left: &Mutex<usize>) -> Option<()> {
    let mut out = client.try_clone().ok()?;
    let mut reader = BufReader::new(client);
    let mut say = |text: &str| out.write_all(format!("{text}\r\n").as_bytes()).ok();
    say("220 mail.test ready")?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let verb: String = line
            .chars()
            .take(4)
            .collect::<String>()
            .to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => say("250-mail.test\r\n250 AUTH PLAIN LOGIN")?,
            "AUTH" => say("235 welcome")?,
            "MAIL" => {
                let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
                if *left > 0 {
                    *left -= 1;
                    say("451 not now")?;
                } else {
                    say("250 ok")?;
                }
            }
            "DATA" => {
                say("354 go on")?;
                let mut mail = String::new();
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).ok()? == 0 || line == ".\r\n" {
                        break;
                    }
                    mail.push_str(&line);
                }
                let mut mails = mails.lock().unwrap_or_else(PoisonError::into_inner);
                mails.push(mail);
                say("250 taken")?;
            }
            "QUIT" => {
                say("221 bye")?;
                return None;
            }
            _ => say("250 ok")?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_behaves_as_it_is_told_and_remembers() {
        let receiver = Receiver::start(|_, before| match before {
            0 => Behaviour::Status(500),
            _ => Behaviour::Break,
        });
        let ask = || {
            let mut client = TcpStream::connect(("127.0.0.1", receiver.port)).unwrap();
            let _ = client.write_all(b"POST /x HTTP/1.1\r\nA: b\r\nContent-Length: 2\r\n\r\nhi");
            let mut answer = String::new();
            let _ = client.read_to_string(&mut answer);
            answer
        };
        assert!(ask().starts_with("HTTP/1.1 500 "));
        assert_eq!(ask(), "");
        let heard = receiver.heard();
        assert_eq!((heard.len(), heard[0].body.as_str()), (2, "hi"));
        assert_eq!(heard[0].head["a"], "b");
    }
}
