//! What is wrong with a cluster elsewhere, as far as its managers tell.
//!
//! Comes in: the managers that the settings name. Goes out: findings: who this end is, each manager,
//! the database and etcd as the managers see them, the clocks, the nodes, the versions. It asks, and
//! changes nothing. It must never call something good that was not asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use assay_proto::convert::opt_time;
use assay_proto::link::{Shown, why};
use assay_proto::v1;
use jiff::{SignedDuration, Timestamp};

use super::Finding;
use crate::client::port::Cluster;
use crate::client::{Client, identity};
use crate::context::Context;
use crate::exit::said;
use crate::show::text;

/// A certificate that holds for less is renewed soon.
const RENEW: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Clocks that differ by less are right: partitions are expected and sealed to the minute.
pub(super) const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(2);
/// Clocks that differ by more are wrong: certificates and signatures of requests are refused.
pub(super) const CLOCKS_WRONG: SignedDuration = SignedDuration::from_secs(60);
/// A copy of the database that is behind by more would lose this much when it takes over.
const BEHIND_MS: u64 = 10_000;
/// An answer that takes longer holds up work.
const SLOW_MS: u64 = 500;

/// What one manager told, and when.
struct Told {
    address: String,
    answer: v1::InspectResponse,
    /// How far this machine's clock is ahead of the cluster's.
    ahead: Option<SignedDuration>,
}

/// Looks at the cluster that the settings name; `None` when they name none.
pub(super) async fn look(cx: &Context) -> Option<Vec<Finding>> {
    let mut found = Vec::new();
    match identity(cx) {
        Ok(shown) => found.push(who(shown.as_ref(), cx)),
        Err(error) => {
            let remedy = "name files that can be read: assay cluster certs makes some";
            found.push(Finding::failed("identity", said(&error), remedy));
        }
    }
    let each = match Client::each(cx).await {
        Ok(each) => each?,
        Err(error) => {
            let remedy = "mend the address: --server https://HOST:8081";
            found.push(Finding::failed("managers", said(&error), remedy));
            return Some(found);
        }
    };
    let mut told = Vec::new();
    for (address, client) in each {
        match client {
            Ok(client) => match ask(&client).await {
                Ok(answer) => told.push(answer),
                Err(finding) => found.push(finding),
            },
            Err(why) => found.push(Finding::failed(
                "manager",
                why,
                format!("see that {address} is the address of a manager, and that it runs"),
            )),
        }
    }
    found.extend(told.iter().map(manager));
    // The one that leads, or else whoever answers, speaks for all of what they stand on.
    if let Some(speaker) = told.iter().find(|told| told.answer.leads).or(told.first()) {
        found.push(database(speaker));
        found.extend(outbox(speaker));
        found.push(etcd(speaker));
        found.push(clock(speaker.ahead));
    }
    let status = status(cx).await;
    let known = status.as_ref().ok();
    let versions = versions(&told, known);
    found.extend(known.map(nodes));
    found.extend(status.err());
    found.extend(versions);
    Some(found)
}

/// Who managers take this end for.
fn who(shown: Option<&Shown>, cx: &Context) -> Finding {
    let Some(shown) = shown else {
        let server = cx.settings.text("client.server").unwrap_or_default();
        let own = ["127.0.0.1", "localhost", "[::1]"];
        if server
            .split(',')
            .all(|server| own.iter().any(|own| server.contains(own)))
        {
            return Finding::good(
                "identity",
                "none; this machine's managers are spoken to in the clear",
            );
        }
        return Finding::warning(
            "identity",
            "none: everything is said in the clear, to whoever answers",
            "show a certificate: --tls-ca FILE --tls-cert FILE --tls-key FILE",
        );
    };
    let Some(identity) = &shown.identity else {
        return Finding::failed(
            "identity",
            "the certificate names nobody of a cluster (spiffe://assay/client/NAME)",
            "make one: assay cluster certs --out DIR --client NAME",
        );
    };
    let Some(not_after) = shown.not_after else {
        let detail = format!("{identity}, by a certificate whose end cannot be read");
        return Finding::warning("identity", detail, "look at it: openssl x509 -noout -dates");
    };
    let left = not_after.duration_since(Timestamp::now());
    let days = left.as_hours() / 24;
    let until = not_after.strftime("%Y-%m-%d");
    let remedy = "renew it: assay cluster certs --out DIR --client NAME, in the authority's folder";
    if left.is_negative() {
        let detail = format!("{identity}: the certificate has expired on {until}");
        return Finding::failed("identity", detail, remedy);
    }
    let detail = format!("{identity}, by a certificate that holds {days} days more, until {until}");
    if left < RENEW {
        return Finding::warning("identity", detail, remedy);
    }
    Finding::good("identity", detail)
}

