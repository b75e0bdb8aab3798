//! Embedded mode over a real socket, and the words for people.

use assay_guard::serve::may_listen;

use crate::stage::{Stage, client, json};

#[tokio::test]
async fn whoever_sits_here_needs_no_credential_and_no_other_page_comes_in() {
    let stage = Stage::start("").await;
    assert_eq!(stage.get("/api/v1/datasets").await.status(), 200);
    let drained = stage
        .ask("POST", "/api/v1/nodes/n1:drain", "whatever")
        .await;
    assert_eq!(drained.status(), 200, "the local user is the operator");
    let url = stage.url("/api/v1/datasets");
    for (name, value) in [
        ("host", "evil.example"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let asked = client().get(&url).header(name, value);
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), 403, "{name}: {value}");
        assert_eq!(json(answer).await["type"], "/problems/loopback-only");
    }
    let own = format!("http://{}", stage.address);
    let asked = client().get(&url).header("origin", own);
    assert_eq!(asked.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_embedded_program_does_not_listen_where_others_reach_it() {
    let stage = Stage::start("").await;
    for open in ["0.0.0.0:8080", "192.0.2.1:8080", "[::]:8080"] {
        let refused = may_listen(&stage.guard, open.parse().unwrap()).unwrap_err();
        assert!(
            refused.to_string().contains("mode = \"credentials\""),
            "{refused}"
        );
    }
    for own in ["127.0.0.1:8080", "[::1]:8080"] {
        may_listen(&stage.guard, own.parse().unwrap()).unwrap();
    }
}
