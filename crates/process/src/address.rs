//! Addresses of what a process stands on.
//!
//! Comes in: an address as it was written. Goes out: nothing, or what is wrong with it and how it is
//! written. It must never let an address through that no waiting can make good, nor show a password.

use crate::layers::Refused;
use crate::options::without_password;

const STORE: &str = "write postgres://USER@HOST:PORT/DATABASE";
const ETCD: &str = "write http://HOST:PORT, or https://HOST:PORT with TLS";

/// Whether `url` is the address of a store.
pub(crate) fn store(url: &str) -> Result<(), Refused> {
    let refused = |why: &str| {
        // Without a scheme, nothing tells what of it is a password.
        let shown = if url.contains("://") {
            format!("the store `{}`", without_password(url))
        } else {
            "the store's address".to_owned()
        };
        Refused(format!("{shown} {why}: {STORE}"))
    };
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(refused("has no scheme"));
    };
    if !matches!(scheme, "postgres" | "postgresql") {
        return Err(refused(
            "is of another kind: the state of record lies in Postgres, postgres:// or postgresql://",
        ));
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let place = authority.rsplit_once('@').map_or(authority, |(_, at)| at);
    match port_of(place) {
        Port::Bad => Err(refused("has no port that there can be")),
        Port::Absent | Port::Given => Ok(()),
    }
}

/// Whether `url` is the address of a member of etcd, which is reached with TLS or without.
pub(crate) fn etcd(url: &str, tls: bool) -> Result<(), Refused> {
    let refused = |why: &str| Refused(format!("the member of etcd `{url}` {why}: {ETCD}"));
    let Some((scheme, place)) = url.split_once("://") else {
        return Err(refused("has no scheme"));
    };
    match (scheme, tls) {
        ("http", false) | ("https", true) => {}
        ("http", true) => return Err(refused("is to be reached with TLS, says [etcd]")),
        ("https", false) => {
            return Err(refused(
                "needs the files of TLS, --etcd-ca, --etcd-cert and --etcd-key",
            ));
        }
        _ => return Err(refused("is of another kind")),
    }
    let place = place.trim_end_matches('/');
    let plain = !place.contains(['/', '@', '?', '#']) && !place.contains(char::is_whitespace);
    let named = place
        .rsplit_once(':')
        .is_some_and(|(host, _)| !host.is_empty());
    match port_of(place) {
        Port::Given if plain && named => Ok(()),
        Port::Absent if plain => Err(refused("has no port")),
        _ => Err(refused("is not HOST:PORT")),
    }
}

enum Port {
    Absent,
    Given,
    Bad,
}

/// The port after a host, which may be an IPv6 address in brackets.
fn port_of(place: &str) -> Port {
    let behind = place.rsplit_once(']').map_or(place, |(_, behind)| behind);
    match behind.rsplit_once(':') {
        None => Port::Absent,
        Some((_, port)) if port.parse::<u16>().is_ok_and(|port| port > 0) => Port::Given,
        Some(_) => Port::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_postgres_is_a_store_and_the_refusal_shows_no_password() {
        for good in [
            "postgres://h/db",
            "postgresql://a:s3c@ret@h:5432/db?sslmode=verify-full",
            "postgres://a@[::1]:5432/db",
            "postgres:///db?host=/var/run/postgresql",
            "postgres://%2Fvar%2Frun/db",
        ] {
            assert_eq!(store(good), Ok(()), "{good}");
        }
        for (bad, says) in [
            (
                "mysql://a:s3cret@h/db",
                "`mysql://a@h/db` is of another kind",
            ),
            ("h/db?password=s3cret", "no scheme"),
            (
                "postgres://a:s3cret@h:70000/db",
                "no port that there can be",
            ),
            ("", "no scheme"),
        ] {
            let why = store(bad).unwrap_err().0;
            assert!(
                why.contains(says) && why.contains("postgres://USER"),
                "{why}"
            );
            assert!(!why.contains("s3cret"), "{why}");
        }
    }

    #[test]
    fn a_member_of_etcd_has_the_scheme_that_tls_asks_for_and_a_port() {
        for (good, tls) in [
            ("http://127.0.0.1:2379", false),
            ("http://[::1]:2379/", false),
            ("https://etcd-1.example:2379", true),
        ] {
            assert_eq!(etcd(good, tls), Ok(()), "{good}");
        }
        for (bad, tls, says) in [
            ("127.0.0.1:2379", false, "no scheme"),
            ("etcd://h:2379", false, "another kind"),
            ("http://h", false, "no port"),
            ("http://:2379", false, "not HOST:PORT"),
            ("http://h:port", false, "not HOST:PORT"),
            ("http://h:2379/v3", false, "not HOST:PORT"),
            ("https://h:2379", false, "--etcd-ca"),
            ("http://h:2379", true, "with TLS"),
            ("", false, "no scheme"),
        ] {
            let why = etcd(bad, tls).unwrap_err().0;
            assert!(why.contains(says), "{bad}: {why}");
        }
    }
}
