//! Connections to the members, made anew when the files of TLS change.
//!
//! Comes in: endpoints, and files that may be replaced. Goes out: clients whose next connection shows
//! the present certificate and believes the present authorities. Streams that are open go on with
//! the client that they were opened on. It must never go on with half of a changed set: files that
//! cannot be read or do not fit one another leave the present clients in force.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use assay_files::Seen;
use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};

use super::members::told;
use super::options::EtcdTls;
use crate::port::CoordinationError;

/// What clients are made of.
pub(super) struct Doors {
    /// The members' addresses.
    pub(super) endpoints: Vec<String>,
    /// Everything but TLS.
    pub(super) connect: ConnectOptions,
    /// The files.
    pub(super) tls: Option<EtcdTls>,
}

/// One client per member, by the files as they are at present.
pub(super) struct Renewal {
    doors: Doors,
    // Held for looks at three files, at most twice a second; never across an await.
    present: Mutex<Present>,
}

struct Present {
    clients: Arc<[Client]>,
    /// The files that were last tried, whether they could be used or not; none without TLS.
    seen: Option<Seen<3>>,
}

impl Renewal {
    /// Makes the first clients.
    ///
    /// # Errors
    /// [`CoordinationError::Refused`] naming the endpoint or the file that cannot be used.
    pub(super) async fn open(doors: Doors) -> Result<Self, CoordinationError> {
        let seen = doors.tls.as_ref().map(|tls| Seen::of(files(tls)));
        let present = Present {
            clients: doors.clients().await?,
            seen,
        };
        Ok(Self {
            doors,
            present: Mutex::new(present),
        })
    }

    /// The clients, in the order of the endpoints.
    pub(super) async fn clients(&self) -> Arc<[Client]> {
        let (clients, changed) = self.look();
        if !changed {
            return clients;
        }
        match self.doors.clients().await {
            Ok(renewed) => {
                tracing::info!("new TLS files are in force towards etcd");
                let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
                present.clients = Arc::clone(&renewed);
                renewed
            }
            Err(error) => {
                tracing::error!(%error, "changed TLS files are not taken up; the ones before stay in force towards etcd");
                clients
            }
        }
    }

    /// The present clients, and whether it falls to the caller to make new ones.
    fn look(&self) -> (Arc<[Client]>, bool) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let clients = Arc::clone(&present.clients);
        let seen = present.seen.as_mut().zip(self.doors.tls.as_ref());
        let changed = seen.is_some_and(|(seen, tls)| seen.changed(files(tls)));
        (clients, changed)
    }
}

impl Doors {
    async fn clients(&self) -> Result<Arc<[Client]>, CoordinationError> {
        let mut connect = self.connect.clone();
        if let Some(tls) = &self.tls {
            connect = connect.with_tls(tls_of(tls)?);
        }
        let mut clients = Vec::new();
        for endpoint in &self.endpoints {
            let client = Client::connect([endpoint], Some(connect.clone())).await;
            clients.push(client.map_err(|error| {
                let why = told(&error);
                CoordinationError::Refused(format!("the endpoint {endpoint} cannot be used: {why}"))
            })?);
        }
        Ok(clients.into())
    }
}

fn files(tls: &EtcdTls) -> [&Path; 3] {
    [&tls.ca, &tls.certificate, &tls.key]
}

fn tls_of(files: &EtcdTls) -> Result<TlsOptions, CoordinationError> {
    let read = |path: &Path| {
        assay_files::read(path).map_err(|error| {
            let path = path.display();
            CoordinationError::Refused(format!("{path} cannot be read: {error}"))
        })
    };
    let identity = Identity::from_pem(read(&files.certificate)?, read(&files.key)?);
    Ok(TlsOptions::new()
        .ca_certificate(Certificate::from_pem(read(&files.ca)?))
        .identity(identity))
}
