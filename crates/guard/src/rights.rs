//! What a principal may do: one pure function.
//!
//! Comes in: a principal, what it asks for, and to whom the object belongs. Goes out: a decision. It
//! must never tell somebody that an object exists which is not theirs to see, and never allow an
//! action that no rule here allows.
//!
//! | | public | read | subscribe | change, run, answer | cluster | operate |
//! |---|---|---|---|---|---|---|
//! | operator | yes | yes | yes | yes | yes | yes |
//! | owner, own object | yes | yes | yes | yes | yes | forbidden |
//! | subscriber, of the owner | yes | yes | yes | forbidden | yes | forbidden |
//! | anybody else with a role | yes | hidden | hidden | hidden | yes | forbidden |
//! | anonymous | yes | what its owner shows everybody, else: who are you? | who are you? | who are you? | who are you? | who are you? |
//!
//! A credential of scope `read` allows what reads. Anonymous requests are answered alike whether the
//! object exists or not.

use crate::principal::{Grant, Principal, Scope};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// What the program says of itself: its version, schemas, problems.
    Public,
    /// What is known of datasets: definitions, results, runs, incidents.
    Read,
    /// How the cluster is: nodes, status.
    ReadCluster,
    /// To be told of a dataset, and to note what is known of its incidents.
    Subscribe,
    /// To change a definition, or what is learned from.
    Change,
    /// To start, cancel or retry runs.
    Run,
    /// To acknowledge, mute or resolve incidents.
    Answer,
    /// To drain nodes, scale, read the audit log and the series.
    Operate,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 8] = [
        Self::Public,
        Self::Read,
        Self::ReadCluster,
        Self::Subscribe,
        Self::Change,
        Self::Run,
        Self::Answer,
        Self::Operate,
    ];

    /// Whether it only reads.
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self, Self::Public | Self::Read | Self::ReadCluster)
    }
}

/// To whom an object belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object<'a> {
    /// To no one dataset: a list, the cluster, something that is to be made. What a list shows is
    /// asked for object by object.
    General,
    /// To this owner.
    Owned(&'a str),
    /// To a dataset without an owner: operators', for all to read who read everything.
    Unowned,
}

impl<'a> Object<'a> {
    /// The object of a dataset with this owner.
    #[must_use]
    pub const fn of(owner: Option<&'a str>) -> Self {
        match owner {
            Some(owner) => Self::Owned(owner),
            None => Self::Unowned,
        }
    }
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allowed,
    /// It may not, and is answered as if the object did not exist.
    Hidden,
    /// It may not do this; that there is an object is no secret to it.
    Forbidden,
    /// It may not as long as nobody knows who it is.
    Unidentified,
}

/// Whether `principal` may do `action` to `object`.
#[must_use]
pub fn decide(principal: &Principal, action: Action, object: Object<'_>) -> Decision {
    if action == Action::Public {
        return Decision::Allowed;
    }
    let allowed = may(principal, action, object);
    let writes = principal.scope == Scope::Write && principal.is_known();
    let within_scope = action.reads() || writes;
    if allowed && within_scope {
        return Decision::Allowed;
    }
    if !principal.is_known() {
        return Decision::Unidentified;
    }
    let sees = match object {
        Object::General => true,
        Object::Owned(_) | Object::Unowned => may(principal, Action::Read, object),
    };
    if sees {
        Decision::Forbidden
    } else {
        Decision::Hidden
    }
}

