//! How places are spelt: one spelling for each, and none that could mean another.
//!
//! In: names, paths and endpoints of a definition or an operator's list. Out: their parts, or a
//! sentence that says what is wrong. Nothing is decoded and nothing is looked up: what would have
//! to be is refused.

use std::fmt;
use std::net::IpAddr;

use assay_model::source::{Bucket, BucketStore, Database};

/// The address of a service that speaks the protocol of an object store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether the way there is encrypted.
    pub tls: bool,
    /// The name or address of the machine, in lower case.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Endpoint {
    /// Reads `http://host:port` or `https://host`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err("an endpoint is written https://host or http://host:port".to_owned()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = machine(rest, if tls { 443 } else { 80 })?;
        Ok(Self { tls, host, port })
    }

    /// Whether it is this machine's port.
    #[must_use]
    pub fn serves(&self, host: &str, port: u16) -> bool {
        self.port == port && self.host.eq_ignore_ascii_case(host)
    }
}

impl fmt::Display for Endpoint {
    /// As it is connected to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        let host = &self.host;
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{}", self.port)
        } else {
            write!(f, "{scheme}://{host}:{}", self.port)
        }
    }
}

/// `host`, `host:port` or `[v6]:port`.
pub(super) fn machine(text: &str, default: u16) -> Result<(String, u16), String> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, after) = rest.split_once(']').ok_or("a `[` without its `]`")?;
            if !name.contains(':') {
                return Err(format!("`[{name}]` is no address of IPv6"));
            }
            (name, after)
        }
        None => match text.find(':') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        },
    };
    let port = match port {
        "" => default,
        text => text
            .strip_prefix(':')
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|port| *port > 0)
            .ok_or_else(|| format!("`{}` is no port", shown(text)))?,
    };
    host(name)?;
    Ok((name.to_ascii_lowercase(), port))
}

/// The name or address of a machine, in its one spelling.
pub(super) fn host(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("no machine is named".to_owned());
    }
    if name.contains(':') {
        return match name.parse::<IpAddr>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("`{}` is no address of IPv6", shown(name))),
        };
    }
    let strange = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if let Some(c) = name.chars().find(|c| strange(*c)) {
        return Err(format!(
            "{c:?} does not belong into the name of a machine, in `{}`",
            shown(name)
        ));
    }
    if name.len() > 253
        || name
            .split('.')
            .any(|part| part.is_empty() || part.len() > 63)
    {
        return Err(format!("`{}` is no name of a machine", shown(name)));
    }
    // Some programs take a last part that is a number for an address: decimal, hex or octal.
    let last = name.rsplit('.').next().unwrap_or(name);
    let hex = last
        .get(..2)
        .is_some_and(|lead| lead.eq_ignore_ascii_case("0x"));
    let number = hex || last.bytes().all(|b| b.is_ascii_digit());
    if number && name.parse::<std::net::Ipv4Addr>().is_err() {
        return Err(format!(
            "`{name}` is an address in an odd spelling: write four decimal numbers, or a name"
        ));
    }
    Ok(())
}

/// Whether a machine is one of the providers' own, whose names nobody else gives out.
pub(super) fn is_providers(host: &str) -> bool {
    const OWN: &[&str] = &[
        ".amazonaws.com",
        ".amazonaws.com.cn",
        ".googleapis.com",
        ".blob.core.windows.net",
    ];
    let host = host.to_ascii_lowercase();
    host.starts_with(|c: char| c.is_ascii_alphanumeric())
        && OWN.iter().any(|own| host.ends_with(own))
}

/// Characters that look like a dot or a slash, or become one where text is made uniform.
const LOOKALIKES: &[char] = &[
    '\u{2024}', '\u{2025}', '\u{2026}', '\u{3002}', '\u{fe52}', '\u{ff0e}', '\u{ff61}', '\u{2044}',
    '\u{2215}', '\u{29f8}', '\u{ff0f}', '\u{ff3c}', '\u{fe68}', '\u{2216}', '\u{29f5}', '\u{fe19}',
    '\u{fe30}',
];

/// A path below a bucket or a root, patterns included.
pub(super) fn path(text: &str) -> Result<(), String> {
    let refused = |what: &str| Err(format!("{what}, in `{}`", shown(text)));
    if text.chars().any(char::is_control) {
        return refused("a control character does not belong into a path");
    }
    if text.contains('\\') {
        return refused("a backslash does not belong into a path");
    }
    if text.contains(LOOKALIKES) {
        return refused("a character that only looks like a dot or a slash is in the path");
    }
    if has_encoded(text) {
        return refused("paths are written plainly: a dot, a slash or a `%` is percent-encoded");
    }
    let whole = text.strip_suffix('/').unwrap_or(text);
    if whole.is_empty() && text.len() == 1 {
        return refused("a path begins without a slash");
    }
    for part in whole.split('/') {
        match part {
            "" if !whole.is_empty() => return refused("a path has no empty parts"),
            "." | ".." => return refused("a path goes straight down, without `.` and `..`"),
            _ => {}
        }
    }
    Ok(())
}

