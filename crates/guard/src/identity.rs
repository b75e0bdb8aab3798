//! From a request's head to a principal.
//!
//! Comes in: headers. Goes out: who asks, or why nobody does. It must never fall back to a lesser
//! principal for a credential that is wrong: what is brought must hold.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::{HeaderMap, Method, header};
use jiff::Timestamp;
use serde_json::Value;

use crate::jwks::Keys;
use crate::jwt::{self, Claims, Expected, Unverified};
use crate::principal::{Grant, Kind, Principal, Scope};
use crate::session;
use crate::settings::{IdentitySettings, Mode, OidcSettings};
use crate::tokens::{PREFIX, Tokens};

/// Characters of an id that a claim gives.
const ID_MAX: usize = 150;
/// Values of a claim that are looked at.
const VALUES_MAX: usize = 200;

/// Why nobody is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The credential does not hold; in words for its holder.
    Wrong(String),
    /// The same of the credential in a cookie, which the browser is told to forget.
    Ended(String),
    /// A page of another site used the cookie for a change.
    Foreign,
    /// Nothing can be said of it now.
    Unavailable,
}

/// Who is let in, and by what.
#[derive(Debug)]
pub struct Identity {
    local: bool,
    tokens: Option<Tokens>,
    oidc: Option<Oidc>,
    anonymous: Principal,
}

#[derive(Debug)]
struct Oidc {
    keys: Arc<Keys>,
    expected: Expected,
    settings: OidcSettings,
}

impl Identity {
    /// What `settings` say.
    ///
    /// # Errors
    /// In words for people, when the file of tokens cannot be read.
    pub fn new(settings: &IdentitySettings) -> Result<Self, String> {
        let oidc = settings.oidc.as_ref().map(|oidc| {
            Ok::<_, String>(Oidc {
                keys: Arc::new(Keys::new(oidc)?),
                expected: Expected {
                    issuer: oidc.issuer.clone(),
                    audience: oidc.audience.clone(),
                    leeway: oidc.leeway_seconds,
                },
                settings: oidc.clone(),
            })
        });
        Ok(Self {
            local: settings.mode == Mode::Loopback,
            tokens: settings.tokens.clone().map(Tokens::open).transpose()?,
            oidc: oidc.transpose()?,
            anonymous: Principal::anonymous(&settings.anonymous),
        })
    }

    /// Whether the door is open to this machine alone.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        self.local
    }

    /// Who sends a request with this head.
    ///
    /// # Errors
    /// [`Refusal`], when what it brings does not hold or cannot be looked at.
    pub async fn of(
        &self,
        method: &Method,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Principal, Refusal> {
        if self.local {
            return Ok(Principal::local());
        }
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return self.of_session(method, headers, now).await;
        };
        let wrong = |why: &str| Refusal::Wrong(why.to_owned());
        if values.next().is_some() {
            return Err(wrong("there is more than one Authorization header"));
        }
        let credential = value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, credential)| credential.trim())
            .ok_or_else(|| wrong("write `Authorization: Bearer TOKEN`"))?;
        self.check(credential, now).await
    }

    /// Who sends a request with a cookie, or with nothing.
    async fn of_session(
        &self,
        method: &Method,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Principal, Refusal> {
        let Some(credential) = session::credential(headers) else {
            return Ok(self.anonymous.clone());
        };
        if !session::is_own(method, headers) {
            return Err(Refusal::Foreign);
        }
        match self.check(credential, now).await {
            Err(Refusal::Wrong(why)) => Err(Refusal::Ended(why)),
            checked => checked,
        }
    }

    /// Whose credential this is.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn check(&self, credential: &str, now: Timestamp) -> Result<Principal, Refusal> {
        match (&self.tokens, &self.oidc) {
            (Some(tokens), _) if credential.starts_with(PREFIX) => tokens
                .check(credential, now)
                .map_err(|refused| Refusal::Wrong(refused.to_string())),
            (_, Some(oidc)) => oidc.check(credential, now).await,
            _ => Err(Refusal::Wrong("the token is not known here".to_owned())),
        }
    }
}

impl Oidc {
    async fn check(&self, token: &str, now: Timestamp) -> Result<Principal, Refusal> {
        let wrong = |refused: jwt::Refused| Refusal::Wrong(refused.to_string());
        let token = Unverified::of(token).map_err(wrong)?;
        let keys = self.keys.for_key(token.key_id()).await;
        let keys = keys.map_err(|_| Refusal::Unavailable)?;
        let claims = token.verify(&keys, &self.expected, now.as_second());
        let claims = claims.map_err(wrong)?;
        principal(&claims, &self.settings).map_err(Refusal::Wrong)
    }
}

/// What verified claims mean.
fn principal(claims: &Claims, settings: &OidcSettings) -> Result<Principal, String> {
    let id = claims
        .text(&settings.id_claim)
        .filter(|id| !id.is_empty() && id.chars().count() <= ID_MAX)
        .filter(|id| !id.chars().any(char::is_control))
        .ok_or_else(|| format!("the token's claim `{}` is no id", settings.id_claim))?;
    let mut grants: BTreeSet<Grant> = BTreeSet::new();
    for group in values(claims, &settings.roles_claim) {
        grants.extend(settings.roles.get(group).into_iter().flatten().cloned());
    }
    if let Some(claim) = &settings.owners_claim {
        // A name that is none of ours owns nothing.
        let owners = values(claims, claim).filter_map(|name| format!("owner:{name}").parse().ok());
        grants.extend(owners);
    }
    Ok(Principal::new(
        &format!("user:{id}"),
        Kind::Oidc,
        grants,
        Scope::Write,
    ))
}

/// The texts of a claim: one, or a list.
fn values<'a>(claims: &'a Claims, name: &str) -> impl Iterator<Item = &'a str> {
    let (one, list) = match claims.0.get(name) {
        Some(Value::String(one)) => (Some(one.as_str()), None),
        Some(Value::Array(list)) => (None, Some(list)),
        _ => (None, None),
    };
    let listed = list.into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(listed).take(VALUES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(text: &str) -> Claims {
        serde_json::from_str(text).unwrap()
    }

    fn settings() -> OidcSettings {
        toml::from_str(
            "issuer = 'https://i'\naudience = 'a'\nowners_claim = 'teams'\n\
             roles = { admins = ['operator'], data = ['subscriber:*'] }",
        )
        .unwrap()
    }

    #[test]
    fn groups_and_owners_become_grants_and_nothing_else_does() {
        let said = claims(
            r#"{"iss":"i","sub":"u1","groups":["data","nobody",7],"teams":["payments","*","a,b"],
                "roles":["operator"],"operator":true}"#,
        );
        let who = principal(&said, &settings()).unwrap();
        assert_eq!((&*who.id, who.kind), ("user:u1", Kind::Oidc));
        assert_eq!(who.rights(), "owner:payments,subscriber:*");
        let one = claims(r#"{"iss":"i","sub":"u2","groups":"admins"}"#);
        assert!(principal(&one, &settings()).unwrap().is_operator());
        let none = claims(r#"{"iss":"i","sub":"u3","groups":{"admins":true}}"#);
        assert!(principal(&none, &settings()).unwrap().grants.is_empty());
        for odd in [
            r#"{"iss":"i"}"#,
            r#"{"iss":"i","sub":7}"#,
            r#"{"iss":"i","sub":"a\nb"}"#,
        ] {
            assert!(principal(&claims(odd), &settings()).is_err(), "{odd}");
        }
    }
}
