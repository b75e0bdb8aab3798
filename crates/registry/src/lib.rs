//! Where dataset definitions are kept: the port and its adapters.
//!
//! What comes in: dataset files, written by their owners or put by the API. What goes out: the
//! definitions in force, and the files that are invalid with their diagnostics. It must never let
//! a bad file take down a good one, or a definition disappear because its file has become invalid.

mod agenda;
pub mod conformance;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
mod folder;
mod memory;
mod policy;
mod port;
mod watch;

pub use agenda::{AT_ONCE, Agenda, Cursor, Entry, Look, Marked, Page};
pub use folder::FolderRegistry;
pub use memory::{MemoryAgenda, Watermarks};
pub use policy::{EVERYBODY, Policy};
pub use port::{
    Clock, Conflict, Definition, InvalidFile, Listing, Precondition, Registry, RegistryError,
    Revision, digest,
};
pub use watch::{Change, Changes, changes, watch};
