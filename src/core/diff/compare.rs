//! Two specs, field by field.

use std::sync::Arc;

use crate::model::kind::Kind;
use crate::model::normal::Normal;
use crate::model::resource::Present;
use crate::model::value::{Map, Value, is_within, push_token};

/// A field that differs between desired and observed.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// JSON pointer.
    pub pointer: Arc<str>,
    pub before: Option<Value>,
    pub after: Option<Value>,
    /// The target changed it since it was applied.
    pub drift: bool,
    /// The repository changed it since it was applied.
    pub pending: bool,
}

/// Whether every owned field is as desired. Does not see fields that were removed from the blueprint.
pub fn is_same(kind: &Kind, desired: &Normal, observed: &Map) -> bool {
    desired.iter().all(|(name, value)| {
        if kind.write_only.is_empty() && kind.owned_by_key.is_empty() {
            return same_value(value, observed.get(name));
        }
        let mut pointer = String::new();
        push_token(&mut pointer, name);
        same_field(kind, &pointer, value, observed.get(name))
    })
}

fn same_value(desired: &Value, observed: Option<&Value>) -> bool {
    match (desired, observed) {
        // A secret is compared by its hash; an output that is not known yet differs from everything.
        (Value::Deferred(deferred), _) => deferred.has_secret() && !deferred.has_output(),
        (Value::Null, None) => true,
        (Value::List(a), Some(Value::List(b))) if desired.has_deferred() => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same_value(a, Some(b)))
        }
        (Value::Map(a), Some(Value::Map(b))) if Value::Map(a.clone()).has_deferred() => {
            a.iter().all(|(key, value)| same_value(value, b.get(key))) && b.iter().all(|(key, _)| a.contains(key))
        }
        (desired, Some(observed)) => desired == observed,
        (_, None) => false,
    }
}

fn same_field(kind: &Kind, pointer: &str, desired: &Value, observed: Option<&Value>) -> bool {
    if kind.write_only.contains(&pointer) {
        return true;
    }
    match desired {
        Value::Map(map) if owned_by_key(kind, pointer) => map.iter().all(|(key, value)| {
            let mut pointer = pointer.to_owned();
            push_token(&mut pointer, key);
            same_field(kind, &pointer, value, observed.and_then(|observed| observed.get(key)))
        }),
        other => same_value(other, observed),
    }
}

fn owned_by_key(kind: &Kind, pointer: &str) -> bool {
    kind.owned_by_key.iter().any(|owned| is_within(pointer, owned))
}

/// Every owned field that differs, in order of pointer.
pub fn compare(kind: &Kind, desired: &Normal, observed: &Map, applied: Option<&Map>) -> Vec<Difference> {
    compare_claimed(kind, desired, observed, applied, &[], &[])
}

/// As [`compare`], with the fields that the target itself records as ours.
pub fn compare_owned(kind: &Kind, desired: &Normal, present: &Present, applied: Option<&Map>) -> Vec<Difference> {
    compare_claimed(kind, desired, &present.spec, applied, &present.claimed, &present.whole)
}

fn compare_claimed(
    kind: &Kind,
    desired: &Map,
    observed: &Map,
    applied: Option<&Map>,
    claimed: &[Arc<str>],
    whole: &[Arc<str>],
) -> Vec<Difference> {
    let mut comparison = Comparison { kind, claimed, whole, differences: Vec::new() };
    comparison.fields("", desired, Some(observed), applied, true);
    comparison.differences.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    comparison.differences
}

struct Comparison<'a> {
    kind: &'a Kind,
    /// Pointers of fields that the target records as ours.
    claimed: &'a [Arc<str>],
    /// Pointers of maps that the target replaces whole.
    whole: &'a [Arc<str>],
    differences: Vec<Difference>,
}

