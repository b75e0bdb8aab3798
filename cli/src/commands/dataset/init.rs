//! `assay dataset init`: a first definition for data that has none.
//!
//! Comes in: a file, a folder or a place in a bucket. Goes out: a dataset file that is valid, drawn from a look at a
//! sample; a draft that its owner reads before it counts.

use std::io::Write;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use assay_contract::{Place, Suggestion, parse, render_plain, write};
use assay_model::dataset::{Column, Partitioning};
use assay_model::ids::DatasetId;
use assay_scan::introspect::{Introspection, introspect};
use jiff::Timestamp;
use serde_json::json;

use super::folder_of;
use super::place::Data;
use crate::args::Output;
use crate::client::coded;
use crate::context::Context;
use crate::exit::{Exit, OrExit};
use crate::show::{text, write_out};
use crate::sources;

/// Runs the command.
pub async fn run(
    source: &Path,
    id: Option<&str>,
    file: Option<PathBuf>,
    force: bool,
    credential: Option<&str>,
    cx: &Context,
) -> Result<Exit> {
    let data = Data::of(source)?;
    let id = match id {
        Some(id) => DatasetId::new(id).or_exit(Exit::Usage)?,
        None => id_of(data.name()).or_exit(Exit::Usage)?,
    };
    let to_screen = file.as_deref() == Some(Path::new("-"));
    let file = file.unwrap_or_else(|| PathBuf::from(format!("{id}.odcs.yaml")));
    if !to_screen && !force && file.exists() {
        let why = format!(
            "{} is there already; replace it with --force",
            file.display()
        );
        return Err(coded(Exit::Usage, why));
    }
    let looked_at = data.source(credential)?;
    let mut context = sources::context(&[&looked_at]).await?;
    context.memory_bytes = cx.memory_bytes(None)?;
    let found = tokio::task::spawn_blocking({
        let source = looked_at.clone();
        move || introspect(&source, Timestamp::now(), &context)
    })
    .await
    .context("the look at the data was stopped")??;
    let base = if to_screen {
        None
    } else {
        Some(folder_of(&file))
    };
    let place = data.place(base.as_deref(), looked_at);
    let suggestion = suggestion(&id, place, &found);
    let yaml = write(&suggestion);
    let base = base.unwrap_or_else(|| PathBuf::from("/"));
    let parsed = parse(&file.display().to_string(), &yaml, &base);
    if parsed.has_errors() {
        bail!(
            "the definition that was made is not valid; please report this:\n{}",
            render_plain(&parsed.diagnostics)
        );
    }
    if to_screen {
        if cx.screen.output != Output::None {
            write_out(&yaml)?;
        }
    } else {
        save(&file, &yaml, force)?;
    }
    tell(&id, &file, to_screen, &found, cx)?;
    Ok(Exit::Ok)
}

fn suggestion(id: &DatasetId, place: Place, found: &Introspection) -> Suggestion {
    let columns = found
        .columns
        .iter()
        .map(|column| Column {
            name: column.name.clone(),
            logical_type: column.logical_type,
            physical_type: column.physical_type.clone(),
            required: column.required,
            unique: column.unique,
            primary_key: None,
            masked: false,
        })
        .collect();
    Suggestion {
        id: id.clone(),
        place,
        format: found.format.clone(),
        partitions: Partitioning {
            layout: found.layout.clone(),
            keys: found.keys.clone(),
            ..Partitioning::default()
        },
        columns,
        checks: found.checks.clone(),
    }
}

/// A name from the name of the file or folder, endings left off.
fn id_of(source: &Path) -> Result<DatasetId> {
    let name = source
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let stem = name.split('.').find(|part| !part.is_empty()).unwrap_or("");
    let id: String = stem
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .take(128)
        .collect();
    DatasetId::new(id).with_context(|| {
        format!(
            "no dataset id can be made of {}; name one with --id",
            source.display()
        )
    })
}

/// `path` with `.` and `..` resolved in the text.
pub fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

