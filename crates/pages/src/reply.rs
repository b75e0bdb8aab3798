//! Answers of pages: HTML, a redirect after a change, a file of the program.
//!
//! Every answer forbids what pages do not need: script and style of elsewhere or within the page,
//! frames, plug-ins, forms that lead away, guessing of types, telling where one came from.

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// An answer of pages.
pub type Reply = Response<Bytes>;

fn reply(status: StatusCode, kind: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With `no-referrer` browsers send a form with the origin `null`, which a guard must refuse.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            header::HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            header::HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}

/// A page. It is private to who asked, and never kept.
#[must_use]
pub fn html(status: StatusCode, body: String) -> Reply {
    let mut reply = reply(status, "text/html; charset=utf-8", Bytes::from(body));
    reply
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// Points as CSV, saved under the name of their dataset.
#[must_use]
pub fn csv(body: String, dataset: &str) -> Reply {
    let mut reply = reply(StatusCode::OK, "text/csv; charset=utf-8", Bytes::from(body));
    reply
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The ids of datasets are plain; of anything else nothing is taken into a header.
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let name: String = dataset.chars().filter(plain).take(100).collect();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}.csv\"")) {
        reply
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, value);
    }
    reply
}

/// To another page, after a change.
#[must_use]
pub fn see_other(to: &str) -> Reply {
    let mut reply = reply(
        StatusCode::SEE_OTHER,
        "text/plain; charset=utf-8",
        Bytes::new(),
    );
    reply
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Paths are made of encoded parts, so that this holds; the overview is where it would not.
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    reply.headers_mut().insert(header::LOCATION, to);
    reply
}

/// A file of the program, by its name.
struct Asset {
    name: &'static str,
    kind: &'static str,
    body: &'static str,
}

/// The style sheet of the pages.
pub(crate) const STYLES: &str = include_str!("../assets/app.css");

const ASSETS: [Asset; 3] = [
    Asset {
        name: "app.css",
        kind: "text/css; charset=utf-8",
        body: STYLES,
    },
    Asset {
        name: "app.js",
        kind: "text/javascript; charset=utf-8",
        body: include_str!("../assets/app.js"),
    },
    Asset {
        name: "assay.svg",
        kind: "image/svg+xml",
        body: include_str!("../assets/assay.svg"),
    },
];

/// What tells the files of one build from those of another: a part of their paths, so that they may
/// be kept for ever.
#[must_use]
pub fn build() -> String {
    // FNV-1a: the same in every process of a build, unlike the hashes of maps.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in ASSETS.iter().flat_map(|asset| asset.body.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

/// The file of a name, if there is one.
#[must_use]
pub fn asset(build_asked: &str, name: &str) -> Option<Reply> {
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    let mut reply = reply(
        StatusCode::OK,
        asset.kind,
        Bytes::from_static(asset.body.as_bytes()),
    );
    let keep = if build_asked == build() {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    reply
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_elsewhere_and_nothing_within_the_page_runs() {
        let page = html(StatusCode::OK, String::new());
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(policy.starts_with("default-src 'none'"));
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"));
        assert_eq!(page.headers()[header::CACHE_CONTROL], "no-store");
    }

    #[test]
    fn files_are_kept_for_ever_under_the_name_of_their_build_only() {
        let kept =
            |build: &str| asset(build, "app.css").unwrap().headers()[header::CACHE_CONTROL].clone();
        assert!(kept(&build()).to_str().unwrap().contains("immutable"));
        assert_eq!(kept("0"), "no-cache");
        assert!(asset(&build(), "../app.css").is_none());
    }

    #[test]
    fn a_redirect_never_leaves_by_a_broken_header() {
        assert_eq!(see_other("/runs/1").headers()[header::LOCATION], "/runs/1");
        assert_eq!(see_other("/a\r\nb: c").headers()[header::LOCATION], "/");
    }
}
