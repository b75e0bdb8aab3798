//! `assay dataset apply`: definitions into the registry.
//!
//! Comes in: dataset files. Goes out: what was created, changed or left as it is. Nothing is
//! written before every file is known to be valid. A relative path means the folder of its file:
//! where the registry is another folder, the path is written anew, and said so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use assay_contract::{Parsed, parse, parse_with, render_fancy};
use assay_model::dataset::{Dataset, Location};
use assay_model::ids::DatasetId;
use assay_registry::{Definition, Precondition, Registry, RegistryError, digest};
use serde_json::{Value, json};

use super::init::{clean, relative};
use super::validate::diagnostic_json;
use super::{Source, expand};
use crate::client::coded;
pub(super) use crate::client::port::Done;
use crate::context::Context;
use crate::dev::open_registry;
use crate::exit::Exit;
use crate::show::{say, text};

/// A definition that is to be put.
pub(super) struct Wanted {
    /// The file that it comes from.
    pub(super) path: PathBuf,
    pub(super) dataset: Dataset,
    /// The text as it is to stand in the registry.
    pub(super) text: String,
    /// Paths that were written anew: before and after.
    pub(super) moved: Vec<(String, String)>,
}

/// Runs the command.
pub async fn run(files: &[PathBuf], dir: &Path, dry_run: bool, cx: &Context) -> Result<Exit> {
    let files = expand(files)?;
    let base = clean(&std::path::absolute(dir)?);
    let Some(wanted) = read(&files, &base, cx)? else {
        return Ok(Exit::Invalid);
    };
    // A dry run makes no folder.
    let registry = if dry_run && !dir.is_dir() {
        None
    } else {
        Some(open_registry(dir, &base)?)
    };
    let mut done: Vec<(Done, &Wanted)> = Vec::new();
    let mut failed = None;
    for one in &wanted {
        match apply(registry.as_ref(), one, dry_run).await {
            Ok(what) => done.push((what, one)),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    if let Some(error) = failed {
        // What was done before the failure is done, and is said.
        for (what, one) in &done {
            cx.screen
                .note(&format!("{:<9}  {}", what.word(), one.dataset.id));
        }
        return Err(error);
    }
    tell(&done, &dir.display().to_string(), dry_run, cx)?;
    Ok(Exit::Ok)
}

/// Reads every file, as it is to stand in the registry at `base`.
fn read(files: &[PathBuf], base: &Path, cx: &Context) -> Result<Option<Vec<Wanted>>> {
    let Some(sources) = valid(files, cx)? else {
        return Ok(None);
    };
    let placed = sources
        .into_iter()
        .map(|(source, dataset)| placed(source, dataset, base));
    placed.collect::<Result<_>>().map(Some)
}

/// Refuses a definition that would mean something else at `place`, which knows neither this machine's
/// variables nor the folder of its file.
pub(super) fn alike(source: &Source, dataset: &Dataset, place: &str) -> Result<()> {
    let name = source.path.display().to_string();
    let there = parse_with(&name, &source.text, Path::new("/"), &|_| None);
    if there.dataset.as_ref() == Some(dataset) {
        return Ok(());
    }
    let why = there.diagnostics.iter().find(|d| d.is_error()).map_or_else(
        || {
            let address = dataset.source.location.address();
            format!("{name}: write its path in full, as {address}")
        },
        ToString::to_string,
    );
    let text = format!(
        "{name} would mean something else at {place}, which knows neither its folder nor your \
         environment\n  {why}"
    );
    Err(coded(Exit::Invalid, text))
}

/// Reads every file; prints what is wrong with any; `None` when one is invalid.
pub(super) fn valid(files: &[PathBuf], cx: &Context) -> Result<Option<Vec<(Source, Dataset)>>> {
    let mut wanted: Vec<(Source, Dataset)> = Vec::new();
    let mut seen: BTreeMap<DatasetId, PathBuf> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut invalid = 0;
    for file in files {
        let source = Source::read(file);
        let Some(dataset) = source.parsed.dataset.clone() else {
            invalid += 1;
            let diagnostics = &source.parsed.diagnostics;
            if cx.screen.is_text() {
                let color = cx.screen.color;
                let told = render_fancy(&source.text, diagnostics, color);
                say(&text::safe(&told, color));
            }
            if !source.parsed.has_errors() {
                let name = file.display();
                cx.screen
                    .note(&format!("{name}: valid, but this version does not run it"));
            }
            wrong.extend(diagnostics.iter().map(diagnostic_json));
            continue;
        };
        if let Some(other) = seen.insert(dataset.id.clone(), file.clone()) {
            let why = format!(
                "{} and {} both define `{}`; nothing was changed",
                other.display(),
                file.display(),
                dataset.id
            );
            return Err(coded(Exit::Invalid, why));
        }
        wanted.push((source, dataset));
    }
    if invalid == 0 {
        return Ok(Some(wanted));
    }
    cx.screen.note(&format!(
        "{invalid} of {} files cannot be applied; nothing was changed",
        files.len()
    ));
    let summary = json!({"files": files.len(), "refused": invalid});
    cx.screen
        .items("DiagnosticList", &wrong, &summary, Exit::Invalid)?;
    Ok(None)
}

/// The definition as it has to stand in the registry at `base` to mean the same.
fn placed(source: Source, dataset: Dataset, base: &Path) -> Result<Wanted> {
    let name = source.path.display().to_string();
    let there = parse(&name, &source.text, base);
    if there.dataset.as_ref() == Some(&dataset) {
        return Ok(Wanted {
            path: source.path,
            dataset,
            text: source.text,
            moved: Vec::new(),
        });
    }
    let (text, moved) = written_anew(&source.text, &source.parsed, &there, base);
    // Only a text that says exactly the same may take the place of the owner's.
    if parse(&name, &text, base).dataset.as_ref() != Some(&dataset) {
        let path = dataset.source.location.local().unwrap_or_default();
        let why = format!(
            "{name}: its relative path would mean another place in the registry {}\n  \
             write it in full: path: {path}; or keep the file in the registry's folder",
            base.display()
        );
        return Err(coded(Exit::Invalid, why));
    }
    Ok(Wanted {
        path: source.path,
        dataset,
        text,
        moved,
    })
}

/// The text with the paths that would mean another place written as seen from `base`.
fn written_anew(
    text: &str,
    here: &Parsed,
    there: &Parsed,
    base: &Path,
) -> (String, Vec<(String, String)>) {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let mut moved = Vec::new();
    let servers = |parsed: &Parsed| parsed.document.clone().map(|d| d.servers);
    let (Some(here), Some(there)) = (servers(here), servers(there)) else {
        return (text.to_owned(), moved);
    };
    for (at, (ours, theirs)) in here.iter().zip(&there).enumerate() {
        let (Ok(wanted), Ok(found)) = (&ours.source, &theirs.source) else {
            continue;
        };
        if wanted.location == found.location {
            continue;
        }
        let Location::Local { path } = &wanted.location else {
            continue;
        };
        let from = (ours.line as usize).saturating_sub(1);
        let to = here
            .get(at + 1)
            .map_or(lines.len(), |next| (next.line as usize).saturating_sub(1));
        let mut new = relative(Path::new(path), base).unwrap_or_else(|| path.clone());
        if path.ends_with('/') && !new.ends_with('/') {
            new.push('/');
        }
        let range = from..to.max(from).min(lines.len());
        for line in lines.get_mut(range).into_iter().flatten() {
            if let Some((before, changed)) = replaced(line, &new) {
                *line = changed;
                moved.push((before, new));
                break;
            }
        }
    }
    (lines.join("\n"), moved)
}

/// A line `path: value` with another value; the value before, and the line.
fn replaced(line: &str, new: &str) -> Option<(String, String)> {
    let key = line.find("path:")?;
    let head = line.get(..key)?;
    if !head.chars().all(|c| matches!(c, ' ' | '-')) {
        return None;
    }
    let value = line.get(key + "path:".len()..)?.trim();
    let value = value.split(" #").next().unwrap_or(value).trim();
    let before = value.trim_matches(['"', '\'']).to_owned();
    // A JSON text is a YAML text in double quotes.
    let quoted = Value::String(new.to_owned());
    Some((before, format!("{head}path: {quoted}")))
}

async fn apply(
    registry: Option<&Arc<dyn Registry>>,
    wanted: &Wanted,
    dry_run: bool,
) -> Result<Done> {
    let Some(registry) = registry else {
        return Ok(Done::Created);
    };
    let id = &wanted.dataset.id;
    let (what, precondition) = match registry.get(id).await? {
        None => (Done::Created, Precondition::Absent),
        Some(found) if !found.kept && *found.text == *wanted.text => return Ok(Done::Unchanged),
        Some(found) => (
            Done::Changed,
            Precondition::Digest(on_disk(registry, &found).await?),
        ),
    };
    if dry_run {
        return Ok(what);
    }
    match registry.put(&wanted.text, precondition).await {
        Ok(_) => Ok(what),
        Err(RegistryError::Conflict(_)) => {
            let why = format!(
                "{id}: the registry's definition was changed by someone else at the same time, \
                 or its file belongs to another definition; it was left as it is\n  \
                 look at it: assay dataset get {id}; then apply again"
            );
            Err(coded(Exit::NotEvaluated, why))
        }
        Err(RegistryError::Invalid(diagnostics)) => {
            let first = diagnostics.iter().find(|d| d.is_error());
            let why = first.or(diagnostics.first()).map(ToString::to_string);
            let why = why.unwrap_or_else(|| "it is not valid".to_owned());
            Err(coded(
                Exit::Invalid,
                format!("{}: {why}", wanted.path.display()),
            ))
        }
        Err(error) => bail!("{id}: {error}"),
    }
}

/// The digest of the file of a definition, which may have become invalid since it was read.
async fn on_disk(registry: &Arc<dyn Registry>, found: &Definition) -> Result<String> {
    if !found.kept {
        return Ok(found.digest.clone());
    }
    let listing = registry.list().await?;
    let file = listing.invalid.iter().find(|f| f.origin == found.origin);
    Ok(file.map_or_else(|| found.digest.clone(), |file| digest(&file.text)))
}

pub(super) fn tell(
    done: &[(Done, &Wanted)],
    place: &str,
    dry_run: bool,
    cx: &Context,
) -> Result<()> {
    let mut out = String::new();
    let mut items = Vec::new();
    for (what, one) in done {
        out.push_str(&format!(
            "{:<9}  {} {}  {}  from {}\n",
            what.word(),
            one.dataset.id,
            one.dataset.version,
            text::counted(one.dataset.checks.len(), "check"),
            one.path.display()
        ));
        out.push_str(&not_by_itself(&one.dataset));
        let told = one.moved.iter().filter(|_| *what != Done::Unchanged);
        for (before, after) in told {
            out.push_str(&format!(
                "           its path `{before}` starts at the folder of its file; \
                 in the registry it is written `{after}`\n"
            ));
        }
        let moved: Vec<Value> = one
            .moved
            .iter()
            .map(|(before, after)| json!({"before": before, "after": after}))
            .collect();
        items.push(json!({
            "id": one.dataset.id,
            "version": one.dataset.version,
            "change": what.word(),
            "file": one.path,
            "paths": moved,
        }));
    }
    let count = |wanted: Done| done.iter().filter(|(what, _)| *what == wanted).count();
    let (created, changed) = (count(Done::Created), count(Done::Changed));
    if dry_run {
        out.push_str(&format!("dry run: nothing was written to {place}\n"));
    }
    cx.screen.text(&out)?;
    let summary = json!({
        "created": created,
        "changed": changed,
        "unchanged": count(Done::Unchanged),
        "dryRun": dry_run,
    });
    cx.screen
        .items("DatasetChangeList", &items, &summary, Exit::Ok)
}

/// A line of why nothing of a dataset is judged by itself, where that is so.
pub(super) fn not_by_itself(dataset: &Dataset) -> String {
    let why = dataset.status.not_by_itself();
    why.map_or_else(String::new, |why| format!("           it is {why}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: orders\nversion: 1.0.0\n\
        status: active\nservers:\n  - server: local\n    type: local\n    path: PATH  # here\n    \
        format: csv\nschema:\n  - name: orders\n    properties:\n      - name: path\n        \
        logicalType: string\n";

    fn source(folder: &Path, path: &str) -> Source {
        let file = folder.join("orders.odcs.yaml");
        std::fs::write(&file, TEXT.replace("PATH", path)).unwrap();
        Source::read(&file)
    }

    #[test]
    fn a_relative_path_keeps_its_meaning_in_another_folder() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("registry");
        let source = source(folder.path(), "./data/");
        let dataset = source.parsed.dataset.clone().unwrap();
        let placed = placed(source, dataset.clone(), &base).unwrap();
        assert_eq!(
            placed.moved,
            [("./data/".to_owned(), "../data/".to_owned())]
        );
        let there = parse("x", &placed.text, &base).dataset.unwrap();
        assert_eq!(there.source.location, dataset.source.location);
        assert!(placed.text.contains("- name: path\n"));
    }

    #[test]
    fn an_absolute_path_and_a_file_of_the_registry_are_left_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let ours = source(folder.path(), "/data/orders");
        let dataset = ours.parsed.dataset.clone().unwrap();
        let elsewhere = folder.path().join("registry");
        let placed_there = placed(ours, dataset, &elsewhere).unwrap();
        assert!(placed_there.moved.is_empty());
        let ours = source(folder.path(), "./data");
        let dataset = ours.parsed.dataset.clone().unwrap();
        let text = ours.text.clone();
        assert_eq!(placed(ours, dataset, folder.path()).unwrap().text, text);
    }

    #[test]
    fn a_path_that_cannot_be_written_anew_is_refused_with_the_full_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("orders.odcs.yaml");
        let flow = TEXT.replace(
            "  - server: local\n    type: local\n    path: PATH  # here\n    format: csv\n",
            "  - {server: local, type: local, path: ./data, format: csv}\n",
        );
        std::fs::write(&file, flow).unwrap();
        let source = Source::read(&file);
        let dataset = source.parsed.dataset.clone().unwrap();
        let error = placed(source, dataset, &folder.path().join("registry"));
        let error = error.err().unwrap();
        assert_eq!(crate::exit::of(&error), Exit::Invalid);
        assert!(error.to_string().contains("write it in full"), "{error}");
    }
}
