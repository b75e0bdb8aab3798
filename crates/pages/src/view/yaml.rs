//! YAML with its keys, texts and remarks told apart by colour: a line at a time, for reading only.

use askama::filters::Safe;

use crate::html::{Markup, escaped};

/// A line as HTML. What is not understood is shown as it is.
#[must_use]
pub fn line(text: &str) -> Markup {
    let (code, note) = split_note(text);
    let mut out = String::new();
    let body = code.trim_start();
    out.push_str(&escaped(&code[..code.len() - body.len()]));
    let mut rest = body;
    while let Some(after) = rest.strip_prefix("- ") {
        out.push_str("<span class=\"y-mark\">-</span> ");
        rest = after;
    }
    match key_end(rest) {
        Some(at) => {
            out.push_str(&format!(
                "<span class=\"y-key\">{}</span>",
                escaped(&rest[..at])
            ));
            out.push(':');
            out.push_str(&value(&rest[at + 1..]));
        }
        None => out.push_str(&value(rest)),
    }
    if !note.is_empty() {
        out.push_str(&format!("<span class=\"y-note\">{}</span>", escaped(note)));
    }
    Safe(out)
}

/// Where a remark begins: a `#` at the start or after a blank, outside quotes.
fn split_note(text: &str) -> (&str, &str) {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => return text.split_at(at),
            (None, '\'' | '"') if !before.is_alphanumeric() => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    (text, "")
}

/// Where the key of a line ends: at a colon with a blank or nothing after it.
fn key_end(text: &str) -> Option<usize> {
    if text.starts_with(['{', '[', '\'', '"', '|', '>', '&', '*']) {
        return None;
    }
    text.char_indices().find_map(|(at, c)| {
        let ends = c == ':'
            && text[at + 1..]
                .chars()
                .next()
                .is_none_or(char::is_whitespace);
        ends.then_some(at)
    })
}

fn value(text: &str) -> String {
    let bare = text.trim();
    if bare.starts_with(['\'', '"']) {
        format!("<span class=\"y-text\">{}</span>", escaped(text))
    } else {
        escaped(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a browser shows of it.
    fn seen(html: &str) -> String {
        let mut out = String::new();
        let mut inside = false;
        for c in html.chars() {
            match c {
                '<' => inside = true,
                '>' if inside => inside = false,
                c if !inside => out.push(c),
                _ => {}
            }
        }
        out.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&")
    }

    #[test]
    fn a_line_is_shown_whole_whatever_it_holds() {
        for text in [
            "id: orders   # required",
            "  - - metric: rowCount",
            "pattern: '^[^@#\\s]+ # no remark$'",
            "url: http://x.example:80/#a",
            "<script>: alert(1)",
            "{ a: b }",
            "",
            "   ",
            "# all of it",
            "it's: \"x\"",
            "日本: 値",
        ] {
            assert_eq!(seen(&line(text).0), text, "{text}");
        }
        assert!(line("id: x # y").0.contains("y-note"));
        assert!(!line("pattern: 'a # b'").0.contains("y-note"));
    }
}
