//! Secrets, and variables outside their place: a walk over the whole tree.
//!
//! In: the tree. Out: errors for every secret and warnings for every `${NAME}` that nothing
//! expands. It must never quote a secret.

use crate::context::Context;
use crate::diagnostic::Code;
use crate::tree::{Node, Value};
use crate::variables;

/// Keys whose value is a secret.
const SECRET_KEYS: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "secret",
    "secretkey",
    "secretaccesskey",
    "apikey",
    "token",
];

/// Whether a key holds a secret, whatever its case and separators.
pub fn is_secret_key(key: &str) -> bool {
    let plain: String = key
        .chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    SECRET_KEYS.contains(&plain.as_str())
}

/// Reports every secret and every misplaced variable below `root`.
pub fn check(cx: &mut Context<'_>, root: &Node) {
    let mut todo: Vec<(&Node, String, bool)> = vec![(root, String::new(), false)];
    while let Some((node, path, in_servers)) = todo.pop() {
        match &node.value {
            Value::Map(entries) => {
                secret_property(cx, node, &path);
                for entry in entries {
                    let below = if path.is_empty() {
                        entry.key.clone()
                    } else {
                        format!("{path}.{}", entry.key)
                    };
                    if is_secret_key(&entry.key) && !matches!(entry.value.value, Value::Map(_)) {
                        cx.report(
                            Code::Secret,
                            entry.key_span,
                            &below,
                            format!("`{}` does not belong in a dataset file", entry.key),
                        )
                        .hint("name it instead: a server's custom property `credentialRef`, value `env:NAME` or `file:path`")
                        .redact(entry.value.span);
                        continue;
                    }
                    let servers = in_servers || (path.is_empty() && entry.key == "servers");
                    todo.push((&entry.value, below, servers));
                }
            }
            Value::List(items) => {
                for (no, item) in items.iter().enumerate() {
                    todo.push((item, format!("{path}[{no}]"), in_servers));
                }
            }
            Value::Scalar { text, .. } if in_servers => {
                if has_user_and_password(text) {
                    cx.report(
                        Code::Secret,
                        node.span,
                        &path,
                        "an address with a password in it",
                    )
                    .hint("leave user and password out, and name them by `credentialRef`")
                    .redact(node.span);
                }
            }
            Value::Scalar { text, .. } => {
                if let Some(name) = variables::first_name(text) {
                    cx.report(
                        Code::NotExpanded,
                        node.span,
                        &path,
                        format!("`${{{name}}}` is kept as it is written"),
                    )
                    .hint("variables are expanded in `servers` only");
                }
            }
        }
    }
}

/// `property: password` with a `value` is a secret too, if it is not a reference.
fn secret_property(cx: &mut Context<'_>, node: &Node, path: &str) {
    let Some(Node {
        value: Value::Scalar { text, .. },
        span,
    }) = node.get("property")
    else {
        return;
    };
    if is_secret_key(text)
        && let Some(value) = node.get("value")
        && !value.is_null()
    {
        let span = *span;
        cx.report(
            Code::Secret,
            span,
            path,
            format!("`{text}` does not belong in a dataset file"),
        )
        .hint("name it instead: property `credentialRef`, value `env:NAME` or `file:path`")
        .redact(value.span);
    }
}

/// `scheme://user:password@host`.
fn has_user_and_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(user, _)| {
        user.split_once(':')
            .is_some_and(|(_, password)| !password.is_empty() && !password.starts_with("${"))
    })
}
