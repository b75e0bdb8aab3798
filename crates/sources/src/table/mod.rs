//! Tables of databases, whatever the database: what their adapters share.
//!
//! In: columns, ranges of rows and totals in the words of an adapter. Out: types, marks and states
//! that are the same for the same rows. Nothing here speaks to a database.

pub(crate) mod batch;
pub(crate) mod cut;
pub(crate) mod marks;
pub(crate) mod odd;
pub(crate) mod push;
pub(crate) mod range;
pub(crate) mod types;
