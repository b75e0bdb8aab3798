//! `assay config`: the settings in force and where they come from.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use serde_json::json;

use crate::args::Global;
use crate::client::coded;
use crate::config::{files, profile_file, profiles};
use crate::context::Context;
use crate::exit::{Exit, OrExit};
use crate::show::{Screen, table};

/// `assay config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// The settings in force
    View {
        /// Where each value comes from.
        #[arg(long)]
        sources: bool,
    },
    /// Where settings files are looked for
    Path,
    /// Choose the profile that commands use from here on, or none
    Use {
        /// A [profile.NAME] of the settings files; none: the settings without a profile.
        name: Option<String>,
    },
}

/// Chooses a profile. The one that was chosen before may be gone, so settings are not read for it.
pub fn choose(name: Option<&str>, global: &Global) -> Result<Exit> {
    let screen = Screen::new(global);
    let Some(file) = profile_file() else {
        return Err(coded(
            Exit::Usage,
            "there is no home folder: give --profile NAME",
        ));
    };
    let Some(name) = name else {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", file.display()));
            }
            _ => {}
        }
        screen.text("no profile is in force\n")?;
        screen.items("Profile", &[json!({"profile": null})], &json!({}), Exit::Ok)?;
        return Ok(Exit::Ok);
    };
    let known = profiles(global.config.as_deref()).or_exit(Exit::Usage)?;
    if !known.iter().any(|known| known == name) {
        return Err(coded(Exit::Usage, crate::config::no_profile(name, &known)));
    }
    std::fs::create_dir_all(file.parent().unwrap_or(Path::new("/")))
        .and_then(|()| std::fs::write(&file, format!("{name}\n")))
        .with_context(|| format!("cannot write {}", file.display()))?;
    screen.text(&format!(
        "the profile {name} is in force, as {} says\n",
        file.display()
    ))?;
    screen.items("Profile", &[json!({"profile": name})], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

/// Runs the command.
pub fn run(command: &ConfigCommand, cx: &Context) -> Result<Exit> {
    match command {
        ConfigCommand::View { sources } => view(*sources, cx),
        ConfigCommand::Path => path(cx),
        ConfigCommand::Use { name } => choose(name.as_deref(), &cx.global),
    }
}

/// A value as it may be shown: an address may have been set with its password, which is refused
/// only when it is used.
pub fn shown(key: &str, value: &str) -> String {
    match key {
        "ingest.url" => assay_process::options::without_password(value),
        _ => value.to_owned(),
    }
}

fn view(sources: bool, cx: &Context) -> Result<Exit> {
    let rows: Vec<_> = cx
        .settings
        .rows()
        .into_iter()
        .map(|(key, value, source)| (key, shown(key.name, value), source))
        .collect();
    let mut table = if sources {
        table::table(&["SETTING", "VALUE", "SOURCE", "WHAT IT IS"])
    } else {
        table::table(&["SETTING", "VALUE", "WHAT IT IS"])
    };
    for (key, value, source) in &rows {
        let value = if value.is_empty() {
            "-"
        } else {
            value.as_str()
        };
        if sources {
            table.add_row([key.name, value, source, key.about]);
        } else {
            table.add_row([key.name, value, key.about]);
        }
    }
    let profile = cx.settings.profile();
    if let Some((name, source)) = profile {
        cx.screen.text(&format!("profile {name} ({source})\n\n"))?;
    }
    cx.screen.text(&table::print(&table))?;
    let items: Vec<_> = rows
        .iter()
        .map(|(key, value, source)| {
            json!({"key": key.name, "value": value, "source": source, "about": key.about})
        })
        .collect();
    let summary = json!({
        "profile": profile.map(|(name, _)| name),
        "profileSource": profile.map(|(_, source)| source),
    });
    cx.screen.items("SettingList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}

fn path(cx: &Context) -> Result<Exit> {
    let places = files(cx.global.config.as_deref());
    let mut out = String::new();
    let mut items = Vec::new();
    for place in &places {
        let found = place.is_file();
        let word = if found { "read  " } else { "absent" };
        out.push_str(&format!("{word}  {}\n", place.display()));
        items.push(json!({"path": place.display().to_string(), "found": found}));
    }
    out.push_str("Later files win over earlier ones; the environment and flags win over all.\n");
    cx.screen.text(&out)?;
    cx.screen
        .items("SettingFileList", &items, &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let url = "postgres://me:hunter2@db:5432/copies?sslmode=disable";
        assert_eq!(shown("ingest.url", url), "postgres://me@db:5432/copies");
        assert_eq!(shown("ingest.url", "env:COPIES"), "env:COPIES");
        assert_eq!(shown("client.server", "a:b@c"), "a:b@c");
    }
}
