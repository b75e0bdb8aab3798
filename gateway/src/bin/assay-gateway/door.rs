//! Who may come in: the guard's settings as this program is told them.
//!
//! Comes in: a file, a variable or a table. Goes out: settings that hold together. It must never open
//! the door wider than they say: without any, it is open to this machine alone.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use assay_gateway::GuardSettings;
use assay_guard::loopback;
use assay_guard::settings::Mode;
use assay_guard::tokens::TokenFile;
use assay_process::Refused;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Where the guard's settings are.
#[derive(Debug, Clone, PartialEq)]
pub enum GuardFrom {
    /// In a file of their own, or a variable of the environment (`env:NAME`).
    File(PathBuf),
    /// In the file of options.
    Table(Box<GuardSettings>),
}

impl FromStr for GuardFrom {
    type Err = String;
    fn from_str(path: &str) -> Result<Self, String> {
        if path.is_empty() {
            return Err("name a file, or env:NAME".to_owned());
        }
        Ok(Self::File(PathBuf::from(path)))
    }
}

impl<'de> Deserialize<'de> for GuardFrom {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = GuardFrom;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the guard's settings, or the name of their file")
            }
            fn visit_str<E: Error>(self, path: &str) -> Result<GuardFrom, E> {
                path.parse().map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<GuardFrom, A::Error> {
                let table = GuardSettings::deserialize(MapAccessDeserializer::new(table))?;
                Ok(GuardFrom::Table(Box::new(table)))
            }
        }
        input.deserialize_any(Either)
    }
}

/// The settings, read and checked.
///
/// # Errors
/// [`Refused`]: what is wrong with them, all at once, or with a file that they name.
pub fn settings(from: Option<GuardFrom>) -> Result<GuardSettings, Refused> {
    let (place, settings) = match from {
        None => return Ok(GuardSettings::default()),
        Some(GuardFrom::Table(settings)) => ("[guard]".to_owned(), *settings),
        Some(GuardFrom::File(path)) => {
            let place = path.display().to_string();
            let text = assay_files::read(&path)
                .map_err(|error| Refused(format!("cannot read the guard's {place}: {error}")))?;
            let text = String::from_utf8(text)
                .map_err(|_| Refused(format!("the guard's {place} is no text")))?;
            let settings = toml::from_str(&text).map_err(|error| {
                let error = error.to_string();
                Refused(format!("{place}: {}", error.trim()))
            })?;
            (place, settings)
        }
    };
    let faults = settings.faults();
    if !faults.is_empty() {
        return Err(Refused(format!("{place}: {}", faults.join("\n  "))));
    }
    if let Some(tokens) = &settings.identity.tokens {
        TokenFile::read(tokens).map_err(Refused)?;
    }
    Ok(settings)
}

/// Whether a gateway with this guard may listen here.
///
/// # Errors
/// [`Refused`] when others reach the address and no credential is asked for, or credentials would
/// travel in the open.
pub fn may_listen(guard: &GuardSettings, address: SocketAddr, tls: bool) -> Result<(), Refused> {
    let identity = &guard.identity;
    let secrets = identity.tokens.is_some() || identity.oidc.is_some();
    match identity.mode {
        _ if address.ip().is_loopback() => Ok(()),
        Mode::Loopback => Err(Refused(format!(
            "others reach {address}, and nobody would be asked for a credential: name the guard's \
             settings with --guard, mode = \"credentials\" in their [identity] (docs/guard.md), or \
             listen on 127.0.0.1"
        ))),
        Mode::Credentials if secrets && !tls && identity.trusted_proxies.is_empty() => {
            Err(Refused(format!(
                "tokens would be sent to {address} in the open: name --http-cert and --http-key, or, \
                 where a balancer before this gateway speaks TLS, its network in trusted_proxies of \
                 [identity]"
            )))
        }
        Mode::Credentials => Ok(()),
    }
}

/// Who may come in, in a few words.
pub fn shown(guard: &GuardSettings) -> String {
    let identity = &guard.identity;
    if identity.mode == Mode::Loopback {
        return loopback::OPEN.to_owned();
    }
    let mut who = Vec::new();
    if let Some(tokens) = &identity.tokens {
        who.push(format!("tokens of {}", tokens.display()));
    }
    if let Some(oidc) = &identity.oidc {
        who.push(format!("tokens of {}", oidc.issuer));
    }
    if !identity.anonymous.is_empty() {
        let reads: Vec<String> = identity.anonymous.iter().map(ToString::to_string).collect();
        who.push(format!("anybody as {}", reads.join(", ")));
    }
    who.join("; ")
}
