//! How a gateway stands five times the load that it can serve: the latency of owners, and how much of
//! its capacity goes into answers.
//!
//! `cargo run --release -p assay-guard --example overload`, on one machine with the load: handlers
//! wait for 50 ms each, four at a time, so that 80 requests per second is all there is. Owners ask 16
//! times a second, alone and then among 384 requests per second of others.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use assay_guard::principal::Scope;
use assay_guard::tokens::{TokenFile, mint};
use assay_guard::{Guard, GuardSettings, Holding, Owners, Parts, Server};
use assay_store::SqliteStore;
use assay_telemetry::Telemetry;
use axum::Router;
use axum::routing::get;

const WORK: Duration = Duration::from_millis(50);
const PLACES: u32 = 4;
const OWNERS_PER_S: u32 = 16;
const OTHERS_PER_S: u32 = 384;
const LASTS: Duration = Duration::from_secs(10);

struct Payments;

impl Owners for Payments {
    fn of(&self, _: &str) -> Holding {
        Holding::Owner("payments".to_owned())
    }
}

/// Latencies of answers, and how many requests were sent away.
#[derive(Default)]
struct Seen {
    answers: Vec<Duration>,
    shed: usize,
}

impl Seen {
    /// The latency that this share of the answers stays below, in milliseconds.
    fn quantile(&mut self, share: f64) -> f64 {
        self.answers.sort_unstable();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some thousand answers"
        )]
        let at = ((self.answers.len() as f64 * share).ceil() as usize).saturating_sub(1);
        let found = self.answers.get(at).copied().unwrap_or_default();
        found.as_secs_f64() * 1e3
    }

    #[expect(clippy::cast_precision_loss, reason = "some thousand answers")]
    fn per_second(&self) -> f64 {
        self.answers.len() as f64 / LASTS.as_secs_f64()
    }
}

/// Asks so many times a second, whether the answers come or not; latencies count from when a request
/// was due.
async fn load(url: &str, token: Option<&str>, per_second: u32) -> Seen {
    let client = reqwest::Client::builder().no_proxy().build();
    let client = client.expect("a client without TLS files needs nothing");
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (began, mut asked) = (Instant::now(), Vec::new());
    for n in 0.. {
        let due = began + Duration::from_secs(1) * n / per_second;
        if due.duration_since(began) >= LASTS {
            break;
        }
        tokio::time::sleep_until(due.into()).await;
        let mut request = client.get(url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let seen = Arc::clone(&seen);
        asked.push(tokio::spawn(async move {
            let answer = request.send().await;
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            match answer {
                Ok(answer) if answer.status() == 200 => seen.answers.push(due.elapsed()),
                _ => seen.shed += 1,
            }
        }));
    }
    for one in asked {
        drop(one.await);
    }
    std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What can be served: twice as many at a time as there are places, one after the other, so that no
/// place is ever without work.
async fn peak(url: &str, token: &str) -> f64 {
    let asking = (0..2 * PLACES).map(|_| {
        let (url, token) = (url.to_owned(), token.to_owned());
        tokio::spawn(async move {
            let client = reqwest::Client::builder().no_proxy().build();
            let client = client.expect("a client without TLS files needs nothing");
            let (began, mut answers) = (Instant::now(), 0_u32);
            while began.elapsed() < LASTS {
                let answer = client.get(&url).bearer_auth(&token).send().await;
                answers += u32::from(answer.is_ok_and(|answer| answer.status() == 200));
            }
            answers
        })
    });
    let asking: Vec<_> = asking.collect();
    let mut answers = 0;
    for one in asking {
        answers += one.await.unwrap_or_default();
    }
    f64::from(answers) / LASTS.as_secs_f64()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("assay-overload-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (path, mut file, mut texts) = (folder.join("tokens.toml"), TokenFile::default(), vec![]);
    let now = jiff::Timestamp::now();
    for role in ["owner:payments", "subscriber:*"] {
        let later = now + jiff::SignedDuration::from_hours(1);
        let (text, token) = mint("load", vec![role.parse()?], Scope::Read, now, later)?;
        file.token.push(token);
        texts.push(text);
    }
    file.write(&path)?;
    let settings: GuardSettings = toml::from_str(&format!(
        "[identity]\nmode = 'credentials'\ntokens = '{}'\nanonymous = ['subscriber:*']\n\
         [quotas]\nprincipal = {{ per_second = 100000, burst = 100000 }}\n\
         anonymous = {{ per_second = 100000, burst = 100000 }}\n\
         [queue]\nin_flight = {PLACES}\nwaiting = 32\npatience_ms = 500",
        path.display()
    ))?;
    let parts = Parts {
        owners: Arc::new(Payments),
        audit: Arc::new(SqliteStore::in_memory().await?),
        telemetry: Telemetry::default(),
        attach: None,
        present: None,
    };
    let guard = Guard::new(settings, parts)?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/api/v1/datasets/orders", listener.local_addr()?);
    let work = || async {
        tokio::time::sleep(WORK).await;
        "worked"
    };
    let router = Router::new().route("/api/v1/datasets/{id}", get(work));
    let stop = std::future::pending();
    tokio::spawn(Server::new(router, guard).serve(listener, stop));
    let peak = peak(&url, &texts[1]).await;
    println!("peak                 {peak:7.1} answers/s");
    let mut alone = load(&url, Some(&texts[0]), OWNERS_PER_S).await;
    let unloaded = alone.quantile(0.99);
    println!(
        "owners alone         p50 {:6.1} ms  p99 {unloaded:6.1} ms",
        alone.quantile(0.5)
    );
    let (mut owners, mut subscribers, mut nobody) = tokio::join!(
        load(&url, Some(&texts[0]), OWNERS_PER_S),
        load(&url, Some(&texts[1]), OTHERS_PER_S / 2),
        load(&url, None, OTHERS_PER_S / 2),
    );
    for (name, seen) in [
        ("owners", &mut owners),
        ("subscribers", &mut subscribers),
        ("anonymous", &mut nobody),
    ] {
        println!(
            "{name:11} at 5 ×  p50 {:6.1} ms  p99 {:6.1} ms  {:6.1} answers/s  {} sent away",
            seen.quantile(0.5),
            seen.quantile(0.99),
            seen.per_second(),
            seen.shed
        );
    }
    let goodput = owners.per_second() + subscribers.per_second() + nobody.per_second();
    println!(
        "owners' p99 {:.2} × unloaded (goal ≤ 2), goodput {:.1} % of peak (goal ≥ 90)",
        owners.quantile(0.99) / unloaded,
        100.0 * goodput / peak
    );
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
