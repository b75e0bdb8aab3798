//! The vocabulary of Assay.
//!
//! What comes in: nothing; this crate only names things. What goes out: the types that every other
//! crate speaks in — datasets, partitions, checks, metrics, runs, tasks, nodes, outcomes — and the
//! few pure functions that belong to a word itself (how a key is spelt, which state ends a task).
//! It must never read a clock, draw a random number, or know a database, a file or a wire format.
//!
//! Times are UTC [`jiff::Timestamp`]s; durations carry their unit in the name (`_ms`, `_s`).

pub mod address;
pub mod beside;
pub mod change;
pub mod check;
pub mod dataset;
pub mod feedback;
pub mod history;
pub mod ids;
pub mod incident;
pub mod ledger;
pub mod metric;
pub mod node;
pub mod notice;
pub mod outcome;
pub mod output;
pub mod part;
pub mod partition;
pub mod run;
pub mod source;
pub mod task;
pub mod unfinished;
pub mod visible;

/// The version of the meaning of every metric; part of a metric's identity, so that a change of
/// meaning starts a new history instead of bending an old one.
pub const SEMANTICS_VERSION: u16 = 1;

/// A state or word with one spelling in the database, the API, the pages and the logs.
#[macro_export]
macro_rules! words {
    ($(#[$doc:meta])* $vis:vis enum $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        $vis enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The one spelling used everywhere.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ids::UnknownWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok($name::$variant),)+
                    _ => Err($crate::ids::UnknownWord {
                        kind: stringify!($name),
                        text: text.to_owned(),
                    }),
                }
            }
        }
    };
}
