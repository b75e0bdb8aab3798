//! The folder of a server, whose data it is, and who sees to its end.
//!
//! Comes in: the wish for a folder. Goes out: one that belongs to a user who is not root, and a small
//! shell that waits for the end of a pipe that only this program holds open, then ends the server and
//! removes the folder, however the program ended.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Waits for the end of the pipe, then ends the server whose folder this is, and removes the folder.
/// A process id in a stale file may belong to somebody else: its working folder tells.
const SWEEP: &str = r#"trap '' INT TERM HUP; cat >/dev/null
pid=$(head -n 1 "$1/data/$2" 2>/dev/null) || pid=
mine() { [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$1/data" ]; }
if mine "$1"; then
  kill -CONT "$pid"; kill -QUIT "$pid"
  n=0; while mine "$1" && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done
  mine "$1" && kill -KILL "$pid"
fi
cd /; rm -rf "$1""#;

/// The user that the server runs as when the program is root, which such servers refuse to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Owner {
    /// Who the server runs as: somebody else only when the program is root.
    pub(crate) fn of_server(name: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let users = fs::read_to_string("/etc/passwd").expect("every system lists its users");
        let named = |wanted: &str| {
            users.lines().find_map(|line| {
                let mut cells = line.split(':');
                let ours = cells.next() == Some(wanted);
                let uid = cells.nth(1)?.parse().ok()?;
                let gid = cells.next()?.parse().ok()?;
                ours.then_some(Self { uid, gid })
            })
        };
        let found = named(name).or_else(|| named("nobody"));
        Some(found.expect("it refuses to run as root: a user of its own, or `nobody`"))
    }
}

/// A new folder whose name begins so. From here on its sweeper removes it, and nobody else.
pub(crate) fn folder(prefix: &str, parent: &Path, owner: Option<Owner>) -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(parent)
        .expect("a temporary folder can be made");
    if let Some(owner) = owner {
        chown(folder.path(), Some(owner.uid), Some(owner.gid)).expect("root may give away");
    }
    fs::canonicalize(folder.keep()).expect("it has just been made")
}

/// Sees to the end of the server whose data is in the folder, by the file there that holds its id.
pub(crate) fn sweeper(folder: &Path, pid: &str, owner: Option<Owner>) -> (Child, ChildStdin) {
    let mut shell = Command::new("sh");
    shell.args(["-c", SWEEP, "sweeper"]).arg(folder).arg(pid);
    shell
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    if let Some(owner) = owner {
        shell.uid(owner.uid).gid(owner.gid);
    }
    // Signals of the terminal go to the program, not to what cleans up after it.
    shell.stderr(Stdio::null()).process_group(0);
    let mut child = shell.spawn().expect("every system has a shell");
    let pipe = child.stdin.take().expect("it was asked for");
    (child, pipe)
}

/// Runs a command to its end; the answer is what it printed.
pub(crate) fn run(command: &mut Command, what: &str) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{what} does not start: {error}"));
    if !output.status.success() {
        let _ = io::stderr().write_all(&output.stderr);
        let told = String::from_utf8_lossy(&output.stderr);
        panic!("{what} failed ({}): {told}", output.status);
    }
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
