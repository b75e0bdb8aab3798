//! Registering a dataset, or changing one, by its file: pasted or uploaded, with what is wrong shown
//! in place.

use askama::Template;
use assay_answers::Problem;
use assay_answers::definition::{Applied, Validation};
use assay_answers::facts::Match;
use assay_answers::problem::Diagnostic;

use super::Body;
use super::problem::of as problem;
use crate::Pages;
use crate::frame::{Cx, Frame, Section, dataset_path};

/// What the form begins with when there is nothing to change.
const FIRST: &str = "apiVersion: v3.1.0
kind: DataContract
id: orders
version: 0.1.0
status: active
name: Orders
servers:
  - { server: local, type: local, path: ./data/orders/*.parquet, format: parquet }
schema:
  - name: orders
    quality:
      - { id: row_count, metric: rowCount, mustBeGreaterThan: 0 }
team:
  name: orders-team
";

/// A line of the document with what is wrong in it.
struct Line {
    number: usize,
    text: crate::html::Markup,
    wrong: Vec<Diagnostic>,
}

#[derive(Template)]
#[template(path = "register.html")]
struct Page {
    frame: Frame,
    text: String,
    digest: String,
    dataset: Option<String>,
    validation: Option<Validation>,
    tried: Option<Applied>,
    refused: Option<Problem>,
    lines: Vec<Line>,
    may: bool,
}

fn frame(cx: &Cx<'_>, dataset: Option<&str>) -> Frame {
    let title = dataset.map_or_else(
        || "Register a dataset".to_owned(),
        |d| format!("Change {d}"),
    );
    let frame = Frame::new(cx, title, Section::Datasets)
        .crumb("Datasets", "/datasets")
        .same(
            "/api/v1/schemas/dataset.json",
            "assay dataset apply -f dataset.odcs.yaml",
        );
    match dataset {
        Some(dataset) => frame.crumb(dataset, dataset_path(dataset, "")),
        None => frame,
    }
}

/// The form, with the document of a dataset that is to be changed.
///
/// # Errors
/// What the reads answer.
pub async fn page(pages: &Pages, cx: &Cx<'_>) -> Body {
    let dataset = cx.asked.q("dataset");
    let mut frame = frame(cx, dataset);
    let (text, digest) = match dataset {
        Some(dataset) => {
            let of = frame.take(pages.facts.definition(cx.who, dataset).await?);
            (of.text, of.digest)
        }
        None => (FIRST.to_owned(), String::new()),
    };
    super::render(&Page {
        text,
        digest,
        dataset: dataset.map(str::to_owned),
        validation: None,
        tried: None,
        refused: None,
        lines: Vec::new(),
        may: pages.deeds.is_some(),
        frame,
    })
}

/// The lines of a document, those with something wrong and their neighbours.
fn lines(text: &str, diagnostics: &[Diagnostic]) -> Vec<Line> {
    let near = |number: usize| {
        diagnostics
            .iter()
            .any(|d| (d.line as usize).abs_diff(number) <= 2)
    };
    text.lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line))
        .filter(|(number, _)| near(*number))
        .map(|(number, line)| Line {
            number,
            text: super::yaml::line(line),
            wrong: diagnostics
                .iter()
                .filter(|d| d.line as usize == number)
                .cloned()
                .collect(),
        })
        .collect()
}

/// What a wish to keep a document needs to hold: the document that was looked at, or none.
fn condition(cx: &Cx<'_>) -> Match {
    match cx.asked.f("digest") {
        Some(digest) => Match::Digest(digest.to_owned()),
        None => Match::Absent,
    }
}

/// Looks at a document, and keeps it if that is wished and nothing is wrong.
///
/// # Errors
/// What the wish answers, except what the page shows in place.
pub async fn send(pages: &Pages, cx: &Cx<'_>) -> Result<Sent, Problem> {
    // Browsers send line breaks as CR LF; a definition is what was pasted.
    let text = cx
        .asked
        .form
        .get("text")
        .map(|t| t.replace("\r\n", "\n"))
        .unwrap_or_default();
    if text.trim().is_empty() {
        return Err(problem(
            422,
            "invalid",
            "There is nothing to look at",
            "Paste the dataset's file, or choose one.",
        ));
    }
    let deeds = pages.deeds()?;
    let validation = deeds.validate(cx.who, &text).await?;
    let dataset = validation.id.clone();
    let wish = cx.asked.f("do") == Some("register");
    let (mut tried, mut refused) = (None, None);
    if let (true, Some(id)) = (validation.valid, &dataset) {
        match deeds.apply(cx.who, id, &text, &condition(cx), !wish).await {
            Ok(applied) if wish => {
                let done = if applied.done == "unchanged" {
                    "unchanged"
                } else {
                    "registered"
                };
                return Ok(Sent::To(format!("{}?done={done}", dataset_path(id, ""))));
            }
            Ok(applied) => tried = Some(applied),
            Err(problem) if matches!(problem.status, 409 | 412 | 422) => refused = Some(problem),
            Err(problem) => return Err(problem),
        }
    }
    let page = Page {
        lines: lines(&text, &validation.diagnostics),
        digest: cx.asked.f("digest").unwrap_or_default().to_owned(),
        frame: frame(
            cx,
            dataset
                .as_deref()
                .filter(|_| cx.asked.f("digest").is_some()),
        ),
        dataset,
        text,
        validation: Some(validation),
        tried,
        refused,
        may: true,
    };
    super::render(&page).map(Sent::Page)
}

/// What follows from sending the form.
pub enum Sent {
    /// The page again, with what was found.
    Page(String),
    /// To what was made.
    To(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_stands_under_its_line() {
        let wrong = |line| Diagnostic {
            code: "ASY014".to_owned(),
            level: "error".to_owned(),
            file: "x".to_owned(),
            line,
            column: 1,
            path: String::new(),
            message: "unknown operator".to_owned(),
            hint: None,
        };
        let lines = lines("a\nb\nc\nd\ne\nf\ng\nh", &[wrong(4)]);
        assert_eq!(
            lines.iter().map(|l| l.number).collect::<Vec<_>>(),
            [2, 3, 4, 5, 6]
        );
        assert_eq!(lines[2].wrong.len(), 1);
        assert!(super::lines("", &[wrong(9)]).is_empty());
    }
}
