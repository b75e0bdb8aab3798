//! `assay dataset` with a shared registry: definitions in a table that a whole cluster reads.
//!
//! Comes in: a URL, dataset files. Goes out: what was created, changed, retired, and the versions of
//! each. It must never put a document that means something else where it is read, or change what
//! another owner has without being told to.

use anyhow::Result;

use super::DatasetCommand;
use crate::context::Context;
use crate::exit::Exit;

/// Runs the command on the registry at `url`.
#[cfg(not(feature = "cloud"))]
#[expect(clippy::unused_async, reason = "as with the feature `cloud`")]
pub async fn run(_: DatasetCommand, url: &str, _: &Context) -> Result<Exit> {
    Err(crate::cloud::missing(url))
}

#[cfg(feature = "cloud")]
pub use table::run;

#[cfg(feature = "cloud")]
mod table {
    use std::path::{Path, PathBuf};

    use anyhow::bail;
    use assay_contract::parse_with;
    use assay_model::dataset::Dataset;
    use assay_model::ids::DatasetId;
    use assay_registry::{Conflict, Precondition, Registry, RegistryError};
    use jiff::Timestamp;
    use serde_json::json;

    use super::super::apply::{Done, Wanted, tell, valid};
    use super::super::{Source, expand, invalid, listed, retire, rows, shown};
    use super::{Context, DatasetCommand, Exit, Result};
    use crate::client::coded;
    use crate::cloud::{Shared, open};
    use crate::commands::by_prefix;
    use crate::exit::OrExit;
    use crate::show::{table, text};

    /// Runs the command on the registry at `url`.
    pub async fn run(command: DatasetCommand, url: &str, cx: &Context) -> Result<Exit> {
        let shared = open(url).await?;
        match command {
            DatasetCommand::Apply {
                files,
                dry_run,
                take_over,
                ..
            } => apply(&shared, &files, dry_run, take_over, cx).await,
            DatasetCommand::List { .. } => list(&shared, cx).await,
            DatasetCommand::Get { id, .. } => get(&shared, &id, cx).await,
            DatasetCommand::Retire { id, .. } => retire(&shared, &id, cx).await,
            DatasetCommand::History { id, revision } => history(&shared, &id, revision, cx).await,
            DatasetCommand::Init { .. } | DatasetCommand::Validate { .. } => {
                bail!("this command needs no registry")
            }
        }
    }

    async fn apply(
        shared: &Shared,
        files: &[PathBuf],
        dry_run: bool,
        take_over: bool,
        cx: &Context,
    ) -> Result<Exit> {
        let files = expand(files)?;
        let Some(sources) = valid(&files, cx)? else {
            return Ok(Exit::Invalid);
        };
        let wanted: Result<Vec<Wanted>> = sources.into_iter().map(alike).collect();
        let wanted = wanted?;
        let mut done: Vec<(Done, &Wanted)> = Vec::new();
        for one in &wanted {
            match put(shared, one, dry_run, take_over).await {
                Ok(what) => done.push((what, one)),
                Err(error) => {
                    // What was done before the failure is done, and is said.
                    for (what, one) in &done {
                        cx.screen
                            .note(&format!("{:<9}  {}", what.word(), one.dataset.id));
                    }
                    return Err(error);
                }
            }
        }
        tell(&done, &shared.place(), dry_run, cx)?;
        Ok(Exit::Ok)
    }

    /// A definition that means the same wherever it is read: without this machine's variables, and
    /// without the folder of its file.
    fn alike((source, dataset): (Source, Dataset)) -> Result<Wanted> {
        let name = source.path.display().to_string();
        let there = parse_with(&name, &source.text, Path::new("/"), &|_| None);
        if there.dataset.as_ref() == Some(&dataset) {
            return Ok(Wanted {
                path: source.path,
                dataset,
                text: source.text,
                moved: Vec::new(),
            });
        }
        let why = there.diagnostics.iter().find(|d| d.is_error()).map_or_else(
            || {
                let address = dataset.source.location.address();
                format!("{name}: write its path in full, as {address}")
            },
            ToString::to_string,
        );
        let text = format!(
            "{name} would mean something else in the shared registry, which knows neither its folder \
             nor your environment\n  {why}"
        );
        Err(coded(Exit::Invalid, text))
    }

