//! Options that several processes have: log, telemetry, TLS, store, coordinator.
//!
//! Comes in: a section of the file, or flags. Goes out: values that have been checked. It must
//! never print a password.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;

use assay_telemetry::log::{LogFormat, LogSettings};
use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::layers::Refused;
use crate::{address, layered};

/// `[log]`
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogOptions {
    /// What is logged (`info`, `assay_manager=debug,warn`) [default: info].
    #[arg(
        id = "log.filter",
        long = "log",
        env = "ASSAY_LOG",
        value_name = "FILTER"
    )]
    pub filter: Option<String>,
    /// How log lines look [default: text].
    #[arg(
        id = "log.format",
        long = "log-format",
        env = "ASSAY_LOG_FORMAT",
        value_enum
    )]
    pub format: Option<Format>,
}
layered!(LogOptions { filter, format });

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogOptions {
    /// What the log is set up with.
    #[must_use]
    pub fn settings(&self) -> LogSettings {
        LogSettings {
            format: match self.format {
                Some(Format::Json) => LogFormat::Json,
                Some(Format::Text) | None => LogFormat::Text,
            },
            filter: self.filter.clone().unwrap_or_else(|| "info".to_owned()),
            color: false,
        }
    }
}

/// `[telemetry]`
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryOptions {
    /// Address of /metrics, /livez and /readyz.
    #[arg(
        id = "telemetry.listen",
        long = "telemetry-listen",
        env = "ASSAY_TELEMETRY_LISTEN",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: Option<SocketAddr>,
}
layered!(TelemetryOptions { listen });

/// `[tls]`: ca, cert and key, or none of them. Each is a file, or `env:NAME`.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsOptions {
    /// Certificates (PEM) of the authorities that peers are signed by; read anew when it changes.
    /// `env:NAME` is a variable that holds the text itself; so for the other files.
    #[arg(
        id = "tls.ca",
        long = "tls-ca",
        env = "ASSAY_TLS_CA",
        value_name = "FILE"
    )]
    pub ca: Option<PathBuf>,
    /// This process's certificate with its chain (PEM); read anew when it changes.
    #[arg(
        id = "tls.cert",
        long = "tls-cert",
        env = "ASSAY_TLS_CERT",
        value_name = "FILE"
    )]
    pub cert: Option<PathBuf>,
    /// Its key (PEM); read anew when it changes.
    #[arg(
        id = "tls.key",
        long = "tls-key",
        env = "ASSAY_TLS_KEY",
        value_name = "FILE"
    )]
    pub key: Option<PathBuf>,
    /// The name that managers must have in their certificate, whatever address they are reached
    /// at [default: the one in the address].
    #[arg(
        id = "tls.server_name",
        long = "tls-server-name",
        env = "ASSAY_TLS_SERVER_NAME",
        value_name = "NAME"
    )]
    pub server_name: Option<String>,
}
layered!(TlsOptions {
    ca,
    cert,
    key,
    server_name
});

/// The three files of mutual TLS; `env:NAME` is a variable that holds the text itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The authorities.
    pub ca: PathBuf,
    /// The certificate.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
    /// The name that servers must have; `None` is the one in their address.
    pub server_name: Option<String>,
}

impl TlsOptions {
    /// The three files, or that there are none.
    ///
    /// # Errors
    /// [`Refused`] when only some are named, or a server's name without them.
    pub fn files(self) -> Result<Option<Files>, Refused> {
        let server_name = self.server_name.filter(|name| !name.is_empty());
        match (three("tls", self.ca, self.cert, self.key)?, server_name) {
            (None, Some(_)) => Err(Refused::new(
                "a server's name is checked with TLS only: name ca, cert and key in [tls], too",
            )),
            (files, server_name) => Ok(files.map(|files| Files {
                server_name,
                ..files
            })),
        }
    }
}