impl Comparison<'_> {
    fn fields(&mut self, parent: &str, desired: &Map, observed: Option<&Map>, applied: Option<&Map>, by_key: bool) {
        let pointer_of = |name: &str| {
            let mut pointer = parent.to_owned();
            push_token(&mut pointer, name);
            pointer
        };
        for (name, value) in desired.iter() {
            let pointer = pointer_of(name);
            if self.kind.write_only.contains(&pointer.as_str()) {
                continue;
            }
            let observed = observed.and_then(|observed| observed.get(name));
            let applied_value = applied.and_then(|applied| applied.get(name));
            match (value, observed) {
                (Value::Map(map), Some(Value::Map(below))) => {
                    let applied = applied_value.and_then(Value::as_map);
                    let by_key =
                        owned_by_key(self.kind, &pointer) && !self.whole.iter().any(|whole| **whole == *pointer);
                    self.fields(&pointer, map, Some(below), applied, by_key);
                }
                _ if same_value(value, observed) => {}
                _ => self.differ(pointer, observed, Some(value), applied.map(|_| applied_value)),
            }
        }
        let Some(observed) = observed else { return };
        for (name, value) in observed.iter().filter(|(name, _)| !desired.contains(name)) {
            let applied_value = applied.and_then(|applied| applied.get(name));
            let pointer = pointer_of(name);
            // Of such a map that is no longer named at all only our keys go, and only they are told.
            if let Value::Map(below) = value
                && owned_by_key(self.kind, &pointer)
                && !self.is_claimed(&pointer)
                && (self.kind.owned_by_key.contains(&&*pointer) || self.has_others(&pointer, below, applied_value))
            {
                self.fields(&pointer, &Map::default(), Some(below), applied_value.and_then(Value::as_map), true);
                continue;
            }
            let is_claimed = self.is_claimed(&pointer);
            // Of a map that is owned key by key, and of the spec itself, a key that was never asked for is not ours.
            if value.is_null() || (by_key && applied_value.is_none() && !is_claimed) {
                continue;
            }
            // What the target has as ours and the record does not know, nobody has changed outside.
            let applied = applied.filter(|_| applied_value.is_some() || !is_claimed);
            self.differ(pointer, Some(value), None, applied.map(|_| applied_value));
        }
    }

    /// Whether the target records a field as ours.
    fn is_claimed(&self, pointer: &str) -> bool {
        self.claimed.iter().any(|claimed| **claimed == *pointer)
    }

    /// Whether a map has keys that are not ours beside keys that are.
    fn has_others(&self, parent: &str, observed: &Map, applied: Option<&Value>) -> bool {
        let at = |name: &str| applied.and_then(Value::as_map).and_then(|applied| applied.get(name));
        let (mut ours, mut others) = (false, false);
        for (name, value) in observed.iter() {
            let mut pointer = parent.to_owned();
            push_token(&mut pointer, name);
            if at(name).is_none() && !self.is_claimed(&pointer) {
                others = true;
                continue;
            }
            ours = true;
            // They may also stand further below.
            if let (Value::Map(below), Some(Value::Map(_))) = (value, at(name)) {
                others |= self.has_others(&pointer, below, at(name));
            }
        }
        ours && others
    }

    /// `applied` is `None` if nothing was applied, and `Some(None)` if the field was not applied.
    #[expect(
        clippy::option_option,
        reason = "a resource without a record is another case than a record without the field"
    )]
    fn differ(
        &mut self,
        pointer: String,
        before: Option<&Value>,
        after: Option<&Value>,
        applied: Option<Option<&Value>>,
    ) {
        // What is told in place of the value that was applied, where the target does not return it.
        let told = applied.flatten().and_then(|applied| (self.kind.told?)(&pointer, applied));
        let before = match (&told, before) {
            (Some(told), Some(before)) if told == before => applied.flatten(),
            (_, before) => before,
        };
        let (drift, pending) = match applied {
            None => (false, true),
            // A reference to a secret, or to an output, is kept as the text that describes it.
            Some(applied) => {
                // What was a secret is not compared with what is there: only its reference is on record.
                let was_secret = applied.and_then(Value::as_str).is_some_and(names_secret);
                // Of a field that the repository newly names nobody can say that it was changed: a server has its defaults.
                let is_new = applied.is_none() && after.is_some();
                let drift = !was_secret && !is_new && is_changed(applied, before, after);
                let pending = texts_differ(applied, after);
                if drift || pending { (drift, pending) } else { (false, true) }
            }
        };
        let before = before.filter(|value| !value.is_null());
        self.differences.push(Difference {
            pointer: pointer.into(),
            before: before.map(|before| covered(before, after, applied.flatten())),
            after: after.cloned(),
            drift,
            pending,
        });
    }
}

/// Whether two values differ as the inventory has them; null is as good as nothing.
fn texts_differ(a: Option<&Value>, b: Option<&Value>) -> bool {
    a.filter(|a| !a.is_null()).map(Value::to_json) != b.filter(|b| !b.is_null()).map(Value::to_json)
}

/// Whether somebody else has changed a value since it was applied. In an element of a list, as everywhere, a field that the
/// repository newly names is there as the server's default.
fn is_changed(applied: Option<&Value>, observed: Option<&Value>, desired: Option<&Value>) -> bool {
    match (applied, observed) {
        (Some(Value::List(applied)), Some(Value::List(observed))) if applied.len() == observed.len() => {
            let at = |index: usize| desired.and_then(|desired| desired.as_list()?.get(index));
            let mut pairs = applied.iter().zip(observed.iter()).enumerate();
            pairs.any(|(index, (applied, observed))| is_changed(Some(applied), Some(observed), at(index)))
        }
        (Some(Value::Map(applied)), Some(Value::Map(observed))) => {
            let at = |name: &str| desired.and_then(|desired| desired.get(name));
            let is_default = |name: &str| applied.get(name).is_none() && at(name).is_some();
            applied.iter().any(|(name, value)| is_changed(Some(value), observed.get(name), at(name)))
                || observed.iter().any(|(name, _)| applied.get(name).is_none() && !is_default(name))
        }
        (applied, observed) => texts_differ(applied, observed),
    }
}

