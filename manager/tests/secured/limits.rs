//! What may take for ever does not: half a request, a silent stream, a peer that is gone without a
//! word, a handshake that is never finished. All wait beside each other here.

use std::time::{Duration, Instant};

use assay_proto::limits::{
    CALL_TIMEOUT, HANDSHAKE_TIMEOUT, HEADER_BYTES_MAX, PING_INTERVAL, PING_TIMEOUT, SERVED_WITHIN,
};
use assay_proto::link::{Door, PeerRole, unary};
use assay_proto::v1;
use assay_proto::v1::cluster_service_client::ClusterServiceClient;
use assay_proto::v1::node_service_client::NodeServiceClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::cluster::Cluster;
use crate::pki::Vouches as _;

/// What a busy machine may add to a limit.
const SLACK: Duration = Duration::from_secs(30);

/// Does something and says how long it took.
async fn timed<T>(what: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let done = tokio::time::timeout(SERVED_WITHIN + SLACK, what).await;
    (done.expect("it ends"), began.elapsed())
}

/// Every unary call that a manager has, begun and never finished.
async fn half_requests(channel: &Channel) {
    let paths = [
        "/assay.v1.RunService/Submit",
        "/assay.v1.ClusterService/Status",
        "/assay.v1.MetricService/History",
    ];
    let calls = paths.map(|path| async move {
        let mut grpc = Grpc::new(channel.clone());
        grpc.ready().await.unwrap();
        let never = Request::new(tokio_stream::pending::<v1::StatusRequest>());
        let codec: ProstCodec<v1::StatusRequest, v1::StatusResponse> = ProstCodec::default();
        let call = grpc.client_streaming(never, PathAndQuery::from_static(path), codec);
        let (ended, took) = timed(call).await;
        let status: Status = ended.expect_err("there was no request");
        let right = [Code::Cancelled, Code::DeadlineExceeded];
        assert!(right.contains(&status.code()), "{path}: {status}");
        assert!(
            took >= SERVED_WITHIN - Duration::from_secs(1),
            "{path}: {took:?}"
        );
    });
    futures::future::join_all(calls).await;
}

async fn no_hello(channel: Channel) {
    let nothing = tokio_stream::pending::<v1::NodeMessage>();
    let (ended, _) = timed(NodeServiceClient::new(channel).connect(nothing)).await;
    let status = ended.expect_err("nobody said hello");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(status.message().contains("hello"), "{status}");
}

/// A peer that speaks HTTP/2 and then answers no ping any more.
async fn no_ping(address: &str) {
    let mut peer = TcpStream::connect(address).await.unwrap();
    // The preface, and empty settings.
    peer.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let mut heard = Vec::new();
    let (end, took) = timed(peer.read_to_end(&mut heard)).await;
    // A reset is as good.
    let _ = end;
    assert!(took >= PING_INTERVAL, "{took:?}");
    assert!(took < PING_INTERVAL + PING_TIMEOUT + SLACK, "{took:?}");
}

/// A peer that opens a connection to a secured manager and says nothing.
async fn no_handshake(address: &str) {
    let mut peer = TcpStream::connect(address).await.unwrap();
    let mut heard = Vec::new();
    let (_, took) = timed(peer.read_to_end(&mut heard)).await;
    assert!(heard.is_empty(), "{heard:?}");
    assert!(
        took >= HANDSHAKE_TIMEOUT - Duration::from_secs(1),
        "{took:?}"
    );
}

/// Clients of a server that takes connections and never says a word.
async fn mute_server(cluster: &Cluster) {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap();
    let tls = cluster.authority.tls(PeerRole::Client, "a");
    let (refused, _) = timed(Door::Tls(format!("https://{address}"), tls).open()).await;
    assert!(refused.is_err(), "a handshake without an answer");
    let channel = Door::Tcp(format!("http://{address}")).open().await.unwrap();
    let call = async move {
        let mut client = ClusterServiceClient::new(channel);
        client.status(unary(v1::StatusRequest {})).await
    };
    let (ended, took) = timed(call).await;
    assert!(ended.is_err(), "a call without an answer");
    assert!(took < CALL_TIMEOUT + SLACK, "{took:?}");
    drop(mute);
}

async fn long_headers(channel: Channel) {
    let mut request = Request::new(v1::StatusRequest {});
    let long = "x".repeat(HEADER_BYTES_MAX as usize + 1);
    request.metadata_mut().insert("long", long.parse().unwrap());
    let (ended, _) = timed(ClusterServiceClient::new(channel).status(request)).await;
    assert!(ended.is_err(), "headers beyond their bound were taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_begun_and_never_finished_is_waited_for_without_end() {
    let cluster = Cluster::secured().await;
    let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = open.local_addr().unwrap().to_string();
    cluster.manager.serve(open);
    let secured = cluster.address.replace("https://", "");
    let client = cluster.open(PeerRole::Client, "a").await;
    let other = cluster.open(PeerRole::Client, "b").await;
    let node = cluster.open(PeerRole::Node, "n").await;
    tokio::join!(
        half_requests(&client),
        no_hello(node),
        no_ping(&plain),
        no_handshake(&secured),
        mute_server(&cluster),
        long_headers(other),
    );
    // And all the others were served meanwhile.
    let mut asked = ClusterServiceClient::new(client);
    asked.status(v1::StatusRequest {}).await.unwrap();
    assert!(cluster.nodes().await.is_empty());
}
