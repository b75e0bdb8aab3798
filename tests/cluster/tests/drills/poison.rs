//! Tasks that kill the process that does them, or never end, or want more memory than there is (row
//! 27 of the matrix): two deaths and no third, and nobody beside them notices.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use assay_cluster_tests::checker::{self, Facts, questions};
use assay_cluster_tests::data::{self, Data, Shape};
use assay_cluster_tests::machine::{signal, ticks_of};
use assay_cluster_tests::{Cluster, Drill, Plan};
use rustix::process::Signal;

use crate::drill;
use crate::usual::{RUN, texts};

/// One file that a child reads for long enough to be found at it.
const LONG: Shape = Shape {
    days: 1,
    files: 1,
    rows: 4_000_000,
};

/// What a child has computed, in ticks, that is at a task and not merely starting.
const WORK_TICKS: u64 = 8;

/// How long the task that never ends may take.
const TIMEOUT_S: u64 = 3;

/// How a task dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// By signals, each time another one.
    Signals(Signal, Signal),
    /// It does not: its process stands still for ever.
    Never,
    /// It wants more memory than its limit.
    Memory,
}

/// A dataset whose one batch is poison.
struct Poison {
    death: Death,
    data: Data,
    run: String,
}

/// The same file under another name; that of `Memory` is one line that does not end.
fn poison(folder: &Path, name: &str, death: Death, long: &Data) -> Data {
    let file = "dt=2026-01-01/part-0.csv";
    let place = folder.join(name);
    std::fs::create_dir_all(place.join("dt=2026-01-01")).unwrap();
    if death == Death::Memory {
        let mut text = b"id,amount,note\n1,1.25,".to_vec();
        text.resize(160 << 20, b'x');
        std::fs::write(place.join(file), text).unwrap();
    } else {
        std::fs::hard_link(long.folder.join(file), place.join(file)).unwrap();
    }
    let mut dataset = data::dataset(&place, name, 1 << 40);
    if death == Death::Never {
        dataset.run.timeout_s = TIMEOUT_S;
    }
    Data {
        folder: place,
        dataset,
        truth: Vec::new(),
    }
}

/// Where an attempt at the poison is at work: its node, and which attempt it is.
async fn at_work(cluster: &Cluster, poison: &Poison) -> Option<(String, String)> {
    let query = format!(
        "SELECT t.node || '|' || t.attempt FROM task t JOIN run r ON r.id = t.run_id \
         WHERE run_word(r.id) = '{}' AND t.kind = 'measure' AND t.state = 'running'",
        poison.run
    );
    let found = texts(cluster, &query).await.pop()?;
    let (node, attempt) = found.split_once('|')?;
    Some((node.to_owned(), attempt.to_owned()))
}

/// The child of a node of one slot that does its task: the one that computes.
async fn at_it(cluster: &Cluster, node: &str) -> u32 {
    let before = RefCell::new(BTreeMap::new());
    let node = &cluster.nodes[cluster.place_of(node)];
    let computes = || async {
        let mut before = before.borrow_mut();
        node.children().into_iter().find(|child| {
            let Some(ticks) = ticks_of(*child) else {
                return false;
            };
            ticks >= *before.entry(*child).or_insert(ticks) + WORK_TICKS
        })
    };
    let limit = Duration::from_secs(60);
    cluster.until_some("child at work", limit, computes).await
}

/// Strikes the process of each of the first two attempts.
async fn hunt(cluster: &Cluster, poison: &Poison, strikes: [Signal; 2]) {
    let mut last = String::new();
    for strike in strikes {
        let fresh = || async {
            let found = at_work(cluster, poison).await?;
            (found.1 != last).then_some(found)
        };
        let what = format!("attempt at {}", poison.data.dataset.id);
        let (node, attempt) = cluster
            .until_some(&what, Duration::from_secs(60), fresh)
            .await;
        let child = at_it(cluster, &node).await;
        signal(child, Signal::STOP);
        assert_eq!(
            at_work(cluster, poison).await,
            Some((node.clone(), attempt.clone())),
            "it stands still at it"
        );
        signal(child, strike);
        if strike != Signal::STOP {
            // What stands still takes most signals when it goes on.
            signal(child, Signal::CONT);
        }
        let what = format!(
            "{strike:?} to {child} of {node}, at attempt {attempt} of {}",
            poison.data.dataset.id
        );
        cluster.drill.note(what);
        last = attempt;
    }
}

