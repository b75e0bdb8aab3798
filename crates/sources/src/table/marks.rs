//! Marks of content: what tells that rows are as they were.
//!
//! In: how the definition wants changes noticed, and what a database says of some rows. Out: their
//! mark, as text and back. Marks of rows and of values add up: the mark of a range is the sum of its
//! parts' whatever their order, and that of a partition does not depend on how it is cut or stored.

use assay_model::source::VersionBy;

/// The mark of some rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) rows: u64,
    pub(crate) sum: i128,
    pub(crate) most: Option<String>,
}

impl Mark {
    /// Reads the two aggregates back.
    pub(crate) fn read(by: &VersionBy, rows: Option<&str>, mark: Option<&str>) -> Option<Mark> {
        let rows = rows?.parse().ok()?;
        Some(match by {
            VersionBy::Watermark(_) => Mark {
                rows,
                sum: 0,
                most: mark.map(str::to_owned),
            },
            VersionBy::Rows | VersionBy::Checksum => Mark {
                rows,
                sum: mark?.parse().ok()?,
                most: None,
            },
        })
    }

    /// Reads [`Mark::text`] back; `None` for that of another way, or of other columns.
    pub(crate) fn parse(by: &VersionBy, text: &str, signature: u64) -> Option<Mark> {
        let (rest, told) = text.rsplit_once(':')?;
        let (rows, mark) = rest.split_once(':')?;
        if u64::from_str_radix(told, 16).ok()? != signature {
            return None;
        }
        match (by, mark.strip_prefix("max=")) {
            (VersionBy::Watermark(_), Some(most)) => Self::read(by, Some(rows), Some(most)),
            (VersionBy::Watermark(_), None) if mark == "0" => Self::read(by, Some(rows), None),
            (VersionBy::Watermark(_), None) | (_, Some(_)) => None,
            (_, None) => Self::read(by, Some(rows), Some(mark)),
        }
    }

    /// The mark of so many rows about which nothing else is known.
    #[cfg(test)]
    pub(crate) fn of_rows(rows: u64) -> Self {
        Self {
            rows,
            ..Self::default()
        }
    }

    /// Adds the mark of other rows.
    pub(crate) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
        // Greatest values of several parts stand side by side, in the order of the parts: which is
        // the greatest only the column's type can tell.
        self.most = match (self.most.take(), &other.most) {
            (Some(own), Some(other)) => Some(format!("{own}\u{1f}{other}")),
            (own, other) => own.or_else(|| other.clone()),
        };
    }

    /// The mark as text, with that of the columns.
    pub(crate) fn text(&self, signature: u64) -> String {
        match &self.most {
            Some(most) => format!("{}:max={most}:{signature:016x}", self.rows),
            None => format!("{}:{}:{signature:016x}", self.rows, self.sum),
        }
    }
}
