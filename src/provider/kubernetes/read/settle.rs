//! What seems to differ, held against what the server would make of it.
//!
//! The comparison is cheap and knows no defaults, webhooks or ways in which a type's fields are merged. The server does: a
//! server-side apply as a dry run answers with the object as it would be. Where that is as it is now, there is no
//! difference; where it is refused, the write would be too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::apply::{Apply, apply};
use crate::conflict;
use crate::discovery::Resource;
use crate::edited::{Edits, edits};
use crate::error::Failure;
use crate::owned::Owned;
use crate::refused::{Changing, told};
use crate::types;
use crate::types::OBJECT;
use crate::version::Version;
use tenantry_core::diff::compare_owned;
use tenantry_core::model::mark::Mark;
use tenantry_core::model::resource::{Desired, Present};
use tenantry_core::model::value::{Map, Value, unescape_token};

use super::project::Projection;
use super::{Found, KubernetesReader, Scope};

/// The owned part of an object, as [`Present`] has it.
#[derive(Default)]
pub(super) struct Settled {
    pub spec: Map,
    pub whole: Vec<Arc<str>>,
    pub becomes: Vec<(Arc<str>, Value)>,
    pub refused: Option<Arc<str>>,
    /// What a writer needs if something differs.
    pub version: Option<Version>,
}

/// What the server answered to dry runs in this process, by a digest of what was asked. One wish for one state of an object has
/// one answer, whatever its controller has written into its status, and an apply needs it twice: when it plans and when it begins.
static ANSWERS: Mutex<BTreeMap<[u8; 32], Arc<Json>>> = Mutex::new(BTreeMap::new());

fn answers() -> MutexGuard<'static, BTreeMap<[u8; 32], Arc<Json>>> {
    ANSWERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl KubernetesReader {
    /// The owned part of an object, without differences that are none.
    pub(super) async fn settle(
        &self,
        scope: &Scope<'_>,
        resource: &Resource,
        desired: &Desired,
        found: &Found,
        projection: Projection,
        is_ours: bool,
    ) -> Settled {
        let Projection { spec: observed, doubtful, claimed, lost: _ } = projection;
        let seen = Present {
            spec: Arc::new(observed),
            claimed: claimed.into_iter().map(Into::into).collect(),
            ..Present::default()
        };
        let differences = compare_owned(&self.kind, &desired.spec, &seen, Some(&desired.spec));
        let observed = Arc::unwrap_or_clone(seen.spec);
        if differences.is_empty() && doubtful.is_empty() {
            return Settled { spec: observed, ..Settled::default() };
        }
        let record = desired.identity.as_ref().and_then(|identity| scope.recorded.get(&(OBJECT, identity)));
        let applied = record.filter(|_| is_ours).and_then(|record| record.spec_value());
        let Edits { shown, taken } = match &applied {
            Some(applied) => edits(&found.live, &desired.spec, applied, &found.raw),
            None => Edits::default(),
        };
        let version = Version::of(&found.raw, taken);
        if !shown.is_empty() {
            // A dry run would have both items.
            let put = |spec: Value, (pointer, value): (String, Value)| spec.with_pointer(&pointer, value);
            let spec = shown.into_iter().fold(Value::from(observed), put);
            let spec = spec.as_map().map(types::normalise).unwrap_or_default();
            return Settled { spec, version: Some(version), ..Settled::default() };
        }
        if Value::from(Map::clone(&desired.spec)).has_deferred() {
            return Settled { spec: observed, version: Some(version), ..Settled::default() };
        }
        let standing = Standing { version: &version, applied: applied.as_ref(), is_ours };
        let (answer, conflict) = self.dry_run(scope, resource, desired, found, standing).await;
        let why = |failure: &Failure| {
            let changing = Changing { kind: &|_| true, definition: &|_| scope.is_defined_anew };
            told(failure, &desired.spec, &changing)
        };
        let conflict = conflict.as_ref().and_then(why);
        let would_be = match answer {
            Ok(would_be) => Found::new(Json::clone(&would_be), resource),
            // Who may only read sees the cheap comparison.
            Err(failure) => {
                let refused = why(&failure).or(conflict);
                return Settled { spec: observed, refused, version: Some(version), ..Settled::default() };
            }
        };
        let expected = Value::from(would_be.project(&desired.spec, resource).spec);
        let (is, after) = (Value::from(found.live.clone()), Value::from(would_be.live.clone()));
        let wanted = Value::from(Map::clone(&desired.spec));

        let mut settled = Value::from(observed);
        let mut becomes = Vec::new();
        for difference in differences {
            let pointer = &difference.pointer;
            if settled.pointer(pointer) == expected.pointer(pointer) {
                settled = match difference.after {
                    Some(wanted) => settled.with_pointer(pointer, wanted),
                    None => without(&settled, pointer),
                };
            } else if difference.after.is_none()
                && let Some(value) = after.pointer(pointer).filter(|_| !is_written_by_hand(&would_be, pointer))
            {
                becomes.push((pointer.clone(), value.clone()));
            }
        }
        let mut whole = Vec::new();
        for pointer in doubtful {
            // A map is compared by the keys that are desired. This one would be replaced whole, so every key of it counts.
            if let Some(there) = is.pointer(&pointer).filter(|there| after.pointer(&pointer) != Some(there)) {
                let own = beyond(there, after.pointer(&pointer), wanted.pointer(&pointer));
                settled = settled.with_pointer(&pointer, own);
                whole.push(pointer.into());
            }
        }
        let spec = settled.as_map().map(types::normalise).unwrap_or_default();
        Settled { spec, whole, becomes, refused: conflict, version: Some(version) }
    }

    /// Applies as the writer would, and stores nothing. Where the writer would be refused because others own what differs, also
    /// answers with that conflict, and with what would come of it by force.
    async fn dry_run(
        &self,
        scope: &Scope<'_>,
        resource: &Resource,
        desired: &Desired,
        found: &Found,
        Standing { version, applied, is_ours }: Standing<'_>,
    ) -> (Result<Arc<Json>, Failure>, Option<Failure>) {
        let mark = Mark { estate: scope.estate.into(), address: desired.address.clone(), secret_hash: None };
        let request = |force| Apply {
            resource,
            spec: &desired.spec,
            mark: Some(&mark),
            uid: None,
            resource_version: None,
            force,
            dry_run: true,
        };
        let force = !is_ours
            || conflict::takes_over(&desired.spec)
            || applied.is_some_and(|applied| version.is_repair(&desired.spec, applied));
        let digest = {
            let spec = Value::from(Map::clone(&desired.spec)).to_json();
            let asked = (self.cluster.server(), &version.uid, &found.live, version.trees(), force, &spec);
            Sha256::digest(format!("{asked:?}").as_bytes()).into()
        };
        let known = answers().get(&digest).cloned();
        if let Some(known) = known {
            return (Ok(known), None);
        }
        let (answer, conflict) = match apply(&self.cluster, &request(force)).await {
            Err(failure) if conflict::is_field_conflict(&failure) => {
                let conflict = conflict::check_repair(applied, &failure).err();
                (apply(&self.cluster, &request(true)).await, conflict)
            }
            other => (other, None),
        };
        let answer = answer.map(|answer| Arc::new(answer.object));
        if let (Ok(answer), None) = (&answer, &conflict) {
            answers().insert(digest, answer.clone());
        }
        (answer, conflict)
    }
}

