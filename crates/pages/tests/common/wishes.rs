//! What the world answers to wishes, and to what pages ask besides.

use assay_answers::cluster::Scale;
use assay_answers::definition::{Applied, Diff, DiffLine, LineKind, Validation};
use assay_answers::facts::Match;
use assay_answers::problem::Diagnostic;
use assay_answers::run::{Done, StartRun, Started};
use assay_answers::{Deeds, Problem, Reader};
use assay_pages::seams::{
    Answering, Backtest, Change, Incidents, Kept, Message, Said, Saying, Setting, Settings,
    Subscription, Subscriptions,
};
use async_trait::async_trait;

use super::state::{World, missing, problem};
use super::world::{LIVE_RUN, hours_ago};

pub fn diagnostic() -> Diagnostic {
    Diagnostic {
        code: "ASY014".to_owned(),
        level: "error".to_owned(),
        file: "datasets/refunds.odcs.yaml".to_owned(),
        line: 4,
        column: 13,
        path: "schema[0].quality[1]".to_owned(),
        message: "unknown operator `mustBeLessThen`".to_owned(),
        hint: Some("did you mean `mustBeLessThan`?".to_owned()),
    }
}

#[async_trait]
impl Deeds for World {
    async fn validate(&self, _: &Reader, text: &str) -> Result<Validation, Problem> {
        let bad = text.contains("mustBeLessThen");
        let id = text
            .lines()
            .find_map(|line| line.strip_prefix("id: "))
            .map(str::to_owned);
        Ok(Validation {
            valid: !bad,
            id,
            version: Some("1.3.0".to_owned()),
            checks: 3,
            diagnostics: if bad { vec![diagnostic()] } else { Vec::new() },
        })
    }

    async fn apply(
        &self,
        _: &Reader,
        dataset: &str,
        text: &str,
        condition: &Match,
        dry_run: bool,
    ) -> Result<Applied, Problem> {
        let exists = self.known(dataset).is_ok();
        match condition {
            Match::Absent if exists => {
                return Err(problem(
                    412,
                    "precondition-failed",
                    "It is defined already",
                    "orders is defined.",
                ));
            }
            Match::Digest(digest) if digest != "591785b7" => {
                return Err(problem(
                    412,
                    "precondition-failed",
                    "It was changed",
                    "Somebody was faster.",
                ));
            }
            _ => {}
        }
        self.wish(format!(
            "apply {dataset} dry_run={dry_run} lines={}",
            text.lines().count()
        ));
        Ok(Applied {
            id: dataset.to_owned(),
            done: if exists { "changed" } else { "created" }.to_owned(),
            dry_run,
            digest: "x".to_owned(),
            diff: Diff {
                judges_differently: exists,
                lines: vec![DiffLine {
                    kind: LineKind::Added,
                    before: None,
                    after: Some(5),
                    text: "name: Orders".to_owned(),
                }],
                ..Diff::default()
            },
            warnings: Vec::new(),
        })
    }

    async fn retire(&self, _: &Reader, _: &str, _: &Match) -> Result<Applied, Problem> {
        Err(missing())
    }

    async fn start_run(
        &self,
        _: &Reader,
        dataset: &str,
        what: &StartRun,
        key: &str,
    ) -> Result<Started, Problem> {
        self.known(dataset)?;
        let words = format!(
            "start {dataset} days={:?} backfill={} key={key}",
            what.last_days, what.backfill
        );
        let existed = self.wishes.lock().unwrap().contains(&words);
        self.wish(words);
        Ok(Started {
            run_id: LIVE_RUN.to_owned(),
            existed,
        })
    }

    async fn cancel_run(&self, _: &Reader, run: &str, reason: &str) -> Result<Done, Problem> {
        self.wish(format!("cancel {run}: {reason}"));
        Ok(Done {
            id: run.to_owned(),
            done: "cancelled".to_owned(),
        })
    }

    async fn retry_run(&self, _: &Reader, run: &str) -> Result<Done, Problem> {
        self.wish(format!("retry {run}"));
        Ok(Done {
            id: run.to_owned(),
            done: "retried".to_owned(),
        })
    }

    async fn drain_node(&self, _: &Reader, node: &str, reason: &str) -> Result<Done, Problem> {
        self.wish(format!("drain {node}: {reason}"));
        Ok(Done {
            id: node.to_owned(),
            done: "draining".to_owned(),
        })
    }

