//! The keys of an identity provider: fetched, kept, and fetched again when they are rotated.
//!
//! Comes in: the provider's documents. Goes out: keys. It must never fetch at the pace of whoever
//! sends tokens, follow a redirect, read a document without end, or take keys by an unprotected
//! connection that leaves this machine.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use assay_telemetry::repeat::Repeat;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::jwt::{self, Key};
use crate::settings::OidcSettings;

/// The longest that one document may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a document, at most.
const DOCUMENT_MAX: usize = 512 << 10;

/// What is to be done for a token's key. A pure decision, see [`plan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// The keys that are there will do.
    Use,
    /// They will do, and are fetched again beside it.
    UseAndRefresh,
    /// They are fetched first.
    Fetch,
    /// They were fetched a moment ago: there is no such key.
    Settled,
}

/// What to do when the key is known or not (`known`), the keys were fetched `age` ago, and the last
/// attempt to fetch them was `tried` ago.
#[must_use]
pub fn plan(known: bool, age: Option<Duration>, tried: Option<Duration>, settings: &Times) -> Plan {
    let may_try = tried.is_none_or(|tried| tried >= settings.refetch);
    let holds = age.is_some_and(|age| age < settings.keep);
    match (known && holds, may_try) {
        (true, _) if age.is_some_and(|age| age < settings.refresh) => Plan::Use,
        (true, true) => Plan::UseAndRefresh,
        (true, false) => Plan::Use,
        (false, true) => Plan::Fetch,
        (false, false) => Plan::Settled,
    }
}

/// The times of [`plan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Keys are fetched again after so long.
    pub refresh: Duration,
    /// Between two attempts.
    pub refetch: Duration,
    /// Keys that cannot be fetched again hold for so long.
    pub keep: Duration,
}

/// The keys of one provider.
#[derive(Debug)]
pub struct Keys {
    client: reqwest::Client,
    issuer: String,
    jwks_url: Option<String>,
    times: Times,
    held: RwLock<Held>,
    /// Held by whoever fetches.
    fetching: Mutex<Repeat>,
}

#[derive(Debug, Clone, Default)]
struct Held {
    keys: Arc<Vec<Key>>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

/// The provider's keys cannot be had: nothing is said of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the keys of the identity provider cannot be had")]
pub struct Unavailable;

impl Keys {
    /// The keys that `settings` speak of; nothing is fetched yet.
    ///
    /// # Errors
    /// In words for people, when there can be no client.
    pub fn new(settings: &OidcSettings) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .connect_timeout(Duration::from_secs(2))
            .build()
            .map_err(|e| format!("no client for the identity provider: {e}"))?;
        Ok(Self {
            client,
            issuer: settings.issuer.clone(),
            jwks_url: settings.jwks_url.clone(),
            times: Times {
                refresh: Duration::from_secs(settings.refresh_seconds),
                refetch: Duration::from_secs(settings.refetch_seconds),
                keep: Duration::from_secs(settings.keep_seconds),
            },
            held: RwLock::default(),
            fetching: Mutex::default(),
        })
    }

    /// The keys for a token that names the key `kid`. What it names may not be among them.
    ///
    /// # Errors
    /// [`Unavailable`], when none are known that still hold.
    pub async fn for_key(
        self: &Arc<Self>,
        kid: Option<&str>,
    ) -> Result<Arc<Vec<Key>>, Unavailable> {
        match self.plan(kid) {
            Plan::Use => {}
            Plan::UseAndRefresh => {
                let keys = Arc::clone(self);
                tokio::spawn(async move {
                    // Somebody else is at it.
                    if let Ok(mut failing) = keys.fetching.try_lock() {
                        keys.fetch(&mut failing).await;
                    }
                });
            }
            Plan::Fetch => {
                let mut failing = self.fetching.lock().await;
                // Whoever was first may have brought it.
                if self.plan(kid) == Plan::Fetch {
                    self.fetch(&mut failing).await;
                }
            }
            Plan::Settled => {}
        }
        let held = self.held();
        let holds = held
            .fetched
            .is_some_and(|at| at.elapsed() < self.times.keep);
        holds.then_some(held.keys).ok_or(Unavailable)
    }

