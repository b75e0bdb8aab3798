//! The wire between the processes: one proxy before each server, with a rule per client.
//!
//! Comes in: who may speak to whom, how late, and with which losses. Goes out: ports that processes
//! are told instead of the servers' own. Clients are told apart by the process at the other end of a
//! connection, so that all know a server by one address. It must never change a byte that it passes.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::who::{Caller, People};

/// Bytes that are passed at once.
const CHUNK: usize = 64 << 10;

/// Which bytes pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flow {
    /// All.
    #[default]
    Open,
    /// None, either way: what is sent waits, as on a cut wire.
    Cut,
    /// Those of the server alone: the client is not heard.
    Deaf,
    /// Those of the client alone: the server is not heard.
    Mute,
}

/// What happens on the wire from one client to one server.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rule {
    /// Which bytes pass.
    pub flow: Flow,
    /// How late they arrive, each way.
    pub delay: Duration,
    /// By how much more, at most, drawn anew for each packet.
    pub jitter: Duration,
    /// Of a thousand answers, how many are lost with their connection after they were given.
    pub lost_permille: u32,
    /// Connections of an earlier generation are reset.
    generation: u64,
}

/// All rules of a cluster.
#[derive(Debug)]
pub struct Wire {
    people: Arc<People>,
    rules: watch::Sender<BTreeMap<(String, String), Rule>>,
    /// Where each server is.
    ports: Mutex<BTreeMap<String, u16>>,
    random: Mutex<StdRng>,
    lost: AtomicU64,
    unknown: AtomicU64,
}

impl Wire {
    /// A wire without faults among `people`.
    #[must_use]
    pub fn new(people: Arc<People>, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            people,
            rules: watch::Sender::default(),
            ports: Mutex::default(),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            lost: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
        })
    }

    /// Opens a port before the server called `to` on `port`; the answer is the port.
    ///
    /// # Panics
    /// When loopback has no free port.
    pub async fn before(self: &Arc<Self>, to: &str, port: u16) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("loopback has a free port");
        let ours = listener.local_addr().expect("a bound socket").port();
        self.leads(to, port);
        let (wire, to) = (Arc::clone(self), to.to_owned());
        tokio::spawn(async move {
            while let Ok((client, from)) = listener.accept().await {
                let (wire, to) = (Arc::clone(&wire), to.clone());
                tokio::spawn(async move {
                    // A connection that fails ends for both sides.
                    let _ = wire.carry(client, from.port(), to).await;
                });
            }
        });
        ours
    }

    /// The server called `to` is on `port` from here on, as when a name is made to mean another
    /// machine; connections stay.
    ///
    /// # Panics
    /// Never: nobody panics while holding the ports.
    pub fn leads(&self, to: &str, port: u16) {
        let mut ports = self.ports.lock().expect("nobody panics with it");
        ports.insert(to.to_owned(), port);
    }

    /// Changes the rule from the client `from` to the server `to`.
    pub fn change(&self, from: &str, to: &str, change: impl FnOnce(&mut Rule)) {
        let key = (from.to_owned(), to.to_owned());
        self.rules
            .send_modify(|rules| change(rules.entry(key).or_default()));
    }

    /// Resets the connections of `from` to `to`.
    pub fn reset(&self, from: &str, to: &str) {
        self.change(from, to, |rule| rule.generation += 1);
    }

    /// Takes every rule back; connections stay.
    pub fn heal(&self) {
        self.rules.send_modify(|rules| {
            for rule in rules.values_mut() {
                *rule = Rule {
                    generation: rule.generation,
                    ..Rule::default()
                };
            }
        });
    }

    /// Answers that were lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Connections of processes that are not known.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    async fn carry(self: Arc<Self>, client: TcpStream, from: u16, to: String) -> io::Result<()> {
        let people = Arc::clone(&self.people);
        let name = match tokio::task::spawn_blocking(move || people.at(from)).await? {
            Caller::Known(name) => name,
            Caller::Gone => return Ok(()),
            Caller::Stranger => {
                self.unknown.fetch_add(1, Ordering::Relaxed);
                String::new()
            }
        };
        let link = Link {
            key: (name, to),
            rules: self.rules.subscribe(),
            wire: self,
        };
        let generation = link.rule().generation;
        let to = link.key.1.clone();
        let mut client = client;
        // Who cannot be reached is not connected to.
        link.clone().until_open(Way::Up).await;
        let port = link.wire.ports.lock().expect("nobody panics with it")[&to];
        let server = TcpStream::connect(("127.0.0.1", port)).await;
        let Ok(mut server) = server else {
            return client.set_zero_linger();
        };
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let mut reset = link.clone();
        let whole = {
            let ((client_in, client_out), (server_in, server_out)) =
                (client.split(), server.split());
            tokio::select! {
                done = async { tokio::try_join!(
                    link.clone().pump(client_in, server_out, Way::Up),
                    link.clone().pump(server_in, client_out, Way::Down),
                ) } => done.is_ok(),
                () = reset.until_reset(generation) => false,
            }
        };
        if !whole {
            client.set_zero_linger()?;
            server.set_zero_linger()?;
        }
        Ok(())
    }
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From the client to the server.
    Up,
    /// Back.
    Down,
}

