//! `assay config`: the settings in force and where they come from.

use anyhow::Result;
use serde_json::json;

use crate::args::ConfigCommand;
use crate::config::files;
use crate::context::Context;
use crate::exit::Exit;
use crate::show::table;

/// Runs the command.
pub fn run(command: &ConfigCommand, cx: &Context) -> Result<Exit> {
    match command {
        ConfigCommand::View { sources } => view(*sources, cx),
        ConfigCommand::Path => path(cx),
    }
}

fn view(sources: bool, cx: &Context) -> Result<Exit> {
    let rows = cx.settings.rows();
    let mut table = if sources {
        table::table(&["SETTING", "VALUE", "SOURCE", "WHAT IT IS"])
    } else {
        table::table(&["SETTING", "VALUE", "WHAT IT IS"])
    };
    for (key, value, source) in &rows {
        let value = if value.is_empty() { "-" } else { value };
        if sources {
            table.add_row([key.name, value, source, key.about]);
        } else {
            table.add_row([key.name, value, key.about]);
        }
    }
    cx.screen.text(&table::print(&table))?;
    let items: Vec<_> = rows
        .iter()
        .map(|(key, value, source)| {
            json!({"key": key.name, "value": value, "source": source, "about": key.about})
        })
        .collect();
    cx.screen
        .items("SettingList", &items, &json!({}), Exit::Ok)?;
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
