//! A dataset's health as a small picture, to be shown elsewhere.

use assay_answers::dataset::DatasetRow;
use assay_model::outcome::Health;

/// Width of a character, on the average of a common typeface at 11 pixels.
const CHARACTER: usize = 7;
/// Room round a text.
const ROOM: usize = 12;
/// Characters of a name.
const NAME_MAX: usize = 40;

/// A text fit for XML.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Only what passed is green.
const fn color(health: Health) -> &'static str {
    match health {
        Health::Healthy => "#1a7f37",
        Health::Warning => "#9a6700",
        Health::Failing => "#cf222e",
        Health::NotEvaluated => "#8250df",
        Health::Learning => "#57606a",
    }
}

/// The picture.
pub(super) fn svg(row: &DatasetRow) -> String {
    let name: String = row
        .name
        .as_ref()
        .unwrap_or(&row.id)
        .chars()
        .take(NAME_MAX)
        .collect();
    let says = match row.health {
        Health::NotEvaluated => "not evaluated".to_owned(),
        health => format!("{health} {}/{}", row.counts.pass, row.counts.planned),
    };
    let left = name.chars().count() * CHARACTER + ROOM;
    let right = says.chars().count() * CHARACTER + ROOM;
    let (name, says) = (escaped(&name), escaped(&says));
    let (width, middle, second) = (left + right, left / 2, left + right / 2);
    let fill = color(row.health);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"20\" role=\"img\" \
         aria-label=\"{name}: {says}\"><title>{name}: {says}</title>\
         <rect width=\"{left}\" height=\"20\" fill=\"#333\"/>\
         <rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"{fill}\"/>\
         <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"Verdana,sans-serif\" font-size=\"11\">\
         <text x=\"{middle}\" y=\"14\">{name}</text><text x=\"{second}\" y=\"14\">{says}</text></g></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_markup() {
        assert_eq!(
            escaped("<a b='\"'>&\n"),
            "&lt;a b=&#39;&quot;&#39;&gt;&amp;"
        );
        assert_ne!(color(Health::NotEvaluated), color(Health::Healthy));
    }
}
