//! What is wrong with a cluster behind a gateway, as far as the gateway tells.
//!
//! Comes in: the gateway that the settings name. Goes out: findings: what answers, its clock, who it
//! takes this end for, the datasets and nodes. It asks, and changes nothing. It must never call
//! something good that was not asked, or show a token.

use assay_answers::overview::Me;
use assay_proto::v1;
use jiff::SignedDuration;

use super::Finding;
use super::cluster::{CLOCKS_APART, CLOCKS_WRONG, nodes};
use crate::client::gateway;
use crate::client::http::{Http, Look};
use crate::client::port::{Cluster, Refusal};
use crate::context::Context;
use crate::exit::said;
use crate::show::text;

/// Looks at the gateway that the settings name; `None` when they name none.
pub(super) async fn look(cx: &Context) -> Option<Vec<Finding>> {
    let http = match gateway(cx) {
        Ok(http) => http?,
        Err(error) => {
            let remedy = "mend the settings: assay config view --sources";
            return Some(vec![Finding::failed("server", said(&error), remedy)]);
        }
    };
    let told = match http.look().await {
        Ok(told) => told,
        Err(refusal) => return Some(vec![refused("server", &refusal)]),
    };
    let mut found = vec![server(&http, &told), clock(told.ahead)];
    match http.me().await {
        Ok(me) => found.push(token(&http, &me)),
        // Whoever is not known is told nothing else.
        Err(refusal) => {
            found.push(refused("token", &refusal));
            return Some(found);
        }
    }
    found.push(match http.datasets().await {
        Ok(datasets) => Finding::good("datasets", text::counted(datasets.len(), "dataset")),
        Err(refusal) => refused("datasets", &refusal),
    });
    match http.status().await {
        Ok(status) => {
            found.push(store(&status));
            found.push(nodes(&status));
        }
        Err(refusal) => found.push(refused("cluster", &refusal)),
    }
    Some(found)
}

/// A refusal as a finding: its first line is what, the rest is what to do.
fn refused(what: &'static str, refusal: &Refusal) -> Finding {
    let said = said(&refusal.error);
    let (first, rest) = said
        .split_once("\n  ")
        .unwrap_or((&said, "assay doctor, a little later"));
    Finding::failed(what, first, rest)
}

fn server(http: &Http, told: &Look) -> Finding {
    let ms = told.ahead.as_millis();
    let detail = format!(
        "{}  {}, {}, clock skew {ms} ms",
        http.address(),
        told.version.version,
        told.version.mode
    );
    let ours = env!("CARGO_PKG_VERSION");
    if told.version.version == ours {
        return Finding::good("server", detail);
    }
    let remedy = format!("this program is {ours}; bring the older one up to the other's version");
    Finding::warning("server", detail, remedy)
}

fn clock(ahead: SignedDuration) -> Finding {
    let apart = ahead.abs();
    let word = if ahead.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    let seconds = apart.as_secs_f64();
    let detail = format!("this machine is {seconds:.1} s {word} the gateway");
    let remedy = "set this machine's clock (NTP): certificates and tokens are judged by it";
    match apart {
        _ if apart <= CLOCKS_APART => Finding::good("clock", "as the gateway's, to 2 s"),
        _ if apart <= CLOCKS_WRONG => Finding::warning("clock", detail, remedy),
        _ => Finding::failed("clock", detail, remedy),
    }
}

/// Who the gateway takes this end for.
fn token(http: &Http, me: &Me) -> Finding {
    let shown = http.token_name().unwrap_or_else(|| "none".to_owned());
    let of = |names: &[String]| names.join(", ");
    let mut roles = me.role.clone();
    if !me.owners.is_empty() {
        roles.push_str(&format!(" of {}", of(&me.owners)));
    }
    if !me.reads.is_empty() {
        roles.push_str(&format!(", reads {}", of(&me.reads)));
    }
    let scope = if me.writes {
        "may change things"
    } else {
        "may only read"
    };
    let detail = format!("{shown}: {} is {roles}, and {scope}", me.id);
    if me.writes {
        return Finding::good("token", detail);
    }
    let remedy =
        "to start runs and change definitions ask for one that writes: assay token new --write";
    Finding::warning("token", detail, remedy)
}

/// What the leader says of its store.
fn store(status: &v1::StatusResponse) -> Finding {
    if status.store_away.is_empty() {
        return Finding::good("store", format!("answers the leader, {}", status.leader));
    }
    let detail = format!("does not answer the leader: {}", status.store_away);
    let remedy =
        "nothing is assigned or judged until it does; nothing is lost: look at the database";
    Finding::failed("store", detail, remedy)
}
