//! What a request asks for, by its method and path alone.
//!
//! Comes in: a method and a path. Goes out: an action, and the dataset that is named. It must never
//! take a change for a read: what it does not know and does not read is a change.

use http::Method;

use crate::rights::Action;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The action.
    pub action: Action,
    /// The dataset in the path.
    pub dataset: Option<&'a str>,
}

/// Whether a method changes nothing, whatever it asks for.
#[must_use]
pub fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// What `method` on `path` asks for.
#[must_use]
pub fn asked<'a>(method: &Method, path: &'a str) -> Asked<'a> {
    let inner = path.strip_prefix("/api/v1").unwrap_or(path);
    let api = inner.len() < path.len();
    let mut parts = inner.trim_start_matches('/').split('/');
    let (noun, verb) = verb(parts.next().unwrap_or_default());
    let second = parts.next().map(|part| self::verb(part).0);
    let dataset = second.filter(|name| noun == "datasets" && !name.is_empty());
    let third = parts.next().map(|part| self::verb(part).0);
    let action = if is_read(method) || (noun, verb) == ("datasets", Some("validate")) {
        reading(noun, api)
    } else {
        changing(noun, third)
    };
    Asked { action, dataset }
}

/// A part of a path and its verb: `a:drain`.
fn verb(part: &str) -> (&str, Option<&str>) {
    match part.split_once(':') {
        Some((name, verb)) => (name, Some(verb)),
        None => (part, None),
    }
}

fn reading(noun: &str, api: bool) -> Action {
    match noun {
        "version" | "schemas" | "openapi.json" | "problems" | "livez" | "readyz" | "assets"
        | "static" | "favicon.ico" => Action::Public,
        // Who one is, and where to say so.
        "session" if !api => Action::Public,
        "nodes" | "cluster" | "status" => Action::ReadCluster,
        "audit" => Action::Operate,
        "metrics" if !api => Action::Operate,
        _ => Action::Read,
    }
}

fn changing(noun: &str, third: Option<&str>) -> Action {
    match (noun, third) {
        ("runs", _) | ("datasets", Some("runs")) => Action::Run,
        // Of the page, and of the API.
        ("incidents", Some("note" | "notes")) => Action::Subscribe,
        ("incidents", _) => Action::Answer,
        ("subscriptions", _) | ("datasets", Some("subscriptions")) => Action::Subscribe,
        ("nodes" | "cluster" | "audit" | "outbox", _) => Action::Operate,
        _ => Action::Change,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_told_by_method_and_path() {
        use Action::{Answer, Change, Operate, Public, Read, ReadCluster, Run, Subscribe};
        for (method, path, action, dataset) in [
            ("GET", "/", Read, None),
            ("GET", "/livez", Public, None),
            ("GET", "/metrics", Operate, None),
            ("GET", "/session", Public, None),
            ("GET", "/api/v1/session", Read, None),
            ("GET", "/problems/rate-limited", Public, None),
            ("GET", "/api/v1/version", Public, None),
            ("GET", "/api/v1/status", ReadCluster, None),
            ("GET", "/api/v1/nodes/n1", ReadCluster, None),
            ("GET", "/api/v1/audit", Operate, None),
            ("GET", "/api/v1/datasets", Read, None),
            ("GET", "/api/v1/datasets/orders", Read, Some("orders")),
            (
                "HEAD",
                "/api/v1/datasets/orders/metrics",
                Read,
                Some("orders"),
            ),
            ("GET", "/datasets/orders/checks/c1", Read, Some("orders")),
            ("GET", "/api/v1/metrics", Read, None),
            ("PUT", "/api/v1/datasets/orders", Change, Some("orders")),
            ("DELETE", "/api/v1/datasets/orders", Change, Some("orders")),
            ("POST", "/api/v1/datasets:validate", Read, None),
            (
                "POST",
                "/api/v1/datasets/orders:validate",
                Change,
                Some("orders"),
            ),
            ("POST", "/api/v1/datasets/orders/runs", Run, Some("orders")),
            (
                "POST",
                "/api/v1/datasets/orders/feedback:preview",
                Change,
                Some("orders"),
            ),
            (
                "POST",
                "/api/v1/datasets/orders/feedback",
                Change,
                Some("orders"),
            ),
            (
                "GET",
                "/api/v1/datasets/orders/feedback",
                Read,
                Some("orders"),
            ),
            (
                "POST",
                "/api/v1/datasets/orders/feedback/fb_1:withdraw",
                Change,
                Some("orders"),
            ),
            (
                "POST",
                "/api/v1/datasets/orders/feedback/fb_1:preview",
                Change,
                Some("orders"),
            ),
            ("POST", "/api/v1/runs/run_1:cancel", Run, None),
            ("PATCH", "/api/v1/incidents/inc_1", Answer, None),
            ("GET", "/api/v1/incidents/inc_1", Read, None),
            ("POST", "/incidents/inc_1/acknowledge", Answer, None),
            ("POST", "/incidents/inc_1/note", Subscribe, None),
            ("POST", "/api/v1/incidents/inc_1/notes", Subscribe, None),
            ("GET", "/api/v1/incidents/inc_1/notes", Read, None),
            ("GET", "/api/v1/subscriptions", Read, None),
            ("POST", "/api/v1/subscriptions", Subscribe, None),
            ("DELETE", "/api/v1/subscriptions/sub_1", Subscribe, None),
            ("POST", "/api/v1/subscriptions/sub_1:test", Subscribe, None),
            ("GET", "/api/v1/subscriptions/sub_1/deliveries", Read, None),
            ("GET", "/api/v1/deliveries", Read, None),
            (
                "POST",
                "/api/v1/subscriptions/sub_1/deliveries/dlv_1:again",
                Subscribe,
                None,
            ),
            ("POST", "/subscriptions/sub_1/test", Subscribe, None),
            ("POST", "/api/v1/nodes/n1:drain", Operate, None),
            ("POST", "/api/v1/cluster:scale", Operate, None),
            ("POST", "/api/v1/whatever", Change, None),
            ("BREW", "/api/v1/datasets", Change, None),
        ] {
            let method: Method = method.parse().unwrap();
            let expected = Asked { action, dataset };
            assert_eq!(asked(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_method_that_is_not_a_read_is_never_taken_for_one_but_to_validate() {
        for noun in ["version", "metrics", "livez", "status", "", "x", "datasets"] {
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                for path in [format!("/{noun}"), format!("/api/v1/{noun}/a/b")] {
                    assert!(!asked(&method, &path).action.reads(), "{method} {path}");
                }
            }
        }
    }
}
