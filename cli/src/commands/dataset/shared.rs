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
    use std::path::PathBuf;

    use anyhow::bail;
    use assay_answers::definition::VersionRow;
    use assay_model::dataset::Dataset;
    use assay_model::ids::DatasetId;
    use assay_registry::{Conflict, Precondition, Registry, RegistryError};

    use super::super::apply::{Done, Wanted, alike, tell, valid};
    use super::super::{
        Source, expand, invalid, listed, retire, rows, shown, version_shown, versions_shown,
    };
    use super::{Context, DatasetCommand, Exit, Result};
    use crate::client::coded;
    use crate::cloud::{Shared, open};
    use crate::commands::by_prefix;
    use crate::exit::OrExit;

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
        let wanted: Result<Vec<Wanted>> = sources.into_iter().map(kept).collect();
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

    /// A definition that means the same wherever it is read.
    fn kept((source, dataset): (Source, Dataset)) -> Result<Wanted> {
        alike(&source, &dataset, "the shared registry")?;
        Ok(Wanted {
            path: source.path,
            dataset,
            text: source.text,
            moved: Vec::new(),
        })
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
            return version_shown(found.revision, found.digest.as_deref(), &text, cx);
        }
        let versions = shared.versions(&known).await?;
        if versions.is_empty() {
            return Err(coded(Exit::Usage, format!("there is no dataset `{id}`")));
        }
        let rows = versions.into_iter().map(|one| VersionRow {
            // Which one is in force is not shown.
            in_force: false,
            revision: one.revision,
            version: one.version,
            status: one.status,
            owner: one.owner,
            digest: one.digest.unwrap_or_default(),
            at: one.at,
            by: one.by,
        });
        versions_shown(&rows.collect::<Vec<_>>(), cx)
    }
}
