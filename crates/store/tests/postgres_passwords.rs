//! Passwords that hold for a while only, as those of IAM do, towards a real Postgres.
//!
//! Before the server stands a door that lets a connection in by a token that is known and has not
//! expired, as RDS does; what comes after is between the store and the server.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use assay_model::dataset::Dataset;
use assay_model::unfinished::TasksHeld;
use assay_store::conformance::fixtures::dataset as dataset_of;
use assay_store::port::{MetricStore as _, RunFilter};
use assay_store::postgres::{Password, Passwords, PostgresOptions, PostgresStore};
use assay_store::{JobStore as _, StoreError};
use assay_test_servers::postgres;
use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How long a token holds.
const HOLDS: Duration = Duration::from_secs(3);

/// Tokens that were given out, and until when each holds.
#[derive(Default)]
struct Tokens {
    known: Mutex<BTreeMap<String, Instant>>,
    given: AtomicU32,
    away: AtomicBool,
}

#[async_trait]
impl Passwords for Tokens {
    async fn password(&self) -> Result<Password, String> {
        if self.away.load(Ordering::Relaxed) {
            return Err("the role's credentials cannot be had".to_owned());
        }
        let text = format!("token-{}", self.given.fetch_add(1, Ordering::Relaxed));
        let until = Instant::now() + HOLDS;
        self.known.lock().unwrap().insert(text.clone(), until);
        Ok(Password { text, holds: HOLDS })
    }
}

/// The door before the server.
struct Door {
    port: u16,
    tokens: Arc<Tokens>,
    /// Connections that it turned away.
    refused: Arc<AtomicU32>,
    /// Connections that it let in.
    entered: Arc<AtomicU32>,
    /// Ends every open connection.
    cut: watch::Sender<u32>,
}

impl Door {
    async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self {
            port: listener.local_addr().unwrap().port(),
            tokens: Arc::default(),
            refused: Arc::default(),
            entered: Arc::default(),
            cut: watch::Sender::new(0),
        };
        let (tokens, refused) = (Arc::clone(&this.tokens), Arc::clone(&this.refused));
        let (entered, cut) = (Arc::clone(&this.entered), this.cut.subscribe());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (tokens, refused) = (Arc::clone(&tokens), Arc::clone(&refused));
                let (entered, mut cut) = (Arc::clone(&entered), cut.clone());
                cut.mark_unchanged();
                tokio::spawn(async move {
                    let mut client = client;
                    let Some(begin) = admit(&mut client, &tokens, &refused).await else {
                        return;
                    };
                    entered.fetch_add(1, Ordering::Relaxed);
                    let mut inside = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                    inside.write_all(&begin).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut inside) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        this
    }

    fn options(&self, url: &str) -> PostgresOptions {
        let database = url.rsplit('/').next().unwrap();
        let port = self.port;
        PostgresOptions {
            passwords: Some(Arc::clone(&self.tokens) as Arc<dyn Passwords>),
            ..PostgresOptions::new(format!(
                "postgres://postgres@127.0.0.1:{port}/{database}?sslmode=disable"
            ))
        }
    }
}

/// Asks for a password in the clear, as RDS does for a token of IAM; gives the first message of a
/// client that has shown a good one.
async fn admit(client: &mut TcpStream, tokens: &Tokens, refused: &AtomicU32) -> Option<Vec<u8>> {
    let length = client.read_u32().await.ok()?;
    let mut begin = length.to_be_bytes().to_vec();
    begin.resize(length as usize, 0);
    client.read_exact(&mut begin[4..]).await.ok()?;
    // AuthenticationCleartextPassword.
    client.write_all(b"R\0\0\0\x08\0\0\0\x03").await.ok()?;
    assert_eq!(client.read_u8().await.ok()?, b'p');
    let length = client.read_u32().await.ok()?;
    let mut shown = vec![0; length as usize - 4];
    client.read_exact(&mut shown).await.ok()?;
    let shown = String::from_utf8(shown).unwrap();
    let until = tokens
        .known
        .lock()
        .unwrap()
        .get(shown.trim_end_matches('\0'))
        .copied();
    if until.is_some_and(|until| Instant::now() < until) {
        return Some(begin);
    }
    refused.fetch_add(1, Ordering::Relaxed);
    let fields = b"SFATAL\0VFATAL\0C28P01\0MPAM authentication failed\0\0";
    let mut refusal = b"E".to_vec();
    refusal.extend(u32::try_from(fields.len() + 4).unwrap().to_be_bytes());
    refusal.extend(fields);
    client.write_all(&refusal).await.ok()?;
    None
}

/// One reading and one writing call.
async fn calls(store: &PostgresStore, dataset: &Dataset) -> Result<(), StoreError> {
    store.runs(&RunFilter::default()).await?;
    store.put_definition(dataset).await
}

fn dataset(at: u32) -> Dataset {
    let mut dataset = dataset_of("orders");
    dataset.version = format!("1.0.{at}");
    dataset
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_renewed_before_they_expire_and_no_call_fails() {
    let server = postgres::shared();
    let url = tokio::task::block_in_place(|| server.create_database());
    let door = Door::before(server.port()).await;
    let store = PostgresStore::connect(door.options(&url)).await.unwrap();
    let begun = Instant::now();
    let mut at = 0;
    while begun.elapsed() < HOLDS * 3 {
        calls(&store, &dataset(at)).await.unwrap();
        // Every connection ends: those that come next are let in by the token of the moment.
        door.cut.send_modify(|n| *n += 1);
        at += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        door.refused.load(Ordering::Relaxed),
        0,
        "logins were refused"
    );
    assert!(
        door.tokens.given.load(Ordering::Relaxed) >= 4,
        "tokens were renewed"
    );
    assert!(
        door.entered.load(Ordering::Relaxed) >= 20,
        "connections were made"
    );
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signer_that_is_away_costs_nothing_while_the_token_holds_and_is_told_after() {
    let server = postgres::shared();
    let url = tokio::task::block_in_place(|| server.create_database());
    let door = Door::before(server.port()).await;
    let store = PostgresStore::connect(door.options(&url)).await.unwrap();
    calls(&store, &dataset(0)).await.unwrap();
    door.tokens.away.store(true, Ordering::Relaxed);
    // The token that is there lets new connections in until its time is over.
    door.cut.send_modify(|n| *n += 1);
    calls(&store, &dataset(1)).await.unwrap();
    tokio::time::sleep(HOLDS).await;
    door.cut.send_modify(|n| *n += 1);
    let refused = store
        .load(assay_model::ids::Epoch(1), TasksHeld::default())
        .await
        .unwrap_err();
    assert!(refused.is_retryable(), "{refused}");
    assert!(
        refused.to_string().contains("credentials cannot be had"),
        "{refused}"
    );
    door.tokens.away.store(false, Ordering::Relaxed);
    store.put_definition(&dataset(2)).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_password_shows_nowhere() {
    let password = Password {
        text: "s3cret".to_owned(),
        holds: HOLDS,
    };
    assert!(!format!("{password:?}").contains("s3cret"));
    let options = PostgresOptions {
        password: Some("s3cret".to_owned()),
        ..PostgresOptions::new("postgres://a@127.0.0.1:1/db")
    };
    assert!(!format!("{options:?}").contains("s3cret"));
    let refused = PostgresStore::connect(options).await.unwrap_err();
    assert!(!refused.to_string().contains("s3cret"));
}
