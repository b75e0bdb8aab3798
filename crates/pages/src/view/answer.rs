//! Answering back: what a saying would have changed in the past, before it is kept.

use askama::Template;
use assay_answers::Problem;

use super::Body;
use super::problem::{absent, of as problem};
use crate::Pages;
use crate::frame::{Cx, Frame, Section, check_path, dataset_path, sh};
use crate::seams::{Answering, Backtest, Said, Saying};

#[derive(Template)]
#[template(path = "answer.html")]
struct Page {
    frame: Frame,
    said: Said,
    backtest: Backtest,
    lost: Vec<String>,
    gained: Vec<String>,
    key: String,
}

fn port(pages: &Pages) -> Result<&dyn Answering, Problem> {
    pages.seams.answering.as_deref().ok_or_else(|| {
        absent(
            "Answers to verdicts are not kept here.",
            "A fixed limit goes into the dataset's file.",
        )
    })
}

/// What is said, by the values of a query or a form.
fn said<'a>(
    value: impl Fn(&str) -> Option<&'a str>,
    dataset: &str,
    check: &str,
) -> Result<Said, Problem> {
    let refused = |detail: &str| problem(422, "invalid", "The answer cannot be taken", detail);
    let saying = value("saying")
        .and_then(Saying::of)
        .ok_or_else(|| refused("Choose one of the three answers."))?;
    let from = value("from").ok_or_else(|| refused("Name the partition that it is about."))?;
    let to = match (saying, value("to")) {
        (Saying::ExcludeWindow, Some(to)) => to,
        (Saying::ExcludeWindow, None) => {
            return Err(refused(
                "Name the last partition of the window; the first one again for a single partition.",
            ));
        }
        _ => from,
    };
    let why = value("why").ok_or_else(|| refused("Say why, for those who wonder later."))?;
    let own = |text: &str| text.trim().to_owned();
    Ok(Said {
        saying,
        dataset: dataset.to_owned(),
        check: check.to_owned(),
        from: own(from),
        to: own(to),
        why: own(why),
    })
}

/// The page that shows the backtest.
///
/// # Errors
/// What the port answers.
pub async fn preview(pages: &Pages, cx: &Cx<'_>, dataset: &str, check: &str) -> Body {
    let said = said(|name| cx.asked.q(name), dataset, check)?;
    let backtest = port(pages)?.backtest(cx.who, &said).await?;
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these
            .iter()
            .filter(|p| !those.contains(p))
            .cloned()
            .collect()
    };
    let frame = Frame::new(cx, said.saying.name(), Section::Datasets)
        .crumb("Datasets", "/datasets")
        .crumb(dataset, dataset_path(dataset, ""))
        .crumb(check, check_path(dataset, check))
        .same(
            format!("/api/v1{}", dataset_path(dataset, "/feedback")),
            command(&said),
        );
    super::render(&Page {
        lost: only(&backtest.before, &backtest.after),
        gained: only(&backtest.after, &backtest.before),
        key: super::dataset::key_of(cx),
        frame,
        said,
        backtest,
    })
}

/// The command that shows the same backtest, and keeps nothing.
fn command(said: &Said) -> String {
    let (verb, to) = match said.saying {
        Saying::MarkAsNormal => ("mark-as-normal", None),
        Saying::TrainAsNewNormal => ("train-as-new-normal", None),
        Saying::ExcludeWindow => ("exclude-window", Some(sh(&said.to))),
    };
    let mut command = format!(
        "assay feedback {verb} {} {}",
        sh(&said.dataset),
        sh(&said.from)
    );
    if let Some(to) = to {
        command.push(' ');
        command.push_str(&to);
    }
    command + " --preview --metric " + &sh(&said.check)
}

/// Keeps a saying.
///
/// # Errors
/// What the port answers.
pub async fn keep(
    pages: &Pages,
    cx: &Cx<'_>,
    dataset: &str,
    check: &str,
) -> Result<String, Problem> {
    let said = said(|name| cx.asked.f(name), dataset, check)?;
    let key = cx
        .asked
        .f("key")
        .map_or_else(|| super::dataset::key_of(cx), str::to_owned);
    port(pages)?.keep(cx.who, &said, &key).await?;
    Ok(format!("{}?done=kept", check_path(dataset, check)))
}

/// Withdraws a saying.
///
/// # Errors
/// What the port answers.
pub async fn withdraw(
    pages: &Pages,
    cx: &Cx<'_>,
    dataset: &str,
    check: &str,
) -> Result<String, Problem> {
    let id = cx.asked.f("id").unwrap_or_default();
    let why = cx.asked.f("why").unwrap_or_default();
    port(pages)?
        .withdraw(cx.who, dataset, id, why.trim())
        .await?;
    Ok(format!("{}?done=withdrawn", check_path(dataset, check)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_what_it_is_about_and_why() {
        let ask = |pairs: &'static [(&'static str, &'static str)]| {
            said(
                |name| pairs.iter().find(|p| p.0 == name).map(|p| p.1),
                "orders",
                "rows",
            )
        };
        let window = ask(&[
            ("saying", "exclude_window"),
            ("from", "a"),
            ("to", "b"),
            ("why", "outage"),
        ])
        .unwrap();
        assert_eq!((window.from.as_str(), window.to.as_str()), ("a", "b"));
        let normal = ask(&[
            ("saying", "mark_as_normal"),
            ("from", "a"),
            ("to", "b"),
            ("why", "sale"),
        ])
        .unwrap();
        assert_eq!(normal.to, "a", "only a window has an end");
        for bad in [
            ask(&[("saying", "other"), ("from", "a"), ("why", "x")]),
            ask(&[("saying", "mark_as_normal"), ("why", "x")]),
            ask(&[("saying", "mark_as_normal"), ("from", "a")]),
            ask(&[("saying", "exclude_window"), ("from", "a"), ("why", "x")]),
        ] {
            assert_eq!(bad.unwrap_err().status, 422);
        }
    }
}
