//! Tables of a real Postgres: the same numbers as of files, changes that are noticed, and sessions
//! that leave nothing behind.

#[path = "postgres_source/mod.rs"]
mod postgres_source;