async fn ask(client: &Client) -> Result<Told, Finding> {
    let (sent, begun) = (Timestamp::now(), Instant::now());
    let answer = client
        .cluster()
        .inspect(client.call(v1::InspectRequest {}))
        .await;
    let took = SignedDuration::try_from(begun.elapsed()).unwrap_or_default();
    match answer {
        Ok(answer) => {
            let answer = answer.into_inner();
            let theirs = opt_time("now", answer.now).ok().flatten();
            // It was said at some time between question and answer.
            let ahead = theirs.map(|theirs| {
                let (early, late) = (
                    sent.duration_since(theirs),
                    sent.duration_since(theirs) + took,
                );
                match (early.is_positive(), late.is_negative()) {
                    (true, _) => early,
                    (_, true) => late,
                    _ => SignedDuration::ZERO,
                }
            });
            Ok(Told {
                address: client.address.clone(),
                answer,
                ahead,
            })
        }
        Err(status) if status.code() == tonic::Code::Unimplemented => Err(Finding::warning(
            "manager",
            format!(
                "{} is of an older version, which cannot be looked at",
                client.address
            ),
            "bring the managers up to this version; compare: assay version",
        )),
        Err(status) => Err(Finding::failed(
            "manager",
            format!("{}: {}", client.address, why(&status)),
            "look at its log; then assay doctor again",
        )),
    }
}

fn manager(told: &Told) -> Finding {
    let v1::InspectResponse {
        name,
        version,
        leads,
        ..
    } = &told.answer;
    let role = if *leads { "leads" } else { "stands by" };
    Finding::good(
        "manager",
        format!("{name} {version} at {}, {role}", told.address),
    )
}

fn database(told: &Told) -> Finding {
    let asker = &told.answer.name;
    let Some(store) = &told.answer.store else {
        return Finding::warning("database", format!("{asker} does not tell"), "upgrade it");
    };
    if !store.error.is_empty() {
        return Finding::failed(
            "database",
            format!("it does not answer {asker}: {}", store.error),
            "see that it runs and that the managers may reach it; nothing is lost meanwhile",
        );
    }
    let v1::StoreHealth {
        took_ms,
        place,
        server,
        schema,
        replicas,
        ..
    } = store;
    let copies: Vec<String> = replicas.iter().map(copy).collect();
    let mut detail = format!("{server} at {place}, schema {schema}, answers in {took_ms} ms");
    for copy in &copies {
        detail.push_str(&format!("; {copy}"));
    }
    let behind = replicas.iter().any(|r| r.lag_ms.unwrap_or(0) > BEHIND_MS);
    let broken = replicas
        .iter()
        .any(|r| !matches!(r.state.as_str(), "" | "streaming"));
    if behind || broken {
        let remedy = "look at the copy: it would lose what it lacks when it takes over";
        return Finding::warning("database", detail, remedy);
    }
    slow("database", detail, *took_ms)
}

fn copy(replica: &v1::StoreReplica) -> String {
    let behind = match (replica.lag_bytes, replica.lag_ms) {
        (None, None) => "lag unknown".to_owned(),
        (Some(0), None) => "not behind".to_owned(),
        (bytes, ms) => format!(
            "{} and {} ms behind",
            text::bytes(bytes.unwrap_or(0)),
            ms.unwrap_or(0)
        ),
    };
    let state = match replica.state.as_str() {
        "" => "",
        state => &format!(" {state},"),
    };
    format!("copy {}{state} {behind}", replica.name)
}

/// What was put back from a copy tells nobody anything until people say so.
fn outbox(told: &Told) -> Option<Finding> {
    let held = &told.answer.store.as_ref()?.outbox_held;
    (!held.is_empty()).then(|| {
        Finding::warning(
            "outbox",
            format!("no message is sent: {held}"),
            "look at what waits, then in the database: SELECT release_outbox()",
        )
    })
}

