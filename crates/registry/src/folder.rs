//! A folder of dataset files as a registry.
//!
//! In: the files `*.yaml` and `*.yml` of one folder, as their owners edit them. Out: the
//! definitions in force. A file that has become invalid keeps its last good definition in force;
//! two files of one dataset are an error that names both. A change is written beside the file and
//! put in its place in one step, so that no reader sees half of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use assay_contract::{Code, Diagnostic, Parsed};
use assay_model::dataset::DatasetStatus;
use assay_model::ids::DatasetId;
use async_trait::async_trait;

use crate::port::{
    Clock, Conflict, Definition, InvalidFile, Listing, Precondition, Registry, RegistryError,
    at_start, digest,
};

/// A file whose time is this close to the moment of reading may change without another time.
const SETTLED: Duration = Duration::from_secs(2);

/// Files written by this process, so that no two writers share the name of a temporary file.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// A registry in a folder.
#[derive(Clone)]
pub struct FolderRegistry {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    base_dir: PathBuf,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, File>,
}

/// What is known of one file.
struct File {
    /// Size and time at the last reading; absent when it has to be read again.
    mark: Option<(u64, SystemTime)>,
    text: Arc<str>,
    diagnostics: Vec<Diagnostic>,
    /// The last definition that was good, and whether the file still says it.
    good: Option<Definition>,
    current: bool,
    /// Another file defines the same dataset; that file.
    rival: Option<PathBuf>,
    /// Whether its definition is in force.
    in_force: bool,
}

impl FolderRegistry {
    /// A registry in `folder`, which is made when it is not there. Paths of local servers are
    /// relative to `base_dir`.
    ///
    /// # Errors
    /// [`RegistryError::Io`] when the folder cannot be made or read.
    pub fn open(folder: &Path, base_dir: &Path, clock: Clock) -> Result<Self, RegistryError> {
        std::fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
        let inner = Inner {
            folder: folder.to_path_buf(),
            base_dir: base_dir.to_path_buf(),
            clock,
            state: Mutex::default(),
        };
        inner.refresh(&mut inner.lock())?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Runs `work` where waiting for a disk holds up nobody.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, RegistryError> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(|error| RegistryError::Stopped(error.to_string()))?
    }
}

#[async_trait]
impl Registry for FolderRegistry {
    async fn get(&self, id: &DatasetId) -> Result<Option<Definition>, RegistryError> {
        let id = id.clone();
        self.blocking(move |inner| {
            let mut state = inner.lock();
            inner.refresh(&mut state)?;
            Ok(state.definition(&id).map(|(_, d)| d.clone()))
        })
        .await
    }

    async fn list(&self) -> Result<Listing, RegistryError> {
        self.blocking(|inner| {
            let mut state = inner.lock();
            inner.refresh(&mut state)?;
            Ok(state.listing())
        })
        .await
    }

    async fn put(
        &self,
        text: &str,
        precondition: Precondition,
    ) -> Result<Definition, RegistryError> {
        let text = text.to_owned();
        self.blocking(move |inner| inner.put(&mut inner.lock(), &text, &precondition))
            .await
    }

    async fn retire(&self, id: &DatasetId, expected: &str) -> Result<Definition, RegistryError> {
        let (id, expected) = (id.clone(), expected.to_owned());
        self.blocking(move |inner| {
            let mut state = inner.lock();
            inner.refresh(&mut state)?;
            let Some((path, found)) = state.definition(&id) else {
                return Err(RegistryError::NotFound(id));
            };
            if found.digest != expected || inner.on_disk(&path)?.as_ref() != Some(&expected) {
                let found = inner.on_disk(&path)?;
                return Err(RegistryError::Conflict(Conflict {
                    id,
                    found,
                    told: String::new(),
                }));
            }
            let text = assay_contract::with_status(&found.text, DatasetStatus::Retired)
                .unwrap_or_else(|| found.text.to_string());
            inner.put(&mut state, &text, &Precondition::Digest(expected))
        })
        .await
    }
}

impl State {
    /// The definition in force of a dataset, and its file.
    fn definition(&self, id: &DatasetId) -> Option<(PathBuf, &Definition)> {
        self.files.iter().find_map(|(path, file)| {
            let good = file
                .good
                .as_ref()
                .filter(|d| file.in_force && d.dataset.id == *id)?;
            Some((path.clone(), good))
        })
    }

