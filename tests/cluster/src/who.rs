//! Who is at the other end of a connection on this machine.
//!
//! Comes in: the port that a connection was made from. Goes out: the process that holds it. It must
//! never guess: a connection whose process is not found is a stranger's, unless it is closed already.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::machine::parent_of;

/// The system's lists are no snapshots: what is missing once is looked for again, this often,
const LOOKS: u32 = 6;
/// and after this long.
const BETWEEN: Duration = Duration::from_millis(15);

/// Whom a connection belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A process of the cluster, or its child.
    Known(String),
    /// A process that nobody made known.
    Stranger,
    /// Nobody any more: the connection is closed.
    Gone,
}

/// The processes of a cluster by id.
#[derive(Debug, Default)]
pub struct People {
    names: Mutex<BTreeMap<u32, String>>,
    /// One looks at a time: a storm of connections must not become a storm of looks.
    looks: Mutex<()>,
}

impl People {
    /// Makes a process known.
    ///
    /// # Panics
    /// Never: nobody panics while holding the names.
    pub fn meet(&self, pid: u32, name: &str) {
        let mut names = self.names.lock().expect("nobody panics with it");
        names.insert(pid, name.to_owned());
    }

    /// Who connects from `port` of loopback: the process that holds the socket, or its parent.
    ///
    /// # Panics
    /// Never: nobody panics while holding the names.
    #[must_use]
    pub fn at(&self, port: u16) -> Caller {
        let mut last = Caller::Gone;
        for _ in 0..LOOKS {
            last = self.look(port);
            if matches!(last, Caller::Known(_)) {
                break;
            }
            thread::sleep(BETWEEN);
        }
        last
    }

    fn look(&self, port: u16) -> Caller {
        let _one = self.looks.lock().expect("nobody panics while looking");
        match inode_of(port) {
            None => Caller::Gone,
            Some(inode) => self.holder(&inode).map_or(Caller::Stranger, Caller::Known),
        }
    }

    fn holder(&self, inode: &str) -> Option<String> {
        let names = self.names.lock().expect("nobody panics with it").clone();
        let mut folk: Vec<(u32, &String)> = names.iter().map(|(pid, name)| (*pid, name)).collect();
        if let Some(name) = holder(&folk, inode) {
            return Some(name);
        }
        // A child that a node runs its tasks in.
        folk = crate::machine::processes()
            .filter_map(|pid| Some((pid, names.get(&parent_of(pid)?)?)))
            .collect();
        holder(&folk, inode)
    }
}

fn holder(folk: &[(u32, &String)], inode: &str) -> Option<String> {
    let link = format!("socket:[{inode}]");
    let holds = |pid: u32| {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            return false;
        };
        files
            .flatten()
            .any(|f| fs::read_link(f.path()).is_ok_and(|to| to.as_os_str() == link.as_str()))
    };
    let found = folk.iter().find(|(pid, _)| holds(*pid));
    found.map(|(_, name)| (*name).clone())
}

/// The inode of the socket whose own end is `port` of 127.0.0.1.
fn inode_of(port: u16) -> Option<String> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let own = format!("0100007F:{port:04X}");
    table.lines().find_map(|line| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        (cells.get(1) == Some(&own.as_str()) && cells.get(9) != Some(&"0"))
            .then(|| cells.get(9).map(|inode| (*inode).to_owned()))?
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn pair() -> (TcpStream, TcpListener, u16) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        (client, listener, port)
    }

    #[test]
    fn a_connection_is_known_strange_or_gone() {
        let people = People::default();
        let (client, _listener, port) = pair();
        assert_eq!(people.at(port), Caller::Stranger);
        people.meet(std::process::id(), "manager-1");
        assert_eq!(people.at(port), Caller::Known("manager-1".to_owned()));
        drop(client);
        assert_eq!(people.at(port), Caller::Gone);
    }

    #[test]
    fn a_process_that_becomes_known_late_is_found() {
        let people = std::sync::Arc::new(People::default());
        let (_client, _listener, port) = pair();
        let asks = std::sync::Arc::clone(&people);
        let asked = thread::spawn(move || asks.at(port));
        thread::sleep(BETWEEN * 2);
        people.meet(std::process::id(), "node-1");
        assert_eq!(asked.join().unwrap(), Caller::Known("node-1".to_owned()));
    }
}