/// How an object stands before it is applied.
struct Standing<'a> {
    version: &'a Version,
    /// What was written last.
    applied: Option<&'a Map>,
    is_ours: bool,
}

/// Whether somebody has a field by hand, so that it is removed by name.
fn is_written_by_hand(object: &Found, pointer: &str) -> bool {
    let tokens = || pointer.split('/').skip(1).map(unescape_token);
    let part = |owned: Owned<'_>| matches!(tokens().fold(owned, |part, token| part.field(&token)), Owned::Ours(_));
    Owned::written_by_others(&object.raw).any(part)
}

/// A map that would be replaced whole, without what would be in it afterwards as well and is not desired: defaults.
fn beyond(there: &Value, after: Option<&Value>, wanted: Option<&Value>) -> Value {
    let Value::Map(map) = there else { return there.clone() };
    let at = |value: Option<&Value>, name: &str| value.and_then(|value| value.get(name)).cloned();
    let fields = map.iter().filter_map(|(name, value)| {
        let (after, wanted) = (at(after, name), at(wanted, name));
        match wanted.is_none() && after.as_ref() == Some(value) {
            true => None,
            false => Some((name.clone(), beyond(value, after.as_ref(), wanted.as_ref()))),
        }
    });
    fields.collect::<Map>().into()
}

/// A value without the field at a JSON pointer.
fn without(value: &Value, pointer: &str) -> Value {
    let Some((parent, token)) = pointer.rsplit_once('/') else { return value.clone() };
    let name = unescape_token(token);
    match value.pointer(parent) {
        Some(Value::Map(map)) => value.with_pointer(parent, map.without(&name).into()),
        _ => value.clone(),
    }
}