    fn listing(&self) -> Listing {
        let mut listing = Listing::default();
        for (path, file) in &self.files {
            let good = file.good.as_ref().filter(|_| file.in_force);
            if let Some(definition) = good {
                let kept = !file.current;
                listing.definitions.push(Definition {
                    kept,
                    ..definition.clone()
                });
            }
            let mut diagnostics = file.diagnostics.clone();
            diagnostics.extend(
                file.rival
                    .as_ref()
                    .map(|rival| duplicate(path, file, rival)),
            );
            if file.current && file.rival.is_none() {
                listing.warnings.extend(diagnostics);
            } else {
                listing.invalid.push(InvalidFile {
                    origin: path.display().to_string(),
                    text: Arc::clone(&file.text),
                    diagnostics,
                    kept: good.map(|d| (d.dataset.id.clone(), d.since)),
                });
            }
        }
        listing
            .definitions
            .sort_by(|a, b| a.dataset.id.cmp(&b.dataset.id));
        listing
    }

    /// Decides which file's definition is in force where several define one dataset: the one that
    /// was before; none when they came together.
    fn settle(&mut self) {
        let mut claims: BTreeMap<DatasetId, Vec<PathBuf>> = BTreeMap::new();
        for (path, file) in &self.files {
            if let Some(good) = &file.good {
                claims
                    .entry(good.dataset.id.clone())
                    .or_default()
                    .push(path.clone());
            }
        }
        for file in self.files.values_mut() {
            file.rival = None;
        }
        for paths in claims.into_values() {
            let before = paths
                .iter()
                .find(|p| self.files.get(*p).is_some_and(|f| f.in_force));
            let before = before.cloned();
            for path in &paths {
                let Some(file) = self.files.get_mut(path) else {
                    continue;
                };
                if paths.len() == 1 {
                    file.in_force = true;
                } else {
                    file.in_force = before.as_ref() == Some(path);
                    file.rival = paths.iter().find(|p| *p != path).cloned();
                }
            }
        }
    }
}

impl Inner {
    /// The state. A panic while it was held can only have left a file to be read again.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the state up to date with the folder.
    fn refresh(&self, state: &mut State) -> Result<(), RegistryError> {
        let mut there = Vec::new();
        let entries = std::fs::read_dir(&self.folder).map_err(|e| io(&self.folder, e))?;
        for entry in entries {
            let path = entry.map_err(|e| io(&self.folder, e))?.path();
            if is_dataset_file(&path) {
                there.push(path);
            }
        }
        there.sort();
        state
            .files
            .retain(|path, _| there.binary_search(path).is_ok());
        for path in there {
            self.refresh_file(state, path);
        }
        state.settle();
        Ok(())
    }

    fn refresh_file(&self, state: &mut State, path: PathBuf) {
        let mark = std::fs::metadata(&path)
            .and_then(|m| Ok((m.len(), m.modified()?)))
            .ok();
        if let Some(file) = state.files.get(&path)
            && mark.is_some()
            && file.mark == mark
        {
            return;
        }
        let settled = mark.filter(|(_, at)| at.elapsed().is_ok_and(|age| age > SETTLED));
        let too_large = mark.is_some_and(|(size, _)| size > assay_contract::BYTES_MAX as u64);
        let read = if too_large {
            let limit = assay_contract::BYTES_MAX;
            Err(std::io::Error::other(format!(
                "the file has more than {limit} bytes"
            )))
        } else {
            std::fs::read(&path)
        };
        let old = state.files.remove(&path);
        let text: Arc<str> = match &read {
            Ok(bytes) => String::from_utf8_lossy(bytes).into(),
            Err(_) => Arc::from(""),
        };
        let same = old
            .as_ref()
            .is_some_and(|old| read.is_ok() && old.text == text);
        let file = match (old, read) {
            (Some(old), Ok(_)) if same => File {
                mark: settled,
                ..old
            },
            (old, read) => {
                let name = path.display().to_string();
                let parsed = match read {
                    Ok(bytes) => assay_contract::parse_bytes(&name, &bytes, &self.base_dir),
                    Err(error) => unreadable(&name, &error),
                };
                self.file(&path, text, parsed, settled, old)
            }
        };
        state.files.insert(path, file);
    }

    /// What a reading of a file makes of what was known of it.
    fn file(
        &self,
        path: &Path,
        text: Arc<str>,
        parsed: Parsed,
        mark: Option<(u64, SystemTime)>,
        old: Option<File>,
    ) -> File {
        let invalid = parsed.has_errors();
        let (before, was_in_force) = old.map_or((None, false), |f| (f.good, f.in_force));
        let current = parsed.dataset.is_some();
        let good = match parsed.dataset {
            Some(dataset) => Some(Definition {
                dataset: Arc::new(dataset),
                digest: digest(&text),
                text: Arc::clone(&text),
                origin: path.display().to_string(),
                since: (self.clock)(),
                kept: false,
            }),
            // An invalid file keeps what it said before; a valid one that this version does not
            // run has been changed on purpose.
            None => before.clone().filter(|_| invalid),
        };
        let same_dataset = match (&before, &good) {
            (Some(a), Some(b)) => a.dataset.id == b.dataset.id,
            _ => false,
        };
        File {
            mark,
            text,
            diagnostics: parsed.diagnostics,
            good,
            current,
            rival: None,
            in_force: was_in_force && same_dataset,
        }
    }

