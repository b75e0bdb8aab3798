//! The settings of the guard, as a section of the gateway's settings file.
//!
//! Comes in: TOML. Goes out: settings that hold together, or what is wrong with them. It must never
//! take a key that it does not know, or fall back to an open door.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::Network;
use crate::principal::Grant;

/// All settings of the guard.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardSettings {
    /// Who may come in.
    pub identity: IdentitySettings,
    /// How often.
    pub quotas: QuotaSettings,
    /// How many at once.
    pub queue: QueueSettings,
    /// How big and how slow.
    pub limits: LimitSettings,
}

/// Whom the door is open to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Those who sit at this machine, and nobody else; no credential is asked for.
    #[default]
    Loopback,
    /// Those who bring a token.
    Credentials,
}

/// Who may come in.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentitySettings {
    /// Whom the door is open to.
    pub mode: Mode,
    /// The file of tokens.
    pub tokens: Option<PathBuf>,
    /// The identity provider.
    pub oidc: Option<OidcSettings>,
    /// What people without a credential may read: `subscriber:NAME` or `subscriber:*` each.
    pub anonymous: BTreeSet<Grant>,
    /// The balancers in front, whose `X-Forwarded-For` is believed: `10.0.0.0/8`.
    pub trusted_proxies: Vec<Network>,
}

/// An OpenID Connect provider, and what its claims mean.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    /// What `iss` must be, to the letter.
    pub issuer: String,
    /// What must be in `aud`.
    pub audience: String,
    /// Where the keys are; when absent, the issuer's discovery document says it.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// The claim that is the principal's id.
    #[serde(default = "subject")]
    pub id_claim: String,
    /// The claim with the groups that [`OidcSettings::roles`] gives roles to: a text or a list.
    #[serde(default = "groups")]
    pub roles_claim: String,
    /// Roles by group.
    #[serde(default)]
    pub roles: BTreeMap<String, Vec<Grant>>,
    /// A claim whose values are names of owners, as they stand.
    #[serde(default)]
    pub owners_claim: Option<String>,
    /// How far the provider's clock and ours may lie apart, in seconds; 300 at most.
    #[serde(default = "leeway")]
    pub leeway_seconds: u64,
    /// Keys are fetched again after so many seconds.
    #[serde(default = "refresh")]
    pub refresh_seconds: u64,
    /// A key that is not known has them fetched again at most once in so many seconds.
    #[serde(default = "refetch")]
    pub refetch_seconds: u64,
    /// Keys that could not be fetched again hold for so many seconds.
    #[serde(default = "keep")]
    pub keep_seconds: u64,
}

fn subject() -> String {
    "sub".to_owned()
}

fn groups() -> String {
    "groups".to_owned()
}

const fn leeway() -> u64 {
    60
}

const fn refresh() -> u64 {
    600
}

const fn refetch() -> u64 {
    30
}

const fn keep() -> u64 {
    86_400
}

/// So many requests per second, and so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests per second, over all gateways.
    pub per_second: NonZeroU32,
    /// Requests at once, over all gateways.
    pub burst: NonZeroU32,
}

/// How often.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaSettings {
    /// How many gateways share the quotas: each grants its part.
    pub gateways: NonZeroU32,
    /// Of each principal that is known.
    pub principal: Rate,
    /// Of each address without a credential.
    pub anonymous: Rate,
    /// Buckets of either kind that are kept; the least used go first.
    pub buckets: usize,
}

impl Default for QuotaSettings {
    fn default() -> Self {
        Self {
            gateways: NonZeroU32::MIN,
            principal: Rate::of(100, 200),
            anonymous: Rate::of(20, 40),
            buckets: 10_000,
        }
    }
}

impl Rate {
    /// A rate; a part that is 0 is 1.
    #[must_use]
    pub fn of(per_second: u32, burst: u32) -> Self {
        let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            per_second: at_least_one(per_second),
            burst: at_least_one(burst),
        }
    }
}

/// How many at once.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSettings {
    /// Requests that handlers work on at the same time; readers that wait for others apart.
    pub in_flight: usize,
    /// Requests that wait for it; as many more wait for what is behind handlers.
    pub waiting: usize,
    /// A request that waited so many milliseconds in either line is sent away.
    pub patience_ms: u64,
    /// Questions that the store is asked at the same time, besides one of an owner; without, their
    /// number follows the cores and how fast answers come.
    pub store_turns: Option<usize>,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            in_flight: 64,
            waiting: 256,
            patience_ms: 2_000,
            store_turns: None,
        }
    }
}

