//! Who is let in: tokens of the file, tokens of a provider with its keys, and what is no token.

use std::sync::atomic::Ordering;
use std::time::Duration;

use assay_guard::principal::Scope;
use serde_json::{Value, json};

use crate::provider::{Provider, Signer, base64};
use crate::stage::{Stage, json, tokens};

async fn status(stage: &Stage, path: &str, token: &str) -> u16 {
    stage.ask("GET", path, token).await.status().as_u16()
}

#[tokio::test]
async fn each_role_sees_and_does_what_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    let texts = tokens(
        &path,
        &[
            (&["operator"], Scope::Write),
            (&["owner:payments"], Scope::Write),
            (&["owner:payments"], Scope::Read),
            (&["subscriber:*"], Scope::Write),
            (&[], Scope::Write),
        ],
    );
    let text = format!(
        "[identity]\nmode = 'credentials'\ntokens = '{}'",
        path.display()
    );
    let stage = Stage::start(&text).await;
    // For each token: the statuses of these requests.
    let asked = [
        ("GET", "/api/v1/version"),
        ("GET", "/api/v1/datasets"),
        ("GET", "/api/v1/datasets/orders"),
        ("GET", "/api/v1/datasets/leads"),
        ("PUT", "/api/v1/datasets/orders"),
        ("DELETE", "/api/v1/datasets/leads"),
        ("POST", "/api/v1/nodes/n1:drain"),
        ("GET", "/metrics"),
    ];
    let expected = [
        [200, 200, 200, 200, 200, 200, 200, 200],
        [200, 200, 200, 404, 200, 404, 403, 403],
        [200, 200, 200, 404, 403, 403, 403, 403],
        [200, 200, 200, 200, 403, 403, 403, 403],
        [200, 403, 403, 403, 403, 403, 403, 403],
    ];
    for (text, expected) in texts.iter().zip(expected) {
        for ((method, path), expected) in asked.iter().zip(expected) {
            let answer = stage.ask(method, path, text).await;
            assert_eq!(answer.status(), expected, "{method} {path}");
        }
    }
    let nobody = [200, 401, 401, 401, 401, 401, 401, 401];
    for ((method, path), expected) in asked.iter().zip(nobody) {
        let method: reqwest::Method = method.parse().unwrap();
        let asked = crate::stage::client().request(method, stage.url(path));
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), expected, "{path}");
    }
}

#[tokio::test]
async fn what_belongs_to_another_is_answered_as_what_does_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    let texts = tokens(&path, &[(&["owner:payments"], Scope::Write)]);
    let text = format!(
        "[identity]\nmode = 'credentials'\ntokens = '{}'",
        path.display()
    );
    let stage = Stage::start(&text).await;
    for method in ["GET", "PUT", "DELETE"] {
        let mut answers = Vec::new();
        for id in ["leads", "never", "old"] {
            let answer = stage
                .ask(method, &format!("/api/v1/datasets/{id}"), &texts[0])
                .await;
            let mut headers = answer.headers().clone();
            headers.remove("date");
            answers.push((answer.status(), headers, answer.text().await.unwrap()));
        }
        assert_eq!(answers[0].0, 404);
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:?}"
        );
    }
}

