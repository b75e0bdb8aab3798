//! MariaDB in a temporary folder.
//!
//! Comes in: what differs from the defaults. Goes out: a server on loopback whose `root` has no
//! password, and databases in it. It must never outlive the program that started it. Debian has no
//! MySQL: what only that does is not shown by it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::home::{Owner, folder, run, sweeper};
use crate::port;

/// How long a start may take.
const READY: Duration = Duration::from_secs(90);
/// How often a question is put again.
const AGAIN: Duration = Duration::from_millis(20);
/// The file that holds the process id, in the folder of the data.
const PID: &str = "mariadb.pid";
/// What is installed by which package.
const PACKAGES: &str = "apt-get install mariadb-server-core mariadb-client-core";

/// A running MariaDB; it ends with this guard, or with the program.
#[derive(Debug)]
pub struct MariaDb {
    /// Where data and log lie. The sweeper removes it.
    folder: PathBuf,
    port: u16,
    owner: Option<Owner>,
    settings: Vec<String>,
    server: Option<Child>,
    sweeper: Option<(Child, ChildStdin)>,
}

/// Databases of this program so far, all servers together.
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The server that all tests of a program share.
///
/// # Panics
/// When MariaDB is not installed, or does not start.
#[must_use]
pub fn shared() -> &'static MariaDb {
    static SHARED: OnceLock<MariaDb> = OnceLock::new();
    SHARED.get_or_init(|| MariaDb::start(&[]))
}

/// A program of the package.
fn program(name: &str) -> Command {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let found = places.iter().map(|place| PathBuf::from(place).join(name));
    match found.into_iter().find(|path| path.exists()) {
        Some(path) => Command::new(path),
        None => panic!("MariaDB is not installed (no {name}): {PACKAGES}"),
    }
}

impl MariaDb {
    /// Starts a server with these settings, such as `max_allowed_packet=1M`, and waits until it
    /// answers.
    ///
    /// # Panics
    /// When MariaDB is not installed, or does not start.
    #[must_use]
    pub fn start(settings: &[&str]) -> Self {
        let owner = Owner::of_server("mysql");
        let folder = folder("assay-mariadb-", &std::env::temp_dir(), owner);
        let sweeper = sweeper(&folder, PID, owner);
        let mut this = Self {
            folder,
            port: 0,
            owner,
            settings: settings.iter().map(|&one| one.to_owned()).collect(),
            server: None,
            sweeper: Some(sweeper),
        };
        let mut install = this.command("mariadb-install-db");
        install.arg("--no-defaults").arg(this.data());
        install.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        run(&mut install, "mariadb-install-db");
        for _ in 0..5 {
            this.port = port::free();
            // Another program may have taken the port in between.
            if this.try_run() {
                return this;
            }
        }
        panic!("MariaDB did not start:\n{}", this.log());
    }

    fn data(&self) -> String {
        format!("--datadir={}", self.folder.join("data").display())
    }

    /// A command of the package, run as the server's user in its folder.
    fn command(&self, name: &str) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = program(name);
        command.current_dir(&self.folder).stdin(Stdio::null());
        // Servers whose temporary tables lie in one folder take each other's away.
        command.env("TMPDIR", &self.folder);
        if let Some(owner) = self.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        command
    }

    /// Starts it; `false` when it ended before it answered.
    fn try_run(&mut self) -> bool {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .expect("the log can be written");
        let mut command = self.command("mariadbd");
        command.arg("--no-defaults").arg(self.data());
        command.arg(format!("--port={}", self.port));
        command.args([
            "--bind-address=127.0.0.1",
            "--socket=mariadb.sock",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=32M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync",
            "--max-connections=100",
            // What is set here must not change what a table's rows are told as.
            "--default-time-zone=+03:30",
            "--character-set-server=utf8mb4",
        ]);
        command.arg(format!("--pid-file={PID}"));
        command.args(self.settings.iter().map(|one| format!("--{one}")));
        let output = log.try_clone().expect("a file can be shared");
        let mut child = command
            .stdout(output)
            .stderr(log)
            .spawn()
            .expect("the program was found");
        let begun = Instant::now();
        while !self.answers() {
            if matches!(child.try_wait(), Ok(Some(_))) {
                return false;
            }
            if begun.elapsed() > READY {
                // It is killed as a last resort; the panic below says why.
                let _ = child.kill();
                let _ = child.wait();
                panic!("MariaDB does not answer:\n{}", self.log());
            }
            std::thread::sleep(AGAIN);
        }
        self.server = Some(child);
        true
    }

    fn client(&self) -> Command {
        let mut client = program("mariadb");
        client.args(["--no-defaults", "--host=127.0.0.1", "--user=root"]);
        client.arg(format!("--port={}", self.port));
        client.args(["--batch", "--skip-column-names", "--local-infile=1"]);
        client.arg("--default-character-set=utf8mb4");
        client.stdin(Stdio::null());
        client
    }

    fn answers(&self) -> bool {
        let mut client = self.client();
        let asked = client.args(["--connect-timeout=2", "--execute=SELECT 1"]);
        asked.output().is_ok_and(|output| output.status.success())
    }

    /// The port of loopback that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new, empty database; the answer is its name.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn create_database(&self) -> String {
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("assay_{number}");
        self.sql("mysql", &format!("CREATE DATABASE {name}"));
        name
    }

    /// Runs statements in a database; the answer is what they print, without headers.
    ///
    /// # Panics
    /// When one of them fails.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let mut client = self.client();
        client.arg(format!("--execute={statements}")).arg(database);
        run(&mut client, "mariadb")
    }

    /// What the server logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Nothing of it is needed any more.
            let _ = server.kill();
            let _ = server.wait();
        }
        if let Some((mut sweeper, pipe)) = self.sweeper.take() {
            drop(pipe);
            // Its only work left is to remove the folder.
            let _ = sweeper.wait();
        }
    }
}
