//! A cluster whose processes are told things as containers are: secrets in the environment, an
//! address that nobody knows beforehand, one certificate for a whole fleet, a zone from ECS.

use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_cluster_tests::checker::Facts;
use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::pki::{Holds, identity};
use assay_cluster_tests::process::Process;
use assay_cluster_tests::{Cluster, Drill, Plan};
use assay_proto::link::PeerRole;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::drill;
use crate::usual::{RUN, is_right};

/// The longest that a change of the cluster may take.
const READY: Duration = Duration::from_secs(60);

/// An agent of ECS that tells its tasks where they run; the answer is its address.
async fn agent(zone: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 2048];
            let n = stream.read(&mut asked).await.unwrap_or_default();
            let known = asked[..n].starts_with(b"GET /v4/task-1/task ");
            let body = format!(r#"{{"Cluster":"staging","AvailabilityZone":"{zone}"}}"#);
            let status = if known { "200 OK" } else { "404 Not Found" };
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}/v4/task-1")
}

/// Hands the files of TLS over as text, and takes them away.
fn as_variables(process: &mut Process, folder: &std::path::Path) {
    for (option, file, variable) in [
        ("ASSAY_TLS_CA", "ca.pem", "TLS_CA"),
        ("ASSAY_TLS_CERT", "cert.pem", "TLS_CERT"),
        ("ASSAY_TLS_KEY", "key.pem", "TLS_KEY"),
    ] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        process.set(variable, &text);
        process.set(option, &format!("env:{variable}"));
    }
    // Certificates are for localhost and 127.0.0.1: no other address would do without it.
    process.set("ASSAY_TLS_SERVER_NAME", "localhost");
    std::fs::remove_dir_all(folder).unwrap();
}

/// Starts all processes anew, as containers.
fn contain(cluster: &mut Cluster, fleet: &str, metadata: &str) {
    let tls = cluster.drill.folder().join("tls");
    for manager in &mut cluster.managers {
        manager.kill();
        as_variables(manager, &tls.join(&manager.name));
        let listen = manager.setting("ASSAY_MANAGER_LISTEN").unwrap().to_owned();
        let port = listen.rsplit(':').next().unwrap();
        manager.set("ASSAY_MANAGER_LISTEN", &format!("0.0.0.0:{port}"));
        let address = format!("https://{{address}}:{port}");
        manager.set("ASSAY_MANAGER_ADVERTISE", &address);
        manager.set("ASSAY_STORE_PASSWORD", "kept apart from the address");
        manager.set("ASSAY_EMF_NAMESPACE", "Assay");
        manager.set("ASSAY_CLUSTER_NAME", "drill");
        manager.set("ASSAY_EMF_EVERY_S", "1");
    }
    let shared = identity(&cluster.authority, PeerRole::Node, fleet, Holds::Today);
    let managers = cluster.client.managers.join(",");
    for node in &mut cluster.nodes {
        node.kill();
        cluster.files.show(&node.name, &shared);
        as_variables(node, &tls.join(&node.name));
        // Not by way of a proxy: the one that leads is reached where it says.
        node.set("ASSAY_MANAGERS", &managers);
        node.set("ASSAY_STORE_PASSWORD", "kept apart from the address");
        node.set("ASSAY_NODE_ZONE", "auto");
        node.set("ECS_CONTAINER_METADATA_URI_V4", metadata);
    }
    for i in 0..cluster.managers.len() {
        cluster.start_manager(i);
    }
    for i in 0..cluster.nodes.len() {
        cluster.start_node(i);
    }
}

/// The lines of metrics that a process has printed.
fn metrics(process: &Process) -> Vec<Value> {
    let log = process.log();
    let embedded = |line: &&str| line.starts_with('{') && line.contains("\"_aws\":{");
    let lines = log.lines().filter(embedded);
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What CloudWatch's specification of the embedded metric format asks of a line.
fn is_embedded_metric_format(line: &Value) {
    let meta = &line["_aws"];
    assert!(meta["Timestamp"].is_u64(), "{line}");
    let directives = meta["CloudWatchMetrics"].as_array().unwrap();
    assert!(!directives.is_empty(), "{line}");
    for directive in directives {
        let namespace = directive["Namespace"].as_str().unwrap();
        assert!((1..=1024).contains(&namespace.len()), "{line}");
        for set in directive["Dimensions"].as_array().unwrap() {
            let set = set.as_array().unwrap();
            assert!(set.len() <= 30, "{line}");
            for name in set {
                assert!(line[name.as_str().unwrap()].is_string(), "{name} in {line}");
            }
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()), "{line}");
        for metric in metrics {
            let name = metric["Name"].as_str().unwrap();
            assert!(line[name].is_number(), "{name} in {line}");
            assert_eq!(metric["Unit"], "Count", "{line}");
        }
    }
}

drill!(
    a_cluster_of_containers_takes_its_secrets_address_and_zone_from_the_environment,
    async |name| {
        let drill: Arc<Drill> = Drill::begin(name).await;
        let data = data::generate(drill.folder(), "orders", Shape::USUAL);
        let plan = Plan {
            secured: true,
            nodes: 2,
            ..Plan::default()
        };
        let mut cluster = Cluster::start(&drill, plan).await;
        let metadata = agent("eu-west-1b").await;
        contain(&mut cluster, "node-*", &metadata);
        cluster.ready(READY).await;
        let run = cluster.submit(&data, "first").await;
        assert_eq!(
            cluster.ended(&run, RUN).await,
            "succeeded",
            "{}",
            cluster.tails()
        );
        let (_, status) = cluster.client.leader(READY).await.unwrap();
        let zones: Vec<_> = status.nodes.iter().map(|n| n.zone.as_str()).collect();
        assert_eq!(zones, ["eu-west-1b", "eu-west-1b"]);
        is_right(&cluster, &[&data], &Facts::default()).await;

        // The fleet's certificate vouches for ids that begin so, and for no other.
        let stranger = &mut cluster.nodes[0];
        stranger.kill();
        stranger.set("ASSAY_NODE_ID", "stranger-1");
        cluster.start_node(0);
        assert!(cluster.nodes[0].ends_within(READY));
        let log = cluster.nodes[0].log();
        assert!(
            log.contains("of node `node-*`") && log.contains("stranger-1"),
            "{log}"
        );

        let leads = |p: &&Process| p.name == status.leader;
        let leader = cluster.managers.iter().find(leads).unwrap();
        let began = Instant::now();
        let told = loop {
            let told = metrics(leader);
            let live = |line: &Value| line["NodesLive"] == 2 && line["Cluster"] == "drill";
            let idle = |line: &Value| line["SlotsFree"] != 0;
            if told.iter().any(live) && told.iter().any(idle) {
                break told;
            }
            assert!(began.elapsed() < READY, "{told:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        told.iter().for_each(is_embedded_metric_format);
        for standby in cluster.managers.iter().filter(|p| !leads(p)) {
            assert_eq!(metrics(standby), Vec::<Value>::new());
        }
    }
);
