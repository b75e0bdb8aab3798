//! Tables of a real MariaDB: the same numbers as of files, changes that are noticed, and sessions
//! that leave nothing behind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "mysql_source/mod.rs"]
mod mysql_source;