impl QueueSettings {
    /// How long a request waits at most.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        Duration::from_millis(self.patience_ms)
    }
}

/// How big and how slow.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Bodies that are read at the same time.
    pub bodies: usize,
    /// Seconds between two pieces of a body.
    pub body_idle_seconds: u64,
    /// Seconds for a whole body.
    pub body_seconds: u64,
    /// Seconds for a request's head, and for a connection without one.
    pub head_seconds: u64,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Seconds that a client may take nothing of an answer.
    pub write_seconds: u64,
    /// Connections at the same time; more wait to be accepted.
    pub connections: usize,
    /// The same of one address, balancers of ours apart; more are closed.
    pub connections_each: usize,
    /// Answers without an end (event streams) at the same time, of one principal.
    pub streams_each: usize,
    /// The same of all together.
    pub streams: usize,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            bodies: 64,
            body_idle_seconds: 5,
            body_seconds: 30,
            head_seconds: 10,
            head_bytes: 32 << 10,
            write_seconds: 30,
            connections: 1_024,
            connections_each: 256,
            streams_each: 8,
            streams: 256,
        }
    }
}

impl LimitSettings {
    /// The time for a request's head.
    #[must_use]
    pub const fn head(&self) -> Duration {
        Duration::from_secs(self.head_seconds)
    }

    /// The time for a piece of an answer.
    #[must_use]
    pub const fn write(&self) -> Duration {
        Duration::from_secs(self.write_seconds)
    }
}

impl GuardSettings {
    /// What is wrong with the settings, all at once; nothing when they hold together.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        self.identity.look(&mut faults);
        for (name, number) in [
            ("queue.in_flight", self.queue.in_flight),
            ("queue.store_turns", self.queue.store_turns.unwrap_or(1)),
            ("limits.bodies", self.limits.bodies),
            ("limits.connections", self.limits.connections),
            ("limits.connections_each", self.limits.connections_each),
            ("limits.body_bytes", self.limits.body_bytes),
            ("quotas.buckets", self.quotas.buckets),
        ] {
            if number == 0 {
                faults.push(format!("{name} is 0: nothing would be let in"));
            }
        }
        for (name, seconds) in [
            ("limits.head_seconds", self.limits.head_seconds),
            ("limits.body_seconds", self.limits.body_seconds),
            ("limits.body_idle_seconds", self.limits.body_idle_seconds),
            ("limits.write_seconds", self.limits.write_seconds),
        ] {
            if seconds == 0 {
                faults.push(format!("{name} is 0: every request would be cut"));
            }
        }
        if self.limits.head_bytes < 8 << 10 {
            faults.push("limits.head_bytes is less than 8192: browsers send more".to_owned());
        }
        faults
    }
}

impl IdentitySettings {
    fn look(&self, faults: &mut Vec<String>) {
        let credentials = self.tokens.is_some() || self.oidc.is_some();
        match self.mode {
            Mode::Credentials if !credentials && self.anonymous.is_empty() => faults.push(
                "identity.mode is credentials, and neither identity.tokens nor identity.oidc says \
                 whose: make a file with `assay token new`, or name an identity provider"
                    .to_owned(),
            ),
            Mode::Loopback if credentials || !self.anonymous.is_empty() => faults.push(
                "identity.mode is loopback, where nobody is asked for a credential: write mode = \
                 \"credentials\", or leave tokens, oidc and anonymous out"
                    .to_owned(),
            ),
            Mode::Credentials | Mode::Loopback => {}
        }
        for grant in &self.anonymous {
            if !matches!(grant, Grant::Subscriber(_)) {
                faults.push(format!(
                    "identity.anonymous has `{grant}`: who brings no credential may be a subscriber \
                     only"
                ));
            }
        }
        if let Some(oidc) = &self.oidc {
            oidc.look(faults);
        }
    }
}

