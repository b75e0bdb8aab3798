//! Mail: SMTP, as text and as HTML.
//!
//! Comes in: a delivery. Goes out: a mail whose `Message-ID` is the event's id, the same at every
//! attempt, and that says how one unsubscribes. It must never let data write a header or a tag, or
//! send a password in the open.

use std::time::Duration;

use assay_model::notice::{Delivery, Subscription};
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use super::{Channels, Failure, link, message};
use crate::settings::{Email, Security, Settings};

/// How long one answer of the server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How one unsubscribes.
#[derive(Debug, Clone)]
struct ListUnsubscribe(String);

impl Header for ListUnsubscribe {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("List-Unsubscribe")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

fn mailbox(what: &str, address: &str) -> Result<Mailbox, String> {
    address
        .parse()
        .map_err(|_| format!("{address} is no address of mail{what}"))
}

pub(super) fn check(settings: &Settings, subscription: &Subscription) -> Result<(), String> {
    let Some(email) = &settings.email else {
        return Err(
            "no mail is sent: the operator names a server under `[email]` of the settings of \
             notifications"
                .to_owned(),
        );
    };
    let to = mailbox("", &subscription.target)?;
    let domain = to.email.domain();
    let mut domains = email.domains.iter();
    if email.domains.is_empty() || domains.any(|d| d.eq_ignore_ascii_case(domain)) {
        return Ok(());
    }
    Err(format!(
        "mail to {domain} is not allowed: the operator names domains under `[email] domains` of the \
         settings of notifications"
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// One line: data that holds an end of line begins no header.
fn line(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect();
    plain.trim().to_owned()
}

/// What is told, line by line.
fn lines(delivery: &Delivery) -> Vec<(&'static str, String)> {
    let data = &delivery.event["data"];
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = vec![
        ("Dataset", text(&data["dataset"]["id"])),
        ("Owner", text(&data["dataset"]["owner"])),
        ("Column", text(&data["check"]["column"])),
        ("Check", text(&data["check"]["id"])),
        ("Found", text(&data["check"]["actual"])),
        ("Expected", text(&data["check"]["expected"])),
        ("Partition", text(&data["check"]["partition"])),
        ("Severity", text(&data["incident"]["severity"])),
        ("Incident", text(&data["incident"]["id"])),
    ];
    lines.retain(|(_, value)| !value.is_empty());
    lines
}

fn mail(email: &Email, to: &Subscription, delivery: &Delivery) -> Result<Message, String> {
    let from = mailbox(" to send from", &email.from)?;
    let said = message(delivery);
    let lines = lines(delivery);
    let mut text = format!("{said}\n\n");
    let mut html = format!("<p>{}</p>\n<table>\n", escaped(said));
    for (name, value) in &lines {
        text.push_str(&format!("{name}: {value}\n"));
        let value = escaped(value);
        html.push_str(&format!(
            "<tr><th align=\"left\">{name}</th><td>{value}</td></tr>\n"
        ));
    }
    html.push_str("</table>\n");
    if let Some(link) = link(delivery) {
        text.push_str(&format!("\n{link}\n"));
        let link = escaped(link);
        html.push_str(&format!("<p><a href=\"{link}\">{link}</a></p>\n"));
    }
    let id = to.shown();
    let leave = format!("assay subscribe remove {id}");
    text.push_str(&format!("\n--\nTo be told no more: {leave}\n"));
    html.push_str(&format!(
        "<p>To be told no more: <code>{leave}</code></p>\n"
    ));
    let unsubscribe = format!("<mailto:{}?subject=unsubscribe%20{id}>", from.email);
    let domain = from.email.domain().to_owned();
    Message::builder()
        .from(from)
        .to(mailbox("", &to.target)?)
        .subject(line(&format!("[assay] {said}")))
        .message_id(Some(format!("<{}@{domain}>", delivery.id.simple())))
        .header(ListUnsubscribe(unsubscribe))
        .multipart(MultiPart::alternative_plain_html(text, html))
        .map_err(|error| format!("no mail can be made of it: {error}"))
}

async fn transport(
    channels: &Channels,
    email: &Email,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, Failure> {
    let host = email.host.as_str();
    let tls = || {
        let tls = TlsParameters::new(host.to_owned());
        tls.map_err(|error| Failure::passing(format!("no TLS to {host}: {error}")))
    };
    let (tls, usual) = match email.security {
        Security::Tls => (Tls::Wrapper(tls()?), 465),
        Security::Starttls => (Tls::Required(tls()?), 587),
        Security::None => (Tls::None, 25),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(email.port.unwrap_or(usual))
        .tls(tls)
        .timeout(Some(PATIENCE));
    if let (Some(user), Some(password)) = (&email.user, &email.password) {
        let password = channels.secret(password).await?;
        let login = Credentials::new(user.clone(), password.reveal().to_owned());
        builder = builder.credentials(login);
    }
    Ok(builder.build())
}

pub(super) async fn carry(
    channels: &Channels,
    to: &Subscription,
    delivery: &Delivery,
) -> Result<(), Failure> {
    check(&channels.settings, to).map_err(Failure::passing)?;
    let Some(email) = &channels.settings.email else {
        return Err(Failure::passing("no mail is sent"));
    };
    let mail = mail(email, to, delivery).map_err(Failure::passing)?;
    let transport = transport(channels, email).await?;
    transport.send(mail).await.map(drop).map_err(|error| {
        // The server's words may repeat what it was told; its code says enough.
        let what = match error.status() {
            Some(code) => format!("answered {code}"),
            None if error.is_timeout() => "did not answer in time".to_owned(),
            None if error.is_tls() => "could not be spoken to by TLS".to_owned(),
            None => "was not reached, or broke off".to_owned(),
        };
        Failure::passing(format!("the server of mail {} {what}", email.host))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_begins_no_header_and_no_tag() {
        assert_eq!(line("a\r\nBcc: b@c.example"), "a  Bcc: b@c.example");
        assert_eq!(escaped("<script>\"&"), "&lt;script&gt;&quot;&amp;");
        assert!(mailbox("", "a@b.example\r\nBcc: c@d.example").is_err());
        assert!(mailbox("", "no address").is_err());
    }
}
