//! `assay help`: the short manual, made from the tables that the program itself works by.
//!
//! Comes in: a topic or a command. Goes out: text. It must never say what the program does not do:
//! exit codes come from [`Exit::ALL`], metrics from the model, settings from [`KEYS`].

use anyhow::Result;
use assay_model::metric::Metric;
use clap::CommandFactory;
use serde_json::json;

use crate::args::Cli;
use crate::client::coded;
use crate::config::KEYS;
use crate::context::Context;
use crate::exit::Exit;
use crate::show::table;

/// The topics, besides the commands.
const TOPICS: [&str; 3] = ["exit-codes", "checks", "config"];

/// Runs the command.
pub fn run(topic: Option<&str>, cx: &Context) -> Result<Exit> {
    match topic {
        None => cx.screen.text(&format!(
            "{}\nTopics: assay help {}\n",
            Cli::command().render_long_help(),
            TOPICS.join(" | ")
        ))?,
        Some("exit-codes") => exit_codes(cx)?,
        Some("checks") => checks(cx)?,
        Some("config") => config(cx)?,
        Some(command) => of_command(command, cx)?,
    }
    Ok(Exit::Ok)
}

fn exit_codes(cx: &Context) -> Result<()> {
    let mut table = table::table(&["CODE", "MEANING"]);
    for exit in Exit::ALL {
        table.add_row([exit.code().to_string(), exit.meaning().to_owned()]);
    }
    cx.screen.text(&format!(
        "{}\nThe codes never change their meaning. Learning and skipped checks are 0, said in the \
         last line.\n",
        table::print(&table)
    ))?;
    let items: Vec<_> = Exit::ALL
        .iter()
        .map(|exit| json!({"code": exit.code(), "meaning": exit.meaning()}))
        .collect();
    cx.screen
        .items("ExitCodeList", &items, &json!({}), Exit::Ok)
}

fn checks(cx: &Context) -> Result<()> {
    let mut out = String::from(
        "A check measures a metric of every partition and holds it against what is expected:\n\
         a fixed bound, limits learned from the partitions before, or both.\n\n",
    );
    for (of_table, title) in [(true, "Of a whole partition"), (false, "Of a column")] {
        let mut table = table::table(&[title, ""]);
        let is_of_table = |m: Metric| m.is_of_table() || m.is_of_query();
        for metric in Metric::ALL.iter().filter(|m| is_of_table(**m) == of_table) {
            table.add_row([metric.as_str(), meaning(*metric)]);
        }
        out.push_str(&table::print(&table));
        out.push('\n');
    }
    out.push_str(
        "Operators  mustBe mustNotBe mustBeGreaterThan mustBeGreaterOrEqualTo mustBeLessThan\n           \
         mustBeLessOrEqualTo mustBeBetween mustNotBeBetween\n\n\
         Outcomes   pass, warn, fail, error, missing, learning, skipped, overflow; only pass is green\n\n\
         Start      assay dataset init FOLDER   writes a definition with suggested checks\n",
    );
    cx.screen.text(&out)?;
    let items: Vec<_> = Metric::ALL
        .iter()
        .map(|metric| {
            json!({
                "metric": metric,
                "of": if metric.is_of_table() || metric.is_of_query() { "partition" } else { "column" },
                "meaning": meaning(*metric),
            })
        })
        .collect();
    cx.screen.items("MetricList", &items, &json!({}), Exit::Ok)
}

/// What a metric measures, in a line.
const fn meaning(metric: Metric) -> &'static str {
    match metric {
        Metric::RowCount => "rows",
        Metric::ByteCount => "bytes of its objects, as stored",
        Metric::FileCount => "objects (files)",
        Metric::ColumnCount => "columns",
        Metric::NullCount => "values that are NULL",
        Metric::NullPercent => "NULL values per hundred rows; no value without rows",
        Metric::MissingCount => "NULLs and the placeholders that the check lists",
        Metric::MissingPercent => "missing values per hundred rows",
        Metric::NanCount => "values that are not a number (IEEE NaN)",
        Metric::InfCount => "values that are plus or minus infinity",
        Metric::InvalidCount => "non-null values that break the check's rule",
        Metric::InvalidPercent => "invalid values per hundred rows",
        Metric::NonNumericCount => "fields of a text format that are no number",
        Metric::DistinctCount => "different values; exact up to a limit, then estimated",
        Metric::DuplicateCount => "rows whose key was met before; always exact",
        Metric::DuplicatePercent => "duplicate rows per hundred rows",
        Metric::Sum => "the exact sum of the finite values",
        Metric::Min => "the least finite value",
        Metric::Max => "the greatest finite value",
        Metric::Mean => "the mean of the finite values, from the exact sum",
        Metric::Stddev => "the sample standard deviation",
        Metric::Quantile => "a quantile (q from 0 to 1), with its error",
        Metric::LengthMin => "characters of the shortest text",
        Metric::LengthMax => "characters of the longest text",
        Metric::LengthMean => "mean characters of the texts",
        Metric::Latency => "seconds from the latest time in the column to the judging",
        Metric::LastModifiedAge => "seconds from the last change of its objects to the judging",
        Metric::Schema => "its columns, types and nullability",
        Metric::Query => "the number that a SQL query gives",
        Metric::FailedRows => "rows that a SQL query gives, some of them shown",
    }
}

fn config(cx: &Context) -> Result<()> {
    let mut table = table::table(&["SETTING", "DEFAULT", "WHAT IT IS"]);
    for key in KEYS {
        let default = if key.default.is_empty() {
            "-"
        } else {
            key.default
        };
        table.add_row([key.name, default, key.about]);
    }
    cx.screen.text(&format!(
        "{}\nWeakest first: built-in, /etc/assay/assay.toml, ~/.config/assay/assay.toml,\n\
         ./assay.toml (or --config FILE), ASSAY_SECTION__KEY in the environment, flags.\n\
         `section.key` is written `key = value` under `[section]` in a file, and\n\
         ASSAY_DEV__GRPC_PORT=9000 in the environment.\n\
         In force: assay config view --sources\n",
        table::print(&table)
    ))?;
    let items: Vec<_> = KEYS
        .iter()
        .map(|key| json!({"key": key.name, "default": key.default, "about": key.about}))
        .collect();
    cx.screen
        .items("SettingKeyList", &items, &json!({}), Exit::Ok)
}

fn of_command(name: &str, cx: &Context) -> Result<()> {
    let mut cli = Cli::command();
    cli.build();
    let Some(command) = cli.find_subcommand_mut(name) else {
        return Err(coded(
            Exit::Usage,
            format!(
                "there is no topic or command `{name}`; topics: {}; commands: assay --help",
                TOPICS.join(", ")
            ),
        ));
    };
    cx.screen.text(&format!("{}\n", command.render_long_help()))
}
