//! Which of the managers leads.
//!
//! Comes in: the addresses of one or several managers, and a question that only the leader answers.
//! Goes out: the answer, and a connection to the one that gave it. A manager that does not lead says
//! who does; while nobody does, it waits for an election. It must never begin another round past its
//! time, or wait where nobody listens. Deadlines of the question itself are the caller's.

use std::time::Duration;

use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::{Door, Tls, causes, leader_of, why};

/// Between two rounds while nobody leads.
const PAUSE: Duration = Duration::from_millis(250);

/// What the leader said.
#[derive(Debug, Clone)]
pub struct Led<T> {
    /// Where it is.
    pub address: String,
    /// A connection to it.
    pub channel: Channel,
    /// Its answer.
    pub answer: T,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub enum NoLeader {
    /// The leader refuses.
    Refused(Box<Status>),
    /// Nobody leads within the time, or nobody is reached; what each manager said.
    Nobody(Vec<String>),
}

impl std::fmt::Display for NoLeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(status) => f.write_str(&why(status)),
            Self::Nobody(said) => f.write_str(&said.join("; ")),
        }
    }
}

/// What one manager answered.
enum Answer<T> {
    Leads(Box<Led<T>>),
    Elsewhere(String),
    /// It may yet come.
    NotYet(String),
    /// Nobody is there.
    NoManager(String),
    Refuses(Box<Status>),
}

/// Asks the leader among `addresses`, until `until`.
///
/// # Errors
/// [`NoLeader`].
pub async fn ask_leader<T, F, A>(
    addresses: &[String],
    tls: Option<&Tls>,
    until: Instant,
    question: F,
) -> Result<Led<T>, NoLeader>
where
    F: Fn(Channel) -> A,
    A: Future<Output = Result<T, Status>>,
{
    loop {
        let mut said = Vec::new();
        let mut somebody = false;
        let mut asked = addresses.to_vec();
        let mut at = 0;
        while let Some(address) = asked.get(at).cloned() {
            at += 1;
            match ask(&address, tls, &question).await {
                Answer::Leads(led) => return Ok(*led),
                Answer::Refuses(status) => return Err(NoLeader::Refused(status)),
                Answer::NoManager(why) => said.push(why),
                Answer::NotYet(why) => {
                    somebody = true;
                    said.push(why);
                }
                // Asked next, and once: a word that is out of date must not lead in circles.
                Answer::Elsewhere(leader) if !asked.contains(&leader) => {
                    somebody = true;
                    asked.insert(at, leader);
                }
                Answer::Elsewhere(leader) => {
                    somebody = true;
                    said.push(format!("{address} says that {leader} leads"));
                }
            }
        }
        // One address that nobody listens at is a mistake, and no reason to wait.
        if !somebody || Instant::now() + PAUSE > until {
            return Err(NoLeader::Nobody(said));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ask<T, F, A>(address: &str, tls: Option<&Tls>, question: &F) -> Answer<T>
where
    F: Fn(Channel) -> A,
    A: Future<Output = Result<T, Status>>,
{
    let door = Door::at(address.to_owned(), tls);
    let channel = match door.open().await {
        Ok(channel) => channel,
        Err(error) => {
            return Answer::NoManager(format!(
                "no manager answers at {address}: {}",
                causes(&error)
            ));
        }
    };
    let refusal = match question(channel.clone()).await {
        Ok(answer) => {
            return Answer::Leads(Box::new(Led {
                address: address.to_owned(),
                channel,
                answer,
            }));
        }
        Err(refusal) => refusal,
    };
    if let Some(leader) = leader_of(&refusal) {
        return Answer::Elsewhere(leader);
    }
    match refusal.code() {
        Code::FailedPrecondition | Code::Unavailable | Code::DeadlineExceeded => {
            Answer::NotYet(format!("{address}: {}", why(&refusal)))
        }
        _ => Answer::Refuses(Box::new(refusal)),
    }
}