    fn plan(&self, kid: Option<&str>) -> Plan {
        let held = self.held();
        let known = match kid {
            Some(kid) => held.keys.iter().any(|key| key.kid.as_deref() == Some(kid)),
            None => !held.keys.is_empty(),
        };
        let ago = |at: Option<Instant>| at.map(|at| at.elapsed());
        plan(known, ago(held.fetched), ago(held.tried), &self.times)
    }

    fn held(&self) -> Held {
        self.held
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn fetch(&self, failing: &mut Repeat) {
        self.change(|held| held.tried = Some(Instant::now()));
        match self.ask().await {
            Ok(keys) => {
                failing.ends();
                self.change(|held| {
                    held.keys = Arc::new(keys);
                    held.fetched = Some(Instant::now());
                });
            }
            Err(why) => {
                if let Some(told) = failing.fails() {
                    let issuer = &self.issuer;
                    tracing::warn!("the keys of {issuer} could not be fetched: {why}{told}");
                }
            }
        }
    }

    fn change(&self, with: impl FnOnce(&mut Held)) {
        with(&mut self.held.write().unwrap_or_else(PoisonError::into_inner));
    }

    async fn ask(&self) -> Result<Vec<Key>, String> {
        let url = match &self.jwks_url {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        safe_url(&url)?;
        jwt::keys(&self.document(&url).await?)
    }

    async fn discover(&self) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Discovery {
            issuer: String,
            jwks_uri: String,
        }
        let issuer = self.issuer.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        safe_url(&url)?;
        let document = self.document(&url).await?;
        let found: Discovery =
            serde_json::from_slice(&document).map_err(|e| format!("{url} is no discovery: {e}"))?;
        if found.issuer != self.issuer {
            return Err(format!("{url} is of the issuer {}", found.issuer));
        }
        Ok(found.jwks_uri)
    }

    async fn document(&self, url: &str) -> Result<Vec<u8>, String> {
        let failed = |e: reqwest::Error| format!("{url}: {}", chain(&e));
        let mut answer = self.client.get(url).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(format!("{url} answers {}", answer.status()));
        }
        let mut document = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            if document.len() + piece.len() > DOCUMENT_MAX {
                return Err(format!("{url} has more than {DOCUMENT_MAX} bytes"));
            }
            document.extend_from_slice(&piece);
        }
        Ok(document)
    }
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Whether keys may be fetched from `url`: by https, or from this machine.
///
/// # Errors
/// In words for people.
pub fn safe_url(url: &str) -> Result<(), String> {
    let parsed = reqwest::Url::parse(url).map_err(|e| format!("`{url}` is no address: {e}"))?;
    let host = parsed.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let here = bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    match parsed.scheme() {
        "https" if !host.is_empty() => Ok(()),
        "http" if here => Ok(()),
        _ => Err(format!(
            "`{url}` is not safe: keys are fetched by https, or by http from this machine"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times {
        refresh: Duration::from_secs(600),
        refetch: Duration::from_secs(30),
        keep: Duration::from_secs(3_600),
    };

    #[test]
    fn keys_are_fetched_when_they_must_be_and_no_more_often() {
        let s = Duration::from_secs;
        for (known, age, tried, expected) in [
            (false, None, None, Plan::Fetch),
            (false, None, Some(1), Plan::Settled),
            (false, None, Some(30), Plan::Fetch),
            (true, Some(1), Some(1), Plan::Use),
            (true, Some(599), Some(599), Plan::Use),
            (true, Some(600), Some(600), Plan::UseAndRefresh),
            (true, Some(700), Some(5), Plan::Use),
            (true, Some(3_600), Some(40), Plan::Fetch),
            (true, Some(3_600), Some(5), Plan::Settled),
            (false, Some(40), Some(40), Plan::Fetch),
            (false, Some(5), Some(5), Plan::Settled),
        ] {
            let found = plan(known, age.map(s), tried.map(s), &TIMES);
            assert_eq!(found, expected, "{known} {age:?} {tried:?}");
        }
    }

    #[test]
    fn keys_come_by_https_or_from_here() {
        for safe in [
            "https://login.example.com/a",
            "http://127.0.0.1:9/k",
            "http://[::1]/k",
            "http://localhost/k",
        ] {
            assert_eq!(safe_url(safe), Ok(()));
        }
        for unsafe_url in [
            "http://login.example.com",
            "ftp://127.0.0.1",
            "file:///etc/passwd",
            "",
            "https://",
        ] {
            assert!(safe_url(unsafe_url).is_err(), "{unsafe_url}");
        }
    }
}
