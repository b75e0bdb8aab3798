//! The way to a cluster: to a gateway by its HTTP API ([`http`]), or to a manager by gRPC, which is
//! what this file is about: which one, how to reach it, and what its refusals mean.
//!
//! Comes in: settings and the data folder. Goes out: what the commands ask ([`port`]), gRPC clients
//! whose calls have deadlines, and errors that know their exit code. It must never guess an address
//! that nobody named.

mod grpc;
pub mod http;
mod leader;
pub mod port;
mod way;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use assay_proto::limits::ANSWER_BYTES_MAX;
use assay_proto::link::{Door, Shown, Tls, TlsFiles, causes, why};
use assay_proto::v1::cluster_service_client::ClusterServiceClient;
use assay_proto::v1::feedback_service_client::FeedbackServiceClient;
use assay_proto::v1::metric_service_client::MetricServiceClient;
use assay_proto::v1::notice_service_client::NoticeServiceClient;
use assay_proto::v1::run_service_client::RunServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::context::Context;
use crate::exit::{Coded, Exit, OrExit};
use crate::lock::holder_of;

pub use way::{connect, find, gateway, is_elsewhere, named as name_server};

/// What to do when no server answers.
const REMEDY: &str = "start one: assay dev; or name one: --server URL";

/// A connection to a manager.
#[derive(Debug, Clone)]
pub struct Client {
    /// Where it is.
    pub address: String,
    channel: Channel,
    timeout: Duration,
    /// Where a leader is looked for again.
    ways: Arc<Ways>,
}

/// The managers that are named, and how to reach them.
#[derive(Debug)]
struct Ways {
    addresses: Vec<String>,
    tls: Option<Tls>,
}

impl Client {
    /// Connects to the manager that is named, or to the one that runs on the data folder.
    pub async fn connect(cx: &Context) -> Result<Self> {
        match Self::find(cx).await? {
            Some(client) => Ok(client),
            None => Err(no_server(nobody(cx))),
        }
    }

    /// The same; `None` when none is named and none runs on the data folder.
    pub async fn find(cx: &Context) -> Result<Option<Self>> {
        way::only_managers(cx)?;
        let timeout = timeout_of(cx)?;
        if let Some(ways) = named(cx)? {
            return leader::find(&Arc::new(ways), timeout).await.map(Some);
        }
        let held = holder_of(&cx.data_dir()).and_then(|holder| holder.address);
        let Some(address) = held else {
            return Ok(None);
        };
        let address = with_scheme(&address, false).map_err(no_server)?;
        let door = Door::Tcp(address.clone());
        let channel = door
            .open()
            .await
            .map_err(|error| no_server(format!("{}\n  {REMEDY}", unreached(&address, &error))))?;
        let addresses = vec![address.clone()];
        Ok(Some(Self {
            address,
            channel,
            timeout,
            ways: Arc::new(Ways {
                addresses,
                tls: None,
            }),
        }))
    }

    /// A connection to a manager of this process.
    ///
    /// # Errors
    /// When it does not open, or the settings cannot work.
    pub async fn local(door: &Door, cx: &Context) -> Result<Self> {
        let channel = door
            .open()
            .await
            .map_err(|error| no_server(causes(&error)))?;
        Ok(Self {
            address: "this process".to_owned(),
            channel,
            timeout: timeout_of(cx)?,
            ways: Arc::new(Ways {
                addresses: Vec::new(),
                tls: None,
            }),
        })
    }

    /// A connection to each manager that is named, whether it leads or not, or why there is none;
    /// `None` when none is named.
    ///
    /// # Errors
    /// When the settings cannot work.
    pub async fn each(cx: &Context) -> Result<Option<Vec<(String, Result<Self, String>)>>> {
        let Some(ways) = named(cx)? else {
            return Ok(None);
        };
        let (ways, timeout) = (Arc::new(ways), timeout_of(cx)?);
        let mut each = Vec::new();
        for address in &ways.addresses {
            let door = Door::at(address.clone(), ways.tls.as_ref());
            let client = door.open().await.map(|channel| Self {
                address: address.clone(),
                channel,
                timeout,
                ways: Arc::clone(&ways),
            });
            let client = client.map_err(|error| unreached(address, &error));
            each.push((address.clone(), client));
        }
        Ok(Some(each))
    }

