//! What every coordinator must do: public async cases, one named test per case and adapter.
//!
//! Comes in: a coordinator whose leases last as [`Times`] says. Goes out: nothing, or a panic that
//! says which promise is broken. Cases wait on tokio's clock and never longer than two lease times.

use std::time::Duration;

use assay_model::ids::{Incarnation, NodeId};
use assay_model::node::Load;
use async_trait::async_trait;
use tokio::time::timeout;

use crate::port::{Advert, Candidate, CoordinationError, Coordinator, LeaseState, LeaseTimes};

/// How long the leases of the coordinator under test last.
pub type Times = LeaseTimes;

/// How long something that has to happen at once may take.
const SOON: Duration = Duration::from_secs(2);

/// The means to take the coordinator out of everybody's reach, and to bring it back.
#[async_trait]
pub trait Outage: Send {
    /// Nobody reaches it from here on.
    async fn begin(&mut self);
    /// It is back, with what it knew.
    async fn end(&mut self);
}

/// A candidate of this name.
#[must_use]
pub fn candidate(name: &str) -> Candidate {
    Candidate {
        name: name.to_owned(),
        address: format!("http://{name}:8081"),
    }
}

/// A node's life.
#[must_use]
pub fn advert(node: &str, incarnation: u64) -> Advert {
    Advert {
        node: NodeId::new(node),
        incarnation: Incarnation(incarnation),
        slots: 4,
        zone: "a".to_owned(),
    }
}

/// Only one candidate leads, and the next one leads once it resigns.
///
/// # Panics
/// When the promise is broken.
pub async fn a_resignation_hands_over_at_once(c: &dyn Coordinator) {
    let first = c.campaign(&candidate("m1")).await.expect("m1 leads");
    let mut leader = c.watch_leader().await.expect("watch");
    let m1_leads = leader.wait_for(|l| l.as_ref().is_some_and(|l| l.name == "m1"));
    timeout(SOON, m1_leads).await.expect("soon").expect("told");
    let m2 = candidate("m2");
    let second = c.campaign(&m2);
    tokio::pin!(second);
    assert!(
        timeout(Duration::from_millis(200), &mut second)
            .await
            .is_err(),
        "two leaders"
    );
    let known = c.candidates().await.expect("listed");
    assert_eq!(known, [candidate("m1"), candidate("m2")], "who stands by");
    first.release().await.expect("released");
    let second = timeout(SOON, second)
        .await
        .expect("soon")
        .expect("m2 leads");
    assert!(!second.is_lost());
    let known = c.candidates().await.expect("listed");
    assert_eq!(known, [candidate("m2")], "who has gone");
    let m2_leads = leader.wait_for(|l| l.as_ref().is_some_and(|l| l.name == "m2"));
    timeout(SOON, m2_leads).await.expect("soon").expect("told");
    second.release().await.expect("released");
}

/// A leader that dies without a word is replaced after its lease.
///
/// # Panics
/// When the promise is broken.
pub async fn a_dead_leader_is_replaced_after_its_lease(c: &dyn Coordinator, times: Times) {
    let first = c.campaign(&candidate("m1")).await.expect("m1 leads");
    drop(first);
    let second = timeout(times.leader_ttl * 2 + SOON, c.campaign(&candidate("m2")))
        .await
        .expect("within two lease times")
        .expect("m2 leads");
    second.release().await.expect("released");
}

/// A leader whose process is known to be gone is replaced at once, and told so if it lives; whoever
/// does not lead cannot be deposed.
///
/// # Panics
/// When the promise is broken.
pub async fn a_deposed_leader_is_replaced_at_once_and_nobody_else_is(c: &dyn Coordinator) {
    let mut first = c.campaign(&candidate("m1")).await.expect("m1 leads");
    for other in ["m2", "m3"] {
        c.depose(&candidate(other)).await.expect("nothing to do");
    }
    let m2 = candidate("m2");
    let second = c.campaign(&m2);
    tokio::pin!(second);
    let early = timeout(Duration::from_millis(200), &mut second).await;
    assert!(early.is_err(), "two leaders");
    assert!(!first.is_lost(), "another one was deposed");
    c.depose(&candidate("m1")).await.expect("deposed");
    timeout(SOON, first.lost()).await.expect("told soon");
    let second = timeout(SOON, second)
        .await
        .expect("soon")
        .expect("m2 leads");
    c.depose(&candidate("m1")).await.expect("a repeat");
    assert!(!second.is_lost(), "the wrong leader was deposed");
    second.release().await.expect("released");
}

/// A candidate that gave up waiting is never elected.
///
/// # Panics
/// When the promise is broken.
pub async fn a_candidate_that_gave_up_is_not_elected(c: &dyn Coordinator) {
    let first = c.campaign(&candidate("m1")).await.expect("m1 leads");
    let _ = timeout(Duration::from_millis(50), c.campaign(&candidate("m2"))).await;
    first.release().await.expect("released");
    let third = timeout(SOON, c.campaign(&candidate("m3")))
        .await
        .expect("soon")
        .expect("m3 leads");
    third.release().await.expect("released");
}

/// A lease that is kept alive outlasts its time.
///
/// # Panics
/// When the promise is broken.
pub async fn a_lease_that_is_kept_alive_lasts(c: &dyn Coordinator, times: Times) {
    let mut lease = c.register(&advert("n1", 1)).await.expect("registered");
    assert!(
        timeout(times.node_ttl * 2, lease.lost()).await.is_err(),
        "lost although kept alive"
    );
    lease.release().await.expect("released");
}