/// What became of the poison, as people are told it.
async fn is_quarantined(cluster: &Cluster, poison: &Poison) {
    let name = poison.data.dataset.id.to_string();
    let tasks = cluster
        .client
        .tasks(&poison.run, Duration::from_secs(10))
        .await
        .unwrap();
    let task = tasks.iter().find(|t| t.kind == "measure").unwrap();
    let outcomes: Vec<&str> = task.attempts.iter().map(|a| a.outcome.as_str()).collect();
    cluster.drill.note(format!(
        "{name}: {} after {outcomes:?}: {}",
        task.state, task.reason
    ));
    let said: Vec<&str> = task.attempts.iter().map(|a| a.reason.as_str()).collect();
    let words = match poison.death {
        Death::Signals(..) => vec!["SIG"; 2],
        Death::Never => vec!["when it was asked"; 2],
        // A reader that refuses such a line needs no death at all.
        Death::Memory if outcomes == ["permanent"] => vec!["a record is longer than"],
        Death::Memory => vec!["memory"; 2],
    };
    assert_eq!(said.len(), words.len(), "{name}: {task:?}");
    for (said, words) in said.iter().zip(words) {
        assert!(said.contains(words), "{name}: `{words}` is not in `{said}`");
    }
    if outcomes != ["permanent"] {
        assert_eq!(
            (task.state.as_str(), outcomes),
            ("quarantined", vec!["crashed"; 2]),
            "{name}"
        );
        assert!(task.reason.contains("crashed"), "{name}: {}", task.reason);
    }
}

drill!(
    poison_dies_twice_and_is_quarantined_and_nobody_beside_it_notices,
    async |name| {
        let drill = Drill::begin(name).await;
        let good = data::generate(drill.folder(), "orders", Shape::USUAL);
        let long = data::generate(drill.folder(), "long", LONG);
        // Of one slot each, so that it is known which child is at which task.
        let plan = Plan {
            slots: 1,
            ..Plan::default()
        };
        let cluster = Cluster::start(&drill, plan).await;
        let data = [
            ("killed", Death::Signals(Signal::KILL, Signal::ABORT)),
            ("aborted", Death::Signals(Signal::ABORT, Signal::XCPU)),
            ("endless", Death::Never),
            ("huge", Death::Memory),
        ]
        .map(|(name, death)| (death, poison(drill.folder(), name, death, &long)));
        // Each is hunted from the moment that it is known: it reads for a second or two.
        let hunts = data.into_iter().map(|(death, data)| {
            let cluster = &cluster;
            async move {
                let run = cluster.submit(&data, "poison").await;
                let poison = Poison { death, data, run };
                match death {
                    Death::Signals(first, second) => hunt(cluster, &poison, [first, second]).await,
                    Death::Never => hunt(cluster, &poison, [Signal::STOP; 2]).await,
                    Death::Memory => {}
                }
                poison
            }
        });
        let hunts = futures::future::join_all(hunts);
        let (poisons, run) = tokio::join!(hunts, cluster.submit(&good, "first"));
        assert_eq!(cluster.ended(&run, RUN).await, "succeeded");
        for poison in &poisons {
            cluster.ended(&poison.run, RUN).await;
            is_quarantined(&cluster, poison).await;
        }
        // The rest: all of the truth, at the first attempt.
        let of_the_rest = |what: &str| {
            format!(
                "SELECT count(*)::text FROM task t JOIN run r ON r.id = t.run_id \
                 WHERE run_word(r.id) = '{run}' {what}"
            )
        };
        let count = async |what: &str| -> u32 {
            cluster
                .database
                .text(&of_the_rest(what))
                .await
                .unwrap()
                .parse()
                .unwrap()
        };
        let all = count("").await;
        let at_once = count("AND t.state = 'succeeded' AND t.attempt = 1").await;
        drill.note(format!(
            "{at_once} of {all} other tasks at the first attempt"
        ));
        assert!(
            f64::from(at_once) >= 0.95 * f64::from(all),
            "{at_once} of {all}"
        );
        for (id, query) in questions::of_truth(&good) {
            assert_eq!(texts(&cluster, &query).await, [""; 0], "{id}");
        }
        let facts = Facts {
            may_be_partial: true,
            ..Facts::default()
        };
        let broken = checker::check(&cluster.database, &[&good], &facts).await;
        // To the checker every task is healthy: these three it must find, and nothing else.
        let found: Vec<String> = broken.unwrap().into_iter().map(|b| b.id).collect();
        assert_eq!(found, ["I13"; 3], "{}", cluster.tails());
        let lives = "SELECT id FROM node WHERE state <> 'live' OR incarnation <> 1";
        assert_eq!(texts(&cluster, lives).await, [""; 0], "no node was lost");
    }
);
