//! What the gateway's process is told: flags, the environment, a file.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use assay_gateway::{GuardSettings, Stopping};
use assay_process::options::{
    Files, LogOptions, Store, StoreOptions, TelemetryOptions, TlsOptions, without_password,
};
use assay_process::{Faults, Layered, Refused, file, layered};
use assay_telemetry::LogSettings;
use clap::{Args, Parser};
use serde::Deserialize;

use crate::door::{self, GuardFrom};

/// The HTTP gateway of an Assay cluster: reads that are kept and shared, wishes carried to the leader.
#[derive(Debug, Parser)]
#[command(name = "assay-gateway", version)]
pub struct Flags {
    /// File of options (TOML) [default: /etc/assay/gateway.toml, if there is one].
    #[arg(long, env = "ASSAY_GATEWAY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check the options, show them and leave.
    #[arg(long)]
    pub config_check: bool,
    /// Ask the gateway that runs on these options whether it lives, and leave.
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
    /// Where the HTTP API is served [default: 127.0.0.1:8080].
    #[arg(long, env = "ASSAY_GATEWAY_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Certificate of the HTTP API with its chain (PEM), or `env:NAME`.
    #[arg(long, env = "ASSAY_GATEWAY_CERT", value_name = "FILE")]
    pub http_cert: Option<PathBuf>,
    /// Key of the HTTP API (PEM), or `env:NAME`.
    #[arg(long, env = "ASSAY_GATEWAY_KEY", value_name = "FILE")]
    pub http_key: Option<PathBuf>,
    /// Where the managers are: one or several URLs, with commas between them.
    #[arg(long, env = "ASSAY_MANAGERS", value_name = "URLS")]
    pub managers: Option<String>,
    /// Table of definitions (DynamoDB).
    #[arg(long, env = "ASSAY_REGISTRY_TABLE", value_name = "TABLE")]
    pub registry_table: Option<String>,
    /// Folder of definitions, instead of a table.
    #[arg(long, env = "ASSAY_REGISTRY_DIR", value_name = "FOLDER")]
    pub registry_dir: Option<PathBuf>,
    /// Settings of the guard (TOML), who may ask for what and how often: a file, or `env:NAME` of a
    /// variable that holds the text; in the file of options also a table, `[guard]` [default: none,
    /// whoever sits at this machine is asked for no credential].
    #[arg(long, env = "ASSAY_GUARD", value_name = "FILE")]
    pub guard: Option<GuardFrom>,
    /// Seconds that /readyz says that a gateway leaves before it refuses requests: longer than
    /// balancers take to notice [default: 5; 0 in loopback mode].
    #[arg(long, env = "ASSAY_GATEWAY_ANNOUNCE_S", value_name = "SECONDS")]
    pub announce_s: Option<u64>,
    /// Seconds that requests may go on once others are refused [default: 20; 10 in loopback mode].
    #[arg(long, env = "ASSAY_DRAIN_GRACE_S", value_name = "SECONDS")]
    pub drain_grace_s: Option<u64>,
    /// Log.
    #[command(flatten)]
    pub log: LogOptions,
    /// Telemetry and health pages.
    #[command(flatten)]
    pub telemetry: TelemetryOptions,
    /// Mutual TLS with the managers.
    #[command(flatten)]
    pub tls: TlsOptions,
    /// The state of record.
    #[command(flatten)]
    pub store: StoreOptions,
}

layered!(Options { listen, http_cert, http_key, managers, registry_table, registry_dir, guard,
    announce_s, drain_grace_s }
    with { log, telemetry, tls, store });

/// Where definitions are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definitions {
    /// In a table of DynamoDB.
    Table(String),
    /// In a folder.
    Folder(PathBuf),
}

/// The options, whole and checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the HTTP API is served.
    pub listen: SocketAddr,
    /// The certificate and the key of the HTTP API.
    pub http_tls: Option<(PathBuf, PathBuf)>,
    /// Where the managers are.
    pub managers: Vec<String>,
    /// Where definitions are kept.
    pub definitions: Definitions,
    /// Who may ask for what, and how often.
    pub guard: GuardSettings,
    /// How it stops.
    pub stopping: Stopping,
    /// The log.
    pub log: LogSettings,
    /// Where the telemetry pages are.
    pub telemetry: SocketAddr,
    /// Mutual TLS with the managers.
    pub tls: Option<Files>,
    /// The state of record.
    pub store: Store,
}

impl Flags {
    /// The settings of all layers.
    ///
    /// # Errors
    /// [`Refused`]: what is wrong, and what to do.
    pub fn settings(self) -> Result<Settings, Refused> {
        let usual = Path::new("/etc/assay/gateway.toml");
        let below: Options = file(self.config.as_deref(), usual)?;
        self.options.over(below).checked()
    }
}

