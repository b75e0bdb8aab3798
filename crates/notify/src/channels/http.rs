//! The one way of every message that goes by HTTP.
//!
//! Comes in: an address and a body. Goes out: the status, or why there is none. What is connected to
//! is what was judged: a name is looked up here and its addresses are judged, a redirect is not
//! followed, no proxy is asked. It must never say more of an address than its machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::Failure;
use super::address::{Entry, judge, judge_ip};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a request may take, its answer's status read.
const REQUEST: Duration = Duration::from_secs(10);
/// The longest pause that a receiver may ask for.
const ASKED_MAX: i64 = 6 * 3600;

/// Looks names up, and judges what is found.
#[derive(Debug)]
struct JudgedNames(Arc<Vec<Entry>>);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Forbidden(String);

impl Resolve for JudgedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            for address in &found {
                judge_ip(&host, address.ip(), &allowed).map_err(Forbidden)?;
            }
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

/// Sends requests where they may go.
#[derive(Debug, Clone)]
pub(super) struct Client {
    client: reqwest::Client,
    allowed: Arc<Vec<Entry>>,
}

impl Client {
    pub(super) fn new(allowed: Vec<Entry>) -> Result<Self, String> {
        let allowed = Arc::new(allowed);
        let client = reqwest::Client::builder()
            .dns_resolver(Arc::new(JudgedNames(Arc::clone(&allowed))))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .connect_timeout(CONNECT)
            .timeout(REQUEST)
            .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("no client of HTTP can be made: {error}"))?;
        Ok(Self { client, allowed })
    }

    /// Judges an address.
    pub(super) fn check(&self, address: &str) -> Result<Url, String> {
        judge(address, &self.allowed)
    }

    /// Posts `body`; a status of success is one that the receiver has taken it with.
    pub(super) async fn post(
        &self,
        address: &str,
        headers: HeaderMap,
        body: String,
    ) -> Result<(), Failure> {
        let url = self.check(address).map_err(Failure::passing)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let sent = self.client.post(url).headers(headers).body(body).send();
        let response = sent.await.map_err(|error| {
            Failure::passing(format!("{host}: {}", reasons(&error.without_url())))
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let after = response.headers().get(RETRY_AFTER);
        let after = after.and_then(|value| value.to_str().ok()?.trim().parse::<i64>().ok());
        let after = after.filter(|seconds| (1..=ASKED_MAX).contains(seconds));
        let why = match status.as_u16() {
            300..=399 => format!(
                "{host} answered {status}: redirects are not followed, subscribe the address that it leads to"
            ),
            401 | 403 => format!("{host} answered {status}: is the secret the one that it knows?"),
            410 => format!("{host} answered {status}: it wants no more"),
            _ => format!("{host} answered {status}"),
        };
        Err(Failure {
            why,
            is_final: status.as_u16() == 410,
            after: after.map(SignedDuration::from_secs),
        })
    }
}

/// The causes of an error, each once.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut cause = Some(error);
    while let Some(one) = cause {
        let text = one.to_string();
        if !told.iter().any(|t| t.contains(&text)) {
            told.push(text);
        }
        cause = one.source();
    }
    told.join(": ")
}
