//! What is kept, for how long, and what it weighs.

use std::sync::atomic::{AtomicU32, Ordering};

use assay_guard::queue::Rank;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::*;

fn memory() -> Memory {
    Memory::new(Arc::new(Timestamp::now), Telemetry::default())
}

/// Asks for a number that rises with every reading.
async fn number(memory: &Memory, key: &Key, good: Good, reads: &Arc<AtomicU32>) -> u32 {
    let reads = Arc::clone(reads);
    let load = async move { Ok::<_, Miss>(reads.fetch_add(1, Ordering::SeqCst)) };
    let bytes: fn(&u32) -> usize = |_| 4;
    let found = memory.value(Source::Managers, key.clone(), good, bytes, load);
    found.await.map(|found| *found.it).expect("an answer")
}

#[tokio::test]
async fn what_no_commit_changes_is_not_read_again_for_one() {
    let (memory, orders) = (memory(), DatasetId::new("orders").unwrap());
    let (key, reads) = (Key::about_all("all"), Arc::default());
    let hour = Duration::from_secs(3600);
    let ask = async |good| number(&memory, &key, good, &reads).await;
    assert_eq!(ask(Good::Besides(hour)).await, 0);
    memory.told(&orders);
    assert_eq!(ask(Good::Besides(hour)).await, 0);
    assert_eq!(ask(Good::For(hour)).await, 1);
    memory.redefined(&orders);
    assert_eq!(ask(Good::Besides(hour)).await, 2);
    assert_eq!(ask(Good::Besides(Duration::ZERO)).await, 3);
    let changed = Instant::now();
    assert_eq!(ask(Good::Since(changed, hour)).await, 4);
    memory.told(&orders);
    assert_eq!(ask(Good::Since(changed, hour)).await, 4);
}

#[tokio::test]
async fn a_long_question_weighs_what_it_holds() {
    let (memory, reads) = (memory(), Arc::default());
    for n in 0..40_u32 {
        let key = Key::about_all(format!("{n} {}", "x".repeat(1 << 20)));
        number(&memory, &key, Good::UntilTold, &reads).await;
    }
    let inner = &memory.inner;
    inner.kept.run_pending_tasks();
    assert!(inner.kept.weighted_size() >= inner.kept.entry_count() << 20);
    inner.flights.run_pending_tasks();
    assert!(inner.flights.weighted_size() <= FLIGHT_BYTES);
    assert!(inner.flights.entry_count() < 10);
}

#[tokio::test]
async fn what_was_asked_before_the_store_went_away_holds_up_nobody_after() {
    let memory = memory();
    memory.follows();
    let (key, reads) = (Key::about_all("points"), Arc::<AtomicU32>::default());
    let ask = |lasts: Duration| {
        let (memory, key, reads) = (memory.clone(), key.clone(), Arc::clone(&reads));
        let load = async move {
            tokio::time::sleep(lasts).await;
            Ok::<_, Miss>(reads.fetch_add(1, Ordering::SeqCst))
        };
        let bytes = |_: &u32| 4;
        async move {
            memory
                .value(Source::Store, key, Good::UntilTold, bytes, load)
                .await
        }
    };
    let stuck = tokio::spawn(ask(Duration::from_secs(3600)));
    tokio::time::sleep(Duration::from_millis(20)).await;
    memory.lost();
    memory.follows();
    let fresh = tokio::time::timeout(Duration::from_secs(5), ask(Duration::ZERO)).await;
    let fresh = fresh.expect("nobody is waited for").map(|found| *found.it);
    assert_eq!(fresh.ok(), Some(0));
    stuck.abort();
}

