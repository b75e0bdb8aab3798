//! What is round every page: its title, where one is, how old it is, and how to get the same
//! elsewhere.

use assay_answers::{Reader, Role, Told};
use jiff::Timestamp;

use crate::html::part;
use crate::request::{Asked, Door};

/// The part of the menu that a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The overview.
    Overview,
    /// Datasets and all about one.
    Datasets,
    /// Runs and tasks.
    Runs,
    /// Incidents.
    Incidents,
    /// Data nodes.
    Nodes,
    /// The cluster.
    Cluster,
    /// Who is told.
    Subscriptions,
    /// The API.
    Api,
    /// Settings.
    Settings,
}

/// The menu.
pub const MENU: [(Section, &str, &str); 9] = [
    (Section::Overview, "/", "Overview"),
    (Section::Datasets, "/datasets", "Datasets"),
    (Section::Incidents, "/incidents", "Incidents"),
    (Section::Runs, "/runs", "Runs"),
    (Section::Nodes, "/nodes", "Nodes"),
    (Section::Cluster, "/cluster", "Cluster"),
    (Section::Subscriptions, "/subscriptions", "Subscriptions"),
    (Section::Api, "/api/docs", "API"),
    (Section::Settings, "/settings", "Settings"),
];

/// Who asks, what, and when.
#[derive(Debug, Clone, Copy)]
pub struct Cx<'a> {
    /// What is asked.
    pub asked: &'a Asked,
    /// Who asks.
    pub who: &'a Reader,
    /// The instant of the request.
    pub now: Timestamp,
    /// Whether the store does not answer.
    pub away: bool,
}

/// A page's surroundings.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The title.
    pub title: String,
    /// Its place in the menu.
    pub section: Section,
    /// Pages above it: name and path.
    pub crumbs: Vec<(String, String)>,
    /// The instant of the request.
    pub now: Timestamp,
    /// Who is served, in words; empty where that is not told.
    pub who: String,
    /// By what door they came in.
    pub door: Door,
    /// The oldest instant at which something on the page was read.
    pub as_of: Option<Timestamp>,
    /// Seconds since what is shown could last be confirmed, where that is not so now.
    pub stale_s: Option<u64>,
    /// Whether that is because the store does not answer, and not only because an answer is late.
    pub away: bool,
    /// The call of the API that gives the same.
    pub api: String,
    /// The command that gives the same.
    pub cli: String,
    /// The stream of events that says when to look again.
    pub live: Option<String>,
    /// Seconds after which to look again.
    pub poll_s: Option<u32>,
    /// What was just done.
    pub notice: Option<&'static str>,
    /// What tells the files of this build.
    pub build: String,
}

impl Frame {
    /// The surroundings of a page.
    #[must_use]
    pub fn new(cx: &Cx<'_>, title: impl Into<String>, section: Section) -> Self {
        let role = match cx.who.role {
            Role::Anonymous => "anonymous",
            Role::Subscriber => "subscriber",
            Role::Owner => "owner",
            Role::Operator => "operator",
        };
        Self {
            title: title.into(),
            section,
            crumbs: Vec::new(),
            now: cx.now,
            who: match cx.who.id.as_str() {
                "" => String::new(),
                id => format!("{id} · {role}"),
            },
            door: cx.asked.door,
            as_of: None,
            stale_s: None,
            away: cx.away,
            api: String::new(),
            cli: String::new(),
            live: None,
            poll_s: None,
            notice: cx.asked.q("done").and_then(notice),
            build: crate::reply::build(),
        }
    }

    /// Adds a page above.
    #[must_use]
    pub fn crumb(mut self, name: impl Into<String>, path: impl Into<String>) -> Self {
        self.crumbs.push((name.into(), path.into()));
        self
    }

    /// Says how the API and the command give the same.
    #[must_use]
    pub fn same(mut self, api: impl Into<String>, cli: impl Into<String>) -> Self {
        self.api = api.into();
        self.cli = cli.into();
        self
    }

    /// Looks again every so many seconds.
    #[must_use]
    pub fn poll(mut self, seconds: u32) -> Self {
        self.poll_s = Some(seconds);
        self
    }

    /// Takes an answer, and the age of the oldest of all for the page.
    pub fn take<T>(&mut self, told: Told<T>) -> T {
        let Told { it, as_of, stale_s } = told;
        self.as_of = Some(self.as_of.map_or(as_of, |at| at.min(as_of)));
        self.stale_s = self.stale_s.max(stale_s);
        it
    }

    /// Whether a page of the menu is this one's.
    #[must_use]
    pub fn is_in(&self, section: &Section) -> bool {
        self.section == *section
    }

    /// Whether they came in by this door.
    #[must_use]
    pub fn is_by(&self, door: Door) -> bool {
        self.door == door
    }

    /// How long ago the page could last be confirmed, in words.
    #[must_use]
    pub fn stale_words(&self) -> String {
        crate::words::duration_ms(self.stale_s.unwrap_or(0).saturating_mul(1000))
    }
}

/// What was just done, by the word that a redirect carries: no other text of a link is ever shown.
fn notice(word: &str) -> Option<&'static str> {
    Some(match word {
        "run" => "The run was started.",
        "run-existed" => "A run was started by this form before: it is this one.",
        "cancelled" => "The run was asked to stop.",
        "retried" => "Tasks that did not succeed are ready again.",
        "registered" => "The definition is registered.",
        "unchanged" => "The definition is as it was: nothing was changed.",
        "drained" => "The node finishes what it has and takes nothing new.",
        "uncordoned" => "The node takes tasks again.",
        "scaled" => "The bounds of the fleet are set.",
        "kept" => {
            "Your answer is kept. It holds from the next judgement on; earlier verdicts stay as they are."
        }
        "withdrawn" => "Your answer is withdrawn. It stays on record.",
        "acknowledged" => "The incident is acknowledged.",
        "muted" => "The incident is muted.",
        "resolved" => "The incident is resolved.",
        "noted" => "The note is kept.",
        "tested" => "A test was sent.",
        "again" => "The message is sent again.",
        _ => return None,
    })
}

/// The path of a dataset, or of a page under it.
#[must_use]
pub fn dataset_path(dataset: &str, below: &str) -> String {
    format!("/datasets/{}{below}", part(dataset))
}

/// The path of a check.
#[must_use]
pub fn check_path(dataset: &str, check: &str) -> String {
    format!("/datasets/{}/checks/{}", part(dataset), part(check))
}

/// The path of a metric.
#[must_use]
pub fn metric_path(dataset: &str, metric: &str) -> String {
    format!("/datasets/{}/metrics/{}", part(dataset), part(metric))
}

/// A word of a command, quoted where a shell would take it apart.
#[must_use]
pub fn sh(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_command_stay_one_word() {
        assert_eq!(sh("orders"), "orders");
        assert_eq!(sh("sum(amount)"), "'sum(amount)'");
        assert_eq!(sh("a'; rm -rf /"), "'a'\\''; rm -rf /'");
        assert_eq!(sh(""), "''");
    }

    #[test]
    fn a_link_cannot_put_words_on_a_page() {
        assert_eq!(notice("run"), Some("The run was started."));
        assert_eq!(notice("You have been hacked"), None);
    }

    #[test]
    fn paths_keep_hostile_names_in_their_part() {
        assert_eq!(
            check_path("orders", "a/../b?c"),
            "/datasets/orders/checks/a%2F..%2Fb%3Fc"
        );
    }
}
