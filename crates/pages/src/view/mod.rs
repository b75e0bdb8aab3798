//! Pages, one module each: questions to the API's reads, then a template.
//!
//! Comes in: who asks and what. Goes out: HTML, or a [`Problem`] that is shown as a page of its own.
//! A view must never count, cut or judge by itself: it shows what it was told, and says when that is
//! not all.

pub mod answer;
pub mod api;
pub mod backfill;
pub mod check;
pub mod checks;
pub mod cluster;
pub mod curve;
pub mod dataset;
pub mod datasets;
pub mod definition;
pub mod incidents;
pub mod metric;
pub mod metrics;
pub mod nodes;
pub mod overview;
pub mod partitions;
pub mod problem;
pub mod register;
pub mod run;
pub mod runs;
pub mod session;
pub mod settings;
pub mod subscriptions;
pub mod yaml;

use askama::Template;
use assay_answers::Problem;
use assay_answers::facts::Cut;

use crate::frame::Cx;
use crate::html::part;

/// A page as HTML.
pub type Body = Result<String, Problem>;

/// Fills a template.
fn render(template: &impl Template) -> Body {
    template.render().map_err(|error| {
        problem::of(
            500,
            "internal",
            "The page could not be made",
            &error.to_string(),
        )
    })
}

/// `path?name=value&…` of the values that are there.
fn with_query(path: &str, values: &[(&str, Option<&str>)]) -> String {
    let mut out = path.to_owned();
    for (name, value) in values {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            out.push(if out.contains('?') { '&' } else { '?' });
            out.push_str(name);
            out.push('=');
            out.push_str(&part(value));
        }
    }
    out
}

/// Where the list of a request begins, and how long it may be.
fn cut(cx: &Cx<'_>, limit: u32) -> Cut {
    Cut {
        limit: Some(limit),
        cursor: cx.asked.q("cursor").map(str::to_owned),
    }
}

/// How much of a list is shown, and where it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// In words; empty for a whole list.
    words: String,
    /// The path of what follows.
    next: Option<String>,
}

impl Part {
    /// `shown` items of a list on `path`, which goes on at `cursor`.
    fn of(
        shown: usize,
        total: Option<u64>,
        cursor: Option<&str>,
        path: &str,
        filters: &[(&str, Option<&str>)],
    ) -> Self {
        let shown = shown as u64;
        let words = match (total, cursor) {
            (Some(total), _) if total > shown => {
                format!(
                    "showing {} of {}",
                    crate::words::count(shown),
                    crate::words::count(total)
                )
            }
            (None, Some(_)) => {
                format!("showing {}, and there are more", crate::words::count(shown))
            }
            _ => String::new(),
        };
        let next = cursor.map(|cursor| {
            let mut values = filters.to_vec();
            values.push(("cursor", Some(cursor)));
            with_query(path, &values)
        });
        Self { words, next }
    }
}

/// A choice of a filter: its words, its path, whether it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    name: String,
    href: String,
    chosen: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_cut_says_so_and_goes_on_under_its_filters() {
        let part = Part::of(
            50,
            Some(12_408),
            Some("c=1"),
            "/runs",
            &[("dataset", Some("a b")), ("state", None)],
        );
        assert_eq!(part.words, "showing 50 of 12\u{202f}408");
        assert_eq!(
            part.next.as_deref(),
            Some("/runs?dataset=a%20b&cursor=c%3D1")
        );
        assert_eq!(
            Part::of(3, Some(3), None, "/runs", &[]),
            Part {
                words: String::new(),
                next: None
            }
        );
        assert!(
            Part::of(3, None, Some("x"), "/runs", &[])
                .words
                .contains("more")
        );
    }
}
