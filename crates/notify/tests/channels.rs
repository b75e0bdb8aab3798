//! Every channel against a real receiver that fails, hangs, is slow or leads elsewhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_keys::LocalKeys;
use assay_model::check::Severity;
use assay_model::dataset::Credential;
use assay_model::notice::{
    ChannelKind, Delivery, DeliveryState, NoticeKind, Subscription, SubscriptionOrigin,
};
use assay_notify::channels::{Carrier, Channels, PATIENCE};
use assay_notify::settings::Settings;
use assay_test_servers::receiver::{Behaviour, Mailbox, Receiver};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use serde_json::{Value, json};
use uuid::Uuid;

/// A secret that nobody must ever see.
const CANARY: &str = "CANARY-8f3a";

fn channels(settings: &str, secrets: &Path) -> Channels {
    let keys = LocalKeys::put_there_for("tests", "ASSAY_NOTIFY_", Some(secrets.to_owned()));
    Channels::new(Settings::parse(settings).unwrap(), Arc::new(keys)).unwrap()
}

fn secrets(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// What lets these receivers be reached.
fn allow(receivers: &[&Receiver]) -> String {
    let urls: Vec<String> = receivers.iter().map(|r| format!("{:?}", r.url())).collect();
    format!("[webhook]\nallow = [{}]\n", urls.join(", "))
}

fn subscription(channel: ChannelKind, target: &str) -> Subscription {
    let at = Timestamp::UNIX_EPOCH;
    Subscription {
        id: Uuid::from_u128(1),
        dataset: None,
        origin: SubscriptionOrigin::Person,
        channel,
        target: target.to_owned(),
        secret: None,
        operator: false,
        severity: Severity::Warning,
        dimensions: Vec::new(),
        columns: Vec::new(),
        events: Subscription::USUAL.to_vec(),
        paused_by: None,
        created_by: "ada".to_owned(),
        created_at: at,
        since: at,
        removed_at: None,
    }
}

fn delivery() -> Delivery {
    let id = Uuid::from_u128(0xabc);
    Delivery {
        id,
        subscription: Uuid::from_u128(1),
        kind: NoticeKind::Opened,
        dataset: None,
        cause: None,
        event: json!({
            "specversion": "1.0",
            "id": id.simple().to_string(),
            "data": {
                "message": "orders.<b>: nullCount is 3\r\nBcc: evil@example.com",
                "dataset": { "id": "orders", "owner": "team" },
                "check": { "id": "c", "actual": "3", "expected": "= 0" },
                "links": { "incident": "https://assay.example/incidents/inc_1" },
            },
        }),
        created_at: Timestamp::UNIX_EPOCH,
        state: DeliveryState::Pending,
        attempts: 1,
        next_at: None,
        ended_at: None,
        error: None,
    }
}

#[tokio::test]
async fn a_webhook_is_a_signed_event_with_the_same_id_at_every_attempt() {
    let receiver = Receiver::start(|_, _| Behaviour::Status(204));
    let secrets = secrets(&[("hook", &format!("whsec_{}\n", STANDARD.encode(CANARY)))]);
    let channels = channels(&allow(&[&receiver]), secrets.path());
    let target = format!("{}/hook", receiver.url());
    let mut to = subscription(ChannelKind::Webhook, &target);
    to.secret = Some("file:hook".parse().unwrap());
    channels.check(&to).unwrap();
    for _ in 0..2 {
        channels.carry(&to, &delivery()).await.unwrap();
    }
    let heard = receiver.heard();
    assert_eq!(heard.len(), 2);
    for request in &heard {
        assert_eq!(request.line, "POST /hook HTTP/1.1");
        let kind = &request.head["content-type"];
        assert!(kind.starts_with("application/cloudevents+json"), "{kind}");
        let event: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(request.head["webhook-id"], event["id"].as_str().unwrap());
        let at: i64 = request.head["webhook-timestamp"].parse().unwrap();
        assert!((Timestamp::now().as_second() - at).abs() < 60);
        let signed = format!("{}.{at}.{}", request.head["webhook-id"], request.body);
        let key = hmac::Key::new(hmac::HMAC_SHA256, CANARY.as_bytes());
        let signature = request.head["webhook-signature"]
            .strip_prefix("v1,")
            .unwrap();
        let signature = STANDARD.decode(signature).unwrap();
        hmac::verify(&key, signed.as_bytes(), &signature).unwrap();
        assert!(!format!("{request:?}").contains(CANARY));
    }
    assert_eq!(heard[0].head["webhook-id"], heard[1].head["webhook-id"]);
}

#[tokio::test]
async fn a_receiver_that_fails_says_when_it_may_be_tried_again() {
    let receiver = Receiver::start(|request, _| match request.line.as_str() {
        l if l.contains("/busy") => Behaviour::With(429, "retry-after: 7\r\n".to_owned()),
        l if l.contains("/gone") => Behaviour::Status(410),
        l if l.contains("/broken") => Behaviour::Break,
        _ => Behaviour::Status(500),
    });
    let secrets = secrets(&[]);
    let channels = channels(&allow(&[&receiver]), secrets.path());
    let ask = async |path: &str| {
        // What stands in the address behind the machine may be a secret.
        let target = format!("{}/{path}?token={CANARY}", receiver.url());
        let to = subscription(ChannelKind::Webhook, &target);
        let failure = channels.carry(&to, &delivery()).await.unwrap_err();
        assert!(!failure.why.contains(CANARY), "{failure}");
        failure
    };
    let busy = ask("busy").await;
    assert_eq!(
        (busy.is_final, busy.after),
        (false, Some(SignedDuration::from_secs(7)))
    );
    assert!(ask("gone").await.is_final);
    let failing = ask("failing").await;
    assert!(
        !failing.is_final && failing.why.contains("500"),
        "{failing}"
    );
    assert!(!ask("broken").await.is_final);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_nothing_else_is_reached() {
    let hidden = Receiver::start(|_, _| Behaviour::Status(200));
    let elsewhere = format!("location: {}/\r\n", hidden.url());
    let receiver = Receiver::start(move |_, _| Behaviour::With(307, elsewhere.clone()));
    let secrets = secrets(&[]);
    let channels = channels(&allow(&[&receiver]), secrets.path());
    let to = subscription(ChannelKind::Webhook, &receiver.url());
    let failure = channels.carry(&to, &delivery()).await.unwrap_err();
    assert!(
        failure.why.contains("redirects are not followed"),
        "{failure}"
    );
    // One that the operator does not name, by its address and by a name of this machine.
    let port = hidden.url().rsplit_once(':').unwrap().1.to_owned();
    for target in [hidden.url(), format!("http://localhost:{port}")] {
        let to = subscription(ChannelKind::Webhook, &target);
        assert!(channels.check(&to).is_err(), "{target}");
        assert!(channels.carry(&to, &delivery()).await.is_err(), "{target}");
    }
    assert_eq!(hidden.heard().len(), 0);
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused_when_it_is_looked_up() {
    let hidden = Receiver::start(|_, _| Behaviour::Status(200));
    let port = hidden.url().rsplit_once(':').unwrap().1.to_owned();
    let secrets = secrets(&[]);
    // The domain is allowed; `a.localhost` is this very machine, which is not named itself.
    let settings = format!("[webhook]\nallow = [\"*.localhost:{port}\"]\n");
    let channels = channels(&settings, secrets.path());
    let to = subscription(
        ChannelKind::Webhook,
        &format!("https://a.localhost:{port}/"),
    );
    channels.check(&to).unwrap();
    let failure = channels.carry(&to, &delivery()).await.unwrap_err();
    assert!(!failure.why.is_empty());
    assert_eq!(hidden.heard().len(), 0);
}

#[tokio::test]
async fn a_receiver_that_hangs_takes_a_bounded_time() {
    let receiver = Receiver::start(|_, _| Behaviour::Hang);
    let secrets = secrets(&[]);
    let channels = channels(&allow(&[&receiver]), secrets.path());
    let to = subscription(ChannelKind::Webhook, &receiver.url());
    let begun = Instant::now();
    let failure = channels.carry(&to, &delivery()).await.unwrap_err();
    assert!(!failure.is_final);
    assert!(
        begun.elapsed() <= PATIENCE + Duration::from_secs(2),
        "{failure}"
    );
}

#[tokio::test]
async fn slack_is_told_at_an_address_that_stays_secret() {
    let receiver = Receiver::start(|_, before| match before {
        0 => Behaviour::Status(200),
        _ => Behaviour::Status(403),
    });
    let address = format!("{}/services/{CANARY}", receiver.url());
    let away = "http://127.0.0.1:1/services/CANARY-8f3a";
    let secrets = secrets(&[("slack", &address), ("away", away)]);
    let settings = format!(
        "{}[slack.channels]\n\"#orders\" = \"file:slack\"\n",
        allow(&[&receiver])
    );
    let channels = channels(&settings, secrets.path());
    let to = subscription(ChannelKind::Slack, "#orders");
    channels.check(&to).unwrap();
    channels.carry(&to, &delivery()).await.unwrap();
    let heard = receiver.heard();
    let body: Value = serde_json::from_str(&heard[0].body).unwrap();
    let text = body["text"].as_str().unwrap();
    assert!(text.contains("orders.&lt;b&gt;"), "{text}");
    assert!(heard[0].body.contains("inc_1") && heard[0].body.contains("abc"));
    let refused = channels.carry(&to, &delivery()).await.unwrap_err();
    assert!(!format!("{refused:?}").contains(CANARY), "{refused:?}");
    for secret in ["file:away", "file:none"] {
        let mut other = to.clone();
        other.secret = Some(secret.parse::<Credential>().unwrap());
        let refused = channels.carry(&other, &delivery()).await.unwrap_err();
        assert!(!format!("{refused:?}").contains(CANARY), "{refused:?}");
    }
    let unknown = subscription(ChannelKind::Slack, "#nobody");
    assert!(
        channels
            .check(&unknown)
            .unwrap_err()
            .contains("slack.channels")
    );
}

#[tokio::test]
async fn a_mail_says_what_it_is_about_and_how_to_leave() {
    let mailbox = Mailbox::start(1);
    let secrets = secrets(&[("smtp", CANARY)]);
    let settings = format!(
        "[email]\nhost = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\n\
         from = \"Assay <assay@acme.example>\"\nuser = \"assay\"\npassword = \"file:smtp\"\n\
         domains = [\"acme.example\"]\n",
        mailbox.port()
    );
    let channels = channels(&settings, secrets.path());
    let to = subscription(ChannelKind::Email, "team@acme.example");
    channels.check(&to).unwrap();
    let refused = channels.carry(&to, &delivery()).await.unwrap_err();
    assert!(
        !refused.is_final && refused.why.contains("451"),
        "{refused}"
    );
    assert!(!refused.why.contains(CANARY));
    for _ in 0..2 {
        channels.carry(&to, &delivery()).await.unwrap();
    }
    let mails = mailbox.mails();
    assert_eq!(mails.len(), 2);
    let id = format!(
        "Message-ID: <{}@acme.example>",
        Uuid::from_u128(0xabc).simple()
    );
    for mail in &mails {
        let (head, body) = mail.split_once("\r\n\r\n").unwrap();
        assert!(mail.contains(&id), "{mail}");
        assert!(
            head.contains("List-Unsubscribe: <mailto:assay@acme.example"),
            "{head}"
        );
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
        assert!(
            body.contains("text/plain") && body.contains("text/html"),
            "{body}"
        );
        assert!(
            body.contains("&lt;b&gt;") && body.contains("inc_1"),
            "{body}"
        );
        assert!(!mail.contains(CANARY));
    }
    let outside = subscription(ChannelKind::Email, "someone@other.example");
    assert!(channels.check(&outside).is_err());
    assert!(channels.carry(&outside, &delivery()).await.is_err());
    assert_eq!(mailbox.mails().len(), 2);
}

#[tokio::test]
async fn what_is_not_set_up_says_who_sets_it_up() {
    let secrets = secrets(&[]);
    let channels = channels("", secrets.path());
    for (channel, target, word) in [
        (ChannelKind::Email, "a@b.example", "[email]"),
        (ChannelKind::Slack, "#x", "[slack.channels]"),
        (ChannelKind::Sns, "arn:aws:sns:eu-west-1:1:t", "[aws] allow"),
        (
            ChannelKind::Lambda,
            "arn:aws:lambda:eu-west-1:1:function:f",
            "[aws] allow",
        ),
        (
            ChannelKind::Lambda,
            "arn:aws:sns:eu-west-1:1:t",
            "no ARN of lambda",
        ),
        (ChannelKind::Webhook, "http://127.0.0.1/", "[webhook] allow"),
    ] {
        let to = subscription(channel, target);
        let refused = channels.check(&to).unwrap_err();
        assert!(refused.contains(word), "{refused}");
        assert!(channels.carry(&to, &delivery()).await.is_err());
    }
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_told_before_anything_is_sent() {
    let receiver = Receiver::start(|_, _| Behaviour::Status(200));
    let folder = secrets(&[("hook", CANARY)]);
    let channels = channels(&allow(&[&receiver]), folder.path());
    let to = |secret: Option<&str>| Subscription {
        secret: secret.map(|text| text.parse::<Credential>().unwrap()),
        ..subscription(ChannelKind::Webhook, &receiver.url())
    };
    assert_eq!(channels.ready(&to(None)).await, Ok(()));
    let there = format!("file:{}", folder.path().join("hook").display());
    assert_eq!(channels.ready(&to(Some(&there))).await, Ok(()));
    let why = channels.ready(&to(Some("env:ASSAY_NOTIFY_NOT_SET"))).await;
    let why = why.unwrap_err();
    assert!(why.contains("env:ASSAY_NOTIFY_NOT_SET"), "{why}");
    assert_eq!(receiver.heard().len(), 0);
}
