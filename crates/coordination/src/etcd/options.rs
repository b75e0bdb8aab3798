//! How etcd is reached, and how long things may take.

use std::path::PathBuf;
use std::time::Duration;

use crate::port::LeaseTimes;

/// The files of mutual TLS, in PEM; `env:NAME` is a variable that holds the text itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdTls {
    /// Certificates of the authorities that the members are signed by.
    pub ca: PathBuf,
    /// The certificate that this process shows.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// How etcd is reached, and how long things may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdOptions {
    /// The members' client addresses, `http://host:port` or, with TLS, `https://host:port`.
    pub endpoints: Vec<String>,
    /// Every key begins with it, so that clusters can share an etcd. No trailing slash.
    pub prefix: String,
    /// TLS; `None` speaks in the clear.
    pub tls: Option<EtcdTls>,
    /// How long leases last. etcd counts whole seconds: a fraction is rounded up.
    pub times: LeaseTimes,
    /// A connection is given up after so long.
    pub dial_timeout: Duration,
    /// One attempt of a call, at one member, is given up after so long.
    pub request_timeout: Duration,
    /// A call is given up after so long, over all its attempts.
    pub call_deadline: Duration,
    /// Between two full readings of what is watched, which mend what watches have lost.
    pub relist: Duration,
}

impl EtcdOptions {
    /// These members, with the project's figures.
    #[must_use]
    pub fn new(endpoints: Vec<String>) -> Self {
        Self {
            endpoints,
            prefix: "/assay".to_owned(),
            tls: None,
            times: LeaseTimes::default(),
            dial_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(1),
            call_deadline: Duration::from_secs(5),
            relist: Duration::from_secs(30),
        }
    }
}
