//! Slack: an incoming webhook, whose address is the secret.
//!
//! Comes in: a delivery. Goes out: a message with the sentence, what was expected, whose it is, and
//! a link. It must never say the address, or let data write Slack's own marks.

use assay_model::notice::{Delivery, Subscription};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::{Channels, Failure, link, message};
use crate::settings::Settings;

/// Slack reads these three as its own.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

pub(super) fn check(settings: &Settings, subscription: &Subscription) -> Result<(), String> {
    let channel = &subscription.target;
    if subscription.secret.is_some() || settings.slack.channels.contains_key(channel) {
        return Ok(());
    }
    Err(format!(
        "nothing says how the channel {channel} is reached: name the reference to the address of \
         its incoming webhook, or have the operator name it under `[slack.channels]` of the settings \
         of notifications"
    ))
}

fn body(delivery: &Delivery) -> Value {
    let data = &delivery.event["data"];
    let text = escaped(message(delivery));
    let mut blocks = vec![json!({
        "type": "section",
        "text": { "type": "mrkdwn", "text": text },
    })];
    let mut fields = Vec::new();
    let mut field = |name: &str, value: &Value| {
        if let Some(value) = value.as_str().filter(|value| !value.is_empty()) {
            let text = format!("*{name}*\n{}", escaped(value));
            fields.push(json!({ "type": "mrkdwn", "text": text }));
        }
    };
    field("Found", &data["check"]["actual"]);
    field("Expected", &data["check"]["expected"]);
    field("Owner", &data["dataset"]["owner"]);
    if !fields.is_empty() {
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    if let Some(link) = link(delivery) {
        let button = |text: &str, url: &str| {
            json!({
                "type": "button", "url": url, "text": { "type": "plain_text", "text": text },
            })
        };
        let mut elements = vec![button("Open", link)];
        if let Some(mute) = data["links"]["mute"].as_str() {
            elements.push(button("Mute", mute));
        }
        blocks.push(json!({ "type": "actions", "elements": elements }));
    }
    // A receiver that keeps the message can tell a repeat by it.
    let id = delivery.id.simple().to_string();
    blocks.push(json!({
        "type": "context", "elements": [{ "type": "plain_text", "text": format!("assay {id}") }],
    }));
    json!({ "text": text, "blocks": blocks })
}

pub(super) async fn carry(
    channels: &Channels,
    to: &Subscription,
    delivery: &Delivery,
) -> Result<(), Failure> {
    let named = channels.settings.slack.channels.get(&to.target);
    let Some(credential) = to.secret.as_ref().or(named) else {
        let why = check(&channels.settings, to).err().unwrap_or_default();
        return Err(Failure::passing(why));
    };
    let address = channels.secret(credential).await?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = body(delivery).to_string();
    channels
        .http
        .post(address.reveal().trim(), headers, body)
        .await
}

#[cfg(test)]
mod tests {
    #[test]
    fn data_writes_no_marks_of_slack() {
        assert_eq!(
            super::escaped("<!channel> & <b>"),
            "&lt;!channel&gt; &amp; &lt;b&gt;"
        );
    }
}
