//! A plan: every change in order, what is blocked, and every finding.
//!
//! Made by [`build`](build::build) from what is desired, observed and applied. A plan is a value: it can be rendered,
//! saved, read back ([`json`]) and applied exactly. It holds no secret, only references.

pub mod build;
mod change;
mod draft;
mod from_verdict;
mod hindrance;
pub mod json;
pub mod passes;
mod reason;
pub mod sensitive;
mod task;
#[cfg(test)]
mod tests;
pub mod waves;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::diagnostics::{Code, Severity};
use super::fingerprint::Fingerprint;
use super::lifecycle::ByItself;
use super::model::address::{Address, Owner};
use super::model::document::{LegalHold, Phase, Price, TenantSpec, Terms};
use super::model::resource::{Identity, TargetName};
use super::model::value::Value;
pub use change::{Action, Cause, Change, FieldChange, Work};
pub use hindrance::Hindrance;
pub use reason::Reason;
pub use task::{Task, TaskId};
pub use waves::Wave;

/// Version of the saved form. A reader refuses every other.
pub const FORMAT_VERSION: u32 = 2;

/// What to do, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub estate: Arc<str>,
    pub environment: Option<Arc<str>>,
    pub revision: Option<Arc<str>>,
    /// RFC 3339. Not part of the digest.
    pub created_at: Arc<str>,
    /// Whether every target is simulated.
    pub simulated: bool,
    /// In order of execution within each owner; deletions last and in reverse.
    pub changes: Vec<Change>,
    pub blocked: Vec<Blocked>,
    pub findings: Vec<Finding>,
    /// Tenants whose phase, tier or price changes, or is applied for the first time.
    pub transitions: Vec<Transition>,
    /// Tenants whose data is kept although they leave, and those under a legal hold, in order of name.
    pub retained: Vec<Retained>,
    /// Tenants whose bill shrinks with their phase: it changes first, whatever happens to their other resources.
    pub shrinking: BTreeSet<Arc<str>>,
    /// Records that move to the address that wants their resource, all at once and before anything is written, because
    /// another resource is about to be recorded where they are.
    pub record_moves: Vec<RecordMove>,
    /// The Approvals that were needed, by their names.
    pub approvals: BTreeMap<Arc<str>, Granted>,
    /// The waves that the tenants are changed in, one after the other; all at once if there are none. Owners that are no tenants
    /// are in no wave: what tenants need of them comes first, and what they no longer need goes last.
    pub waves: Vec<Wave>,
    /// What the plan is restricted to; `None` if it is about everything.
    pub narrowed: Option<Narrowing>,
    /// Resources that are as desired.
    pub unchanged: usize,
    /// The fingerprint of each target that returned one when the plan was made.
    pub targets: BTreeMap<TargetName, Fingerprint>,
    /// Whether resources have secrets and the secret store was not read: then it is not known which values changed and which
    /// were lost, and the plan cannot be applied.
    pub secrets_unread: bool,
    /// The head of the store's journal when the plan was made; `None` for a plan without a store.
    pub journal: Option<JournalHead>,
}

/// What an Approval that a plan uses says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Until when it counts: an RFC 3339 time, or a day, which counts to its end in UTC.
    pub expires: Arc<str>,
    /// Why it was given.
    pub reason: Arc<str>,
}

/// What somebody restricted a plan to. Only what fits all of it is planned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Narrowing {
    /// Patterns of tenants' names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<Arc<str>>,
    /// The tier of the tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Arc<str>>,
    /// The revision since which only what can have changed is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_since: Option<Arc<str>>,
}

/// The head of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JournalHead {
    /// The number of entries.
    pub length: u64,
    /// The hash of the last entry, in hexadecimal; zeros before the first.
    pub hash: Arc<str>,
}

/// A file and a line in it, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Place {
    /// Relative to the estate.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: usize,
}

/// An address that is blocked although a change may be needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Blocked {
    pub address: Address,
    /// The kind of resource.
    pub kind: Arc<str>,
    /// The target that it is in.
    pub target: TargetName,
    /// Its name in the target, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The diagnostic code, such as `TY0401`.
    pub code: Arc<str>,
    /// Why.
    pub reason: Hindrance,
}

/// Something a person should know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The diagnostic code, such as `TY0405`.
    pub code: Arc<str>,
    pub severity: Severity,
    /// Whether it is a guard's refusal: then the plan cannot be applied.
    #[serde(default)]
    pub refuses: bool,
    /// The policy that found it; absent for a built-in guard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Arc<str>>,
    /// The resource that it concerns, if it concerns a single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// What was found, in one sentence without a full stop.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Where a user would edit it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Place>,
}

/// A change of a tenant's phase, its tier, or its tier's price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// The tenant's name.
    pub tenant: Arc<str>,
    /// The phase that was applied; absent for a new tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Phase>,
    /// The phase that is asked for.
    pub to: Phase,
    /// The tier and its price when the tenant was last applied; absent for a new tenant, and if the store has no record of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Terms>,
    /// The tier that is asked for, with its price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Terms>,
    /// Since when the tenant is in the phase, as expressions know it; absent if it enters the phase, which is then the time of the
    /// plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub since: Option<Timestamp>,
    /// When it entered the phase; absent if it enters it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub entered: Option<Timestamp>,
    /// What leads to the phase without an edit of the tenant's document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_itself: Option<ByItself>,
    /// When the trial ended that the tenant leaves by itself, or has left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub trial_ended: Option<Timestamp>,
    /// Days that its data is kept, if it is to be in the phase `deleting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// Why it is suspended or leaves, if its document says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// Whether it is on record under an earlier name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renamed: bool,
    /// The resolved tenant without its contacts, where a policy compares tenants with what they were before; not in a masked plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub values: Option<Value>,
}

