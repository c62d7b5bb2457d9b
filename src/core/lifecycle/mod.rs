//! The phases of a tenant, the transitions between them, and where in its life a tenant is.

mod life;
mod record;
mod state;
mod waits;

use std::fmt;

pub use life::{ByItself, Kept, Life, Times, lives, record_of};
pub use record::{TenantRecord, TenantRecords};
pub use state::{State, state};
pub use waits::{Waits, waits};

use crate::model::document::Phase;

/// For each phase, the phases that may follow. A tenant may always stay in its phase.
const TRANSITIONS: [(Phase, &[Phase]); 5] = [
    (Phase::Trial, &[Phase::Active, Phase::Suspended, Phase::Deleting]),
    (Phase::Active, &[Phase::Suspended, Phase::Deleting]),
    (Phase::Suspended, &[Phase::Active, Phase::Deleting]),
    (Phase::Deleting, &[Phase::Active, Phase::Deleted]),
    (Phase::Deleted, &[]),
];

impl Phase {
    pub const ALL: [Self; 5] = [Self::Trial, Self::Active, Self::Suspended, Self::Deleting, Self::Deleted];

    /// As documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trial => "trial",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleting => "deleting",
            Self::Deleted => "deleted",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == name)
    }

    /// Whether a tenant in this phase has the price of its tier: until it leaves.
    pub fn pays(self) -> bool {
        !self.leaves()
    }

    /// Whether a tenant in this phase leaves or has left.
    pub fn leaves(self) -> bool {
        matches!(self, Self::Deleting | Self::Deleted)
    }

    /// Whether users of a tenant in this phase are let in.
    pub fn has_access(self) -> bool {
        matches!(self, Self::Trial | Self::Active)
    }

    /// The phases that may follow this one.
    pub fn next(self) -> &'static [Self] {
        TRANSITIONS.iter().find(|(from, _)| *from == self).map_or(&[], |(_, to)| to)
    }

    /// Whether a tenant that was last applied in `from` may be applied in this phase.
    ///
    /// A tenant that was never applied may begin in any phase but `deleting` and `deleted`: there is nothing to delete.
    pub fn may_follow(self, from: Option<Self>) -> bool {
        match from {
            None => !self.leaves(),
            Some(from) => from == self || from.next().contains(&self),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_table_s_transitions_are_allowed() {
        let allowed: Vec<String> = Phase::ALL
            .iter()
            .flat_map(|from| Phase::ALL.iter().map(move |to| (*from, *to)))
            .filter(|(from, to)| from != to && to.may_follow(Some(*from)))
            .map(|(from, to)| format!("{}→{}", from.as_str(), to.as_str()))
            .collect();
        assert_eq!(
            allowed.join(" "),
            "trial→active trial→suspended trial→deleting active→suspended active→deleting suspended→active \
             suspended→deleting deleting→active deleting→deleted"
        );
    }

    #[test]
    fn nobody_begins_at_the_end() {
        assert!(Phase::Trial.may_follow(None) && Phase::Suspended.may_follow(None));
        assert!(!Phase::Deleting.may_follow(None) && !Phase::Deleted.may_follow(None));
        assert!(Phase::Deleted.may_follow(Some(Phase::Deleted)));
    }
}
