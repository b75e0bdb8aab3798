//! The load generator `wrk`, on a core of its own.
//!
//! Comes in: paths, connections, for how long. Goes out: requests per second and latencies. It must
//! never report a run in which an answer was an error, unless errors were asked for.

use std::fmt::Write as _;
use std::process::Command;

use crate::server::{GENERATOR, Server};

/// What `wrk` saw.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub megabytes: f64,
}

/// What is asked for, again and again.
pub struct Load<'a> {
    pub paths: &'a [String],
    /// Lua: how the path of the n-th request is made of its table; in turn without.
    pub path: Option<&'a str>,
    pub token: Option<&'a str>,
    pub connections: u32,
    pub seconds: u64,
}

impl Load<'_> {
    /// A script that spells each request once.
    fn script(&self) -> String {
        let mut lua = String::from("local n = 0\nlocal paths = {\n");
        for path in self.paths {
            // Writing to a string cannot fail.
            let _ = writeln!(lua, "\"{path}\",");
        }
        lua.push_str("}\nlocal headers = {}\n");
        if let Some(token) = self.token {
            let _ = writeln!(lua, "headers[\"Authorization\"] = \"Bearer {token}\"");
        }
        match self.path {
            None => lua.push_str(
                "local ready = {}\n\
                 function init(args)\nfor i, path in ipairs(paths) do\n\
                 ready[i] = wrk.format(\"GET\", path, headers)\nend\nend\n\
                 function request()\nn = n % #ready + 1\nreturn ready[n]\nend\n",
            ),
            Some(path) => {
                let _ = writeln!(
                    lua,
                    "function request()\nn = n + 1\nreturn wrk.format(\"GET\", {path}, headers)\nend"
                );
            }
        }
        lua
    }

    /// Asks, and tells what came.
    pub async fn run(&self, server: &Server) -> Seen {
        let script = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(script.path(), self.script()).expect("it can be written");
        let mut command = Command::new("taskset");
        command
            .args(["-c", GENERATOR, "wrk", "-t1", "--latency"])
            .arg(format!("-c{}", self.connections))
            .arg(format!("-d{}s", self.seconds))
            .arg("-s")
            .arg(script.path())
            .arg(format!("http://{}", server.address));
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output
            .expect("it ends")
            .expect("wrk and taskset are needed: apt-get install wrk util-linux");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        assert!(
            !text.contains("Non-2xx"),
            "answers that are errors:\n{text}"
        );
        assert!(
            !text.contains("Socket errors"),
            "broken connections:\n{text}"
        );
        read(&text)
    }
}

fn read(text: &str) -> Seen {
    let after = |word: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(word));
        let value = line.unwrap_or_else(|| panic!("no `{word}`:\n{text}"));
        value.trim().to_owned()
    };
    let number = |text: &str, units: &[(&str, f64)]| {
        let found = units.iter().find_map(|(unit, factor)| {
            Some(text.strip_suffix(*unit)?.parse::<f64>().ok()? * factor)
        });
        found.unwrap_or_else(|| panic!("no number: {text}"))
    };
    let times = [("us", 1e-3), ("ms", 1.0), ("s", 1e3)];
    let sizes = [("GB", 1024.0), ("MB", 1.0), ("KB", 1.0 / 1024.0)];
    Seen {
        per_second: number(&after("Requests/sec:"), &[("", 1.0)]),
        p50_ms: number(&after("50%"), &times),
        p99_ms: number(&after("99%"), &times),
        megabytes: number(&after("Transfer/sec:"), &sizes),
    }
}
