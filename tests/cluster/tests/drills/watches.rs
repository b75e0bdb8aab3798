//! etcd forgets its past while it is watched (row 13 of the matrix).

use std::time::Duration;

use assay_cluster_tests::data::Shape;
use assay_cluster_tests::scrape::Page;
use assay_cluster_tests::servers::Whose;
use assay_cluster_tests::{Cluster, Flow, Plan};
use etcd_client::{Client, GetOptions};

use crate::drill;
use crate::full::member;
use crate::usual::{begun, ends_right, recovers, slow_commits, texts, uncharged};

fn own() -> Plan {
    Plan {
        etcd: Whose::Own,
        ..Plan::default()
    }
}

/// Has etcd forget all but the present.
async fn compact(etcd: &mut Client) {
    let put = etcd.put("/junk", "junk", None).await.unwrap();
    let revision = put.header().unwrap().revision();
    etcd.compact(revision, None).await.unwrap();
}

/// The prefix of the cluster's keys.
async fn prefix(etcd: &mut Client) -> String {
    let all = etcd.get("/", Some(GetOptions::new().with_prefix()));
    let all = all.await.unwrap();
    let keys = all.kvs().iter().filter_map(|pair| pair.key_str().ok());
    let nodes = keys.filter_map(|key| key.split_once("/nodes/")).next();
    nodes.expect("the nodes are there").0.to_owned()
}

drill!(compactions_under_watches_are_not_felt, async |name| {
    let (cluster, data, run) = begun(name, own(), Shape::USUAL).await;
    slow_commits(&cluster);
    cluster.busy("measure").await;
    let mut etcd = member(&cluster, 0).await;
    let begun = cluster.drill.note("etcd forgets its past again and again");
    for round in 0..40_u64 {
        compact(&mut etcd).await;
        // Watches that are made anew in between resume at a revision that is forgotten.
        if round % 8 == 3 {
            let processes = cluster.managers.iter().chain(&cluster.nodes);
            for process in processes {
                for i in 0..3 {
                    cluster.wire.reset(&process.name, &format!("etcd-{i}"));
                }
            }
        }
        cluster.drill.pause(50, 150).await;
    }
    recovers(&cluster, begun, Duration::from_secs(3)).await;
    cluster.wire.heal();
    ends_right(&cluster, &data, &run, &uncharged()).await;
    let epoch = texts(&cluster, "SELECT epoch::text FROM leader_epoch").await;
    assert_eq!(epoch, ["1"], "nobody else was elected");
});

/// How many nodes the managers want, as they show it.
fn wanted(cluster: &Cluster) -> f64 {
    let pages = cluster.managers.iter().map(|m| Page::of(m.telemetry));
    pages
        .map(|page| page.sum("assay_nodes_desired", &[]).0)
        .fold(0.0, f64::max)
}

drill!(
    a_change_that_no_watch_tells_of_is_found_by_reading_again,
    async |name| {
        let (cluster, data, run) = begun(name, own(), Shape::USUAL).await;
        slow_commits(&cluster);
        let mut etcd = member(&cluster, 0).await;
        let key = format!("{}/config", prefix(&mut etcd).await);
        let members: Vec<String> = (0..3).map(|i| format!("etcd-{i}")).collect();
        for manager in &cluster.managers {
            for member in &members {
                let cut = |rule: &mut assay_cluster_tests::wire::Rule| rule.flow = Flow::Cut;
                cluster.wire.change(&manager.name, member, cut);
            }
        }
        cluster.drill.note("the managers are cut from etcd");
        // Both the change and what told of it are past when the wire is whole again. The connections
        // are not: what was on its way is lost with them.
        let config = serde_json::json!({ "scale": { "min": 7, "max": 9 } }).to_string();
        etcd.put(key, config, None).await.unwrap();
        compact(&mut etcd).await;
        cluster
            .drill
            .note("a key has changed, and etcd has forgotten how");
        cluster.drill.pause(500, 1_500).await;
        for manager in &cluster.managers {
            for member in &members {
                cluster.wire.reset(&manager.name, member);
                let open = |rule: &mut assay_cluster_tests::wire::Rule| rule.flow = Flow::Open;
                cluster.wire.change(&manager.name, member, open);
            }
        }
        let healed = cluster
            .drill
            .note("the wire is whole, its connections are new");
        let look = || async { (wanted(&cluster) >= 7.0).then_some(()) };
        let limit = Duration::from_secs(30);
        cluster.until_some("new configuration", limit, look).await;
        let found = cluster.drill.note("the change is known");
        let took = Duration::try_from(found.duration_since(healed)).unwrap();
        assert!(took < limit, "it took {took:?}");
        cluster.wire.heal();
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);