/// `path` as it is seen from `base`, both absolute and clean; `None` when they share only the root
/// of the file system, where an absolute path says more.
pub fn relative(path: &Path, base: &Path) -> Option<String> {
    let shared = path
        .components()
        .zip(base.components())
        .take_while(|(a, b)| a == b)
        .count();
    if shared < 2 {
        return None;
    }
    let up = base.components().skip(shared).map(|_| Component::ParentDir);
    let down = path.components().skip(shared);
    let steps: PathBuf = up.chain(down).collect();
    let text = steps.to_str()?;
    if text.starts_with("..") {
        Some(text.to_owned())
    } else {
        Some(format!("./{text}"))
    }
}

fn save(file: &Path, yaml: &str, force: bool) -> Result<()> {
    let cannot = || format!("cannot write {}", file.display());
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut out = options.open(file).with_context(cannot)?;
    out.write_all(yaml.as_bytes()).with_context(cannot)
}

fn tell(
    id: &DatasetId,
    file: &Path,
    to_screen: bool,
    found: &Introspection,
    cx: &Context,
) -> Result<()> {
    let seen = format!(
        "{} partitions, about {} rows, {} of {}, {} columns; {} rows were sampled",
        text::count(found.partitions as u64),
        text::count(found.row_estimate),
        text::bytes(found.bytes),
        found.format.kind,
        found.columns.len(),
        text::count(found.sampled_rows)
    );
    let implied = found
        .columns
        .iter()
        .map(|c| usize::from(c.required) + usize::from(c.unique))
        .sum::<usize>();
    let suggested = found.checks.len() + implied;
    for ignored in &found.ignored {
        cx.screen.note(&format!("passed over: {ignored}"));
    }
    let written: Vec<&str> = words_for_null(found).collect();
    if !written.is_empty() {
        cx.screen.note(&format!(
            "{} is read as NULL in every column (assayFormat.nullTokens): it stands among numbers \
             or times",
            written.join(", ")
        ));
    }
    if to_screen {
        cx.screen.note(&format!("{id}: {seen}"));
        return Ok(());
    }
    let name = file.display();
    cx.screen.text(&format!(
        "{name}: {seen}\n{suggested} checks are suggested; read them, they come from a sample\n\n  \
         Next   assay check {name}\n         assay dataset apply -f {name}\n"
    ))?;
    let item = json!({
        "id": id,
        "file": file,
        "partitions": found.partitions,
        "rowEstimate": found.row_estimate,
        "bytes": found.bytes,
        "columns": found.columns.len(),
        "checks": suggested,
        "nullTokens": words_for_null(found).collect::<Vec<_>>(),
        "ignored": found.ignored,
    });
    cx.screen
        .items("DatasetDraft", &[item], &json!({}), Exit::Ok)
}

/// What stands for NULL beside nothing at all.
fn words_for_null(found: &Introspection) -> impl Iterator<Item = &str> {
    let words = found.format.null_tokens.iter().map(String::as_str);
    words.filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_the_name_of_the_data() {
        let id = |path: &str| id_of(Path::new(path)).map(|id| id.to_string());
        assert_eq!(id("/data/orders").unwrap(), "orders");
        assert_eq!(id("/data/my trips.csv.gz").unwrap(), "my_trips");
        assert!(id("/").unwrap_err().to_string().contains("--id"));
    }

    #[test]
    fn a_path_is_written_as_seen_from_the_file_and_absolute_when_nothing_is_shared() {
        let see = |path: &str, base: &str| relative(Path::new(path), Path::new(base));
        assert_eq!(see("/a/b/data", "/a/b").as_deref(), Some("./data"));
        assert_eq!(see("/a/data", "/a/b/c").as_deref(), Some("../../data"));
        assert_eq!(see("/x/data", "/a/b"), None);
        assert_eq!(clean(Path::new("/a/./b/../c")), Path::new("/a/c"));
    }
}
