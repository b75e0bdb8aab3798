//! People with a browser: a credential in a cookie, for pages that cannot send a header.
//!
//! Comes in: a token by a form (`POST /session`), and afterwards the cookie. Goes out: the credential
//! of a request. It must never let a page of another site use the cookie for a change, show the
//! token to a script, keep a browser locked out by a cookie that has ended, or send it to another
//! site.

use http::header::{ACCEPT, COOKIE, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Method};

/// Where a browser logs in, by a form with the field `token`.
pub const PATH: &str = "/session";
/// Where it logs out.
pub const END: &str = "/session/end";
/// The name; its beginning has browsers refuse it over an open connection, and from other hosts.
const NAME: &str = "__Host-assay";

/// The credential in the cookie of a request.
#[must_use]
pub fn credential(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter();
    let mut pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let found = pairs.find(|(name, _)| *name == NAME)?;
    Some(found.1).filter(|value| !value.is_empty())
}

/// Whether a request with a cookie may be believed to be a page's of this gateway: one that only
/// reads may, another must say that it is.
#[must_use]
pub fn is_own(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD) {
        return true;
    }
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    match (text(ORIGIN), text(HOST)) {
        (Some(origin), Some(host)) => ["https://", "http://"]
            .iter()
            .any(|scheme| origin.strip_prefix(scheme) == Some(host)),
        // Browsers that send no Origin with a form of the same site say so otherwise.
        (None, _) => headers
            .get("sec-fetch-site")
            .is_some_and(|site| site == "same-origin"),
        (Some(_), None) => false,
    }
}

/// Where a browser goes once it is logged in: the path of this gateway that the query of the form's
/// address names as `to`, else the first page.
#[must_use]
pub fn destination(query: Option<&str>) -> String {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let named = pairs.find(|(name, _)| name == "to");
    // Two slashes, however they are written, begin the name of another host.
    let inside = |path: &str| {
        let mut bytes = path.bytes();
        bytes.next() == Some(b'/')
            && bytes.next() != Some(b'/')
            && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
    };
    match named {
        Some((_, path)) if inside(&path) => path.into_owned(),
        _ => "/".to_owned(),
    }
}

/// Whether a browser asks for a page, and not a program for an answer.
#[must_use]
pub fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("text/html"))
}

/// The header that has a browser keep a credential for this session. Only what is in a token of ours
/// or in a JWT is kept. A link on another site may lead here with it; for changes it takes a page of
/// this gateway.
#[must_use]
pub fn keep(credential: &str) -> Option<HeaderValue> {
    let plain = credential
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    let text = format!("{NAME}={credential}; Path=/; Secure; HttpOnly; SameSite=Lax");
    plain.then(|| HeaderValue::from_str(&text).ok()).flatten()
}

/// The header that has a browser forget it.
#[must_use]
pub fn forget() -> HeaderValue {
    HeaderValue::from_static("__Host-assay=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

/// The field `token` of a form. Tokens have no character that forms spell otherwise.
#[must_use]
pub fn field(form: &[u8]) -> Option<&str> {
    let form = std::str::from_utf8(form).ok()?;
    let mut pairs = form
        .trim()
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(name, _)| *name == "token")
        .map(|(_, token)| token.trim_matches('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_credential_is_read_from_among_other_cookies() {
        for (cookies, found) in [
            ("__Host-assay=a.b-c_d", Some("a.b-c_d")),
            ("x=1; __Host-assay=a; y=2", Some("a")),
            ("__Host-assay=", None),
            ("X__Host-assay=a; assay=b", None),
            ("", None),
        ] {
            assert_eq!(
                credential(&head(&[("cookie", cookies)])),
                found,
                "{cookies}"
            );
        }
        assert_eq!(credential(&head(&[])), None);
    }

    #[test]
    fn only_pages_of_this_gateway_change_anything() {
        let host = ("host", "assay.example");
        assert!(is_own(
            &Method::GET,
            &head(&[host, ("origin", "https://evil.example")])
        ));
        for (pairs, own) in [
            (vec![host, ("origin", "https://assay.example")], true),
            (vec![host, ("sec-fetch-site", "same-origin")], true),
            (vec![host], false),
            (vec![host, ("origin", "null")], false),
            (vec![host, ("origin", "https://evil.example")], false),
            (
                vec![host, ("origin", "https://assay.example.evil.example")],
                false,
            ),
            (
                vec![
                    host,
                    ("origin", "https://evil.example"),
                    ("sec-fetch-site", "same-origin"),
                ],
                false,
            ),
            (vec![host, ("sec-fetch-site", "same-site")], false),
            (vec![("origin", "https://assay.example")], false),
        ] {
            assert_eq!(is_own(&Method::POST, &head(&pairs)), own, "{pairs:?}");
        }
    }

    #[test]
    fn what_is_kept_is_for_this_host_and_no_script() {
        let kept = keep("assay_0a_1b").unwrap();
        let kept = kept.to_str().unwrap();
        for part in [
            "__Host-assay=assay_0a_1b;",
            "Secure",
            "HttpOnly",
            "SameSite=Lax",
            "Path=/",
        ] {
            assert!(kept.contains(part), "{kept}");
        }
        for wrong in ["a b", "a;b", "a,b", "a\r\nb", "é", "a=b"] {
            assert_eq!(keep(wrong), None, "{wrong}");
        }
        assert_eq!(field(b"x=1&token=abc"), Some("abc"));
        assert_eq!(field(b"tokens=abc"), None);
        assert_eq!(field(b"\xff"), None);
    }

    #[test]
    fn a_form_leads_to_paths_of_this_gateway_alone() {
        for (query, to) in [
            (None, "/"),
            (Some("x=1"), "/"),
            (
                Some("to=%2Fincidents%2Finc_1%3Fa%3Db"),
                "/incidents/inc_1?a=b",
            ),
            (Some("to="), "/"),
            (Some("to=https%3A%2F%2Fevil.example"), "/"),
            (Some("to=%2F%2Fevil.example"), "/"),
            (Some("to=%2F%5Cevil.example"), "/"),
            (Some("to=%2F%09%2Fevil.example"), "/"),
            (Some("to=%2Fa%0D%0Ab%3A%20c"), "/"),
            (Some("to=evil"), "/"),
            (Some("to=%2F%C3%A9"), "/"),
        ] {
            assert_eq!(destination(query), to, "{query:?}");
        }
    }
}
