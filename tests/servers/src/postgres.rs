//! Postgres in a temporary folder.
//!
//! Comes in: how durable it shall be, and what else differs from the defaults. Goes out: a server on
//! loopback that trusts everybody there, databases in it, and the ways to end, kill, pause and start
//! it again. It must never outlive the program that started it: a small shell waits for the end of a
//! pipe that only this program holds open, then ends the server and removes the folder, however the
//! program ended.

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::home::{Owner, folder, run, sweeper};
use crate::port;

/// How long a start may take, recovery after a kill included.
const READY: Duration = Duration::from_secs(90);

/// How often a question is put again.
const AGAIN: Duration = Duration::from_millis(20);

/// How a server differs from the usual one.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The folder that its own is made in; the system's for temporary files without.
    pub parent: Option<PathBuf>,
    /// Whether a commit waits for the disk: for drills that kill the server. Off is faster.
    pub fsync: bool,
    /// More settings, as in `postgresql.conf`: name and value.
    pub settings: Vec<(String, String)>,
}

/// A running Postgres; it ends with this guard, or with the program.
#[derive(Debug)]
pub struct Postgres {
    /// Where data and log lie. The sweeper removes it.
    folder: PathBuf,
    port: u16,
    owner: Option<Owner>,
    options: Options,
    server: Mutex<Option<Child>>,
    sweeper: Option<(Child, ChildStdin)>,
}

/// Databases of this program so far, all servers together.
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The server that all tests of a program share. Commits do not wait for the disk.
///
/// # Panics
/// When Postgres is not installed, or does not start.
#[must_use]
pub fn shared() -> &'static Postgres {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED.get_or_init(|| Postgres::start(Options::default()))
}

impl Postgres {
    /// Starts a server of its own, and waits until it answers.
    ///
    /// # Panics
    /// When Postgres is not installed, or does not start.
    #[must_use]
    pub fn start(options: Options) -> Self {
        let mut this = Self::prepare(options);
        this.init();
        this.begin();
        this
    }

    /// Starts a hot standby of this server, by a copy of its data, and waits until it answers. It
    /// is called `standby` in what the server says of replication. When `synchronous`, no commit
    /// is confirmed from here on that the standby has not written, too.
    ///
    /// # Panics
    /// When it cannot be copied, or does not start.
    #[must_use]
    pub fn standby(&self, synchronous: bool) -> Self {
        let mut this = Self::prepare(self.options.clone());
        let from = format!(
            "host=127.0.0.1 port={} user=postgres application_name=standby",
            self.port
        );
        let mut copy = this.command("pg_basebackup");
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
        copy.arg("--wal-method=stream").arg("--dbname").arg(from);
        run(
            copy.arg("-D").arg(this.folder.join("data")),
            "pg_basebackup",
        );
        this.begin();
        let streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        self.await_sql(streams, "1");
        if synchronous {
            self.sql(
                &self.url(),
                "ALTER SYSTEM SET synchronous_standby_names = 'standby'",
            );
            self.sql(&self.url(), "SELECT pg_reload_conf()");
            let waits = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
            self.await_sql(waits, "1");
        }
        this
    }

    /// Has a standby hear nothing more of its server; returns when it does not listen any more.
    ///
    /// # Panics
    /// When it goes on listening.
    pub fn fall_behind(&self) {
        self.sql(&self.url(), "ALTER SYSTEM SET primary_conninfo = ''");
        self.sql(&self.url(), "SELECT pg_reload_conf()");
        self.await_sql("SELECT count(*) FROM pg_stat_wal_receiver", "0");
    }

    /// Makes a standby a server of its own; returns when it takes writes.
    ///
    /// # Panics
    /// When it does not.
    pub fn promote(&self) {
        let mut promote = self.command("pg_ctl");
        promote.args(["promote", "--wait", "-D"]);
        run(promote.arg(self.folder.join("data")), "pg_ctl");
    }

    /// Asks until the answer is the one that is wanted.
    fn await_sql(&self, query: &str, wanted: &str) {
        let begun = Instant::now();
        while self.sql(&self.url(), query) != wanted {
            assert!(begun.elapsed() < READY, "never {wanted}: {query}");
            std::thread::sleep(AGAIN);
        }
    }

