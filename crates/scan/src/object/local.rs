//! Files of this machine: a walk of a folder, and reads pinned to what it showed.
//!
//! In: an absolute path or pattern. Out: an [`ObjectRef`] for every file, and readers that are
//! pinned to it: a file that differs in size or time of change is an error, before and after it is
//! read. Nothing outside the root is ever opened or listed, neither by `..` nor through a symbolic
//! link. A symbolic link to something below the root is refused by the listing as another name of
//! it, so that no row counts twice; hard links have no real name and are files of their own.
//!
//! Local files are listed by a walk of our own and not by a library for object stores: those
//! encode names (`x#1` has no path of theirs that reads back as the same file), follow links
//! without telling where they lead, and pass over what they cannot name, so that a partition could
//! seem gone that is not. Here every entry is listed, told as refused, or an error.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use assay_model::partition::ObjectRef;
use jiff::Timestamp;

use super::ReadAt;
use crate::error::{Place, ScanError};
use crate::reach::PinnedRead;

/// The files of one location.
#[derive(Debug, Clone)]
pub struct Files {
    /// The folder that every path is relative to, without symbolic links.
    root: PathBuf,
    /// The pattern below the root, as written.
    pattern: Option<String>,
    /// The one file, when the location is a file.
    single: Option<String>,
}

impl Files {
    /// Opens a location. Its root is the folder itself, the folder of a single file, or the longest
    /// leading part of a pattern that has neither `*`, `?`, `[` nor `{`.
    ///
    /// # Errors
    /// [`ScanError::Definition`] when the root does not exist or the path is not absolute.
    pub fn open(path: &str) -> Result<Self, ScanError> {
        let refuse = |what: String| ScanError::Definition {
            path: path.to_owned(),
            place: Place::file(),
            what,
            remedy: "correct the path under `servers` in the dataset's document".to_owned(),
        };
        if !path.starts_with('/') {
            return Err(refuse("the location is not an absolute path".to_owned()));
        }
        let is_pattern = |part: &str| part.contains(['*', '?', '[', '{']);
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let plain = parts.iter().take_while(|part| !is_pattern(part)).count();
        let mut folder: PathBuf = std::iter::once("/")
            .chain(parts[..plain].iter().copied())
            .collect();
        let pattern = (plain < parts.len()).then(|| parts[plain..].join("/"));
        let mut single = None;
        if pattern.is_none() && folder.is_file() {
            single = folder
                .file_name()
                .and_then(|name| name.to_str())
                .map(str::to_owned);
            folder.pop();
        }
        let root = folder
            .canonicalize()
            .map_err(|error| refuse(format!("cannot open {}: {error}", folder.display())))?;
        Ok(Self {
            root,
            pattern,
            single,
        })
    }

    /// The folder that every path is relative to.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The pattern below the root, as written; `None` when the location is a file or folder.
    #[must_use]
    pub fn pattern(&self) -> Option<&str> {
        self.pattern.as_deref()
    }

    /// The name of the one file, when the location is a file.
    #[must_use]
    pub fn single(&self) -> Option<&str> {
        self.single.as_deref()
    }

    /// Lists every file below `prefix` (a folder relative to the root; empty for all), in the order
    /// of names within each folder. What cannot be listed is an item of its own: a symbolic link
    /// ([`ScanError::Refused`]; the location itself may be one), a name that is not UTF-8, a folder
    /// that cannot be read. Files that vanish while the listing runs are left out.
    pub fn walk(&self, prefix: &str) -> impl Iterator<Item = Result<ObjectRef, ScanError>> + use<> {
        Walk::new(self.clone(), prefix)
    }

    /// Opens an object that a listing showed.
    ///
    /// # Errors
    /// [`ScanError::Changed`] when its size or time of change is another than listed,
    /// [`ScanError::Refused`] when its path leaves the root.
    pub fn reader(&self, object: &ObjectRef) -> Result<FileReader, ScanError> {
        let path = self.resolve(&object.path)?;
        let name = path.display().to_string();
        let file = File::open(&path).map_err(|error| ScanError::io(&name, "open it", error))?;
        let reader = FileReader {
            file,
            name,
            object: object.clone(),
        };
        reader.verify_unchanged()?;
        Ok(reader)
    }

    /// The real path of `relative`, which must lie below the root.
    fn resolve(&self, relative: &str) -> Result<PathBuf, ScanError> {
        let refused = |why: &str| ScanError::Refused {
            path: relative.to_owned(),
            why: why.to_owned(),
        };
        let plain = Path::new(relative)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !plain || relative.is_empty() {
            return Err(refused("it is not a plain path below the root"));
        }
        let full = self.root.join(relative);
        let real = full
            .canonicalize()
            .map_err(|error| ScanError::io(full.display().to_string(), "open it", error))?;
        if !real.starts_with(&self.root) {
            return Err(refused("a symbolic link leads out of the root"));
        }
        Ok(real)
    }
}

