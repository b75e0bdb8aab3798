//! What is promised of second copies of attempts, and of charges that are taken back.

use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::ids::{AttemptToken, Incarnation, NodeId, RunId};
use assay_model::node::NodeState;
use assay_model::output::{Discovery, TaskOutput};
use assay_model::task::{AttemptOutcome, Task, TaskState};
use uuid::Uuid;

use super::Store;
use super::fixtures::{ALL, Bench, at, live, ok};
use crate::port::AttemptRow;

/// A running attempt, and one more node.
struct Pair {
    bench: Bench,
    run: RunId,
    first: AttemptToken,
    other: NodeId,
    life: Incarnation,
}

impl Pair {
    async fn new(store: Arc<dyn Store>) -> Self {
        Self::of(store, "a").await
    }

    async fn of(store: Arc<dyn Store>, key: &str) -> Self {
        let bench = Bench::new(store).await;
        let other = NodeId::new("another-node");
        let life = ok(bench.store.register(bench.epoch, &live(&other)).await);
        let run = bench.submit(key).await;
        let first = bench.assign(run, 0, 1).await;
        assert!(ok(bench.store.start(&first, at(2)).await).is_some());
        Self {
            bench,
            run,
            first,
            other,
            life,
        }
    }

    fn second(&self) -> (AttemptToken, Change) {
        let token = AttemptToken {
            nonce: Uuid::new_v4(),
            ..self.first
        };
        let change = Change::AssignTwin {
            token,
            node: self.other.clone(),
            incarnation: self.life,
            at: at(2),
        };
        (token, change)
    }

    async fn copied(&self) -> AttemptToken {
        let (token, change) = self.second();
        assert_eq!(self.bench.change(change).await, Answer::Ok);
        token
    }

    async fn rows(&self) -> (Task, Vec<AttemptRow>) {
        ok(self.bench.store.tasks(self.run).await).remove(0)
    }

    async fn complete(&self, token: &AttemptToken) -> Answer {
        let output = TaskOutput::Discovered(Discovery::default());
        self.bench.complete(token, &output).await
    }

    async fn end(&self, token: &AttemptToken, outcome: AttemptOutcome, next: TaskState) -> Answer {
        let end = self.bench.end(token, outcome, next);
        self.bench.change(end).await
    }

    async fn outcomes(&self) -> Vec<(u32, bool, Option<String>)> {
        let (_, attempts) = self.rows().await;
        let row = |a: AttemptRow| (a.token.attempt, a.twin, a.outcome);
        attempts.into_iter().map(row).collect()
    }
}

fn word(outcome: AttemptOutcome) -> Option<String> {
    Some(outcome.as_str().to_owned())
}

/// One second copy, and a repeat of its assignment is known.
pub async fn a_second_copy_is_given_once(store: Arc<dyn Store>) {
    let pair = Pair::new(store).await;
    let (token, change) = pair.second();
    assert_eq!(pair.bench.change(change.clone()).await, Answer::Ok);
    assert_eq!(pair.bench.change(change).await, Answer::Already);
    assert_eq!(pair.bench.change(pair.second().1).await, Answer::Fenced);
    let (task, attempts) = pair.rows().await;
    let twin = task.twin.map(|t| (t.nonce, t.node, t.incarnation));
    assert_eq!(twin, Some((token.nonce, pair.other.clone(), pair.life)));
    assert_eq!((task.attempt, task.nonce), (1, Some(pair.first.nonce)));
    let copies: Vec<_> = attempts.iter().map(|a| (a.token, a.twin)).collect();
    assert_eq!(copies, [(pair.first, false), (token, true)]);
}

/// A copy needs a running attempt of that number, and a live node that has not the first.
pub async fn a_second_copy_is_refused_where_it_is_no_help(store: Arc<dyn Store>) {
    let pair = Pair::new(store).await;
    let bench = &pair.bench;
    let change = |node: &NodeId, incarnation, attempt| Change::AssignTwin {
        token: AttemptToken {
            nonce: Uuid::new_v4(),
            attempt,
            ..pair.first
        },
        node: node.clone(),
        incarnation,
        at: at(2),
    };
    let same_node = change(&bench.node, bench.incarnation, 1);
    assert_eq!(bench.change(same_node).await, Answer::Fenced);
    let next_attempt = change(&pair.other, pair.life, 2);
    assert_eq!(bench.change(next_attempt).await, Answer::Fenced);
    let another_life = change(&pair.other, Incarnation(pair.life.0 + 1), 1);
    assert_eq!(bench.change(another_life).await, Answer::Fenced);
    let drain = Change::MoveNode {
        node: pair.other.clone(),
        incarnation: pair.life,
        state: NodeState::Draining,
        at: at(2),
        reason: "someone asked".to_owned(),
    };
    assert_eq!(bench.change(drain).await, Answer::Ok);
    assert_eq!(bench.change(pair.second().1).await, Answer::Fenced);
    let waiting = bench.submit("b").await;
    let token = bench.assign(waiting, 0, 1).await;
    let unstarted = Change::AssignTwin {
        token: AttemptToken {
            nonce: Uuid::new_v4(),
            ..token
        },
        node: pair.other.clone(),
        incarnation: pair.life,
        at: at(2),
    };
    assert_eq!(bench.change(unstarted).await, Answer::Fenced);
}

