//! Options that several processes have: log, telemetry, TLS, store, coordinator.
//!
//! Comes in: a section of the file, or flags. Goes out: values that have been checked. It must
//! never print a password.

use std::net::SocketAddr;
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

/// `[tls]`: all three, or none.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsOptions {
    /// Certificates (PEM) of the authorities that peers are signed by; read anew when it changes.
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
}
layered!(TlsOptions { ca, cert, key });

/// The three files of mutual TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The authorities.
    pub ca: PathBuf,
    /// The certificate.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl TlsOptions {
    /// The three files, or that there are none.
    ///
    /// # Errors
    /// [`Refused`] when only some are named.
    pub fn files(self) -> Result<Option<Files>, Refused> {
        three("tls", self.ca, self.cert, self.key)
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
        (Some(ca), Some(cert), Some(key)) => Ok(Some(Files { ca, cert, key })),
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
}
layered!(StoreOptions { url });

impl std::fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = self.url.as_deref().map(without_password);
        f.debug_struct("StoreOptions").field("url", &url).finish()
    }
}

impl StoreOptions {
    /// The address, with its password if it has one.
    ///
    /// # Errors
    /// [`Refused`] when there is none, or its file cannot be read.
    pub fn address(&self) -> Result<String, Refused> {
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
        };
        assert!(!format!("{options:?}").contains("s3cret"));
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
        assert_eq!(TlsOptions::default().files(), Ok(None));
    }

    #[test]
    fn what_no_waiting_can_make_good_is_refused_at_once() {
        let of = |url: &str| StoreOptions {
            url: Some(url.to_owned()),
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
