//! What can be wrong with a dataset file, and where.
//!
//! In: a code, a place in the text, and what to say. Out: [`Diagnostic`], which carries line,
//! column, span, path, offending text and remedy. It must never hold a secret: the text of a
//! password is not quoted, and [`Diagnostic::redact`] says what a snippet has to hide.

use std::fmt;
use std::ops::Range;

/// How grave a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The file is understood; this deserves a look.
    Warning,
    /// The file is not a valid definition.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])+ $variant:ident = $text:literal, $title:literal;)+) => {
        /// The kinds of diagnostics. `ASY0xx` are errors, `ASY1xx` are warnings; a code never
        /// changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])+ $variant),+ }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The code as it is printed (`ASY014`).
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text),+ }
            }

            /// The kind in a few words, for lists of codes.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title),+ }
            }
        }
    };
}

codes! {
    /// The text is not YAML.
    NotYaml = "ASY001", "not YAML";
    /// There is no document in the file.
    Empty = "ASY002", "empty file";
    /// More than one document in the file.
    SeveralDocuments = "ASY003", "several documents in one file";
    /// Too large, too deep, or aliases that multiply.
    TooLarge = "ASY004", "file beyond the limits";
    /// A key that is not a text.
    KeyNotText = "ASY005", "key is not a text";
    /// The same key twice in one mapping.
    DuplicateKey = "ASY006", "duplicate key";
    /// The bytes are not UTF-8.
    NotUtf8 = "ASY007", "not UTF-8";
    /// The file cannot be read.
    Unreadable = "ASY008", "file cannot be read";
    /// A key that the standard and our dialect do not have.
    UnknownKey = "ASY010", "unknown key";
    /// A key that must be there is not.
    MissingKey = "ASY011", "missing key";
    /// A value of another type than the key has.
    WrongType = "ASY012", "wrong type";
    /// A metric that is not known.
    UnknownMetric = "ASY013", "unknown metric";
    /// An operator that is not known.
    UnknownOperator = "ASY014", "unknown operator";
    /// A word that is none of the allowed ones.
    UnknownWord = "ASY015", "unknown word";
    /// A value of the right type that cannot be used.
    InvalidValue = "ASY016", "invalid value";
    /// A text that cannot be an id.
    InvalidId = "ASY017", "invalid id";
    /// A schedule that is not five-field cron, or never comes.
    InvalidCron = "ASY018", "invalid schedule";
    /// A time zone that is not in the IANA database.
    UnknownZone = "ASY019", "unknown time zone";
    /// A secret in the file.
    Secret = "ASY020", "secret in the file";
    /// Operators that do not go together.
    TwoOperators = "ASY021", "two operators in one rule";
    /// A rule that expects nothing.
    NoOperator = "ASY022", "rule without an operator";
    /// The same name twice.
    DuplicateId = "ASY023", "duplicate id";
    /// A variable that is not set and has no default.
    UnsetVariable = "ASY024", "variable is not set";
    /// A pattern that is not a regular expression.
    InvalidPattern = "ASY025", "invalid pattern";
    /// A metric where it has no meaning.
    MisplacedMetric = "ASY026", "metric in the wrong place";
    /// Two definitions with the same dataset id.
    DuplicateDataset = "ASY027", "two files define one dataset";

    /// The source cannot be read by this version.
    UnsupportedSource = "ASY100", "source not supported";
    /// There is nothing here that can be run.
    NothingToRun = "ASY101", "nothing to run";
    /// Two operators that were read as one.
    ReadAsBetween = "ASY102", "two operators read as a between";
    /// A column of the definition that the data does not have (told when data is read).
    ColumnNotInData = "ASY103", "column is not in the data";
    /// A column that the definition does not declare.
    ColumnNotDeclared = "ASY104", "column is not declared";
    /// A rule that is kept and shown as skipped.
    NotRunHere = "ASY105", "rule is not run here";
    /// A key that the standard has deprecated.
    Deprecated = "ASY106", "deprecated key";
    /// A setting that is accepted without effect.
    NotUsed = "ASY107", "setting has no effect";
    /// A word that the standard leaves free and that says nothing to us.
    FreeWord = "ASY108", "word without a meaning here";
    /// A number or truth value where a text belongs.
    Unquoted = "ASY109", "text without quotes";
    /// A key with no value.
    NoValue = "ASY110", "key without a value";
    /// More than one way to read the file; which one is said.
    Ambiguous = "ASY111", "more than one way to read";
    /// A YAML tag that is ignored.
    TagIgnored = "ASY112", "YAML tag ignored";
    /// A variable in a place where none is expanded.
    NotExpanded = "ASY113", "variable is not expanded here";
}

impl Code {
    /// Whether it makes the file invalid.
    #[must_use]
    pub fn level(self) -> Level {
        if self.as_str().as_bytes().get(3) == Some(&b'0') {
            Level::Error
        } else {
            Level::Warning
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One error or warning about a dataset file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The kind.
    pub code: Code,
    /// The file, as it was named by the caller.
    pub file: String,
    /// The line, from 1; for errors of the whole file it is 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The bytes of the text that are meant; they end with their line.
    pub span: Range<usize>,
    /// The offending text (never a secret).
    pub text: String,
    /// Where in the document (`schema[0].quality[1].mustBe`); empty for the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Bytes of the text that must not be shown.
    pub redact: Option<Range<usize>>,
}

impl Diagnostic {
    /// Whether it makes the file invalid.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.code.level() == Level::Error
    }
}

impl fmt::Display for Diagnostic {
    /// `datasets/a.odcs.yaml:3:7  schema[0]: unknown key `nam`; did you mean `name`?`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}  ", self.file, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_used_once_and_tells_its_level() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} twice");
            assert!(!code.title().is_empty());
        }
        assert_eq!(Code::UnknownOperator.level(), Level::Error);
        assert_eq!(Code::ReadAsBetween.level(), Level::Warning);
    }
}
