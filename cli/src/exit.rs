//! Exit codes: the stable contract with scripts and CI.
//!
//! Comes in: how a command ended. Goes out: a number. The numbers never change their meaning.

use std::fmt;
use std::process::ExitCode;

/// How a command ended, by what a script should do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done; no check reached `--fail-on`.
    Ok,
    /// Evaluated, and the data is bad.
    BadData,
    /// The command line is wrong (clap's own).
    Usage,
    /// A definition is invalid.
    Invalid,
    /// Something could not be evaluated.
    NotEvaluated,
    /// The server is not reachable or refuses.
    NoServer,
    /// `--wait` ran out; the run goes on.
    StillRunning,
    /// Stopped by Ctrl-C or SIGTERM before its end.
    Interrupted,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::BadData => 1,
            Self::Usage => 2,
            Self::Invalid => 3,
            Self::NotEvaluated => 4,
            Self::NoServer => 5,
            Self::StillRunning => 6,
            Self::Interrupted => 130,
        }
    }

    /// What it means, for `assay help exit-codes`.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "everything asked for was done and no check reached --fail-on",
            Self::BadData => {
                "the data is bad: a check at or above --fail-on failed, or a partition is missing"
            }
            Self::Usage => "wrong command line",
            Self::Invalid => {
                "a definition is invalid in itself, whatever the data: YAML, keys, values, a file that \
                 cannot be read"
            }
            Self::NotEvaluated => {
                "could not evaluate: unreadable source, a column that the data lacks, task lost after its \
                 retries, time-out; wins over 1"
            }
            Self::NoServer => "no server is reachable, or it refuses",
            Self::StillRunning => "--timeout ran out; the run goes on",
            Self::Interrupted => "interrupted: Ctrl-C or SIGTERM before the end",
        }
    }

    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::BadData,
        Self::Usage,
        Self::Invalid,
        Self::NotEvaluated,
        Self::NoServer,
        Self::StillRunning,
        Self::Interrupted,
    ];
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that knows its exit code; anything else ends as «could not evaluate».
#[derive(Debug)]
pub struct Coded {
    /// How the command ends.
    pub exit: Exit,
    /// What went wrong.
    pub source: anyhow::Error,
}

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl std::error::Error for Coded {
    /// It stands for what it carries, and so do its causes.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.source()
    }
}

/// Gives an error its exit code.
pub trait OrExit<T> {
    /// Ends the command with `exit` on an error.
    fn or_exit(self, exit: Exit) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> anyhow::Result<T> {
        self.map_err(|source| {
            Coded {
                exit,
                source: source.into(),
            }
            .into()
        })
    }
}

/// The exit code of an error that reached the top.
pub fn of(error: &anyhow::Error) -> Exit {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Coded>())
        .map_or(Exit::NotEvaluated, |coded| coded.exit)
}

/// An error in one breath: what was tried, and each cause that says something new.
pub fn said(error: &anyhow::Error) -> String {
    let mut out = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !out.contains(&cause) {
            out.push_str(": ");
            out.push_str(&cause);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_survives_the_context_put_around_it() {
        let error = Err::<(), _>(anyhow::anyhow!("bad file"))
            .or_exit(Exit::Invalid)
            .map_err(|e| e.context("while reading orders"))
            .unwrap_err();
        assert_eq!(of(&error), Exit::Invalid);
        assert_eq!(of(&anyhow::anyhow!("other")), Exit::NotEvaluated);
    }

    #[test]
    fn a_cause_is_said_once() {
        let error = Err::<(), _>(anyhow::anyhow!("no such file"))
            .or_exit(Exit::Usage)
            .map_err(|e| e.context("cannot read a.csv"))
            .unwrap_err();
        assert_eq!(said(&error), "cannot read a.csv: no such file");
        assert_eq!(
            said(&Err::<(), _>(error).or_exit(Exit::Invalid).unwrap_err()),
            "cannot read a.csv: no such file"
        );
    }
}
