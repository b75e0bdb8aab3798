//! GitHub's annotations: one per finding, at the line of the check in its file.
//!
//! Comes in: what a check found. Goes out: commands of a workflow, on standard error. It must never let
//! a name or a value of the data be taken for a command of its own, or for another part of one.

use std::path::Path;

use assay_model::dataset::Dataset;
use assay_model::outcome::Outcome;
use assay_store::port::ResultRow;

use super::report::Checked;
use crate::show::{say, text};

/// Tells all findings.
pub fn annotate(all: &[Checked]) {
    for checked in all {
        let findings = checked.rows.iter();
        for row in findings.filter(|row| row.result.outcome.needs_a_look()) {
            say(&annotation(&checked.file, &checked.dataset, row));
        }
    }
}

/// The annotation of a finding: a line.
fn annotation(file: &Path, dataset: &Dataset, row: &ResultRow) -> String {
    let result = &row.result;
    let level = match result.outcome {
        Outcome::Warn => "warning",
        _ => "error",
    };
    let check = dataset.checks.iter().find(|c| c.id == result.check);
    let line = check.and_then(|check| check.line).unwrap_or(1);
    let file = property(&file.display().to_string());
    let title = property(&format!("{} {}", row.partition.key, result.check));
    let message = message(&format!(
        "{}: {} (expected {}, found {})",
        result.metric,
        result.outcome,
        result.expected,
        text::measured(&result.actual, result.error_bound)
    ));
    format!("::{level} file={file},line={line},title={title}::{message}\n")
}

/// A text as the message of a command.
fn message(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A text as a property of a command, which ends where another begins.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_data_holds_is_no_command_and_no_other_part_of_one() {
        assert_eq!(
            message("found a\r\n::stop-commands::x, 5 %"),
            "found a%0D%0A::stop-commands::x, 5 %25"
        );
        assert_eq!(
            property("region=eu,line=7 profile:min(a)\n::error::x"),
            "region=eu%2Cline=7 profile%3Amin(a)%0A%3A%3Aerror%3A%3Ax"
        );
        assert_eq!(property("data/orders.yaml"), "data/orders.yaml");
    }
}
