//! The flags of `assay token` and `assay audit`.

use std::path::PathBuf;
use std::time::Duration;

use assay_guard::Grant;
use assay_store::AuditHead;
use clap::{Args, Subcommand};

use super::parse_duration;

/// `assay token …`
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token; it is shown this once
    New(NewToken),
    /// List the tokens, without their secrets
    List {
        #[command(flatten)]
        file: TokenPath,
    },
    /// Take a token out; gateways refuse it within a second
    Revoke {
        /// The token, by id or unique beginning.
        id: String,
        #[command(flatten)]
        file: TokenPath,
    },
}

/// Where tokens are kept.
#[derive(Debug, Args)]
pub struct TokenPath {
    /// The file that gateways read (`[identity] tokens`).
    #[arg(long, value_name = "PATH", default_value = "tokens.toml")]
    pub file: PathBuf,
}

/// `assay token new`
#[derive(Debug, Args)]
pub struct NewToken {
    /// What it is for.
    #[arg(long)]
    pub name: String,
    /// operator, owner:NAME, subscriber:NAME or subscriber:* (repeatable).
    #[arg(long = "role", value_name = "ROLE", required = true)]
    pub roles: Vec<Grant>,
    /// It may make changes, too, where its roles may.
    #[arg(long)]
    pub write: bool,
    /// For how long it holds.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = parse_duration)]
    pub expires_in: Duration,
    #[command(flatten)]
    pub file: TokenPath,
}

/// `assay audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// The last changes that were asked for, newest first
    List {
        /// At most so many entries.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Those before this one.
        #[arg(long, value_name = "NUMBER")]
        before: Option<u64>,
    },
    /// Whether the log is as it was written
    Verify {
        /// A head that was printed earlier and kept elsewhere: it must still be in the log.
        #[arg(long, value_name = "NUMBER:HASH")]
        known: Option<AuditHead>,
    },
}
