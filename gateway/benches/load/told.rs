//! From a commit to the answer that knows of it.

use std::time::{Duration, Instant};

use crate::ask::Asker;
use crate::figures::{load, quantile, told};
use crate::goals::Goals;
use crate::server::Server;
use crate::world::{World, date, one_more};
use crate::wrk::Load;

/// Within how many milliseconds a commit is to be told.
const FRESH_MS: f64 = 100.0;

/// Commits one partition after the other, and asks until each is there; alone, and while all that is
/// kept is asked for as fast as it comes.
pub async fn measure(world: &World, goals: &mut Goals) {
    let server = Server::start(world, None).await;
    let rounds = told("ASSAY_BENCH_COMMITS", 50);
    let first = world.partitions;
    let alone = watch(world, &server, first..first + rounds, "alone").await;
    let paths: Vec<String> = (0..world.columns * 3).map(|m| world.points(0, m)).collect();
    let busy = Load {
        paths: &paths,
        path: None,
        token: None,
        connections: 16,
        seconds: rounds.div_ceil(4).max(5),
    };
    let (loaded, seen) = tokio::join!(
        watch(
            world,
            &server,
            first + rounds..first + 2 * rounds,
            "under load"
        ),
        busy.run(&server)
    );
    println!(
        "    the load: {:.0}/s, p99 {:.2} ms",
        seen.per_second, seen.p99_ms
    );
    for (how, worst_ms) in [("alone", alone), ("under load", loaded)] {
        let goal = format!("fresh within {FRESH_MS} ms of the commit, {how}");
        goals.tell(
            &goal,
            format!("{worst_ms:.0} ms at worst"),
            worst_ms < FRESH_MS,
        );
    }
}

/// The longest that it took, in milliseconds.
async fn watch(world: &World, server: &Server, numbers: std::ops::Range<u64>, how: &str) -> f64 {
    let path = world.points(0, 1);
    let bench = &world.benches[0];
    let mut asker = Asker::open(server.address).await.expect("it listens");
    let mut waits = Vec::new();
    for n in numbers {
        let mark = format!("\"partition\":\"{}\"", date(n));
        let seen = async {
            loop {
                let answer = asker.get(&path, None).await.expect("it answers");
                if String::from_utf8_lossy(&answer.body).contains(&mark) {
                    return Instant::now();
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let (committed, seen) = tokio::join!(one_more(bench, n), seen);
        // The answer may be there before the writer has read that it is committed.
        waits.push(seen.saturating_duration_since(committed));
    }
    println!(
        "a commit is told, {how:10}  n {}  p50 {:.1} ms  p99 {:.1} ms  worst {:.1} ms  load {}",
        waits.len(),
        quantile(&waits, 0.5),
        quantile(&waits, 0.99),
        quantile(&waits, 1.0),
        load()
    );
    quantile(&waits, 1.0)
}
