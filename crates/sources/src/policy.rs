//! What may be reached: the operator's list of places, and addresses that nobody reaches.
//!
//! In: a location as a definition spells it, or the name of a machine that is to be connected to.
//! Out: leave, or a refusal that says why. A definition comes from whoever registered the dataset;
//! on a cluster it must reach nothing but what the node's operator allowed, and nowhere the
//! addresses that hand out credentials of the machine.
//!
//! A place is refused by its spelling before anything is looked up. A name is looked up once, and
//! what is connected to is the address that was judged.

mod spelling;

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use assay_model::dataset::Location;
use assay_model::source::{Bucket, BucketStore, Database, DatabaseKind};
use assay_scan::error::{Place, ScanError};
use assay_scan::reach::Access;

use assay_model::address::{self, Kind};
pub use spelling::Endpoint;
pub(crate) use spelling::plain;

/// Places that may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `None`: whatever the user of this machine may reach.
    allowed: Option<Vec<Entry>>,
    lookup: Lookup,
}

/// What tells the addresses of a name.
#[derive(Debug, Clone, Copy)]
struct Lookup(fn(&str, u16) -> std::io::Result<Vec<SocketAddr>>);

impl Lookup {
    /// The machine's own.
    const SYSTEM: Self = Self(|name, port| (name, port).to_socket_addrs().map(Iterator::collect));
}

impl PartialEq for Lookup {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::fn_addr_eq(self.0, other.0)
    }
}

impl Eq for Lookup {}

/// A location that may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// Its address, for people.
    pub address: String,
    /// The service, where the definition names its own.
    pub endpoint: Option<Endpoint>,
}

/// One place of the operator's list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    /// Objects of a bucket whose keys begin with these parts; of Azure, the name is the account's
    /// and the first part the container.
    Bucket {
        store: BucketStore,
        name: String,
        parts: Vec<String>,
        /// The service that holds it, where it is not its provider's own.
        at: Option<Endpoint>,
    },
    /// Tables of a database; of all databases, on all ports, where that is not said.
    Database {
        kind: DatabaseKind,
        host: String,
        port: u16,
        parts: Vec<String>,
    },
    /// A service that the operator has set for all programs of the machine.
    Service(Endpoint),
    /// Files below a folder.
    Files(Vec<String>),
}

impl Policy {
    /// The policy of a task.
    ///
    /// # Errors
    /// [`ScanError::Definition`] for a place in the list that is none.
    pub fn new(access: &Access) -> Result<Self, ScanError> {
        let entries = access.allowed.as_ref().map(|places| {
            let entry = |place: &String| {
                Entry::parse(place).map_err(|what| {
                    told(
                        place,
                        format!(
                            "the node's list of places to be reached holds what is none: {what}"
                        ),
                        "have the node's operator correct `[sources] allow`",
                    )
                })
            };
            places.iter().map(entry).collect::<Result<Vec<_>, _>>()
        });
        Ok(Self {
            allowed: entries.transpose()?,
            lookup: Lookup::SYSTEM,
        })
    }

    /// The same, with names that this tells the addresses of.
    #[cfg(test)]
    pub(crate) fn resolving(
        mut self,
        lookup: fn(&str, u16) -> std::io::Result<Vec<SocketAddr>>,
    ) -> Self {
        self.lookup = Lookup(lookup);
        self
    }

