//! Files that are replaced while a process goes by them, such as certificates, and what containers
//! have in their place: variables of the environment that hold the text itself (`env:NAME`).
//!
//! Comes in: paths, again and again. Goes out: what they hold, and whether any of the files was
//! replaced since the last time; an environment stays as it is. It must never look more often than
//! twice a second, print what it reads, or miss a change that was made while whoever asks was
//! reading: the stamps are older than what is read after them.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// Between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the name of a variable is told apart from a path by.
pub const VARIABLE: &str = "env:";

/// Reads what is named: a file, or `env:NAME`.
///
/// # Errors
/// As of reading a file; `NotFound` when the variable is not set or empty.
pub fn read(named: &Path) -> Result<Vec<u8>> {
    let Some(name) = named.to_str().and_then(|text| text.strip_prefix(VARIABLE)) else {
        return std::fs::read(named);
    };
    match std::env::var_os(name) {
        Some(text) if !text.is_empty() => Ok(text.into_encoded_bytes()),
        _ => Err(Error::new(
            ErrorKind::NotFound,
            format!("the environment has no variable `{name}`, or it is empty"),
        )),
    }
}

/// When a file changed last, and its size; nothing of one that is not there.
type Stamp = Option<(SystemTime, u64)>;

/// What was seen of some files when they were looked at last.
#[derive(Debug)]
pub struct Seen<const N: usize> {
    stamps: [Stamp; N],
    looked: Instant,
}

impl<const N: usize> Seen<N> {
    /// Looks at the files; to be called before they are read.
    #[must_use]
    pub fn of(paths: [&Path; N]) -> Self {
        Self {
            stamps: stamps(paths),
            looked: Instant::now(),
        }
    }

    /// Whether any was replaced since they were looked at last. Whoever is told so reads them; files
    /// that could not be used are tried again once they change again.
    pub fn changed(&mut self, paths: [&Path; N]) -> bool {
        if self.looked.elapsed() < LOOK_EVERY {
            return false;
        }
        self.looked = Instant::now();
        let present = stamps(paths);
        let changed = present != self.stamps;
        self.stamps = present;
        changed
    }
}

fn stamps<const N: usize>(paths: [&Path; N]) -> [Stamp; N] {
    paths.map(|path| {
        let about = std::fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len()))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use super::*;

    #[test]
    fn a_file_and_a_variable_are_read_alike_and_what_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        std::fs::write(&file, "material").unwrap();
        assert_eq!(read(&file).unwrap(), b"material");
        // Every process has it.
        let path = std::env::var_os("PATH").unwrap().into_encoded_bytes();
        assert_eq!(read(Path::new("env:PATH")).unwrap(), path);
        let refused = read(Path::new("env:ASSAY_NOBODY_SETS_THIS")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
        assert!(refused.to_string().contains("ASSAY_NOBODY_SETS_THIS"));
        assert!(read(Path::new("/nowhere/key.pem")).is_err());
    }

    #[test]
    fn a_change_is_told_once_and_not_before_it_is_time_to_look() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        std::fs::write(&one, "1").unwrap();
        let paths = [one.as_path(), other.as_path()];
        let mut seen = Seen::of(paths);
        std::fs::write(&other, "22").unwrap();
        assert!(!seen.changed(paths), "it looks too often");
        for (changes, act) in [
            (true, None),
            (false, None),
            (true, Some("333")),
            (false, None),
        ] {
            if let Some(text) = act {
                std::fs::write(&one, text).unwrap();
            }
            seen.looked = Instant::now().checked_sub(LOOK_EVERY).unwrap();
            assert_eq!(seen.changed(paths), changes);
        }
        std::fs::remove_file(&one).unwrap();
        seen.looked = Instant::now().checked_sub(LOOK_EVERY).unwrap();
        assert!(seen.changed(paths), "one that is gone");
    }
}