impl Options {
    fn checked(self) -> Result<Settings, Refused> {
        let here = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let listen = self.listen.unwrap_or(here(8080));
        let mut faults = Faults::default();
        let tls = faults.keep(self.tls.files());
        let http_tls = faults.keep(http_files(self.http_cert, self.http_key));
        let guard = faults.keep(door::settings(self.guard));
        // Files that cannot be read are TLS that is meant.
        let secured = http_tls.as_ref().is_none_or(Option::is_some);
        if let Some(guard) = &guard {
            faults.keep(door::may_listen(guard, listen, secured));
        }
        let secured = tls.as_ref().is_none_or(Option::is_some);
        let managers = faults.keep(managers(self.managers, secured));
        let definitions = faults.keep(definitions(self.registry_table, self.registry_dir));
        let usual = GuardSettings::default();
        let stopping = stopping(
            guard.as_ref().unwrap_or(&usual),
            self.announce_s,
            self.drain_grace_s,
        );
        let (stopping, store) = (faults.keep(stopping), faults.keep(self.store.checked()));
        let whole = (tls, http_tls, guard, managers, definitions, stopping, store);
        match (whole, faults.refused()) {
            (
                (
                    Some(tls),
                    Some(http_tls),
                    Some(guard),
                    Some(managers),
                    Some(definitions),
                    Some(stopping),
                    Some(store),
                ),
                None,
            ) => Ok(Settings {
                listen,
                http_tls,
                managers,
                definitions,
                stopping,
                guard,
                log: self.log.settings(),
                telemetry: self.telemetry.listen.unwrap_or(here(9182)),
                tls,
                store,
            }),
            (_, refused) => Err(refused.unwrap_or_else(|| Refused::new("settings are missing"))),
        }
    }
}

/// The certificate that browsers are shown, and its key.
fn http_files(
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<(PathBuf, PathBuf)>, Refused> {
    match (cert, key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some((cert, key))),
        _ => Err(Refused::new(
            "one of --http-cert and --http-key is named: name both, or none",
        )),
    }
}

/// How the gateway stops: with the time that balancers need, if there are any.
fn stopping(
    guard: &GuardSettings,
    announce_s: Option<u64>,
    grace_s: Option<u64>,
) -> Result<Stopping, Refused> {
    let usual = Stopping::of(guard.identity.mode);
    let stopping = Stopping {
        announce: announce_s.map_or(usual.announce, Duration::from_secs),
        finish: grace_s.map_or(usual.finish, Duration::from_secs),
    };
    if stopping.announce.max(stopping.finish) > Duration::from_secs(3600) {
        return Err(Refused::new(
            "a gateway stops within an hour: --announce-s and --drain-grace-s are 3600 at most",
        ));
    }
    Ok(stopping)
}

/// The addresses of the managers.
fn managers(named: Option<String>, tls: bool) -> Result<Vec<String>, Refused> {
    let scheme = if tls { "https://" } else { "http://" };
    let named = named.unwrap_or_default();
    let urls = named
        .split(',')
        .map(str::trim)
        .filter(|url| !url.is_empty());
    let urls: Vec<String> = urls
        .map(|url| url.trim_end_matches('/').to_owned())
        .collect();
    if urls.is_empty() {
        return Err(Refused::new(
            "no manager is named: set --managers, ASSAY_MANAGERS, or managers in the file",
        ));
    }
    match urls.iter().find(|url| !url.starts_with(scheme)) {
        None => Ok(urls),
        Some(url) => Err(Refused(format!(
            "the manager {url} is to be written {scheme}HOST:PORT: TLS with managers goes with \
             --tls-ca, --tls-cert and --tls-key"
        ))),
    }
}

