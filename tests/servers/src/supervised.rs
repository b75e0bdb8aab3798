//! A server that ends with its guard, and also when the test process dies without dropping it.
//!
//! Comes in: a command. Goes out: its process, which can be paused, resumed and killed. It must
//! never outlive whoever started it: a reader at the end of a pipe kills the server when the other
//! end is gone, however it went.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The shell becomes the server; before, it leaves a reader behind that kills it at the pipe's end.
const SCRIPT: &str = r#"exec 3<&0
(while read -r _; do :; done <&3; kill -9 $$) </dev/null >/dev/null 2>&1 &
exec 3<&-
exec "$@" </dev/null"#;

/// How long the reader may take before the server is killed without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A running server.
#[derive(Debug)]
pub struct Supervised {
    child: Child,
}

impl Supervised {
    /// Starts `program` with `arguments`; what it prints goes to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        program: &str,
        arguments: &[String],
        environment: &[(&str, &str)],
        log: File,
    ) -> std::io::Result<Self> {
        let errors = log.try_clone()?;
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "sh", program])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            .spawn()?;
        Ok(Self { child })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it (SIGKILL) and waits for its end; a repeat does nothing.
    pub fn kill(&mut self) {
        // The reader kills it; doing it here as well could hit another process of the same id once
        // this one is waited for.
        drop(self.child.stdin.take());
        let until = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether it is still running.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Panics
    /// When it does not run.
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    /// The code that it ends with by itself; `None` when it has none within `limit`.
    pub fn code_within(&mut self, limit: Duration) -> Option<i32> {
        let until = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(Some(ended)) => return ended.code(),
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// Stops it where it is (SIGSTOP), as a machine that hangs.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause(&mut self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Panics
    /// When it does not run.
    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
    }

    fn signal(&mut self, signal: Signal) {
        assert!(self.runs(), "the server does not run");
        let id = i32::try_from(self.child.id()).expect("a process id is an i32");
        let id = Pid::from_raw(id).expect("a process id is not zero");
        kill_process(id, signal).expect("the server is ours to signal");
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Supervised {
        let log = tempfile::tempfile().expect("a file");
        Supervised::start("sleep", &["1000".to_owned()], &[], log).expect("sleep starts")
    }

    #[test]
    fn a_server_ends_when_the_pipe_of_its_owner_does() {
        let mut server = sleeper();
        assert!(server.runs());
        // As the kernel does when the owner dies.
        let pipe = server.child.stdin.take().expect("a pipe");
        drop(pipe);
        let until = Instant::now() + PATIENCE;
        while server.runs() {
            assert!(Instant::now() < until, "it outlives its owner");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn the_code_that_it_ends_with_is_told() {
        let log = || tempfile::tempfile().expect("a file");
        let mut ends = Supervised::start("sh", &["-c".into(), "exit 3".into()], &[], log());
        let ends = ends.as_mut().expect("a shell starts");
        assert_eq!(ends.code_within(Duration::from_secs(10)), Some(3));
        let mut asked = sleeper();
        assert_eq!(asked.code_within(Duration::from_millis(50)), None);
        asked.terminate();
        // A signal is no code.
        assert_eq!(asked.code_within(Duration::from_secs(10)), None);
        assert!(!asked.runs());
    }

    #[test]
    fn a_paused_server_can_be_killed() {
        let mut server = sleeper();
        server.pause();
        assert!(server.runs());
        server.kill();
        assert!(!server.runs());
    }
}
