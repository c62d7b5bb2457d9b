//! Who owns a resource.
//!
//! Used by the diff, the planner, the freshness check before a write, the verification after it, the step that a provider gets,
//! and the sandbox. A resource that is *ours* may be changed and deleted; another resource only becomes ours by `adopt: true`
//! or an import.
//!
//! A resource is ours by its mark, which names the estate, the environment and the address. If the target has no room for a
//! mark, it is ours by the record: the inventory, or a write that was begun and whose end is not known. Earlier marks name no
//! environment; they count, and are rewritten. So does the mark of another address, where the record has moved from there.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diff::is_another;
use crate::model::address::Address;
use crate::model::kind::{Kind, MarkPlace};
use crate::model::mark::{Mark, readable_scope};
use crate::model::resource::{Applied, Present};

/// Who claims a resource, and what they know about it.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    /// The estate and environment, as [`scope`](crate::model::mark::scope) writes them.
    pub scope: &'a str,
    pub kind: &'a Kind,
    pub address: &'a Address,
    /// Addresses that the resource had before.
    pub earlier: &'a [Address],
    /// The inventory's record of this resource: same target, kind and identity.
    pub recorded: Option<&'a Applied>,
    /// Whether a write of it was begun here and its end is not known.
    pub begun: bool,
}

/// Who owns an existing resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Ownership {
    /// Ours, at this address. `outdated` if its mark must be rewritten, because it names no environment.
    Ours {
        outdated: bool,
    },
    /// Ours, at an address that it had before.
    Moved {
        from: Address,
    },
    NotOurs(NotOurs),
}

/// Why an existing resource is not ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "code", rename_all = "camelCase")]
pub enum NotOurs {
    /// It carries no mark.
    Unmarked,
    /// Its kind has no room for a mark, and the inventory does not have it.
    NotOnRecord,
    /// It is recorded, but its mark was removed.
    MarkGone,
    /// It is recorded, but somebody else created the existing resource in its place.
    Another,
    /// It carries the mark of another estate, or of another environment of this one.
    OfOtherEstate {
        /// Estate and environment, as marks name them.
        scope: Arc<str>,
    },
    /// It carries the mark of another address of this estate and environment.
    OfOtherAddress {
        /// The other address.
        address: Address,
    },
}

impl Ownership {
    /// Whether it may be changed and deleted.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Ours { .. } | Self::Moved { .. })
    }
}

/// Determines who owns a resource.
pub fn of(claim: &Claim<'_>, present: &Present) -> Ownership {
    let Claim { scope, kind, address, earlier, recorded, begun } = *claim;
    match &present.mark {
        Some(mark) => match recorded.and_then(|applied| applied.marked.as_deref()) {
            Some(marked) if *marked == mark.address => of_mark(scope, address, std::slice::from_ref(marked), mark),
            _ => of_mark(scope, address, earlier, mark),
        },
        None if kind.mark == MarkPlace::Inventory => match recorded {
            Some(applied) if begun || !is_another(kind, applied, present) => match applied.address == *address {
                true => Ownership::Ours { outdated: false },
                false => Ownership::Moved { from: applied.address.clone() },
            },
            _ if begun => Ownership::Ours { outdated: false },
            Some(_) => Ownership::NotOurs(NotOurs::Another),
            None => Ownership::NotOurs(NotOurs::NotOnRecord),
        },
        // It was made, and the run was cut short before it could be marked.
        None if kind.mark == MarkPlace::TargetAfterwards && begun => Ownership::Ours { outdated: true },
        None => match recorded {
            Some(applied) if kind.mark == MarkPlace::TargetShared => match applied.address == *address {
                true => Ownership::Ours { outdated: true },
                false => Ownership::Moved { from: applied.address.clone() },
            },
            Some(_) => Ownership::NotOurs(NotOurs::MarkGone),
            None => Ownership::NotOurs(NotOurs::Unmarked),
        },
    }
}

