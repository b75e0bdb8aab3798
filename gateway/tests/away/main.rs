//! The gateway on a real Postgres: what is committed is seen at once, what is known is told while the
//! store is away, and a crowd is answered by rank; pages in a real browser, too.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod again;
mod asked;
mod crowd;
mod kept;
mod pages;
mod scene;
mod stopped;
mod whose;
