//! Certificates and authorities that are replaced while runs go on (row 39 of the matrix).

use std::time::Duration;

use assay_cluster_tests::data::Shape;
use assay_cluster_tests::pki::{Authority, Holds, identity};
use assay_cluster_tests::{Cluster, Drill, Plan};
use assay_proto::link::{Door, PeerRole, Tls, causes, why};
use assay_proto::v1;
use assay_proto::v1::cluster_service_client::ClusterServiceClient;

use crate::drill;
use crate::usual::{RUN, is_right, recovers, slow_commits, stands, uncharged};

/// Longer than it takes until changed files are looked at.
const SEEN: Duration = Duration::from_millis(1200);

/// Everybody who has files: role and name.
fn everybody(cluster: &Cluster) -> Vec<(PeerRole, String)> {
    let of = |role, processes: &[assay_cluster_tests::process::Process]| {
        let names = processes.iter().map(move |p| (role, p.name.clone()));
        names.collect::<Vec<_>>()
    };
    let mut all = of(PeerRole::Manager, &cluster.managers);
    all.extend(of(PeerRole::Node, &cluster.nodes));
    all.push((PeerRole::Client, "drill".to_owned()));
    all
}

fn all_believe(cluster: &Cluster, authorities: &[&Authority]) {
    for (_, name) in everybody(cluster) {
        cluster.files.believe(&name, authorities);
    }
}

/// A new connection of someone with a certificate of `by`, who believes `whom`, to each manager.
async fn gets_in(
    cluster: &Cluster,
    by: &Authority,
    holds: Holds,
    whom: &Authority,
) -> Result<(), String> {
    let name = format!("visitor-{:?}", std::time::Instant::now());
    cluster
        .files
        .show(&name, &identity(by, PeerRole::Client, "visitor", holds));
    cluster.files.believe(&name, &[whom]);
    let tls = Tls::load(cluster.files.of(&name)).unwrap();
    for manager in &cluster.client.managers {
        let channel = Door::at(manager.clone(), Some(&tls)).open().await;
        let channel = channel.map_err(|error| causes(&error))?;
        let asked = ClusterServiceClient::new(channel)
            .list_datasets(v1::ListDatasetsRequest {})
            .await;
        asked.map_err(|status| why(&status))?;
    }
    Ok(())
}

drill!(
    certificates_and_their_authority_are_replaced_and_no_task_notices,
    async |name| {
        let plan = Plan {
            secured: true,
            ..Plan::default()
        };
        let (drill, mut cluster, data) = stands(name, plan, Shape::USUAL).await;
        let new = Authority::new("the second authority");
        let run = cluster.submit(&data, "first").await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        assert!(
            gets_in(&cluster, &new, Holds::Today, &cluster.authority)
                .await
                .is_err()
        );

        all_believe(&cluster, &[&cluster.authority, &new]);
        drill.note("both authorities are believed");
        tokio::time::sleep(SEEN).await;
        for (role, name) in everybody(&cluster) {
            cluster
                .files
                .show(&name, &identity(&new, role, &name, Holds::Today));
            drill.pause(5, 60).await;
        }
        drill.note("all show certificates of the new one");
        tokio::time::sleep(SEEN).await;
        // Who believes the new one alone is convinced, and who is of the old one still let in.
        gets_in(&cluster, &cluster.authority, Holds::Today, &new)
            .await
            .unwrap();
        all_believe(&cluster, &[&new]);
        drill.note("the new authority alone is believed");
        tokio::time::sleep(SEEN).await;
        gets_in(&cluster, &new, Holds::Today, &new).await.unwrap();
        let old = gets_in(&cluster, &cluster.authority, Holds::Today, &new).await;
        assert!(old.is_err(), "the old authority is still believed");
        let expired = gets_in(&cluster, &new, Holds::Expired, &new)
            .await
            .unwrap_err();
        drill.note(format!("with an expired certificate: {expired}"));
        assert!(expired.contains("has expired"), "{expired}");
        let said = || async {
            let mut managers = cluster.managers.iter();
            managers
                .any(|m| m.log().contains("certificate expired"))
                .then_some(())
        };
        let limit = Duration::from_secs(20);
        cluster.until_some("word of a manager", limit, said).await;

        // Another leader: every connection of the nodes is a new handshake.
        let leader = cluster.leader().await;
        cluster.managers[leader].kill();
        let killed = drill.note("kill -9 of the leader");
        recovers(&cluster, killed, Duration::from_secs(12)).await;
        cluster.start_manager(leader);
        cluster.wire.heal();
        assert_eq!(
            cluster.ended(&run, RUN).await,
            "succeeded",
            "{}",
            cluster.tails()
        );
        let second = cluster.submit(&data, "second").await;
        assert_eq!(cluster.ended(&second, RUN).await, "succeeded");
        is_right(&cluster, &[&data], &uncharged()).await;
    }
);

drill!(
    a_node_whose_certificate_has_expired_says_so_and_comes_back_with_a_new_one,
    async |name| {
        let drill = Drill::begin(name).await;
        let plan = Plan {
            nodes: 2,
            secured: true,
            ..Plan::default()
        };
        let mut cluster = Cluster::start(&drill, plan).await;
        cluster.nodes[1].kill();
        let of = |holds| identity(&cluster.authority, PeerRole::Node, "node-2", holds);
        let (expired, renewed) = (of(Holds::Expired), of(Holds::Today));
        cluster.files.show("node-2", &expired);
        cluster.start_node(1);
        let told = || async { cluster.nodes[1].log().contains("has expired").then_some(()) };
        cluster
            .until_some("word of the node", Duration::from_secs(20), told)
            .await;
        let lives = "SELECT 'x' FROM node WHERE id = 'node-2' AND incarnation = 2";
        let lived: Vec<String> = cluster.database.texts(lives).await.unwrap();
        assert!(lived.is_empty(), "it was let in");
        cluster.files.show("node-2", &renewed);
        drill.note("its certificate is renewed");
        cluster
            .until("node that is back", Duration::from_secs(20), lives)
            .await;
    }
);
