//! Embedded mode: the door is open to whoever sits at this machine, by no detour.
//!
//! Comes in: the other end of a connection and a request's head. Goes out: why it is refused, if it
//! is. It must never let in a page of the web that a browser on this machine shows: not by a name
//! that was made to mean 127.0.0.1 (DNS rebinding), and not by a form or a script of another site.

use std::net::IpAddr;

use http::{HeaderMap, Method, header};

/// What is said at start, once.
pub const OPEN: &str =
    "open to everybody on this machine, without a credential, and to nobody else";

/// Why a request is not let in, in words for people; `None` when it is.
#[must_use]
pub fn refusal(peer: IpAddr, method: &Method, headers: &HeaderMap) -> Option<String> {
    if !peer.to_canonical().is_loopback() {
        return Some(format!(
            "this gateway answers its own machine only, and you come from {peer}; run one with \
             [identity] mode = \"credentials\" for others"
        ));
    }
    let Some(host) = text(headers, header::HOST) else {
        return Some("the request has no Host header, or several, or a strange one".to_owned());
    };
    if !is_loopback(host) {
        return Some(format!(
            "the Host `{host}` is not this machine: open it as http://127.0.0.1 or \
             http://localhost"
        ));
    }
    if headers.contains_key(header::ORIGIN) {
        let origin = text(headers, header::ORIGIN).unwrap_or("?");
        let same = ["http://", "https://"]
            .iter()
            .any(|scheme| origin.strip_prefix(scheme) == Some(host));
        if !same {
            return Some(format!(
                "the page `{origin}` is not one of this program, and may not ask it for anything"
            ));
        }
    }
    let site = headers
        .get("sec-fetch-site")
        .map(|v| v.to_str().unwrap_or("?"));
    let mode = headers
        .get("sec-fetch-mode")
        .map(|v| v.to_str().unwrap_or("?"));
    let safe = matches!(*method, Method::GET | Method::HEAD);
    match site {
        None | Some("same-origin" | "none") => None,
        // A link on another page may lead here.
        Some(_) if safe && mode == Some("navigate") => None,
        Some(site) => Some(format!(
            "your browser says that a page of another site asked for this ({site})"
        )),
    }
}

/// The one value of a header, as text.
fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

/// Whether a `Host` means this machine, by whatever port.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    if let Some(v6) = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        return v6
            .parse::<std::net::Ipv6Addr>()
            .is_ok_and(|a| a.is_loopback());
    }
    let named = name.eq_ignore_ascii_case("localhost");
    named
        || name
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, http::HeaderValue::from_static(value));
        }
        headers
    }

    fn refused(method: &Method, pairs: &[(&'static str, &'static str)]) -> bool {
        refusal("127.0.0.1".parse().unwrap(), method, &head(pairs)).is_some()
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:8080");

    #[test]
    fn another_machine_is_refused_whatever_it_says() {
        for peer in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"] {
            let told = refusal(peer.parse().unwrap(), &Method::GET, &head(&[HOST])).unwrap();
            assert!(told.contains("mode = \"credentials\""), "{told}");
        }
        for peer in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(
                refusal(peer.parse().unwrap(), &Method::GET, &head(&[HOST])),
                None
            );
        }
    }

    #[test]
    fn a_name_that_was_made_to_mean_this_machine_is_refused() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1",
            "127.0.0.1:1",
            "[::1]:8080",
        ] {
            assert!(!refused(&Method::GET, &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.1",
            "[::2]",
            "",
            "localhost@evil",
            "0.0.0.0",
            "127.0.0.1:80:80",
        ] {
            assert!(refused(&Method::GET, &[("host", host)]), "{host}");
        }
        assert!(refused(&Method::GET, &[]));
        assert!(refused(&Method::GET, &[HOST, ("host", "evil.example")]));
    }

    #[test]
    fn pages_of_other_sites_are_refused_and_links_on_them_lead_here() {
        let from = |origin| [HOST, ("origin", origin)];
        assert!(!refused(&Method::POST, &from("http://127.0.0.1:8080")));
        for origin in [
            "https://evil.example",
            "null",
            "http://127.0.0.1:9000",
            "http://localhost:8080",
            "http://127.0.0.1:8080.evil.example",
            "",
        ] {
            assert!(refused(&Method::POST, &from(origin)), "{origin}");
            assert!(refused(&Method::GET, &from(origin)), "{origin}");
        }
        for (method, site, mode, expected) in [
            (Method::GET, "same-origin", "cors", false),
            (Method::POST, "same-origin", "cors", false),
            (Method::GET, "none", "navigate", false),
            (Method::GET, "cross-site", "navigate", false),
            (Method::GET, "cross-site", "no-cors", true),
            (Method::POST, "cross-site", "navigate", true),
            (Method::POST, "same-site", "cors", true),
            (Method::DELETE, "cross-site", "cors", true),
        ] {
            let pairs = [HOST, ("sec-fetch-site", site), ("sec-fetch-mode", mode)];
            assert_eq!(refused(&method, &pairs), expected, "{method} {site} {mode}");
        }
    }
}
