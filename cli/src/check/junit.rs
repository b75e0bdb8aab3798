//! A JUnit report: one suite per dataset, one case per check and partition.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use assay_model::outcome::Outcome;

use super::report::Checked;
use crate::show::text;

/// Writes the report to `path`.
pub fn write(path: &Path, all: &[Checked]) -> Result<()> {
    std::fs::write(path, render(all))
        .with_context(|| format!("cannot write the JUnit report {}", path.display()))
}

fn render(all: &[Checked]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for checked in all {
        let c = &checked.counts;
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\">",
            escape(checked.dataset.id.as_str()),
            c.planned + checked.broken.len() as u64,
            c.fail + c.missing,
            c.error + c.overflow + checked.broken.len() as u64,
            c.learning + c.skipped,
            checked.elapsed.as_secs_f64()
        );
        for broken in &checked.broken {
            let _ = writeln!(
                out,
                "    <testcase name=\"run\"><error message=\"{}\"/></testcase>",
                escape(broken)
            );
        }
        for row in &checked.rows {
            let result = &row.result;
            let name = escape(&format!("{} {}", result.check, row.partition.key));
            let detail = escape(&format!(
                "{}: expected {}, found {}. {}",
                result.metric,
                result.expected,
                text::measured(&result.actual, result.error_bound),
                text::told(result)
            ));
            let inner = match result.outcome {
                Outcome::Pass if result.note.is_none() => String::new(),
                Outcome::Pass | Outcome::Warn => format!("<system-out>{detail}</system-out>"),
                Outcome::Fail | Outcome::Missing => format!("<failure message=\"{detail}\"/>"),
                Outcome::Error | Outcome::Overflow => format!("<error message=\"{detail}\"/>"),
                Outcome::Learning | Outcome::Skipped => format!("<skipped message=\"{detail}\"/>"),
            };
            let _ = writeln!(out, "    <testcase name=\"{name}\">{inner}</testcase>");
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if (c as u32) < 0x20 => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_break_out_of_its_attribute() {
        assert_eq!(escape("a\"<b>&\u{1}"), "a&quot;&lt;b&gt;&amp; ");
    }
}