    async fn put(shared: &Shared, wanted: &Wanted, dry_run: bool, take_over: bool) -> Result<Done> {
        let id = &wanted.dataset.id;
        let mut broken = false;
        let found = match shared.get(id).await {
            Err(RegistryError::Invalid(_)) => {
                broken = true;
                None
            }
            found => found?,
        };
        let (what, precondition) = match &found {
            None if broken => (Done::Changed, Precondition::Absent),
            None => (Done::Created, Precondition::Absent),
            Some(found) if *found.text == *wanted.text => return Ok(Done::Unchanged),
            Some(found) => {
                let (theirs, ours) = (&found.dataset.owner, &wanted.dataset.owner);
                if theirs.is_some() && theirs != ours && !take_over {
                    let theirs = theirs.as_deref().unwrap_or_default();
                    let why = format!(
                        "{id}: it belongs to `{theirs}`; it was left as it is\n  give yours another \
                         id; or, where `{theirs}` has agreed, apply with --take-over"
                    );
                    return Err(coded(Exit::Usage, why));
                }
                (Done::Changed, Precondition::Digest(found.digest.clone()))
            }
        };
        if dry_run {
            return Ok(what);
        }
        let put = match shared.put(&wanted.text, precondition).await {
            // What nobody can read is replaced by who has been told that it is there.
            Err(RegistryError::Conflict(Conflict {
                found: Some(there), ..
            })) if broken => shared.put(&wanted.text, Precondition::Digest(there)).await,
            put => put,
        };
        match put {
            Ok(_) => Ok(what),
            Err(error) => Err(refused(id, &error)),
        }
    }

    /// A refusal, with the exit code that it deserves.
    fn refused(id: &DatasetId, error: &RegistryError) -> anyhow::Error {
        let exit = match error {
            RegistryError::Invalid(_) | RegistryError::TooLarge { .. } => Exit::Invalid,
            RegistryError::Refused { .. } => Exit::Usage,
            _ => Exit::NotEvaluated,
        };
        let more = match error {
            RegistryError::Conflict(_) => {
                format!("\n  look at it: assay dataset get {id}; then apply again")
            }
            error if !error.nothing_happened() => {
                format!("\n  whether it was changed is not known: assay dataset history {id}")
            }
            _ => String::new(),
        };
        coded(exit, format!("{error}{more}"))
    }

    async fn list(shared: &Shared, cx: &Context) -> Result<Exit> {
        let listing = shared.list().await?;
        let mut out = match listing.definitions.is_empty() {
            true => format!(
                "No datasets in {}. Put one: assay dataset apply -f FILE\n",
                shared.place()
            ),
            false => rows(&listing),
        };
        out.push_str(&invalid(&listing));
        cx.screen.text(&out)?;
        listed(&listing, cx)
    }

    async fn get(shared: &Shared, id: &str, cx: &Context) -> Result<Exit> {
        // A whole id needs no list, which reads the whole table.
        if let Ok(whole) = DatasetId::new(id)
            && let Some(found) = shared.get(&whole).await?
        {
            return shown(&found, cx);
        }
        let listing = shared.list().await?;
        let ids = listing.definitions.iter().map(|d| d.dataset.id.to_string());
        let name = by_prefix("dataset", id, &ids.collect::<Vec<_>>())?;
        let mut found = listing.definitions.iter();
        match found.find(|d| d.dataset.id.as_str() == name) {
            Some(definition) => shown(definition, cx),
            None => Err(coded(Exit::Usage, format!("there is no dataset `{name}`"))),
        }
    }

    async fn history(
        shared: &Shared,
        id: &str,
        revision: Option<u64>,
        cx: &Context,
    ) -> Result<Exit> {
        let known = DatasetId::new(id).or_exit(Exit::Usage)?;
        if let Some(number) = revision {
            let Some((found, text)) = shared.version(&known, number).await? else {
                let why = format!("`{id}` has no revision {number}: assay dataset history {id}");
                return Err(coded(Exit::Usage, why));
            };
            let end = if text.ends_with('\n') { "" } else { "\n" };
            cx.screen.text(&format!("{text}{end}"))?;
            let items = [json!({"revision": found.revision, "digest": found.digest, "text": text})];
            cx.screen
                .items("DatasetRevision", &items, &json!({}), Exit::Ok)?;
            return Ok(Exit::Ok);
        }
        let versions = shared.versions(&known).await?;
        if versions.is_empty() {
            return Err(coded(Exit::Usage, format!("there is no dataset `{id}`")));
        }
        let mut rows = table::table(&["REVISION", "VERSION", "STATUS", "OWNER", "PUT", "BY"]);
        let mut items = Vec::new();
        for one in &versions {
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
                "digest": one.digest,
                "at": one.at,
                "by": one.by,
            }));
        }
        cx.screen.text(&table::print(&rows))?;
        cx.screen
            .items("DatasetRevisionList", &items, &json!({}), Exit::Ok)?;
        Ok(Exit::Ok)
    }
}
