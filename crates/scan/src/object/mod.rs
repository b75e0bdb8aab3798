//! Objects of a source: where they are, what a listing shows of them, and reads at an offset.
//!
//! In: a [`Source`]. Out: a listing of [`ObjectRef`]s with paths relative to the location's root,
//! and readers that are pinned to what the listing showed. Files of this machine are read by
//! [`local`]; a bucket's objects through the port [`crate::reach`]. Nothing outside the root is ever
//! opened or listed.

pub mod local;
pub mod parquet;

use std::sync::Arc;

use assay_model::dataset::{Location, Source};
use assay_model::partition::ObjectRef;

use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::reach::{Listing, PinnedRead, RemoteObjects};

pub use local::{FileReader, Files};

/// Reads at an offset from something that does not change.
pub trait ReadAt: Send + Sync {
    /// The name that errors give it.
    fn path(&self) -> &str;

    /// Its size, in bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// [`ScanError::Changed`] when it has become shorter, [`ScanError::Io`] when it cannot be read.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ScanError>;
}

/// The objects of one location.
#[derive(Debug, Clone)]
pub enum Objects {
    /// Files of this machine.
    Files(Files),
    /// Objects of a bucket.
    Remote(Arc<dyn RemoteObjects>),
}

impl Objects {
    /// Opens the location of a source. Its root is the folder itself, the folder of a single file,
    /// or the longest leading part of a pattern that has neither `*`, `?`, `[` nor `{`.
    ///
    /// # Errors
    /// [`ScanError::Definition`] when the root does not exist or cannot be one, or the source is no
    /// place of objects; the errors of [`crate::reach::Reach::objects`].
    pub fn open(source: &Source, context: &ScanContext) -> Result<Self, ScanError> {
        match &source.location {
            Location::Local { path } => {
                let files = Files::open(path)?;
                let whole = match files.single() {
                    Some(name) => files.root().join(name),
                    None => files.root().to_owned(),
                };
                context.check_file(&whole)?;
                Ok(Self::Files(files))
            }
            Location::Bucket(bucket) => {
                let reach = context.reach(&bucket.address())?;
                Ok(Self::Remote(reach.objects_for(source, context)?))
            }
            Location::Database(database) => Err(ScanError::Definition {
                path: database.address(),
                place: Place::file(),
                what: "a table has no objects".to_owned(),
                remedy: "name a folder, a file or a bucket under `servers`".to_owned(),
            }),
        }
    }

    /// What every path is relative to, for people.
    #[must_use]
    pub fn root(&self) -> String {
        match self {
            Self::Files(files) => files.root().display().to_string(),
            Self::Remote(remote) => remote.root().to_owned(),
        }
    }

    /// The pattern below the root, as written; `None` when the location has none.
    #[must_use]
    pub fn pattern(&self) -> Option<&str> {
        match self {
            Self::Files(files) => files.pattern(),
            Self::Remote(remote) => remote.pattern(),
        }
    }

    /// The name of the one object, when the location is one.
    #[must_use]
    pub fn single(&self) -> Option<&str> {
        match self {
            Self::Files(files) => files.single(),
            Self::Remote(remote) => remote.single(),
        }
    }

    /// Lists every object below `prefix` (relative to the root; empty for all). What may not be
    /// read is an item of its own ([`ScanError::Refused`]).
    #[must_use]
    pub fn walk(&self, prefix: &str) -> Listing<'_> {
        match self {
            Self::Files(files) => Box::new(files.walk(prefix)),
            Self::Remote(remote) => remote.list(prefix),
        }
    }

    /// Opens an object that a listing showed.
    ///
    /// # Errors
    /// [`ScanError::Changed`] when it is another than listed, [`ScanError::Refused`] when its path
    /// leaves the root.
    pub fn reader(&self, object: &ObjectRef) -> Result<ObjectReader, ScanError> {
        Ok(match self {
            Self::Files(files) => ObjectReader::File(files.reader(object)?),
            Self::Remote(remote) => ObjectReader::Remote(remote.open(object)?),
        })
    }
}

/// An open object, pinned to what the listing showed.
#[derive(Debug)]
pub enum ObjectReader {
    /// A file.
    File(FileReader),
    /// An object of a bucket.
    Remote(Box<dyn PinnedRead>),
}

impl ObjectReader {
    /// Compares the open object with what the listing showed.
    ///
    /// # Errors
    /// [`ScanError::Changed`] when they differ.
    pub fn verify_unchanged(&self) -> Result<(), ScanError> {
        match self {
            Self::File(file) => file.verify_unchanged(),
            Self::Remote(remote) => remote.verify_unchanged(),
        }
    }
}

impl ReadAt for ObjectReader {
    fn path(&self) -> &str {
        match self {
            Self::File(file) => file.path(),
            Self::Remote(remote) => remote.path(),
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::File(file) => file.size(),
            Self::Remote(remote) => remote.size(),
        }
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ScanError> {
        match self {
            Self::File(file) => file.read_exact_at(offset, buffer),
            Self::Remote(remote) => remote.read_exact_at(offset, buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::dataset::{Format, FormatKind};

    #[test]
    fn files_outside_the_allowed_places_are_refused_by_their_real_path() {
        let (good, bad) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&good, &bad] {
            std::fs::write(folder.path().join("a.csv"), "x").unwrap();
        }
        std::os::unix::fs::symlink(bad.path(), good.path().join("link")).unwrap();
        let source = |path: &std::path::Path| Source {
            server: "local".to_owned(),
            location: Location::Local {
                path: path.display().to_string(),
            },
            format: Format::of(FormatKind::Csv),
            credential: None,
        };
        let mut context = ScanContext::default();
        let mut open = |path: &std::path::Path, files: Option<Vec<std::path::PathBuf>>| {
            context.files = files;
            Objects::open(&source(path), &context).map(|_| ())
        };
        let only = Some(vec![good.path().to_owned()]);
        open(good.path(), only.clone()).unwrap();
        open(&good.path().join("a.csv"), only.clone()).unwrap();
        open(&good.path().join("*.csv"), only.clone()).unwrap();
        for outside in [
            bad.path().to_owned(),
            bad.path().join("a.csv"),
            good.path().join("link"),
            good.path().join("link/a.csv"),
            "/".into(),
        ] {
            let told = open(&outside, only.clone()).unwrap_err().to_string();
            assert!(told.contains("may read files below"), "{told}");
            open(&outside, None).unwrap();
        }
        let told = open(good.path(), Some(Vec::new())).unwrap_err().to_string();
        assert!(told.contains("no files"), "{told}");
    }
}