    /// Whether `place` can stand in an operator's list.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn is_place(place: &str) -> Result<(), String> {
        Entry::parse(place).map(drop)
    }

    /// Whether a role can be asked with this external id.
    ///
    /// # Errors
    /// A sentence that says that it cannot.
    pub fn is_external_id(id: &str) -> Result<(), &'static str> {
        spelling::external_id(id)
    }

    /// Whether this is the policy of the user of this machine, without a list.
    #[must_use]
    pub fn is_of_user(&self) -> bool {
        self.allowed.is_none()
    }

    /// The same, and a service that the operator of this machine has set for all its programs.
    #[must_use]
    pub fn trusting(mut self, endpoint: Endpoint) -> Self {
        if let Some(entries) = &mut self.allowed {
            entries.push(Entry::Service(endpoint));
        }
        self
    }

    /// Judges a location by its spelling and by the list. Nothing is looked up.
    ///
    /// # Errors
    /// [`ScanError::Definition`] with the reason, when it is spelt so that it could mean another
    /// place, or is not in the list.
    pub fn check(&self, location: &Location) -> Result<Allowed, ScanError> {
        let address = location.address();
        let spelt = |what: String| {
            told(
                &address,
                format!("refused: {what}"),
                "correct the place under `servers` in the dataset's document",
            )
        };
        let (endpoint, listed) = match location {
            Location::Local { path } => (None, self.files(path).map_err(spelt)?),
            Location::Bucket(bucket) => {
                let endpoint = spelling::bucket(bucket).map_err(spelt)?;
                let listed = self.lists_bucket(bucket, endpoint.as_ref());
                (endpoint, listed)
            }
            Location::Database(database) => {
                spelling::database(database).map_err(spelt)?;
                (None, self.lists_database(database))
            }
        };
        if !listed {
            let own = endpoint.map_or_else(String::new, |own| {
                format!(" (the document names the service {own})")
            });
            return Err(told(
                &address,
                format!("refused: this node may read only {}{own}", self.list()),
                "have the node's operator add the place to `[sources] allow`",
            ));
        }
        Ok(Allowed { address, endpoint })
    }

    /// Looks a machine up once, for a place that [`Policy::check`] gave leave for, and gives the
    /// address to connect to. Blocks while the name is looked up.
    ///
    /// # Errors
    /// [`ScanError::Definition`] when an address is one that may not be reached,
    /// [`ScanError::Away`] when the name is not known.
    pub fn address(&self, host: &str, port: u16) -> Result<SocketAddr, ScanError> {
        let found = self.addresses(host, port)?;
        let none = || ScanError::Away {
            path: format!("{host}:{port}"),
            what: "the name has no address".to_owned(),
        };
        found.first().copied().ok_or_else(none)
    }

    /// As [`Policy::address`], with all addresses of the name: one that may not be reached refuses
    /// them all.
    ///
    /// # Errors
    /// As [`Policy::address`].
    pub fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ScanError> {
        let path = format!("{host}:{port}");
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let refused = |what: String| {
            told(
                &path,
                format!("refused: {what}"),
                "name the machine that really holds the data",
            )
        };
        spelling::host(bare).map_err(refused)?;
        let found: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => (self.lookup.0)(bare, port).map_err(|error| ScanError::Away {
                path: path.clone(),
                what: format!("the name cannot be looked up: {error}"),
            })?,
        };
        for one in &found {
            self.judge(bare, port, one.ip()).map_err(refused)?;
        }
        Ok(found)
    }

    /// Whether an address of `host` may be connected to.
    fn judge(&self, host: &str, port: u16, ip: IpAddr) -> Result<(), String> {
        let own = |what: &str| {
            format!(
                "{host} is {ip}, {what}, and no place of the node's list names that machine: this \
                 node may read only {}",
                self.list()
            )
        };
        match address::kind(ip) {
            Kind::Public => Ok(()),
            Kind::Never(what) => Err(format!("{host} is {ip}, {what}")),
            Kind::Loopback if self.names(host, port) => Ok(()),
            Kind::Loopback => Err(own("an address of the machine itself")),
            Kind::Private if self.names(host, port) || spelling::is_providers(host) => Ok(()),
            Kind::Private => Err(own("an address of a private network")),
        }
    }

    /// Whether the user runs this, or the list names the machine.
    fn names(&self, host: &str, port: u16) -> bool {
        let Some(entries) = &self.allowed else {
            return true;
        };
        let same = |name: &str| name.eq_ignore_ascii_case(host);
        entries.iter().any(|entry| match entry {
            Entry::Database { host, port: p, .. } => same(host) && *p == port,
            Entry::Service(endpoint)
            | Entry::Bucket {
                at: Some(endpoint), ..
            } => endpoint.serves(host, port),
            Entry::Bucket { at: None, .. } | Entry::Files(_) => false,
        })
    }

    /// A bucket is listed with the service that holds it: one of the same name elsewhere is another.
    fn lists_bucket(&self, bucket: &Bucket, endpoint: Option<&Endpoint>) -> bool {
        let Some(entries) = &self.allowed else {
            return true;
        };
        let mut below = spelling::plain(&bucket.path);
        // A container's name says nothing without its account, which comes first.
        let first = match (bucket.store, bucket.account.as_deref()) {
            (BucketStore::Azure, account) => {
                below.insert(0, &bucket.name);
                account.unwrap_or_default()
            }
            _ => &bucket.name,
        };
        entries.iter().any(|entry| {
            matches!(entry, Entry::Bucket { store, name, parts, at }
                if *store == bucket.store
                    && name == first
                    && begins(&below, parts)
                    && at.as_ref() == endpoint)
        })
    }

    fn lists_database(&self, wanted: &Database) -> bool {
        let Some(entries) = &self.allowed else {
            return true;
        };
        let dot = if wanted.schema.is_empty() { "" } else { "." };
        let table = format!("{}{dot}{}", wanted.schema, wanted.table);
        let below = [wanted.database.as_str(), &wanted.schema, &table];
        entries.iter().any(|entry| {
            let Entry::Database {
                kind,
                host,
                port,
                parts,
            } = entry
            else {
                return false;
            };
            let there = *kind == wanted.kind
                && host.eq_ignore_ascii_case(&wanted.host)
                && *port == wanted.port;
            there
                && match parts.as_slice() {
                    [] => true,
                    [database] => database == below[0],
                    [database, what] => {
                        database == below[0] && (what == below[1] || what == below[2])
                    }
                    _ => false,
                }
        })
    }

    /// Files are listed only by a list that has files; their links are followed by whoever opens
    /// them.
    fn files(&self, path: &str) -> Result<bool, String> {
        let folders: Vec<&Vec<String>> = match &self.allowed {
            None => return Ok(true),
            Some(entries) => entries
                .iter()
                .filter_map(|entry| match entry {
                    Entry::Files(parts) => Some(parts),
                    _ => None,
                })
                .collect(),
        };
        if folders.is_empty() {
            return Ok(true);
        }
        let below = path.strip_prefix('/').unwrap_or(path);
        spelling::path(below)?;
        let plain = spelling::plain(below);
        Ok(folders.iter().any(|parts| begins(&plain, parts)))
    }

    /// The list, for people.
    fn list(&self) -> String {
        let entries = self.allowed.as_deref().unwrap_or_default();
        if entries.is_empty() {
            return "files: no place beyond them is in its list".to_owned();
        }
        let mut shown: Vec<String> = entries.iter().take(10).map(Entry::to_string).collect();
        if entries.len() > 10 {
            shown.push(format!("{} more", entries.len() - 10));
        }
        shown.join(", ")
    }
}

