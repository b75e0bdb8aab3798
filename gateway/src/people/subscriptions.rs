//! Who is told of what.
//!
//! Comes in: who asks, and for what. Goes out: subscriptions as the leader and the store have them. It
//! must never show an address that may hold a secret, one to somebody who neither made it nor answers
//! for its dataset, or let anybody but an operator have everything told, or name a secret.

use assay_answers::facts::{Answer, Cut};
use assay_answers::notice::{Subscription, SubscriptionDraft, masked, without};
use assay_answers::{List, Problem, Reader, Role, Told};
use assay_model::ids::DatasetId;
use assay_model::notice::{self, id_in};
use assay_proto::convert::{self, WireError, opt_time, time};
use assay_proto::v1;
use uuid::Uuid;

use super::{away, or_none, unreadable};
use crate::api::Api;
use crate::memory::{Found, Good, Key, Source};
use crate::problem::{FORBIDDEN, Miss, no};
use crate::reads::{BRIEF, page};
use crate::rights::Action;

/// The names of subscriptions that are made under a key.
const NAMES: Uuid = Uuid::from_u128(0x2b8e_41d7_90c3_4f6a_8a15_e3d2_5c74_b9f0);

/// The id of the subscription that `who` makes under `key`, the same at every gateway; without a key
/// none is chosen.
fn id_of(who: &Reader, key: &str) -> String {
    if key.is_empty() {
        return String::new();
    }
    let name = format!("{}\u{0}{key}", who.id);
    notice::shown_as("sub", Uuid::new_v5(&NAMES, name.as_bytes()))
}

/// What is done to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Pause,
    Resume,
    Remove,
}

impl Turn {
    const fn verb(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Remove => "remove",
        }
    }
}

/// Whether `who` made what `by` made: a manager writes down with whose certificate, too.
fn is_by(who: &Reader, by: &str) -> bool {
    let by = by.rsplit_once(" (client ").map_or(by, |(by, _)| by);
    who.role != Role::Anonymous && by == who.id
}

/// A subscription as the leader tells it, fit to be shown to `who`.
fn of_wire(who: &Reader, of: v1::Subscription) -> Result<Subscription, WireError> {
    let channel = convert::word("channel", of.channel)?;
    let trouble = without(&of.trouble, channel, &of.target);
    let events = of.events.into_iter();
    let events: Result<_, _> = events.map(|event| convert::word("events", event)).collect();
    Ok(Subscription {
        id: of.id,
        dataset: or_none(of.dataset),
        origin: convert::word("origin", of.origin)?,
        channel,
        target: masked(channel, &of.target),
        secret: or_none(of.secret),
        operator: of.operator,
        severity: convert::word("severity", of.severity)?,
        dimensions: of.dimensions,
        columns: of.columns,
        events: events?,
        paused_by: or_none(of.paused_by),
        mine: is_by(who, &of.created_by),
        created_by: of.created_by,
        created_at: time("created_at", of.created_at)?,
        removed_at: opt_time("removed_at", of.removed_at)?,
        pending: of.pending,
        dead: of.dead,
        trouble: or_none(trouble),
    })
}

fn shown(who: &Reader, of: v1::Subscription) -> Result<Subscription, Problem> {
    of_wire(who, of).map_err(|error| unreadable(&error))
}

impl Api {
    /// Whether `who` may see what somebody is told of: operators all of it, who answers for a dataset
    /// what is of that, and everybody else what they made of what they may read.
    async fn may_see(
        &self,
        who: &Reader,
        dataset: Option<&DatasetId>,
        by: &str,
    ) -> Result<bool, Problem> {
        if who.role == Role::Operator {
            return Ok(true);
        }
        let Some(dataset) = dataset else {
            return Ok(false);
        };
        if !self.may_read(who, dataset).await? {
            return Ok(false);
        }
        // Also by a credential that only reads.
        let writer = Reader {
            writes: true,
            ..who.clone()
        };
        Ok(is_by(who, by) || self.may_of(&writer, Action::Answer, dataset).await?)
    }

