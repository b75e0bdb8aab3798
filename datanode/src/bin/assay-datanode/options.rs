//! What the node's process is told: flags, the environment, a file.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use assay_process::options::{
    Etcd, EtcdOptions, Files, LogOptions, Store, StoreOptions, TelemetryOptions, TlsOptions,
    host_name, size, without_password,
};
use assay_process::{Layered, Refused, file, layered};
use assay_proto::limits::SLOTS_MAX;
use assay_telemetry::{LogSettings, machine};
use clap::{Args, Parser};
use serde::Deserialize;

use crate::sources::{IngestOptions, IngestPlace, SourceOptions, SourceSettings};

/// A data node of an Assay cluster: measures and judges what the leading manager gives it.
#[derive(Debug, Parser)]
#[command(name = "assay-datanode", version)]
pub struct Flags {
    /// File of options (TOML) [default: /etc/assay/datanode.toml, if there is one].
    #[arg(long, env = "ASSAY_DATANODE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check the options, show them and leave.
    #[arg(long)]
    pub config_check: bool,
    /// Ask the node that runs on these options whether it lives, and leave.
    #[arg(long)]
    pub health: bool,
    /// All other options.
    #[command(flatten)]
    pub options: Options,
}

/// The options that a file may hold, too.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The node's id, unique in the cluster and kept over restarts [default: the machine's name].
    #[arg(long, env = "ASSAY_NODE_ID")]
    pub id: Option<String>,
    /// Where the managers are, with commas between; the one that leads is found among them.
    #[arg(
        long,
        env = "ASSAY_MANAGERS",
        value_name = "URLS",
        value_delimiter = ','
    )]
    pub managers: Option<Vec<String>>,
    /// Tasks at once [default: one per core].
    #[arg(long, env = "ASSAY_NODE_SLOTS")]
    pub slots: Option<u32>,
    /// Memory for all tasks together [default: half of what the process may take].
    #[arg(long, env = "ASSAY_NODE_MEMORY", value_name = "SIZE")]
    pub memory: Option<String>,
    /// The failure zone [default: none]; `auto` asks ECS for it.
    #[arg(long, env = "ASSAY_NODE_ZONE")]
    pub zone: Option<String>,
    /// Where the node listens for as long as it lives, so that its death is seen at once
    /// [default: any port of every address].
    #[arg(long, env = "ASSAY_NODE_PROBE", value_name = "ADDRESS:PORT")]
    pub probe: Option<SocketAddr>,
    /// Seconds that tasks may go on once the process is asked to stop [default: 60].
    #[arg(long, env = "ASSAY_DRAIN_GRACE_S")]
    pub drain_grace_s: Option<u64>,
    /// Log.
    #[command(flatten)]
    pub log: LogOptions,
    /// Telemetry and health pages.
    #[command(flatten)]
    pub telemetry: TelemetryOptions,
    /// Mutual TLS with managers.
    #[command(flatten)]
    pub tls: TlsOptions,
    /// The state of record.
    #[command(flatten)]
    pub store: StoreOptions,
    /// The coordinator.
    #[command(flatten)]
    pub etcd: EtcdOptions,
    /// What tasks may reach.
    #[command(flatten)]
    pub sources: SourceOptions,
    /// Where copies of partitions are stored.
    #[command(flatten)]
    pub ingest: IngestOptions,
}

layered!(Options { id, managers, slots, memory, zone, probe, drain_grace_s }
    with { log, telemetry, tls, store, etcd, sources, ingest });

/// The options, whole and checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The node's id.
    pub id: String,
    /// Where the managers are.
    pub managers: Vec<String>,
    /// Tasks at once.
    pub slots: u32,
    /// Memory for all tasks together, in bytes.
    pub memory_bytes: u64,
    /// The failure zone, `auto`, or empty.
    pub zone: String,
    /// Where the node listens for as long as it lives.
    pub probe: SocketAddr,
    /// How long tasks may go on once the process is asked to stop.
    pub drain_grace: Duration,
    /// The log.
    pub log: LogSettings,
    /// Where the telemetry pages are.
    pub telemetry: SocketAddr,
    /// Mutual TLS.
    pub tls: Option<Files>,
    /// The state of record.
    pub store: Store,
    /// The coordinator.
    pub etcd: Etcd,
    /// What tasks may reach.
    pub sources: SourceSettings,
    /// Where copies of partitions are stored; `None`: nowhere.
    pub ingest: Option<IngestPlace>,
}