#[tokio::test]
async fn a_credential_that_does_not_hold_is_told_so_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    let texts = tokens(&path, &[(&["operator"], Scope::Write)]);
    let text = format!(
        "[identity]\nmode = 'credentials'\ntokens = '{}'\nanonymous = ['subscriber:*']",
        path.display()
    );
    let stage = Stage::start(&text).await;
    assert_eq!(stage.get("/api/v1/datasets").await.status(), 200);
    let client = crate::stage::client();
    for wrong in [
        "Bearer assay_000000000000_00",
        "Bearer x",
        "Bearer ",
        "Bearer",
        "Basic abc",
        "",
        &format!("Bearer {}x", texts[0]),
        &texts[0],
    ] {
        let asked = client
            .get(stage.url("/api/v1/datasets"))
            .header("authorization", wrong);
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), 401, "{wrong}: no lesser principal instead");
        assert!(
            answer.headers()["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Bearer")
        );
        let problem = json(answer).await;
        assert_eq!(problem["type"], "/problems/unauthorized");
    }
    let twice = client
        .get(stage.url("/api/v1/datasets"))
        .bearer_auth(&texts[0])
        .header("authorization", "Bearer x");
    assert_eq!(twice.send().await.unwrap().status(), 401);
    let counted = stage.telemetry.value(
        "assay_requests_rejected_total",
        &[("reason", "unauthorized")],
    );
    assert_eq!(counted, Some(9.0));
    assert!(!stage.telemetry.render().contains(&texts[0]));
}

#[tokio::test]
async fn tokens_of_each_algorithm_are_taken_for_what_their_claims_say() {
    let signers = [Signer::rsa(), Signer::ec(), Signer::ed()];
    let kids = ["r", "e", "d"];
    let keys = signers
        .iter()
        .zip(kids)
        .map(|(signer, kid)| signer.jwk(kid));
    let provider = Provider::start(keys.collect()).await;
    let stage = Stage::start(&provider.settings()).await;
    for (signer, kid) in signers.iter().zip(kids) {
        let mut claims = provider.claims(&["data", "unknown"]);
        claims["teams"] = json!(["payments"]);
        let token = signer.token(kid, &claims);
        let answer = stage.ask("GET", "/api/v1/datasets/leads", &token).await;
        assert_eq!(answer.status(), 200, "{kid}");
        assert_eq!(answer.text().await.unwrap(), "user:u1 leads 0");
        let answer = stage.ask("PUT", "/api/v1/datasets/orders", &token).await;
        assert_eq!(answer.status(), 200, "{kid}");
        let answer = stage.ask("DELETE", "/api/v1/datasets/leads", &token).await;
        assert_eq!(answer.status(), 403, "{kid}");
    }
    assert_eq!(
        provider.asked.load(Ordering::SeqCst),
        1,
        "the keys are kept"
    );
}

/// What `change` makes of good claims.
fn with(claims: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = claims.clone();
    change(&mut claims);
    claims
}

