//! The lock of a data folder: one embedded cluster at a time, and where to reach it.
//!
//! Comes in: a data folder. Goes out: a held lock, or who holds it. The lock is the operating
//! system's (`flock`), so that it ends with its process however that ends; the text beside it only
//! tells people and clients who that is, and is believed only while the lock is held.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// Who holds a data folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// What it does (`dev`, `check`).
    pub command: String,
    /// Where its manager listens, once it does.
    #[serde(default)]
    pub address: Option<String>,
}

/// A data folder held by this process; dropping it lets go.
#[derive(Debug)]
pub struct DataLock {
    folder: PathBuf,
    _file: File,
    holder: Holder,
}

/// What became of the wish to hold a data folder.
#[derive(Debug)]
pub enum Lock {
    /// It is this process's.
    Held(DataLock),
    /// Another process has it.
    Taken(Holder),
}

/// Tries to hold `folder` for `command`; makes the folder if it is not there.
pub fn hold(folder: &Path, command: &str) -> Result<Lock> {
    fs::create_dir_all(folder).with_context(|| {
        format!(
            "cannot create the data folder {}; choose another with --data-dir",
            folder.display()
        )
    })?;
    let path = folder.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .with_context(|| {
            format!(
                "cannot write {}; choose another data folder with --data-dir",
                path.display()
            )
        })?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(Lock::Taken(read_holder(folder)));
    }
    let lock = DataLock {
        folder: folder.to_owned(),
        _file: file,
        holder: Holder {
            pid: std::process::id(),
            command: command.to_owned(),
            address: None,
        },
    };
    lock.write_holder()?;
    Ok(Lock::Held(lock))
}

/// Who holds `folder`, if somebody does.
pub fn holder_of(folder: &Path) -> Option<Holder> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(folder.join("lock"))
        .ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => None,
        Err(_) => Some(read_holder(folder)),
    }
}

fn read_holder(folder: &Path) -> Holder {
    fs::read_to_string(folder.join("holder.json"))
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or(Holder {
            pid: 0,
            command: "another assay".to_owned(),
            address: None,
        })
}

impl DataLock {
    /// Tells clients where the manager listens.
    pub fn publish(&mut self, address: &str) -> Result<()> {
        self.holder.address = Some(address.to_owned());
        self.write_holder()
    }

    fn write_holder(&self) -> Result<()> {
        let temporary = self.folder.join("holder.tmp");
        let mut file = File::create(&temporary)
            .with_context(|| format!("cannot write {}", temporary.display()))?;
        file.write_all(serde_json::to_string(&self.holder)?.as_bytes())?;
        fs::rename(&temporary, self.folder.join("holder.json"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let folder = tempfile::tempdir().unwrap();
        let Lock::Held(mut first) = hold(folder.path(), "dev").unwrap() else {
            panic!("a free folder is taken");
        };
        first.publish("127.0.0.1:8081").unwrap();
        match hold(folder.path(), "check").unwrap() {
            Lock::Taken(holder) => {
                assert_eq!(holder.pid, std::process::id());
                assert_eq!(holder.address.as_deref(), Some("127.0.0.1:8081"));
            }
            Lock::Held(_) => panic!("two processes hold one folder"),
        }
        assert!(holder_of(folder.path()).is_some());
        drop(first);
        assert!(holder_of(folder.path()).is_none());
    }
}