fn three(
    section: &str,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<Files>, Refused> {
    match (ca, cert, key) {
        (None, None, None) => Ok(None),
        (Some(ca), Some(cert), Some(key)) => Ok(Some(Files {
            ca,
            cert,
            key,
            server_name: None,
        })),
        _ => Err(Refused(format!(
            "[{section}] names some of the files ca, cert and key: name all three, or none"
        ))),
    }
}

/// `[store]`
#[derive(Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreOptions {
    /// The state of record: `postgres://user@host/database`, or `file:PATH` of a file that holds
    /// this address with its password.
    #[arg(
        id = "store.url",
        long = "store-url",
        env = "ASSAY_STORE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub url: Option<String>,
    /// Certificates (PEM) of the authorities that the store's server is signed by: a file, or
    /// `env:NAME`. Its name is then checked, too [default: as the address says].
    #[arg(
        id = "store.ca",
        long = "store-ca",
        env = "ASSAY_STORE_CA",
        value_name = "FILE"
    )]
    pub ca: Option<PathBuf>,
    /// How to log in to the store [default: password].
    #[arg(
        id = "store.auth",
        long = "store-auth",
        env = "ASSAY_STORE_AUTH",
        value_enum
    )]
    pub auth: Option<StoreAuth>,
}
layered!(StoreOptions { url, ca, auth });

/// How to log in to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreAuth {
    /// By the password of the address or of `ASSAY_STORE_PASSWORD`, or without one.
    #[default]
    Password,
    /// By tokens of IAM, as RDS takes them.
    Iam,
}

/// The variable that holds the password of the store's user, beside an address without one. It is
/// no option: what is typed at a command shows in the list of processes.
pub const PASSWORD_VARIABLE: &str = "ASSAY_STORE_PASSWORD";

/// The state of record, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Store {
    /// Its address, with its password if it has one there.
    pub url: String,
    /// Its password, if it is named apart.
    pub password: Option<String>,
    /// The authorities that its server is signed by (PEM): a file, or `env:NAME`.
    pub ca: Option<PathBuf>,
    /// How to log in.
    pub auth: StoreAuth,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("url", &without_password(&self.url))
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = self.url.as_deref().map(without_password);
        f.debug_struct("StoreOptions").field("url", &url).finish()
    }
}

impl StoreOptions {
    /// The store, with the password of the environment.
    ///
    /// # Errors
    /// [`Refused`] when none is named, its file cannot be read, or there are two passwords.
    pub fn checked(&self) -> Result<Store, Refused> {
        let password = std::env::var(PASSWORD_VARIABLE);
        self.with_password(password.ok().filter(|password| !password.is_empty()))
    }

    fn with_password(&self, password: Option<String>) -> Result<Store, Refused> {
        let url = self.address()?;
        if password.is_some() && has_password(&url) {
            return Err(Refused(format!(
                "the store has two passwords, in its address and in {PASSWORD_VARIABLE}: leave one out"
            )));
        }
        let auth = self.auth.unwrap_or_default();
        if auth == StoreAuth::Iam && (password.is_some() || has_password(&url)) {
            return Err(Refused(format!(
                "tokens of IAM are the store's password: leave the one of its address, or \
                 {PASSWORD_VARIABLE}, out"
            )));
        }
        Ok(Store {
            auth,
            url,
            password,
            ca: self.ca.clone(),
        })
    }

    /// The address, with its password if it has one.
    fn address(&self) -> Result<String, Refused> {
        let Some(url) = self.url.as_deref() else {
            return Err(Refused::new(
                "no store is named: set --store-url, ASSAY_STORE_URL, or url in [store]",
            ));
        };
        let Some(path) = url.strip_prefix("file:") else {
            return address::store(url).map(|()| url.to_owned());
        };
        let text = std::fs::read_to_string(path).map_err(|error| {
            Refused(format!("cannot read the store's address: {path}: {error}"))
        })?;
        let url = text.trim();
        // What the file holds is not for the log, whatever it is.
        address::store(url).map_err(|why| Refused(format!("in {path}: {why}")))?;
        Ok(url.to_owned())
    }
}

/// Whether an address holds a password.
fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, more) = rest.split_once('/').unwrap_or((rest, ""));
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || more.contains("password=")
}

/// An address without what must not be shown.
#[must_use]
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    // The last `@` before the path ends the user: a password may hold one.
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = path.split('?').next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let name = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{name}@{host}{path}")
        }
        None => format!("{scheme}://{authority}{path}"),
    }
}

