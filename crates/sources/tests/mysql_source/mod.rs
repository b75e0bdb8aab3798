//! A table of MariaDB against the same rows in files, and what befalls it.

mod changes;
mod copies;
mod hostile;
mod keys;
mod same;
mod sessions;
mod table;