#[tokio::test]
async fn tokens_that_do_not_hold_are_refused() {
    let (rsa, ec, other) = (Signer::rsa(), Signer::ec(), Signer::ec());
    let provider = Provider::start(vec![
        rsa.jwk("r"),
        ec.jwk("e"),
        json!({"kty": "oct", "kid": "o", "k": base64(b"secret"), "alg": "HS256"}),
        json!({"kty": "surprise", "kid": "s"}),
    ])
    .await;
    let stage = Stage::start(&provider.settings()).await;
    let good = provider.claims(&["data"]);
    let path = "/api/v1/datasets/orders";
    assert_eq!(status(&stage, path, &ec.token("e", &good)).await, 200);
    let now = jiff::Timestamp::now().as_second();
    for (what, claims) in [
        ("expired", with(&good, |c| c["exp"] = json!(now - 6))),
        ("not yet", with(&good, |c| c["nbf"] = json!(now + 60))),
        (
            "no end",
            with(&good, |c| drop(c.as_object_mut().unwrap().remove("exp"))),
        ),
        ("odd end", with(&good, |c| c["exp"] = json!("tomorrow"))),
        (
            "issuer",
            with(&good, |c| c["iss"] = json!("https://evil.example")),
        ),
        (
            "issuers",
            with(&good, |c| c["iss"] = json!([provider.issuer(), "x"])),
        ),
        (
            "no issuer",
            with(&good, |c| drop(c.as_object_mut().unwrap().remove("iss"))),
        ),
        ("audience", with(&good, |c| c["aud"] = json!("another"))),
        (
            "no audience",
            with(&good, |c| drop(c.as_object_mut().unwrap().remove("aud"))),
        ),
        (
            "nobody",
            with(&good, |c| drop(c.as_object_mut().unwrap().remove("sub"))),
        ),
    ] {
        assert_eq!(
            status(&stage, path, &ec.token("e", &claims)).await,
            401,
            "{what}"
        );
    }
    for (what, claims) in [
        (
            "within the leeway",
            with(&good, |c| c["exp"] = json!(now - 2)),
        ),
        (
            "several audiences",
            with(&good, |c| c["aud"] = json!(["x", "assay"])),
        ),
    ] {
        assert_eq!(
            status(&stage, path, &ec.token("e", &claims)).await,
            200,
            "{what}"
        );
    }
    let unsigned = |header: Value| {
        let part = |value: &Value| base64(value.to_string().as_bytes());
        format!("{}.{}.", part(&header), part(&good))
    };
    let public = ec.jwk("e");
    let cut = ec.token("e", &good);
    let (message, signature) = cut.rsplit_once('.').unwrap();
    for (what, token) in [
        ("none", unsigned(json!({"alg": "none", "kid": "e"}))),
        ("None", unsigned(json!({"alg": "None"}))),
        ("no algorithm", unsigned(json!({"kid": "e"}))),
        (
            "a secret",
            other.sign(&json!({"alg": "HS256", "kid": "o"}), &good),
        ),
        (
            "a secret that is the public key",
            other.sign(&json!({"alg": "HS256", "kid": "e"}), &good),
        ),
        ("another key", other.token("e", &good)),
        ("an unknown key", other.token("zzz", &good)),
        (
            "a key that it brings",
            other.sign(&json!({"alg": "ES256", "kid": "e", "jwk": public}), &good),
        ),
        (
            "another algorithm of the key",
            rsa.sign(&json!({"alg": "RS512", "kid": "r"}), &good),
        ),
        (
            "an algorithm of another key",
            ec.sign(&json!({"alg": "RS256", "kid": "e"}), &good),
        ),
        (
            "extensions",
            ec.sign(
                &json!({"alg": "ES256", "kid": "e", "crit": ["x"], "x": 1}),
                &good,
            ),
        ),
        ("no signature", format!("{message}.")),
        (
            "half a signature",
            format!("{message}.{}", &signature[..40]),
        ),
        (
            "other claims",
            format!(
                "{}.{}.{signature}",
                message.split_once('.').unwrap().0,
                base64(
                    with(&good, |c| c["groups"] = json!(["admins"]))
                        .to_string()
                        .as_bytes()
                )
            ),
        ),
        ("four parts", format!("{cut}.x")),
        ("rubbish", "a.b.c".to_owned()),
        ("dots", "..".to_owned()),
    ] {
        assert_eq!(status(&stage, path, &token).await, 401, "{what}");
    }
    let long = with(&good, |c| c["x"] = json!("x".repeat(20_000)));
    let refused = status(&stage, path, &ec.token("e", &long)).await;
    assert!(matches!(refused, 401 | 431), "{refused}");
}

#[tokio::test]
async fn rotated_keys_are_fetched_once_and_not_at_the_pace_of_whoever_asks() {
    let (first, second) = (Signer::ec(), Signer::ed());
    let provider = Provider::start(vec![first.jwk("1")]).await;
    let stage = Stage::start(&provider.settings()).await;
    let claims = provider.claims(&["data"]);
    let path = "/api/v1/datasets/orders";
    let asked = || provider.asked.load(Ordering::SeqCst);
    assert_eq!(status(&stage, path, &first.token("1", &claims)).await, 200);
    assert_eq!(asked(), 1);
    // Many tokens of keys that nobody has: at most one look per second.
    let began = std::time::Instant::now();
    for n in 0..30 {
        let token = second.token(&format!("guess {n}"), &claims);
        assert_eq!(status(&stage, path, &token).await, 401);
    }
    let most = 2 + u32::try_from(began.elapsed().as_secs()).unwrap();
    assert!(asked() <= most, "{} looks", asked());
    provider.show(vec![second.jwk("2")]);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let before = asked();
    assert_eq!(status(&stage, path, &second.token("2", &claims)).await, 200);
    assert_eq!(status(&stage, path, &second.token("2", &claims)).await, 200);
    assert_eq!(asked(), before + 1);
    let gone = status(&stage, path, &first.token("1", &claims)).await;
    assert_eq!(gone, 401, "the provider shows it no more");
}

