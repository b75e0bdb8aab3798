//! The gateway's program, on a core of its own.
//!
//! Comes in: a world, and what differs from the usual options. Goes out: a gateway that answers. It
//! must never outlive its guard.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assay_test_servers::port;

use crate::ask::Asker;
use crate::world::World;

/// The core of the load generator, and that of the gateway.
pub const GENERATOR: &str = "0";
const GATEWAY: &str = "1";

/// Puts a process with all of its threads on a core.
pub fn pin(pid: u32, core: &str) {
    let mut command = Command::new("taskset");
    command.args(["-a", "-c", "-p", core, &pid.to_string()]);
    let pinned = command.stdout(Stdio::null()).status();
    let pinned = pinned.expect("taskset is needed: apt-get install util-linux");
    assert!(pinned.success(), "a process can be pinned");
}

/// Has this process go before all others of its core: what it asks for and hears is not held up by
/// Postgres, which shares the core, so that its clock tells of the gateway. Its children do not.
pub fn first_of_its_core() {
    let mut command = Command::new("chrt");
    command.args(["--reset-on-fork", "--fifo", "--all-tasks", "--pid", "1"]);
    let done = command.arg(std::process::id().to_string()).status();
    if !done.is_ok_and(|done| done.success()) {
        println!(
            "without the right to go first (chrt): the generator's own delays are in the figures"
        );
    }
}

/// A running gateway.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    telemetry: SocketAddr,
}

impl Server {
    /// Starts one, and waits until it answers.
    pub async fn start(world: &World, guard: Option<&str>) -> Self {
        let here = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (address, telemetry) = (here(port::free()), here(port::free()));
        let mut command = Command::new("taskset");
        command
            .args(["-c", GATEWAY, env!("CARGO_BIN_EXE_assay-gateway")])
            .env("ASSAY_GATEWAY_LISTEN", address.to_string())
            .env("ASSAY_TELEMETRY_LISTEN", telemetry.to_string())
            .env("ASSAY_STORE_URL", world.store_url())
            // Nobody is there: only reads are asked for.
            .env("ASSAY_MANAGERS", "http://127.0.0.1:1")
            .env("ASSAY_REGISTRY_DIR", world.definitions())
            .env("ASSAY_LOG", "warn");
        if let Some(guard) = guard {
            let file = world.folder.path().join("guard.toml");
            std::fs::write(&file, guard).expect("a file can be written");
            command.env("ASSAY_GUARD", file);
        }
        let child = command.spawn().expect("taskset is needed");
        let server = Self {
            child,
            address,
            telemetry,
        };
        let begun = Instant::now();
        while !server.answers().await {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "it never answers"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server
    }

    async fn answers(&self) -> bool {
        let Ok(mut asker) = Asker::open(self.address).await else {
            return false;
        };
        matches!(asker.get("/readyz", None).await, Ok(answer) if answer.status == 200)
    }

    /// A number of its telemetry; 0 of a series that is not there.
    pub async fn series(&self, line: &str) -> f64 {
        let mut asker = Asker::open(self.telemetry).await.expect("it listens");
        let answer = asker.get("/metrics", None).await.expect("it answers");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let found = text.lines().find_map(|l| l.strip_prefix(line));
        found.map_or(0.0, |value| value.trim().parse().unwrap_or(0.0))
    }

    /// Reads so far, by how they were answered.
    pub async fn reads(&self, outcome: &str) -> f64 {
        self.series(&format!(
            "assay_gateway_reads_total{{outcome=\"{outcome}\"}}"
        ))
        .await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
