//! The in-process coordinator passes the suite, on a paused clock.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use assay_coordination::conformance as suite;
use assay_coordination::port::{LeaseTimes, trust};
use assay_coordination::{Coordinator, LeaseState, LocalCoordinator};

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
async fn a_deposed_leader_is_replaced_at_once_and_nobody_else_is() {
    suite::a_deposed_leader_is_replaced_at_once_and_nobody_else_is(&coordinator().0).await;
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
async fn an_earlier_life_does_not_replace_a_later_one() {
    suite::an_earlier_life_does_not_replace_a_later_one(&coordinator().0).await;
}

#[tokio::test(start_paused = true)]
async fn load_is_seen_and_refused_from_a_life_that_is_over() {
    suite::load_is_seen_and_refused_from_a_life_that_is_over(&coordinator().0).await;
}

#[tokio::test(start_paused = true)]
async fn a_configuration_reaches_those_who_watch() {
    suite::a_configuration_reaches_those_who_watch(&coordinator().0).await;
}

struct PlayingDead(LocalCoordinator);

#[async_trait::async_trait]
impl suite::Outage for PlayingDead {
    async fn begin(&mut self) {
        self.0.begin_outage();
    }
    async fn end(&mut self) {
        self.0.end_outage();
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_doubt_and_no_loss() {
    let (c, times) = coordinator();
    suite::an_outage_is_doubt_and_no_loss(&c, times, &mut PlayingDead(c.clone())).await;
}

#[tokio::test(start_paused = true)]
async fn a_severed_leader_is_in_doubt_while_another_leads_and_learns_of_its_loss_later() {
    let (c, times) = coordinator();
    let mut first = c.campaign(&suite::candidate("m1")).await.unwrap();
    c.sever("m1");
    let began = tokio::time::Instant::now();
    assert_eq!(first.changed().await, LeaseState::Doubtful);
    assert!(began.elapsed() <= trust(times.leader_ttl));
    let second = c.campaign(&suite::candidate("m2")).await.unwrap();
    assert!(began.elapsed() <= times.leader_ttl);
    assert_eq!(second.state(), LeaseState::Held);
    assert!(first.is_doubtful());
    c.heal("m1");
    assert_eq!(first.changed().await, LeaseState::Lost);
}

#[test]
fn a_lease_is_trusted_for_a_second_less_than_it_lasts() {
    let seconds = std::time::Duration::from_secs;
    assert_eq!(trust(seconds(9)), seconds(8));
    assert_eq!(trust(seconds(2)), seconds(1));
    assert_eq!(trust(seconds(1)), seconds(1) / 2);
}
