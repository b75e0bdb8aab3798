//! What every decoder shares: the text, its lines, the environment and the list of diagnostics.
//!
//! In: reports with byte spans. Out: diagnostics with lines and columns, in the order of the
//! text, each once. It must never stop a decoder: everything wrong in a file is told at once.

use crate::diagnostic::{Code, Diagnostic};
use crate::tree::Span;

/// Looks a variable of the environment up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Most diagnostics that are kept of one file.
const KEPT_MAX: usize = 500;

/// The state of decoding one file.
pub struct Context<'a> {
    name: &'a str,
    text: &'a str,
    /// The first byte of each line.
    lines: Vec<usize>,
    found: Vec<Diagnostic>,
    /// Variables for `servers`.
    pub environment: Environment<'a>,
}

/// The report just made, to add a remedy to.
pub struct Report<'c>(&'c mut Diagnostic);

impl Report<'_> {
    /// Adds what to do about it.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds a remedy if there is one.
    pub fn maybe(self, hint: Option<String>) -> Self {
        self.0.hint = hint;
        self
    }

    /// Hides these bytes from every snippet.
    pub fn redact(self, span: Span) -> Self {
        self.0.redact = Some(span.start..span.end);
        self
    }
}

impl<'a> Context<'a> {
    /// A context for the file `name`.
    pub fn new(name: &'a str, text: &'a str, environment: Environment<'a>) -> Self {
        let mut lines = vec![0];
        let bytes = text.as_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            let ends = *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
            if ends {
                lines.push(at + 1);
            }
        }
        Self {
            name,
            text,
            lines,
            found: Vec::new(),
            environment,
        }
    }

    /// Line and column of a byte, both from 1, the column in characters.
    pub fn locate(&self, byte: usize) -> (u32, u32) {
        let byte = self.floor(byte);
        let line = self.lines.partition_point(|start| *start <= byte).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let head = self.text.get(start..byte).unwrap_or_default();
        // A byte order mark takes no column.
        let column = head.chars().filter(|c| *c != '\u{feff}').count() + 1;
        (
            u32::try_from(line).unwrap_or(u32::MAX),
            u32::try_from(column).unwrap_or(u32::MAX),
        )
    }

    /// The line of a byte, from 1.
    pub fn line(&self, byte: usize) -> u32 {
        self.locate(byte).0
    }

    /// Reports `code` at `span`.
    pub fn report(
        &mut self,
        code: Code,
        span: Span,
        path: &str,
        message: impl Into<String>,
    ) -> Report<'_> {
        let start = self.floor(span.start);
        let line_end = self.text[start..]
            .find(['\n', '\r'])
            .map_or(self.text.len(), |n| start + n);
        let end = self.floor(span.end.clamp(start, line_end));
        let (line, column) = self.locate(start);
        let text = self.text.get(start..end).unwrap_or_default().trim_end();
        self.push(Diagnostic {
            code,
            file: self.name.to_owned(),
            line,
            column,
            span: start..start + text.len(),
            text: text.chars().take(120).collect(),
            path: path.to_owned(),
            message: message.into(),
            hint: None,
            redact: None,
        })
    }

    /// Reports an error of the whole file.
    pub fn error_at_start(&mut self, code: Code, message: String, hint: &str) {
        self.report(code, Span::default(), "", message).hint(hint);
    }

    fn push(&mut self, diagnostic: Diagnostic) -> Report<'_> {
        if self.found.len() >= KEPT_MAX {
            self.tidy();
            self.found.truncate(KEPT_MAX - 1);
        }
        self.found.push(diagnostic);
        let last = self.found.len() - 1;
        Report(&mut self.found[last])
    }

    /// Whether any error was found.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(Diagnostic::is_error)
    }

    /// How many diagnostics were found so far.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    fn tidy(&mut self) {
        self.found.sort_by(|a, b| {
            (a.span.start, a.code, &a.message).cmp(&(b.span.start, b.code, &b.message))
        });
        self.found
            .dedup_by(|a, b| a.code == b.code && a.span == b.span && a.message == b.message);
    }

    /// The diagnostics, in the order of the text.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.tidy();
        self.found
    }

    /// The start of the character at or before `byte`.
    fn floor(&self, byte: usize) -> usize {
        let mut at = byte.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}