fn begins(path: &[&str], with: &[String]) -> bool {
    path.len() >= with.len() && path.iter().zip(with).all(|(a, b)| a == b)
}

impl Entry {
    fn parse(place: &str) -> Result<Self, String> {
        let (scheme, rest) = place
            .split_once("://")
            .ok_or("it has no scheme: write s3://bucket/prefix/")?;
        if let Some(store) = BucketStore::ALL.iter().find(|s| s.as_str() == scheme) {
            let (rest, at) = match rest.split_once(" at ") {
                Some((rest, at)) => (rest.trim_end(), Some(Endpoint::parse(at.trim())?)),
                None => (rest, None),
            };
            let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
            spelling::bucket_name(*store, name)?;
            let path = path.strip_suffix('/').unwrap_or(path);
            spelling::path(path)?;
            let parts = spelling::plain(path);
            if parts.join("/") != path {
                return Err("a pattern is no place: write the folder above it".to_owned());
            }
            return Ok(Self::Bucket {
                store: *store,
                name: name.to_owned(),
                parts: parts.into_iter().map(str::to_owned).collect(),
                at,
            });
        }
        if let Some(kind) = DatabaseKind::ALL.iter().find(|k| k.as_str() == scheme) {
            let (machine, below) = rest.split_once('/').unwrap_or((rest, ""));
            let default = match kind {
                DatabaseKind::Postgres => 5432,
                DatabaseKind::Mysql => 3306,
            };
            let (host, port) = spelling::machine(machine, default)?;
            let below = below.strip_suffix('/').unwrap_or(below);
            let parts: Vec<String> = match below {
                "" => Vec::new(),
                below => below.split('/').map(str::to_owned).collect(),
            };
            if parts.len() > 2 || parts.iter().any(String::is_empty) {
                return Err("below the machine stand a database and a schema or table".to_owned());
            }
            return Ok(Self::Database {
                kind: *kind,
                host,
                port,
                parts,
            });
        }
        match scheme {
            "http" | "https" => Err(
                "a service is listed together with the bucket that it holds: write \
                 s3://bucket/prefix/ at https://host"
                    .to_owned(),
            ),
            "file" => {
                let path = rest.strip_prefix('/').ok_or("write file:///folder/")?;
                let path = path.strip_suffix('/').unwrap_or(path);
                spelling::path(path)?;
                let parts = path.split('/').filter(|part| !part.is_empty());
                Ok(Self::Files(parts.map(str::to_owned).collect()))
            }
            _ => Err(format!("{scheme}:// is no kind of place")),
        }
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bucket {
                store,
                name,
                parts,
                at,
            } => {
                write!(f, "{store}://{name}/{}", parts.join("/"))?;
                at.as_ref().map_or(Ok(()), |at| write!(f, " at {at}"))
            }
            Self::Database {
                kind,
                host,
                port,
                parts,
            } => write!(f, "{kind}://{host}:{port}/{}", parts.join("/")),
            Self::Service(endpoint) => write!(f, "{endpoint}"),
            Self::Files(parts) => write!(f, "file:///{}", parts.join("/")),
        }
    }
}

fn told(path: &str, what: String, remedy: &str) -> ScanError {
    ScanError::Definition {
        path: path.to_owned(),
        place: Place::file(),
        what,
        remedy: remedy.to_owned(),
    }
}

#[cfg(test)]
mod tests;