impl Flags {
    /// The settings of all layers.
    ///
    /// # Errors
    /// [`Refused`]: what is wrong, and what to do.
    pub fn settings(self) -> Result<Settings, Refused> {
        let usual = Path::new("/etc/assay/datanode.toml");
        let below: Options = file(self.config.as_deref(), usual)?;
        self.options.over(below).checked()
    }
}

impl Options {
    fn checked(self) -> Result<Settings, Refused> {
        let managers = self.managers.unwrap_or_default();
        if managers.is_empty() {
            return Err(Refused::new(
                "no manager is named: set --managers, ASSAY_MANAGERS, or managers in the file",
            ));
        }
        let tls = self.tls.files()?;
        let scheme = if tls.is_some() { "https://" } else { "http://" };
        if let Some(other) = managers.iter().find(|m| !m.starts_with(scheme)) {
            let why = if tls.is_some() { "with" } else { "without" };
            return Err(Refused(format!(
                "the manager `{other}` is to be reached {why} TLS: write {scheme}HOST:PORT"
            )));
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let slots = self
            .slots
            .unwrap_or_else(|| u32::try_from(cores).unwrap_or(1));
        if !(1..=SLOTS_MAX).contains(&slots) {
            return Err(Refused(format!("a node has 1 to {SLOTS_MAX} slots")));
        }
        let memory_bytes = match self.memory {
            Some(text) => size(&text)?,
            None => machine::memory_limit().unwrap_or(2 << 30) / 2,
        };
        if memory_bytes / u64::from(slots) < 32 << 20 {
            return Err(Refused::new(
                "each slot needs 32 MiB of memory: give more, or take fewer slots",
            ));
        }
        let every = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let id = self.id.unwrap_or_else(|| host_name("node"));
        if id.is_empty() || id.len() > 200 || id.contains('/') || id.chars().any(char::is_control) {
            return Err(Refused::new(
                "a node's id has 1 to 200 characters and no slash",
            ));
        }
        Ok(Settings {
            id,
            managers,
            slots,
            memory_bytes,
            zone: self.zone.unwrap_or_default(),
            probe: self.probe.unwrap_or(SocketAddr::new(every, 0)),
            drain_grace: Duration::from_secs(self.drain_grace_s.unwrap_or(60)),
            log: self.log.settings(),
            telemetry: self.telemetry.listen.unwrap_or(SocketAddr::new(here, 9182)),
            tls,
            store: self.store.checked()?,
            etcd: self.etcd.checked()?,
            sources: self.sources.checked()?,
            ingest: self.ingest.checked()?,
        })
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "id         {}", self.id)?;
        writeln!(f, "managers   {}", self.managers.join(", "))?;
        let share = (self.memory_bytes / u64::from(self.slots)) >> 20;
        writeln!(f, "slots      {} of {share} MiB each", self.slots)?;
        writeln!(f, "telemetry  http://{}/metrics", self.telemetry)?;
        writeln!(f, "store      {}", without_password(&self.store.url))?;
        writeln!(f, "etcd       {}", self.etcd.endpoints.join(", "))?;
        let allowed = match self.sources.allow.as_slice() {
            [] => "files only".to_owned(),
            places => places.join(", "),
        };
        writeln!(f, "sources    {allowed}")?;
        let copies = self.ingest.as_ref().map(ToString::to_string);
        let copies = copies.unwrap_or_else(|| "nothing is stored".to_owned());
        writeln!(f, "ingest     {copies}")?;
        let tls = self.tls.as_ref().map(|files| files.cert.display());
        match tls {
            Some(cert) => write!(f, "tls        {cert}"),
            None => write!(f, "tls        none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn settings(arguments: &str) -> Result<Settings, Refused> {
        let base = "n --store-url postgres://h/db --etcd http://127.0.0.1:2379";
        let words = base.split(' ').chain(arguments.split_whitespace());
        Flags::try_parse_from(words).unwrap().settings()
    }

    #[test]
    fn the_flags_are_well_formed() {
        Flags::command().debug_assert();
    }

    #[test]
    fn a_manager_is_named_with_the_scheme_that_tls_asks_for() {
        assert!(settings("").unwrap_err().0.contains("--managers"));
        assert!(settings("--managers http://a:1,http://b:2").is_ok());
        let mixed = "--managers http://a:1 --tls-ca a --tls-cert b --tls-key c";
        assert!(settings(mixed).unwrap_err().0.contains("https://"));
    }

    #[test]
    fn a_slot_without_memory_is_refused() {
        let refused = settings("--managers http://a:1 --slots 64 --memory 1GiB");
        assert!(refused.unwrap_err().0.contains("32 MiB"));
    }
}
