//! A resource as the repository asks for it, and as the target answers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::address::Address;
use super::kind::Kind;
use super::mark::Mark;
use super::normal::Normal;
use super::secret::SecretReference;
pub use super::text::{Identity, TargetName};
use super::unknown::Unknown;
use super::value::{Deferred, Map, Part, Value};
use crate::collections::IndexMap;
use crate::diagnostics::Origin;

/// A resource that the repository asks for.
#[derive(Clone)]
pub struct Desired {
    pub address: Address,
    pub kind: Arc<Kind>,
    pub target: TargetName,
    /// Nothing while a field of the identity is only known after apply.
    pub identity: Option<Identity>,
    pub spec: Normal,
    /// Pointers of the spec that the blueprint declares sensitive, besides those of the kind.
    pub sensitive: Arc<[Arc<str>]>,
    /// Deleting needs an Approval even where no data is lost.
    pub protect: bool,
    /// A resource of this identity that carries no mark is taken over.
    pub adopt: bool,
    /// Addresses that have to exist before this one.
    pub depends_on: Vec<Address>,
    /// Addresses that this resource had before it was renamed.
    pub previously: Vec<Address>,
    /// Where the blueprint declares it.
    pub origin: Origin,
}

/// What a target answers for one identity.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    Absent,
    Present(Present),
    /// It could not be told: a failed, denied or truncated read.
    Unknown(Unknown),
}

/// A resource that exists.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Present {
    /// As the target has it, normalised; without write-only fields.
    pub spec: Arc<Map>,
    /// Nothing if there is none, or if the kind keeps its marks in the inventory.
    pub mark: Option<Mark>,
    pub outputs: Arc<Map>,
    /// Why it is not ready yet, although it is there: what it runs has not started, or it is still being deleted.
    pub pending: Option<Arc<str>>,
    /// Pointers of fields that the target itself says Tenantry set, where it keeps such a record (managed fields): given up
    /// once the repository no longer names them, whatever the inventory knows.
    pub claimed: Arc<[Arc<str>]>,
    /// Whether the target's own record has a field that is as desired, and not as Tenantry's: somebody else wrote it first. It
    /// is written once more and so becomes Tenantry's, without which it would stay once the repository no longer names it.
    pub unclaimed: bool,
    /// What becomes of it by itself at a later day, such as a price that changes with the next period: told, and not waited
    /// for.
    pub scheduled: Option<Arc<str>>,
}

/// All that one target answers for one kind.
#[derive(Clone, Debug, Default)]
pub struct KindObservation {
    /// Every wanted identity, and everything else that carries this estate's mark.
    pub resources: std::collections::HashMap<Identity, Observed>,
    /// Why the list of marked resources may have gaps, if it may.
    pub incomplete: Option<Unknown>,
}

/// Observations by target and kind.
pub type Observations = BTreeMap<(TargetName, &'static str), KindObservation>;

impl KindObservation {
    /// What is known of one identity. What was not answered is unknown, never absent.
    pub fn get(&self, identity: &str) -> Observed {
        self.look(identity).into_owned()
    }

    /// The same as [`Self::get`], borrowed where the target gave an answer.
    pub fn look(&self, identity: &str) -> Cow<'_, Observed> {
        match (self.resources.get(identity), &self.incomplete) {
            (Some(observed), _) => Cow::Borrowed(observed),
            (None, Some(reason)) => Cow::Owned(Observed::Unknown(reason.clone())),
            (None, None) => Cow::Owned(Observed::Unknown(Unknown::NoAnswer)),
        }
    }

    /// An observation that failed as a whole.
    pub fn unknown(reason: impl Into<Unknown>) -> Self {
        Self { resources: std::collections::HashMap::default(), incomplete: Some(reason.into()) }
    }
}

/// What sort of write was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BegunWrite {
    /// Of something new or something that stays.
    Write,
    /// Of something in the place of what goes first: what is absent now was deleted by that very write.
    Replace,
    Delete,
}

/// A write that was begun and never seen to end: a run was interrupted, or the answer is in doubt.
#[derive(Clone, Debug, PartialEq)]
pub struct Begun {
    /// Which write it was at its address, counted from 1.
    pub generation: u64,
    pub write: BegunWrite,
    /// What was to be written, as the inventory would have it; nothing of a deletion, or from before this was kept.
    pub spec: Option<Arc<str>>,
}

/// What was last written at each address, in order of address.
pub type Inventory = IndexMap<Address, Applied>;

/// What the inventory holds of an address: what was last written there.
///
/// Fields are in order of their name in JSON, as the journal has them.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    pub address: Address,
    /// The addresses it was written after, so that it can be deleted before them.
    pub depends_on: Vec<Address>,
    /// Counts the writes at this address; part of every idempotency key.
    pub generation: u64,
    pub identity: Identity,
    pub kind: Arc<str>,
    /// Outputs as JSON text.
    pub outputs: Arc<str>,
    /// Whether the blueprint asked for protection when it was written, for when the blueprint no longer says.
    pub protect: bool,
    /// The spec as JSON text, secrets as references. Text, because it is only looked into where something differs.
    pub spec: Arc<str>,
    pub target: TargetName,
}

impl Begun {
    /// The spec that was to be written.
    pub fn spec_value(&self) -> Option<Map> {
        match serde_json::from_str::<Value>(self.spec.as_deref()?) {
            Ok(Value::Map(map)) => Some(Map::clone(&map)),
            _ => None,
        }
    }
}

impl Applied {
    /// The spec that was last written; nothing if the stored text is not a map.
    pub fn spec_value(&self) -> Option<Map> {
        match serde_json::from_str::<Value>(&self.spec) {
            Ok(Value::Map(map)) => Some(Map::clone(&map)),
            _ => None,
        }
    }

    /// One of its outputs, as it was told.
    pub fn output(&self, name: &str) -> Option<Value> {
        serde_json::from_str::<Value>(&self.outputs).ok()?.get(name).cloned()
    }

    /// What the target told of it, as expressions use it: a captured secret is a reference, and null where it was never told.
    pub fn outputs_value(&self, kind: Option<&Kind>) -> Option<Map> {
        if &*self.outputs == "{}" {
            return None;
        }
        let Ok(Value::Map(outputs)) = serde_json::from_str::<Value>(&self.outputs) else { return None };
        let captures = kind.and_then(|kind| Some(kind.captures_of(&self.spec_value()?))).unwrap_or_default();
        let is_captured = |name: &str| captures.iter().any(|capture| capture.name == name);
        let read = |name: &str, value: &Value| match value.as_str().filter(|_| is_captured(name)) {
            Some(text) => SecretReference::from_text(text).map_or(Value::Null, |reference| {
                Value::Deferred(Arc::new(Deferred { parts: vec![Part::Secret(reference)] }))
            }),
            None => value.clone(),
        };
        Some(outputs.iter().map(|(name, value)| (name.clone(), read(name, value))).collect())
    }
}
