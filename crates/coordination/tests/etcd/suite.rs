//! The conformance suite, against one member and against three.

use std::sync::{Mutex, OnceLock};

use assay_coordination::conformance as suite;
use assay_test_servers::etcd::Etcd;

use super::{TIMES, connect};

/// Servers that the tests of this file share: each has a prefix of its own. They end with the
/// process.
fn shared(members: usize) -> Vec<String> {
    static ONE: OnceLock<Mutex<Etcd>> = OnceLock::new();
    static THREE: OnceLock<Mutex<Etcd>> = OnceLock::new();
    let etcd = match members {
        1 => ONE.get_or_init(|| Mutex::new(Etcd::single())),
        _ => THREE.get_or_init(|| Mutex::new(Etcd::three())),
    };
    etcd.lock().unwrap().endpoints()
}

/// Kills so many members that the others are no majority.
struct Majority(Etcd);

#[async_trait::async_trait]
impl suite::Outage for Majority {
    async fn begin(&mut self) {
        for i in 0..self.0.endpoints().len().div_ceil(2) {
            self.0.kill(i);
        }
    }
    async fn end(&mut self) {
        for i in 0..self.0.endpoints().len().div_ceil(2) {
            self.0.restart(i);
        }
    }
}

macro_rules! cases {
    ($module:ident, $members:expr, $start:expr) => {
        mod $module {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn a_resignation_hands_over_at_once() {
                let c = connect(shared($members)).await;
                suite::a_resignation_hands_over_at_once(&c).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_dead_leader_is_replaced_after_its_lease() {
                let c = connect(shared($members)).await;
                suite::a_dead_leader_is_replaced_after_its_lease(&c, TIMES).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_deposed_leader_is_replaced_at_once_and_nobody_else_is() {
                let c = connect(shared($members)).await;
                suite::a_deposed_leader_is_replaced_at_once_and_nobody_else_is(&c).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_candidate_that_gave_up_is_not_elected() {
                let c = connect(shared($members)).await;
                suite::a_candidate_that_gave_up_is_not_elected(&c).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_lease_that_is_kept_alive_lasts() {
                let c = connect(shared($members)).await;
                suite::a_lease_that_is_kept_alive_lasts(&c, TIMES).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_node_is_seen_until_its_lease_ends() {
                let c = connect(shared($members)).await;
                suite::a_node_is_seen_until_its_lease_ends(&c, TIMES).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_later_life_replaces_an_earlier_one() {
                let c = connect(shared($members)).await;
                suite::a_later_life_replaces_an_earlier_one(&c).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn an_earlier_life_does_not_replace_a_later_one() {
                let c = connect(shared($members)).await;
                suite::an_earlier_life_does_not_replace_a_later_one(&c).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn load_is_seen_and_refused_from_a_life_that_is_over() {
                let c = connect(shared($members)).await;
                suite::load_is_seen_and_refused_from_a_life_that_is_over(&c).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_configuration_reaches_those_who_watch() {
                let c = connect(shared($members)).await;
                suite::a_configuration_reaches_those_who_watch(&c).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn an_outage_is_doubt_and_no_loss() {
                let etcd: Etcd = $start;
                let c = connect(etcd.endpoints()).await;
                suite::an_outage_is_doubt_and_no_loss(&c, TIMES, &mut Majority(etcd)).await;
            }
        }
    };
}

cases!(with_one_member, 1, Etcd::single());
cases!(with_three_members, 3, Etcd::three());
