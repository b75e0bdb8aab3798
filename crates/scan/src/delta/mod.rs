//! Delta tables: the log says which files are the table, and which of their rows.
//!
//! In: the folder of a table, of this machine or in a bucket. Out: for discovery the files of its
//! newest version by the values of its partition columns; for whoever measures or reads the rows of
//! such a file, as they were at that version. The log is read by code of our own: the libraries
//! for it bring a whole engine, or other versions of Arrow.
//!
//! It must never read a file because it lies in the folder, show a row that was deleted, mix two
//! versions, leave the table's folder, or pass over a feature that it does not know.

mod actions;
mod checkpoint;
mod fit;
mod list;
pub(crate) mod log;
mod measure;
mod path;
mod pin;
mod protocol;
mod read;
mod schema;
mod snapshot;
mod value;
mod vector;

pub(crate) use list::{Listed, list};
pub use list::{files, look};
pub(crate) use measure::measure;
pub use read::{FileRead, Table, Take};