/// Registered nodes are seen, and gone when their lease is.
///
/// # Panics
/// When the promise is broken.
pub async fn a_node_is_seen_until_its_lease_ends(c: &dyn Coordinator, times: Times) {
    let mut nodes = c.watch_nodes().await.expect("watch");
    let n1 = NodeId::new("n1");
    let lease = c.register(&advert("n1", 1)).await.expect("registered");
    let seen = nodes.wait_for(|n| n.contains_key(&n1));
    timeout(SOON, seen).await.expect("soon").expect("told");
    lease.release().await.expect("released");
    let gone = nodes.wait_for(|n| !n.contains_key(&n1));
    timeout(SOON, gone).await.expect("soon").expect("told");
    let dead = c.register(&advert("n1", 2)).await.expect("registered");
    drop(dead);
    let gone = nodes.wait_for(|n| !n.contains_key(&n1));
    timeout(times.node_ttl * 2 + SOON, gone)
        .await
        .expect("within two lease times")
        .expect("told");
}

/// A later life of a node ends the lease of the earlier one, and the end of the earlier one does
/// not take the later one away.
///
/// # Panics
/// When the promise is broken.
pub async fn a_later_life_replaces_an_earlier_one(c: &dyn Coordinator) {
    let mut first = c.register(&advert("n1", 1)).await.expect("registered");
    let second = c.register(&advert("n1", 2)).await.expect("registered");
    timeout(SOON, first.lost()).await.expect("lost soon");
    let _ = first.release().await;
    let nodes = c.watch_nodes().await.expect("watch");
    let seen = nodes
        .borrow()
        .get(&NodeId::new("n1"))
        .map(|n| n.advert.incarnation);
    assert_eq!(seen, Some(Incarnation(2)));
    second.release().await.expect("released");
}

/// A life that is over does not come back: what a slow earlier life says is refused.
///
/// # Panics
/// When the promise is broken.
pub async fn an_earlier_life_does_not_replace_a_later_one(c: &dyn Coordinator) {
    let later = c.register(&advert("n1", 2)).await.expect("registered");
    let refused = c.register(&advert("n1", 1)).await;
    assert!(matches!(refused, Err(CoordinationError::LeaseLost { .. })));
    assert_eq!(later.state(), LeaseState::Held);
    later.release().await.expect("released");
}

/// A node's load is seen; that of a life that is over is refused.
///
/// # Panics
/// When the promise is broken.
pub async fn load_is_seen_and_refused_from_a_life_that_is_over(c: &dyn Coordinator) {
    let n1 = NodeId::new("n1");
    let lease = c.register(&advert("n1", 2)).await.expect("registered");
    let load = Load {
        cpu: 0.5,
        ..Load::default()
    };
    c.publish_load(&n1, Incarnation(2), &load)
        .await
        .expect("published");
    let mut nodes = c.watch_nodes().await.expect("watch");
    let seen = nodes.wait_for(|n| n.get(&n1).is_some_and(|n| n.load.as_ref() == Some(&load)));
    timeout(SOON, seen).await.expect("soon").expect("told");
    let refused = c.publish_load(&n1, Incarnation(1), &load).await;
    assert!(matches!(refused, Err(CoordinationError::LeaseLost { .. })));
    lease.release().await.expect("released");
}

/// A configuration reaches those who watch.
///
/// # Panics
/// When the promise is broken.
pub async fn a_configuration_reaches_those_who_watch(c: &dyn Coordinator) {
    let mut watch = c.watch_config().await.expect("watch");
    let config = serde_json::json!({ "nodes": { "min": 1, "max": 4 } });
    c.put_config(&config).await.expect("put");
    let told = watch.wait_for(|seen| **seen == config);
    timeout(SOON, told).await.expect("soon").expect("told");
}

/// An outage of the coordinator loses no lease: it is in doubt until the coordinator is back, and
/// then held again.
///
/// # Panics
/// When the promise is broken.
pub async fn an_outage_is_doubt_and_no_loss(
    c: &dyn Coordinator,
    times: Times,
    outage: &mut dyn Outage,
) {
    let mut leader = c.campaign(&candidate("m1")).await.expect("m1 leads");
    let mut node = c.register(&advert("n1", 1)).await.expect("registered");
    outage.begin().await;
    let longest = times.leader_ttl.max(times.node_ttl);
    for lease in [&mut leader, &mut node] {
        let doubt = timeout(longest + SOON, lease.changed()).await;
        assert_eq!(doubt.expect("within a lease time"), LeaseState::Doubtful);
        assert!(lease.is_doubtful());
        assert!(!lease.is_lost());
    }
    let refused = c.register(&advert("n2", 1)).await;
    assert!(matches!(refused, Err(CoordinationError::Unavailable(_))));
    let lost = async {
        tokio::select! {
            () = leader.lost() => {}
            () = node.lost() => {}
        }
    };
    assert!(timeout(longest * 2, lost).await.is_err(), "lost in doubt");
    outage.end().await;
    for lease in [&mut leader, &mut node] {
        let held = timeout(longest + SOON, lease.changed()).await;
        assert_eq!(held.expect("within a lease time"), LeaseState::Held);
    }
    leader.release().await.expect("released");
    node.release().await.expect("released");
}