impl Transition {
    /// Whether the tenant enters another phase.
    pub fn enters(&self) -> bool {
        self.from != Some(self.to)
    }

    /// Whether only the tenant's name is another.
    pub fn is_only_renamed(&self) -> bool {
        self.renamed && !self.enters() && self.before == self.after
    }

    /// The tiers, if the tenant moves from one to another.
    pub fn tiers(&self) -> Option<(&str, &str)> {
        let (before, after) = (self.before.as_ref()?, self.after.as_ref()?);
        (before.tier != after.tier).then_some((&before.tier, &after.tier))
    }

    /// What the tenant's tier costs before and after; nothing where no price is named, and where the tenant pays none in its
    /// phase.
    pub fn prices(&self) -> (Option<&Price>, Option<&Price>) {
        let before = self.before.as_ref().and_then(|terms| terms.price.as_ref());
        let after = self.after.as_ref().and_then(|terms| terms.price.as_ref());
        (before.filter(|_| self.from.is_some_and(Phase::pays)), after.filter(|_| self.to.pays()))
    }
}

/// Why a tenant is suspended or leaves, as its document has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The reason, in a sentence.
    pub reason: Arc<str>,
    /// Who asked for its deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<Arc<str>>,
    /// The contract, law or case that the deletion refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_reference: Option<Arc<str>>,
}

impl Why {
    /// What a tenant's document says of the phase that it asks for.
    pub fn of(spec: &TenantSpec) -> Option<Self> {
        match spec.phase {
            Phase::Suspended => spec.suspension.as_ref().map(|suspension| Self {
                reason: suspension.reason.clone(),
                requested_by: None,
                legal_reference: None,
            }),
            Phase::Deleting | Phase::Deleted => spec.deletion.as_ref().map(|deletion| Self {
                reason: deletion.reason.clone(),
                requested_by: Some(deletion.requested_by.clone()),
                legal_reference: deletion.legal_reference.clone(),
            }),
            Phase::Trial | Phase::Active => None,
        }
    }
}

/// A tenant whose data is kept although it leaves, or that is under a legal hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retained {
    /// The tenant's name.
    pub tenant: Arc<str>,
    /// Days that its data is kept after access has ended; absent if it does not leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// From when on its data may be deleted; absent if it does not leave, or begins to with this plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub due: Option<Timestamp>,
    /// The legal hold that is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<LegalHold>,
    /// What the repository no longer asks for and is kept until then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Address>,
}

/// A record of the inventory that moves to another address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordMove {
    pub from: Address,
    pub to: Address,
    /// The kind of the recorded resource.
    pub kind: Arc<str>,
    /// The target that it is in.
    pub target: TargetName,
    /// Its name in the target.
    pub identity: Identity,
}

/// The counts of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Summary {
    /// Resources to create.
    pub create: usize,
    /// Resources to update.
    pub update: usize,
    /// Resources to delete and create.
    pub replace: usize,
    /// Resources to delete.
    pub delete: usize,
    /// Resources to take over.
    pub adopt: usize,
    /// Resources to mark with a new address.
    #[serde(rename = "move")]
    pub moved: usize,
    /// Addresses to remove from the inventory.
    pub forget: usize,
    /// Resources that are as desired.
    pub unchanged: usize,
    /// Addresses that are blocked.
    pub blocked: usize,
    /// Changes that undo changes made outside Tenantry.
    pub drifted: usize,
}

impl Finding {
    /// A finding that does not prevent an apply.
    pub fn new(code: Code, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            code: code.0.into(),
            severity,
            refuses: false,
            policy: None,
            address: None,
            message: message.into(),
            help: None,
            origin: None,
        }
    }

    /// A guard's refusal.
    pub fn refusal(code: Code, message: impl Into<String>) -> Self {
        Self { refuses: true, ..Self::new(code, Severity::Error, message) }
    }

    /// The message, with the policy that it comes from.
    pub fn sentence(&self) -> Cow<'_, str> {
        match &self.policy {
            Some(policy) => format!("policy `{policy}`: {}", self.message).into(),
            None => self.message.as_str().into(),
        }
    }

    #[must_use]
    pub fn of(mut self, address: &Address) -> Self {
        self.address = Some(address.clone());
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Plan {
    pub fn summary(&self) -> Summary {
        let mut summary = Summary { unchanged: self.unchanged, blocked: self.blocked.len(), ..Summary::default() };
        for change in &self.changes {
            match change.action() {
                Action::Create => summary.create += 1,
                Action::Update => summary.update += 1,
                Action::Replace => summary.replace += 1,
                Action::Delete => summary.delete += 1,
                Action::Adopt => summary.adopt += 1,
                Action::Move => summary.moved += 1,
                Action::Forget => summary.forget += 1,
            }
            summary.drifted += usize::from(change.cause.is_drift());
        }
        summary
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.transitions.is_empty()
    }

    /// Whether a guard refuses it.
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.refuses)
    }

    /// Every owner with a change.
    pub fn owners(&self) -> Vec<Owner> {
        let mut owners: Vec<Owner> = self.changes.iter().map(|change| change.address.owner.clone()).collect();
        // What moves is taken from the owner that had it.
        owners.extend(self.changes.iter().filter_map(|change| Some(change.renamed_from.as_ref()?.owner.clone())));
        owners.extend(self.record_moves.iter().flat_map(|record| [record.from.owner.clone(), record.to.owner.clone()]));
        owners.extend(self.transitions.iter().map(|transition| Owner::Tenant(transition.tenant.clone())));
        owners.sort();
        owners.dedup();
        owners
    }
}
