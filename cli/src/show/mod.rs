//! How results reach people and programs.
//!
//! Comes in: items. Goes out: text, or one JSON envelope, on standard output; everything else
//! (progress, logs) goes to standard error. It must never decide an exit code.

pub mod columns;
pub mod spark;
pub mod table;
pub mod text;

use std::io::{IsTerminal, Write};

use anyhow::Result;
use serde::Serialize;

use crate::args::{Color, Global, Output, TimeFormat};
use crate::exit::Exit;

/// Where and how to write.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// The form of results.
    pub output: Output,
    /// Whether text is coloured.
    pub color: bool,
    /// Whether standard error is a terminal that can show progress.
    pub live: bool,
    /// How times are written.
    pub times: TimeFormat,
    /// Say nothing but errors on standard error.
    pub quiet: bool,
}

impl Screen {
    /// What the flags and the terminal allow.
    pub fn new(global: &Global) -> Self {
        let plain = global.output != Output::Text || std::env::var_os("NO_COLOR").is_some();
        Self {
            output: global.output,
            color: match global.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => !plain && std::io::stdout().is_terminal(),
            },
            live: !global.quiet && std::io::stderr().is_terminal(),
            times: global.time_format,
            quiet: global.quiet,
        }
    }

    /// Whether results are for people.
    pub const fn is_text(&self) -> bool {
        matches!(self.output, Output::Text)
    }

    /// Writes text for people; nothing in the other forms.
    pub fn text(&self, text: &str) -> Result<()> {
        if self.is_text() {
            write_out(&text::safe(text, self.color))?;
        }
        Ok(())
    }

    /// Writes a document that somebody wrote; into a file or a pipe as it is.
    pub fn document(&self, text: &str) -> Result<()> {
        if std::io::stdout().is_terminal() {
            return self.text(text);
        }
        if self.is_text() {
            write_out(text)
        } else {
            Ok(())
        }
    }

    /// Writes the items in the JSON forms; nothing in the text form.
    pub fn items<T: Serialize>(
        &self,
        kind: &str,
        items: &[T],
        summary: &serde_json::Value,
        exit: Exit,
    ) -> Result<()> {
        match self.output {
            Output::Text | Output::None => Ok(()),
            Output::Json => {
                let envelope = serde_json::json!({
                    "apiVersion": "assay/v1",
                    "kind": kind,
                    "items": items,
                    "summary": summary,
                    "exitCode": exit.code(),
                });
                write_out(&format!("{}\n", serde_json::to_string_pretty(&envelope)?))
            }
            Output::Jsonl => {
                for item in items {
                    write_out(&format!("{}\n", serde_json::to_string(item)?))?;
                }
                Ok(())
            }
        }
    }

    /// A line for people about what goes on, on standard error.
    pub fn note(&self, line: &str) {
        if !self.quiet {
            say(&format!("{}\n", text::safe(line, false)));
        }
    }
}

/// Writes to standard output. A reader that has gone (`| head`) misses the rest, and the command ends as
/// it would have: bad data is not good because nobody read to the end.
pub fn write_out(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Writes to standard error. It may be closed, or its reader gone: there is nobody left to tell, and the
/// command ends as it would have.
pub fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
