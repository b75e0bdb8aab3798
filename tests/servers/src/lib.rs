//! Real servers for tests, and a real browser.
//!
//! Comes in: the wish for a server. Goes out: one that listens on a free port of loopback, with its
//! data in a temporary folder, as a user who is not root; it ends with its guard. It must never
//! touch a server that it did not start, and never pass over a server that is not installed: that
//! is a loud failure that names the package.

pub mod browser;
pub mod etcd;
mod home;
pub mod mariadb;
pub mod ministack;
pub mod pki;
pub mod port;
pub mod postgres;
pub mod process;
pub mod receiver;
pub mod runtime_api;
pub mod s3;
pub mod supervised;
