//! The in-process coordinator passes the suite, on a paused clock.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use assay_coordination::conformance as suite;
use assay_coordination::port::LeaseTimes;
use assay_coordination::{Coordinator, LocalCoordinator};

fn coordinator() -> (LocalCoordinator, LeaseTimes) {
    (LocalCoordinator::default(), LeaseTimes::default())
}

#[tokio::test(start_paused = true)]
async fn a_resignation_hands_over_at_once() {
    suite::a_resignation_hands_over_at_once(&coordinator().0).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_leader_is_replaced_after_its_lease() {
    let (c, times) = coordinator();
    suite::a_dead_leader_is_replaced_after_its_lease(&c, times).await;
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_gave_up_is_not_elected() {
    suite::a_candidate_that_gave_up_is_not_elected(&coordinator().0).await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_kept_alive_lasts() {
    let (c, times) = coordinator();
    suite::a_lease_that_is_kept_alive_lasts(&c, times).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_is_seen_until_its_lease_ends() {
    let (c, times) = coordinator();
    suite::a_node_is_seen_until_its_lease_ends(&c, times).await;
}

#[tokio::test(start_paused = true)]
async fn a_later_life_replaces_an_earlier_one() {
    suite::a_later_life_replaces_an_earlier_one(&coordinator().0).await;
}

#[tokio::test(start_paused = true)]
async fn load_is_seen_and_refused_from_a_life_that_is_over() {
    suite::load_is_seen_and_refused_from_a_life_that_is_over(&coordinator().0).await;
}

#[tokio::test(start_paused = true)]
async fn a_configuration_reaches_those_who_watch() {
    suite::a_configuration_reaches_those_who_watch(&coordinator().0).await;
}

#[tokio::test(start_paused = true)]
async fn a_severed_leader_loses_its_lease_and_another_leads() {
    let (c, times) = coordinator();
    let mut first = c.campaign(&suite::candidate("m1")).await.unwrap();
    c.sever("m1");
    let began = tokio::time::Instant::now();
    first.lost().await;
    assert!(began.elapsed() <= times.leader_ttl);
    let second = c.campaign(&suite::candidate("m2")).await.unwrap();
    assert!(!second.is_lost());
}
