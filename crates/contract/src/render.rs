//! Diagnostics for people: one line each, or with the lines of the file that they are about.
//!
//! In: diagnostics and the text. Out: text for a terminal or a log. It must never show bytes that
//! a diagnostic redacts.

use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use crate::diagnostic::{Diagnostic, Level};

/// A diagnostic with the text that it is about, for miette's report handlers.
#[derive(Debug)]
pub struct Located {
    diagnostic: Diagnostic,
    source: NamedSource<String>,
}

impl Located {
    /// `diagnostic` about `text`, in which every byte that one of `all` redacts is hidden.
    #[must_use]
    pub fn new(diagnostic: &Diagnostic, text: &str, all: &[Diagnostic]) -> Self {
        let source = NamedSource::new(&diagnostic.file, redacted(text, all));
        Self {
            diagnostic: diagnostic.clone(),
            source,
        }
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = &self.diagnostic;
        write!(f, "{}[{}]: {}", d.code.level(), d.code, d.message)
    }
}

impl std::error::Error for Located {}

impl miette::Diagnostic for Located {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.code.level() {
            Level::Error => miette::Severity::Error,
            Level::Warning => miette::Severity::Warning,
        })
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.diagnostic.span.clone();
        let label = self
            .diagnostic
            .hint
            .clone()
            .unwrap_or_else(|| "here".to_owned());
        Some(Box::new(std::iter::once(LabeledSpan::new(
            Some(label),
            span.start,
            span.len(),
        ))))
    }
}

/// Every diagnostic with the lines around it; `color` for terminals that have it.
#[must_use]
pub fn render_fancy(text: &str, diagnostics: &[Diagnostic], color: bool) -> String {
    let theme = if color {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_context_lines(1)
        .with_links(false)
        .with_width(100);
    let mut out = String::new();
    for diagnostic in diagnostics {
        let located = Located::new(diagnostic, text, diagnostics);
        // Only a span outside the text could fail; the one line says the same without it.
        if handler.render_report(&mut out, &located).is_err() {
            out.push_str(&diagnostic.to_string());
        }
        out.push('\n');
    }
    out
}

/// Every diagnostic on one line: `file:3:7  path: message; remedy`.
#[must_use]
pub fn render_plain(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|d| format!("{d}\n")).collect()
}

/// The text with every redacted byte replaced, line breaks kept.
fn redacted(text: &str, all: &[Diagnostic]) -> String {
    let ranges: Vec<_> = all.iter().filter_map(|d| d.redact.clone()).collect();
    if ranges.is_empty() {
        return text.to_owned();
    }
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        for byte in bytes.iter_mut().take(range.end).skip(range.start) {
            if *byte != b'\n' && *byte != b'\r' {
                *byte = b'*';
            }
        }
    }
    // A redaction covers whole characters, so the rest is still UTF-8.
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}