/// Determines who owns a resource that is to be deleted. Data is never deleted by the record alone where a mark could tell whose
/// it is: somebody else may have made another resource of that name.
pub fn of_deleted(claim: &Claim<'_>, present: &Present) -> Ownership {
    let is_shared = claim.kind.mark == MarkPlace::TargetShared;
    match of(claim, present) {
        Ownership::Ours { .. } | Ownership::Moved { .. }
            if is_shared && present.mark.is_none() && claim.kind.loses_data_of(&claim.kind.normal(&present.spec)) =>
        {
            Ownership::NotOurs(NotOurs::MarkGone)
        }
        ownership => ownership,
    }
}

/// The ownership by a mark alone.
pub fn of_mark(scope: &str, address: &Address, earlier: &[Address], mark: &Mark) -> Ownership {
    if !mark.is_of(scope) {
        return Ownership::NotOurs(NotOurs::OfOtherEstate { scope: mark.estate.clone() });
    }
    if mark.address == *address {
        return Ownership::Ours { outdated: *mark.estate != *scope };
    }
    if earlier.contains(&mark.address) {
        return Ownership::Moved { from: mark.address.clone() };
    }
    Ownership::NotOurs(NotOurs::OfOtherAddress { address: mark.address.clone() })
}

/// Whether a step may change a resource that carries the mark `current` now. `wanted` is the mark that it carries afterwards;
/// `seen`, for an update, is the mark that the plan saw.
pub fn may_change(wanted: &Mark, seen: Option<Option<&Mark>>, current: Option<&Mark>) -> bool {
    let is_ours = current.is_some_and(|mark| mark.is_same_owner(wanted));
    // Adopted, or moved in the estate: what the plan saw is still there.
    let is_as_planned = match (seen, current) {
        (Some(None), None) => true,
        (Some(Some(seen)), Some(current)) => seen.is_same_owner(current),
        _ => false,
    };
    is_ours || is_as_planned
}

impl std::fmt::Display for NotOurs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unmarked => formatter.write_str("it carries no mark"),
            Self::NotOnRecord => formatter.write_str("it is not in the inventory"),
            Self::MarkGone => formatter.write_str("its mark was removed"),
            Self::Another => {
                formatter.write_str("it is another resource of the same name, not the one that Tenantry created")
            }
            Self::OfOtherEstate { scope } => write!(formatter, "it belongs to {}", readable_scope(scope)),
            Self::OfOtherAddress { address } => write!(formatter, "it carries the mark of {address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(scope: &str, address: &str) -> Mark {
        Mark { estate: scope.into(), address: address.parse().expect("an address"), secret_hash: None }
    }

    #[test]
    fn a_mark_tells_whose_a_resource_is() {
        let address: Address = "acme/role".parse().expect("an address");
        let earlier = ["acme/user".parse().expect("an address")];
        let of = |scope: &str, named: &str| of_mark("shop.live", &address, &earlier, &mark(scope, named));
        assert_eq!(of("shop.live", "acme/role"), Ownership::Ours { outdated: false });
        assert_eq!(of("shop", "acme/role"), Ownership::Ours { outdated: true });
        assert_eq!(of("shop.live", "acme/user"), Ownership::Moved { from: earlier[0].clone() });
        let other = mark("shop.live", "acme/else").address;
        assert_eq!(of("shop.live", "acme/else"), Ownership::NotOurs(NotOurs::OfOtherAddress { address: other }));
        for scope in ["shop.test", "bank", "bank.live"] {
            assert_eq!(
                of(scope, "acme/role"),
                Ownership::NotOurs(NotOurs::OfOtherEstate { scope: scope.into() }),
                "{scope}"
            );
        }
    }

    #[test]
    fn a_step_changes_its_own_and_what_the_plan_saw() {
        let wanted = mark("shop.live", "acme/role");
        let (own, old, other) = (wanted.clone(), mark("shop", "acme/role"), mark("shop.test", "acme/role"));
        let moved = mark("shop.live", "acme/user");
        assert!(may_change(&wanted, None, Some(&own)) && may_change(&wanted, None, Some(&old)));
        assert!(!may_change(&wanted, None, Some(&other)) && !may_change(&wanted, None, None));
        assert!(may_change(&wanted, Some(None), None), "adopted");
        assert!(may_change(&wanted, Some(Some(&moved)), Some(&moved)), "moved");
        assert!(!may_change(&wanted, Some(None), Some(&moved)), "marked by another since");
        assert!(!may_change(&wanted, Some(Some(&moved)), None), "its mark is gone since");
    }
}
