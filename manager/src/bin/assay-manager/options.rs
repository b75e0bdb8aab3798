//! What the manager's process is told: flags, the environment, a file.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use assay_manager::Lineage;
use assay_manager::emf::Emf;
use assay_process::options::{
    Etcd, EtcdOptions, Files, LogOptions, Store, StoreOptions, TelemetryOptions, TlsOptions,
    host_name, with_own_address, without_password,
};
use assay_process::{Layered, Refused, file, layered};
use assay_telemetry::LogSettings;
use clap::{Args, Parser};
use serde::Deserialize;

/// The manager of an Assay cluster: plans runs, gives tasks to data nodes, one of several leads.
#[derive(Debug, Parser)]
#[command(name = "assay-manager", version)]
pub struct Flags {
    /// File of options (TOML) [default: /etc/assay/manager.toml, if there is one].
    #[arg(long, env = "ASSAY_MANAGER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check the options, show them and leave.
    #[arg(long)]
    pub config_check: bool,
    /// Ask the manager that runs on these options whether it lives, and leave.
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
    /// The manager's name, unique in the cluster [default: the machine's].
    #[arg(long, env = "ASSAY_MANAGER_NAME")]
    pub name: Option<String>,
    /// Where nodes and clients are served [default: 127.0.0.1:8081].
    #[arg(long, env = "ASSAY_MANAGER_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Where others reach this manager [default: the address it listens on]; `{address}` in it is
    /// this machine's own.
    #[arg(long, env = "ASSAY_MANAGER_ADVERTISE", value_name = "URL")]
    pub advertise: Option<String>,
    /// Serve other machines without TLS, too: for closed networks only.
    #[arg(long, env = "ASSAY_INSECURE", num_args = 0..=1, default_missing_value = "true")]
    pub insecure: Option<bool>,
    /// Bring the store's schema up to date [default: true].
    #[arg(long, env = "ASSAY_STORE_MIGRATE")]
    pub migrate: Option<bool>,
    /// The role of gateways in Postgres, which is let in when the schema is up to date: it reads, and
    /// appends to the audit log [default: none].
    #[arg(long, env = "ASSAY_STORE_GATEWAY_ROLE", value_name = "ROLE")]
    pub gateway_role: Option<String>,
    /// Nodes, at least, that the fleet is sized to [default: 1].
    #[arg(long, env = "ASSAY_NODES_MIN")]
    pub nodes_min: Option<u32>,
    /// Nodes, at most [default: as many as at least].
    #[arg(long, env = "ASSAY_NODES_MAX")]
    pub nodes_max: Option<u32>,
    /// Table of definitions (DynamoDB) that the leader asks for runs by, beside the scheduled
    /// function [default: none, it does not].
    #[arg(long, env = "ASSAY_REGISTRY_TABLE", value_name = "TABLE")]
    pub registry_table: Option<String>,
    /// Seconds between two looks at that table [default: 60].
    #[arg(long, env = "ASSAY_SCHEDULE_EVERY_S", value_name = "SECONDS")]
    pub schedule_every_s: Option<u64>,
    /// The cluster's name, among others that publish metrics in one account [default: assay].
    #[arg(long, env = "ASSAY_CLUSTER_NAME")]
    pub cluster_name: Option<String>,
    /// While this manager leads, publish the fleet's figures as metrics of this namespace: lines of
    /// CloudWatch's embedded metric format on standard output [default: none].
    #[arg(long, env = "ASSAY_EMF_NAMESPACE", value_name = "NAMESPACE")]
    pub emf_namespace: Option<String>,
    /// Seconds between two such lines [default: 30].
    #[arg(long, env = "ASSAY_EMF_EVERY_S", value_name = "SECONDS")]
    pub emf_every_s: Option<u64>,
    /// File of notifications: what this cluster calls itself, what may be reached, who sends mail
    /// [default: none, public webhooks alone are reached].
    #[arg(long, env = "ASSAY_NOTIFICATIONS", value_name = "FILE")]
    pub notifications: Option<PathBuf>,
    /// Folder of files that subscriptions may name as secrets (`file:NAME`) [default: none];
    /// variables of theirs begin with ASSAY_NOTIFY_, names in AWS Secrets Manager with
    /// assay/notify/.
    #[arg(long, env = "ASSAY_NOTIFICATION_SECRETS", value_name = "FOLDER")]
    pub notification_secrets: Option<PathBuf>,
    /// Endpoint that runs are told to as OpenLineage events, by POST [default: none].
    #[arg(long, env = "ASSAY_LINEAGE_URL", value_name = "URL")]
    pub lineage_url: Option<String>,
    /// Where the endpoint's bearer token is kept: env:NAME or file:PATH [default: none is sent].
    #[arg(long, env = "ASSAY_LINEAGE_CREDENTIAL", value_name = "REFERENCE")]
    pub lineage_credential: Option<String>,
    /// File that such events are appended to, one a line [default: none].
    #[arg(long, env = "ASSAY_LINEAGE_FILE", value_name = "FILE")]
    pub lineage_file: Option<PathBuf>,
    /// The namespace of the jobs in such events [default: assay].
    #[arg(long, env = "ASSAY_LINEAGE_NAMESPACE", value_name = "NAME")]
    pub lineage_namespace: Option<String>,
    /// Log.
    #[command(flatten)]
    pub log: LogOptions,
    /// Telemetry and health pages.
    #[command(flatten)]
    pub telemetry: TelemetryOptions,
    /// Mutual TLS with nodes and clients.
    #[command(flatten)]
    pub tls: TlsOptions,
    /// The state of record.
    #[command(flatten)]
    pub store: StoreOptions,
    /// The coordinator.
    #[command(flatten)]
    pub etcd: EtcdOptions,
}