#[tokio::test]
async fn a_crowd_is_one_read_also_while_commits_come_in() {
    let memory = Memory::new(Arc::new(Timestamp::now), Telemetry::default());
    memory.follows();
    let orders = DatasetId::new("orders").unwrap();
    let reads = Arc::new(AtomicU32::new(0));
    let ask = || {
        let (heard, told, reads) = (memory.clone(), orders.clone(), Arc::clone(&reads));
        let load = async move {
            let read = reads.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(1)).await;
            heard.told(&told);
            Ok(read)
        };
        let (key, bytes): (_, fn(&u32) -> usize) = (Key::of(&orders, "crowd"), |_| 4);
        memory.value(Source::Store, key, Good::UntilTold, bytes, load)
    };
    // All have asked before the first one reads.
    for answer in futures::future::join_all((0..100).map(|_| ask())).await {
        assert_eq!(answer.map(|found| *found.it).ok(), Some(0));
    }
    // One that asks after the commit is not told what was read before it.
    assert_eq!(ask().await.map(|found| *found.it).ok(), Some(1));
    assert_eq!(reads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_crowd_behind_one_slow_answer_leaves_the_turns_to_others() {
    let memory = memory();
    memory.follows();
    let ask = |name: &str, takes: Duration| {
        let load = async move {
            tokio::time::sleep(takes).await;
            Ok::<_, Miss>(0_u32)
        };
        let bytes: fn(&u32) -> usize = |_| 4;
        let (memory, key) = (memory.clone(), Key::about_all(name));
        async move {
            let found = memory.value(Source::Store, key, Good::UntilTold, bytes, load);
            found.await.map(|found| *found.it)
        }
    };
    let slow = Duration::from_secs(2);
    // More than there are turns.
    let crowd: Vec<_> = (0..40).map(|_| tokio::spawn(ask("slow", slow))).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = Instant::now();
    assert_eq!(ask("quick", Duration::ZERO).await.ok(), Some(0));
    assert!(begun.elapsed() < slow / 2, "{:?}", begun.elapsed());
    for one in crowd {
        assert_eq!(one.await.unwrap().ok(), Some(0));
    }
}

/// An answer that takes so long, after another one was known.
async fn late(memory: &Memory, name: &str, takes: Duration) -> Found<u32> {
    let orders = DatasetId::new("orders").unwrap();
    let ask = |answer: u32, takes: Duration| {
        let load = async move {
            tokio::time::sleep(takes).await;
            Ok(answer)
        };
        let (key, bytes): (_, fn(&u32) -> usize) = (Key::of(&orders, name), |_| 4);
        memory.value(Source::Store, key, Good::UntilTold, bytes, load)
    };
    ask(1, Duration::ZERO).await.unwrap();
    memory.told(&orders);
    ask(2, takes).await.unwrap()
}

#[tokio::test]
async fn one_who_is_slow_is_waited_for_and_one_who_is_not_heard_is_not() {
    let slow = KNOWN_WAITS + Duration::from_millis(200);
    let memory = memory();
    memory.follows();
    let found = late(&memory, "slow", slow).await;
    assert_eq!((*found.it, found.stale_s.is_some()), (2, false));
    // Nobody is held up for ever, and that an answer is late makes nobody away.
    let found = late(&memory, "never", SLOW_WAITS * 2).await;
    assert_eq!((*found.it, found.stale_s.is_some()), (1, true));
    assert!(memory.reach(Source::Store).is_away().is_none());
    memory.lost();
    let found = late(&memory, "unheard", slow).await;
    assert_eq!((*found.it, found.stale_s.is_some()), (1, true));
    assert!(memory.reach(Source::Store).is_away().is_some());
}

/// Asks for something that the store answers once `gate` lets it.
fn gated(
    memory: &Memory,
    question: &str,
    rank: Rank,
    gate: &Arc<Semaphore>,
) -> JoinHandle<Result<Found<u32>, Problem>> {
    let (memory, gate) = (memory.clone(), Arc::clone(gate));
    let key = Key::about_all(question);
    tokio::spawn(turns::by(rank, None, async move {
        let load = async move {
            gate.acquire().await.expect("it stays open").forget();
            Ok::<_, Miss>(7)
        };
        let bytes: fn(&u32) -> usize = |_| 4;
        memory
            .value(Source::Store, key, Good::UntilTold, bytes, load)
            .await
    }))
}

/// Waits until so many have a turn and so many wait for one, and all that is ready has run.
async fn settles(memory: &Memory, taken: (usize, usize)) {
    let begun = Instant::now();
    while memory.inner.turns.taken() != taken {
        let seen = memory.inner.turns.taken();
        assert!(begun.elapsed() < Duration::from_secs(20), "{seen:?}");
        tokio::task::yield_now().await;
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(memory.inner.turns.taken(), taken);
}

/// Waits until somebody reads the answer to this question.
async fn settles_reading(memory: &Memory, question: &str) {
    let (begun, key) = (Instant::now(), Key::about_all(question));
    while !memory.flight(&key).is_read() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::task::yield_now().await;
    }
}

/// Takes every turn that there is; how many there are.
async fn all_taken(memory: &Memory, gate: &Arc<Semaphore>) -> usize {
    let mut turns = 0;
    while memory.inner.turns.taken().1 == 0 {
        gated(memory, &format!("other {turns}"), Rank::Owner, gate);
        turns += 1;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    // The last one waits.
    turns - 1
}

#[tokio::test]
async fn of_a_crowd_only_the_one_who_reads_has_a_turn() {
    let memory = memory();
    memory.follows();
    let gate = Arc::new(Semaphore::new(0));
    let crowd: Vec<_> = (0..100)
        .map(|n| gated(&memory, "crowd", Rank::ALL[n % 3], &gate))
        .collect();
    settles(&memory, (1, 0)).await;
    // Whoever asks for something else has a turn beside them.
    let open = Arc::new(Semaphore::new(1));
    let other = gated(&memory, "other", Rank::Anonymous, &open).await;
    assert_eq!(other.unwrap().map(|found| *found.it).ok(), Some(7));
    gate.add_permits(1);
    for one in crowd {
        let answer = one.await.unwrap();
        assert_eq!(answer.map(|found| *found.it).ok(), Some(7));
    }
    assert_eq!(memory.inner.turns.taken(), (0, 0));
    assert_eq!(gate.available_permits(), 0, "it was read once");
}

#[tokio::test]
async fn of_a_crowd_one_of_a_rank_stands_in_line() {
    let memory = memory();
    memory.follows();
    let gate = Arc::new(Semaphore::new(0));
    let turns = all_taken(&memory, &gate).await;
    let told: Vec<_> = (0..50)
        .map(|_| gated(&memory, "crowd", Rank::Subscriber, &gate))
        .collect();
    settles(&memory, (turns, 2)).await;
    let owners: Vec<_> = (0..50)
        .map(|_| gated(&memory, "crowd", Rank::Owner, &gate))
        .collect();
    settles(&memory, (turns, 3)).await;
    // Whoever stands in line for others and goes away leaves it to one of them.
    for one in &owners[..49] {
        one.abort();
    }
    settles(&memory, (turns, 3)).await;
    gate.add_permits(turns + 3);
    for one in told.into_iter().chain(owners.into_iter().skip(49)) {
        let answer = one.await.unwrap();
        assert_eq!(answer.map(|found| *found.it).ok(), Some(7));
    }
    settles(&memory, (0, 0)).await;
    assert_eq!(gate.available_permits(), 1, "the crowd's was read once");
}

#[tokio::test]
async fn without_a_turn_the_last_known_is_told_with_its_age_and_else_a_refusal() {
    let memory = memory();
    memory.follows();
    let orders = DatasetId::new("orders").unwrap();
    let gate = Arc::new(Semaphore::new(1));
    let known = gated(&memory, "known", Rank::Subscriber, &gate).await;
    assert!(known.unwrap().is_ok());
    memory.told(&orders);
    memory.turns().set_room(0, Duration::from_secs(60));
    let mut refused = None;
    while refused.is_none() {
        let asks = gated(
            &memory,
            &format!("other {:?}", Instant::now()),
            Rank::Subscriber,
            &gate,
        );
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        refused = asks.is_finished().then_some(asks);
    }
    let refused = refused.unwrap().await.unwrap();
    let problem = refused.err().unwrap();
    assert_eq!((problem.slug(), problem.status), ("overloaded", 503));
    assert!(problem.retry_after_ms.is_some());
    let reason = [("reason", "overloaded")];
    let rejected = memory
        .inner
        .telemetry
        .value("assay_requests_rejected_total", &reason);
    assert_eq!(rejected, Some(1.0));
    // Who asks what somebody reads needs no room.
    memory.turns().set_room(256, Duration::from_secs(60));
    let reads = gated(&memory, "same", Rank::Owner, &gate);
    settles_reading(&memory, "same").await;
    memory.turns().set_room(0, Duration::from_secs(60));
    let same = gated(&memory, "same", Rank::Subscriber, &gate);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!reads.is_finished() && !same.is_finished());
    let old = gated(&memory, "known", Rank::Subscriber, &gate)
        .await
        .unwrap();
    let old = old.unwrap_or_else(|problem| panic!("{problem:?}"));
    assert!(old.stale_s.is_some(), "it is not in force");
    gate.add_permits(100);
    let same = same.await.unwrap();
    assert_eq!(same.map(|found| *found.it).ok(), Some(7));
}