fn definitions(table: Option<String>, folder: Option<PathBuf>) -> Result<Definitions, Refused> {
    match (table.filter(|table| !table.is_empty()), folder) {
        (Some(_), None) if cfg!(not(feature = "cloud")) => Err(Refused::new(
            "a table of definitions is named, and this program was built without DynamoDB: build \
             it with the feature `cloud`",
        )),
        (Some(table), None) => Ok(Definitions::Table(table)),
        (None, Some(folder)) => Ok(Definitions::Folder(folder)),
        _ => Err(Refused::new(
            "name where definitions are kept: --registry-table TABLE, or --registry-dir FOLDER",
        )),
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.http_tls.is_some() {
            "https"
        } else {
            "http"
        };
        writeln!(f, "listen       {scheme}://{}", self.listen)?;
        writeln!(f, "guard        {}", door::shown(&self.guard))?;
        writeln!(f, "managers     {}", self.managers.join(", "))?;
        match &self.definitions {
            Definitions::Table(table) => writeln!(f, "definitions  the table {table}")?,
            Definitions::Folder(folder) => writeln!(f, "definitions  {}", folder.display())?,
        }
        writeln!(f, "telemetry    http://{}/metrics", self.telemetry)?;
        writeln!(f, "store        {}", without_password(&self.store.url))?;
        match &self.tls {
            Some(files) => write!(f, "tls          {}", files.cert.display()),
            None => write!(f, "tls          none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_guard::settings::Mode;
    use clap::CommandFactory;

    fn settings(arguments: &str) -> Result<Settings, Refused> {
        let base = "g --store-url postgres://a:hush@h/db";
        let words = base.split(' ').chain(arguments.split_whitespace());
        Flags::try_parse_from(words).unwrap().settings()
    }

    #[test]
    fn the_flags_are_well_formed() {
        Flags::command().debug_assert();
    }

    #[test]
    fn settings_are_whole_and_show_no_password() {
        let whole = "--managers http://m-1:8081,http://m-2:8081 --registry-dir d";
        let found = settings(whole).unwrap();
        assert_eq!(found.managers.len(), 2);
        let shown = found.to_string();
        assert!(shown.contains("postgres://a@h/db") && !shown.contains("hush"));
        assert!(shown.contains("open to everybody on this machine"));
        assert_eq!(found.stopping.announce, Duration::ZERO);
        for (bad, says) in [
            ("--registry-dir d", "no manager is named"),
            ("--managers http://m:1", "--registry-table"),
            ("--managers https://m:1 --registry-dir d", "--tls-ca"),
            (
                "--managers http://m:1 --registry-dir d --http-cert c",
                "--http-key",
            ),
            (
                "--managers http://m:1 --registry-dir d --listen 10.1.2.3:80",
                "--guard",
            ),
            (
                "--managers http://m:1 --registry-dir d --drain-grace-s 4000",
                "within an hour",
            ),
        ] {
            let why = settings(bad).unwrap_err().0;
            assert!(why.contains(says), "{bad}: {why}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let bad = "--managers https://m:1 --http-cert c --drain-grace-s 4000 --listen 10.1.2.3:80";
        let why = settings(bad).unwrap_err().0;
        for says in [
            "5 settings are wrong",
            "--http-key",
            "--guard",
            "--tls-ca",
            "--registry-table",
            "within an hour",
        ] {
            assert!(why.contains(says), "{says}: {why}");
        }
    }

    /// Settings with a guard in a file of its own, and in the file of options.
    fn guarded(guard: &str, listen: &str) -> [Result<Settings, Refused>; 2] {
        let folder = tempfile::tempdir().unwrap();
        let [file, options] = ["guard.toml", "gateway.toml"].map(|name| folder.path().join(name));
        std::fs::write(&file, guard).unwrap();
        std::fs::write(&options, guard.replacen('[', "[guard.", 1)).unwrap();
        let whole = format!("--managers http://m:1 --registry-dir d --listen {listen}");
        [
            settings(&format!("{whole} --guard {}", file.display())),
            settings(&format!("{whole} --config {}", options.display())),
        ]
    }

    #[test]
    fn other_machines_are_let_in_with_credentials_and_by_no_other_word() {
        let open = "[identity]\nmode = 'credentials'\nanonymous = ['subscriber:*']\n";
        for found in guarded(open, "10.1.2.3:80") {
            let found = found.unwrap();
            assert_eq!(found.guard.identity.mode, Mode::Credentials);
            assert_eq!(found.stopping, Stopping::default());
            assert!(!found.to_string().contains("this machine"), "{found}");
        }
        let loopback = "[identity]\nmode = 'loopback'\n";
        for refused in guarded(loopback, "10.1.2.3:80") {
            assert!(refused.unwrap_err().0.contains("--guard"));
        }
        for settings in guarded(loopback, "127.0.0.1:80") {
            assert!(settings.is_ok());
        }
        assert!(Flags::try_parse_from(["g", "--insecure"]).is_err());
    }

    #[test]
    fn secrets_do_not_travel_in_the_open_and_what_is_wrong_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = folder.path().join("tokens.toml");
        std::fs::write(&tokens, "").unwrap();
        let guard = format!(
            "[identity]\nmode = 'credentials'\ntokens = '{}'\n",
            tokens.display()
        );
        for refused in guarded(&guard, "10.1.2.3:80") {
            let why = refused.unwrap_err().0;
            assert!(
                why.contains("--http-cert") && why.contains("trusted_proxies"),
                "{why}"
            );
        }
        let behind = format!("{guard}trusted_proxies = ['10.0.0.0/8']\n");
        let both = guarded(&guard, "127.0.0.1:80").into_iter();
        for settings in both.chain(guarded(&behind, "10.1.2.3:80")) {
            assert!(settings.is_ok(), "{settings:?}");
        }
        for (bad, says) in [
            ("[identity]\nmodus = 'x'\n", "modus"),
            ("[identity]\nmode = 'credentials'\n", "token new"),
            ("[queue]\nin_flight = 0\n", "in_flight"),
        ] {
            for refused in guarded(bad, "127.0.0.1:80") {
                let why = refused.unwrap_err().0;
                assert!(why.contains(says), "{why}");
            }
        }
        std::fs::write(&tokens, "[[token]]\nid = 'x'\n").unwrap();
        for refused in guarded(&guard, "127.0.0.1:80") {
            assert!(refused.unwrap_err().0.contains("tokens.toml"));
        }
    }
}
