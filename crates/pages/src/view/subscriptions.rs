//! Who is told of what.

use askama::Template;
use assay_answers::Problem;
use assay_answers::dataset::Channel;

use super::Body;
use super::problem::absent;
use crate::Pages;
use crate::frame::{Cx, Frame, Section};
use crate::seams::Subscription;

#[derive(Template)]
#[template(path = "subscriptions.html")]
struct Page {
    frame: Frame,
    /// Mine first, then all others; `None` where the port is absent.
    items: Option<Vec<Subscription>>,
    dataset: String,
    channels: Vec<Channel>,
}

/// The page.
///
/// # Errors
/// What the port answers.
pub async fn page(pages: &Pages, cx: &Cx<'_>) -> Body {
    let dataset = cx.asked.q("dataset");
    let mut frame =
        Frame::new(cx, "Subscriptions", Section::Subscriptions).same("", "assay subscribe list");
    let channels = match dataset {
        Some(dataset) => {
            frame
                .take(pages.facts.dataset(cx.who, dataset).await?)
                .channels
        }
        None => Vec::new(),
    };
    let items = match &pages.seams.subscriptions {
        None => {
            // Nothing answers there: a footer must not name it.
            frame = frame.same("", "");
            None
        }
        Some(port) => {
            let mut items = port.list(cx.who).await?;
            items.retain(|s| dataset.is_none_or(|d| s.dataset.is_empty() || s.dataset == d));
            items.sort_by_key(|s| !s.mine);
            Some(items)
        }
    };
    super::render(&Page {
        frame,
        items,
        dataset: dataset.unwrap_or_default().to_owned(),
        channels,
    })
}

/// Sends a test.
///
/// # Errors
/// What the port answers.
pub async fn test(pages: &Pages, cx: &Cx<'_>, id: &str) -> Result<String, Problem> {
    let port = pages.seams.subscriptions.as_ref();
    let port = port.ok_or_else(|| {
        absent(
            "Nobody is told by this server.",
            "The dataset's file names channels under `support`.",
        )
    })?;
    port.test(cx.who, id).await?;
    Ok("/subscriptions?done=tested".to_owned())
}
