//! Which results of a check are read, by the way in which they are shown.
//!
//! Comes in: flags. Goes out: what to ask the store for. It must never leave out a result that somebody
//! could see: all are counted, whatever is read.

use assay_model::ids::CheckId;
use assay_store::standing::Which;

use crate::args::{CheckArgs, Output};

/// Which results of a check somebody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// All.
    All,
    /// Those that need a look, and those of checks that the definition declares.
    FindingsAndDeclared,
    /// Those that need a look.
    Findings,
}

impl Shown {
    /// What is shown by these flags.
    pub fn by(args: &CheckArgs, output: Output) -> Self {
        match output {
            _ if args.all || args.junit.is_some() => Self::All,
            Output::Json | Output::Jsonl => Self::All,
            Output::Text => Self::FindingsAndDeclared,
            Output::None => Self::Findings,
        }
    }

    /// What is read for it. A filter (not `is_open`) chooses among all.
    pub const fn which(self, is_open: bool, declared: &[CheckId]) -> Which<'_> {
        match self {
            Self::Findings if is_open => Which::Findings(&[]),
            Self::FindingsAndDeclared if is_open => Which::Findings(declared),
            Self::All | Self::FindingsAndDeclared | Self::Findings => Which::All,
        }
    }
}
