//! Names in a listing, kept as they are.
//!
//! In: a page of a listing in XML. Out: the same, with each name of an object spelt in hexadecimal
//! digits. A library that reads the page would otherwise take spaces off a name's ends or a slash
//! off its beginning, so that one object stood for another, and would give up the whole page for a
//! name with an empty part.

/// The element that holds an object's name in the answer to this query, if that lists.
pub(crate) fn lists(query: &str) -> Option<&'static str> {
    let has = |wanted: &str| query.split('&').any(|pair| pair == wanted);
    if has("list-type=2") {
        return Some("Key");
    }
    (has("comp=list") && has("restype=container")).then_some("Name")
}

/// Spells every name of the page.
///
/// # Errors
/// When the page is not as the services write theirs.
pub(crate) fn spell(page: &[u8], element: &str) -> Result<Vec<u8>, String> {
    let page = std::str::from_utf8(page).map_err(|_| "a listing that is not UTF-8".to_owned())?;
    let (open, close) = (format!("<{element}"), format!("</{element}>"));
    let mut out = String::with_capacity(page.len() * 2);
    let mut rest = page;
    while let Some(at) = rest.find(&open) {
        let after = at + open.len();
        let Some(end) = rest[after..].find('>').map(|end| after + end) else {
            return Err("a listing that breaks off".to_owned());
        };
        let attributes = &rest[after..end];
        let is_it = attributes.is_empty() || attributes.starts_with([' ', '\t', '\n']);
        if !is_it || attributes.ends_with('/') {
            out.push_str(&rest[..=end]);
            rest = &rest[end + 1..];
            continue;
        }
        let name = &rest[end + 1..];
        let stop = name
            .find(&close)
            .ok_or_else(|| "a listing that breaks off".to_owned())?;
        let mut plain = unescape(&name[..stop])?;
        if attributes.contains("Encoded=\"true\"") {
            plain = unquote(&plain)?;
        }
        out.push_str(&rest[..at]);
        out.push_str(&open);
        out.push('>');
        out.push_str(&encode(&plain));
        out.push_str(&close);
        rest = &name[stop + close.len()..];
    }
    out.push_str(rest);
    Ok(out.into_bytes())
}

fn encode(name: &str) -> String {
    use std::fmt::Write;
    // An empty name would be no path.
    let mut out = String::with_capacity(name.len() * 2 + 1);
    out.push('x');
    for byte in name.bytes() {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// The name that was spelt.
pub(crate) fn decode(spelt: &str) -> Option<String> {
    let digits = spelt.strip_prefix('x')?.as_bytes();
    let hex = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    let bytes = pairs.iter().map(|[a, b]| Some(hex(*a)? << 4 | hex(*b)?));
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

/// The text of the first element of this name.
pub(crate) fn element(text: &str, name: &str) -> Option<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let start = text.find(&open)? + open.len();
    let stop = text[start..].find(&close)?;
    unescape(text[start..start + stop].trim()).ok()
}

/// The text behind the five names and the numbers of XML.
fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let end = rest[at..]
            .find(';')
            .ok_or_else(|| "a listing with a broken name".to_owned())?;
        let word = &rest[at + 1..at + end];
        let number = |digits: &str, radix| {
            u32::from_str_radix(digits, radix)
                .ok()
                .and_then(char::from_u32)
        };
        let c = match word {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => match (word.strip_prefix("#x"), word.strip_prefix('#')) {
                (Some(hex), _) => number(hex, 16),
                (_, Some(decimal)) => number(decimal, 10),
                _ => None,
            },
        };
        out.push(c.ok_or_else(|| format!("a listing with `&{word};` in a name"))?);
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The text behind percent signs.
fn unquote(text: &str) -> Result<String, String> {
    let broken = || "a listing with a broken name".to_owned();
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
        let (high, low) = (digit().ok_or_else(broken)?, digit().ok_or_else(broken)?);
        out.push(u8::try_from(high * 16 + low).map_err(|_| broken())?);
    }
    String::from_utf8(out).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_page_comes_through_as_it_is() {
        let names = [
            "a", " a ", "/a", "a//b", "..", "a/../b", "a#b%2e?", "ü\u{1}", "<&>", "a/",
        ];
        let escaped = |name: &str| {
            name.replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('\u{1}', "&#x1;")
        };
        let items: String = names
            .iter()
            .map(|n| {
                format!(
                    "<Contents><Key>{}</Key><Size>1</Size></Contents>",
                    escaped(n)
                )
            })
            .collect();
        let page = format!("<R><KeyCount>9</KeyCount><Prefix>a &amp; b</Prefix>{items}</R>");
        let spelt = String::from_utf8(spell(page.as_bytes(), "Key").unwrap()).unwrap();
        assert!(spelt.starts_with("<R><KeyCount>9</KeyCount><Prefix>a &amp; b</Prefix>"));
        let found: Vec<String> = spelt
            .split("<Key>")
            .skip(1)
            .map(|s| decode(s.split('<').next().unwrap()).unwrap())
            .collect();
        assert_eq!(found, names);
        assert!(spell(b"<R><Key>a</R>", "Key").is_err());
        assert!(spell(b"<R><Key>&bad;</Key></R>", "Key").is_err());
    }

    #[test]
    fn an_error_is_read_by_its_elements() {
        let text = "<Error><Code>NoSuchBucket</Code><Message>a &amp; b</Message></Error>";
        assert_eq!(element(text, "Code").unwrap(), "NoSuchBucket");
        assert_eq!(element(text, "Message").unwrap(), "a & b");
        assert_eq!(element(text, "Region"), None);
    }
}
