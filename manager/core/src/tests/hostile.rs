//! Whatever nodes and people say, in whatever order and with whatever numbers: the core does not
//! panic, answers each word with few, and a word about somebody else's attempt changes no row.

use assay_model::ids::Epoch;
use proptest::prelude::*;

use super::*;

/// Commands that one event may lead to at most in these small worlds.
const COMMANDS_MAX: usize = 400;

/// Numbers at the edges.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        prop::sample::select(vec![
            0,
            1,
            u64::MAX,
            u64::MAX - 1,
            u64::MAX / 2,
            1 << 32,
            1 << 63
        ]),
        any::<u64>(),
    ]
}

/// An attempt: one that is open, or one that is wrong in something.
#[derive(Debug, Clone)]
struct Which {
    of: prop::sample::Index,
    no: u32,
    attempt: u32,
    nonce: Option<u128>,
}

fn which() -> impl Strategy<Value = Which> {
    let wrong = prop::option::of(any::<u128>());
    let nudge = || prop_oneof![3 => Just(0), 1 => any::<u32>()];
    (any::<prop::sample::Index>(), nudge(), nudge(), wrong).prop_map(|(of, no, attempt, nonce)| {
        Which {
            of,
            no,
            attempt,
            nonce,
        }
    })
}

#[derive(Debug, Clone)]
enum Word {
    Hello {
        node: usize,
        life: u64,
        slots: u32,
        memory: u64,
        held: Vec<Which>,
    },
    Registered {
        node: usize,
        slots: u32,
        memory: u64,
    },
    Heartbeat {
        node: usize,
        life: u64,
        load: (f64, u64, u64),
        running: Vec<(Which, u64, u64)>,
    },
    Closed {
        node: usize,
        life: u64,
        refused: bool,
    },
    Lease {
        node: usize,
        life: u64,
        held: bool,
    },
    Started(Which),
    Finished(Which),
    Failed(Which, AttemptOutcome),
    Dropped(Which),
    Submit(u8, u64, u32),
    Cancel(prop::sample::Index),
    Retry(prop::sample::Index),
    Drain(usize),
    Uncordon(usize),
    Scale(u32, u32),
    Pass(u64),
}

fn word() -> impl Strategy<Value = Word> {
    let node = || 0..4_usize;
    // The life that it has, mostly.
    let life = || prop_oneof![3 => Just(0), 1 => number()];
    let slots = || prop::sample::select(vec![1, 2, 64, 1024]);
    let running = prop::collection::vec((which(), number(), number()), 0..5);
    let outcome = prop::sample::select(AttemptOutcome::ALL);
    prop_oneof![
        (
            node(),
            life(),
            slots(),
            number(),
            prop::collection::vec(which(), 0..4)
        )
            .prop_map(|(node, life, slots, memory, held)| Word::Hello {
                node,
                life,
                slots,
                memory,
                held
            }),
        (node(), slots(), number()).prop_map(|(node, slots, memory)| Word::Registered {
            node,
            slots,
            memory
        }),
        (node(), life(), (0.0..=1.0, number(), number()), running).prop_map(
            |(node, life, load, running)| Word::Heartbeat {
                node,
                life,
                load,
                running
            }
        ),
        (node(), life(), any::<bool>()).prop_map(|(node, life, refused)| Word::Closed {
            node,
            life,
            refused
        }),
        (node(), life(), any::<bool>()).prop_map(|(node, life, held)| Word::Lease {
            node,
            life,
            held
        }),
        which().prop_map(Word::Started),
        which().prop_map(Word::Finished),
        (which(), outcome).prop_map(|(which, outcome)| Word::Failed(which, outcome)),
        which().prop_map(Word::Dropped),
        (
            0..3_u8,
            number(),
            prop::sample::select(vec![0, 2, u32::MAX])
        )
            .prop_map(|(key, timeout, retries)| Word::Submit(key, timeout, retries)),
        any::<prop::sample::Index>().prop_map(Word::Cancel),
        any::<prop::sample::Index>().prop_map(Word::Retry),
        node().prop_map(Word::Drain),
        node().prop_map(Word::Uncordon),
        (0..10_000_u32, 0..10_000_u32).prop_map(|(a, b)| Word::Scale(a.min(b), a.max(b).max(1))),
        prop_oneof![0..3_000_u64, Just(120_000), Just(86_400_000)].prop_map(Word::Pass),
    ]
}