/// A second copy is told what the first is told.
pub async fn a_second_copy_starts_like_the_first(store: Arc<dyn Store>) {
    let pair = Pair::new(store).await;
    let second = pair.copied().await;
    for _ in 0..2 {
        let started = ok(pair.bench.store.start(&second, at(3)).await);
        assert_eq!(started.map(|s| s.task.id), Some(second.task));
    }
    let (_, attempts) = pair.rows().await;
    assert_eq!(attempts[1].started_at, Some(at(3)));
    assert!(ok(pair.bench.store.start(&pair.first, at(4)).await).is_some());
}

/// Whichever copy is first has won; the other is a zombie.
pub async fn the_first_of_two_copies_wins(store: Arc<dyn Store>) {
    let pair = Pair::new(Arc::clone(&store)).await;
    let second = pair.copied().await;
    assert_eq!(pair.complete(&second).await, Answer::Ok);
    assert_eq!(pair.complete(&second).await, Answer::Already);
    assert_eq!(pair.complete(&pair.first).await, Answer::Fenced);
    let (task, _) = pair.rows().await;
    assert_eq!((task.state, task.twin), (TaskState::Succeeded, None));
    let lost = (1, false, word(AttemptOutcome::Cancelled));
    let won = (1, true, word(AttemptOutcome::Ok));
    assert_eq!(pair.outcomes().await, [lost, won]);
    assert!(
        ok(pair.bench.store.start(&pair.first, at(4)).await).is_none(),
        "a zombie does not start again"
    );
}

/// The copy that was given out first may win too.
pub async fn the_second_of_two_copies_is_fenced(store: Arc<dyn Store>) {
    let pair = Pair::new(store).await;
    let second = pair.copied().await;
    assert_eq!(pair.complete(&pair.first).await, Answer::Ok);
    assert_eq!(pair.complete(&second).await, Answer::Fenced);
    assert_eq!(
        pair.end(&second, AttemptOutcome::Retryable, TaskState::Ready)
            .await,
        Answer::Fenced
    );
    let won = (1, false, word(AttemptOutcome::Ok));
    let lost = (1, true, word(AttemptOutcome::Cancelled));
    assert_eq!(pair.outcomes().await, [won, lost]);
}

/// A task goes on with the copy that is left, whichever ends.
pub async fn a_copy_that_ends_leaves_the_other_at_work(store: Arc<dyn Store>) {
    let pair = Pair::new(store).await;
    let second = pair.copied().await;
    let ended = pair
        .end(&pair.first, AttemptOutcome::Orphaned, TaskState::Ready)
        .await;
    assert_eq!(ended, Answer::Ok);
    let (task, _) = pair.rows().await;
    assert_eq!(task.state, TaskState::Assigned, "the copy has not begun");
    assert_eq!(
        (task.nonce, task.node, task.twin),
        (Some(second.nonce), Some(pair.other.clone()), None)
    );
    assert_eq!(
        pair.bench.change(pair.second().1).await,
        Answer::Fenced,
        "one second copy per attempt"
    );
    assert_eq!(pair.complete(&pair.first).await, Answer::Fenced);
    assert!(ok(pair.bench.store.start(&second, at(4)).await).is_some());
    assert_eq!(pair.complete(&second).await, Answer::Ok);
}

/// When both copies have ended, the next attempt has the next number.
pub async fn the_attempt_after_two_copies_is_the_next_one(store: Arc<dyn Store>) {
    let pair = Pair::new(store).await;
    let second = pair.copied().await;
    for token in [second, pair.first] {
        let ended = pair
            .end(&token, AttemptOutcome::Orphaned, TaskState::Ready)
            .await;
        assert_eq!(ended, Answer::Ok);
    }
    let (task, _) = pair.rows().await;
    assert_eq!((task.state, task.attempt), (TaskState::Ready, 1));
    let third = pair.bench.assign(pair.run, 0, 2).await;
    assert_eq!(pair.complete(&third).await, Answer::Ok);
}

