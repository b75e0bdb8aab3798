//! `${NAME}` and `${NAME:-default}` in the texts of `servers`.
//!
//! In: a text and an environment. Out: the text with its variables replaced, or the name of one
//! that is not set. A value that was put in is never searched for further variables.

use crate::context::Environment;

/// A variable without a value, or a `${` without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unexpanded {
    /// Not set, and without a default.
    Unset(String),
    /// `${` that is not a variable.
    Malformed(String),
}

/// Replaces every variable of `text`.
pub fn expand(text: &str, environment: Environment<'_>) -> Result<String, Unexpanded> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let body = &rest[at + 2..];
        let Some(end) = body.find('}') else {
            return Err(Unexpanded::Malformed(rest[at..].to_owned()));
        };
        let (name, default) = match body[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&body[..end], None),
        };
        if !is_name(name) {
            return Err(Unexpanded::Malformed(rest[at..at + end + 3].to_owned()));
        }
        // As in a shell, an empty variable takes the default of `:-`.
        let set = environment(name).filter(|v| default.is_none() || !v.is_empty());
        match set.or_else(|| default.map(str::to_owned)) {
            Some(value) => out.push_str(&value),
            None => return Err(Unexpanded::Unset(name.to_owned())),
        }
        rest = &body[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The name of the first variable in `text`, if it has one.
pub fn first_name(text: &str) -> Option<&str> {
    let (_, body) = text.split_once("${")?;
    let (inside, _) = body.split_once('}')?;
    let name = inside.split_once(":-").map_or(inside, |(name, _)| name);
    is_name(name).then_some(name)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_replaced_once_and_a_default_only_when_it_is_unset() {
        let env = |name: &str| match name {
            "A" => Some("${B}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        assert_eq!(expand("x/${A}/y", &env), Ok("x/${B}/y".to_owned()));
        assert_eq!(
            expand("${NO:-d}${EMPTY:-e}${EMPTY}", &env),
            Ok("de".to_owned())
        );
        assert_eq!(
            expand("${NO}", &env),
            Err(Unexpanded::Unset("NO".to_owned()))
        );
        assert_eq!(
            expand("${NO", &env),
            Err(Unexpanded::Malformed("${NO".to_owned()))
        );
        assert_eq!(first_name("^a${1}"), None);
    }
}
