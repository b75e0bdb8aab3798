//! Who is at the other end of a connection on this machine.
//!
//! Comes in: the port that a connection was made from. Goes out: the process that holds it. It must
//! never guess: a connection whose process is not found is nobody's.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;

use crate::machine::parent_of;

/// The processes of a cluster by id.
#[derive(Debug, Default)]
pub struct People {
    names: Mutex<BTreeMap<u32, String>>,
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

    /// The name of the process, or of its parent, that connects from `port` of loopback.
    ///
    /// # Panics
    /// Never: nobody panics while holding the names.
    #[must_use]
    pub fn at(&self, port: u16) -> Option<String> {
        let inode = inode_of(port)?;
        let names = self.names.lock().expect("nobody panics with it").clone();
        let mut folk: Vec<(u32, &String)> = names.iter().map(|(pid, name)| (*pid, name)).collect();
        if let Some(name) = holder(&folk, &inode) {
            return Some(name);
        }
        // A child that a node runs its tasks in.
        folk = crate::machine::processes()
            .filter_map(|pid| Some((pid, names.get(&parent_of(pid)?)?)))
            .collect();
        holder(&folk, &inode)
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
