//! The command line: every command and flag, with the words that `--help` shows.

mod certs;
mod feedback;
pub mod guard;
mod notices;

use std::path::PathBuf;
use std::time::Duration;

pub use certs::CertsArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
pub use feedback::{Answering, FeedbackCommand, Keeping};
pub use notices::{AddArgs, IncidentCommand, SubscribeCommand};

use crate::commands::dataset::DatasetCommand;
use crate::commands::schedule::ScheduleCommand;
use crate::commands::settings::ConfigCommand;

/// Data quality that never gives a silent wrong answer.
#[derive(Debug, Parser)]
#[command(
    name = "assay",
    version,
    infer_subcommands = true,
    disable_help_subcommand = true,
    after_help = "Start here:  assay demo        a story with planted faults, on this machine\n             assay dataset init DIR   a definition for your own files\n             assay check FILE         judge its newest partitions"
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// How results are written to standard output.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text, env = "ASSAY_OUTPUT")]
    pub output: Output,
    /// Settings file [default: ./assay.toml, then ~/.config/assay/assay.toml].
    #[arg(long, global = true, value_name = "FILE", env = "ASSAY_CONFIG")]
    pub config: Option<PathBuf>,
    /// Settings of [profile.NAME] in force [default: that of `assay config use`].
    #[arg(long, global = true, value_name = "NAME", env = "ASSAY_PROFILE")]
    pub profile: Option<String>,
    /// Folder of the embedded store [default: ./.assay].
    #[arg(long, global = true, value_name = "DIR", env = "ASSAY_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Gateway to speak to (https://HOST), or managers with commas between (HOST:8081) [default: the
    /// manager running on --data-dir].
    #[arg(long, global = true, value_name = "URL", env = "ASSAY_SERVER")]
    pub server: Option<String>,
    /// Certificates (PEM) of the authority that managers are signed by.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ASSAY_TLS_CA",
        hide_short_help = true
    )]
    pub tls_ca: Option<PathBuf>,
    /// The certificate (PEM) that managers know you by.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ASSAY_TLS_CERT",
        hide_short_help = true
    )]
    pub tls_cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ASSAY_TLS_KEY",
        hide_short_help = true
    )]
    pub tls_key: Option<PathBuf>,
    /// The name that managers must have in their certificate, whatever address they are reached at.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "ASSAY_TLS_SERVER_NAME",
        hide_short_help = true
    )]
    pub tls_server_name: Option<String>,
    /// More detail on standard error (-v, -vv).
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Nothing on standard error but errors.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Colour of the output.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// How times are written.
    #[arg(long, global = true, value_enum, default_value_t = TimeFormat::Relative)]
    pub time_format: TimeFormat,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// One JSON document per line and item.
    Jsonl,
    /// Nothing; only the exit code.
    None,
}

/// When colour is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TimeFormat {
    /// `5 min ago`.
    Relative,
    /// RFC 3339, UTC.
    Iso,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell a story with planted faults: 90 days of orders, judged on an embedded cluster
    Demo(DemoArgs),
    /// Keep an embedded cluster running: manager, data nodes, store and registry in this process
    Dev(DevArgs),
    /// Judge datasets here and now, without a server
    Check(CheckArgs),
    /// Learn limits for a file of metric series
    Judge(JudgeArgs),
    /// Definitions of datasets
    #[command(visible_alias = "ds", subcommand)]
    Dataset(DatasetCommand),
    /// Runs of a cluster
    #[command(subcommand)]
    Run(RunCommand),
    /// Measured values
    #[command(subcommand)]
    Metric(MetricCommand),
    /// What is wrong with data: incidents
    #[command(subcommand)]
    Incident(IncidentCommand),
    /// Who is told of incidents
    #[command(visible_alias = "sub", subcommand)]
    Subscribe(SubscribeCommand),
    /// Answer back: mark as normal, train as new normal from here, exclude this window
    #[command(subcommand)]
    Feedback(FeedbackCommand),
    /// Data nodes of a cluster
    #[command(subcommand)]
    Node(NodeCommand),
    /// The cluster: who leads, who works, what waits
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Tokens that a gateway takes
    #[command(subcommand)]
    Token(guard::TokenCommand),
    /// Who asked for which change
    #[command(subcommand)]
    Audit(guard::AuditCommand),
    /// Look for what is wrong with this installation
    Doctor,
    /// What is due, what runs next, and why something did not
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Completions for a shell
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Exit codes, checks, settings: the short manual
    Help {
        /// exit-codes, checks or config; a command shows its own help.
        topic: Option<String>,
    },
    /// Version and build
    Version,
}

