//! `assay judge`: limits for a file of metric series.
//!
//! Comes in: CSV of series. Goes out: CSV of limits, in a file that appears whole or not at all, or
//! on standard output. An error names the file and the line.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use assay_judge::series::Policy;
use assay_judge::series_file::{SeriesFileError, judge_file};
use serde_json::json;

use crate::args::{JudgeArgs, Output};
use crate::client::coded;
use crate::context::Context;
use crate::exit::{Exit, OrExit};
use crate::show::text;

/// Runs the command.
pub async fn run(args: JudgeArgs, cx: &Context) -> Result<Exit> {
    let wants_items = matches!(cx.screen.output, Output::Json | Output::Jsonl);
    if args.limits.is_none() && wants_items {
        return Err(coded(
            Exit::Usage,
            "limits are CSV: name a file for them with --limits FILE, or leave -o out",
        ));
    }
    let series = args.series.clone();
    let limits = args.limits.clone();
    let silent = cx.screen.output == Output::None;
    let lines = tokio::task::spawn_blocking(move || judge(&series, limits.as_deref(), silent))
        .await
        .context("the judge was stopped")??;
    if let Some(path) = &args.limits {
        cx.screen.text(&format!(
            "{}: {} limits written to {}\n",
            args.series.display(),
            text::count(lines),
            path.display()
        ))?;
        let item = json!({"series": args.series, "limits": path, "lines": lines});
        cx.screen
            .items("Judgement", &[item], &json!({}), Exit::Ok)?;
    }
    Ok(Exit::Ok)
}

fn judge(series: &Path, limits: Option<&Path>, silent: bool) -> Result<u64> {
    let input: Box<dyn Read> = if series == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(series)
            .with_context(|| format!("cannot read the series {}", series.display()))
            .or_exit(Exit::Usage)?;
        Box::new(file)
    };
    match limits {
        Some(path) => into_file(series, input, path),
        None if silent => into(series, input, std::io::sink()),
        None => into(series, input, BufWriter::new(std::io::stdout().lock())),
    }
}

/// Writes beside `path` and puts the result in its place when it is whole.
fn into_file(series: &Path, input: impl Read, path: &Path) -> Result<u64> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let cannot = || format!("cannot write the limits {}", path.display());
    let mut beside = tempfile::NamedTempFile::new_in(&folder).with_context(cannot)?;
    let lines = into(series, input, BufWriter::new(beside.as_file_mut()))?;
    // A temporary file is private; a result is as readable as any other file.
    let shared = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    beside
        .as_file()
        .set_permissions(shared)
        .with_context(cannot)?;
    beside.persist(path).with_context(cannot)?;
    Ok(lines)
}

fn into(series: &Path, input: impl Read, output: impl Write) -> Result<u64> {
    match judge_file(input, output, &Policy::default()) {
        Ok(lines) => Ok(lines),
        // A reader that has gone (`| head`) ends the program quietly.
        Err(SeriesFileError::Write(cause)) if cause.kind() == std::io::ErrorKind::BrokenPipe => {
            std::process::exit(0)
        }
        Err(error) => {
            let exit = match &error {
                SeriesFileError::Line { .. } | SeriesFileError::NoColumn(_) => Exit::Invalid,
                SeriesFileError::Read { source, .. }
                    if source.kind() == std::io::ErrorKind::InvalidData =>
                {
                    Exit::Invalid
                }
                SeriesFileError::Read { .. } | SeriesFileError::Write(_) => Exit::NotEvaluated,
            };
            Err(coded(exit, format!("{}: {error}", series.display())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit;

    #[test]
    fn a_malformed_line_is_named_and_leaves_no_file_behind() {
        let folder = tempfile::tempdir().unwrap();
        let series = folder.path().join("series.csv");
        std::fs::write(
            &series,
            "dataset,column,metric,partition,idx,value\nd,,rowCount,2026-01-01,zero,1\n",
        )
        .unwrap();
        let limits = folder.path().join("limits.csv");
        let error = judge(&series, Some(&limits), false).unwrap_err();
        assert_eq!(exit::of(&error), Exit::Invalid);
        assert!(error.to_string().contains("series.csv: line 2"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn limits_are_written_from_the_ninth_position_on() {
        let mut text = String::from("dataset,column,metric,partition,idx,value\n");
        for i in 0..12 {
            text.push_str(&format!(
                "d,,rowCount,2026-01-{:02},{i},{}\n",
                i + 1,
                100 + i % 3
            ));
        }
        let folder = tempfile::tempdir().unwrap();
        let (series, limits) = (folder.path().join("s.csv"), folder.path().join("l.csv"));
        std::fs::write(&series, text).unwrap();
        assert_eq!(judge(&series, Some(&limits), false).unwrap(), 4);
        assert_eq!(std::fs::read_to_string(limits).unwrap().lines().count(), 5);
    }
}