    /// The subscriptions that `who` may see, removed ones too.
    pub(super) async fn all_seen(
        &self,
        who: &Reader,
    ) -> Result<Vec<notice::Subscription>, Problem> {
        let all = self.parts.notices.subscriptions(None).await.map_err(away)?;
        let mut seen = Vec::new();
        for one in all {
            if self
                .may_see(who, one.dataset.as_ref(), &one.created_by)
                .await?
            {
                seen.push(one);
            }
        }
        Ok(seen)
    }

    /// A subscription that `who` may see; every other one is answered as none.
    pub(super) async fn seen(
        &self,
        who: &Reader,
        id: &str,
    ) -> Result<notice::Subscription, Problem> {
        let none = || no("subscription", id);
        let uuid = id_in("sub", id).map_err(|_| none())?;
        let all = self.parts.notices.subscriptions(None).await.map_err(away)?;
        let found = all.into_iter().find(|one| one.id == uuid);
        let found = found.filter(|one| one.removed_at.is_none());
        let found = found.ok_or_else(none)?;
        match self
            .may_see(who, found.dataset.as_ref(), &found.created_by)
            .await?
        {
            true => Ok(found),
            false => Err(none()),
        }
    }

    /// The same of one that `who` may change.
    pub(super) async fn turned(
        &self,
        who: &Reader,
        id: &str,
    ) -> Result<notice::Subscription, Problem> {
        let found = self.seen(who, id).await?;
        let may = match &found.dataset {
            Some(dataset) => self.may_of(who, Action::Subscribe, dataset).await?,
            None => self.parts.rights.may(who, Action::Operate, None),
        };
        let what = "you may see this subscription, and not change it";
        if may {
            Ok(found)
        } else {
            Err(FORBIDDEN.because(what))
        }
    }

    /// Subscriptions that `who` may see: of a dataset those for all datasets are among them.
    pub(crate) async fn subscription_list(
        &self,
        who: &Reader,
        dataset: Option<&str>,
        removed: bool,
        cut: &Cut,
    ) -> Answer<List<Subscription>> {
        let of = match dataset {
            None => String::new(),
            Some(id) => {
                let known = self.permitted(who, Action::Read, id).await?;
                known.dataset.id.to_string()
            }
        };
        let found = self.subscribed(&of, removed).await?;
        let mut items = Vec::new();
        for one in found.it.iter() {
            let dataset = match one.dataset.as_str() {
                "" => None,
                // What cannot be named is of nobody's dataset.
                name => match DatasetId::new(name) {
                    Ok(id) => Some(id),
                    Err(_) => continue,
                },
            };
            if self.may_see(who, dataset.as_ref(), &one.created_by).await? {
                items.push(shown(who, one.clone())?);
            }
        }
        Ok(Told {
            it: page(items, cut, |one| one.id.clone())?,
            as_of: found.as_of,
            stale_s: found.stale_s,
        })
    }

    /// The subscriptions of a dataset, or all, as the leader tells them: it looks at every definition
    /// and counts every message for that, and is asked by one for everybody.
    async fn subscribed(
        &self,
        of: &str,
        removed: bool,
    ) -> Result<Found<Vec<v1::Subscription>>, Problem> {
        let (managers, dataset) = (self.parts.managers.clone(), of.to_owned());
        let wish = move |dataset: &str| v1::ListSubscriptionsRequest {
            dataset: dataset.to_owned(),
            with_removed: removed,
        };
        let load = async move {
            let asked = match managers.subscriptions(wish(&dataset)).await {
                // It is defined, and the managers have not heard of it yet: those who are told of all
                // datasets are told of it, too.
                Err(problem) if problem.status == 404 && !dataset.is_empty() => {
                    let all = managers.subscriptions(wish("")).await;
                    all.map(|mut all| {
                        all.retain(|one| one.dataset.is_empty() || one.dataset == dataset);
                        all
                    })
                }
                asked => asked,
            };
            match asked {
                Ok(found) => Ok(found),
                Err(problem) if problem.status == 503 => Err(Miss::Away(problem.detail)),
                Err(problem) => Err(problem.into()),
            }
        };
        let key = match removed {
            true => Key::about_all(format!("subscriptions and removed ones {of}")),
            false => Key::about_all(format!("subscriptions {of}")),
        };
        let good = Good::Since(self.resubscribed_at(), BRIEF);
        let weight = |all: &Vec<v1::Subscription>| {
            let texts = all.iter().map(|one| one.target.len() + one.trouble.len());
            all.len() * 1000 + texts.sum::<usize>()
        };
        self.memory
            .value(Source::Managers, key, good, weight, load)
            .await
    }

