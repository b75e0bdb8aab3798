//! The files of a Delta log: which there are, and which of them make a version of the table.
//!
//! In: a listing of `_delta_log`. Out: for a version the checkpoint to begin with and the commits
//! behind it, without a gap. `_last_checkpoint` is a hint for readers that do not list: it is not
//! looked at, so that it cannot lead astray. It must never pass over a missing commit.

use std::collections::BTreeMap;

use assay_model::partition::ObjectRef;

use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::object::{Objects, ReadAt};

/// The folder of the log.
pub(crate) const FOLDER: &str = "_delta_log";
/// The folder of the sidecars of checkpoints, below that.
const SIDECARS: &str = "_delta_log/_sidecars/";
/// Digits of a version in the name of a file.
const VERSION_DIGITS: usize = 20;
/// Digits of a part's number.
const PART_DIGITS: usize = 10;
/// Bytes of a log that are read at a time.
const PIECE: usize = 1 << 20;
/// Looks at a log that seems to have a hole: a listing of a folder is no snapshot of it.
const LOOKS: usize = 3;

/// What a file of the log is, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Commit(u64),
    /// A checkpoint: its version, what tells it from others of that version, and its place among
    /// its parts.
    Checkpoint(u64, String, u32, u32),
}

/// A checkpoint that is there whole.
#[derive(Debug, Clone)]
pub(super) struct Checkpoint {
    pub(super) version: u64,
    pub(super) parts: Vec<ObjectRef>,
}

/// The files of a log.
#[derive(Debug, Default)]
pub(super) struct Log {
    commits: BTreeMap<u64, ObjectRef>,
    checkpoints: BTreeMap<u64, Checkpoint>,
    sidecars: BTreeMap<String, ObjectRef>,
}

/// What makes a version of the table.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) version: u64,
    pub(super) checkpoint: Option<Checkpoint>,
    /// The commits behind it, in order.
    pub(super) commits: Vec<(u64, ObjectRef)>,
}

impl Segment {
    /// The last of its files.
    pub(super) fn newest(&self) -> Option<ObjectRef> {
        let commit = self.commits.last().map(|(_, object)| object);
        let checkpoint = self.checkpoint.as_ref();
        commit
            .or_else(|| checkpoint.and_then(|checkpoint| checkpoint.parts.first()))
            .cloned()
    }
}

