//! Who may do what: the one question that stands before every object.
//!
//! Comes in: who asks, what they want, and whose the object is. Goes out: yes or no. It must never
//! be asked after the object was shown, and a «no» to reading is answered as «there is none».

use assay_answers::{Reader, Role};

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// To read what is known of a dataset.
    Read,
    /// To change its definition.
    Define,
    /// To start, stop and retry its runs.
    Run,
    /// To acknowledge, mute or resolve its incidents.
    Answer,
    /// To be told of it, and to note what is known of its incidents.
    Subscribe,
    /// To see the machines of the cluster.
    Look,
    /// To move the machines of the cluster.
    Operate,
}

/// The answer to who may do what.
pub trait Rights: Send + Sync {
    /// Whether `who` may do this with an object of `owner`; the cluster itself has no owner, and
    /// neither has a dataset that names none.
    fn may(&self, who: &Reader, action: Action, owner: Option<&str>) -> bool;
}

/// The rights of roles: operators may do everything, owners what is theirs, and everybody reads what
/// they were granted to read. Nothing is changed by a credential that only reads.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByRole;

impl Rights for ByRole {
    fn may(&self, who: &Reader, action: Action, owner: Option<&str>) -> bool {
        let has = |names: &[String]| owner.is_some_and(|owner| names.iter().any(|n| n == owner));
        let runs_it = who.role == Role::Operator;
        let reads = || {
            let reads_all = who.reads.iter().any(|name| name == "*");
            runs_it || reads_all || has(&who.owners) || has(&who.reads)
        };
        match action {
            Action::Read => reads(),
            Action::Subscribe => who.writes && reads(),
            Action::Define | Action::Run | Action::Answer => {
                who.writes && (runs_it || has(&who.owners))
            }
            Action::Look => who.role != Role::Anonymous,
            Action::Operate => who.writes && runs_it,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_has_what_is_theirs_and_nobody_has_what_is_nobodys() {
        let reader = |role, owners: &[&str], reads: &[&str]| Reader {
            id: "r".to_owned(),
            role,
            owners: owners.iter().map(|o| (*o).to_owned()).collect(),
            reads: reads.iter().map(|o| (*o).to_owned()).collect(),
            writes: role != Role::Anonymous,
        };
        let sales = reader(Role::Owner, &["sales"], &[]);
        use Action::{Answer, Define, Read, Run, Subscribe};
        for action in [Read, Define, Run, Answer, Subscribe] {
            assert!(ByRole.may(&sales, action, Some("sales")));
            assert!(!ByRole.may(&sales, action, Some("finance")));
            assert!(!ByRole.may(&sales, action, None));
            assert!(ByRole.may(&Reader::of_this_machine(), action, None));
        }
        let told = reader(Role::Subscriber, &[], &["*"]);
        assert!(ByRole.may(&told, Action::Read, Some("sales")));
        assert!(!ByRole.may(&told, Action::Run, Some("sales")));
        assert!(!ByRole.may(&told, Action::Answer, Some("sales")));
        assert!(ByRole.may(&told, Action::Subscribe, Some("sales")));
        let looks = Reader {
            writes: false,
            ..told
        };
        assert!(!ByRole.may(&looks, Action::Subscribe, Some("sales")));
        let nobody = reader(Role::Anonymous, &[], &[]);
        assert!(!ByRole.may(&nobody, Action::Read, Some("sales")));
        assert!(!ByRole.may(&nobody, Action::Look, None));
        assert!(!ByRole.may(&sales, Action::Operate, Some("sales")));
    }
}