    /// One subscription.
    pub(crate) async fn subscription_of(&self, who: &Reader, id: &str) -> Answer<Subscription> {
        let found = self.seen(who, id).await?;
        let of = found.dataset.as_ref().map(ToString::to_string);
        let of = of.unwrap_or_default();
        let all = self.subscribed(&of, false).await?;
        let shown_as = found.shown();
        let one = all.it.iter().find(|one| one.id == shown_as);
        let one = one.ok_or_else(|| no("subscription", id))?;
        Ok(Told {
            it: shown(who, one.clone())?,
            as_of: all.as_of,
            stale_s: all.stale_s,
        })
    }

    /// Tells somebody more; repeats under one `key` are one subscription.
    pub(crate) async fn subscribe(
        &self,
        who: &Reader,
        draft: &SubscriptionDraft,
        key: &str,
    ) -> Result<Subscription, Problem> {
        let operates = self.parts.rights.may(who, Action::Operate, None);
        let dataset = match draft.dataset.as_deref() {
            Some(id) => {
                let known = self.permitted(who, Action::Read, id).await?;
                if !self.may(who, Action::Subscribe, &known.dataset) {
                    let what = "you may read this dataset, and not subscribe to it";
                    return Err(FORBIDDEN.because(what));
                }
                known.dataset.id.to_string()
            }
            None if operates => String::new(),
            None => {
                let what = "name a `dataset`: only operators subscribe to all of them";
                return Err(FORBIDDEN.because(what));
            }
        };
        if draft.secret.is_some() && !operates {
            return Err(FORBIDDEN.because("only operators may name a `secret`"));
        }
        let severity = draft.severity.map(|severity| severity.to_string());
        let wish = v1::AddSubscriptionRequest {
            subscription: Some(v1::Subscription {
                id: id_of(who, key),
                dataset,
                channel: draft.channel.to_string(),
                target: draft.target.clone(),
                secret: draft.secret.clone().unwrap_or_default(),
                operator: draft.operator,
                severity: severity.unwrap_or_default(),
                dimensions: draft.dimensions.clone(),
                columns: draft.columns.clone(),
                events: draft.events.iter().map(ToString::to_string).collect(),
                ..Default::default()
            }),
            by: who.id.clone(),
        };
        let made = self.parts.managers.subscribe(wish).await;
        // Also where its answer was lost it may have been done.
        self.resubscribes();
        shown(who, made?)
    }

    /// Pauses, resumes or removes a subscription.
    pub(crate) async fn turn_subscription(
        &self,
        who: &Reader,
        id: &str,
        turn: Turn,
    ) -> Result<Subscription, Problem> {
        let wish = v1::ChangeSubscriptionRequest {
            id: self.turned(who, id).await?.shown(),
            verb: turn.verb().to_owned(),
            by: who.id.clone(),
        };
        let changed = self.parts.managers.change_subscription(wish).await;
        self.resubscribes();
        shown(who, changed?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_of_who_made_it_by_whatever_gateway() {
        let ada = Reader {
            id: "ada".to_owned(),
            ..Reader::of_this_machine()
        };
        assert!(is_by(&ada, "ada"));
        assert!(is_by(&ada, "ada (client gateway-1)"));
        assert!(!is_by(&ada, "adam"));
        assert!(!is_by(&ada, "bob (client ada)"));
        let nobody = crate::parts::anonymous();
        assert!(!is_by(&nobody, &nobody.id));
    }

    #[test]
    fn a_key_names_one_subscription_of_one_sender() {
        let ada = Reader::of_this_machine();
        let bob = Reader {
            id: "bob".to_owned(),
            ..ada.clone()
        };
        let first = id_of(&ada, "monday");
        assert_eq!(id_of(&ada, "monday"), first);
        assert!(id_in("sub", &first).is_ok(), "{first}");
        assert_ne!(id_of(&ada, "tuesday"), first);
        assert_ne!(id_of(&bob, "monday"), first);
        assert_eq!(id_of(&ada, ""), "");
    }
}
