//! `assay subscribe`: who is told of incidents, and whether messages come.
//!
//! Comes in: a command. Goes out: rows of subscriptions and deliveries, or a wish carried to the
//! cluster. A secret is named by reference and never typed here.

use std::time::{Duration, Instant};

use anyhow::Result;
use assay_answers::notice::{masked, without};
use assay_model::notice::ChannelKind;
use assay_proto::convert::opt_time;
use assay_proto::v1;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{by_prefix, shortest};
use crate::args::{AddArgs, SubscribeCommand};
use crate::client::port::Notices;
use crate::client::{coded, connect};
use crate::context::Context;
use crate::exit::Exit;
use crate::show::{table, text};

/// How long a test is waited for: a few attempts.
const TESTED_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(300);

/// Runs the command.
pub async fn run(command: SubscribeCommand, cx: &Context) -> Result<Exit> {
    let cluster = connect(cx).await?;
    let cluster: &dyn Notices = &*cluster;
    match command {
        SubscribeCommand::List { dataset, all } => list(cluster, dataset, all, cx).await,
        SubscribeCommand::Add(args) => add(cluster, args, cx).await,
        SubscribeCommand::Test {
            subscription,
            no_wait,
        } => test(cluster, &subscription, no_wait, cx).await,
        SubscribeCommand::Pause { subscription } => {
            change(cluster, &subscription, ("pause", "paused"), cx).await
        }
        SubscribeCommand::Resume { subscription } => {
            change(cluster, &subscription, ("resume", "told again"), cx).await
        }
        SubscribeCommand::Remove { subscription } => {
            change(cluster, &subscription, ("remove", "removed"), cx).await
        }
        SubscribeCommand::Deliveries {
            again: Some(delivery),
            ..
        } => again(cluster, delivery, cx).await,
        SubscribeCommand::Deliveries {
            subscription,
            state,
            limit,
            ..
        } => {
            let subscription = match subscription {
                Some(wanted) => known(cluster, &wanted).await?,
                None => String::new(),
            };
            let request = v1::ListDeliveriesRequest {
                subscription,
                state: state.unwrap_or_default(),
                limit,
                ..Default::default()
            };
            let found = cluster.deliveries(request).await?;
            let all = subscriptions(cluster, String::new(), true).await?;
            show_deliveries(&found, &all, cx)
        }
    }
}

async fn subscriptions(
    cluster: &dyn Notices,
    dataset: String,
    with_removed: bool,
) -> Result<Vec<v1::Subscription>> {
    let which = v1::ListSubscriptionsRequest {
        dataset,
        with_removed,
    };
    Ok(cluster.subscriptions(which).await?)
}

async fn known(cluster: &dyn Notices, wanted: &str) -> Result<String> {
    let all = subscriptions(cluster, String::new(), false).await?;
    let names: Vec<String> = all.into_iter().map(|one| one.id).collect();
    by_prefix("subscription", wanted, &names)
}

