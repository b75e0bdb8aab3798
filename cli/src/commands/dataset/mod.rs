//! `assay dataset`: definitions, from the first draft to the registry.
//!
//! Comes in: data without a definition, dataset files, a registry. Goes out: files, diagnostics
//! with line and column, what is defined. It must never change a definition without saying how.

mod apply;
mod init;
mod kept;
mod place;
mod remote;
mod shared;
mod submit;
mod validate;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use assay_answers::definition::VersionRow;
use assay_contract::{Code, Diagnostic, Parsed, parse_bytes};
use assay_model::ids::DatasetId;
use assay_registry::{Definition, Listing, Registry};
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::by_prefix;
use crate::client::{coded, gateway, is_elsewhere};
use crate::context::Context;
use crate::dev::open_registry;
use crate::exit::{Exit, OrExit};
use crate::show::{table, text};

/// `assay dataset …`
#[derive(Debug, Subcommand)]
pub enum DatasetCommand {
    /// Look at files, a bucket or a table and write a definition with suggested checks
    Init {
        /// The file or folder; a place in a bucket: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX,
        /// az://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX; or a table:
        /// postgres://HOST:PORT/DATABASE/SCHEMA.TABLE, mysql://HOST:PORT/DATABASE/TABLE.
        source: PathBuf,
        /// What logs in to a bucket or database, by reference: env:NAME, file:path, aws-sm:name or
        /// anonymous [default: this machine's own identity; a database needs one].
        #[arg(long, value_name = "REFERENCE")]
        credential: Option<String>,
        /// The dataset's id [default: from the name of the folder].
        #[arg(long)]
        id: Option<String>,
        /// Where to write it [default: ID.odcs.yaml here]; `-` is standard output.
        #[arg(short = 'f', long)]
        file: Option<PathBuf>,
        /// Replace an existing file.
        #[arg(long)]
        force: bool,
    },
    /// Check definitions without touching data; every error with its line and column
    Validate {
        /// Dataset files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Put definitions into the registry
    Apply {
        /// Files or folders of definitions (repeatable).
        #[arg(short = 'f', long = "file", required = true)]
        files: Vec<PathBuf>,
        /// The registry's folder [default: ./datasets, or as set].
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Say what would change, change nothing.
        #[arg(long)]
        dry_run: bool,
        /// Change datasets that another owner has (in a shared registry).
        #[arg(long)]
        take_over: bool,
    },
    /// List the registry, or what a server knows
    List {
        /// The registry's folder [default: that of the server, ./datasets without one, or as set].
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Show one definition, of the registry or as a server has it
    Get {
        /// The dataset, by id or unique beginning.
        id: String,
        /// The registry's folder [default: that of the server, ./datasets without one, or as set].
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Retire a dataset: it runs no more, its definition and history stay
    #[command(visible_alias = "delete")]
    Retire {
        /// The dataset, by id.
        id: String,
        /// The registry's folder [default: ./datasets, or as set].
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Every version of a definition in a shared registry, or one of them
    History {
        /// The dataset, by id.
        id: String,
        /// Show the document of this revision.
        #[arg(long, value_name = "NUMBER")]
        revision: Option<u64>,
    },
}

/// Runs the command.
pub async fn run(command: DatasetCommand, cx: &Context) -> Result<Exit> {
    if let Some(url) = shared_url(&command, cx) {
        return shared::run(command, &url, cx).await;
    }
    match command {
        DatasetCommand::Init {
            source,
            id,
            file,
            force,
            credential,
        } => {
            let credential = credential.as_deref();
            init::run(&source, id.as_deref(), file, force, credential, cx).await
        }
        DatasetCommand::Validate { files } => validate::run(&files, cx),
        DatasetCommand::Apply { take_over, .. } if take_over => {
            let why = "--take-over is for a shared registry (registry.url): a folder has no owners";
            Err(coded(Exit::Usage, why))
        }
        DatasetCommand::Apply {
            files,
            dir,
            dry_run,
            ..
        } => {
            if is_remote(dir.as_ref(), cx) {
                return submit::run(&files, dry_run, cx).await;
            }
            let dir = dir.unwrap_or_else(|| cx.registry_dir());
            apply::run(&files, &dir, dry_run, cx).await
        }
        DatasetCommand::List { dir } if is_remote(dir.as_ref(), cx) => remote::list(cx).await,
        DatasetCommand::Get { id, dir } if is_remote(dir.as_ref(), cx) => {
            remote::get(&id, cx).await
        }
        DatasetCommand::List { dir } => list(dir, cx).await,
        DatasetCommand::Get { id, dir } => get(&id, dir, cx).await,
        DatasetCommand::Retire { id, dir } if is_remote(dir.as_ref(), cx) => match gateway(cx)? {
            Some(http) => kept::retire(&http, &id, cx).await,
            None => Err(coded(
                Exit::Usage,
                format!(
                    "a manager keeps no registry: write `status: retired` into the definition of \
                     `{id}` and apply it, or name the registry: registry.url, or --dir DIR"
                ),
            )),
        },
        DatasetCommand::Retire { id, dir } => {
            let dir = dir.unwrap_or_else(|| cx.registry_dir());
            retire(existing_registry(&dir)?.as_ref(), &id, cx).await
        }
        DatasetCommand::History { id, revision } => {
            if let Some(http) = gateway(cx)? {
                return kept::history(&http, &id, revision, cx).await;
            }
            let what = revision.map_or_else(String::new, |no| format!("revision {no} of "));
            let why = format!(
                "{what}`{id}`: only a shared registry (registry.url) keeps versions; those of a \
                 folder are its version control's"
            );
            Err(coded(Exit::Usage, why))
        }
    }
}

/// The shared registry that a command is about, if it is about one: a flag means what it says, and of
/// the settings a shared registry comes before a manager.
fn shared_url(command: &DatasetCommand, cx: &Context) -> Option<String> {
    let dir = match command {
        DatasetCommand::Init { .. } | DatasetCommand::Validate { .. } => return None,
        DatasetCommand::History { .. } => None,
        DatasetCommand::Apply { dir, .. }
        | DatasetCommand::List { dir }
        | DatasetCommand::Get { dir, .. }
        | DatasetCommand::Retire { dir, .. } => dir.as_ref(),
    };
    if dir.is_some() || cx.global.server.is_some() {
        return None;
    }
    cx.settings.text("registry.url").map(str::to_owned)
}

/// Whether a cluster is meant and no folder.
fn is_remote(dir: Option<&PathBuf>, cx: &Context) -> bool {
    dir.is_none() && is_elsewhere(cx)
}

/// Retires a dataset of any registry.
async fn retire(registry: &dyn Registry, id: &str, cx: &Context) -> Result<Exit> {
    let known = DatasetId::new(id).or_exit(Exit::Usage)?;
    let Some(found) = registry.get(&known).await? else {
        return Err(coded(Exit::Usage, format!("there is no dataset `{id}`")));
    };
    let retired = registry.retire(&known, &found.digest).await?;
    retired_shown(&retired, cx)
}

/// Shows that a definition is retired.
fn retired_shown(retired: &Definition, cx: &Context) -> Result<Exit> {
    let dataset = &retired.dataset;
    cx.screen
        .text(&format!("retired    {} {}\n", dataset.id, dataset.version))?;
    let items = [item(retired)];
    cx.screen
        .items("DatasetChangeList", &items, &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

/// Shows a version of a definition.
fn version_shown(number: u64, digest: Option<&str>, text: &str, cx: &Context) -> Result<Exit> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    cx.screen.document(&format!("{text}{end}"))?;
    let items = [json!({"revision": number, "digest": digest, "text": text})];
    cx.screen
        .items("DatasetRevision", &items, &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

/// Shows the versions of a definition, newest first.
fn versions_shown(versions: &[VersionRow], cx: &Context) -> Result<Exit> {
    let mut rows = table::table(&["REVISION", "VERSION", "STATUS", "OWNER", "PUT", "BY"]);
    let mut items = Vec::new();
    for one in versions {
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let when = |at| text::when(at, Timestamp::now(), cx.screen.times);
        rows.add_row([
            one.revision.to_string(),
            or(&one.version),
            or(&one.status),
            or(&one.owner),
            one.at.map_or_else(|| "-".to_owned(), when),
            or(&one.by),
        ]);
        items.push(json!({
            "revision": one.revision,
            "version": one.version,
            "status": one.status,
            "owner": one.owner,
            "digest": (!one.digest.is_empty()).then_some(&one.digest),
            "at": one.at,
            "by": one.by,
        }));
    }
    cx.screen.text(&table::print(&rows))?;
    cx.screen
        .items("DatasetRevisionList", &items, &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

/// One dataset file as it was read.
struct Source {
    /// The file, as it was named.
    path: PathBuf,
    /// Its text; wrong bytes replaced.
    text: String,
    /// What it says.
    parsed: Parsed,
}

impl Source {
    /// Reads a file; its relative paths start at its folder. A file that cannot be read is one with
    /// a diagnostic that says so.
    fn read(path: &Path) -> Self {
        let name = path.display().to_string();
        let base = folder_of(path);
        let (text, parsed) = match std::fs::read(path) {
            Ok(bytes) => {
                let parsed = parse_bytes(&name, &bytes, &base);
                (String::from_utf8_lossy(&bytes).into_owned(), parsed)
            }
            Err(error) => (String::new(), unreadable(&name, &error)),
        };
        Self {
            path: path.to_owned(),
            text,
            parsed,
        }
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Parsed {
    let diagnostic = Diagnostic {
        code: Code::Unreadable,
        file: name.to_owned(),
        line: 1,
        column: 1,
        span: 0..0,
        text: String::new(),
        path: String::new(),
        message: format!("the file cannot be read: {error}"),
        hint: Some("check that it exists and can be read".to_owned()),
        redact: None,
    };
    Parsed {
        dataset: None,
        document: None,
        diagnostics: vec![diagnostic],
    }
}

/// The folder that relative paths of a file start at.
fn folder_of(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    absolute.parent().unwrap_or(Path::new("/")).to_owned()
}

/// The dataset files that `paths` name: files as they are, folders by the files inside.
fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        let entries = std::fs::read_dir(path)
            .with_context(|| format!("cannot read the folder {}", path.display()))
            .or_exit(Exit::Usage)?;
        for entry in entries {
            let found = entry?.path();
            if is_dataset_file(&found) {
                inside.push(found);
            }
        }
        if inside.is_empty() {
            let why = format!("{}: no file *.yaml or *.yml in this folder", path.display());
            return Err(coded(Exit::Usage, why));
        }
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}

/// The files that a registry takes for definitions.
fn is_dataset_file(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let yaml = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("yaml") || e.eq_ignore_ascii_case("yml"));
    yaml && !hidden && path.is_file()
}

/// The registry in `dir`, which must be there: a command that reads makes no folders.
fn existing_registry(dir: &Path) -> Result<Arc<dyn Registry>> {
    if !dir.is_dir() {
        let why = format!(
            "there is no registry folder {}\n  fill one: assay dataset apply -f FILE; or name one: --dir DIR",
            dir.display()
        );
        return Err(coded(Exit::Usage, why));
    }
    open_registry(dir, &std::path::absolute(dir)?)
}

async fn list(dir: Option<PathBuf>, cx: &Context) -> Result<Exit> {
    let dir = dir.unwrap_or_else(|| cx.registry_dir());
    let listing = existing_registry(&dir)?.list().await?;
    cx.screen.text(&described(&listing, &dir))?;
    listed(&listing, cx)
}

/// A listing as JSON.
fn listed(listing: &Listing, cx: &Context) -> Result<Exit> {
    let mut items: Vec<Value> = listing.definitions.iter().map(item).collect();
    for file in &listing.invalid {
        let why: Vec<String> = file.diagnostics.iter().map(ToString::to_string).collect();
        items.push(json!({
            "file": file.origin,
            "valid": file.is_only_unsupported(),
            "diagnostics": why,
        }));
    }
    let summary = json!({
        "datasets": listing.definitions.len(),
        "withoutDefinition": listing.invalid.len(),
    });
    cx.screen.items("DatasetList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}

fn item(definition: &Definition) -> Value {
    let dataset = &definition.dataset;
    json!({
        "id": dataset.id,
        "version": dataset.version,
        "status": dataset.status,
        "owner": dataset.owner,
        "checks": dataset.checks.len(),
        "schedule": dataset.run.schedule,
        "file": definition.origin,
        "digest": definition.digest,
        "kept": definition.kept,
    })
}

/// The definitions in force, as a table.
fn rows(listing: &Listing) -> String {
    let mut table = table::table(&["DATASET", "VERSION", "STATUS", "CHECKS", "SCHEDULE", "FILE"]);
    for definition in &listing.definitions {
        let dataset = &definition.dataset;
        let schedule = dataset.run.schedule.clone();
        table.add_row([
            dataset.id.to_string(),
            dataset.version.clone(),
            dataset.status.to_string(),
            dataset.checks.len().to_string(),
            schedule.unwrap_or_else(|| "on change".to_owned()),
            definition.origin.clone(),
        ]);
    }
    table::print(&table)
}

/// What is not in force, and why.
fn invalid(listing: &Listing) -> String {
    let mut out = String::new();
    for file in &listing.invalid {
        let word = if file.is_only_unsupported() {
            "not run"
        } else {
            "invalid"
        };
        out.push_str(&format!("\n{}  {word}\n", file.origin));
        for diagnostic in &file.diagnostics {
            out.push_str(&format!("  {diagnostic}\n"));
        }
        if !file.is_only_unsupported() {
            out.push_str("  a server that has read a valid version of it keeps that in force\n");
        }
    }
    out
}

fn described(listing: &Listing, dir: &Path) -> String {
    let mut out = String::new();
    let refused = listing.invalid.len();
    if listing.definitions.is_empty() && refused == 0 {
        out.push_str(&format!(
            "No datasets in {0}. Make one: assay dataset init FOLDER -f {0}/NAME.odcs.yaml\n",
            dir.display()
        ));
    } else if listing.definitions.is_empty() {
        let file = if refused == 1 {
            "the one file there defines".to_owned()
        } else {
            format!("the {refused} files there define")
        };
        out.push_str(&format!(
            "No dataset of {} can be run: {file} none.\n",
            dir.display()
        ));
    } else {
        out.push_str(&rows(listing));
    }
    out.push_str(&invalid(listing));
    if refused > 0 {
        let files: Vec<&str> = listing.invalid.iter().map(|f| f.origin.as_str()).collect();
        out.push_str(&format!(
            "\nWhere and what to write instead: assay dataset validate {}\n",
            files.join(" ")
        ));
    }
    out
}

async fn get(id: &str, dir: Option<PathBuf>, cx: &Context) -> Result<Exit> {
    let dir = dir.unwrap_or_else(|| cx.registry_dir());
    let listing = existing_registry(&dir)?.list().await?;
    let names: Vec<String> = listing
        .definitions
        .iter()
        .map(|d| d.dataset.id.to_string())
        .collect();
    let name = by_prefix("dataset", id, &names)?;
    let Some(definition) = listing
        .definitions
        .iter()
        .find(|d| d.dataset.id.as_str() == name)
    else {
        return Err(coded(Exit::Usage, format!("there is no dataset `{name}`")));
    };
    shown(definition, cx)
}

/// Shows a definition.
fn shown(definition: &Definition, cx: &Context) -> Result<Exit> {
    let since = text::when(definition.since, Timestamp::now(), cx.screen.times);
    if definition.kept {
        cx.screen.note(&format!(
            "{} has become invalid; this is the version from {since}",
            definition.origin
        ));
    }
    let end = if definition.text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    cx.screen.document(&format!("{}{end}", definition.text))?;
    let summary = json!({"file": definition.origin, "digest": definition.digest});
    let items = [definition.dataset.as_ref()];
    cx.screen.items("Dataset", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}
