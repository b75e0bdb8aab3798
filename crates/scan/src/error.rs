//! What can go wrong while data is listed, read and measured.
//!
//! Every message names the file, the place in it as narrowly as it is known, and what to do next.
//! [`ScanError::class`] tells the caller whether trying again can help; nothing here decides it by
//! reading a message.

use std::fmt;

use thiserror::Error;

/// Whether a retry can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The same bytes and the same definition give the same error.
    Permanent,
    /// The outside world may answer differently next time.
    Retryable,
    /// What holds the data does not answer: no fault of the work, and tried again later.
    Away,
    /// The object is not the one that was listed: list again, then measure the new version.
    Changed,
}

/// A place in a file, as narrowly as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    row_group: Option<u32>,
    column: Option<Box<str>>,
    at: Option<At>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Byte(u64),
    Line(u64),
}

impl Place {
    /// The file as a whole.
    #[must_use]
    pub fn file() -> Self {
        Self::default()
    }

    /// A line of a text file, from 1.
    #[must_use]
    pub fn line(line: u64) -> Self {
        Self {
            at: Some(At::Line(line)),
            ..Self::default()
        }
    }

    /// An offset in bytes.
    #[must_use]
    pub fn byte(byte: u64) -> Self {
        Self {
            at: Some(At::Byte(byte)),
            ..Self::default()
        }
    }

    /// A row group of a Parquet file, from 0.
    #[must_use]
    pub fn row_group(row_group: usize) -> Self {
        Self {
            row_group: u32::try_from(row_group).ok(),
            ..Self::default()
        }
    }

    /// The same place, in `column`.
    #[must_use]
    pub fn in_column(mut self, column: impl AsRef<str>) -> Self {
        self.column = Some(column.as_ref().into());
        self
    }

    /// The same place, at an offset in bytes.
    #[must_use]
    pub fn at_byte(mut self, byte: u64) -> Self {
        self.at = Some(At::Byte(byte));
        self
    }
}

impl fmt::Display for Place {
    /// ` (row group 0, column "a", byte 4)`, or nothing for the file as a whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = self.row_group.map(|group| format!("row group {group}"));
        let column = self
            .column
            .as_ref()
            .map(|column| format!("column {column:?}"));
        let at = self.at.map(|at| match at {
            At::Byte(byte) => format!("byte {byte}"),
            At::Line(line) => format!("line {line}"),
        });
        let parts: Vec<String> = [group, column, at].into_iter().flatten().collect();
        if parts.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", parts.join(", "))
        }
    }
}

/// Why data could not be listed, read or measured.
#[derive(Debug, Error)]
pub enum ScanError {
    /// The operating system refused.
    #[error("{path}: cannot {doing}: {source}; see that the file can be read, then run again")]
    Io {
        /// The file.
        path: String,
        /// What was tried.
        doing: &'static str,
        /// Why it was refused.
        source: std::io::Error,
    },
    /// The object is not the one that was listed.
    #[error(
        "{path}: changed since it was listed ({what}); list the source again to measure its new version"
    )]
    Changed {
        /// The object.
        path: String,
        /// What was pinned and what was found.
        what: String,
    },
    /// What holds the data does not answer.
    #[error("{path}: cannot be reached: {what}; it is tried again")]
    Away {
        /// The address.
        path: String,
        /// What was tried and what came of it.
        what: String,
    },
    /// The bytes break the rules of their format.
    #[error("{path}{place}: {what}; have the file written again by its producer")]
    Corrupt {
        /// The file.
        path: String,
        /// Where.
        place: Place,
        /// Which rule is broken.
        what: String,
    },
    /// The bytes are sound, and the format or the feature is not read here.
    #[error("{path}{place}: {what}; {remedy}")]
    Unsupported {
        /// The file.
        path: String,
        /// Where.
        place: Place,
        /// What is not read.
        what: String,
        /// What to do instead.
        remedy: String,
    },
    /// The data and the dataset's definition do not fit together.
    #[error("{path}{place}: {what}; {remedy}")]
    Definition {
        /// The file, or the dataset when no file is at fault.
        path: String,
        /// Where.
        place: Place,
        /// What does not fit.
        what: String,
        /// What to change.
        remedy: String,
    },
    /// The path leaves the place that the dataset may read.
    #[error("{path}: refused: {why}; point the dataset at the folder that really holds the data")]
    Refused {
        /// The path.
        path: String,
        /// Why it is refused.
        why: String,
    },
    /// The work was cancelled.
    #[error("cancelled while reading {path}; run again when wanted")]
    Cancelled {
        /// The file at hand.
        path: String,
    },
}

impl ScanError {
    /// A file that breaks the rules of its format.
    pub fn corrupt(path: impl Into<String>, place: Place, what: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.into(),
            place,
            what: what.into(),
        }
    }

    /// An error of the operating system; a file that is gone has changed since it was listed.
    pub fn io(path: impl Into<String>, doing: &'static str, source: std::io::Error) -> Self {
        let path = path.into();
        if source.kind() == std::io::ErrorKind::NotFound {
            return Self::Changed {
                path,
                what: "it is gone".to_owned(),
            };
        }
        Self::Io {
            path,
            doing,
            source,
        }
    }

    /// Whether a retry can help.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Io { .. } | Self::Cancelled { .. } => ErrorClass::Retryable,
            Self::Changed { .. } => ErrorClass::Changed,
            Self::Away { .. } => ErrorClass::Away,
            Self::Corrupt { .. }
            | Self::Unsupported { .. }
            | Self::Definition { .. }
            | Self::Refused { .. } => ErrorClass::Permanent,
        }
    }

    /// Whether the work ended because someone stopped it.
    #[must_use]
    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_file_the_place_and_the_remedy() {
        let place = Place::row_group(2).in_column("amount").at_byte(77);
        let error = ScanError::corrupt("a/b.parquet", place, "a page ends early");
        assert_eq!(
            error.to_string(),
            "a/b.parquet (row group 2, column \"amount\", byte 77): a page ends early; \
             have the file written again by its producer"
        );
        assert_eq!(error.class(), ErrorClass::Permanent);
    }

    #[test]
    fn a_file_that_is_gone_has_changed_and_other_refusals_may_pass() {
        let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
        assert_eq!(
            ScanError::io("a", "open it", gone).class(),
            ErrorClass::Changed
        );
        let busy = std::io::Error::from(std::io::ErrorKind::ResourceBusy);
        assert_eq!(
            ScanError::io("a", "open it", busy).class(),
            ErrorClass::Retryable
        );
    }
}