/// What ends the task ends both copies.
pub async fn an_end_of_the_task_ends_both_copies(store: Arc<dyn Store>) {
    let pair = Pair::new(store).await;
    let second = pair.copied().await;
    let ended = pair
        .end(&second, AttemptOutcome::Permanent, TaskState::Failed)
        .await;
    assert_eq!(ended, Answer::Ok);
    let (task, _) = pair.rows().await;
    assert_eq!((task.state, task.charged), (TaskState::Failed, 1));
    assert_eq!((task.nonce, task.twin), (None, None));
    let stopped = (1, false, word(AttemptOutcome::Cancelled));
    let failed = (1, true, word(AttemptOutcome::Permanent));
    assert_eq!(pair.outcomes().await, [stopped, failed]);
    assert_eq!(pair.complete(&pair.first).await, Answer::Fenced);
}

/// A node that begins another life loses its copy; the task goes on with the other.
pub async fn a_new_life_gives_back_its_copy_only(store: Arc<dyn Store>) {
    for key in ["the first goes", "the second goes"] {
        let pair = Pair::of(Arc::clone(&store), key).await;
        let second = pair.copied().await;
        let (back, left) = if key == "the first goes" {
            (pair.bench.node.clone(), second)
        } else {
            (pair.other.clone(), pair.first)
        };
        let bench = &pair.bench;
        ok(bench.store.register(bench.epoch, &live(&back)).await);
        let (task, _) = pair.rows().await;
        assert_eq!((task.nonce, task.twin), (Some(left.nonce), None));
        let ends = pair.outcomes().await;
        let orphaned = ends
            .iter()
            .filter(|end| end.2 == word(AttemptOutcome::Orphaned));
        assert_eq!(orphaned.count(), 1, "{ends:?}");
        assert_eq!(pair.complete(&left).await, Answer::Ok);
    }
}

/// A new leader sees both copies.
pub async fn second_copies_are_loaded(store: Arc<dyn Store>) {
    let pair = Pair::new(Arc::clone(&store)).await;
    let second = pair.copied().await;
    let newer = ok(store.mint_epoch("manager-2").await);
    let found = ok(store.load(newer, ALL).await);
    let task = &found.runs[0].tasks[0];
    assert_eq!(task.nonce, Some(pair.first.nonce));
    assert_eq!(task.twin.as_ref().map(|t| t.nonce), Some(second.nonce));
}

/// A charge for a node that was lost with its zone is taken back, once.
pub async fn a_charge_is_taken_back_once(store: Arc<dyn Store>) {
    let pair = Pair::new(store).await;
    let ended = pair
        .end(&pair.first, AttemptOutcome::NodeLost, TaskState::Ready)
        .await;
    assert_eq!(ended, Answer::Ok);
    assert_eq!(pair.rows().await.0.charged, 1);
    let next = pair.bench.assign(pair.run, 0, 2).await;
    let forgive = |token| Change::Forgive {
        token,
        reason: "its zone was lost".to_owned(),
        at: at(5),
    };
    assert_eq!(pair.bench.change(forgive(pair.first)).await, Answer::Ok);
    assert_eq!(
        pair.bench.change(forgive(pair.first)).await,
        Answer::Already
    );
    assert_eq!(pair.bench.change(forgive(next)).await, Answer::Fenced);
    let (task, attempts) = pair.rows().await;
    assert_eq!((task.charged, task.state), (0, TaskState::Assigned));
    assert_eq!(attempts[0].outcome, word(AttemptOutcome::Orphaned));
    assert!(!attempts[0].charged);
}

/// A task's own errors stay charged, and what was given up stays given up.
pub async fn other_charges_stand(store: Arc<dyn Store>) {
    let pair = Pair::new(store).await;
    let forgive = |token| Change::Forgive {
        token,
        reason: "its zone was lost".to_owned(),
        at: at(5),
    };
    let ended = pair
        .end(&pair.first, AttemptOutcome::TimedOut, TaskState::Ready)
        .await;
    assert_eq!(ended, Answer::Ok);
    assert_eq!(pair.bench.change(forgive(pair.first)).await, Answer::Fenced);
    let last = pair.bench.assign(pair.run, 0, 2).await;
    let ended = pair
        .end(&last, AttemptOutcome::NodeLost, TaskState::Failed)
        .await;
    assert_eq!(ended, Answer::Ok);
    assert_eq!(pair.bench.change(forgive(last)).await, Answer::Fenced);
    let (task, _) = pair.rows().await;
    assert_eq!((task.charged, task.state), (2, TaskState::Failed));
}