/// `%2e`, `%2f`, `%5c`, `%25` and control characters, percent-encoded.
fn has_encoded(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.windows(3).any(|w| {
        let hex = |b: u8| char::from(b).to_digit(16);
        let (b'%', Some(high), Some(low)) = (w[0], hex(w[1]), hex(w[2])) else {
            return false;
        };
        let byte = high * 16 + low;
        byte < 0x20 || matches!(byte, 0x25 | 0x2e | 0x2f | 0x5c | 0x7f)
    })
}

/// The parts of a path before the first with a pattern in it.
pub(crate) fn plain(path: &str) -> Vec<&str> {
    let is_pattern = |part: &&str| part.contains(['*', '?', '[', '{']);
    path.split('/')
        .filter(|part| !part.is_empty())
        .take_while(|part| !is_pattern(part))
        .collect()
}

/// A bucket's parts.
pub(super) fn bucket(bucket: &Bucket) -> Result<Option<Endpoint>, String> {
    bucket_name(bucket.store, &bucket.name)?;
    path(&bucket.path)?;
    let word = |what: &str, text: &Option<String>, also: &[char]| match text {
        Some(text)
            if text.is_empty()
                || text.len() > 64
                || text.chars().any(|c| {
                    !(c.is_ascii_lowercase() || c.is_ascii_digit() || also.contains(&c))
                }) =>
        {
            Err(format!("`{}` is no {what}", shown(text)))
        }
        _ => Ok(()),
    };
    word("region", &bucket.region, &['-'])?;
    word("account", &bucket.account, &[])?;
    if let Some(role) = &bucket.role {
        let arn = role.strip_prefix("arn:aws").is_some_and(|rest| {
            let mut parts = rest.splitn(5, ':');
            matches!(parts.next(), Some("" | "-cn" | "-us-gov"))
                && parts.next() == Some("iam")
                && parts.next() == Some("")
                && parts
                    .next()
                    .is_some_and(|a| a.len() == 12 && a.bytes().all(|b| b.is_ascii_digit()))
                && parts
                    .next()
                    .is_some_and(|r| r.strip_prefix("role/").is_some_and(|name| !name.is_empty()))
        });
        let strange = |c: char| !(c.is_ascii_alphanumeric() || "+=,.@-_/:".contains(c));
        if !arn || role.len() > 2048 || role.contains(strange) {
            return Err(format!("`{}` is no ARN of a role", shown(role)));
        }
    }
    if let Some(id) = &bucket.external_id {
        external_id(id)?;
    }
    bucket.endpoint.as_deref().map(Endpoint::parse).transpose()
}

/// What a role may ask for beside who takes it on.
pub(super) fn external_id(id: &str) -> Result<(), &'static str> {
    let strange = |c: char| !(c.is_ascii_alphanumeric() || "+=,.@:/-_".contains(c));
    if id.len() < 2 || id.len() > 1224 || id.contains(strange) {
        return Err("the external id is none that a role can ask for");
    }
    Ok(())
}

/// The name of a bucket or container.
pub(super) fn bucket_name(store: BucketStore, name: &str) -> Result<(), String> {
    let also: &[char] = match store {
        BucketStore::S3 => &['.', '-'],
        BucketStore::Gcs => &['.', '-', '_'],
        BucketStore::Azure => &['-', '$'],
    };
    let fits = (3..=222).contains(&name.len())
        && (store == BucketStore::Gcs || name.len() <= 63)
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || also.contains(&c))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '$')
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && !name.contains("..")
        && !name.contains(".-")
        && !name.contains("-.")
        && name.parse::<IpAddr>().is_err();
    if fits {
        Ok(())
    } else {
        Err(format!("`{}` is no name of a bucket", shown(name)))
    }
}

/// A database's parts. Names of databases, schemas and tables are quoted by whoever asks for them.
pub(super) fn database(database: &Database) -> Result<(), String> {
    host(&database.host)?;
    if database.port == 0 {
        return Err("0 is no port".to_owned());
    }
    let names = [
        ("database", &database.database),
        ("schema", &database.schema),
        ("table", &database.table),
    ];
    for (what, name) in names {
        let empty = name.is_empty() && what != "schema";
        if empty || name.len() > 128 || name.chars().any(char::is_control) {
            return Err(format!("`{}` is no name of a {what}", shown(name)));
        }
        if what == "database" && name.contains(['/', '?', '#', '%', '\\', '=', ' ', '\'']) {
            return Err(format!("`{}` could be more than a database", shown(name)));
        }
    }
    Ok(())
}

/// A text for a message: short, and without what a terminal would act on.
fn shown(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(120)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().count() > 120 {
        short.push('…');
    }
    short
}
