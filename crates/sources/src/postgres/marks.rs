//! Marks of content in SQL.
//!
//! In: how the definition wants changes noticed. Out: aggregate expressions of SQL, and the marks
//! read back.

use assay_model::source::VersionBy;
use assay_scan::error::{Place, ScanError};

use super::session::name;
use super::shape::Shape;
pub(super) use crate::table::marks::Mark;

/// How changes are noticed.
#[derive(Debug, Clone)]
pub(super) struct Marking {
    by: VersionBy,
    /// Whether the database knows when a change was committed.
    commit_times: bool,
}

impl Marking {
    /// Refuses a way that the table does not have.
    pub(super) fn new(by: &VersionBy, shape: &Shape, address: &str) -> Result<Self, ScanError> {
        match by {
            VersionBy::Rows if !shape.marked => {
                return Err(ScanError::Definition {
                    path: address.to_owned(),
                    place: Place::file(),
                    what: "a view or a foreign table, or a table with a part that is one, has no marks of row versions".to_owned(),
                    remedy: "under the server's customProperties, write `version: checksum`"
                        .to_owned(),
                });
            }
            VersionBy::Watermark(column) => {
                shape.column(column, address)?;
            }
            VersionBy::Rows | VersionBy::Checksum => {}
        }
        Ok(Self {
            by: by.clone(),
            commit_times: false,
        })
    }

    /// Has the marks tell when rows last changed, where the database keeps that.
    pub(super) fn with_commit_times(mut self, kept: bool) -> Self {
        self.commit_times = kept;
        self
    }

    /// Whether marks of parts add up to that of the whole.
    pub(super) fn adds_up(&self) -> bool {
        !matches!(self.by, VersionBy::Watermark(_))
    }

    /// Two aggregates: the count of rows and their mark. The table is called `t`.
    pub(super) fn aggregates(&self) -> String {
        match &self.by {
            // An update gives a row the number of a transaction that no row had before.
            VersionBy::Rows => {
                "count(*), coalesce(sum(hashint8extended(t.xmin::text::int8, 0)), 0)::text"
                    .to_owned()
            }
            VersionBy::Checksum => {
                "count(*), coalesce(sum(hashtextextended(t.*::text COLLATE \"C\", 0)), 0)::text"
                    .to_owned()
            }
            VersionBy::Watermark(column) => {
                format!("count(*), max(t.{})::text", name(column))
            }
        }
    }

    /// An aggregate: when the rows last changed, in seconds since 1970.
    pub(super) fn modified(&self) -> &'static str {
        if self.commit_times && self.by == VersionBy::Rows {
            "extract(epoch FROM max(pg_xact_commit_timestamp(t.xmin)))::text"
        } else {
            "NULL::text"
        }
    }

    /// Reads the two aggregates back.
    pub(super) fn read(&self, rows: Option<&str>, mark: Option<&str>) -> Option<Mark> {
        Mark::read(&self.by, rows, mark)
    }

    /// Reads [`Mark::text`] back; `None` for that of another way, or of other columns.
    pub(super) fn parse(&self, text: &str, signature: u64) -> Option<Mark> {
        Mark::parse(&self.by, text, signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_parts_add_up_whatever_their_order() {
        let marking = Marking {
            by: VersionBy::Rows,
            commit_times: false,
        };
        let read = |rows, mark| marking.read(Some(rows), Some(mark)).unwrap();
        let (a, b) = (read("2", "-9223372036854775809"), read("3", "7"));
        let (mut one, mut other) = (a.clone(), b.clone());
        one.add(&b);
        other.add(&a);
        assert_eq!(one.text(1), other.text(1));
        assert_ne!(one.text(1), one.text(2));
        assert_eq!(marking.read(Some("x"), Some("1")), None);
        assert_eq!(marking.parse(&one.text(7), 7), Some(one.clone()));
        assert_eq!(marking.parse(&one.text(7), 8), None);
        let watermark = Marking {
            by: VersionBy::Watermark("at".to_owned()),
            commit_times: false,
        };
        assert_eq!(watermark.parse(&one.text(7), 7), None);
        let of = |most| watermark.read(Some("2"), most).unwrap();
        let both = |one, other| {
            let mut sum = of(one);
            sum.add(&of(other));
            sum.text(7)
        };
        assert_ne!(both(Some("1"), Some("2")), both(Some("1"), Some("3")));
        assert_ne!(both(Some("1"), None), both(Some("1"), Some("1")));
        for most in [None, Some("2024-01-01 00:00:00")] {
            let mark = watermark.read(Some("2"), most).unwrap();
            assert_eq!(watermark.parse(&mark.text(7), 7), Some(mark));
        }
    }
}