async fn list(
    cluster: &dyn Notices,
    dataset: Option<String>,
    all: bool,
    cx: &Context,
) -> Result<Exit> {
    let found = subscriptions(cluster, dataset.unwrap_or_default(), all).await?;
    if found.is_empty() {
        cx.screen.note(
            "nobody is told\n  add somebody: assay subscribe add https://HOST/PATH, or `support` \
             with scope: notifications in the dataset's file",
        );
    } else {
        let mut table = table::table(&[
            "SUBSCRIPTION",
            "CHANNEL",
            "TARGET",
            "DATASET",
            "FROM",
            "STATE",
            "WAITING",
            "DEAD",
        ]);
        let short = short_of(&found);
        for one in &found {
            table.add_row([
                short(&one.id),
                one.channel.clone(),
                shown(one),
                or(&one.dataset, "all"),
                severity(one),
                state(one),
                one.pending.to_string(),
                one.dead.to_string(),
            ]);
        }
        cx.screen.text(&table::print(&table))?;
        for one in found.iter().filter(|one| !one.trouble.is_empty()) {
            let trouble = hidden(&one.trouble, one);
            cx.screen.note(&format!("{}: {trouble}", short(&one.id)));
        }
    }
    let items: Vec<Value> = found.iter().map(item).collect();
    let summary = json!({ "subscriptions": items.len() });
    cx.screen
        .items("SubscriptionList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}

/// Where somebody is told, fit to be shown: an address of the web may be a secret.
fn shown(one: &v1::Subscription) -> String {
    // A channel that this version does not know may be of the web.
    let channel = one.channel.parse().unwrap_or(ChannelKind::Webhook);
    masked(channel, &one.target)
}

/// A text that may repeat where somebody is told, fit to be shown.
fn hidden(text: &str, one: &v1::Subscription) -> String {
    let channel = one.channel.parse().unwrap_or(ChannelKind::Webhook);
    without(text, channel, &one.target)
}

/// What a list shows of the ids of these.
fn short_of(all: &[v1::Subscription]) -> impl Fn(&str) -> String + use<> {
    let ids: Vec<String> = all.iter().map(|one| one.id.clone()).collect();
    let length = shortest(&ids);
    move |id| id.chars().take(length).collect()
}

fn or(text: &str, other: &str) -> String {
    if text.is_empty() { other } else { text }.to_owned()
}

fn severity(one: &v1::Subscription) -> String {
    match one.operator {
        true => "not evaluated".to_owned(),
        false => one.severity.clone(),
    }
}

fn state(one: &v1::Subscription) -> String {
    match (one.removed_at, one.paused_by.as_str(), one.trouble.as_str()) {
        (Some(_), ..) => "removed".to_owned(),
        (None, "", "") => "told".to_owned(),
        (None, "", _) => "not reachable".to_owned(),
        (None, by, _) => format!("paused by {by}"),
    }
}

/// What a target is by its spelling.
fn channel_of(target: &str) -> Option<&'static str> {
    Some(match target {
        t if t.starts_with("https://") || t.starts_with("http://") => "webhook",
        t if t.starts_with('#') => "slack",
        t if t.starts_with("arn:") && t.contains(":sns:") => "sns",
        t if t.starts_with("arn:") && t.contains(":lambda:") => "lambda",
        t if t.contains('@') => "email",
        _ => return None,
    })
}

async fn add(cluster: &dyn Notices, args: AddArgs, cx: &Context) -> Result<Exit> {
    let channel = args.channel.clone();
    let channel = channel.or_else(|| channel_of(&args.target).map(str::to_owned));
    let Some(channel) = channel else {
        return Err(coded(
            Exit::Usage,
            format!(
                "`{}` does not say what it is\n  add --channel webhook, slack, email, sns or lambda",
                args.target
            ),
        ));
    };
    let wanted = v1::Subscription {
        channel,
        target: args.target,
        dataset: args.dataset.unwrap_or_default(),
        secret: args.secret.unwrap_or_default(),
        severity: args.severity,
        dimensions: args.dimensions,
        columns: args.columns,
        events: args.events,
        operator: args.operator,
        ..Default::default()
    };
    let made = cluster.subscribe(wanted).await?;
    cx.screen.note(&format!(
        "see that it comes: assay subscribe test {}",
        made.id
    ));
    changed(&made, "told from now on", cx)
}

fn changed(one: &v1::Subscription, done: &str, cx: &Context) -> Result<Exit> {
    let (id, channel, target) = (&one.id, &one.channel, shown(one));
    cx.screen
        .text(&format!("{done}  {id}  {channel} {target}\n"))?;
    cx.screen
        .items("Subscription", &[item(one)], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

async fn change(
    cluster: &dyn Notices,
    wanted: &str,
    (verb, done): (&str, &str),
    cx: &Context,
) -> Result<Exit> {
    let id = known(cluster, wanted).await?;
    changed(&cluster.turn(&id, verb).await?, done, cx)
}

async fn test(cluster: &dyn Notices, wanted: &str, no_wait: bool, cx: &Context) -> Result<Exit> {
    let id = known(cluster, wanted).await?;
    let all = subscriptions(cluster, String::new(), true).await?;
    let id = cluster.test(&id).await?;
    let request = v1::ListDeliveriesRequest {
        id,
        limit: 1,
        ..Default::default()
    };
    let begun = Instant::now();
    loop {
        let found = cluster.deliveries(request.clone()).await?;
        let Some(one) = found.into_iter().next() else {
            return Err(coded(Exit::NotEvaluated, "the test is not there any more"));
        };
        let is_over = one.state != "pending" || no_wait;
        if !is_over && begun.elapsed() < TESTED_WITHIN {
            tokio::time::sleep(LOOK).await;
            continue;
        }
        let exit = match one.state.as_str() {
            "delivered" => Exit::Ok,
            _ if no_wait => Exit::Ok,
            _ => Exit::NotEvaluated,
        };
        let why = or(&error(&one, &all), "no answer yet");
        cx.screen.text(&match one.state.as_str() {
            "delivered" => format!("delivered  {}\n", one.id),
            state => format!(
                "{state} after {} attempts  {}  {why}\n",
                one.attempts, one.id
            ),
        })?;
        cx.screen
            .items("Delivery", &[delivery(&one, &all)], &json!({}), exit)?;
        return Ok(exit);
    }
}

async fn again(cluster: &dyn Notices, id: String, cx: &Context) -> Result<Exit> {
    cluster.send_again(&id).await?;
    cx.screen.text(&format!("sent again  {id}\n"))?;
    let item = json!({ "id": id, "done": "sent again" });
    cx.screen.items("Delivery", &[item], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

fn show_deliveries(found: &[v1::Delivery], all: &[v1::Subscription], cx: &Context) -> Result<Exit> {
    if found.is_empty() {
        cx.screen.note("no message");
    } else {
        let mut table = table::table(&[
            "DELIVERY",
            "SUBSCRIPTION",
            "WHAT",
            "STATE",
            "ATTEMPTS",
            "WRITTEN",
            "LAST ERROR",
        ]);
        let now = Timestamp::now();
        let short = short_of(all);
        for one in found {
            let at = opt_time("created_at", one.created_at).ok().flatten();
            let at = at.map_or_else(String::new, |at| text::when(at, now, cx.screen.times));
            table.add_row([
                one.id.clone(),
                short(&one.subscription),
                one.kind.clone(),
                one.state.clone(),
                one.attempts.to_string(),
                at,
                or(&error(one, all), "-"),
            ]);
        }
        cx.screen.text(&table::print(&table))?;
    }
    let items: Vec<Value> = found.iter().map(|one| delivery(one, all)).collect();
    let summary = json!({ "deliveries": items.len() });
    cx.screen
        .items("DeliveryList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}

fn or_none(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// A subscription for programs.
fn item(one: &v1::Subscription) -> Value {
    json!({
        "id": one.id,
        "dataset": or_none(&one.dataset),
        "origin": one.origin,
        "channel": one.channel,
        "target": shown(one),
        "secret": or_none(&one.secret),
        "operator": one.operator,
        "severity": one.severity,
        "dimensions": one.dimensions,
        "columns": one.columns,
        "events": one.events,
        "pausedBy": or_none(&one.paused_by),
        "createdBy": one.created_by,
        "createdAt": opt_time("created_at", one.created_at).ok().flatten(),
        "removedAt": opt_time("removed_at", one.removed_at).ok().flatten(),
        "pending": one.pending,
        "dead": one.dead,
        "trouble": or_none(&hidden(&one.trouble, one)),
    })
}

/// What the last attempt at a message ended in, without where it went.
fn error(one: &v1::Delivery, all: &[v1::Subscription]) -> String {
    let to = all.iter().find(|to| to.id == one.subscription);
    to.map_or_else(|| one.error.clone(), |to| hidden(&one.error, to))
}

/// A message for programs.
fn delivery(one: &v1::Delivery, all: &[v1::Subscription]) -> Value {
    json!({
        "id": one.id,
        "subscription": one.subscription,
        "kind": one.kind,
        "dataset": or_none(&one.dataset),
        "incident": or_none(&one.cause),
        "state": one.state,
        "attempts": one.attempts,
        "createdAt": opt_time("created_at", one.created_at).ok().flatten(),
        "nextAt": opt_time("next_at", one.next_at).ok().flatten(),
        "endedAt": opt_time("ended_at", one.ended_at).ok().flatten(),
        "error": or_none(&error(one, all)),
        "message": one.message,
    })
}

#[cfg(test)]
mod tests {
    use super::channel_of;

    #[test]
    fn a_target_says_what_it_is() {
        assert_eq!(channel_of("https://hooks.example/x"), Some("webhook"));
        assert_eq!(channel_of("#orders"), Some("slack"));
        assert_eq!(channel_of("team@acme.example"), Some("email"));
        assert_eq!(channel_of("arn:aws:sns:eu-west-1:1:topic"), Some("sns"));
        assert_eq!(
            channel_of("arn:aws:lambda:eu-west-1:1:function:f"),
            Some("lambda")
        );
        assert_eq!(channel_of("somewhere"), None);
    }
}