layered!(Options { name, listen, advertise, insecure, migrate, gateway_role, nodes_min, nodes_max,
    registry_table, schedule_every_s,
    cluster_name, emf_namespace, emf_every_s, notifications, notification_secrets, lineage_url, lineage_credential, lineage_file,
    lineage_namespace }
    with { log, telemetry, tls, store, etcd });

/// The options, whole and checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The manager's name.
    pub name: String,
    /// Where nodes and clients are served.
    pub listen: SocketAddr,
    /// Where others reach it; `None` is where it listens.
    pub advertise: Option<String>,
    /// Whether the schema is brought up to date.
    pub migrate: bool,
    /// The role of gateways, which is let in.
    pub gateway_role: Option<String>,
    /// The bounds of the fleet.
    pub nodes: (u32, u32),
    /// The table that the leader asks for runs by, and how often.
    pub schedule: Option<(String, Duration)>,
    /// What people are told by.
    pub notifications: Notifications,
    /// The metrics that are published, and how often.
    pub emf: Option<(Emf, Duration)>,
    /// Where runs are told of as lineage, and as whose, if anywhere.
    pub lineage: Option<Lineage>,
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
}

/// What people are told by.
#[derive(Debug, Clone, Default)]
pub struct Notifications {
    /// What the operator allows and names.
    pub settings: assay_notify::settings::Settings,
    /// The folder of secrets.
    pub secrets: Option<PathBuf>,
}

impl Notifications {
    fn read(path: Option<&Path>, secrets: Option<PathBuf>) -> Result<Self, Refused> {
        let settings = match path {
            None => assay_notify::settings::Settings::default(),
            Some(path) => {
                let shown = path.display();
                let text = std::fs::read_to_string(path);
                let text =
                    text.map_err(|error| Refused(format!("cannot read {shown}: {error}")))?;
                let read = assay_notify::settings::Settings::parse(&text);
                read.map_err(|error| Refused(format!("{shown}: {error}")))?
            }
        };
        Ok(Self { settings, secrets })
    }
}

