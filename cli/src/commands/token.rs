//! `assay token`: the tokens that a gateway takes.
//!
//! Comes in: a command and the file of tokens. Goes out: a token, once; rows without secrets. It must
//! never write a secret into the file or the log.

use std::path::Path;

use anyhow::{Result, anyhow};
use assay_guard::principal::Scope;
use assay_guard::tokens::{Token, TokenFile, mint};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::by_prefix;
use crate::args::guard::{NewToken, TokenCommand};
use crate::context::Context;
use crate::exit::{Exit, OrExit};
use crate::show::{table, text};

/// Runs the command.
pub fn run(command: TokenCommand, cx: &Context) -> Result<Exit> {
    match command {
        TokenCommand::New(new) => make(new, cx),
        TokenCommand::List { file } => list(&file.file, cx),
        TokenCommand::Revoke { id, file } => revoke(&id, &file.file, cx),
    }
}

fn read(path: &Path) -> Result<TokenFile> {
    TokenFile::read(path)
        .map_err(|why| anyhow!(why))
        .or_exit(Exit::Usage)
}

fn write(file: &TokenFile, path: &Path) -> Result<()> {
    file.write(path).map_err(|why| anyhow!(why))
}

fn make(new: NewToken, cx: &Context) -> Result<Exit> {
    let path = &new.file.file;
    let mut file = read(path)?;
    let now = Timestamp::now();
    let lasts = SignedDuration::try_from(new.expires_in);
    let expires = lasts.ok().and_then(|lasts| now.checked_add(lasts).ok());
    let expires = expires
        .ok_or_else(|| anyhow!("--expires-in is longer than time lasts; use days such as `90d`"))
        .or_exit(Exit::Usage)?;
    let scope = if new.write { Scope::Write } else { Scope::Read };
    let (secret, token) =
        mint(&new.name, new.roles, scope, now, expires).map_err(|why| anyhow!(why))?;
    let mut shown = item(&token);
    shown["token"] = json!(secret);
    file.token.push(token);
    write(&file, path)?;
    cx.screen.text(&format!("{secret}\n"))?;
    cx.screen.note(&format!(
        "keep it: it is not shown again; {} has its hash",
        path.display()
    ));
    cx.screen.items("Token", &[shown], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

fn list(path: &Path, cx: &Context) -> Result<Exit> {
    let file = read(path)?;
    let now = Timestamp::now();
    if file.token.is_empty() {
        let path = path.display();
        cx.screen.note(&format!(
            "{path} has no tokens; make one with: assay token new"
        ));
    } else {
        let mut table = table::table(&["TOKEN", "NAME", "ROLES", "SCOPE", "EXPIRES"]);
        for token in &file.token {
            let expires = match token.expires {
                past if past <= now => "expired".to_owned(),
                later => text::when(later, now, cx.screen.times),
            };
            table.add_row([
                token.id.clone(),
                token.name.clone(),
                roles(token).join(", "),
                scope(token).to_owned(),
                expires,
            ]);
        }
        cx.screen.text(&table::print(&table))?;
    }
    let items: Vec<Value> = file.token.iter().map(item).collect();
    let summary = json!({ "tokens": items.len() });
    cx.screen.items("TokenList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}

fn revoke(id: &str, path: &Path, cx: &Context) -> Result<Exit> {
    let mut file = read(path)?;
    let ids: Vec<String> = file.token.iter().map(|token| token.id.clone()).collect();
    let id = by_prefix("token", id, &ids)?;
    file.token.retain(|token| token.id != id);
    write(&file, path)?;
    cx.screen.text(&format!("revoked  {id}\n"))?;
    let item = json!({"id": id, "done": "revoked"});
    cx.screen
        .items("TokenChange", &[item], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

fn roles(token: &Token) -> Vec<String> {
    token.roles.iter().map(ToString::to_string).collect()
}

const fn scope(token: &Token) -> &'static str {
    match token.scope {
        Scope::Read => "read",
        Scope::Write => "write",
    }
}

/// A token for programs, without its hash.
fn item(token: &Token) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "roles": roles(token),
        "scope": scope(token),
        "created": token.created,
        "expires": token.expires,
    })
}