    /// Looks for the leader again, where it was looked for before: another manager may lead since.
    ///
    /// # Errors
    /// When none is found within the time of one call.
    pub async fn again(&self) -> Result<Self> {
        leader::find(&self.ways, self.timeout).await
    }

    /// The managers as a place to ask for runs that are due.
    pub fn managers(&self) -> assay_scheduler::Managers {
        let mut addresses = vec![self.address.clone()];
        let others = self.ways.addresses.iter().filter(|a| **a != self.address);
        addresses.extend(others.cloned());
        assay_scheduler::Managers::at(addresses, self.ways.tls.clone())
    }

    /// A call with the deadline of the settings.
    pub fn call<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(self.timeout);
        request
    }

    /// Runs.
    pub fn runs(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Measured values and results.
    pub fn metrics(&self) -> MetricServiceClient<Channel> {
        MetricServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Incidents by cause, and who is told of them.
    pub fn notices(&self) -> NoticeServiceClient<Channel> {
        NoticeServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }
    /// What people answer back.
    pub fn feedback(&self) -> FeedbackServiceClient<Channel> {
        FeedbackServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The cluster.
    pub fn cluster(&self) -> ClusterServiceClient<Channel> {
        ClusterServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }
}

/// The managers that the settings name, if they do.
fn named(cx: &Context) -> Result<Option<Ways>> {
    let Some(named) = cx.settings.text("client.server") else {
        return Ok(None);
    };
    let tls = tls_of(cx)?;
    let named = named.split(',').map(str::trim).filter(|a| !a.is_empty());
    let addresses: Result<Vec<String>, String> =
        named.map(|a| with_scheme(a, tls.is_some())).collect();
    let addresses = addresses.map_err(no_server)?;
    Ok(Some(Ways { addresses, tls }))
}

/// How long a call may take.
fn timeout_of(cx: &Context) -> Result<Duration> {
    let seconds: Option<u64> = cx.settings.parse("client.timeout_s").or_exit(Exit::Usage)?;
    Ok(Duration::from_secs(seconds.unwrap_or(10).max(1)))
}

/// What managers know this end by; `None` when nothing is shown.
///
/// # Errors
/// When the files cannot be used.
pub fn identity(cx: &Context) -> Result<Option<Shown>> {
    let Some(tls) = tls_of(cx)? else {
        return Ok(None);
    };
    Ok(Some(tls.shown()))
}

fn nobody(cx: &Context) -> String {
    let folder = cx.data_dir();
    match holder_of(&folder) {
        Some(holder) => format!(
            "no manager can be called on {}: it is in use by assay {} (pid {}), which takes no \
             calls\n  wait for it to end, then {REMEDY}",
            folder.display(),
            holder.command,
            holder.pid
        ),
        None => format!("no manager runs on {}\n  {REMEDY}", folder.display()),
    }
}

/// An error that ends as «no server».
pub fn no_server(text: String) -> anyhow::Error {
    coded(Exit::NoServer, text)
}

/// An error with its exit code.
pub fn coded(exit: Exit, text: impl std::fmt::Display) -> anyhow::Error {
    Coded {
        exit,
        source: anyhow!("{text}"),
    }
    .into()
}

/// What a refusal of the manager means for the one who typed the command.
pub fn refused(status: &Status) -> anyhow::Error {
    let said = why(status);
    // What the transport says by itself is no word of a manager.
    let of_transport = std::error::Error::source(status).is_some();
    match status.code() {
        Code::Unknown | Code::Internal | Code::Cancelled if of_transport => no_server(format!(
            "the connection to the manager broke: {said}\n  \
             is it a manager's port, and does it want https://? compare: --server\n  \
             an HTTP API is named with its path: --server http://HOST:PORT/api/v1"
        )),
        Code::Unavailable => no_server(format!("the manager is away: {said}\n  {REMEDY}")),
        Code::DeadlineExceeded if !of_transport && !said.is_empty() => no_server(format!(
            "the manager has no certain answer: {said}\n  \
             look at it: assay doctor"
        )),
        Code::DeadlineExceeded | Code::Cancelled => no_server(
            "the manager did not answer in time\n  \
             allow more: ASSAY_CLIENT__TIMEOUT_S=60, or look at it: assay doctor"
                .to_owned(),
        ),
        Code::Unauthenticated | Code::PermissionDenied => {
            no_server(format!("the manager refuses: {said}"))
        }
        Code::NotFound | Code::InvalidArgument => coded(Exit::Usage, &said),
        Code::Unimplemented => no_server(
            "the manager does not know this call: it is of another version\n  \
             compare: assay version"
                .to_owned(),
        ),
        _ => coded(Exit::NotEvaluated, format!("the manager says: {said}")),
    }
}

/// The files of TLS, if the settings name them.
fn tls_of(cx: &Context) -> Result<Option<Tls>> {
    let file = |key| cx.settings.text(key).map(PathBuf::from);
    let (ca, cert, key) = (
        file("client.tls_ca"),
        file("client.tls_cert"),
        file("client.tls_key"),
    );
    match (ca, cert, key) {
        (None, None, None) => Ok(None),
        (Some(ca), Some(cert), Some(key)) => {
            let tls = Tls::load(TlsFiles { ca, cert, key });
            let tls = tls.or_exit(Exit::Usage)?;
            let Some(name) = cx.settings.text("client.tls_server_name") else {
                return Ok(Some(tls));
            };
            Ok(Some(tls.expecting(name).or_exit(Exit::Usage)?))
        }
        _ => Err(coded(
            Exit::Usage,
            "some of --tls-ca, --tls-cert and --tls-key are named: name all three, or none",
        )),
    }
}

fn with_scheme(address: &str, tls: bool) -> Result<String, String> {
    let address = address.trim_end_matches('/');
    if address.starts_with("https://") {
        if tls {
            return Ok(address.to_owned());
        }
        return Err(format!(
            "{address} needs a certificate\n  \
             name the files: --tls-ca FILE --tls-cert FILE --tls-key FILE (assay cluster certs makes some)"
        ));
    }
    if address.starts_with("http://") {
        if tls {
            return Err(format!(
                "{address} is not secured, but TLS files are named\n  \
                 write https://, or leave the files out"
            ));
        }
        return Ok(address.to_owned());
    }
    if address.contains("://") {
        return Err(format!(
            "{address} is no address of a manager\n  use one such as http://127.0.0.1:8081"
        ));
    }
    let scheme = if tls { "https" } else { "http" };
    Ok(format!("{scheme}://{address}"))
}

/// Why a manager was not reached.
fn unreached(address: &str, error: &(dyn std::error::Error + 'static)) -> String {
    format!("no manager answers at {address}: {}", causes(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit;

    #[test]
    fn an_address_is_completed_and_one_that_cannot_work_is_refused() {
        assert_eq!(
            with_scheme("127.0.0.1:8081", false).unwrap(),
            "http://127.0.0.1:8081"
        );
        assert_eq!(with_scheme("http://h:1/", false).unwrap(), "http://h:1");
        assert_eq!(with_scheme("h:1", true).unwrap(), "https://h:1");
        assert!(with_scheme("https://h:1", false).is_err());
        assert!(with_scheme("http://h:1", true).is_err());
        assert!(with_scheme("ftp://h:1", false).is_err());
    }

    #[test]
    fn a_refusal_knows_its_exit_code() {
        let of = |status: Status| exit::of(&refused(&status));
        assert_eq!(of(Status::unavailable("x")), Exit::NoServer);
        assert_eq!(of(Status::deadline_exceeded("x")), Exit::NoServer);
        let lost = refused(&Status::deadline_exceeded("the write was not confirmed"));
        assert!(lost.to_string().contains("was not confirmed"), "{lost}");
        assert_eq!(of(Status::permission_denied("x")), Exit::NoServer);
        assert_eq!(of(Status::not_found("x")), Exit::Usage);
        assert_eq!(of(Status::failed_precondition("x")), Exit::NotEvaluated);
    }
}