/// `[etcd]`
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EtcdOptions {
    /// Members of the etcd cluster (`http://127.0.0.1:2379`), with commas between.
    #[arg(
        id = "etcd.endpoints",
        long = "etcd",
        env = "ASSAY_ETCD",
        value_name = "URLS",
        value_delimiter = ','
    )]
    pub endpoints: Option<Vec<String>>,
    /// What the keys of this cluster begin with [default: /assay].
    #[arg(
        id = "etcd.prefix",
        long = "etcd-prefix",
        env = "ASSAY_ETCD_PREFIX",
        value_name = "PREFIX"
    )]
    pub prefix: Option<String>,
    /// Certificates (PEM) of the authorities that members are signed by.
    #[arg(
        id = "etcd.ca",
        long = "etcd-ca",
        env = "ASSAY_ETCD_CA",
        value_name = "FILE"
    )]
    pub ca: Option<PathBuf>,
    /// This process's certificate towards etcd (PEM).
    #[arg(
        id = "etcd.cert",
        long = "etcd-cert",
        env = "ASSAY_ETCD_CERT",
        value_name = "FILE"
    )]
    pub cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(
        id = "etcd.key",
        long = "etcd-key",
        env = "ASSAY_ETCD_KEY",
        value_name = "FILE"
    )]
    pub key: Option<PathBuf>,
}
layered!(EtcdOptions {
    endpoints,
    prefix,
    ca,
    cert,
    key
});

/// The coordinator, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etcd {
    /// Its members.
    pub endpoints: Vec<String>,
    /// What keys begin with.
    pub prefix: String,
    /// Mutual TLS towards it.
    pub tls: Option<Files>,
}

impl EtcdOptions {
    /// The coordinator.
    ///
    /// # Errors
    /// [`Refused`] when no member is named, or only some files are.
    pub fn checked(self) -> Result<Etcd, Refused> {
        let endpoints = self.endpoints.unwrap_or_default();
        if endpoints.is_empty() {
            return Err(Refused::new(
                "no coordinator is named: set --etcd, ASSAY_ETCD, or endpoints in [etcd]",
            ));
        }
        let tls = three("etcd", self.ca, self.cert, self.key)?;
        for endpoint in &endpoints {
            address::etcd(endpoint, tls.is_some())?;
        }
        Ok(Etcd {
            endpoints,
            prefix: self.prefix.unwrap_or_else(|| "/assay".to_owned()),
            tls,
        })
    }
}

/// The name of this machine, or `fallback`.
#[must_use]
pub fn host_name(fallback: &str) -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match told.trim() {
        "" => fallback.to_owned(),
        name => name.to_owned(),
    }
}

/// What stands for this machine's own address in a text.
pub const ADDRESS_PLACE: &str = "{address}";

/// `text` with this machine's own address where it says `{address}`.
///
/// # Errors
/// [`Refused`] when it says so and the machine has no address that others could reach.
pub fn with_own_address(text: String) -> Result<String, Refused> {
    if !text.contains(ADDRESS_PLACE) {
        return Ok(text);
    }
    let address = match own_address() {
        Some(IpAddr::V6(address)) => format!("[{address}]"),
        Some(IpAddr::V4(address)) => address.to_string(),
        None => {
            return Err(Refused(format!(
                "`{text}`: this machine has no address that leads to others; write one"
            )));
        }
    };
    Ok(text.replace(ADDRESS_PLACE, &address))
}

