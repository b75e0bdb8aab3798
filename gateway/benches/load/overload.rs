//! Five times the load that can be served: owners beside subscribers, in requests that the store has
//! to answer.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::ask::Asker;
use crate::figures::{load, median, quantile, told};
use crate::goals::Goals;
use crate::server::{Server, first_of_its_core};
use crate::world::World;

/// How much more is asked for than can be served.
const TIMES: f64 = 5.0;
/// Connections that find out what can be served.
const CONNECTIONS: usize = 16;
/// How many times as long as unloaded owners' p99 may take.
const SLOWER: f64 = 2.0;
/// The share of what can be served that is to be served.
const SERVED: f64 = 0.9;
/// The owner's share of what can be served.
const OWNERS: f64 = 0.1;

/// The guard's settings: credentials, quotas out of the way, the queue as it is without a word, or
/// with so many turns at the store.
pub fn guard(world: &World) -> String {
    let queue = match told("ASSAY_BENCH_TURNS", 0) {
        0 => String::new(),
        turns => format!("[queue]\nstore_turns = {turns}\n"),
    };
    format!(
        "[identity]\nmode = 'credentials'\ntokens = '{}'\ntrusted_proxies = ['127.0.0.0/8']\n\
         [quotas]\nprincipal = {{ per_second = 1000000, burst = 1000000 }}\n{queue}",
        world.folder.path().join("tokens.toml").display()
    )
}

/// What came of requests.
#[derive(Default)]
struct Seen {
    answers: Vec<Duration>,
    /// From when each request was due until it was sent: the generator's own delay.
    late: Vec<Duration>,
    shed: usize,
    other: usize,
}

/// Paths that were never asked for, one after the other.
struct Fresh {
    next: RefCell<u64>,
}

impl Fresh {
    fn path(&self, world: &World, dataset: Option<u64>) -> String {
        let mut next = self.next.borrow_mut();
        *next += 1;
        let n = *next;
        let points = world.points(dataset.unwrap_or(n), n);
        // A bound beyond the number of points leaves all of them.
        format!("{points}&maxPoints={}", 1000 + n % 90_000)
    }
}

/// Owners' latency alone and at five times the load, and what is served then.
pub async fn measure(world: &World, goals: &mut Goals) {
    let server = Server::start(world, Some(&guard(world))).await;
    first_of_its_core();
    let fresh = Rc::new(Fresh {
        next: RefCell::new(0),
    });
    let rounds = told("ASSAY_BENCH_ROUNDS", 3);
    let lasts = Duration::from_secs(told("ASSAY_BENCH_SECONDS", 10));
    let (mut ratios, mut goodputs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let peak = peak(world, &server, &fresh, CONNECTIONS, lasts).await;
        let rate = peak * OWNERS;
        let alone = open_loop(world, &server, &fresh, true, rate, lasts).await;
        let (owner, others) = tokio::join!(
            open_loop(world, &server, &fresh, true, rate, lasts),
            open_loop(world, &server, &fresh, false, peak * TIMES - rate, lasts),
        );
        let unloaded = quantile(&alone.answers, 0.99);
        let loaded = quantile(&owner.answers, 0.99);
        #[expect(clippy::cast_precision_loss, reason = "some thousand answers")]
        let served = (owner.answers.len() + others.answers.len()) as f64 / lasts.as_secs_f64();
        println!("peak {peak:.0}/s; owners alone: {}", words(&alone));
        println!("    at {TIMES} x: owners {}", words(&owner));
        println!(
            "    subscribers {}; served {served:.0}/s, {} questions at a time, load {}",
            words(&others),
            server.series("assay_store_question_places").await,
            load()
        );
        println!(
            "    owners' p99 {:.2} x unloaded, served {:.2} of peak",
            loaded / unloaded,
            served / peak
        );
        ratios.push(loaded / unloaded);
        goodputs.push(served / peak);
    }
    let goal = format!("owners' p99 at {TIMES} x the load, at most {SLOWER} x unloaded");
    let ratio = median(ratios);
    let measured = format!("{ratio:.2} x (median of {rounds} rounds)");
    goals.tell(&goal, measured, ratio <= SLOWER);
    let goal = format!("served at {TIMES} x the load, at least {SERVED} of peak");
    let share = median(goodputs);
    let measured = format!("{share:.2} of peak (median of {rounds} rounds)");
    goals.tell(&goal, measured, share >= SERVED);
}

fn words(seen: &Seen) -> String {
    format!(
        "p50 {:.1} p99 {:.1} ms (sent late p50 {:.1} p99 {:.1}), {} answered, {} sent away, {} other",
        quantile(&seen.answers, 0.5),
        quantile(&seen.answers, 0.99),
        quantile(&seen.late, 0.5),
        quantile(&seen.late, 0.99),
        seen.answers.len(),
        seen.shed,
        seen.other
    )
}

/// What can be served, one request after the other on so many connections.
async fn peak(
    world: &World,
    server: &Server,
    fresh: &Fresh,
    connections: usize,
    lasts: Duration,
) -> f64 {
    let asking = (0..connections).map(|_| async {
        let mut asker = Asker::open(server.address).await.expect("it listens");
        let (began, mut answers) = (Instant::now(), 0_u32);
        while began.elapsed() < lasts {
            let path = fresh.path(world, None);
            let answer = asker.get(&path, Some(&world.subscriber)).await;
            answers += u32::from(answer.expect("it answers").status == 200);
        }
        f64::from(answers)
    });
    let answers: f64 = futures::future::join_all(asking).await.iter().sum();
    answers / lasts.as_secs_f64()
}

/// Asks so many times a second, whether answers come or not; latencies count from when a request was
/// due.
async fn open_loop(
    world: &World,
    server: &Server,
    fresh: &Rc<Fresh>,
    owner: bool,
    per_second: f64,
    lasts: Duration,
) -> Seen {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let idle: Rc<RefCell<Vec<Asker>>> = Rc::default();
    let token = if owner {
        &world.owner
    } else {
        &world.subscriber
    };
    let local = tokio::task::LocalSet::new();
    let asking = async {
        let began = Instant::now();
        for n in 0_u32.. {
            let due = began + Duration::from_secs_f64(f64::from(n) / per_second);
            if due.duration_since(began) >= lasts {
                break;
            }
            tokio::time::sleep_until(due.into()).await;
            let path = fresh.path(world, owner.then_some(0));
            let (seen, idle, token) = (Rc::clone(&seen), Rc::clone(&idle), token.clone());
            let address = server.address;
            tokio::task::spawn_local(async move {
                let free = idle.borrow_mut().pop();
                let mut asker = match free {
                    Some(asker) => asker,
                    None => Asker::open(address).await.expect("it listens"),
                };
                seen.borrow_mut().late.push(due.elapsed());
                let answer = asker.get(&path, Some(&token)).await;
                let mut seen = seen.borrow_mut();
                match answer.map(|answer| answer.status) {
                    Ok(200) => seen.answers.push(due.elapsed()),
                    Ok(503) => seen.shed += 1,
                    _ => {
                        seen.other += 1;
                        return;
                    }
                }
                idle.borrow_mut().push(asker);
            });
        }
    };
    local.run_until(asking).await;
    // What was asked for has its answer, too.
    local.await;
    let seen = Rc::try_unwrap(seen).unwrap_or_else(|_| panic!("nobody asks any more"));
    seen.into_inner()
}
