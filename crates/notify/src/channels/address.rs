//! What webhooks may reach: the operator's list of machines, and addresses that nobody reaches.
//!
//! Comes in: an address of HTTP as somebody wrote it, or an address of the network that a name was
//! looked up to. Goes out: leave, or why not. Pure. The address of a private network is given leave
//! only where the operator named that very machine; one that hands out credentials never.

use std::net::IpAddr;

use assay_model::address::{Kind, kind};
use reqwest::Url;
use serde::Deserialize;

/// One machine, or the machines of a domain, of the operator's list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Entry {
    host: String,
    /// Any machine whose name ends with the host.
    is_domain: bool,
    port: Option<u16>,
    /// Whether it may be reached without TLS.
    plain: bool,
}

impl TryFrom<String> for Entry {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` names no machine: write `host`, `host:port`, `*.domain` or, without TLS, \
                 `http://host:port`"
            )
        };
        let plain = text.starts_with("http://");
        let rest = text
            .strip_prefix("http://")
            .or_else(|| text.strip_prefix("https://"))
            .unwrap_or(&text)
            .trim_end_matches('/');
        let (is_domain, rest) = match rest.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, rest),
        };
        let url = Url::parse(&format!("https://{rest}/")).map_err(|_| wrong())?;
        let bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
        let host = url.host_str().filter(|host| bare && !host.contains('*'));
        let host = host.ok_or_else(wrong)?.to_owned();
        if plain && is_domain {
            return Err(wrong());
        }
        let port = rest
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok());
        Ok(Self {
            host,
            is_domain,
            port,
            plain,
        })
    }
}

impl Entry {
    fn names(&self, host: &str) -> bool {
        !self.is_domain && self.host.eq_ignore_ascii_case(host)
    }

    fn covers(&self, host: &str) -> bool {
        if !self.is_domain {
            return self.names(host);
        }
        let lower = host.to_ascii_lowercase();
        lower
            .strip_suffix(&self.host)
            .is_some_and(|before| before.ends_with('.') && before.len() > 1)
    }

    fn takes_port(&self, port: u16) -> bool {
        let usual = if self.plain { 80 } else { 443 };
        self.port.unwrap_or(usual) == port
    }
}

/// Judges an address of HTTP by its spelling and by the list. Nothing is looked up.
///
/// # Errors
/// Why it may not be reached. It names the machine and nothing else of the address, which may be a
/// secret.
pub fn judge(text: &str, allowed: &[Entry]) -> Result<Url, String> {
    let none = || "the address is none of HTTP: write https://host/path".to_owned();
    let url = Url::parse(text).map_err(|_| none())?;
    let host = url.host_str().ok_or_else(none)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(none());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("the address of {host} holds a login: leave it out"));
    }
    let port = url.port_or_known_default().unwrap_or(443);
    let plain = url.scheme() == "http";
    let named = allowed.iter().filter(|entry| entry.covers(host));
    let allows = |entry: &Entry| entry.takes_port(port) && entry.plain == plain;
    let is_listed = named.clone().any(allows);
    if !is_listed && (!allowed.is_empty() || plain || port != 443) {
        let what = if plain { "by plain HTTP" } else { "there" };
        return Err(format!(
            "{host}:{port} may not be reached {what}: the operator names what may be reached under \
             `[webhook] allow` of the settings of notifications"
        ));
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        judge_ip(host, ip, allowed)?;
    }
    Ok(url)
}

/// Judges an address of the network that `host` was looked up to.
///
/// # Errors
/// Why it may not be reached.
pub fn judge_ip(host: &str, ip: IpAddr, allowed: &[Entry]) -> Result<(), String> {
    let named = allowed.iter().any(|entry| entry.names(host));
    match kind(ip) {
        Kind::Public => Ok(()),
        Kind::Never(what) => Err(format!("{host} is {what}")),
        Kind::Loopback | Kind::Private if named => Ok(()),
        Kind::Loopback | Kind::Private => Err(format!(
            "{host} is of a private network, and `[webhook] allow` does not name that very machine"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Vec<Entry> {
        let entry = |text: &&str| Entry::try_from((*text).to_owned()).unwrap();
        entries.iter().map(entry).collect()
    }

    #[test]
    fn without_a_list_public_machines_are_reached_by_https_and_nothing_else() {
        assert!(judge("https://hooks.acme.example/a?b=c", &[]).is_ok());
        for refused in [
            "http://hooks.acme.example/",
            "https://hooks.acme.example:8443/",
            "https://user:pw@hooks.acme.example/",
            "ftp://hooks.acme.example/",
            "file:///etc/passwd",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://10.0.0.7/",
            "https://192.168.1.1/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[fd00:ec2::254]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://0.0.0.0/",
            "nonsense",
            "",
        ] {
            assert!(judge(refused, &[]).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_list_is_the_whole_list() {
        let allowed = list(&[
            "hooks.acme.example",
            "*.partners.example",
            "http://10.0.0.7:9000",
        ]);
        for taken in [
            "https://hooks.acme.example/x",
            "https://HOOKS.acme.example/x",
            "https://a.b.partners.example/x",
            "http://10.0.0.7:9000/x",
        ] {
            assert!(judge(taken, &allowed).is_ok(), "{taken}");
        }
        for refused in [
            "https://other.example/",
            "https://partners.example/",
            "https://evilpartners.example/",
            "https://hooks.acme.example.evil.example/",
            "http://hooks.acme.example/",
            "https://10.0.0.7:9000/",
            "http://10.0.0.7:9001/",
            "http://10.0.0.8:9000/",
        ] {
            assert!(judge(refused, &allowed).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_name_that_leads_into_a_private_network_is_refused_unless_it_is_named_itself() {
        let private: IpAddr = "10.1.2.3".parse().unwrap();
        let metadata: IpAddr = "169.254.169.254".parse().unwrap();
        let allowed = list(&["*.acme.example", "in.acme.example"]);
        assert!(judge_ip("in.acme.example", private, &allowed).is_ok());
        assert!(judge_ip("other.acme.example", private, &allowed).is_err());
        assert!(judge_ip("in.acme.example", metadata, &allowed).is_err());
        assert!(judge_ip("any.example", "93.184.216.34".parse().unwrap(), &[]).is_ok());
    }

    #[test]
    fn a_refusal_says_nothing_of_the_path() {
        let why = judge("http://h.example/CANARY?token=CANARY", &[]).unwrap_err();
        assert!(!why.contains("CANARY"), "{why}");
        for wrong in [
            "",
            "*",
            "http://*.a.example",
            "a b",
            "host/path",
            "user@host",
        ] {
            assert!(Entry::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
