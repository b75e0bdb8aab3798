//! From where an owner's data may come.
//!
//! Comes in: per owner, the beginnings of addresses that are allowed. Goes out: whether a dataset's
//! source is among them. It must never let an address pass that only looks like an allowed one: a
//! prefix ends where a name ends.

use std::collections::BTreeMap;
use std::path::Path;

use assay_model::dataset::Dataset;

use crate::port::RegistryError;

/// The owner whose list holds for those who have none of their own.
pub const EVERYBODY: &str = "*";

/// The lists of all owners. Without any list, every source is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Allowed beginnings of addresses by owner.
    pub owners: BTreeMap<String, Vec<String>>,
}

impl Policy {
    /// The lists of a TOML file: `owner = ["s3://bucket/prefix/"]`, a line an owner, and `"*"` for
    /// everybody else. A file that is not there allows everything.
    ///
    /// # Errors
    /// When it cannot be read, or says something else.
    pub fn read(path: &Path) -> Result<Self, RegistryError> {
        let place = || path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => {
                let place = place();
                return Err(RegistryError::Io { place, source });
            }
        };
        let owners = toml::from_str(&text).map_err(|error| RegistryError::Unavailable {
            place: place(),
            reason: error.to_string(),
            remedy: "write one list an owner: name = [\"s3://bucket/prefix/\"]".to_owned(),
            passing: false,
            unchanged: true,
        })?;
        Ok(Self { owners })
    }

    /// Why the source of `dataset` is not allowed to its owner; `None` when it is.
    #[must_use]
    pub fn refusal(&self, dataset: &Dataset) -> Option<String> {
        let owner = dataset.owner.as_deref().unwrap_or("");
        let of_owner = self.owners.get(owner).filter(|_| !owner.is_empty());
        let list = of_owner.or_else(|| self.owners.get(EVERYBODY))?;
        let address = dataset.source.location.address();
        if list.iter().any(|prefix| is_within(&address, prefix)) {
            return None;
        }
        let who = if owner.is_empty() {
            "a dataset without an owner".to_owned()
        } else {
            format!("the owner `{owner}`")
        };
        Some(format!(
            "its source {address} is not among those allowed to {who}: {}",
            if list.is_empty() {
                "none is".to_owned()
            } else {
                list.join(", ")
            }
        ))
    }
}

/// Whether `address` is `prefix` or lies under it. Steps upwards and escapes are never within.
fn is_within(address: &str, prefix: &str) -> bool {
    let Some(rest) = address.strip_prefix(prefix) else {
        return false;
    };
    let hidden = ["..", "%2e", "%2E", "%2f", "%2F", "\0", "\\"];
    if hidden.iter().any(|word| address.contains(word)) {
        return false;
    }
    rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_under_an_allowed_prefix_is_within() {
        for (address, prefix, within) in [
            ("s3://lake/orders/", "s3://lake/orders", true),
            ("s3://lake/orders/dt=1/a.parquet", "s3://lake/orders/", true),
            ("s3://lake/orders", "s3://lake/orders", true),
            ("s3://lake/orders-secret/a", "s3://lake/orders", false),
            ("s3://lake/orders/../secret", "s3://lake/orders/", false),
            ("s3://lake/orders/%2e%2e/secret", "s3://lake/orders/", false),
            ("s3://lakehouse/a", "s3://lake", false),
            ("file:///data/a", "s3://", false),
            ("file:///data/a", "file:///data", true),
        ] {
            assert_eq!(is_within(address, prefix), within, "{address} {prefix}");
        }
    }

    #[test]
    fn an_owner_without_a_list_has_that_of_everybody_and_without_any_all_is_allowed() {
        let text = crate::conformance::document("orders", "");
        let parsed = assay_contract::parse("orders", &text, std::path::Path::new("/"));
        let dataset = parsed.dataset.expect("the document is valid");
        assert_eq!(Policy::default().refusal(&dataset), None);
        let of = |who: &str, list: &[&str]| Policy {
            owners: [(who.to_owned(), list.iter().map(|&p| p.to_owned()).collect())].into(),
        };
        assert_eq!(of(EVERYBODY, &["file:///data"]).refusal(&dataset), None);
        let refusal = of(EVERYBODY, &["s3://lake/"]).refusal(&dataset);
        let refusal = refusal.expect("it is not allowed");
        assert!(refusal.contains("file:///data/orders.parquet") && refusal.contains("s3://lake/"));
        assert_eq!(of("somebody", &["s3://lake/"]).refusal(&dataset), None);
        let mut owned = dataset;
        owned.owner = Some("somebody".to_owned());
        let refusal = of("somebody", &[])
            .refusal(&owned)
            .expect("none is allowed");
        assert!(refusal.contains("`somebody`") && refusal.contains("none is"));
    }
}
