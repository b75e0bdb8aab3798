//! Settings in force, and what this program is.

use askama::Template;
use assay_answers::overview::Version;

use super::Body;
use crate::Pages;
use crate::frame::{Cx, Frame, Section};
use crate::seams::Setting;

#[derive(Template)]
#[template(path = "settings.html")]
struct Page {
    frame: Frame,
    settings: Option<Vec<Setting>>,
}

#[derive(Template)]
#[template(path = "about.html")]
struct About {
    frame: Frame,
    of: Version,
}

/// The page of the settings.
///
/// # Errors
/// None but those of rendering.
pub fn page(pages: &Pages, cx: &Cx<'_>) -> Body {
    let frame =
        Frame::new(cx, "Settings", Section::Settings).same("", "assay config view --sources");
    let settings = pages
        .seams
        .settings
        .as_ref()
        .map(|port| port.settings(cx.who));
    super::render(&Page { frame, settings })
}

/// The page about the program.
///
/// # Errors
/// What the reads answer.
pub async fn about(pages: &Pages, cx: &Cx<'_>) -> Body {
    let mut frame = Frame::new(cx, "About", Section::Settings)
        .crumb("Settings", "/settings")
        .same("/api/v1/version", "assay version");
    let of = frame.take(pages.facts.version(cx.who).await?);
    super::render(&About { frame, of })
}
