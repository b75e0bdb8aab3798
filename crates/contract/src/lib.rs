//! ODCS dataset files to dataset definitions, with every error placed in the file.
//!
//! What comes in: the text of a document of the Open Data Contract Standard v3.1.0. What goes
//! out: a [`Dataset`] and every [`Diagnostic`] of the file at once, each with line, column, path
//! and remedy. It must never panic on any text, stop at the first error, keep a secret, or give a
//! dataset for a document with errors.
//!
//! The settings of ours inside `customProperties` are listed in [`custom`].

mod context;
pub mod custom;
mod decode;
mod diagnostic;
mod document;
mod expectation;
mod fields;
mod options;
mod people;
mod quality;
mod render;
mod rules;
mod schema;
mod secrets;
mod servers;
mod sla;
mod suggest;
mod tree;
mod units;
mod variables;
mod write;

use std::path::Path;

use assay_model::dataset::{Dataset, DatasetStatus};

pub use diagnostic::{Code, Diagnostic, Level};
pub use document::{Document, DocumentTable};
pub use render::{Located, render_fancy, render_plain};
pub use servers::{Server, ServerSource};
pub use tree::{BYTES_MAX, DEPTH_MAX, NODES_MAX};
pub use write::{Place, Suggestion, write};

use context::{Context, Environment};

/// What came of a dataset file.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The definition; absent when there are errors, or nothing that this version can run.
    pub dataset: Option<Dataset>,
    /// What the document says; absent when there are errors.
    pub document: Option<Document>,
    /// Everything to tell, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Whether the file is invalid. A valid file without a dataset is one that this version does
    /// not run; its warnings say why.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Parses the text of the file `name`; paths are relative to `base_dir`, and variables of its
/// servers come from the environment of the process.
#[must_use]
pub fn parse(name: &str, text: &str, base_dir: &Path) -> Parsed {
    parse_with(name, text, base_dir, &|variable| {
        std::env::var(variable).ok()
    })
}

/// The same, with the environment that is given.
#[must_use]
pub fn parse_with(name: &str, text: &str, base_dir: &Path, environment: Environment<'_>) -> Parsed {
    let mut cx = Context::new(name, text, environment);
    let root = tree::read(&mut cx, text);
    let (document, dataset) = match root {
        Some(root) => document::decode(&mut cx, &root, base_dir),
        None => (None, None),
    };
    let diagnostics = cx.finish();
    // Duplicate keys are told while the tree is read, and are errors of the whole all the same.
    let invalid = diagnostics.iter().any(Diagnostic::is_error);
    Parsed {
        dataset: dataset.filter(|_| !invalid),
        document: document.filter(|_| !invalid),
        diagnostics,
    }
}

/// The same for bytes, which need not be UTF-8.
#[must_use]
pub fn parse_bytes(name: &str, bytes: &[u8], base_dir: &Path) -> Parsed {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return parse(name, text, base_dir),
        Err(error) => error,
    };
    let good = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
    let mut cx = Context::new(name, good, &|_| None);
    let at = tree::Span {
        start: good.len(),
        end: good.len(),
    };
    let byte = bytes.get(good.len()).copied().unwrap_or(0);
    cx.report(
        Code::NotUtf8,
        at,
        "",
        format!("the byte 0x{byte:02x} is not UTF-8"),
    )
    .hint("save the file as UTF-8");
    Parsed {
        dataset: None,
        document: None,
        diagnostics: cx.finish(),
    }
}

/// The text with another status, everything else left as it is; `None` when the text is no
/// document with a status.
#[must_use]
pub fn with_status(text: &str, status: DatasetStatus) -> Option<String> {
    let mut cx = Context::new("", text, &|_| None);
    let span = tree::read(&mut cx, text)?.get("status")?.span;
    let (head, tail) = (text.get(..span.start)?, text.get(span.end..)?);
    Some(format!("{head}{status}{tail}"))
}

/// Validates a document without asking whether this version can run it. `${NAME}` needs no value.
#[must_use]
pub fn parse_document(name: &str, text: &str) -> Parsed {
    parse_with(name, text, Path::new("/"), &|_| Some("0".to_owned()))
}
