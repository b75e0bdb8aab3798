//! etcd in a temporary folder: one member or a cluster of three, which can be hurt.
//!
//! Comes in: how many members, and how they are to behave. Goes out: their addresses, and the means
//! to kill, pause and empty them. It must never hide an installation that lacks etcd.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::port;
use crate::supervised::Supervised;

/// How long a cluster may take until it has a leader.
const PATIENCE: Duration = Duration::from_secs(30);
/// Starts that may fail because somebody took a port in between.
const STARTS: u32 = 5;

/// The files of mutual TLS, in PEM.
#[derive(Debug, Clone)]
pub struct EtcdTls {
    /// Certificates of the authorities that members and clients are signed by.
    pub ca: PathBuf,
    /// The certificate of the members, for 127.0.0.1, good for servers and clients.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Waits for the end of the pipe, and for members that end with the same program, as long as they may
/// still write.
const SWEEP: &str = r#"trap '' INT TERM HUP; cat >/dev/null
rm -rf "$1"; n=0; while [ -e "$1" ] && [ $n -lt 50 ]; do sleep 0.1; rm -rf "$1"; n=$((n+1)); done"#;

/// How the cluster is to behave.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// 1 or 3.
    pub members: usize,
    /// TLS between members and for clients, who need a certificate too.
    pub tls: Option<EtcdTls>,
    /// Between two heartbeats of the leader, in milliseconds.
    pub heartbeat_ms: u64,
    /// A follower that hears nothing for so long stands for election, in milliseconds.
    pub election_ms: u64,
    /// Whether a write waits for the disk: for measurements. Off is faster.
    pub durable: bool,
    /// Bytes that the data may take before writes are refused; etcd's own default without.
    pub quota_bytes: Option<u64>,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        Self {
            members: 1,
            tls: None,
            heartbeat_ms: 50,
            election_ms: 500,
            durable: false,
            quota_bytes: None,
        }
    }
}

/// A running cluster; its processes end with it.
#[derive(Debug)]
pub struct Etcd {
    options: EtcdOptions,
    members: Vec<Member>,
    folder: PathBuf,
    sweeper: Child,
}

#[derive(Debug)]
struct Member {
    client: u16,
    peer: u16,
    /// Plain HTTP, for health and metrics alone.
    health: u16,
    process: Option<Supervised>,
}

impl Etcd {
    /// One member.
    ///
    /// # Panics
    /// When etcd is not installed, or does not start.
    #[must_use]
    pub fn single() -> Self {
        Self::start(EtcdOptions::default())
    }

    /// A cluster of three.
    ///
    /// # Panics
    /// When etcd is not installed, or does not start.
    #[must_use]
    pub fn three() -> Self {
        Self::start(EtcdOptions {
            members: 3,
            ..EtcdOptions::default()
        })
    }

    /// A cluster; returns when it has a leader and every member answers.
    ///
    /// # Panics
    /// When etcd is not installed, or does not start.
    #[must_use]
    pub fn start(options: EtcdOptions) -> Self {
        for _ in 1..STARTS {
            if let Ok(etcd) = Self::try_start(options.clone()) {
                return etcd;
            }
        }
        Self::try_start(options).unwrap_or_else(|log| panic!("etcd does not start:\n{log}"))
    }

    fn try_start(options: EtcdOptions) -> Result<Self, String> {
        let member = |_| Member {
            client: port::free(),
            peer: port::free(),
            health: port::free(),
            process: None,
        };
        let folder = tempfile::Builder::new()
            .prefix("assay-etcd-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let mut etcd = Self {
            members: (0..options.members).map(member).collect(),
            sweeper: sweeper(&folder),
            folder,
            options,
        };
        for i in 0..etcd.members.len() {
            etcd.spawn(i, "new");
        }
        etcd.await_all()?;
        Ok(etcd)
    }

    /// Where clients reach the members.
    #[must_use]
    pub fn endpoints(&self) -> Vec<String> {
        let scheme = self.scheme();
        let address = |m: &Member| format!("{scheme}://127.0.0.1:{}", m.client);
        self.members.iter().map(address).collect()
    }

    /// The port of a member's clients.
    #[must_use]
    pub fn client_port(&self, i: usize) -> u16 {
        self.members[i].client
    }

    /// Kills a member (SIGKILL); its data stay. A repeat does nothing.
    pub fn kill(&mut self, i: usize) {
        self.members[i].process = None;
    }

