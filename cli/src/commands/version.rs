//! `assay version`: what this program is.

use anyhow::Result;
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;

/// Runs the command.
pub fn run(cx: &Context) -> Result<Exit> {
    let version = env!("CARGO_PKG_VERSION");
    let build = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let platform = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let semantics = assay_model::SEMANTICS_VERSION;
    cx.screen.text(&format!(
        "assay {version}\n  build      {build}, {platform}\n  semantics  {semantics} (the meaning of the metrics)\n  protocol   assay.v1\n"
    ))?;
    let item = json!({
        "version": version,
        "build": build,
        "platform": platform,
        "metricSemantics": semantics,
        "protocol": "assay.v1",
    });
    cx.screen.items("Version", &[item], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}