fn name(node: usize) -> NodeId {
    NodeId::new(format!("node-{node}"))
}

impl Bench {
    /// The life of a node, or the one that is claimed.
    fn life(&self, node: usize, claimed: u64) -> Incarnation {
        let present = self.store.nodes.get(&name(node)).map(|n| n.incarnation);
        match (claimed, present) {
            (0, Some(present)) => present,
            (claimed, _) => Incarnation(claimed),
        }
    }

    /// The attempt that is meant, and whether it is one that is open.
    fn meant(&self, which: &Which) -> (AttemptToken, bool) {
        let open: Vec<_> = self
            .store
            .tasks
            .values()
            .filter(|t| t.nonce.is_some())
            .collect();
        let real = (!open.is_empty()).then(|| open[which.of.index(open.len())]);
        let task = real.map_or(
            TaskId {
                run: RunId(uuid::Uuid::from_u128(1)),
                no: 0,
            },
            |t| t.id,
        );
        let token = AttemptToken {
            task: TaskId {
                run: task.run,
                no: task.no.wrapping_add(which.no),
            },
            attempt: real.map_or(1, |t| t.attempt).wrapping_add(which.attempt),
            nonce: match (which.nonce, real.and_then(|t| t.nonce)) {
                (None, Some(nonce)) => nonce,
                (wrong, _) => uuid::Uuid::from_u128(wrong.unwrap_or_default()),
            },
        };
        let is_open =
            real.is_some() && which.no == 0 && which.attempt == 0 && which.nonce.is_none();
        (token, is_open)
    }

    fn some_run(&self, index: prop::sample::Index) -> RunId {
        let runs: Vec<RunId> = self.store.runs.keys().copied().collect();
        if runs.is_empty() {
            RunId(uuid::Uuid::nil())
        } else {
            runs[index.index(runs.len())]
        }
    }

    /// One event, which must not be answered with a flood.
    fn hear(&mut self, event: Event) {
        let commands = self.core.handle(self.now, event);
        assert!(
            commands.len() <= COMMANDS_MAX,
            "{} commands",
            commands.len()
        );
        self.carry_out(commands);
    }

    /// A word about an attempt; one that is wrong must leave every task as it was.
    fn about(&mut self, which: &Which, event: impl FnOnce(AttemptToken) -> Event) {
        let (token, is_open) = self.meant(which);
        let before = (!is_open).then(|| self.store.tasks.clone());
        self.hear(event(token));
        if let Some(before) = before {
            assert_eq!(
                before, self.store.tasks,
                "a wrong word was believed: {token:?}"
            );
        }
    }

