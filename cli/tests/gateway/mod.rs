//! The commands before a gateway of their own: tokens, TLS, and a gateway that goes away while
//! somebody watches.
//!
//! The gateway is the real one, with the guard in credentials mode, over the store of a running
//! `assay dev`; it lives in this process, so that it can be made to vanish.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_gateway::{ByRole, Gateway, GuardSettings, Managers, Mode, Parts, Way, anonymous};
use assay_proto::link::Door;
use assay_registry::FolderRegistry;
use assay_store::{OpenOptions, SqliteStore};
use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::common::{Definition, Place, Running, Said};
use crate::{PATIENCE, told};

/// A gateway with a guard, in this process.
struct Guarded {
    address: SocketAddr,
    /// Its own: with it, all its connections end.
    runtime: Option<Runtime>,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Guarded {
    /// One before the cluster of `place`, on the address or any.
    async fn start(place: &Place, at: Option<SocketAddr>, tls: Option<TlsAcceptor>) -> Self {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = std::net::TcpListener::bind(at.unwrap_or(any)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let store = place.store().await;
        let audit = SqliteStore::open(place.path("audit.sqlite"), OpenOptions::default());
        let folder = place.path("datasets");
        let now: assay_gateway::Clock = Arc::new(Timestamp::now);
        let registry = FolderRegistry::open(&folder, Path::new("/"), now.clone()).unwrap();
        let grpc = told(place, "gRPC ");
        let grpc = format!("http://{}", grpc.trim_start_matches("http://"));
        let gateway = Gateway::new(Parts {
            store: Arc::new(store.clone()),
            notices: Arc::new(store.clone()),
            news: Arc::new(store),
            registry: Arc::new(registry),
            managers: Managers::new(Way::One(Door::Tcp(grpc))),
            rights: Arc::new(ByRole),
            nobody: anonymous(),
            now,
            telemetry: assay_telemetry::Telemetry::default(),
            mode: Mode::Cluster,
        });
        let settings = format!(
            "[identity]\nmode = 'credentials'\ntokens = '{}'\n[quotas]\nanonymous = {{ per_second = 1, burst = 3 }}",
            place.path("tokens.toml").display()
        );
        let settings: GuardSettings = toml::from_str(&settings).unwrap();
        let gateway = gateway
            .guarded(settings, Arc::new(audit.await.unwrap()))
            .unwrap();
        let runtime = Runtime::new().unwrap();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let gateway = gateway.secured(tls);
            gateway.serve(listener, std::future::pending()).await
        });
        Self {
            address,
            runtime: Some(runtime),
        }
    }