    /// The digest of what is on the disk.
    fn on_disk(&self, path: &Path) -> Result<Option<String>, RegistryError> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Some(digest(&String::from_utf8_lossy(&bytes)))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io(path, error)),
        }
    }

    fn put(
        &self,
        state: &mut State,
        text: &str,
        precondition: &Precondition,
    ) -> Result<Definition, RegistryError> {
        self.refresh(state)?;
        let parsed = assay_contract::parse("definition", text, &self.base_dir);
        let Some(dataset) = parsed.dataset else {
            return Err(RegistryError::Invalid(parsed.diagnostics));
        };
        let id = dataset.id;
        let claims = |f: &File| f.good.as_ref().is_some_and(|d| d.dataset.id == id);
        let known = state.files.iter().find(|(_, f)| f.in_force && claims(f));
        let known = known.or_else(|| state.files.iter().find(|(_, f)| claims(f)));
        let path = known.map_or_else(
            || self.folder.join(format!("{id}.odcs.yaml")),
            |(path, _)| path.clone(),
        );
        let found = self.on_disk(&path)?;
        let holds = match precondition {
            Precondition::Absent => found.is_none(),
            Precondition::Digest(expected) => found.as_ref() == Some(expected),
        };
        if !holds {
            return Err(RegistryError::Conflict(Conflict {
                id,
                found,
                told: String::new(),
            }));
        }
        if !self.write(&path, text, found.is_none())? {
            let found = self.on_disk(&path)?;
            return Err(RegistryError::Conflict(Conflict {
                id,
                found,
                told: String::new(),
            }));
        }
        if let Some(file) = state.files.get_mut(&path) {
            file.mark = None;
        }
        self.refresh(state)?;
        let written = state.definition(&id).map(|(_, d)| d.clone());
        written.filter(|d| *d.text == *text).ok_or_else(|| {
            let found = self.on_disk(&path).ok().flatten();
            RegistryError::Conflict(Conflict {
                id,
                found,
                told: String::new(),
            })
        })
    }

    /// Puts `text` in the place of `path` in one step. With `new`, another file that has come in
    /// the meantime is left alone, and the answer is `false`.
    fn write(&self, path: &Path, text: &str, new: bool) -> Result<bool, RegistryError> {
        let no = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let beside = self
            .folder
            .join(format!(".assay-{}-{no}.tmp", std::process::id()));
        let result = (|| {
            let mut file = std::fs::File::create_new(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            if !new {
                return std::fs::rename(&beside, path).map(|()| true);
            }
            match std::fs::hard_link(&beside, path) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
                // A file system without links: the check before is all there is.
                Err(_) => std::fs::rename(&beside, path).map(|()| true),
            }
        })();
        // It is gone after a rename, and of no use otherwise.
        let _ = std::fs::remove_file(&beside);
        result.map_err(|error| io(path, error))
    }
}

fn io(place: &Path, source: std::io::Error) -> RegistryError {
    RegistryError::Io {
        place: place.display().to_string(),
        source,
    }
}

/// Dataset files end in `.yaml` or `.yml` and are not hidden.
fn is_dataset_file(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|n| n.to_str())
        .unwrap_or_default();
    let yaml = Path::new(name)
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("yaml") || e.eq_ignore_ascii_case("yml"));
    yaml && !name.starts_with('.') && !path.is_dir()
}

fn unreadable(name: &str, error: &std::io::Error) -> Parsed {
    let message = format!("the file cannot be read: {error}");
    let hint = "check that it exists and can be read";
    Parsed {
        dataset: None,
        document: None,
        diagnostics: vec![at_start(name, Code::Unreadable, message, hint)],
    }
}

/// The error of a file whose dataset another file defines too.
fn duplicate(path: &Path, file: &File, rival: &Path) -> Diagnostic {
    let id = file.good.as_ref().map_or("", |d| d.dataset.id.as_str());
    let message = format!("`{id}` is defined here and in {}", rival.display());
    let hint = if file.in_force {
        "this one was first and stays in force; give the other an `id` of its own"
    } else {
        "it is not in force; give it an `id` of its own, or remove one of the files"
    };
    at_start(
        &path.display().to_string(),
        Code::DuplicateDataset,
        message,
        hint,
    )
}
