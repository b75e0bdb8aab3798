//! Which of the managers leads.
//!
//! Comes in: the addresses of one or several managers. Goes out: a connection to the one that
//! leads. A manager that does not lead says who does; while nobody does, it waits for an election.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use assay_proto::link::{Door, leader_of, why};
use assay_proto::v1;
use tonic::{Code, Status};

use super::{Client, REMEDY, Ways, no_server, refused, unreached};

/// Between two rounds while nobody leads.
const PAUSE: Duration = Duration::from_millis(250);

/// What one manager answered.
enum Answer {
    Leads(Box<Client>),
    Elsewhere(String),
    /// No answer, or nobody leads: it may yet come.
    NotYet(String),
    Refuses(Status),
}

/// Finds the leader within `timeout`.
pub(super) async fn find(ways: &Arc<Ways>, timeout: Duration) -> Result<Client> {
    let until = Instant::now() + timeout;
    loop {
        let mut unreached = Vec::new();
        let mut asked = ways.addresses.clone();
        let mut at = 0;
        while let Some(address) = asked.get(at).cloned() {
            at += 1;
            match ask(&address, ways, timeout).await {
                Answer::Leads(client) => return Ok(*client),
                Answer::Refuses(status) => return Err(refused(&status)),
                Answer::NotYet(why) => unreached.push(why),
                // Asked next, and once: a word that is out of date must not lead in circles.
                Answer::Elsewhere(leader) if !asked.contains(&leader) => asked.insert(at, leader),
                Answer::Elsewhere(leader) => {
                    unreached.push(format!("{address} says that {leader} leads"));
                }
            }
        }
        // One address that nobody listens at is a mistake, and no reason to wait.
        let nobody_leads = unreached.iter().any(|why| !why.starts_with("no manager"));
        if !nobody_leads || Instant::now() + PAUSE > until {
            return Err(no_server(format!("{}\n  {REMEDY}", unreached.join("\n  "))));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ask(address: &str, ways: &Arc<Ways>, timeout: Duration) -> Answer {
    let door = Door::at(address.to_owned(), ways.tls.as_ref());
    let channel = match door.open().await {
        Ok(channel) => channel,
        Err(error) => return Answer::NotYet(unreached(address, &error)),
    };
    let client = Client {
        address: address.to_owned(),
        channel,
        timeout,
        ways: Arc::clone(ways),
    };
    let status = client
        .cluster()
        .status(client.call(v1::StatusRequest {}))
        .await;
    let Err(refusal) = status else {
        return Answer::Leads(Box::new(client));
    };
    if let Some(leader) = leader_of(&refusal) {
        return Answer::Elsewhere(leader);
    }
    match refusal.code() {
        Code::FailedPrecondition | Code::Unavailable | Code::DeadlineExceeded => {
            Answer::NotYet(format!("{address}: {}", why(&refusal)))
        }
        _ => Answer::Refuses(refusal),
    }
}