    /// Gone, with all its connections.
    fn vanish(self) {
        drop(self);
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A cluster on `days` days of one file, and its datasets' owner.
fn cluster(place: &Place, days: u32, rows: u32) -> Running {
    let mut text = String::from("id,amount\n");
    for id in 0..rows {
        text.push_str(&format!("{id},{id}.25\n"));
    }
    let first = place.write("data/date=2025-01-01.csv", text);
    for day in 1..days {
        let date = jiff::civil::date(2025, 1, 1) + jiff::Span::new().days(day);
        std::fs::hard_link(&first, place.path(&format!("data/date={date}.csv"))).unwrap();
    }
    let definition = Definition::new("orders", place.path("data"), "csv").text();
    place.write(
        "datasets/orders.odcs.yaml",
        definition + "team: { name: payments }\n",
    );
    let dev = [
        "dev",
        "--grpc-port",
        "0",
        "--headless",
        "--nodes",
        "1",
        "--poll-s",
        "3600",
    ];
    Running::start(place.command(&dev), &place.path("log"))
}

/// A token that was made by the command.
fn token(place: &Place, more: &[&str]) -> String {
    let new = [&["token", "new", "--name", "a test"], more].concat();
    place.assay(&new).ended(0).out.trim().to_owned()
}

/// What a command says to the gateway with a token.
async fn said(place: &Place, url: &str, token: Option<&str>, args: &[&str]) -> Said {
    let mut command = place.command(args);
    command.env("ASSAY_SERVER__URL", url);
    // Whom this machine takes for who types says nothing to a gateway.
    command.env("ASSAY_USER", "mallory");
    if let Some(token) = token {
        command
            .env("ASSAY_SERVER__TOKEN", "env:MY_TOKEN")
            .env("MY_TOKEN", token);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    Said::of(&output.await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_what_its_roles_may_and_no_more() {
    let place = Place::new();
    let operator = token(&place, &["--role", "operator", "--write"]);
    let reads = token(&place, &["--role", "owner:payments"]);
    let stranger = token(&place, &["--role", "subscriber:sales"]);
    let dev = cluster(&place, 2, 3);
    place.settled(1, PATIENCE).await;
    let gateway = Guarded::start(&place, None, None).await;
    let url = gateway.url();
    let ask = async |token: Option<&str>, args: &[&str]| said(&place, &url, token, args).await;

    let listed = ask(Some(&operator), &["run", "list", "-o", "json"])
        .await
        .ended(0)
        .json();
    assert_eq!(listed["items"][0]["dataset"], "orders");
    let wait = ["run", "start", "orders", "--rescan", "--watch"];
    let run = ask(Some(&operator), &wait).await.ended(0);
    assert!(run.err.contains("succeeded"), "{}", run.all());
    let doctor = ask(Some(&operator), &["doctor"]).await.ended(0);
    doctor.kind(&[
        "cluster",
        "is operator, and may change things",
        "answers the leader",
    ]);

    ask(Some(&reads), &["metric", "list", "orders"])
        .await
        .ended(0);
    ask(Some(&reads), &wait)
        .await
        .ended(5)
        .kind(&["refuses", "assay doctor"]);
    let doctor = ask(Some(&reads), &["doctor"]).await.ended(0);
    doctor.kind(&["owner of payments", "may only read", "--write"]);
    // What is another owner's does not exist.
    ask(
        Some(&stranger),
        &["run", "get", listed["items"][0]["id"].as_str().unwrap()],
    )
    .await
    .ended(2);
    ask(Some(&stranger), &["cluster", "scale", "--nodes", "1..2"])
        .await
        .ended(5);

    ask(None, &["run", "list"])
        .await
        .ended(5)
        .kind(&["no token is named", "server.token"]);
    let wrong = format!("assay_{}", "0".repeat(76));
    let refused = ask(Some(&wrong), &["run", "list"]).await.ended(5);
    let refused = refused.kind(&["does not take the token of env:MY_TOKEN", "assay token new"]);
    assert!(!refused.all().contains(&wrong));
    let doctor = ask(Some(&wrong), &["doctor"]).await.ended(4);
    assert!(
        !doctor
            .kind(&["token", "env:MY_TOKEN"])
            .all()
            .contains(&wrong)
    );
    // A token by file, as a script has it, and one that is gone.
    let file = place.write("token", format!("{operator}\n"));
    let mut command = place.command(&["dataset", "list"]);
    command.env("ASSAY_SERVER__URL", &url);
    command.env("ASSAY_SERVER__TOKEN", format!("file:{}", file.display()));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    assert!(
        Said::of(&output.await.unwrap())
            .ended(0)
            .out
            .contains("orders")
    );
    gateway.vanish();
    dev.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_with_a_token_is_done_in_its_name_and_within_its_roles() {
    let place = Place::new();
    let owner = token(&place, &["--role", "owner:payments", "--write"]);
    let reads = token(&place, &["--role", "owner:payments"]);
    let stranger = token(&place, &["--role", "owner:sales", "--write"]);
    let dev = cluster(&place, 2, 3);
    place.settled(1, PATIENCE).await;
    let gateway = Guarded::start(&place, None, None).await;
    let url = gateway.url();
    let ask = async |token: &str, args: &[&str]| {
        let args = [args, &["-o", "json"]].concat();
        said(&place, &url, Some(token), &args).await
    };
    let window = [
        "feedback",
        "exclude-window",
        "orders",
        "2025-01-01",
        "--reason",
        "closed",
    ];
    let hook = [
        "subscribe",
        "add",
        "https://hooks.example/x",
        "--dataset",
        "orders",
    ];
    let kept = ask(&owner, &window).await.ended(0).json();
    let by = kept["items"][0]["feedback"]["by"].as_str().unwrap();
    assert!(by.starts_with("tok_"), "{kept:#}");
    let made = ask(&owner, &hook).await.ended(0).json();
    assert_eq!(made["items"][0]["createdBy"], by, "{made:#}");
    // What may only be read is refused to be changed; what is another's is not there.
    for wish in [&window[..], &hook] {
        ask(&reads, wish).await.ended(5).kind(&["refuses"]);
        let none = ask(&stranger, wish).await.ended(2);
        none.kind(&["there is no dataset `orders`"]);
    }
    let id = made["items"][0]["id"].as_str().unwrap();
    for (token, seen) in [(&owner, 1), (&reads, 1), (&stranger, 0)] {
        let listed = ask(token, &["subscribe", "list"]).await.ended(0).json();
        assert_eq!(listed["summary"]["subscriptions"], seen, "{listed:#}");
    }
    ask(&stranger, &["subscribe", "remove", id]).await.ended(2);
    ask(&reads, &["subscribe", "remove", id]).await.ended(5);
    ask(&owner, &["subscribe", "remove", id]).await.ended(0);
    gateway.vanish();
    dev.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_when_the_gateway_is_gone_for_a_while() {
    let place = Place::new();
    let operator = token(&place, &["--role", "operator", "--write"]);
    let dev = cluster(&place, 300, 100_000);
    let until = Instant::now() + PATIENCE;
    while place.runs().await.is_empty() {
        assert!(Instant::now() < until, "no run is started");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let slowed = dev.slowed();
    let run = place.runs().await.remove(0).id.to_string();
    let gateway = Guarded::start(&place, None, None).await;
    let (address, url) = (gateway.address, gateway.url());
    let mut command = place.command(&["run", "watch", &run]);
    command.env("ASSAY_SERVER__URL", &url);
    command
        .env("ASSAY_SERVER__TOKEN", "env:MY_TOKEN")
        .env("MY_TOKEN", &operator);
    let errors = std::fs::File::create(place.path("watch")).unwrap();
    let watch = command
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .unwrap();
    let heard = || std::fs::read_to_string(place.path("watch")).unwrap();
    let waits = async |word: &str| {
        while !heard().contains(word) {
            assert!(Instant::now() < until, "`{word}` is not said:\n{}", heard());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // It is told of the run as it stands, whatever that is by then.
    waits(&run).await;
    gateway.vanish();
    waits("does not answer any more; asking again").await;
    let goes_on = place.runs().await.remove(0);
    assert!(
        !goes_on.state.is_terminal(),
        "the run was over too soon for this test"
    );
    let gateway = Guarded::start(&place, Some(address), None).await;
    drop(slowed);
    let ended = tokio::task::spawn_blocking(move || watch.wait_with_output().unwrap());
    let ended = ended.await.unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", heard());
    let out = String::from_utf8(ended.stdout).unwrap();
    assert!(out.contains("succeeded"), "{out}");
    assert!(heard().contains("succeeded"), "{}", heard());
    gateway.vanish();
    dev.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_believed_by_the_authority_that_is_named() {
    let place = Place::new();
    let operator = token(&place, &["--role", "operator"]);
    let dev = cluster(&place, 1, 3);
    place.settled(1, PATIENCE).await;
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let own = CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let ca = place.write("ca.pem", own.pem());
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![own.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tls = TlsAcceptor::from(Arc::new(config));
    let gateway = Guarded::start(&place, None, Some(tls)).await;
    let url = format!("https://{}", gateway.address);

    let unknown = said(&place, &url, Some(&operator), &["run", "list"]).await;
    unknown.ended(5).kind(&["certificate", "server.ca"]);
    // By the flag alone: https:// without a certificate of one's own is a gateway.
    let mut command = place.command(&["--server", &url, "run", "list", "-o", "json"]);
    command.env("ASSAY_SERVER__CA", &ca);
    command
        .env("ASSAY_SERVER__TOKEN", "env:MY_TOKEN")
        .env("MY_TOKEN", &operator);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let listed = Said::of(&output.await.unwrap()).ended(0).json();
    assert_eq!(listed["items"][0]["dataset"], "orders");
    gateway.vanish();
    dev.kill();
}
