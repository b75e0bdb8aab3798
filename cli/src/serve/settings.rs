//! The settings page of `assay dev`: what is in force, and where it comes from.
//!
//! Comes in: flags, the settings, where the cluster listens. Goes out: one row a setting, the same
//! for whoever looks. It must never show a secret: only references are settings.

use std::net::SocketAddr;
use std::sync::Arc;

use assay_answers::Reader;
use assay_gateway::{Setting, Settings};

use crate::args::DevArgs;
use crate::commands::settings::shown;
use crate::context::Context;

/// The rows, made once: nothing of them changes while the cluster runs.
struct InForce(Vec<Setting>);

impl Settings for InForce {
    fn settings(&self, _: &Reader) -> Vec<Setting> {
        self.0.clone()
    }
}

/// What is in force of a cluster that listens `at` these places: of the manager, and of the HTTP API.
pub(super) fn in_force(
    args: &DevArgs,
    cx: &Context,
    at: (SocketAddr, Option<SocketAddr>),
) -> Arc<dyn Settings> {
    let flags = [
        (
            "registry.dir",
            args.dir.as_ref().map(|d| d.display().to_string()),
            "--dir",
        ),
        ("dev.slots", args.slots.map(|n| n.to_string()), "--slots"),
        ("dev.poll_s", args.poll_s.map(|n| n.to_string()), "--poll-s"),
        (
            "dev.nodes",
            args.nodes.map(|n| bounds(n.min, n.max)),
            "--nodes",
        ),
        (
            "dev.grpc_port",
            args.grpc_port.map(|n| n.to_string()),
            "--grpc-port",
        ),
        ("dev.port", args.port.map(|n| n.to_string()), "--port"),
        (
            "store.data_dir",
            args.ephemeral.then(|| "in memory".to_owned()),
            "--ephemeral",
        ),
    ];
    let rows = cx.settings.rows().into_iter().map(|(key, value, source)| {
        let flag = flags
            .iter()
            .find(|(name, value, _)| *name == key.name && value.is_some());
        let (value, source) = match flag {
            Some((_, Some(value), flag)) => (value.clone(), format!("flag {flag}")),
            _ => (shown(key.name, value), source.to_owned()),
        };
        let value = match (key.name, at.1) {
            ("dev.grpc_port", _) => listening(value, at.0),
            ("dev.port", Some(http)) => listening(value, http),
            ("dev.port", None) => "none: --headless".to_owned(),
            _ => value,
        };
        Setting {
            name: key.name.to_owned(),
            value,
            source,
        }
    });
    Arc::new(InForce(rows.collect()))
}

fn bounds(min: u32, max: u32) -> String {
    match min == max {
        true => min.to_string(),
        false => format!("{min}..{max}"),
    }
}

/// The port that was asked for, and the one that was had where that is another (0 takes any).
fn listening(asked: String, at: SocketAddr) -> String {
    let had = at.port().to_string();
    match asked == had {
        true => asked,
        false => format!("{had} (any free one)"),
    }
}