fn etcd(told: &Told) -> Finding {
    let asker = &told.answer.name;
    let Some(etcd) = &told.answer.coordinator else {
        return Finding::warning("etcd", format!("{asker} does not tell"), "upgrade it");
    };
    if !etcd.error.is_empty() {
        return Finding::failed(
            "etcd",
            format!("it does not answer {asker}: {}", etcd.error),
            "see that two of three members run; work that was given goes on meanwhile",
        );
    }
    if etcd.leader.is_empty() {
        return Finding::failed(
            "etcd",
            "it answers, and no manager leads",
            "look at the managers' logs: does the database answer them?",
        );
    }
    let nodes = text::counted(etcd.nodes as usize, "node");
    let detail = format!(
        "a quorum answers in {} ms, {} leads, {nodes} hold a lease",
        etcd.took_ms, etcd.leader
    );
    slow("etcd", detail, etcd.took_ms)
}

fn slow(what: &'static str, detail: String, took_ms: u64) -> Finding {
    if took_ms > SLOW_MS {
        let remedy = "look at its load, its disk, and the way between it and the managers";
        return Finding::warning(what, detail, remedy);
    }
    Finding::good(what, detail)
}

fn clock(ahead: Option<SignedDuration>) -> Finding {
    let Some(ahead) = ahead else {
        let remedy = "bring the managers up to this version";
        return Finding::warning("clock", "the cluster does not say what time it is", remedy);
    };
    let apart = ahead.abs();
    let word = if ahead.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    let detail = format!(
        "this machine is {:.1} s {word} the cluster, whose clock is its database's",
        apart.as_secs_f64()
    );
    let remedy = "set this machine's clock (NTP): certificates and requests are judged by it";
    match apart {
        _ if apart <= CLOCKS_APART => Finding::good("clock", "as the cluster's, to 2 s"),
        _ if apart <= CLOCKS_WRONG => Finding::warning("clock", detail, remedy),
        _ => Finding::failed("clock", detail, remedy),
    }
}

async fn status(cx: &Context) -> Result<v1::StatusResponse, Finding> {
    let asked = async {
        let client = Client::connect(cx).await?;
        Ok::<_, anyhow::Error>(Cluster::status(&client).await?)
    };
    asked.await.map_err(|error| {
        let error = said(&error);
        let what = error.lines().next().unwrap_or(&error);
        Finding::failed(
            "leader",
            what,
            "wait for an election, then assay doctor again",
        )
    })
}

pub(super) fn nodes(status: &v1::StatusResponse) -> Finding {
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for node in &status.nodes {
        *states.entry(&node.state).or_default() += 1;
    }
    let told: Vec<String> = states
        .iter()
        .map(|(state, n)| format!("{n} {state}"))
        .collect();
    let live = states.get("live").copied().unwrap_or(0);
    let detail = format!(
        "{} ({}), {} unfinished",
        text::counted(status.nodes.len(), "node"),
        told.join(", "),
        text::counted(status.runs_unfinished as usize, "run")
    );
    let wanted = status.nodes_desired as usize;
    let troubled = ["dead", "suspect", "excluded"];
    if live == 0 {
        let remedy = "without a node no task runs: start data nodes";
        return Finding::failed("nodes", detail, remedy);
    }
    if troubled.iter().any(|state| states.contains_key(state)) {
        return Finding::warning("nodes", detail, "see which, and why: assay node list");
    }
    if live < wanted {
        let detail = format!("{detail}; {wanted} are wanted");
        let remedy = "start more, or see why they do not come";
        return Finding::warning("nodes", detail, remedy);
    }
    Finding::good("nodes", detail)
}

