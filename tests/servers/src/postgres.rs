//! Postgres in a temporary folder.
