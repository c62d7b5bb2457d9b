//! A resource as it is desired, and as it is observed.

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

/// A desired resource.
#[derive(Clone)]
pub struct Desired {
    pub address: Address,
    pub kind: Arc<Kind>,
    pub target: TargetName,
    /// `None` while a field of the identity is only known after apply.
    pub identity: Option<Identity>,
    pub spec: Normal,
    /// Pointers of the spec that the blueprint declares sensitive, besides those of the kind.
    pub sensitive: Arc<[Arc<str>]>,
    /// Deleting it needs an Approval even if no data is lost.
    pub protect: bool,
    /// Whether its owner may be without it.
    pub optional: bool,
    /// An existing resource of this identity that carries no mark is taken over.
    pub adopt: bool,
    /// Addresses that have to exist before this one.
    pub depends_on: Vec<Address>,
    /// Addresses that this resource had before it was renamed.
    pub previously: Vec<Address>,
    /// Where the blueprint declares it.
    pub origin: Origin,
}

/// The observed state of one identity.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    Absent,
    Present(Present),
    /// The read failed, was denied or was truncated.
    Unknown(Unknown),
}

/// A resource that exists.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Present {
    /// The observed spec, normalised; without write-only fields.
    pub spec: Arc<Map>,
    /// `None` if there is none, or if the kind keeps its marks in the inventory.
    pub mark: Option<Mark>,
    pub outputs: Arc<Map>,
    /// Why it exists but is not ready: its processes have not started, or it is being deleted.
    pub pending: Option<Arc<str>>,
    /// Pointers of fields that the target itself records as set by Tenantry (managed fields). They are removed when the
    /// repository no longer names them, even if the inventory does not have them.
    pub claimed: Arc<[Arc<str>]>,
    /// Who last wrote fields that are not as desired, by pointer, if the target tells.
    pub authors: Arc<[(Arc<str>, Author)]>,
    /// Whether a field is as desired but recorded by the target as somebody else's. It is written again so that Tenantry takes
    /// it over; otherwise it would stay when the repository no longer names it.
    pub unclaimed: bool,
    /// A change that the target makes by itself on a later day, such as a price that changes with the next period: reported,
    /// but not waited for.
    pub scheduled: Option<Arc<str>>,
    /// What else the target would destroy with it though it is no part of it, such as a view of another schema; in the
    /// target's own words, sorted. Deleting it needs an Approval that names this.
    pub takes_along: Arc<[Arc<str>]>,
    /// Pointers of maps that the target would replace whole, because they are somebody else's now: a key in one that is not
    /// desired is a difference.
    pub whole: Arc<[Arc<str>]>,
    /// What the target will have in a field that is no longer desired, by pointer, if the target tells: its default, or what
    /// somebody else keeps there.
    pub becomes: Arc<[(Arc<str>, Value)]>,
    /// Why the target would refuse the update that makes it as desired, in its own words and one sentence, if it was asked
    /// without writing anything. It says nothing of a replacement.
    pub refused: Option<Arc<str>>,
    /// The target's own version of what was observed. A writer of the same provider may require this version for its write,
    /// and then need not read the resource again.
    pub version: Option<Arc<str>>,
}

/// Who wrote a field, as the target tells it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Author {
    /// A user, or the name of a program.
    pub name: Arc<str>,
    /// When, as RFC 3339 writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Arc<str>>,
}

/// Everything that one target has of one kind.
#[derive(Clone, Debug, Default)]
pub struct KindObservation {
    /// Every desired identity, and everything else that carries this estate's mark.
    pub resources: std::collections::HashMap<Identity, Observed>,
    /// Why the list of marked resources may have gaps, if it may.
    pub incomplete: Option<Unknown>,
}

/// Observations by target and kind.
pub type Observations = BTreeMap<(TargetName, &'static str), KindObservation>;

impl KindObservation {
    /// The observed state of one identity. Without a result it is unknown, never absent.
    pub fn get(&self, identity: &str) -> Observed {
        self.look(identity).into_owned()
    }

    /// The same as [`Self::get`], borrowed if the target returned a result.
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

/// The type of write that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BegunWrite {
    /// A creation or an update.
    Write,
    /// A replacement, which deletes the old resource first: if it is absent now, this write has deleted it.
    Replace,
    Delete,
}

/// A write that was begun and whose end is not known: a run was interrupted, or the result is in doubt.
#[derive(Clone, Debug, PartialEq)]
pub struct Begun {
    /// The number of the write at its address, counted from 1.
    pub generation: u64,
    pub write: BegunWrite,
    /// What was to be written, as the inventory would have it; `None` for a deletion, or from before this was kept.
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
    /// The address that its mark names, if that is still another one: the record has moved to the address that wants the
    /// resource, and the mark has not followed yet. In a box, because nearly every record has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked: Option<Box<Address>>,
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
    /// The spec that was last written; `None` if the stored text is not a map.
    pub fn spec_value(&self) -> Option<Map> {
        match serde_json::from_str::<Value>(&self.spec) {
            Ok(Value::Map(map)) => Some(Map::clone(&map)),
            _ => None,
        }
    }

    /// One of its outputs, as the target returned it.
    pub fn output(&self, name: &str) -> Option<Value> {
        serde_json::from_str::<Value>(&self.outputs).ok()?.get(name).cloned()
    }

    /// Its outputs, as expressions use them: a one-time secret is a reference, or null if it was never returned.
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
