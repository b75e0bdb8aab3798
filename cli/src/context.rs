//! What every command gets: its flags, the settings, the screen.

use std::path::PathBuf;

use anyhow::Result;
use assay_manager::Lineage;
use assay_process::environment::{known, misspelt, present};
use assay_scan::storage::StorageAt;
use clap::CommandFactory as _;

use crate::args::{Cli, Global, NodeRange};
use crate::client::name_server;
use crate::config::{KEYS, Settings, variable};
use crate::exit::{Exit, OrExit};
use crate::show::Screen;

/// What every command gets.
#[derive(Debug, Clone)]
pub struct Context {
    /// Flags of every command.
    pub global: Global,
    /// The settings in force.
    pub settings: Settings,
    /// Where and how to write.
    pub screen: Screen,
}

impl Context {
    /// Reads the settings.
    pub fn new(global: Global) -> Result<Self> {
        let profile = global.profile.as_deref();
        let settings = Settings::load(global.config.as_deref(), profile);
        let mut settings = settings.or_exit(Exit::Usage)?;
        if let Some(folder) = &global.data_dir {
            settings.set(
                "store.data_dir",
                folder.display().to_string(),
                "flag --data-dir",
            )?;
        }
        for (path, key, flag) in [
            (&global.tls_ca, "client.tls_ca", "flag --tls-ca"),
            (&global.tls_cert, "client.tls_cert", "flag --tls-cert"),
            (&global.tls_key, "client.tls_key", "flag --tls-key"),
        ] {
            if let Some(path) = path {
                settings.set(key, path.display().to_string(), flag)?;
            }
        }
        if let Some(name) = &global.tls_server_name {
            let flag = "flag --tls-server-name";
            settings.set("client.tls_server_name", name.clone(), flag)?;
        }
        if let Some(server) = &global.server {
            name_server(&mut settings, server)?;
        }
        settings.check().or_exit(Exit::Usage)?;
        let screen = Screen::new(&global);
        let mut known = known(&Cli::command());
        known.push("ASSAY_LOG".to_owned());
        known.extend(KEYS.iter().map(variable));
        for line in misspelt(&known, present()) {
            screen.note(&line);
        }
        Ok(Self {
            global,
            settings,
            screen,
        })
    }

    /// The folder of the embedded store.
    pub fn data_dir(&self) -> PathBuf {
        PathBuf::from(self.settings.text("store.data_dir").unwrap_or("./.assay"))
    }

    /// The folder of dataset definitions.
    pub fn registry_dir(&self) -> PathBuf {
        PathBuf::from(self.settings.text("registry.dir").unwrap_or("./datasets"))
    }

    /// Memory for scans, in bytes: as set, or a quarter of the machine's and at most 1 GiB for each
    /// core.
    pub fn memory_bytes(&self, flag: Option<u64>) -> Result<u64> {
        if let Some(bytes) = flag {
            return Ok(bytes);
        }
        match self.settings.text("scan.memory") {
            Some(text) => crate::args::parse_bytes(text).map_err(|why| anyhow::anyhow!(why)),
            None => Ok((machine_memory() / 4).clamp(64 << 20, u64::from(cores()) << 30)),
        }
    }

    /// Where copies of partitions are stored, if anywhere.
    pub fn storage(&self) -> Result<Option<StorageAt>> {
        let named = self.settings.text("ingest.url");
        named
            .map(crate::sources::storage)
            .transpose()
            .or_exit(Exit::Usage)
    }

    /// Where runs are told of as lineage, if anywhere.
    pub fn lineage(&self) -> Result<Option<Lineage>> {
        let text = |key| self.settings.text(key).map(str::to_owned);
        let settings = assay_lineage::Settings {
            url: text("lineage.url"),
            file: text("lineage.file").map(PathBuf::from),
            credential: text("lineage.credential"),
            namespace: text("lineage.namespace"),
        };
        let sink = settings.sink().map_err(anyhow::Error::msg);
        let sink = sink.or_exit(Exit::Usage)?;
        let namespace = settings.namespace();
        Ok(sink.map(|sink| Lineage { sink, namespace }))
    }

    /// The data nodes of an embedded cluster: the flag, the setting, or one per core (at most 4).
    pub fn nodes(&self, flag: Option<NodeRange>) -> Result<NodeRange> {
        if let Some(range) = flag {
            return Ok(range);
        }
        match self.settings.text("dev.nodes") {
            Some(text) => crate::args::parse_nodes(text).map_err(|why| anyhow::anyhow!(why)),
            None => {
                let n = cores().min(4);
                Ok(NodeRange { min: n, max: n })
            }
        }
    }
}

/// Cores that this process may use.
pub fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u32)
}

/// What a task of a check has to have, for two of them to share a core.
const ROOM: u64 = 512 << 20;

/// Tasks of a check at once: two for each core, since one waits for its commit as the other computes;
/// one where two would have little memory.
pub fn tasks_at_once(cores: u32, memory_bytes: u64) -> u32 {
    let with_room = u32::try_from(memory_bytes / ROOM).unwrap_or(u32::MAX);
    with_room.clamp(cores, cores.saturating_mul(2)).max(1)
}

/// Memory of this machine in bytes; 4 GiB where it cannot be told.
fn machine_memory() -> u64 {
    let told = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
            let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some(kib << 10)
        });
    told.unwrap_or(4 << 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tasks_share_a_core_where_each_has_room() {
        assert_eq!(tasks_at_once(2, 2 << 30), 4);
        assert_eq!(tasks_at_once(2, 3 << 29), 3);
        assert_eq!(
            tasks_at_once(2, 64 << 20),
            2,
            "a core is never idle for memory"
        );
        assert_eq!(tasks_at_once(8, 64 << 30), 16);
        assert_eq!(tasks_at_once(0, 0), 1);
    }
}
