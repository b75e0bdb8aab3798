//! Three gateways behind HAProxy, the one with the fewest requests first: one is killed and one is
//! stopped under load, and no request is lost that can be put again.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use assay_store::SqliteStore;
use assay_test_servers::port::free;
use assay_test_servers::supervised::Supervised;

use crate::stage::{OPEN, Stage, client};

/// The part of a balancer, as docs/guard.md has it.
fn configuration(port: u16, gateways: &[SocketAddr]) -> String {
    let mut text = format!(
        "global\n    maxconn 2000\ndefaults\n    mode http\n    timeout connect 1s\n    \
         timeout client 30s\n    timeout server 30s\n    timeout queue 5s\n    option redispatch 1\n    \
         retries 3\n    retry-on conn-failure empty-response 503\n\
         frontend people\n    bind 127.0.0.1:{port}\n    option forwardfor\n    \
         default_backend gateways\n\
         backend gateways\n    balance leastconn\n    option httpchk GET /readyz\n    \
         http-request disable-l7-retry unless {{ method GET HEAD }}\n    \
         default-server check inter 100ms fall 2 rise 2\n"
    );
    for (n, gateway) in gateways.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    server g{n} {gateway}");
    }
    text
}

fn start(folder: &std::path::Path, port: u16, gateways: &[SocketAddr]) -> Supervised {
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, configuration(port, gateways)).unwrap();
    let log = std::fs::File::create(folder.join("haproxy.log")).unwrap();
    // Debian puts it where the path of a user does not lead.
    let program = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists())
        .expect("HAProxy is needed: apt-get install haproxy");
    let file = file.to_str().unwrap().to_owned();
    let arguments = ["-db".to_owned(), "-f".to_owned(), file];
    Supervised::start(program, &arguments, &[], log).expect("HAProxy starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_is_killed_and_one_is_stopped_under_load_and_no_request_is_lost() {
    let settings = format!(
        "{OPEN}trusted_proxies = ['127.0.0.0/8']\n\
         [quotas]\nanonymous = {{ per_second = 1000000, burst = 1000000 }}"
    );
    let mut stages = Vec::new();
    for _ in 0..3 {
        let store = SqliteStore::in_memory().await.unwrap();
        stages.push(Stage::at(&settings, "127.0.0.1:0", store).await);
    }
    let addresses: Vec<SocketAddr> = stages.iter().map(|stage| stage.address).collect();
    let (folder, port) = (tempfile::tempdir().unwrap(), free());
    let _balancer = start(folder.path(), port, &addresses);
    let url = format!("http://127.0.0.1:{port}/api/v1/datasets/orders");
    let asking = client();
    let end = Instant::now() + Duration::from_secs(20);
    while !asking
        .get(&url)
        .send()
        .await
        .is_ok_and(|answer| answer.status() == 200)
    {
        assert!(Instant::now() < end, "the balancer never serves");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (answered, stop) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let load: Vec<_> = (0..8)
        .map(|_| {
            let (url, answered, stop) = (url.clone(), Arc::clone(&answered), Arc::clone(&stop));
            let asking = client();
            tokio::spawn(async move {
                let mut lost = Vec::new();
                while !stop.load(Ordering::Acquire) {
                    match asking.get(&url).send().await {
                        Ok(answer) if answer.status() == 200 => {
                            answered.fetch_add(1, Ordering::AcqRel);
                        }
                        Ok(answer) => lost.push(answer.status().to_string()),
                        Err(error) => lost.push(error.to_string()),
                    }
                }
                lost
            })
        })
        .collect();
    let served = |stage: &Stage| {
        stage.telemetry.observations(
            "http_server_request_duration_seconds",
            &[
                ("http_request_method", "GET"),
                ("http_route", "/api/v1/datasets/{id}"),
                ("http_response_status_code", "200"),
                ("url_scheme", "http"),
            ],
        )
    };
    let more = async |what: &str, than: u32| {
        let end = Instant::now() + Duration::from_secs(30);
        while answered.load(Ordering::Acquire) < than {
            assert!(Instant::now() < end, "{what}: no more answers");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    more("all three", 300).await;
    assert!(
        stages.iter().all(|stage| served(stage) > 0),
        "each takes its part"
    );
    stages[0].kill();
    more("one was killed", answered.load(Ordering::Acquire) + 500).await;
    let mut drained = stages.remove(1);
    drained.stop();
    drained.ended().await;
    let last = served(&stages[1]);
    more("one was stopped", answered.load(Ordering::Acquire) + 500).await;
    assert!(served(&stages[1]) >= last + 400, "the third serves alone");
    stop.store(true, Ordering::Release);
    let mut lost = Vec::new();
    for one in load {
        lost.extend(one.await.unwrap());
    }
    assert_eq!(
        lost,
        [""; 0],
        "of {} answers",
        answered.load(Ordering::Acquire)
    );
}