impl Flags {
    /// The settings of all layers.
    ///
    /// # Errors
    /// [`Refused`]: what is wrong, and what to do.
    pub fn settings(self) -> Result<Settings, Refused> {
        let usual = Path::new("/etc/assay/manager.toml");
        let below: Options = file(self.config.as_deref(), usual)?;
        self.options.over(below).checked()
    }
}

impl Options {
    fn checked(self) -> Result<Settings, Refused> {
        let here = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let min = self.nodes_min.unwrap_or(1);
        let settings = Settings {
            name: self.name.unwrap_or_else(|| host_name("manager")),
            listen: self.listen.unwrap_or(here(8081)),
            advertise: self.advertise.map(with_own_address).transpose()?,
            migrate: self.migrate.unwrap_or(true),
            gateway_role: self.gateway_role.filter(|role| !role.is_empty()),
            nodes: (min, self.nodes_max.unwrap_or(min.max(1))),
            schedule: schedule(self.registry_table, self.schedule_every_s)?,
            emf: emf(
                self.emf_namespace,
                self.cluster_name,
                self.emf_every_s.unwrap_or(30),
            )?,
            notifications: Notifications::read(
                self.notifications.as_deref(),
                self.notification_secrets,
            )?,
            lineage: lineage(&assay_lineage::Settings {
                url: self.lineage_url.filter(|url| !url.is_empty()),
                file: self.lineage_file,
                credential: self.lineage_credential.filter(|text| !text.is_empty()),
                namespace: self.lineage_namespace,
            })?,
            log: self.log.settings(),
            telemetry: self.telemetry.listen.unwrap_or(here(9181)),
            tls: self.tls.files()?,
            store: self.store.checked()?,
            etcd: self.etcd.checked()?,
        };
        if settings.name.is_empty() || settings.name.len() > 200 {
            return Err(Refused::new("a manager's name has 1 to 200 characters"));
        }
        if settings.nodes.0 > settings.nodes.1 || settings.nodes.1 > 10_000 {
            return Err(Refused::new(
                "the bounds of the fleet: nodes_min <= nodes_max <= 10000",
            ));
        }
        if settings.listen.ip().is_unspecified() && settings.advertise.is_none() {
            return Err(Refused(format!(
                "{} is every address of this machine: name the one that others reach it by \
                 with --advertise http{}://HOST:{}",
                settings.listen,
                if settings.tls.is_some() { "s" } else { "" },
                settings.listen.port()
            )));
        }
        let insecure = self.insecure.unwrap_or(false);
        if settings.tls.is_none() && !settings.listen.ip().is_loopback() && !insecure {
            return Err(Refused(format!(
                "serving other machines at {} needs TLS: name --tls-ca, --tls-cert and --tls-key \
                 (assay cluster certs makes some), or say --insecure",
                settings.listen
            )));
        }
        Ok(settings)
    }
}

/// The table that the leader asks for runs by, and how often.
fn schedule(
    table: Option<String>,
    every_s: Option<u64>,
) -> Result<Option<(String, Duration)>, Refused> {
    let Some(table) = table.filter(|table| !table.is_empty()) else {
        return Ok(None);
    };
    if cfg!(not(feature = "cloud")) {
        return Err(Refused::new(
            "a table of definitions is named, and this program was built without DynamoDB: build \
             it with the feature `cloud`",
        ));
    }
    let every = every_s.unwrap_or(60);
    if !(1..=3600).contains(&every) {
        return Err(Refused::new(
            "the seconds between two looks at the table of definitions: 1 to 3600",
        ));
    }
    Ok(Some((table, Duration::from_secs(every))))
}

/// Where runs are told of.
fn lineage(settings: &assay_lineage::Settings) -> Result<Option<Lineage>, Refused> {
    let sink = settings.sink().map_err(Refused)?;
    let namespace = settings.namespace();
    Ok(sink.map(|sink| Lineage { sink, namespace }))
}