/// Whether any grant allows it, whatever the scope of the credential.
fn may(principal: &Principal, action: Action, object: Object<'_>) -> bool {
    let mut grants = principal.grants.iter();
    grants.any(|grant| match (grant, action) {
        (Grant::Operator, _) | (_, Action::Public) => true,
        (_, Action::Operate) => false,
        (_, Action::ReadCluster) => principal.is_known(),
        (Grant::Owner(name), _) => match object {
            Object::General => true,
            Object::Owned(owner) => owner == name,
            Object::Unowned => false,
        },
        (Grant::Subscriber(of), Action::Read | Action::Subscribe) => match (of, object) {
            (_, Object::General) | (None, Object::Owned(_) | Object::Unowned) => true,
            (Some(name), Object::Owned(owner)) => owner == name,
            (Some(_), Object::Unowned) => false,
        },
        (Grant::Subscriber(_), Action::Change | Action::Run | Action::Answer) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::Decision::{Allowed, Forbidden, Hidden, Unidentified};
    use super::*;
    use crate::principal::Kind;

    fn who(kind: Kind, grants: &[&str], scope: Scope) -> Principal {
        let grants = grants.iter().map(|word| word.parse().unwrap());
        Principal::new("x", kind, grants, scope)
    }

    const OWN: Object<'static> = Object::Owned("payments");
    const OTHER: Object<'static> = Object::Owned("sales");

    /// A row of the table: the decisions for each of [`Action::ALL`] on one object.
    type Row = (&'static [&'static str], Object<'static>, [Decision; 8]);

    const fn writes(read: Decision, subscribe: Decision, write: Decision) -> [Decision; 8] {
        [
            Allowed, read, Allowed, subscribe, write, write, write, Forbidden,
        ]
    }

    const KNOWN: &[Row] = &[
        (&["operator"], OWN, [Allowed; 8]),
        (&["operator"], Object::Unowned, [Allowed; 8]),
        (&["operator"], Object::General, [Allowed; 8]),
        (&["owner:payments"], OWN, writes(Allowed, Allowed, Allowed)),
        (
            &["owner:payments"],
            OTHER,
            [
                Allowed, Hidden, Allowed, Hidden, Hidden, Hidden, Hidden, Hidden,
            ],
        ),
        (
            &["owner:payments"],
            Object::Unowned,
            [
                Allowed, Hidden, Allowed, Hidden, Hidden, Hidden, Hidden, Hidden,
            ],
        ),
        (
            &["owner:payments"],
            Object::General,
            writes(Allowed, Allowed, Allowed),
        ),
        (
            &["subscriber:payments"],
            OWN,
            writes(Allowed, Allowed, Forbidden),
        ),
        (
            &["subscriber:payments"],
            OTHER,
            [
                Allowed, Hidden, Allowed, Hidden, Hidden, Hidden, Hidden, Hidden,
            ],
        ),
        (
            &["subscriber:*"],
            OTHER,
            writes(Allowed, Allowed, Forbidden),
        ),
        (
            &["subscriber:*"],
            Object::Unowned,
            writes(Allowed, Allowed, Forbidden),
        ),
        (
            &["subscriber:*"],
            Object::General,
            writes(Allowed, Allowed, Forbidden),
        ),
        (
            &["owner:payments", "subscriber:*"],
            OTHER,
            writes(Allowed, Allowed, Forbidden),
        ),
        (
            &[],
            OWN,
            [
                Allowed, Hidden, Hidden, Hidden, Hidden, Hidden, Hidden, Hidden,
            ],
        ),
        (
            &[],
            Object::General,
            [
                Allowed, Forbidden, Forbidden, Forbidden, Forbidden, Forbidden, Forbidden,
                Forbidden,
            ],
        ),
    ];

    #[test]
    fn every_role_and_action_is_decided_as_the_table_says() {
        for (grants, object, expected) in KNOWN {
            for kind in [Kind::Token, Kind::Oidc, Kind::Local] {
                let principal = who(kind, grants, Scope::Write);
                let decided = Action::ALL.map(|action| decide(&principal, action, *object));
                assert_eq!(decided, *expected, "{grants:?} on {object:?}");
            }
        }
    }

    #[test]
    fn a_credential_that_reads_changes_nothing_and_hides_what_it_hid() {
        for (grants, object, expected) in KNOWN {
            let principal = who(Kind::Token, grants, Scope::Read);
            for (action, expected) in Action::ALL.into_iter().zip(expected) {
                let decided = decide(&principal, action, *object);
                if action.reads() || *expected != Allowed {
                    assert_eq!(decided, *expected, "{grants:?}, {action:?} on {object:?}");
                } else {
                    assert_eq!(decided, Forbidden, "{grants:?}, {action:?} on {object:?}");
                }
            }
        }
    }

    #[test]
    fn nobody_in_particular_reads_what_its_owner_shows_and_is_asked_for_a_name_otherwise() {
        let shown = who(Kind::Anonymous, &["subscriber:payments"], Scope::Read);
        let none = who(Kind::Anonymous, &[], Scope::Read);
        for action in Action::ALL {
            for object in [OWN, OTHER, Object::Unowned, Object::General] {
                let public = action == Action::Public;
                let read = action == Action::Read && matches!(object, OWN | Object::General);
                let expected = |allowed: bool| if allowed { Allowed } else { Unidentified };
                assert_eq!(decide(&shown, action, object), expected(public || read));
                assert_eq!(decide(&none, action, object), expected(public));
            }
        }
    }

    #[test]
    fn an_anonymous_principal_never_writes_whatever_it_was_granted() {
        let odd = who(Kind::Anonymous, &["operator"], Scope::Write);
        for action in Action::ALL.into_iter().filter(|action| !action.reads()) {
            assert_eq!(decide(&odd, action, Object::General), Unidentified);
        }
    }
}
