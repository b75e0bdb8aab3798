//! What a query read beside its partition: another server, in a version.
//!
//! In: the name of the server and the version of what was read there. Out: the words that the note
//! or the reason of a result carries, and the same read back from them. What is read back decides
//! what is judged again: words that are not exactly those written here must never pass for them.

use std::fmt;

use crate::partition::PartitionVersion;

/// How a note begins, and a reason ends, that tells what was read beside the partition.
const BEGINS: &str = "read beside it: ";
/// What stands between a server and the version.
const IN_VERSION: &str = " in version ";

/// One server that was read, and in which version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// The server's name in the document.
    pub server: String,
    /// The version of what was read there; [`PartitionVersion::missing`] when nothing was there.
    pub version: PartitionVersion,
}

impl fmt::Display for Beside {
    /// `"customers" in version 81b3…`: the name as a JSON text, so that none of it passes for more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = serde_json::Value::from(self.server.as_str());
        write!(f, "{server}{IN_VERSION}{}", self.version.as_str())
    }
}

/// The words that tell of all servers that were read, each as a [`Beside`] is spelt; `None` when
/// none was.
#[must_use]
pub fn in_words(all: &[String]) -> Option<String> {
    (!all.is_empty()).then(|| format!("{BEGINS}{}", all.join(", ")))
}

/// What a note tells, which begins with it.
#[must_use]
pub fn of_note(note: &str) -> Vec<Beside> {
    let told = note.strip_prefix(BEGINS).and_then(parsed);
    told.map(|(all, _)| all).unwrap_or_default()
}

/// What the reason of a result tells, which ends with it.
#[must_use]
pub fn of_reason(reason: &str) -> Vec<Beside> {
    let mut from = reason.len();
    while let Some(at) = reason[..from].rfind(BEGINS) {
        if let Some((all, "")) = parsed(&reason[at + BEGINS.len()..]) {
            return all;
        }
        from = at;
    }
    Vec::new()
}

/// The servers at the beginning of a text, and what follows them.
fn parsed(text: &str) -> Option<(Vec<Beside>, &str)> {
    let (mut all, mut rest) = (Vec::new(), text);
    loop {
        let mut names = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        let server = names.next()?.ok()?;
        rest = rest[names.byte_offset()..].strip_prefix(IN_VERSION)?;
        let is_of_version = |c: char| c.is_ascii_alphanumeric() || c == ':';
        let end = rest.find(|c| !is_of_version(c)).unwrap_or(rest.len());
        if end == 0 {
            return None;
        }
        let version = PartitionVersion(rest[..end].to_owned());
        all.push(Beside { server, version });
        rest = &rest[end..];
        match rest.strip_prefix(", \"") {
            Some(_) => rest = &rest[2..],
            None => return Some((all, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(server: &str, version: &str) -> Beside {
        Beside {
            server: server.to_owned(),
            version: PartitionVersion(version.to_owned()),
        }
    }

    #[test]
    fn what_is_told_reads_back_whatever_a_server_is_called() {
        let all = [
            beside("customers", "81b3"),
            beside("a \" in version 7, \"b; read beside it: ", "missing"),
            beside("", "gone:12ab"),
        ];
        let spelt: Vec<String> = all.iter().map(ToString::to_string).collect();
        let words = in_words(&spelt).unwrap();
        assert_eq!(of_note(&words), all);
        assert_eq!(of_note(&format!("{words}; rows such as {{\"a\":1}}")), all);
        assert_eq!(of_reason(&format!("it ended; {words}")), all);
        assert_eq!(in_words(&[]), None);
    }

    #[test]
    fn a_row_that_looks_like_it_is_not_taken_for_it() {
        let row = r#"rows such as {"a":"read beside it: \"x\" in version 1"}"#;
        for text in [
            "",
            row,
            "read beside it: x in version 1",
            "read beside it: ",
        ] {
            assert_eq!(of_note(text), [], "{text}");
            assert_eq!(of_reason(text), [], "{text}");
        }
        assert_eq!(of_reason("read beside it: \"x\" in version 1 and more"), []);
    }
}
