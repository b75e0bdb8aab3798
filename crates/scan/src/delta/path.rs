//! Paths of a Delta log, brought below the table's root.
//!
//! In: a path as the log spells it (a URI: escaped, relative or absolute) and the table's root.
//! Out: the plain path relative to the root, or why it is none. It must never lead out of the root:
//! a log is data, and whoever writes it does not decide what a scan may read. Pure.

/// The plain path, relative to `root`, that the log spells `raw`.
///
/// # Errors
/// Why it is no path below the root.
pub(super) fn resolve(raw: &str, root: &str) -> Result<String, String> {
    let decoded = decode(raw)?;
    let relative = match absolute(&decoded) {
        Some(whole) => below(&whole, root)
            .ok_or_else(|| format!("it lies outside the table's own folder {root}"))?,
        None => decoded,
    };
    plain(&relative)?;
    Ok(relative)
}

/// Undoes the escapes of a URI.
///
/// # Errors
/// An escape that is none, or bytes that are not UTF-8.
fn decode(raw: &str) -> Result<String, String> {
    let bytes = raw.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte != b'%' {
            out.push(*byte);
            at += 1;
            continue;
        }
        let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
        let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) else {
            return Err("a `%` in it begins no escape".to_owned());
        };
        out.push((high * 16 + low) as u8);
        at += 3;
    }
    String::from_utf8(out).map_err(|_| "its escapes are not UTF-8".to_owned())
}

/// An absolute path in one spelling; `None` for a relative one.
fn absolute(path: &str) -> Option<String> {
    if path.starts_with('/') {
        return Some(path.to_owned());
    }
    let (scheme, rest) = path.split_once(":/")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-'));
    if !is_scheme {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    Some(match scheme.as_str() {
        // `file:/a` and `file:///a` are the same file.
        "file" => format!("/{}", rest.trim_start_matches('/')),
        "s3a" | "s3n" => format!("s3:/{rest}"),
        other => format!("{other}:/{rest}"),
    })
}

/// What follows the root in an absolute path.
fn below(path: &str, root: &str) -> Option<String> {
    let rest = path.strip_prefix(root.trim_end_matches('/'))?;
    rest.strip_prefix('/').map(str::to_owned)
}

/// Whether every part of a path is the name of a folder or file.
fn plain(path: &str) -> Result<(), String> {
    let odd = |part: &str| matches!(part, "" | "." | "..") || part.contains(char::is_control);
    match path.split('/').find(|part| odd(part)) {
        Some(part) => Err(format!("its part {part:?} is no name")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_unescaped_once_and_stays_below_the_root() {
        let of = |raw: &str| resolve(raw, "/data/table");
        assert_eq!(of("a%20b/c.parquet").unwrap(), "a b/c.parquet");
        // Spark escapes the name of the folder, and the log escapes that once more.
        assert_eq!(of("t=10%253A00/c").unwrap(), "t=10%3A00/c");
        assert_eq!(of("%C3%A4").unwrap(), "ä");
        for inside in [
            "/data/table/x/y",
            "file:/data/table/x/y",
            "file:///data/table/x/y",
        ] {
            assert_eq!(of(inside).unwrap(), "x/y");
        }
        let s3 = |raw: &str| resolve(raw, "s3://bucket/table/");
        assert_eq!(s3("s3a://bucket/table/x").unwrap(), "x");
        assert_eq!(s3("s3://bucket/table/x%2Fy").unwrap(), "x/y");
        assert!(s3("s3://bucket/tables/x").is_err());
        assert!(s3("gs://bucket/table/x").is_err());
        for outside in [
            "/etc/passwd",
            "../x",
            "a/../../x",
            "%2E%2E/x",
            "/data/table/../x",
            "/data/table2/x",
            "file:///etc/passwd",
            "a//b",
            "",
            "a%00b",
            "100%",
            "%zz",
            "%ff",
            "/data/table",
        ] {
            assert!(of(outside).is_err(), "{outside}");
        }
    }
}