#[tokio::test]
async fn without_its_provider_a_gateway_goes_on_with_the_keys_that_it_has() {
    let signer = Signer::ec();
    let provider = Provider::start(vec![signer.jwk("1")]).await;
    let (had, none) = (
        Stage::start(&provider.settings()).await,
        Stage::start(&provider.settings()).await,
    );
    let token = signer.token("1", &provider.claims(&["data"]));
    let path = "/api/v1/datasets/orders";
    assert_eq!(status(&had, path, &token).await, 200);
    provider.stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(status(&had, path, &token).await, 200);
    let answer = none.ask("GET", path, &token).await;
    assert_eq!(answer.status(), 503, "nothing is said of the token");
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(json(answer).await["type"], "/problems/identity-unavailable");
    // Public answers, and liveness, need nobody's key.
    assert_eq!(none.get("/livez").await.status(), 200);
    assert_eq!(none.get("/api/v1/version").await.status(), 200);
}

#[tokio::test]
async fn a_browser_logs_in_by_a_form_and_only_its_own_pages_change_anything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    let texts = tokens(&path, &[(&["owner:payments"], Scope::Write)]);
    let text = format!(
        "[identity]\nmode = 'credentials'\ntokens = '{}'",
        path.display()
    );
    let stage = Stage::start(&text).await;
    let (client, own) = (crate::stage::client(), format!("http://{}", stage.address));
    let log_in = async |origin: &str, form: String| {
        let asked = client.post(stage.url("/session")).header("origin", origin);
        asked.body(form).send().await.unwrap()
    };
    let foreign = log_in("https://evil.example", format!("token={}", texts[0])).await;
    assert_eq!(foreign.status(), 403);
    for wrong in ["token=x", "token=", "", "user=a"] {
        let refused = log_in(&own, wrong.to_owned()).await;
        assert_eq!(refused.status(), 401, "{wrong}");
        assert!(!refused.headers().contains_key("set-cookie"));
    }
    let entered = log_in(&own, format!("token={}", texts[0])).await;
    assert_eq!(entered.status(), 303);
    assert_eq!(entered.headers()["location"], "/");
    let cookie = entered.headers()["set-cookie"].to_str().unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap();
    let orders = stage.url("/api/v1/datasets/orders");
    let read = client.get(&orders).header("cookie", cookie);
    assert_eq!(read.send().await.unwrap().status(), 200);
    for (origin, status) in [
        (None, 403),
        (Some("https://evil.example"), 403),
        (Some(&*own), 200),
    ] {
        let mut asked = client.put(&orders).header("cookie", cookie);
        if let Some(origin) = origin {
            asked = asked.header("origin", origin);
        }
        assert_eq!(asked.send().await.unwrap().status(), status, "{origin:?}");
    }
    let ended = client
        .get(&orders)
        .header("cookie", "__Host-assay=assay_00_00");
    let ended = ended.send().await.unwrap();
    assert_eq!(ended.status(), 401);
    let forget = ended.headers()["set-cookie"].to_str().unwrap();
    assert!(
        forget.contains("Max-Age=0"),
        "the next request is let in as anybody's: {forget}"
    );
    let leave = || client.post(stage.url("/session/end"));
    let foreign = leave().header("origin", "https://evil.example").send();
    assert_eq!(foreign.await.unwrap().status(), 403);
    let left = leave().header("origin", &own).send().await.unwrap();
    assert_eq!(left.status(), 303);
    assert!(
        left.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
}