/// `assay demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder to write the demonstration to; it must be new, empty or an earlier demonstration's.
    #[arg(long, default_value = "assay-demo")]
    pub dir: PathBuf,
    /// Data nodes of the embedded cluster [default: one per core, at most 4].
    #[arg(long)]
    pub nodes: Option<u32>,
    /// The last day of the story [default: yesterday, UTC].
    #[arg(long, value_name = "DATE")]
    pub until: Option<jiff::civil::Date>,
    /// Rows of an average day.
    #[arg(long, value_name = "ROWS", default_value_t = 56_000, value_parser = clap::value_parser!(u32).range(500..=5_000_000))]
    pub rows_per_day: u32,
}

/// `assay dev`
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Folder of dataset definitions [default: ./datasets].
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Data nodes, or a range that follows the load (`2` or `1..4`).
    #[arg(long, value_parser = parse_nodes)]
    pub nodes: Option<NodeRange>,
    /// Task slots of each node.
    #[arg(long)]
    pub slots: Option<u32>,
    /// Loopback port of the manager; 0 takes any free one [default: 8081].
    #[arg(long)]
    pub grpc_port: Option<u16>,
    /// Loopback port of the HTTP API; 0 takes any free one [default: 8080; any free one beside
    /// `--grpc-port 0`].
    #[arg(long)]
    pub port: Option<u16>,
    /// Serve no HTTP API.
    #[arg(long, conflicts_with = "port")]
    pub headless: bool,
    /// Seconds between looks at the data for what is new [default: 10; 60 for a bucket].
    #[arg(long)]
    pub poll_s: Option<u64>,
    /// Keep nothing: the store lives in memory.
    #[arg(long)]
    pub ephemeral: bool,
}

/// A fixed number of nodes, or bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeRange {
    /// At least so many.
    pub min: u32,
    /// At most so many.
    pub max: u32,
}

/// Reads `2` or `1..4`.
pub fn parse_nodes(text: &str) -> Result<NodeRange, String> {
    let bad = || format!("`{text}` is neither a number of nodes (`2`) nor a range (`1..4`)");
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    let min: u32 = min.parse().map_err(|_| bad())?;
    let max: u32 = max.parse().map_err(|_| bad())?;
    if min == 0 || max < min || max > 64 {
        return Err(format!(
            "`{text}`: use 1 to 64 nodes, the smaller number first"
        ));
    }
    Ok(NodeRange { min, max })
}

/// `assay check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Dataset files.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Only these checks (repeatable).
    #[arg(long = "check", value_name = "ID")]
    pub checks: Vec<String>,
    /// Only checks with this tag (repeatable).
    #[arg(long = "tag")]
    pub tags: Vec<String>,
    /// Only checks of this dimension (repeatable).
    #[arg(long = "dimension")]
    pub dimensions: Vec<String>,
    /// Only these partitions (repeatable).
    #[arg(long = "partition", value_name = "KEY")]
    pub partitions: Vec<String>,
    /// From which severity a failed check fails the command.
    #[arg(long, value_enum, default_value_t = FailOn::Error)]
    pub fail_on: FailOn,
    /// Measure unchanged partitions again, too.
    #[arg(long)]
    pub rescan: bool,
    /// Keep nothing and read no history: every partition is judged as if for the first time.
    #[arg(long)]
    pub ephemeral: bool,
    /// Tasks at once [default: two per core, if each has 512 MiB].
    #[arg(long)]
    pub slots: Option<u32>,
    /// Memory for the scan (`512MiB`) [default: a quarter of the machine's, at most 1 GiB per core].
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub memory: Option<u64>,
    /// Show every partition and check, not only what needs a look.
    #[arg(long)]
    pub all: bool,
    /// Also print GitHub annotations (on by itself in GitHub Actions).
    #[arg(long)]
    pub ci: bool,
    /// Write a JUnit report.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// From which severity a failed check fails the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Warnings, too.
    Warning,
    /// Failures.
    Error,
    /// Nothing: always 0 unless something could not be evaluated.
    Never,
}

/// `assay judge`
#[derive(Debug, Args)]
pub struct JudgeArgs {
    /// CSV with the columns dataset,column,metric,partition,idx,value.
    #[arg(long, value_name = "FILE")]
    pub series: PathBuf,
    /// Where the limits go [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub limits: Option<PathBuf>,
}

