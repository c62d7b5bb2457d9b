//! One change: an address, what is done there, and why.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Place, Reason};
use crate::model::address::Address;
use crate::model::resource::{Applied, Author, Identity, Inventory, TargetName};
use crate::model::value::{Map, Value};

/// What is done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Create,
    Update,
    /// Delete and create, because a field changes that cannot change on a live resource.
    Replace,
    Delete,
    /// Take over a resource that carries no mark.
    Adopt,
    /// Mark it with its new address; nothing else changes.
    Move,
    /// Remove it from the inventory; it is already gone.
    Forget,
}

impl Action {
    /// Every action, in the order in which they are counted.
    pub const ALL: [Self; 7] =
        [Self::Create, Self::Update, Self::Replace, Self::Delete, Self::Adopt, Self::Move, Self::Forget];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Adopt => "adopt",
            Self::Move => "move",
            Self::Forget => "forget",
        }
    }

    /// Whether an existing resource is destroyed.
    pub fn destroys(self) -> bool {
        matches!(self, Self::Delete | Self::Replace)
    }
}

/// Who caused the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The repository changed: desired differs from applied.
    Pending,
    /// The target changed: observed differs from applied.
    Drift,
    Both,
    /// An earlier run began it and did not finish it: caused by Tenantry, not drift.
    Unfinished,
}

impl Cause {
    /// Whether somebody changed the target.
    pub fn is_drift(self) -> bool {
        matches!(self, Self::Drift | Self::Both)
    }
}

/// One address with an action.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub address: Address,
    pub kind: Arc<str>,
    pub target: TargetName,
    pub work: Work,
    pub cause: Cause,
    pub reason: Reason,
    /// Pointers whose values are masked.
    pub sensitive: Vec<Arc<str>>,
    pub depends_on: Vec<Address>,
    pub protected: bool,
    /// Whether its owner may be without it.
    pub optional: bool,
    pub loses_data: bool,
    /// What else the target destroys when it deletes this, though it is no part of it.
    pub takes_along: Arc<[Arc<str>]>,
    /// Where a user would edit it: file and line.
    pub origin: Option<Place>,
    /// The address it had before.
    pub renamed_from: Option<Address>,
    /// Of the write, counted from 1.
    pub generation: u64,
}

/// An [`Action`] with its data. `before` is the observed spec with only the fields that the estate owns; `after` is the desired
/// spec; an identity is the name in the target.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    Create {
        /// `None` while it is only known after apply.
        identity: Option<Identity>,
        after: Arc<Map>,
    },
    Update {
        identity: Identity,
        before: Arc<Map>,
        after: Arc<Map>,
        /// Empty if only the inventory or the mark is updated.
        fields: Vec<FieldChange>,
    },
    Replace {
        /// Of the new resource. `None` while it is only known after apply.
        identity: Option<Identity>,
        /// If the name changes: the identity of the old resource, which is deleted after the new one is created.
        old: Option<Identity>,
        before: Arc<Map>,
        after: Arc<Map>,
        fields: Vec<FieldChange>,
    },
    Delete {
        identity: Identity,
        before: Arc<Map>,
    },
    Adopt {
        identity: Identity,
        before: Arc<Map>,
        after: Arc<Map>,
        fields: Vec<FieldChange>,
    },
    Move {
        identity: Identity,
        before: Arc<Map>,
        after: Arc<Map>,
    },
    Forget {
        identity: Identity,
    },
}

impl Work {
    pub fn action(&self) -> Action {
        match self {
            Self::Create { .. } => Action::Create,
            Self::Update { .. } => Action::Update,
            Self::Replace { .. } => Action::Replace,
            Self::Delete { .. } => Action::Delete,
            Self::Adopt { .. } => Action::Adopt,
            Self::Move { .. } => Action::Move,
            Self::Forget { .. } => Action::Forget,
        }
    }

    /// The identity of the resource after the change, or of the one that is deleted. `None` while it is only known after apply.
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Create { identity, .. } | Self::Replace { identity, .. } => identity.as_ref(),
            Self::Update { identity, .. }
            | Self::Delete { identity, .. }
            | Self::Adopt { identity, .. }
            | Self::Move { identity, .. }
            | Self::Forget { identity } => Some(identity),
        }
    }

    /// For a replacement whose name changes: the identity of the old resource.
    pub fn replaces(&self) -> Option<&Identity> {
        match self {
            Self::Replace { old, .. } => old.as_ref(),
            _ => None,
        }
    }

    /// The observed spec; `None` for a creation, or if only the record is removed.
    pub fn before(&self) -> Option<&Arc<Map>> {
        match self {
            Self::Update { before, .. }
            | Self::Replace { before, .. }
            | Self::Delete { before, .. }
            | Self::Adopt { before, .. }
            | Self::Move { before, .. } => Some(before),
            Self::Create { .. } | Self::Forget { .. } => None,
        }
    }

    /// The desired spec; `None` for a deletion, or if only the record is removed.
    pub fn after(&self) -> Option<&Arc<Map>> {
        match self {
            Self::Create { after, .. }
            | Self::Update { after, .. }
            | Self::Replace { after, .. }
            | Self::Adopt { after, .. }
            | Self::Move { after, .. } => Some(after),
            Self::Delete { .. } | Self::Forget { .. } => None,
        }
    }

    /// The fields that differ in an existing resource.
    pub fn fields(&self) -> &[FieldChange] {
        match self {
            Self::Update { fields, .. } | Self::Replace { fields, .. } | Self::Adopt { fields, .. } => fields,
            Self::Create { .. } | Self::Delete { .. } | Self::Move { .. } | Self::Forget { .. } => &[],
        }
    }
}

impl Change {
    pub fn action(&self) -> Action {
        self.work.action()
    }

    /// The inventory's record of the changed resource, or else the record at its address.
    pub fn record<'i>(&self, inventory: &'i Inventory) -> Option<&'i Applied> {
        let records =
            || std::iter::once(&self.address).chain(&self.renamed_from).filter_map(|address| inventory.get(address));
        let is_it = |applied: &&Applied| {
            applied.target == self.target
                && applied.kind == self.kind
                && Some(&applied.identity) == self.work.identity()
        };
        records().find(is_it).or_else(|| records().next())
    }

    /// Whether only the inventory is updated and the target does not change.
    pub fn is_only_record(&self) -> bool {
        self.renamed_from.is_none() && self.reason == Reason::RecordOutdated
    }
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldChange {
    /// JSON pointer in the spec.
    pub path: Arc<str>,
    /// `None` if the field does not exist.
    pub before: Option<Value>,
    /// `None` if the field is removed.
    pub after: Option<Value>,
    /// Whether the target changed since it was applied, and not the repository alone.
    pub outside: bool,
    /// Who changed the target, if the target tells.
    pub by: Option<Author>,
    /// What the target will have there though the field is removed, if the target tells: a default, or what somebody else keeps.
    pub becomes: Option<Value>,
}