/// Which versions there are: of this program, the managers, and the nodes that say.
fn versions(told: &[Told], status: Option<&v1::StatusResponse>) -> Option<Finding> {
    let managers = told.iter().map(|told| told.answer.version.as_str());
    let managers: BTreeSet<&str> = managers.collect();
    let nodes = status.iter().flat_map(|status| &status.nodes);
    let nodes: BTreeSet<&str> = nodes
        .map(|node| node.version.as_str())
        .filter(|version| !version.is_empty())
        .collect();
    if managers.is_empty() {
        return None;
    }
    let ours = env!("CARGO_PKG_VERSION");
    let list = |of: &BTreeSet<&str>| match of.len() {
        0 => "unknown".to_owned(),
        _ => of.iter().copied().collect::<Vec<_>>().join(", "),
    };
    let detail = format!(
        "this command {ours}, managers {}, nodes {}",
        list(&managers),
        list(&nodes)
    );
    let same = managers
        .iter()
        .chain(&nodes)
        .all(|version| *version == ours);
    Some(if same {
        Finding::good("versions", detail)
    } else {
        let remedy = "bring all to one version, managers first (docs/operations/upgrade.md)";
        Finding::warning("versions", detail, remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn inspected(store: v1::StoreHealth, coordinator: v1::CoordinatorHealth) -> Told {
        Told {
            address: "https://a:8081".to_owned(),
            answer: v1::InspectResponse {
                name: "manager-1".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                leads: true,
                now: None,
                store: Some(store),
                coordinator: Some(coordinator),
            },
            ahead: None,
        }
    }

    fn good() -> (v1::StoreHealth, v1::CoordinatorHealth) {
        let store = v1::StoreHealth {
            server: "PostgreSQL 15.4".to_owned(),
            schema: 8,
            ..v1::StoreHealth::default()
        };
        let coordinator = v1::CoordinatorHealth {
            leader: "manager-1".to_owned(),
            ..v1::CoordinatorHealth::default()
        };
        (store, coordinator)
    }

    #[test]
    fn what_does_not_answer_is_failed_and_what_is_behind_a_warning() {
        let (store, coordinator) = good();
        let told = inspected(store.clone(), coordinator.clone());
        assert_eq!(database(&told).state, State::Good);
        assert_eq!(etcd(&told).state, State::Good);
        let away = "connection refused".to_owned();
        let told = inspected(
            v1::StoreHealth {
                error: away.clone(),
                ..store.clone()
            },
            v1::CoordinatorHealth {
                error: away,
                ..coordinator.clone()
            },
        );
        assert_eq!(database(&told).state, State::Failed);
        assert_eq!(etcd(&told).state, State::Failed);
        let behind = v1::StoreReplica {
            name: "standby".to_owned(),
            state: "streaming".to_owned(),
            lag_bytes: Some(1 << 20),
            lag_ms: Some(BEHIND_MS + 1),
        };
        let leaderless = v1::CoordinatorHealth::default();
        let store = v1::StoreHealth {
            replicas: vec![behind],
            ..store
        };
        let told = inspected(store, leaderless);
        let found = database(&told);
        assert_eq!(found.state, State::Warning);
        assert!(
            found.detail.contains("1.0 MiB and 10001 ms behind"),
            "{}",
            found.detail
        );
        assert_eq!(etcd(&told).state, State::Failed);
    }

    #[test]
    fn an_outbox_that_is_held_is_told() {
        let (store, coordinator) = good();
        assert!(outbox(&inspected(store.clone(), coordinator.clone())).is_none());
        let held = v1::StoreHealth {
            outbox_held: "the epoch was raised by hand".to_owned(),
            ..store
        };
        let found = outbox(&inspected(held, coordinator)).unwrap();
        assert_eq!(found.state, State::Warning);
        assert!(found.detail.contains("raised by hand"));
    }

    #[test]
    fn clocks_that_differ_are_told_with_their_direction() {
        let of = |seconds| clock(Some(SignedDuration::from_secs(seconds)));
        assert_eq!(of(1).state, State::Good);
        assert_eq!(of(-30).state, State::Warning);
        assert!(of(-30).detail.contains("30.0 s behind"));
        assert_eq!(of(600).state, State::Failed);
        assert_eq!(clock(None).state, State::Warning);
    }

    #[test]
    fn nodes_that_are_missing_or_sick_and_versions_that_differ_are_told() {
        let node = |state: &str, version: &str| v1::NodeStatus {
            state: state.to_owned(),
            version: version.to_owned(),
            ..v1::NodeStatus::default()
        };
        let status = |nodes| v1::StatusResponse {
            nodes,
            nodes_desired: 2,
            ..v1::StatusResponse::default()
        };
        let ours = env!("CARGO_PKG_VERSION");
        let whole = status(vec![node("live", ours), node("live", "")]);
        assert_eq!(nodes(&whole).state, State::Good);
        assert_eq!(
            nodes(&status(vec![node("live", ours)])).state,
            State::Warning
        );
        assert_eq!(nodes(&status(vec![])).state, State::Failed);
        let sick = status(vec![
            node("live", ours),
            node("live", ours),
            node("dead", ours),
        ]);
        assert_eq!(nodes(&sick).state, State::Warning);
        let (store, coordinator) = good();
        let told = [inspected(store, coordinator)];
        assert_eq!(versions(&told, Some(&whole)).unwrap().state, State::Good);
        let mixed = status(vec![node("live", "9.9.9")]);
        assert_eq!(versions(&told, Some(&mixed)).unwrap().state, State::Warning);
        assert!(versions(&[], None).is_none());
    }
}
