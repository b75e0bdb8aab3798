//! What SQLite's errors mean for the caller.
//!
//! Comes in: an error of the driver and where it happened. Goes out: a [`StoreError`] that says
//! whether anything may have been written. It must never call a doubtful write certain.

use std::path::Path;

use crate::error::StoreError;

/// SQLite's primary result codes that have a meaning of their own here.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const CONSTRAINT: i32 = 19;
const NOTADB: i32 = 26;
/// `SQLITE_IOERR_SHMSIZE`: the index of the write-ahead log cannot grow, which is a full disk.
const IOERR_SHMSIZE: i32 = 4874;

/// The extended result code of a database error.
fn extended(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// The primary result code of a database error.
fn primary(error: &sqlx::Error) -> Option<i32> {
    extended(error).map(|code| code & 0xff)
}

/// Whether there is no space left.
pub(super) fn is_full(error: &sqlx::Error) -> bool {
    primary(error) == Some(FULL) || extended(error) == Some(IOERR_SHMSIZE)
}

/// An error of a statement inside a transaction that is then rolled back: nothing was written.
pub(super) fn of_statement(place: &str, error: sqlx::Error) -> StoreError {
    match primary(&error) {
        _ if is_full(&error) => StoreError::Full {
            place: place.to_owned(),
        },
        Some(CONSTRAINT) => StoreError::Refused {
            what: "row",
            detail: error.to_string(),
        },
        Some(CORRUPT | NOTADB) => StoreError::Corrupt {
            what: "page",
            detail: error.to_string(),
        },
        _ => StoreError::Unavailable(Box::new(error)),
    }
}

/// An error of `COMMIT` itself.
///
/// A full disk or a lock keeps the commit frame from being written, so nothing was; any other
/// failure of the disk leaves the answer open.
pub(super) fn of_commit(place: &str, error: sqlx::Error) -> StoreError {
    match primary(&error) {
        Some(FULL | BUSY | LOCKED | CONSTRAINT) => of_statement(place, error),
        _ if extended(&error) == Some(IOERR_SHMSIZE) => of_statement(place, error),
        _ => StoreError::Unknown(Box::new(error)),
    }
}

/// An error of opening: what is wrong with the place, and what to do.
pub(super) fn of_open(path: &Path, error: &sqlx::Error) -> StoreError {
    let detail = match primary(error) {
        _ if is_full(error) => {
            "the disk is full; free some space, or take another folder: --data-dir DIR".to_owned()
        }
        Some(NOTADB) => "the file is not a SQLite database; name another file or folder, or move \
                         this one away"
            .to_owned(),
        Some(CORRUPT) => {
            "the database is damaged; restore a copy, or move it away to start anew".to_owned()
        }
        Some(READONLY) => "the file cannot be written; check its permissions and those of its \
                           folder"
            .to_owned(),
        Some(CANTOPEN) => cannot_open(path),
        Some(BUSY | LOCKED) => {
            "another program holds it locked; end that program and try again".to_owned()
        }
        _ => format!("{error}; check the disk and the permissions of the folder"),
    };
    StoreError::Open {
        place: path.display().to_string(),
        detail,
    }
}

/// SQLite says only that it cannot open a file; the folder tells why.
fn cannot_open(path: &Path) -> String {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if path.is_dir() {
        "it is a folder; name a file in it".to_owned()
    } else if !folder.exists() {
        format!(
            "the folder {} does not exist; create it, or name another",
            folder.display()
        )
    } else if !path.exists() {
        format!(
            "the file cannot be created; check the permissions of the folder {}",
            folder.display()
        )
    } else {
        format!(
            "the file cannot be read and written; check its permissions and those of the folder {}",
            folder.display()
        )
    }
}