    /// A server without data that does not run.
    fn prepare(options: Options) -> Self {
        let owner = Owner::of_server("postgres");
        let parent = options.parent.clone().unwrap_or_else(std::env::temp_dir);
        let folder = folder("assay-postgres-", &parent, owner);
        let sweeper = sweeper(&folder, "postmaster.pid", owner);
        Self {
            folder,
            port: 0,
            owner,
            options,
            server: Mutex::new(None),
            sweeper: Some(sweeper),
        }
    }

    /// Starts on a free port.
    fn begin(&mut self) {
        for _ in 0..5 {
            self.port = port::free();
            // Another program may have taken the port in between.
            if self.try_run() {
                return;
            }
        }
        panic!("Postgres did not start:\n{}", self.log());
    }

    /// The address of the database that every server has.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The address of the database `name`.
    #[must_use]
    pub fn url_of(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// The port of loopback that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the postmaster while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.lock().as_ref().map(Child::id)
    }

    /// A new, empty database; the answer is its address.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn create_database(&self) -> String {
        self.create_database_like("template1")
    }

    /// A new database that is a copy of `template`, to which nobody may be connected; the answer is
    /// its address.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn create_database_like(&self, template: &str) -> String {
        let name = format!("assay_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        self.create_database_as(&name, template)
    }

    /// A new database `name` that is a copy of `template`; the answer is its address.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn create_database_as(&self, name: &str, template: &str) -> String {
        self.client("createdb", &["-T", template, name]);
        self.url_of(name)
    }

    /// Runs statements in the database of `url` by `psql`; the answer is what it prints, unaligned
    /// and without headers.
    ///
    /// # Panics
    /// When one of them fails.
    pub fn sql(&self, url: &str, statements: &str) -> String {
        let arguments = ["-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statements, url];
        run(Command::new(program("psql")).args(arguments), "psql")
    }

    /// Makes a folder that the server may write to, for a tablespace.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn own_folder(&self, folder: &Path) {
        fs::create_dir(folder).expect("a folder can be made");
        if let Some(owner) = self.owner {
            chown(folder, Some(owner.uid), Some(owner.gid)).expect("root may give away");
        }
    }

    /// Has it write its log of changes on and on, until it breaks down because there is no room.
    ///
    /// # Panics
    /// When it does not.
    pub fn write_until_it_breaks(&self) {
        let begun = Instant::now();
        let url = self.url();
        let write = "SELECT pg_logical_emit_message(false, 'filler', repeat('x', 8000000))";
        while !self.log().contains("PANIC") {
            let mut psql = Command::new(program("psql"));
            // It is to be refused.
            let _ = psql.args(["-qAtX", "-c", write, &url]).output();
            assert!(begun.elapsed() < READY, "it goes on:\n{}", self.log());
        }
    }

    /// Ends it quickly but orderly: open transactions are rolled back, nothing is to be recovered.
    pub fn stop(&self) {
        self.end(Signal::INT);
    }

    /// Kills the postmaster; its children end by themselves as soon as they notice.
    pub fn kill(&self) {
        self.end(Signal::KILL);
    }

    /// Stops the postmaster and all its children where they are, as a machine that hangs; they
    /// stand still when it returns.
    pub fn pause(&self) {
        self.signal_all(Signal::STOP);
        let Some(parent) = self.id() else { return };
        let begun = Instant::now();
        let moves =
            |pid: &u32| stat(*pid).is_some_and(|(state, _)| !"TtZX".contains(state.as_str()));
        while begun.elapsed() < READY {
            if !std::iter::once(parent)
                .chain(children(parent))
                .any(|pid| moves(&pid))
            {
                return;
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// Lets all that was paused go on.
    pub fn resume(&self) {
        self.signal_all(Signal::CONT);
    }

    /// Starts it again where it was, on the same port, and waits until it answers.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&self) {
        self.stop();
        let begun = Instant::now();
        // The port and the memory of a killed server are free when its last child has ended.
        while !self.try_run() {
            assert!(begun.elapsed() < READY, "no restart:\n{}", self.log());
            std::thread::sleep(AGAIN);
        }
    }

    /// What the server logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.server
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A command of the server's package, run as its user in its folder.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        command.current_dir(&self.folder).stdin(Stdio::null());
        if let Some(owner) = self.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        command
    }

    fn client(&self, name: &str, arguments: &[&str]) -> String {
        let mut command = self.command(name);
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-p"]);
        run(
            command.arg(self.port.to_string()).args(arguments),
            "Postgres",
        )
    }

    fn init(&self) {
        let mut initdb = self.command("initdb");
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8"]);
        // The order of texts must not depend on the machine.
        initdb.args(["--locale=C.UTF-8", "--no-sync", "-D"]);
        run(initdb.arg(self.folder.join("data")), "initdb");
    }

    /// Starts the postmaster; `false` when it ended before it answered.
    fn try_run(&self) -> bool {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .expect("the log can be written");
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.folder.join("data"));
        for (name, value) in self.settings() {
            command.arg("-c").arg(format!("{name}={value}"));
        }
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
                panic!("Postgres does not answer:\n{}", self.log());
            }
            std::thread::sleep(AGAIN);
        }
        *self.lock() = Some(child);
        true
    }

    fn settings(&self) -> Vec<(String, String)> {
        let on_disk = if self.options.fsync { "on" } else { "off" };
        let ours = [
            ("port", self.port.to_string()),
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("unix_socket_directories", String::new()),
            ("fsync", on_disk.to_owned()),
            ("full_page_writes", on_disk.to_owned()),
            ("shared_buffers", "32MB".to_owned()),
            ("max_connections", "200".to_owned()),
            ("max_wal_size", "256MB".to_owned()),
            ("timezone", "UTC".to_owned()),
        ];
        let ours = ours
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        ours.chain(self.options.settings.iter().cloned()).collect()
    }

    fn answers(&self) -> bool {
        let mut asked = self.command("pg_isready");
        asked.args(["-q", "-t", "2", "-h", "127.0.0.1", "-p"]);
        let status = asked.arg(self.port.to_string()).status();
        status.is_ok_and(|status| status.success())
    }

    fn end(&self, signal: Signal) {
        if let Some(mut child) = self.lock().take() {
            // It may have ended by itself.
            let _ = kill_process(Pid::from_child(&child), signal);
            let _ = child.wait();
        }
    }

    fn signal_all(&self, signal: Signal) {
        let Some(parent) = self.id() else { return };
        for pid in std::iter::once(parent).chain(children(parent)) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                // A child may have ended since it was listed.
                let _ = kill_process(pid, signal);
            }
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.resume();
        self.end(Signal::QUIT);
        if let Some((mut sweeper, pipe)) = self.sweeper.take() {
            drop(pipe);
            // Its only work left is to remove the folder.
            let _ = sweeper.wait();
        }
    }
}

/// The children of a process, as the system lists them.
fn children(parent: u32) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid).is_some_and(|(_, of)| of == parent.to_string()))
        .collect()
}

/// The state of a process, as a letter, and the id of its parent.
fn stat(pid: u32) -> Option<(String, String)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // pid (name) state parent …; the name may hold anything, even brackets.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut cells = rest.split(' ').map(str::to_owned);
    Some((cells.next()?, cells.next()?))
}

/// The folder of the package's programs, of the newest version that is installed.
///
/// # Panics
/// When Postgres is not installed.
#[must_use]
pub fn programs() -> PathBuf {
    let psql = program("psql");
    psql.parent().expect("it lies in a folder").to_owned()
}

/// Where a program of the package lies: the newest version that is installed.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            let version = folder.file_name()?.to_str()?.parse().ok()?;
            let program = folder.join("bin").join(name);
            program.exists().then_some((version, program))
        })
        .collect();
    found.sort();
    let Some((_, program)) = found.pop() else {
        panic!("Postgres is not installed (no {name}): apt-get install postgresql");
    };
    program
}