/// One connection's view of its rule.
#[derive(Clone)]
struct Link {
    key: (String, String),
    rules: watch::Receiver<BTreeMap<(String, String), Rule>>,
    wire: Arc<Wire>,
}

impl Link {
    fn rule(&self) -> Rule {
        self.rules
            .borrow()
            .get(&self.key)
            .copied()
            .unwrap_or_default()
    }

    async fn until_open(&mut self, way: Way) {
        let closed = |flow: Flow| match way {
            Way::Up => matches!(flow, Flow::Cut | Flow::Deaf),
            Way::Down => matches!(flow, Flow::Cut | Flow::Mute),
        };
        while closed(self.rule().flow) {
            if self.rules.changed().await.is_err() {
                return;
            }
        }
    }

    async fn until_reset(&mut self, generation: u64) {
        while self.rule().generation == generation {
            if self.rules.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn delay(&self) -> Duration {
        let rule = self.rule();
        let jitter = u64::try_from(rule.jitter.as_micros()).unwrap_or(u64::MAX);
        rule.delay + Duration::from_micros(self.random(jitter))
    }

    /// At most `most`.
    fn random(&self, most: u64) -> u64 {
        if most == 0 {
            return 0;
        }
        let mut random = self.wire.random.lock().expect("nobody panics with it");
        random.random_range(0..=most)
    }

    fn is_lost(&self) -> bool {
        let permille = self.rule().lost_permille;
        permille > 0 && self.random(999) < u64::from(permille)
    }

    /// Passes bytes one way, each as late as the rule says, in their order.
    async fn pump(
        mut self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        way: Way,
    ) -> io::Result<()> {
        let (late, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(256);
        let looks = self.clone();
        let read = async move {
            loop {
                let mut chunk = vec![0; CHUNK];
                let n = from.read(&mut chunk).await?;
                if n == 0 {
                    return io::Result::Ok(());
                }
                chunk.truncate(n);
                if way == Way::Down && looks.is_lost() {
                    looks.wire.lost.fetch_add(1, Ordering::Relaxed);
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                let at = Instant::now() + looks.delay();
                if late.send((at, chunk)).await.is_err() {
                    return Ok(());
                }
            }
        };
        let write = async {
            while let Some((at, chunk)) = due.recv().await {
                tokio::time::sleep_until(at).await;
                self.until_open(way).await;
                to.write_all(&chunk).await?;
            }
            // The end is passed on like bytes.
            self.until_open(way).await;
            to.shutdown().await
        };
        tokio::try_join!(read, write).map(|_| ())
    }
}