impl OidcSettings {
    fn look(&self, faults: &mut Vec<String>) {
        for (name, url) in [
            ("issuer", Some(&self.issuer)),
            ("jwks_url", self.jwks_url.as_ref()),
        ] {
            if let Some(url) = url
                && let Err(why) = crate::jwks::safe_url(url)
            {
                faults.push(format!("identity.oidc.{name}: {why}"));
            }
        }
        if self.audience.is_empty() {
            faults.push("identity.oidc.audience is empty: tokens of all programs of the provider would be taken".to_owned());
        }
        if self.leeway_seconds > 300 {
            faults
                .push("identity.oidc.leeway_seconds is more than 300: mend the clocks".to_owned());
        }
        if self.refetch_seconds == 0 {
            faults.push(
                "identity.oidc.refetch_seconds is 0: any token would have the keys fetched"
                    .to_owned(),
            );
        }
        if self.keep_seconds < self.refresh_seconds {
            faults.push("identity.oidc.keep_seconds is less than refresh_seconds".to_owned());
        }
        if self.roles.is_empty() && self.owners_claim.is_none() {
            faults.push(
                "identity.oidc has neither roles nor owners_claim: nobody would be anybody"
                    .to_owned(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<GuardSettings, String> {
        toml::from_str(text).map_err(|e| e.to_string())
    }

    #[test]
    fn the_settings_without_a_word_are_sound_and_open_to_this_machine_only() {
        let settings = read("").unwrap();
        assert_eq!(settings.identity.mode, Mode::Loopback);
        assert_eq!(settings.faults(), [""; 0]);
    }

    #[test]
    fn a_whole_section_is_read_and_written_back() {
        let text = r#"
            [identity]
            mode = "credentials"
            tokens = "/etc/assay/tokens.toml"
            anonymous = ["subscriber:open-data"]
            trusted_proxies = ["10.0.0.0/8", "fd00::/8"]
            [identity.oidc]
            issuer = "https://login.example.com/realm"
            audience = "assay"
            owners_claim = "teams"
            roles = { admins = ["operator"], data = ["owner:payments", "subscriber:*"] }
            [quotas]
            gateways = 3
            principal = { per_second = 50, burst = 100 }
        "#;
        let settings = read(text).unwrap();
        assert_eq!(settings.faults(), [""; 0]);
        let again = read(&toml::to_string(&settings).unwrap()).unwrap();
        assert_eq!(again, settings);
    }

    #[test]
    fn what_is_not_known_or_not_sound_is_refused() {
        for unknown in [
            "identities = {}",
            "[identity]\nmod = 'loopback'",
            "[identity]\nmode = 'open'",
            "[identity]\nanonymous = ['reader']",
            "[identity.oidc]\nissuer = 'https://a'\naudience = 'b'\nalgorithms = ['HS256']",
            "[quotas]\nprincipal = { per_second = 0, burst = 1 }",
            "[identity]\ntrusted_proxies = ['10.0.0.0/40']",
        ] {
            assert!(read(unknown).is_err(), "{unknown}");
        }
        for (text, word) in [
            ("[identity]\nmode = 'credentials'", "token new"),
            ("[identity]\ntokens = 'x'", "loopback"),
            (
                "[identity]\nmode = 'credentials'\nanonymous = ['operator']",
                "subscriber only",
            ),
            (
                "[identity]\nmode = 'credentials'\n[identity.oidc]\nissuer = 'http://login.example.com'\n\
                 audience = 'a'\nroles = { a = ['operator'] }",
                "https",
            ),
            (
                "[identity]\nmode = 'credentials'\n[identity.oidc]\nissuer = 'https://login.example.com'\n\
                 audience = ''\nroles = { a = ['operator'] }",
                "audience",
            ),
            (
                "[identity]\nmode = 'credentials'\n[identity.oidc]\nissuer = 'https://login.example.com'\n\
                 audience = 'a'",
                "nobody would be anybody",
            ),
            ("[queue]\nin_flight = 0", "in_flight"),
            ("[queue]\nstore_turns = 0", "store_turns"),
            ("[limits]\nhead_bytes = 100", "head_bytes"),
            ("[limits]\nbody_seconds = 0", "body_seconds"),
        ] {
            let faults = read(text).unwrap().faults();
            assert!(
                faults.iter().any(|fault| fault.contains(word)),
                "{text}: {faults:?}"
            );
        }
    }
}
