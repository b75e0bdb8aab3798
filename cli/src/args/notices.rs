//! The command lines of incidents and of who is told of them.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::parse_duration;

/// `assay incident …`
#[derive(Debug, Subcommand)]
pub enum IncidentCommand {
    /// List incidents, open ones first
    List {
        /// Only of this dataset.
        #[arg(long)]
        dataset: Option<String>,
        /// Resolved ones, too.
        #[arg(long)]
        all: bool,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one: what was found, the broken checks, what happened and who did it
    Get {
        /// The incident, by id or unique beginning.
        incident: String,
    },
    /// Say that you are looking: nobody is reminded of it any more
    Ack {
        /// The incident, by id or unique beginning.
        incident: String,
    },
    /// Tell nobody of it for a while
    Mute {
        /// The incident, by id or unique beginning.
        incident: String,
        /// For how long (`7d`, `12h`).
        #[arg(long = "for", value_name = "TIME", value_parser = parse_duration, required_unless_present = "off")]
        lasting: Option<Duration>,
        /// Tell people again.
        #[arg(long, conflicts_with = "lasting")]
        off: bool,
    },
    /// Say whose it is
    Assign {
        /// The incident, by id or unique beginning.
        incident: String,
        /// Who; empty takes it back.
        who: String,
    },
    /// Note what others who look at it should know: it is shown with who and when, and nobody is told
    Note {
        /// The incident, by id or unique beginning.
        incident: String,
        /// What: at most 2000 characters.
        text: String,
    },
    /// End it: mended, or to be taken as normal; what breaks again opens it again
    Resolve {
        /// The incident, by id or unique beginning.
        incident: String,
    },
}

/// `assay subscribe …`
#[derive(Debug, Subcommand)]
pub enum SubscribeCommand {
    /// List who is told
    List {
        /// Only what is told of this dataset.
        #[arg(long)]
        dataset: Option<String>,
        /// Removed ones, too.
        #[arg(long)]
        all: bool,
    },
    /// Tell somebody more
    Add(AddArgs),
    /// Send a message that shows that messages come
    Test {
        /// The subscription, by id or unique beginning.
        subscription: String,
        /// Do not wait until it is delivered.
        #[arg(long)]
        no_wait: bool,
    },
    /// Tell nothing until it is resumed
    Pause {
        /// The subscription, by id or unique beginning.
        subscription: String,
    },
    /// Tell again what happens from now on
    Resume {
        /// The subscription, by id or unique beginning.
        subscription: String,
    },
    /// Tell nothing any more
    Remove {
        /// The subscription, by id or unique beginning.
        subscription: String,
    },
    /// List messages, newest first: those that wait, are delivered, are given up (dead)
    Deliveries {
        /// Only to this subscription, by id or unique beginning.
        subscription: Option<String>,
        /// Only those that are pending, delivered or dead.
        #[arg(long)]
        state: Option<String>,
        /// Send this one again (its whole id).
        #[arg(long, value_name = "DELIVERY")]
        again: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}

/// `assay subscribe add`
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Where to: https://…, #channel (Slack), an address of mail, an ARN of SNS or Lambda.
    pub target: String,
    /// Only of this dataset [default: all].
    #[arg(long)]
    pub dataset: Option<String>,
    /// What the target is, where its spelling does not say it: webhook, slack, email, sns, lambda.
    #[arg(long)]
    pub channel: Option<String>,
    /// What signs webhooks, or the address of Slack's incoming webhook: env:NAME, file:PATH or
    /// aws-sm:NAME, known to the manager; never the secret itself.
    #[arg(long, value_name = "REFERENCE")]
    pub secret: Option<String>,
    /// Only what is at least so grave: info, warning, error.
    #[arg(long, default_value = "warning")]
    pub severity: String,
    /// Only of this dimension (repeatable).
    #[arg(long = "dimension")]
    pub dimensions: Vec<String>,
    /// Only of this column (repeatable).
    #[arg(long = "column")]
    pub columns: Vec<String>,
    /// Only of this event (repeatable): opened, escalated, still_open, resolved; finished: a
    /// partition was checked; with --operator run_failed, node_lost, dataset_stale.
    #[arg(long = "event")]
    pub events: Vec<String>,
    /// Tell of what could not be evaluated and of what the cluster lost, and of nothing else: for
    /// operators.
    #[arg(long)]
    pub operator: bool,
}
