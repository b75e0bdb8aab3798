//! A table of Postgres against the same rows in files, and what befalls it.

mod changes;
mod copies;
mod first_look;
mod hostile;
mod keys;
mod same;
mod sessions;
mod stored;
mod table;
mod traps;
