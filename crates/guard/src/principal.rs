//! Who asks: an id for logs and quotas, and what was granted.
//!
//! Comes in: words of settings, token files and claims. Goes out: principals. It must never hold a
//! secret, or make a grant of a word that it does not know.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Names of owners, at most so long.
const NAME_MAX: usize = 128;

/// What somebody may be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Grant {
    /// Runs the cluster, and may do what every owner may (`operator`).
    Operator,
    /// Owns the datasets of this owner (`owner:NAME`).
    Owner(String),
    /// Reads the datasets of this owner and is told of them (`subscriber:NAME`); of all owners when
    /// it is `None` (`subscriber:*`).
    Subscriber(Option<String>),
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("operator"),
            Self::Owner(name) => write!(f, "owner:{name}"),
            Self::Subscriber(None) => f.write_str("subscriber:*"),
            Self::Subscriber(Some(name)) => write!(f, "subscriber:{name}"),
        }
    }
}

impl FromStr for Grant {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        let name = |name: &str| {
            let plain = !name.is_empty()
                && name.len() <= NAME_MAX
                && name != "*"
                && !name.chars().any(|c| c.is_control() || c == ',');
            plain.then(|| name.to_owned()).ok_or_else(|| {
                format!("`{word}` names no owner: use 1 to {NAME_MAX} characters, no comma")
            })
        };
        match word.split_once(':') {
            None if word == "operator" => Ok(Self::Operator),
            Some(("owner", of)) => name(of).map(Self::Owner),
            Some(("subscriber", "*")) => Ok(Self::Subscriber(None)),
            Some(("subscriber", of)) => name(of).map(|of| Self::Subscriber(Some(of))),
            _ => Err(format!(
                "`{word}` is no role: write operator, owner:NAME, subscriber:NAME or subscriber:*"
            )),
        }
    }
}

impl TryFrom<String> for Grant {
    type Error = String;
    fn try_from(word: String) -> Result<Self, String> {
        word.parse()
    }
}

impl From<Grant> for String {
    fn from(grant: Grant) -> Self {
        grant.to_string()
    }
}

/// By what somebody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// By nothing.
    Anonymous,
    /// By being the user of this machine, in embedded mode.
    Local,
    /// By a token of the token file.
    Token,
    /// By a token of the identity provider.
    Oidc,
}

/// What a credential may be used for, whatever its holder may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Reads only.
    #[default]
    Read,
    /// Changes, too.
    Write,
}

/// Who asks. Clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its id: `tok_…`, `user:…`, `local`, `anonymous`. Not a secret.
    pub id: Arc<str>,
    /// By what it is known.
    pub kind: Kind,
    /// What was granted.
    pub grants: Arc<BTreeSet<Grant>>,
    /// What its credential may be used for.
    pub scope: Scope,
}

impl Principal {
    /// A principal of these grants.
    #[must_use]
    pub fn new(
        id: &str,
        kind: Kind,
        grants: impl IntoIterator<Item = Grant>,
        scope: Scope,
    ) -> Self {
        Self {
            id: Arc::from(id),
            kind,
            grants: Arc::new(grants.into_iter().collect()),
            scope,
        }
    }

    /// Whoever sits at this machine, in embedded mode.
    #[must_use]
    pub fn local() -> Self {
        Self::new("local", Kind::Local, [Grant::Operator], Scope::Write)
    }

    /// Somebody without a credential, who may read what these owners show everybody.
    #[must_use]
    pub fn anonymous(reads: &BTreeSet<Grant>) -> Self {
        Self::new(
            "anonymous",
            Kind::Anonymous,
            reads.iter().cloned(),
            Scope::Read,
        )
    }

    /// Whether it is known by a credential, or by sitting here.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.kind != Kind::Anonymous
    }

    /// Whether it runs the cluster.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.grants.contains(&Grant::Operator)
    }

    /// Whether it owns what belongs to `owner`.
    #[must_use]
    pub fn owns(&self, owner: &str) -> bool {
        let mut grants = self.grants.iter();
        grants.any(|grant| matches!(grant, Grant::Owner(name) if name == owner))
    }

    /// Whether it owns anything.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.grants.iter().any(|g| matches!(g, Grant::Owner(_)))
    }

    /// Its grants in words, for people and for the audit log.
    #[must_use]
    pub fn rights(&self) -> String {
        let words: Vec<String> = self.grants.iter().map(Grant::to_string).collect();
        let words = if words.is_empty() {
            "none".to_owned()
        } else {
            words.join(",")
        };
        match self.scope {
            Scope::Read => format!("{words} (read)"),
            Scope::Write => words,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_read_as_it_is_written_and_nothing_else_is_one() {
        for word in [
            "operator",
            "owner:payments",
            "subscriber:*",
            "subscriber:a b:c",
        ] {
            let grant: Grant = word.parse().unwrap();
            assert_eq!(grant.to_string(), word);
        }
        for word in [
            "",
            "Operator",
            "operator:",
            "operator:x",
            "owner",
            "owner:",
            "owner:*",
            "subscriber",
            "subscriber:",
            "admin",
            "owner:a,b",
            "owner:a\nb",
        ] {
            assert!(word.parse::<Grant>().is_err(), "{word}");
        }
        assert!("owner:".to_owned().parse::<Grant>().is_err());
        let long = format!("owner:{}", "x".repeat(NAME_MAX + 1));
        assert!(long.parse::<Grant>().is_err());
    }
}