fn digits(text: &str, count: usize) -> Option<u64> {
    let plain = text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// What a name in the folder of the log says; `None` for files that are not needed.
fn named(name: &str) -> Option<Named> {
    let (version, rest) = name.split_once('.')?;
    let version = digits(version, VERSION_DIGITS)?;
    if rest == "json" {
        return Some(Named::Commit(version));
    }
    let parts: Vec<&str> = rest.strip_prefix("checkpoint.")?.split('.').collect();
    match parts.as_slice() {
        ["parquet"] => Some(Named::Checkpoint(version, String::new(), 1, 1)),
        [id, "parquet" | "json"] if is_uuid(id) => {
            Some(Named::Checkpoint(version, (*id).to_owned(), 1, 1))
        }
        [part, of, "parquet"] => {
            let part = u32::try_from(digits(part, PART_DIGITS)?).ok()?;
            let of = u32::try_from(digits(of, PART_DIGITS)?).ok()?;
            let fits = (1..=of).contains(&part);
            fits.then(|| Named::Checkpoint(version, format!("of {of}"), part, of))
        }
        _ => None,
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// Whether a path below the root of a place is a file of a Delta log.
#[must_use]
pub(crate) fn is_of_log(path: &str) -> bool {
    let name = path.strip_prefix(FOLDER).and_then(|p| p.strip_prefix('/'));
    name.is_some_and(|name| named(name).is_some())
}

impl Log {
    /// Lists the log of a table, and finds what makes `version`, or its newest version.
    ///
    /// # Errors
    /// [`ScanError::Definition`] when there is no log; [`ScanError::Corrupt`] naming the version
    /// that is missing; [`ScanError::Changed`] when `version` cannot be made any more.
    pub(super) fn open(
        objects: &Objects,
        version: Option<u64>,
        context: &ScanContext,
    ) -> Result<(Self, Segment), ScanError> {
        let mut looks = 1;
        loop {
            let log = Self::list(objects, context)?;
            match log.segment(version) {
                Ok(segment) => return Ok((log, segment)),
                Err(_) if looks < LOOKS => looks += 1,
                Err(what) => {
                    let path = format!("{}/{FOLDER}", objects.root().trim_end_matches('/'));
                    return Err(match version {
                        // What was planned is gone: the log was cleaned up since.
                        Some(_) => ScanError::Changed { path, what },
                        None => ScanError::corrupt(path, Place::file(), what),
                    });
                }
            }
        }
    }

    fn list(objects: &Objects, context: &ScanContext) -> Result<Self, ScanError> {
        let root = objects.root();
        let nothing = |what: String| ScanError::Definition {
            path: root.clone(),
            place: Place::file(),
            what,
            remedy: "name the folder of a Delta table, the one that holds `_delta_log`, under \
                     `servers`"
                .to_owned(),
        };
        if objects.pattern().is_some() || objects.single().is_some() {
            let what = "a Delta table is a folder, not a file or a pattern";
            return Err(nothing(what.to_owned()));
        }
        let mut log = Self::default();
        let mut parts: BTreeMap<(u64, String, u32), BTreeMap<u32, ObjectRef>> = BTreeMap::new();
        for item in objects.walk(FOLDER) {
            context.check(&root)?;
            let object = match item {
                Ok(object) => object,
                Err(ScanError::Changed { .. }) if log.is_empty() && parts.is_empty() => break,
                Err(error) => return Err(error),
            };
            if let Some(name) = object.path.strip_prefix(SIDECARS) {
                log.sidecars.insert(name.to_owned(), object);
                continue;
            }
            let name = object.path.strip_prefix(FOLDER).unwrap_or(&object.path);
            match named(name.trim_start_matches('/')) {
                Some(Named::Commit(version)) => {
                    log.commits.insert(version, object);
                }
                Some(Named::Checkpoint(version, id, part, of)) => {
                    let own = parts.entry((version, id, of)).or_default();
                    own.insert(part, object);
                }
                None => {}
            }
        }
        for ((version, _, of), own) in parts {
            // One that is still being written, or was never finished, is none.
            if own.len() as u64 == u64::from(of) {
                let parts = own.into_values().collect();
                log.checkpoints
                    .insert(version, Checkpoint { version, parts });
            }
        }
        if log.is_empty() {
            return Err(nothing("it holds no Delta log".to_owned()));
        }
        Ok(log)
    }

    fn is_empty(&self) -> bool {
        self.commits.is_empty() && self.checkpoints.is_empty() && self.sidecars.is_empty()
    }

    /// What makes `version`, or the newest version.
    fn segment(&self, version: Option<u64>) -> Result<Segment, String> {
        let newest = self
            .commits
            .last_key_value()
            .map(|(version, _)| *version)
            .max(
                self.checkpoints
                    .last_key_value()
                    .map(|(version, _)| *version),
            )
            .ok_or("the log has neither a commit nor a whole checkpoint")?;
        let version = version.unwrap_or(newest);
        let checkpoint = self
            .checkpoints
            .range(..=version)
            .next_back()
            .map(|(_, checkpoint)| checkpoint.clone());
        let mut next = checkpoint.as_ref().map_or(0, |c| c.version + 1);
        let mut commits = Vec::new();
        for (at, object) in self.commits.range(next..) {
            if *at != next || *at > version {
                break;
            }
            commits.push((*at, object.clone()));
            next += 1;
        }
        if next > version {
            return Ok(Segment {
                version,
                checkpoint,
                commits,
            });
        }
        let from = match &checkpoint {
            Some(checkpoint) => format!("behind the checkpoint of version {}", checkpoint.version),
            None => "and no checkpoint stands for it".to_owned(),
        };
        Err(format!(
            "the log has a hole: version {next} is missing, {from}; version {version} cannot be told"
        ))
    }

    /// The sidecar that a checkpoint names.
    ///
    /// # Errors
    /// What is wrong with the name, or that there is no such file.
    pub(super) fn sidecar(&self, told: &str, root: &str) -> Result<&ObjectRef, String> {
        let path = super::path::resolve(told, root)?;
        let name = path.strip_prefix(SIDECARS).unwrap_or(&path);
        self.sidecars
            .get(name)
            .ok_or_else(|| format!("the checkpoint names the sidecar {name:?}, which is not there"))
    }
}

/// Gives every line of an object to `take`, with its number from 1; a line may have `most` bytes.
pub(super) fn lines(
    objects: &Objects,
    object: &ObjectRef,
    most: u64,
    context: &ScanContext,
    mut take: impl FnMut(&[u8], &str, u64) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    let reader = objects.reader(object)?;
    let path = reader.path().to_owned();
    let (mut at, mut number, mut rest) = (0, 0, Vec::new());
    while at < reader.size() {
        context.check(&path)?;
        let length = (reader.size() - at).min(PIECE as u64);
        let begun = rest.len();
        rest.resize(begun + length as usize, 0);
        reader.read_exact_at(at, &mut rest[begun..])?;
        at += length;
        let mut from = 0;
        while let Some(end) = memchr::memchr(b'\n', &rest[from..]) {
            number += 1;
            take(rest[from..from + end].trim_ascii(), &path, number)?;
            from += end + 1;
        }
        rest.drain(..from);
        if rest.len() as u64 > most {
            return Err(ScanError::Unsupported {
                path,
                place: Place::line(number + 1),
                what: format!("an action of more than {most} bytes"),
                remedy: "give the scan more memory".to_owned(),
            });
        }
    }
    take(rest.trim_ascii(), &path, number + 1)?;
    reader.verify_unchanged()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(names: &[&str]) -> Log {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("_delta_log/_sidecars")).unwrap();
        for name in names {
            std::fs::write(folder.path().join(FOLDER).join(name), "{}").unwrap();
        }
        let files = crate::object::Files::open(&folder.path().display().to_string()).unwrap();
        Log::list(&Objects::Files(files), &ScanContext::default()).unwrap()
    }

    #[test]
    fn a_version_is_made_of_a_whole_checkpoint_and_every_commit_behind_it() {
        let names = [
            "00000000000000000000.json",
            "00000000000000000001.json",
            "00000000000000000002.json",
            "00000000000000000003.json",
            "00000000000000000003.crc",
            "00000000000000000001.checkpoint.parquet",
            "00000000000000000002.checkpoint.0000000001.0000000002.parquet",
            "00000000000000000001.00000000000000000002.compacted.json",
            "00000000000000000003.checkpoint.3a0d65cd-4056-49b8-937b-95f9e3ee90e5.json.tmp",
            "_last_checkpoint",
        ];
        let all = log(&names);
        let newest = all.segment(None).unwrap();
        assert_eq!((newest.version, newest.commits.len()), (3, 2));
        assert_eq!(newest.checkpoint.unwrap().version, 1);
        assert_eq!(all.segment(Some(0)).unwrap().commits.len(), 1);
        let cut = log(&[names[0], names[1], names[3]]);
        let told = cut.segment(None).unwrap_err();
        assert!(told.contains("version 2 is missing"), "{told}");
        assert_eq!(cut.segment(Some(1)).unwrap().version, 1);
        let late = log(&[names[3]]).segment(None).unwrap_err();
        assert!(late.contains("version 0 is missing"), "{late}");
    }

    #[test]
    fn a_sidecar_is_one_of_the_files_in_its_folder() {
        let log = log(&["00000000000000000000.json", "_sidecars/a.parquet"]);
        assert!(log.sidecar("a.parquet", "/t").is_ok());
        assert!(log.sidecar("_delta_log/_sidecars/a.parquet", "/t").is_ok());
        for odd in [
            "b.parquet",
            "../a.parquet",
            "/t/a.parquet",
            "file:///x/a.parquet",
        ] {
            let known = log.sidecar(odd, "/t").is_ok();
            assert_eq!(known, odd == "/t/a.parquet", "{odd}");
        }
    }
}
