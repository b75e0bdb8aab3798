//! Marks of content in SQL.
//!
//! In: how the definition wants changes noticed. Out: aggregate expressions of SQL, and the marks
//! read back. The database keeps no marks of row versions that could be asked for: by the values all
//! changes are met, by a column's greatest value those that raise it.

use assay_model::source::VersionBy;
use assay_scan::error::{Place, ScanError};

use super::session::name;
use super::shape::Shape;
use super::types::{POISON, hash};
pub(super) use crate::table::marks::Mark;

/// How changes are noticed.
#[derive(Debug, Clone)]
pub(super) struct Marking {
    by: VersionBy,
    hash: String,
}

impl Marking {
    /// Refuses a way that the table does not have.
    pub(super) fn new(by: &VersionBy, shape: &Shape, address: &str) -> Result<Self, ScanError> {
        match by {
            VersionBy::Rows => {
                return Err(ScanError::Definition {
                    path: address.to_owned(),
                    place: Place::file(),
                    what: "MySQL keeps no marks of row versions".to_owned(),
                    remedy: "under the server's customProperties, write `version: checksum`"
                        .to_owned(),
                });
            }
            VersionBy::Watermark(column) => {
                shape.column(column, address)?;
            }
            VersionBy::Checksum => {}
        }
        Ok(Self {
            by: by.clone(),
            hash: hash(&shape.columns),
        })
    }

    /// Whether marks of parts add up to that of the whole.
    pub(super) fn adds_up(&self) -> bool {
        self.by == VersionBy::Checksum
    }

    /// Two aggregates: the count of rows and their mark.
    pub(super) fn aggregates(&self) -> String {
        match &self.by {
            VersionBy::Watermark(column) => format!("COUNT(*), MAX({})", name(column)),
            _ => format!("COUNT(*), COALESCE(SUM({}), 0)", self.hash),
        }
    }

    /// Reads the two aggregates back; an error where a value was too long to be looked at.
    pub(super) fn read(
        &self,
        rows: Option<&str>,
        mark: Option<&str>,
        address: &str,
    ) -> Result<Mark, ScanError> {
        let mark = Mark::read(&self.by, rows, mark);
        let mark = mark.ok_or_else(|| {
            ScanError::corrupt(address, Place::file(), "its marks are no numbers")
        })?;
        if mark.sum >= POISON {
            return Err(ScanError::Definition {
                path: address.to_owned(),
                place: Place::file(),
                what: "a row has more bytes than the server puts together, so that a change of it \
                       could not be met"
                    .to_owned(),
                remedy: "raise `max_allowed_packet` there, or leave columns with values of that \
                         size out, by a view"
                    .to_owned(),
            });
        }
        Ok(mark)
    }

    /// Reads [`Mark::text`] back; `None` for that of another way, or of other columns.
    pub(super) fn parse(&self, text: &str, signature: u64) -> Option<Mark> {
        Mark::parse(&self.by, text, signature)
    }
}