/// An open file, pinned to what the listing showed.
#[derive(Debug)]
pub struct FileReader {
    file: File,
    name: String,
    object: ObjectRef,
}

impl PinnedRead for FileReader {
    fn verify_unchanged(&self) -> Result<(), ScanError> {
        let found = self
            .file
            .metadata()
            .map_err(|error| ScanError::io(&self.name, "look at it", error))?;
        let changed = |what: String| {
            Err(ScanError::Changed {
                path: self.name.clone(),
                what,
            })
        };
        if found.len() != self.object.size {
            return changed(format!("{} bytes became {}", self.object.size, found.len()));
        }
        match modified(&found) {
            Some(at) if at == self.object.modified => Ok(()),
            Some(at) => changed(format!("changed at {} became {at}", self.object.modified)),
            None => changed("its time of change is not told".to_owned()),
        }
    }
}

impl ReadAt for FileReader {
    fn path(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.object.size
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ScanError> {
        self.file.read_exact_at(buffer, offset).map_err(|error| {
            if error.kind() == std::io::ErrorKind::UnexpectedEof {
                let what = format!(
                    "it ends before byte {}",
                    offset.saturating_add(buffer.len() as u64)
                );
                ScanError::Changed {
                    path: self.name.clone(),
                    what,
                }
            } else {
                ScanError::io(&self.name, "read it", error)
            }
        })
    }
}

fn modified(metadata: &Metadata) -> Option<Timestamp> {
    Timestamp::try_from(metadata.modified().ok()?).ok()
}

/// Folders still to be read, and what was found in the folder at hand.
struct Walk {
    objects: Files,
    folders: Vec<PathBuf>,
    found: VecDeque<Result<ObjectRef, ScanError>>,
}

impl Walk {
    fn new(objects: Files, prefix: &str) -> Self {
        let mut walk = Self {
            objects,
            folders: Vec::new(),
            found: VecDeque::new(),
        };
        let start = match (&walk.objects.single, prefix) {
            (Some(name), _) => {
                let path = walk.objects.root.join(name);
                walk.meet(&path);
                return walk;
            }
            (None, "") => walk.objects.root.clone(),
            (None, prefix) => match walk.objects.resolve(prefix.trim_end_matches('/')) {
                Ok(_) => walk.objects.root.join(prefix),
                Err(error) => {
                    walk.found.push_back(Err(error));
                    return walk;
                }
            },
        };
        walk.folders.push(start);
        walk
    }

