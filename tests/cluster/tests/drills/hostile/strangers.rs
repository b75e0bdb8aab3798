//! Connections of those who must not be let in, or not for this.

use assay_cluster_tests::Cluster;
use assay_cluster_tests::pki::{Authority, Holds, identity};
use assay_proto::link::{Door, Identity, PeerRole, Tls};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto, version};
use tonic::Status;
use tonic::transport::{Channel, Endpoint, Uri};

use super::raw::told;

/// A way to the managers, and how it is called.
pub struct Stranger {
    pub who: &'static str,
    pub way: Way,
}

/// How a stranger comes.
pub enum Way {
    /// With a certificate.
    Tls(Tls),
    /// Over TLS, and shows nothing.
    Nobody(String),
    /// Without TLS.
    Plain,
}

impl Way {
    /// A connection; an error is one of the handshake.
    pub async fn open(&self, manager: &str) -> Result<Channel, Status> {
        let opened = match self {
            Self::Tls(tls) => Door::Tls(manager.to_owned(), tls.clone()).open().await,
            Self::Plain => {
                Door::Tcp(manager.replace("https://", "http://"))
                    .open()
                    .await
            }
            Self::Nobody(ca) => bare(manager, ca).await,
        };
        opened.map_err(|error| Status::unavailable(told(&error)))
    }
}

/// Everyone who must not get through, whatever they ask.
pub fn strangers(cluster: &Cluster) -> Vec<Stranger> {
    let ours = &cluster.authority;
    let other = Authority::new("another authority");
    let with = |who, authority: &Authority, role: Option<PeerRole>, holds| {
        let name = format!("stranger {who}");
        let uri = role.map(|role| Identity::uri(role, "a"));
        let issued = authority.issue("a", uri.as_deref(), holds);
        cluster.files.show(&name, &issued);
        cluster.files.believe(&name, &[ours]);
        let tls = Tls::load(cluster.files.of(&name)).unwrap();
        Stranger {
            who,
            way: Way::Tls(tls),
        }
    };
    let client = Some(PeerRole::Client);
    vec![
        with("expired", ours, client, Holds::Expired),
        with("not yet valid", ours, client, Holds::NotYet),
        with("of another authority", &other, client, Holds::Today),
        with("of no role", ours, None, Holds::Today),
        Stranger {
            who: "without a certificate",
            way: Way::Nobody(ours.ca.clone()),
        },
        Stranger {
            who: "without TLS",
            way: Way::Plain,
        },
    ]
}

/// Someone with a good certificate.
pub async fn known(cluster: &Cluster, role: PeerRole, name: &str, manager: &str) -> Channel {
    let files = cluster.identify(role, &format!("{}-{name}", role.word()));
    // The name in the certificate is what counts.
    let issued = identity(&cluster.authority, role, name, Holds::Today);
    std::fs::write(&files.key, &issued.1).unwrap();
    std::fs::write(&files.cert, &issued.0).unwrap();
    let way = Way::Tls(Tls::load(files).unwrap());
    way.open(manager).await.unwrap()
}

/// A connection over TLS that shows no certificate.
async fn bare(manager: &str, ca: &str) -> Result<Channel, tonic::transport::Error> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap())
        .unwrap();
    let provider = std::sync::Arc::new(crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&version::TLS13]);
    let mut config = config
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(std::sync::Arc::new(config));
    Endpoint::from_shared(manager.replace("https://", "http://"))?
        .connect_with_connector(tower::service_fn(move |to: Uri| {
            let connector = connector.clone();
            async move {
                let stream = TcpStream::connect(to.authority().unwrap().as_str()).await?;
                let name = ServerName::try_from("localhost").unwrap();
                let stream = connector.connect(name, stream).await?;
                Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(stream))
            }
        }))
        .await
}