/// The metrics that are published, if a namespace is named.
fn emf(
    namespace: Option<String>,
    cluster: Option<String>,
    every_s: u64,
) -> Result<Option<(Emf, Duration)>, Refused> {
    let Some(namespace) = namespace.filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    if !(1..=3600).contains(&every_s) {
        return Err(Refused::new(
            "metrics are published every 1 to 3600 seconds",
        ));
    }
    let cluster = cluster.unwrap_or_else(|| "assay".to_owned());
    let emf = Emf::new(&namespace, &cluster).map_err(|error| Refused(error.to_string()))?;
    Ok(Some((emf, Duration::from_secs(every_s))))
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "name       {}", self.name)?;
        writeln!(f, "listen     {}", self.listen)?;
        let advertise = self.advertise.as_deref().unwrap_or("as it listens");
        writeln!(f, "advertise  {advertise}")?;
        writeln!(f, "telemetry  http://{}/metrics", self.telemetry)?;
        writeln!(f, "store      {}", without_password(&self.store.url))?;
        writeln!(f, "etcd       {}", self.etcd.endpoints.join(", "))?;
        writeln!(f, "nodes      {} to {}", self.nodes.0, self.nodes.1)?;
        if let Some((table, every)) = &self.schedule {
            writeln!(f, "schedule   by the table {table}, every {every:?}")?;
        }
        if let Some((emf, every)) = &self.emf {
            writeln!(f, "metrics    {emf}, every {} s", every.as_secs())?;
        }
        if let Some(lineage) = &self.lineage {
            writeln!(f, "lineage    of the namespace {}", lineage.namespace)?;
        }
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
        let base = "m --store-url postgres://a:hush@h/db --etcd http://127.0.0.1:2379";
        let words = base.split(' ').chain(arguments.split_whitespace());
        Flags::try_parse_from(words).unwrap().settings()
    }

    #[test]
    fn the_flags_are_well_formed() {
        Flags::command().debug_assert();
    }

    #[test]
    fn settings_show_no_password() {
        let shown = settings("").unwrap().to_string();
        assert!(shown.contains("postgres://a@h/db") && !shown.contains("hush"));
    }

    #[test]
    fn metrics_are_published_under_names_that_cloudwatch_takes() {
        assert!(settings("").unwrap().emf.is_none());
        let published = settings("--emf-namespace Assay --cluster-name staging").unwrap();
        assert!(
            published
                .to_string()
                .contains("Assay of cluster staging, every 30 s")
        );
        assert!(settings("--emf-namespace As:say").is_err());
        assert!(settings("--emf-namespace Assay --emf-every-s 0").is_err());
    }

    #[test]
    fn lineage_goes_nowhere_unless_it_is_told_to_and_shows_no_credential() {
        assert!(settings("").unwrap().lineage.is_none());
        let shown = settings("--lineage-file /tmp/l.jsonl --lineage-namespace shop").unwrap();
        assert!(shown.to_string().contains("namespace shop"));
        let url = "--lineage-url https://l.example/api/v1/lineage";
        assert!(settings(&format!("{url} --lineage-credential env:TOKEN")).is_ok());
        let why = settings(&format!("{url} --lineage-credential hush"))
            .unwrap_err()
            .0;
        assert!(why.contains("env:NAME") && !why.contains("hush"), "{why}");
    }

    #[test]
    fn other_machines_are_served_with_tls_or_on_an_explicit_word() {
        let open = "--listen 10.1.2.3:8081";
        assert!(settings(open).unwrap_err().0.contains("--tls-ca"));
        assert!(settings(&format!("{open} --insecure")).is_ok());
        let tls = "--tls-ca a --tls-cert b --tls-key c";
        assert!(settings(&format!("{open} {tls}")).is_ok());
        let every = "--listen 0.0.0.0:8081 --insecure";
        assert!(settings(every).unwrap_err().0.contains("--advertise"));
    }
}