/// The address by which this machine would reach another network: the one of its default route.
fn own_address() -> Option<IpAddr> {
    // An address for documentation (RFC 5737). To connect a socket of datagrams sends nothing.
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 9));
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(elsewhere).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// Reads a size such as `512MiB`.
///
/// # Errors
/// [`Refused`] with an example.
pub fn size(text: &str) -> Result<u64, Refused> {
    let bad = || Refused(format!("`{text}` is no size: write it as 512MiB or 2GiB"));
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text.get(digits.len()..).unwrap_or_default() {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(bad()),
    };
    let number: u64 = digits.parse().map_err(|_| bad())?;
    number.checked_mul(1 << shift).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("postgres://a:s3cret@h:5432/db", "postgres://a@h:5432/db"),
            ("postgres://a:s@3/cret@h/db", "postgres://a@3/cret@h/db"),
            ("postgres://h/db?password=s3cret", "postgres://h/db"),
            ("file:/run/secrets/db", "file:/run/secrets/db"),
        ] {
            assert_eq!(without_password(url), shown);
        }
        let options = StoreOptions {
            url: Some("postgres://a:s3cret@h/db".to_owned()),
            ..StoreOptions::default()
        };
        assert!(!format!("{options:?}").contains("s3cret"));
        let store = options.with_password(None).unwrap();
        assert!(!format!("{store:?}").contains("s3cret"));
    }

    #[test]
    fn a_password_is_in_the_address_or_apart_and_never_both() {
        let named = |url: &str, password: Option<&str>| {
            let options = StoreOptions {
                url: Some(url.to_owned()),
                ..StoreOptions::default()
            };
            options.with_password(password.map(str::to_owned))
        };
        let apart = named("postgres://a@h/db?sslmode=verify-full", Some("s3:c/r@t")).unwrap();
        assert_eq!(apart.password.as_deref(), Some("s3:c/r@t"));
        assert!(!format!("{apart:?}").contains("s3:c"));
        assert_eq!(named("postgres://a@h:5/db", None).unwrap().password, None);
        for two in ["postgres://a:b@h/db", "postgres://h/db?password=b"] {
            let refused = named(two, Some("c")).unwrap_err();
            assert!(refused.0.contains(PASSWORD_VARIABLE), "{refused}");
            assert!(named(two, None).is_ok());
            let by_token = StoreOptions {
                url: Some(two.to_owned()),
                auth: Some(StoreAuth::Iam),
                ..StoreOptions::default()
            };
            assert!(by_token.with_password(None).unwrap_err().0.contains("IAM"));
        }
    }

    #[test]
    fn the_machines_own_address_is_put_in_where_it_is_asked_for() {
        let plain = "https://manager.example:8081".to_owned();
        assert_eq!(with_own_address(plain.clone()), Ok(plain));
        // A machine without a network has no address to put in.
        match with_own_address("https://{address}:8081".to_owned()) {
            Ok(text) => {
                let address = text.strip_prefix("https://").unwrap();
                let address: SocketAddr = address.parse().unwrap();
                assert!(!address.ip().is_loopback() && address.port() == 8081);
            }
            Err(refused) => assert!(own_address().is_none() && refused.0.contains("{address}")),
        }
    }

    #[test]
    fn sizes_are_read_or_refused() {
        assert_eq!(size("512MiB"), Ok(512 << 20));
        assert_eq!(size("7"), Ok(7));
        for bad in ["", "MiB", "1.5GiB", "12 parsecs", "99999999999GiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn some_of_the_three_files_of_tls_are_refused() {
        let some = TlsOptions {
            ca: Some("ca.pem".into()),
            ..TlsOptions::default()
        };
        assert!(some.files().is_err());
        let named = TlsOptions {
            server_name: Some("manager.assay.internal".to_owned()),
            ..TlsOptions::default()
        };
        assert!(named.files().is_err());
        assert_eq!(TlsOptions::default().files(), Ok(None));
    }

    #[test]
    fn what_no_waiting_can_make_good_is_refused_at_once() {
        let of = |url: &str| StoreOptions {
            url: Some(url.to_owned()),
            ..StoreOptions::default()
        };
        assert!(of("postgres://h/db").address().is_ok());
        assert!(
            of("mysql://h/db")
                .address()
                .unwrap_err()
                .0
                .contains("postgres://")
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        std::fs::write(&file, "mysql://a:s3cret@h/db\n").unwrap();
        let why = of(&format!("file:{}", file.display()))
            .address()
            .unwrap_err();
        assert!(why.0.contains("url") && !why.0.contains("s3cret"), "{why}");
        let etcd = |endpoints: &[&str]| EtcdOptions {
            endpoints: Some(endpoints.iter().map(|e| (*e).to_owned()).collect()),
            ..EtcdOptions::default()
        };
        assert!(etcd(&["http://a:1", "http://b:2"]).checked().is_ok());
        assert!(etcd(&["http://a:1", "b"]).checked().is_err());
    }
}