    fn read_folder(&mut self, folder: &Path) {
        let listed = std::fs::read_dir(folder).and_then(|entries| {
            let mut names = entries
                .map(|entry| entry.map(|e| e.path()))
                .collect::<Result<Vec<_>, _>>()?;
            names.sort_unstable();
            Ok(names)
        });
        let depth = self.folders.len();
        match listed {
            Ok(names) => names.iter().for_each(|path| self.meet(path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let error = ScanError::io(folder.display().to_string(), "list it", error);
                self.found.push_back(Err(error));
            }
        }
        // The last pushed is read first: the order of names needs them the other way round.
        self.folders[depth..].reverse();
    }

    fn meet(&mut self, path: &Path) {
        match self.look_at(path) {
            Ok(Some(object)) => self.found.push_back(Ok(object)),
            Ok(None) => {}
            Err(ScanError::Changed { .. }) => {}
            Err(error) => self.found.push_back(Err(error)),
        }
    }

    fn look_at(&mut self, path: &Path) -> Result<Option<ObjectRef>, ScanError> {
        let name = || path.display().to_string();
        let lost = |error| ScanError::io(path.display().to_string(), "look at it", error);
        let relative = path
            .strip_prefix(&self.objects.root)
            .ok()
            .and_then(Path::to_str);
        let Some(relative) = relative else {
            let why = "its name is not UTF-8".to_owned();
            return Err(ScanError::Refused { path: name(), why });
        };
        let mut metadata = path.symlink_metadata().map_err(lost)?;
        if metadata.is_symlink() {
            let real = match self.objects.resolve(relative) {
                // The link is there and what it names is not: a store that is not mounted.
                Err(ScanError::Changed { .. }) if path.symlink_metadata().is_ok() => {
                    let why = "a symbolic link whose target is not there".to_owned();
                    return Err(ScanError::Refused { path: name(), why });
                }
                other => other?,
            };
            if self.objects.single.is_none() {
                // The walk comes to the real path by itself: its rows would count twice.
                let real = real.strip_prefix(&self.objects.root).unwrap_or(&real);
                let why = match real.to_str() {
                    Some("") => "a symbolic link to the folder that it is in".to_owned(),
                    _ => format!("a symbolic link, another name of {}", real.display()),
                };
                return Err(ScanError::Refused { path: name(), why });
            }
            metadata = real.metadata().map_err(lost)?;
        }
        if metadata.is_dir() {
            self.folders.push(path.to_owned());
            return Ok(None);
        }
        if !metadata.is_file() {
            let why = "it is neither a file nor a folder".to_owned();
            return Err(ScanError::Refused { path: name(), why });
        }
        let Some(modified) = modified(&metadata) else {
            let why = "its time of change is not told".to_owned();
            return Err(ScanError::Refused { path: name(), why });
        };
        Ok(Some(ObjectRef {
            path: relative.to_owned(),
            size: metadata.len(),
            modified,
            etag: None,
        }))
    }
}

impl Iterator for Walk {
    type Item = Result<ObjectRef, ScanError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.found.pop_front() {
                return Some(item);
            }
            let folder = self.folders.pop()?;
            self.read_folder(&folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(path: &Path) -> String {
        path.display().to_string()
    }

    #[test]
    fn a_listing_shows_files_in_order_and_readers_are_pinned_to_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        for name in ["b/2", "b/1", "a", "c"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let objects = Files::open(&location(folder.path())).unwrap();
        let listed: Vec<_> = objects.walk("").map(Result::unwrap).collect();
        let mut paths: Vec<_> = listed.iter().map(|o| o.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["a", "b/1", "b/2", "c"]);
        let reader = objects.reader(&listed[0]).unwrap();
        let mut bytes = [0; 1];
        reader.read_exact_at(0, &mut bytes).unwrap();
        std::fs::write(folder.path().join("a"), "longer").unwrap();
        assert!(matches!(
            reader.verify_unchanged(),
            Err(ScanError::Changed { .. })
        ));
        assert!(matches!(
            objects.reader(&listed[0]),
            Err(ScanError::Changed { .. })
        ));
    }

    #[test]
    fn a_link_below_the_root_is_told_and_counts_nothing_twice() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("dt=1")).unwrap();
        std::fs::write(folder.path().join("dt=1/a.csv"), "x").unwrap();
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(folder.path().join(to), folder.path().join(name)).unwrap();
        };
        link("dt=1", "latest");
        link("dt=1/a.csv", "b.csv");
        link("", "dt=1/up");
        let objects = Files::open(&location(folder.path())).unwrap();
        let (listed, refused): (Vec<_>, Vec<_>) = objects.walk("").partition(Result::is_ok);
        let paths: Vec<_> = listed.into_iter().map(|item| item.unwrap().path).collect();
        assert_eq!(paths, ["dt=1/a.csv"]);
        let told: Vec<_> = refused
            .into_iter()
            .map(|item| item.unwrap_err().to_string())
            .collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(
            told.iter()
                .any(|t| t.contains("another name of dt=1/a.csv")),
            "{told:?}"
        );
        let single = Files::open(&location(&folder.path().join("b.csv"))).unwrap();
        assert_eq!(single.walk("").filter(Result::is_ok).count(), 1);
    }

    #[test]
    fn a_path_that_leaves_the_root_is_refused() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        let objects = Files::open(&location(folder.path())).unwrap();
        let items: Vec<_> = objects.walk("").collect();
        assert_eq!(items.len(), 2);
        assert!(
            items
                .iter()
                .all(|item| matches!(item, Err(ScanError::Refused { .. })))
        );
        for path in ["../x", "/etc/passwd", "link/secret", ""] {
            let object = ObjectRef {
                path: path.to_owned(),
                size: 1,
                modified: Timestamp::UNIX_EPOCH,
                etag: None,
            };
            assert!(
                matches!(objects.reader(&object), Err(ScanError::Refused { .. })),
                "{path}"
            );
        }
    }

    #[test]
    fn a_pattern_is_rooted_at_its_plain_part_and_a_file_at_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.csv"), "x").unwrap();
        let pattern = format!("{}/t_{{y}}/*.csv", folder.path().display());
        let objects = Files::open(&pattern).unwrap();
        assert_eq!(objects.pattern(), Some("t_{y}/*.csv"));
        let single = Files::open(&location(&folder.path().join("a.csv"))).unwrap();
        assert_eq!(single.single(), Some("a.csv"));
        assert_eq!(single.walk("").count(), 1);
    }
}
