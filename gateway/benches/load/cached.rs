//! Reads that are kept, and reads that are not.

use crate::figures::{load, median, told};
use crate::goals::Goals;
use crate::overload;
use crate::server::Server;
use crate::world::{World, id};
use crate::wrk::{Load, Seen};

/// Connections that ask at the same time.
const CONNECTIONS: u32 = 32;
/// Requests per second of the metric endpoint, at least.
const PER_SECOND: f64 = 20_000.0;
/// What 99 of a hundred of them take less than, in milliseconds.
const P99_MS: f64 = 5.0;

/// A case: its name, what is asked, how the path is made.
struct Case<'a> {
    name: &'a str,
    paths: Vec<String>,
    path: Option<&'a str>,
    connections: u32,
    /// Whether it asks for points, of which the goals speak.
    is_metric: bool,
}

/// What is kept: the share of it that was, and how fast it came.
pub async fn measure(world: &World, goals: &mut Goals) {
    let metrics = world.columns * 3;
    let datasets = world.benches.len() as u64;
    let all = |m: u64| world.points(m / metrics, m % metrics);
    let one = world.points(0, 1);
    let cases = [
        ("a metric, 90 points", vec![one.clone()]),
        ("the same, 30 points", vec![format!("{one}&maxPoints=30")]),
        (
            "each metric of each dataset",
            (0..metrics * datasets).map(all).collect(),
        ),
        (
            "a dataset, as JSON",
            vec![format!("/api/v1/datasets/{}", id(0))],
        ),
        ("a dataset's page", vec![format!("/datasets/{}", id(0))]),
    ];
    for guarded in [false, true] {
        let guard = guarded.then(|| overload::guard(world));
        let server = Server::start(world, guard.as_deref()).await;
        let token = guarded.then_some(world.subscriber.as_str());
        for (name, paths) in &cases {
            let case = Case {
                name,
                paths: paths.clone(),
                path: None,
                connections: CONNECTIONS,
                is_metric: paths.iter().all(|path| path.contains("/points")),
            };
            warm(&server, &case, token).await;
            let (hits_before, all_before) = reads(&server).await;
            let seen = rounds(&server, &case, token).await;
            let (hits, all) = reads(&server).await;
            let (hits, all) = (hits - hits_before, all - all_before);
            print(&case, guarded, seen);
            judge(goals, &case, guarded, seen);
            println!("    kept reads {hits:.0} of {all:.0}: {:.5}", hits / all);
        }
    }
}

/// Holds the metric endpoint against what is asked of it.
fn judge(goals: &mut Goals, case: &Case<'_>, guarded: bool, seen: Seen) {
    if !case.is_metric {
        return;
    }
    let how = if guarded { "guarded" } else { "open" };
    let goal = format!(
        "{}, kept, {how}: {PER_SECOND:.0}/s and p99 under {P99_MS:.0} ms",
        case.name
    );
    let measured = format!("{:.0}/s and {:.2} ms", seen.per_second, seen.p99_ms);
    let is_met = seen.per_second >= PER_SECOND && seen.p99_ms < P99_MS;
    goals.tell(&goal, measured, is_met);
}

/// What was never asked for: a bound of points that differs from request to request.
pub async fn measure_uncached(world: &World) {
    let server = Server::start(world, None).await;
    let metrics = world.columns * 3;
    let datasets = world.benches.len() as u64;
    let all = |m: u64| world.points(m / metrics, m % metrics);
    let paths: Vec<String> = (0..metrics * datasets).map(all).collect();
    for connections in [1, 8] {
        // A bound beyond the number of points leaves all of them.
        let bound = 1000 + 5_000 * connections;
        let path = format!("paths[n % #paths + 1] .. \"&maxPoints=\" .. ({bound} + n)");
        let case = Case {
            name: "a metric, 90 points, not kept",
            paths: paths.clone(),
            path: Some(&path),
            connections,
            is_metric: true,
        };
        let before = server.reads("miss").await;
        let seen = round(&server, &case, None).await;
        let misses = server.reads("miss").await - before;
        print(&case, false, seen);
        println!("    answers that were made {misses:.0}");
    }
}

/// Asks for everything once.
async fn warm(server: &Server, case: &Case<'_>, token: Option<&str>) {
    let mut asker = crate::ask::Asker::open(server.address)
        .await
        .expect("it listens");
    let mut bytes = 0;
    for path in &case.paths {
        let answer = asker.get(path, token).await.expect("it answers");
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 200, "{path}: {text}");
        bytes += answer.body.len();
    }
    println!("    {} bytes an answer", bytes / case.paths.len());
}

async fn reads(server: &Server) -> (f64, f64) {
    let hits = server.reads("hit").await;
    let mut all = hits;
    for outcome in ["miss", "shared", "stale", "none"] {
        all += server.reads(outcome).await;
    }
    (hits, all)
}

/// One round.
async fn round(server: &Server, case: &Case<'_>, token: Option<&str>) -> Seen {
    let load = Load {
        paths: &case.paths,
        path: case.path,
        token,
        connections: case.connections,
        seconds: told("ASSAY_BENCH_SECONDS", 10),
    };
    load.run(server).await
}

/// The medians of three rounds.
async fn rounds(server: &Server, case: &Case<'_>, token: Option<&str>) -> Seen {
    let mut all = Vec::new();
    for _ in 0..told("ASSAY_BENCH_ROUNDS", 3) {
        all.push(round(server, case, token).await);
    }
    let p99s: Vec<String> = all
        .iter()
        .map(|seen| format!("{:.2}", seen.p99_ms))
        .collect();
    println!("    p99 of each round: {} ms", p99s.join(", "));
    let of = |of: fn(&Seen) -> f64| median(all.iter().map(of).collect());
    Seen {
        per_second: of(|seen| seen.per_second),
        p50_ms: of(|seen| seen.p50_ms),
        p99_ms: of(|seen| seen.p99_ms),
        megabytes: of(|seen| seen.megabytes),
    }
}

fn print(case: &Case<'_>, guarded: bool, seen: Seen) {
    println!(
        "{:32} {:7}  {:3} connections  {:8.0}/s  p50 {:7.2} ms  p99 {:7.2} ms  {:6.1} MiB/s  load {}",
        case.name,
        if guarded { "guarded" } else { "open" },
        case.connections,
        seen.per_second,
        seen.p50_ms,
        seen.p99_ms,
        seen.megabytes,
        load()
    );
}