    fn said(&mut self, word: Word) {
        match word {
            Word::Hello {
                node,
                life,
                slots,
                memory,
                held,
            } => {
                let incarnation = self.life(node, life);
                let held = held.iter().map(|w| self.meant(w).0).collect();
                let node = Box::new(Node {
                    id: name(node),
                    incarnation,
                    state: NodeState::Registering,
                    slots,
                    memory_bytes: memory,
                    zone: String::new(),
                });
                self.hear(Event::NodeHello {
                    node,
                    registered: false,
                    held,
                });
            }
            Word::Registered {
                node,
                slots,
                memory,
            } => {
                let mut node = Node {
                    id: name(node),
                    incarnation: Incarnation(0),
                    state: NodeState::Live,
                    slots,
                    memory_bytes: memory,
                    zone: "z".to_owned(),
                };
                let epoch: Epoch = self.core.epoch();
                node.incarnation = self.store.register(epoch, &node, self.now).unwrap();
                let node = Box::new(node);
                self.hear(Event::NodeHello {
                    node,
                    registered: true,
                    held: Vec::new(),
                });
            }
            Word::Heartbeat {
                node,
                life,
                load,
                running,
            } => {
                let running = running.iter().map(|(which, rows, bytes)| {
                    let token = self.meant(which).0;
                    Progress {
                        task: token.task,
                        attempt: token.attempt,
                        rows: *rows,
                        bytes: *bytes,
                    }
                });
                let load = Load {
                    cpu: load.0,
                    memory_bytes: load.1,
                    read_bytes_per_s: load.2,
                    running: running.collect(),
                };
                let incarnation = self.life(node, life);
                self.hear(Event::NodeHeartbeat {
                    node: name(node),
                    incarnation,
                    load,
                });
            }
            Word::Closed {
                node,
                life,
                refused,
            } => {
                let incarnation = self.life(node, life);
                self.hear(Event::NodeDisconnected {
                    node: name(node),
                    incarnation,
                    refused,
                });
            }
            Word::Lease { node, life, held } => {
                let (incarnation, node) = (self.life(node, life), name(node));
                self.hear(if held {
                    Event::LeaseHeld { node, incarnation }
                } else {
                    Event::LeaseLost { node, incarnation }
                });
            }
            Word::Started(which) => self.about(&which, |token| Event::TaskStarted { token }),
            // A node vouches for its own tasks: that one is done is said once it is in the store.
            Word::Finished(which) if self.meant(&which).1 => {}
            Word::Finished(which) => self.about(&which, |token| Event::TaskFinished { token }),
            Word::Failed(which, outcome) => {
                let failure = TaskFailure {
                    outcome,
                    message: "\0 é".to_owned(),
                };
                self.about(&which, |token| Event::TaskFailed { token, failure });
            }
            Word::Dropped(which) => self.about(&which, |token| Event::TaskDropped { token }),
            other => self.asked(&other),
        }
    }

    fn asked(&mut self, word: &Word) {
        match *word {
            Word::Submit(key, timeout, retries) => {
                let dataset = DatasetId::new(format!("d{key}")).unwrap();
                let run = Run {
                    id: RunId::of_key(&dataset, "a"),
                    dataset,
                    definition: String::new(),
                    trigger: Trigger::Manual,
                    slot: None,
                    priority: Priority::Live,
                    selection: Selection::default(),
                    retries,
                    task_timeout_ms: timeout,
                    state: RunState::Queued,
                    reason: None,
                    created_at: self.now,
                    started_at: None,
                    finished_at: None,
                    deadline_at: Timestamp::MAX,
                    planned_tasks: 0,
                };
                self.hear(Event::RunSubmitted { run: Box::new(run) });
            }
            Word::Cancel(run) => {
                let event = Event::CancelRun {
                    run: self.some_run(run),
                    reason: "\0".to_owned(),
                };
                self.hear(event);
            }
            Word::Retry(run) => {
                let event = Event::RetryRun {
                    run: self.some_run(run),
                    deadline_at: Timestamp::MAX,
                };
                self.hear(event);
            }
            Word::Drain(node) => self.hear(Event::DrainNode {
                node: name(node),
                reason: String::new(),
            }),
            Word::Uncordon(node) => self.hear(Event::UncordonNode { node: name(node) }),
            Word::Scale(min, max) => self.hear(Event::ScaleBounds { min, max }),
            Word::Pass(ms) => self.wait(ms),
            _ => {}
        }
        let _ = self.core.view();
        let unended: Vec<TaskId> = self.store.tasks.keys().copied().collect();
        for task in unended {
            let _ = self.core.explain(task);
        }
    }
}

/// Cases, unless `PROPTEST_CASES` says otherwise.
fn cases() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(200),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn nothing_that_is_said_breaks_the_core(words in prop::collection::vec(word(), 1..60)) {
        let mut bench = Bench::new();
        bench.node("node-0", "", 2);
        bench.planned(3);
        for word in words {
            bench.said(word);
        }
        bench.wait(1_000);
    }
}
