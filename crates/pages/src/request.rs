//! A request as pages read it: the parts of its path, its query, its form.
//!
//! Comes in: method, path, query and body as HTTP has them. Goes out: decoded texts. It must never
//! take a form from a page of another origin, and never read more of a form than [`FORM_MOST`].

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request};

use crate::html::unpart;

/// Bytes of a form, at most: a dataset file of the greatest size, with room for its encoding.
pub const FORM_MOST: usize = 2 << 20;

/// By what door somebody came in. A server says so by an extension of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Door {
    /// Nobody said.
    #[default]
    Unsaid,
    /// By sitting at this machine, where nobody is asked for a credential.
    Machine,
    /// By a session of a browser, which can be ended.
    Session,
    /// By a credential with each request.
    Credential,
    /// Without being known, as everybody.
    Nobody,
}

/// What is asked of the pages.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// `GET` (and `HEAD`) reads, `POST` changes.
    pub method: Method,
    /// The path as it was sent.
    pub path: String,
    /// Its parts, decoded.
    pub parts: Vec<String>,
    /// The query's values by name; of several the first.
    pub query: BTreeMap<String, String>,
    /// The form's values by name.
    pub form: BTreeMap<String, String>,
    /// By what door the request came in.
    pub door: Door,
}

/// Why a request is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// The path, the query or the form is not well encoded.
    Malformed,
    /// The form is longer than [`FORM_MOST`].
    TooLong,
    /// The form is of another kind than pages send.
    OtherKind,
    /// A page of another origin sends the form.
    OtherOrigin,
}

impl Asked {
    /// Nothing: of a request that cannot be read, or is not told.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            method: Method::GET,
            path: String::new(),
            parts: Vec::new(),
            query: BTreeMap::new(),
            form: BTreeMap::new(),
            door: Door::Unsaid,
        }
    }

    /// Reads a request.
    ///
    /// # Errors
    /// [`Unread`] says what is wrong with it.
    pub fn read(request: &Request<Bytes>) -> Result<Self, Unread> {
        let uri = request.uri();
        let path = uri.path().to_owned();
        let parts: Option<Vec<String>> = path
            .split('/')
            .filter(|p| !p.is_empty())
            .map(unpart)
            .collect();
        let query = pairs(uri.query().unwrap_or_default())?;
        let form = if request.method() == Method::POST {
            if !is_same_origin(request) {
                return Err(Unread::OtherOrigin);
            }
            form(request)?
        } else {
            BTreeMap::new()
        };
        Ok(Self {
            method: request.method().clone(),
            parts: parts.ok_or(Unread::Malformed)?,
            path,
            query,
            form,
            door: request.extensions().get().copied().unwrap_or_default(),
        })
    }

    /// A value of the query that is not empty.
    #[must_use]
    pub fn q(&self, name: &str) -> Option<&str> {
        self.query
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }

    /// A value of the form, its ends trimmed, that is not empty.
    #[must_use]
    pub fn f(&self, name: &str) -> Option<&str> {
        self.form
            .get(name)
            .map(|v| v.trim())
            .filter(|v| !v.is_empty())
    }
}

/// Whether a form may be taken: browsers say where it comes from; a program that says nothing is
/// no browser that could be made to send it.
fn is_same_origin(request: &Request<Bytes>) -> bool {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .map(|v| v.to_str().unwrap_or("?"))
    };
    if let Some(site) = header("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match header("origin") {
        None => true,
        Some(origin) => {
            let of_origin = origin.split_once("://").map(|(_, host)| host);
            let host = header("host")
                .or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
            of_origin.is_some() && of_origin == host
        }
    }
}

fn form(request: &Request<Bytes>) -> Result<BTreeMap<String, String>, Unread> {
    if request.body().len() > FORM_MOST {
        return Err(Unread::TooLong);
    }
    let kind = request
        .headers()
        .get("content-type")
        .map(|v| v.to_str().unwrap_or_default());
    let kind = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    if !kind
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    {
        return if request.body().is_empty() {
            Ok(BTreeMap::new())
        } else {
            Err(Unread::OtherKind)
        };
    }
    pairs(std::str::from_utf8(request.body()).map_err(|_| Unread::Malformed)?)
}

/// `a=b&c=d`, decoded, with `+` for blanks.
fn pairs(text: &str) -> Result<BTreeMap<String, String>, Unread> {
    let mut found = BTreeMap::new();
    for pair in text.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = |text: &str| unpart(&text.replace('+', " ")).ok_or(Unread::Malformed);
        let value = decoded(value)?;
        found.entry(decoded(name)?).or_insert(value);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(headers: &[(&str, &str)], body: &'static str) -> Result<Asked, Unread> {
        let mut request = Request::post("/runs/a%2Fb/cancel?x=1+2&x=3");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Asked::read(&request.body(Bytes::from_static(body.as_bytes())).unwrap())
    }

    const FORM: (&str, &str) = (
        "content-type",
        "application/x-www-form-urlencoded; charset=utf-8",
    );

    #[test]
    fn parts_query_and_form_are_decoded() {
        let asked = post(&[FORM], "text=a%0Ab%26c+d&empty=").unwrap();
        assert_eq!(asked.parts, ["runs", "a/b", "cancel"]);
        assert_eq!(asked.q("x"), Some("1 2"));
        assert_eq!(asked.f("text"), Some("a\nb&c d"));
        assert_eq!(asked.f("empty"), None);
    }

    #[test]
    fn a_form_of_another_origin_is_refused() {
        for bad in [
            [("sec-fetch-site", "cross-site"), FORM].as_slice(),
            &[("sec-fetch-site", "same-site"), FORM],
            &[
                ("origin", "https://evil.example"),
                ("host", "assay.example"),
                FORM,
            ],
            &[("origin", "null"), ("host", "assay.example"), FORM],
            &[("origin", "https://evil.example"), FORM],
        ] {
            assert_eq!(post(bad, "a=b"), Err(Unread::OtherOrigin), "{bad:?}");
        }
        for good in [
            [("sec-fetch-site", "same-origin"), FORM].as_slice(),
            &[
                ("origin", "http://localhost:8080"),
                ("host", "localhost:8080"),
                FORM,
            ],
            &[FORM],
        ] {
            assert!(post(good, "a=b").is_ok(), "{good:?}");
        }
    }

    #[test]
    fn what_is_no_form_is_refused() {
        assert_eq!(
            post(&[("content-type", "text/plain")], "a=b"),
            Err(Unread::OtherKind)
        );
        assert_eq!(post(&[FORM], "a=%ff"), Err(Unread::Malformed));
        let long = Request::post("/")
            .header(FORM.0, FORM.1)
            .body(Bytes::from(vec![b'a'; FORM_MOST + 1]));
        assert_eq!(Asked::read(&long.unwrap()), Err(Unread::TooLong));
        let bad = Request::get("/datasets/%ff").body(Bytes::new()).unwrap();
        assert_eq!(Asked::read(&bad), Err(Unread::Malformed));
    }
}