    /// Starts a member that was killed, with its data. Returns at once: whether the cluster is
    /// whole again is for [`Etcd::await_ready`] to say.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn restart(&mut self, i: usize) {
        self.kill(i);
        self.spawn(i, "existing");
    }

    /// Stops a member where it is, as a machine that hangs: its sockets stay open.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause(&mut self, i: usize) {
        self.process(i).pause();
    }

    /// Lets a paused member go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn resume(&mut self, i: usize) {
        self.process(i).resume();
    }

    /// The member that leads, if one says that it does.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        self.members.iter().position(|member| {
            member.process.is_some()
                && http(member.health, "/metrics")
                    .is_some_and(|text| text.lines().any(|l| l == "etcd_server_is_leader 1"))
        })
    }

    /// Kills every member, empties their folders, and starts them anew on the same ports: the
    /// revision begins again.
    ///
    /// # Panics
    /// When they do not start.
    pub fn wipe(&mut self) {
        for i in 0..self.members.len() {
            self.kill(i);
        }
        for i in 0..self.members.len() {
            let data = self.data(i);
            if data.exists() {
                std::fs::remove_dir_all(data).expect("the data of a dead member can be removed");
            }
        }
        for i in 0..self.members.len() {
            self.spawn(i, "new");
        }
        self.await_ready();
    }

    /// Waits until every member that was started answers linearisable reads.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn await_ready(&mut self) {
        if let Err(log) = self.await_all() {
            panic!("etcd does not get ready:\n{log}");
        }
    }

    fn await_all(&mut self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        for i in 0..self.members.len() {
            while self.members[i].process.is_some() && !self.is_healthy(i) {
                if !self.process(i).runs() || Instant::now() > until {
                    return Err(self.log(i));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    fn is_healthy(&self, i: usize) -> bool {
        http(self.members[i].health, "/health").is_some_and(|text| text.contains("\"true\""))
    }

    fn process(&mut self, i: usize) -> &mut Supervised {
        let process = self.members[i].process.as_mut();
        process.expect("the member runs")
    }

    fn scheme(&self) -> &'static str {
        match self.options.tls {
            Some(_) => "https",
            None => "http",
        }
    }

    fn data(&self, i: usize) -> PathBuf {
        self.folder.join(format!("m{i}"))
    }

    fn log_path(&self, i: usize) -> PathBuf {
        self.folder.join(format!("m{i}.log"))
    }

    /// What a member has logged.
    #[must_use]
    pub fn log(&self, i: usize) -> String {
        std::fs::read_to_string(self.log_path(i)).unwrap_or_default()
    }

    fn spawn(&mut self, i: usize, state: &str) {
        let arguments = self.arguments(i, state);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path(i))
            .expect("a log file");
        // etcd refuses to start on some processors unless it is told to.
        let arch = std::env::consts::ARCH.replace("aarch64", "arm64");
        let environment = [("ETCD_UNSUPPORTED_ARCH", arch.as_str())];
        let process = Supervised::start(program(), &arguments, &environment, log);
        self.members[i].process = Some(process.expect("etcd can be started"));
    }

    fn arguments(&self, i: usize, state: &str) -> Vec<String> {
        let scheme = self.scheme();
        let url = |port: u16| format!("{scheme}://127.0.0.1:{port}");
        let cluster: Vec<String> = self
            .members
            .iter()
            .enumerate()
            .map(|(i, m)| format!("m{i}={}", url(m.peer)))
            .collect();
        let member = &self.members[i];
        let mut flags = vec![
            ("name", format!("m{i}")),
            ("data-dir", self.data(i).display().to_string()),
            ("listen-client-urls", url(member.client)),
            ("advertise-client-urls", url(member.client)),
            ("listen-peer-urls", url(member.peer)),
            ("initial-advertise-peer-urls", url(member.peer)),
            (
                "listen-metrics-urls",
                format!("http://127.0.0.1:{}", member.health),
            ),
            ("initial-cluster", cluster.join(",")),
            ("initial-cluster-token", "assay".to_owned()),
            ("initial-cluster-state", state.to_owned()),
            ("heartbeat-interval", self.options.heartbeat_ms.to_string()),
            ("election-timeout", self.options.election_ms.to_string()),
            ("logger", "zap".to_owned()),
            ("log-level", "warn".to_owned()),
        ];
        if let Some(bytes) = self.options.quota_bytes {
            flags.push(("quota-backend-bytes", bytes.to_string()));
        }
        if let Some(tls) = &self.options.tls {
            let files = [
                ("trusted-ca-file", "peer-trusted-ca-file", &tls.ca),
                ("cert-file", "peer-cert-file", &tls.certificate),
                ("key-file", "peer-key-file", &tls.key),
            ];
            for (client, peer, path) in files {
                flags.push((client, path.display().to_string()));
                flags.push((peer, path.display().to_string()));
            }
        }
        let mut arguments: Vec<String> = flags
            .into_iter()
            .map(|(name, value)| format!("--{name}={value}"))
            .collect();
        // What most tests write need not outlive the machine.
        if !self.options.durable {
            arguments.push("--unsafe-no-fsync".to_owned());
        }
        if self.options.tls.is_some() {
            arguments.push("--client-cert-auth".to_owned());
            arguments.push("--peer-client-cert-auth".to_owned());
        }
        arguments
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for i in 0..self.members.len() {
            self.kill(i);
        }
        drop(self.sweeper.stdin.take());
        // Its only work is to remove the folder.
        let _ = self.sweeper.wait();
    }
}

/// A shell that removes the folder when this program is done with it, however it ended: a cluster that
/// all tests of a program share is never dropped, and its members leave hundreds of megabytes.
pub(crate) fn sweeper(folder: &Path) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", SWEEP, "sweeper"]).arg(folder);
    shell.current_dir("/").stdin(Stdio::piped());
    shell.stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().expect("every system has a shell")
}

/// The program, by its path.
fn program() -> &'static str {
    let known = ["/usr/bin/etcd", "/usr/local/bin/etcd"];
    known
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap_or_else(|| panic!("etcd is not installed: run `apt-get install etcd-server`"))
}

/// The body of a plain answer, or nothing when there is none within a second.
pub(crate) fn http(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_members_choose_a_leader_and_another_one_when_it_is_killed() {
        let mut etcd = Etcd::three();
        let first = etcd.leader().expect("a leader");
        etcd.kill(first);
        let until = Instant::now() + PATIENCE;
        let second = loop {
            if let Some(leader) = etcd.leader() {
                break leader;
            }
            assert!(Instant::now() < until, "no new leader");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_ne!(first, second);
        etcd.restart(first);
        etcd.await_ready();
        etcd.wipe();
        assert!(etcd.leader().is_some());
    }
}
