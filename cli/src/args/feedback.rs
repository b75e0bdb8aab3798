//! `assay feedback …`: what is answered back to the judge.

use clap::{Args, Subcommand};

/// `assay feedback …`
#[derive(Debug, Subcommand)]
pub enum FeedbackCommand {
    /// An alarm was no fault: its values count as normal when limits are learned
    MarkAsNormal {
        /// The dataset.
        dataset: String,
        /// The partition of the alarm: its key, or its day.
        partition: String,
        /// How it is answered.
        #[command(flatten)]
        how: Answering,
    },
    /// Things are as they shall be from a partition on: what lies before teaches no more
    TrainAsNewNormal {
        /// The dataset.
        dataset: String,
        /// The first partition of the new normal: its key, or its day.
        from: String,
        /// How it is answered.
        #[command(flatten)]
        how: Answering,
    },
    /// Nothing is learned from the partitions of a window; they are judged as any others
    ExcludeWindow {
        /// The dataset.
        dataset: String,
        /// The first partition: its key, or its day.
        from: String,
        /// The last partition [default: the first].
        to: Option<String>,
        /// How it is answered.
        #[command(flatten)]
        how: Answering,
    },
    /// What was answered, what is in force first
    List {
        /// The dataset.
        dataset: String,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Take an answer back; it stays on record
    Withdraw {
        /// The dataset.
        dataset: String,
        /// The answer, by id or unique beginning.
        id: String,
        /// How it is taken back.
        #[command(flatten)]
        how: Keeping,
    },
}

/// What an answer is about, and how it is given.
#[derive(Debug, Clone, Args)]
pub struct Answering {
    /// Only of this metric (`sum(amount)`), or of what the check of this id measures.
    #[arg(long, value_name = "METRIC|CHECK")]
    pub metric: Option<String>,
    /// Only of this column.
    #[arg(long)]
    pub column: Option<String>,
    /// How it is kept.
    #[command(flatten)]
    pub keeping: Keeping,
}

/// Why, by whom, and whether at once.
#[derive(Debug, Clone, Args)]
pub struct Keeping {
    /// Why, for those who wonder later.
    #[arg(long, required_unless_present = "preview")]
    pub reason: Option<String>,
    /// Who answers [default: the user of this machine]; over the HTTP API it is who the token is of.
    #[arg(long)]
    pub by: Option<String>,
    /// Show what it would change, and keep nothing.
    #[arg(long)]
    pub preview: bool,
    /// Do not ask whether to keep it; so it is, too, where nobody can be asked.
    #[arg(short, long, conflicts_with = "preview")]
    pub yes: bool,
    /// Judge the last so many partitions over again.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub last: u32,
}
