//! `assay dataset validate`: every error of every file, with the lines it is about.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use assay_contract::{Code, Diagnostic, render_fancy};
use assay_model::dataset::DatasetStatus;
use assay_model::ids::DatasetId;
use serde_json::{Value, json};

use super::{Source, expand, folder_of};
use crate::context::Context;
use crate::exit::Exit;
use crate::show::text;

/// Runs the command.
pub fn run(files: &[PathBuf], cx: &Context) -> Result<Exit> {
    let files = expand(files)?;
    let mut out = String::new();
    let mut items = Vec::new();
    let (mut errors, mut warnings) = (0, 0);
    let mut known: BTreeMap<(PathBuf, DatasetId), String> = BTreeMap::new();
    for file in &files {
        let mut source = Source::read(file);
        told_twice(&mut source, &mut known);
        let diagnostics = &source.parsed.diagnostics;
        let bad = diagnostics.iter().filter(|d| d.is_error()).count();
        errors += bad;
        warnings += diagnostics.len() - bad;
        out.push_str(&headline(&source, bad));
        out.push_str(&render_fancy(&source.text, diagnostics, cx.screen.color));
        items.extend(diagnostics.iter().map(diagnostic_json));
    }
    let exit = if errors > 0 { Exit::Invalid } else { Exit::Ok };
    if files.len() > 1 || exit != Exit::Ok {
        out.push_str(&format!(
            "{}, {}, {}   exit code {}\n",
            text::counted(files.len(), "file"),
            text::counted(errors, "error"),
            text::counted(warnings, "warning"),
            exit.code()
        ));
    }
    cx.screen.text(&out)?;
    let summary = json!({"files": files.len(), "errors": errors, "warnings": warnings});
    cx.screen.items("DiagnosticList", &items, &summary, exit)?;
    Ok(exit)
}

/// Adds an error to a file whose dataset another file of its folder defines: a registry takes neither.
fn told_twice(source: &mut Source, known: &mut BTreeMap<(PathBuf, DatasetId), String>) {
    let Some(dataset) = &source.parsed.dataset else {
        return;
    };
    let file = source.path.display().to_string();
    let Some(other) = known.insert((folder_of(&source.path), dataset.id.clone()), file.clone())
    else {
        return;
    };
    source.parsed.diagnostics.push(Diagnostic {
        code: Code::DuplicateId,
        line: 1,
        column: 1,
        span: 0..0,
        text: String::new(),
        path: "id".to_owned(),
        message: format!("the dataset `{}` is already defined by {other}", dataset.id),
        hint: Some("give one of the two files another id, or remove it".to_owned()),
        redact: None,
        file,
    });
}

fn headline(source: &Source, errors: usize) -> String {
    let name = source.path.display();
    let warnings = source.parsed.diagnostics.len() - errors;
    let said = match &source.parsed.dataset {
        Some(dataset) => format!(
            "{} {}, {}, {}{}",
            dataset.id,
            dataset.version,
            text::counted(dataset.columns.len(), "column"),
            text::counted(dataset.checks.len(), "check"),
            match dataset.status {
                DatasetStatus::Draft => ", a draft",
                DatasetStatus::Retired => ", retired",
                DatasetStatus::Active | DatasetStatus::Deprecated => "",
            }
        ),
        None if errors == 0 => "valid, but this version does not run it".to_owned(),
        None => "invalid".to_owned(),
    };
    format!(
        "{name}: {said}; {}, {}\n",
        text::counted(errors, "error"),
        text::counted(warnings, "warning")
    )
}

/// A diagnostic for programs. The offending text is left out: a snippet may hold a secret.
pub fn diagnostic_json(diagnostic: &Diagnostic) -> Value {
    json!({
        "file": diagnostic.file,
        "line": diagnostic.line,
        "column": diagnostic.column,
        "code": diagnostic.code.as_str(),
        "level": diagnostic.code.level().to_string(),
        "title": diagnostic.code.title(),
        "path": diagnostic.path,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
    })
}