    async fn uncordon_node(&self, _: &Reader, node: &str) -> Result<Done, Problem> {
        self.wish(format!("uncordon {node}"));
        Ok(Done {
            id: node.to_owned(),
            done: "live".to_owned(),
        })
    }

    async fn scale(&self, _: &Reader, bounds: Scale) -> Result<Scale, Problem> {
        self.wish(format!("scale {}..{}", bounds.min, bounds.max));
        Ok(bounds)
    }
}

#[async_trait]
impl Answering for World {
    async fn backtest(&self, _: &Reader, _: &Said) -> Result<Backtest, Problem> {
        Ok(Backtest {
            partitions: 90,
            before: (80..84).map(|day| self.names.key(day)).collect(),
            after: vec![self.names.key(70)],
            note: None,
        })
    }

    async fn keep(&self, _: &Reader, said: &Said, key: &str) -> Result<Kept, Problem> {
        self.wish(format!(
            "keep {} {}..{} key={key}",
            said.saying.as_str(),
            said.from,
            said.to
        ));
        Ok(self
            .kept(&Reader::of_this_machine(), "", "")
            .await?
            .remove(0))
    }

    async fn kept(&self, _: &Reader, _: &str, _: &str) -> Result<Vec<Kept>, Problem> {
        let said = Said {
            saying: Saying::ExcludeWindow,
            dataset: self.names.dataset.clone(),
            check: self.names.check.clone(),
            from: self.names.key(20),
            to: self.names.key(22),
            why: self.names.message.clone(),
        };
        Ok(vec![Kept {
            id: "fb_1".to_owned(),
            said,
            by: "ada@acme.example".to_owned(),
            at: hours_ago(700),
            withdrawn_at: None,
        }])
    }

    async fn withdraw(
        &self,
        _: &Reader,
        dataset: &str,
        id: &str,
        why: &str,
    ) -> Result<(), Problem> {
        self.wish(format!("withdraw {id} of {dataset}: {why}"));
        Ok(())
    }
}

#[async_trait]
impl Incidents for World {
    async fn change(&self, _: &Reader, incident: &str, change: &Change) -> Result<(), Problem> {
        self.wish(format!("incident {incident} {change:?}"));
        Ok(())
    }
}

#[async_trait]
impl Subscriptions for World {
    async fn list(&self, _: &Reader) -> Result<Vec<Subscription>, Problem> {
        let one = |id: &str, tool: &str, channel: &str, mine| Subscription {
            id: id.to_owned(),
            dataset: if mine {
                self.names.dataset.clone()
            } else {
                String::new()
            },
            tool: tool.to_owned(),
            channel: channel.to_owned(),
            filter: "errors of every column".to_owned(),
            declared: !mine,
            mine,
            paused: false,
            last: mine.then(|| (hours_ago(3), "delivered".to_owned())),
            dead: u64::from(!mine),
        };
        Ok(if self.empty {
            Vec::new()
        } else {
            vec![
                one("sub_2", "slack", "#orders-quality", false),
                one("sub_1", "webhook", &self.names.message, true),
            ]
        })
    }

    async fn messages(&self, _: &Reader, id: &str, limit: u32) -> Result<Vec<Message>, Problem> {
        let one = |state: &str, error: bool| Message {
            id: format!("dlv_{state}"),
            kind: "opened".to_owned(),
            words: self.names.message.clone(),
            state: state.to_owned(),
            attempts: 3,
            at: hours_ago(5),
            error: error.then(|| self.names.message.clone()),
        };
        if id == "sub_empty" {
            return Ok(Vec::new());
        }
        let mut all = vec![
            one("pending", true),
            one("dead", true),
            one("delivered", false),
        ];
        all.truncate(limit as usize);
        Ok(all)
    }

    async fn again(&self, _: &Reader, id: &str, message: &str) -> Result<(), Problem> {
        self.wish(format!("again {message} to {id}"));
        Ok(())
    }

    async fn test(&self, _: &Reader, id: &str) -> Result<String, Problem> {
        self.wish(format!("test {id}"));
        Ok("delivered".to_owned())
    }
}

impl Settings for World {
    fn settings(&self, _: &Reader) -> Vec<Setting> {
        let one = |name: &str, value: &str, source: &str| Setting {
            name: name.to_owned(),
            value: value.to_owned(),
            source: source.to_owned(),
        };
        vec![
            one("server.port", "8080", "built in"),
            one(
                "store.url",
                "postgres://db/assay (secret: env:ASSAY_STORE_PASSWORD)",
                "./assay.toml",
            ),
        ]
    }
}
