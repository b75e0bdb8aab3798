//! `assay audit`: who asked for which change, and whether the log of it is as it was written.
//!
//! Comes in: a command and the store of the embedded cluster. Goes out: rows, and a verdict on the
//! chain. It must never write.

use anyhow::Result;
use assay_store::audit::{Chain, verify};
use assay_store::{Audit, AuditHead};
use jiff::Timestamp;
use serde_json::json;

use crate::args::guard::AuditCommand;
use crate::client::{coded, is_elsewhere};
use crate::context::Context;
use crate::dev::open_audit;
use crate::exit::Exit;
use crate::show::{table, text};

/// Runs the command.
pub async fn run(command: AuditCommand, cx: &Context) -> Result<Exit> {
    // A log that is whole says nothing of another one.
    if is_elsewhere(cx) {
        let why = "this command reads the log of a store on this machine, and the settings name a cluster\n  \
                   leave --server, server.url and client.server out to read the local one; that of a \
                   cluster is in its Postgres";
        return Err(coded(Exit::Usage, why.to_owned()));
    }
    let folder = cx.data_dir();
    let Some(audit) = open_audit(&folder).await? else {
        return Err(coded(
            Exit::Usage,
            format!(
                "there is no store in {}; name another folder with --data-dir",
                folder.display()
            ),
        ));
    };
    match command {
        AuditCommand::List { limit, before } => list(audit.as_ref(), before, limit, cx).await,
        AuditCommand::Verify { known } => check(audit.as_ref(), known.as_ref(), cx).await,
    }
}

async fn list(audit: &dyn Audit, before: Option<u64>, limit: u32, cx: &Context) -> Result<Exit> {
    let entries = audit.before(before, limit).await?;
    if entries.is_empty() {
        cx.screen.note("no change was asked for");
    } else {
        let mut table = table::table(&["NO", "WHEN", "WHO", "STAGE", "ACTION", "OBJECT"]);
        for entry in &entries {
            let record = &entry.record;
            table.add_row([
                entry.seq.to_string(),
                text::when(entry.at, Timestamp::now(), cx.screen.times),
                record.who.clone(),
                record.stage.to_string(),
                record.action.clone(),
                record.object.clone(),
            ]);
        }
        cx.screen.text(&table::print(&table))?;
    }
    let first = entries.last().map(|entry| entry.seq).filter(|seq| *seq > 1);
    if let Some(seq) = first {
        cx.screen
            .note(&format!("more: assay audit list --before {seq}"));
    }
    let summary = json!({ "entries": entries.len(), "nextBefore": first });
    cx.screen.items("AuditList", &entries, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}

async fn check(audit: &dyn Audit, known: Option<&AuditHead>, cx: &Context) -> Result<Exit> {
    let (exit, line, item) = match verify(audit, known).await? {
        Chain::Whole(head) => (
            Exit::Ok,
            format!(
                "whole  {} entries, each as it was written\nhead   {head}\n",
                head.seq
            ),
            json!({ "whole": true, "head": head.to_string() }),
        ),
        Chain::Broken { seq, why } => (
            Exit::BadData,
            format!("BROKEN  at entry {seq}: {why}; what comes after it proves nothing\n"),
            json!({ "whole": false, "at": seq, "why": why }),
        ),
    };
    cx.screen.text(&line)?;
    if exit == Exit::Ok {
        cx.screen
            .note("keep the head elsewhere, and check it with: assay audit verify --known HEAD");
    }
    cx.screen.items("AuditCheck", &[item], &json!({}), exit)?;
    Ok(exit)
}