/// `assay run …`
#[derive(Debug, Subcommand)]
pub enum RunCommand {
    /// Start runs
    Start {
        /// Datasets, by id.
        #[arg(required = true)]
        datasets: Vec<String>,
        /// Measure the past: so many days (`90d`), or `all`.
        #[arg(long, value_name = "WINDOW")]
        backfill: Option<String>,
        /// Only these partitions (repeatable).
        #[arg(long = "partition", value_name = "KEY")]
        partitions: Vec<String>,
        /// Measure unchanged partitions again, too.
        #[arg(long)]
        rescan: bool,
        /// The same key never starts a second run.
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
        /// Wait for the end and show it.
        #[arg(long)]
        wait: bool,
        /// Wait and show progress.
        #[arg(long)]
        watch: bool,
        /// Longest wait (`10m`).
        #[arg(long, value_parser = parse_duration)]
        timeout: Option<Duration>,
    },
    /// List runs, newest first
    List {
        /// Only of this dataset.
        #[arg(long)]
        dataset: Option<String>,
        /// Only what has not ended.
        #[arg(long)]
        active: bool,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Show one run with its tasks and results
    Get {
        /// The run, by id or unique beginning.
        id: String,
    },
    /// Follow a run to its end
    Watch {
        /// The run, by id or unique beginning.
        id: String,
        /// Longest wait (`10m`).
        #[arg(long, value_parser = parse_duration)]
        timeout: Option<Duration>,
    },
    /// Stop a run
    Cancel {
        /// The run, by id or unique beginning.
        id: String,
    },
    /// Try the failed tasks of an ended run again
    Retry {
        /// The run, by id or unique beginning.
        id: String,
    },
}

/// `assay metric …`
#[derive(Debug, Subcommand)]
pub enum MetricCommand {
    /// The metrics of a dataset with their newest values
    List {
        /// The dataset.
        dataset: String,
        /// Only this metric (`mean`, or `mean(amount)`).
        metric: Option<String>,
        /// Only of this column.
        #[arg(long)]
        column: Option<String>,
    },
    /// The values of one metric over partitions, with the limits that applied
    History {
        /// The dataset.
        dataset: String,
        /// The metric (`rowCount`, `sum`, `mean(amount)`, …).
        metric: String,
        /// The column.
        #[arg(long)]
        column: Option<String>,
        /// The last so many partitions.
        #[arg(long, default_value_t = 30)]
        last: u32,
    },
}

/// `assay node …`
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List the nodes with their load
    List,
    /// Show one node: its state and since when, its load, when it was heard of
    Get {
        /// The node, by id or unique beginning; one that has gone within the last day too.
        node: String,
    },
    /// Let a node finish its tasks and leave
    Drain {
        /// The node, by id or unique beginning.
        node: String,
        /// Why, for those who wonder later.
        #[arg(long, default_value = "asked for by an operator")]
        reason: String,
    },
    /// Let a draining or excluded node take tasks again
    Uncordon {
        /// The node, by id or unique beginning.
        node: String,
    },
}

/// `assay cluster …`
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Who leads, which nodes work, what waits
    Status,
    /// How the fleet was scaled: when, why, and how soon its nodes were there
    Events,
    /// Set the bounds that the fleet is sized within
    Scale {
        /// Nodes, exactly or between bounds (`4` or `2..8`).
        #[arg(long, value_name = "N", value_parser = parse_fleet)]
        nodes: NodeRange,
    },
    /// Make certificates: an authority, and what managers, nodes, clients and emitters show
    Certs(CertsArgs),
}

/// Reads `4` or `2..8`, of a cluster's nodes.
fn parse_fleet(text: &str) -> Result<NodeRange, String> {
    let bad = || format!("`{text}` is neither a number of nodes (`4`) nor a range (`2..8`)");
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    let min: u32 = min.parse().map_err(|_| bad())?;
    let max: u32 = max.parse().map_err(|_| bad())?;
    if max == 0 || max < min || max > 10_000 {
        return Err(format!(
            "`{text}`: use up to 10000 nodes, the smaller number first"
        ));
    }
    Ok(NodeRange { min, max })
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit_s = match unit {
        "s" | "" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => {
            return Err(format!(
                "`{text}`: use a number with s, m, h or d, such as `10m`"
            ));
        }
    };
    let seconds = number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(unit_s));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| format!("`{text}`: use a number with s, m, h or d, such as `10m`"))
}

/// Reads `512MiB`.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}`: use a number with MiB or GiB, such as `512MiB`");
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    number.checked_mul(1 << shift).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_durations_and_node_ranges_are_read_or_refused_with_an_example() {
        assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
        assert!(parse_bytes("99999999999GiB").is_err());
        assert_eq!(parse_duration("10m"), Ok(Duration::from_secs(600)));
        assert!(parse_duration("soon").unwrap_err().contains("10m"));
        assert_eq!(parse_nodes("1..4"), Ok(NodeRange { min: 1, max: 4 }));
        assert!(parse_nodes("0").is_err());
    }
}
