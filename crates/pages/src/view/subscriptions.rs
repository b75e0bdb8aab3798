//! Who is told of what, and the messages that tell them.

use askama::Template;
use assay_answers::Problem;
use assay_answers::dataset::Channel;

use super::Body;
use super::problem::absent;
use crate::Pages;
use crate::frame::{Cx, Frame, Section, sh};
use crate::html::part;
use crate::seams::{Message, Subscription, Subscriptions};

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
    let mut frame = Frame::new(cx, "Subscriptions", Section::Subscriptions)
        .same("/api/v1/subscriptions", "assay subscribe list");
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

/// Messages of one subscription that are shown.
const MESSAGES: u32 = 200;

#[derive(Template)]
#[template(path = "messages.html")]
struct Messages {
    frame: Frame,
    id: String,
    items: Vec<Message>,
    /// There may be more than are shown.
    cut: bool,
}

fn port(pages: &Pages) -> Result<&dyn Subscriptions, Problem> {
    let port = pages.seams.subscriptions.as_deref();
    port.ok_or_else(|| {
        absent(
            "Nobody is told by this server.",
            "The dataset's file names channels under `support`.",
        )
    })
}

/// The page of the messages to one.
///
/// # Errors
/// What the port answers.
pub async fn messages(pages: &Pages, cx: &Cx<'_>, id: &str) -> Body {
    let items = port(pages)?.messages(cx.who, id, MESSAGES).await?;
    let frame = Frame::new(cx, "Messages", Section::Subscriptions)
        .crumb("Subscriptions", "/subscriptions")
        .same(
            format!("/api/v1/subscriptions/{}/deliveries", part(id)),
            format!("assay subscribe deliveries {}", sh(id)),
        )
        .poll(15);
    super::render(&Messages {
        frame,
        id: id.to_owned(),
        cut: items.len() >= MESSAGES as usize,
        items,
    })
}

/// Sends a test.
///
/// # Errors
/// What the port answers.
pub async fn test(pages: &Pages, cx: &Cx<'_>, id: &str) -> Result<String, Problem> {
    port(pages)?.test(cx.who, id).await?;
    Ok("/subscriptions?done=tested".to_owned())
}

/// Sends a message that was given up again.
///
/// # Errors
/// What the port answers.
pub async fn again(pages: &Pages, cx: &Cx<'_>, id: &str) -> Result<String, Problem> {
    let message = cx.asked.f("id").unwrap_or_default();
    port(pages)?.again(cx.who, id, message).await?;
    Ok(format!("/subscriptions/{}?done=again", part(id)))
}