/// Whether a value of the inventory is a reference to a secret, or has one in it.
pub fn is_reference(value: &Value) -> bool {
    value.as_str().is_some_and(names_secret)
}

/// Whether a text of the inventory has a reference to a secret in it.
fn names_secret(text: &str) -> bool {
    text.split("secret(").skip(1).any(|rest| {
        let version = rest.split_once(')').and_then(|(reference, _)| reference.rsplit_once(", v"));
        version.is_some_and(|(_, version)| version.parse::<u32>().is_ok())
    })
}

/// The text in place of a secret that a target returned in the clear.
const COVER: &str = "(secret)";

/// An observed value with every secret in it masked: values at places where a secret is desired, was applied, or was already
/// masked.
fn covered(observed: &Value, desired: Option<&Value>, applied: Option<&Value>) -> Value {
    let is_secret = matches!(desired, Some(Value::Deferred(deferred)) if deferred.has_secret())
        || desired.and_then(Value::as_str) == Some(COVER)
        || applied.and_then(Value::as_str).is_some_and(names_secret);
    match observed {
        _ if is_secret => COVER.into(),
        Value::Map(map) => {
            let below = |value: Option<&Value>, key: &str| value.and_then(|value| value.get(key)).cloned();
            let field = |(key, value): (&Arc<str>, &Value)| {
                (key.clone(), covered(value, below(desired, key).as_ref(), below(applied, key).as_ref()))
            };
            Value::from(map.iter().map(|(key, value)| field((key, value))).collect::<Map>())
        }
        Value::List(items) => {
            let at = |value: Option<&Value>, index: usize| value.and_then(|value| value.as_list()?.get(index)).cloned();
            let item = |(index, value)| covered(value, at(desired, index).as_ref(), at(applied, index).as_ref());
            Value::list(items.iter().enumerate().map(item))
        }
        other => other.clone(),
    }
}

/// Whether a spec contains a secret.
pub fn has_secret(spec: &Map) -> bool {
    spec.iter().any(|(_, value)| value.has_secret())
}

/// Whether the secrets of a spec are those that were applied, as far as their names and versions tell.
pub fn same_references(desired: &Map, applied: &Map) -> bool {
    let applied = Value::from(applied.clone());
    let mut same = true;
    Value::from(desired.clone()).for_each_leaf(&mut |pointer, value| {
        same &= !value.has_secret() || applied.pointer(pointer).map(Value::to_json) == Some(value.to_json());
    });
    same
}

/// The differences of a resource whose secrets are not the ones that were written: those that the repository changed, or
/// else all of them, since only their common hash is known. Where the values are not to be had (`is_known`), nobody can say
/// that somebody has changed them.
pub fn secret_differences(desired: &Map, applied: Option<&Map>, is_known: bool) -> Vec<Difference> {
    let mut differences = Vec::new();
    let applied = applied.map(|applied| Value::from(applied.clone()));
    Value::from(desired.clone()).for_each_leaf(&mut |pointer, value| {
        let Value::Deferred(deferred) = value else { return };
        if !deferred.has_secret() {
            return;
        }
        let known = applied.as_ref().map(|applied| applied.pointer(pointer).map(Value::to_json));
        let pending = !is_known || known != Some(Some(value.to_json()));
        differences.push(Difference {
            pointer: pointer.into(),
            before: known.flatten().map(Value::from),
            after: Some(value.clone()),
            drift: !pending,
            pending,
        });
    });
    if differences.iter().any(|difference| difference.pending) {
        differences.retain(|difference| difference.pending);
    }
    differences
}

/// The fields of `observed` that `desired` has, and those at `besides`. Secrets in them are covered.
pub fn project(kind: &Kind, observed: &Map, desired: &Map, applied: Option<&Map>, besides: &[Arc<str>]) -> Map {
    let projection = Projection { kind, besides };
    projection.fields("", observed, desired, applied)
}

struct Projection<'a> {
    kind: &'a Kind,
    besides: &'a [Arc<str>],
}

impl Projection<'_> {
    fn fields(&self, parent: &str, observed: &Map, desired: &Map, applied: Option<&Map>) -> Map {
        let owned = observed.iter().filter_map(|(name, value)| {
            let mut pointer = parent.to_owned();
            push_token(&mut pointer, name);
            let applied = applied.and_then(|applied| applied.get(name));
            let kept = match (desired.get(name), value) {
                (Some(Value::Map(desired)), Value::Map(map)) if owned_by_key(self.kind, &pointer) => {
                    self.fields(&pointer, map, desired, applied.and_then(Value::as_map)).into()
                }
                (None, _) if !self.besides.iter().any(|other| **other == *pointer) => return None,
                (desired, value) => covered(value, desired, applied),
            };
            Some((name.clone(), kept))
        });
        owned.collect()
    }
}
