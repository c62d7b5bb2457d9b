//! Desired × observed × applied → what differs, and who changed it.
//!
//! Synchronous and without IO. Only owned fields count: those that the blueprint names, and those that it named when the
//! resource was last applied. Other fields of the target are left alone.

mod compare;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

pub use compare::{Difference, compare, compare_owned, has_secret};

use super::model::address::Address;
use super::model::kind::{self, Capture, Instance, Kind, MarkPlace};
use super::model::resource::{Applied, Begun, BegunWrite, Desired, Observed, Present};
use super::model::value::{Map, Value};
use super::ownership::{self, Claim, NotOurs, Ownership};
use super::plan::{Cause, Hindrance};

/// What is known of one desired resource.
pub struct Known<'a> {
    /// The estate and environment, as [`scope`](super::model::mark::scope) writes them.
    pub scope: &'a str,
    pub desired: &'a Desired,
    /// Addresses that it had before, from the repository, the inventory or a mark.
    pub earlier: &'a [Address],
    pub observed: &'a Observed,
    /// What was last written of this resource, or else at its address.
    pub applied: Option<&'a Applied>,
    /// A write that was begun at its address and identity and never seen to end.
    pub begun: Option<&'a Begun>,
    pub secret: Secret<'a>,
}

/// What is known of the secret values that should be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret<'a> {
    /// Their keyed hash; `None` if there are none or they do not exist yet.
    Hash(Option<&'a str>),
    /// The secret store was not read: a change of a value does not show, only another version of one.
    Unread,
}

impl<'a> Known<'a> {
    /// The record of this resource in the inventory.
    pub fn recorded(&self) -> Option<&'a Applied> {
        self.applied.filter(|applied| {
            Some(&applied.identity) == self.desired.identity.as_ref() && applied.target == self.desired.target
        })
    }

    fn claim(&self) -> Claim<'_> {
        Claim {
            scope: self.scope,
            kind: &self.desired.kind,
            address: &self.desired.address,
            earlier: self.earlier,
            recorded: self.recorded(),
            begun: self.begun.is_some(),
        }
    }

    /// The fields that were written: those on record, and those of a write that was begun.
    fn written(&self) -> Option<Map> {
        let recorded = self.applied.and_then(Applied::spec_value);
        match (recorded, self.begun.and_then(Begun::spec_value)) {
            (Some(recorded), Some(begun)) => Some(recorded.overlaid(&begun)),
            (recorded, begun) => recorded.or(begun),
        }
    }
}

/// What to do about one desired resource.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    Unchanged,
    /// It is as desired and ours, but the inventory must be updated: a run was interrupted, the inventory was lost, or its
    /// protection or dependencies changed, which a later deletion uses.
    Record {
        present: Present,
    },
    Create {
        cause: Cause,
    },
    Update(Update),
    Replace(Update),
    /// Nothing may be done.
    Blocked(Hindrance),
}

/// A change of something that exists.
#[derive(Debug, PartialEq)]
pub struct Update {
    pub differences: Vec<Difference>,
    pub cause: Cause,
    /// It carries no mark and is taken over.
    pub adopts: bool,
    /// The address that it had before, if it is another one.
    pub moved_from: Option<Address>,
    /// Its mark is rewritten.
    pub marks: bool,
    pub present: Present,
}

/// Whether the existing resource replaces the one that was written, and has no mark that distinguishes them.
pub fn is_another(kind: &Kind, applied: &Applied, present: &Present) -> bool {
    let Some(Instance::Made(output)) = kind.instance_of(&present.spec) else { return false };
    differs(applied, present, output)
        && applied.spec_value().is_none_or(|before| kind.tells_alike(&before, &present.spec))
}

/// Whether somebody else has written the existing resource since it was recorded.
fn is_overwritten(known: &Known<'_>, present: &Present) -> bool {
    let Some(Instance::Written(output)) = known.desired.kind.instance_of(&known.desired.spec) else { return false };
    known.applied.is_some_and(|applied| differs(applied, present, output))
}

fn differs(applied: &Applied, present: &Present, output: &str) -> bool {
    applied.output(output).zip(present.outputs.get(output)).is_some_and(|(written, seen)| written != *seen)
}

/// Whether the target returns all of the desired spec: it has no secret, no write-only field and no one-time secret.
fn is_seen_whole(desired: &Desired) -> bool {
    let spec = &desired.spec;
    let mut untold = desired.kind.by_spec.map(|by_spec| (by_spec.write_only)(spec)).unwrap_or_default().into_iter();
    !compare::has_secret(spec)
        && !untold.any(|pointer| kind::at(spec, &pointer).is_some_and(|value| !value.is_null()))
        && !desired.kind.captures_of(spec).iter().any(|capture| capture.is_told(spec))
}

/// Compares one desired resource with the observed state.
pub fn diff(known: &Known<'_>) -> Verdict {
    let Known { desired, observed, .. } = known;
    let present = match observed {
        Observed::Unknown(cause) => return Verdict::Blocked(Hindrance::StateUnknown { cause: cause.clone() }),
        Observed::Absent => return Verdict::Create { cause: cause_of_absence(known) },
        Observed::Present(present) => present,
    };
    let (adopts, moved_from, marks) = match ownership::of(&known.claim(), present) {
        // What was made and never marked gets its mark with the write that ends what was begun.
        Ownership::Ours { outdated } => (false, None, outdated && (present.mark.is_some() || known.begun.is_none())),
        Ownership::Moved { from } => (false, Some(from), false),
        Ownership::NotOurs(NotOurs::Unmarked | NotOurs::NotOnRecord | NotOurs::MarkGone | NotOurs::Another)
            if desired.adopt =>
        {
            (true, None, false)
        }
        // A privilege that already exists, exactly as desired, takes nothing from anybody.
        Ownership::NotOurs(NotOurs::NotOnRecord) if is_harmless_to_take(known, present) => {
            return Verdict::Record { present: present.clone() };
        }
        Ownership::NotOurs(cause) => return Verdict::Blocked(Hindrance::NotOurs { cause }),
    };
    // Nothing differs, and still it has to be written.
    let rewrites = adopts || marks || moved_from.is_some() || present.unclaimed;
    let lost = if adopts { Vec::new() } else { lost(known, present) };
    // The common case first: nothing is allocated and the inventory is not looked into.
    if !rewrites
        && lost.is_empty()
        && present.whole.is_empty()
        && compare::is_same(&desired.kind, &desired.spec, &present.spec)
        && secret_is_same(known, present)
        && rewritten(known, present).is_empty()
        && removed_nothing(known, present)
    {
        return settled(known, present);
    }
    let applied_spec = known.written();
    let mut differences = compare_owned(&desired.kind, &desired.spec, present, applied_spec.as_ref());
    if !secret_is_same(known, present) {
        differences.extend(compare::secret_differences(
            &desired.spec,
            applied_spec.as_ref(),
            known.secret != Secret::Hash(None),
        ));
    }
    let is_new = |difference: &Difference| !differences.iter().any(|known| known.pointer == difference.pointer);
    let rewritten: Vec<Difference> = rewritten(known, present).into_iter().filter(is_new).collect();
    differences.extend(rewritten);
    differences.extend(lost.iter().map(told_anew));
    if differences.is_empty() && !rewrites {
        return settled(known, present);
    }
    let is_unmarked = marks && present.mark.is_none();
    let outdated = marks && !is_unmarked;
    let drift = is_unmarked || differences.iter().any(|difference| difference.drift);
    let pending = match differences.is_empty() {
        true => rewrites && !is_unmarked,
        // Whose a field is that does not differ says nothing of those that do.
        false => adopts || outdated || moved_from.is_some() || differences.iter().any(|difference| difference.pending),
    };
    let cause = match (drift, pending) {
        // Nobody can tell what the write did that was never seen to end: it is finished, not called somebody's doing.
        _ if known.begun.is_some() && !differences.is_empty() => Cause::Unfinished,
        (true, true) => Cause::Both,
        (true, false) => Cause::Drift,
        (false, _) => Cause::Pending,
    };
    let replaces = lost.iter().any(|capture| capture.replaces)
        || differences.iter().any(|difference| desired.kind.is_immutable(&desired.spec, &difference.pointer));
    // A replacement deletes what is there.
    if replaces
        && !adopts
        && let Ownership::NotOurs(cause) = ownership::of_deleted(&known.claim(), present)
    {
        return Verdict::Blocked(Hindrance::NotOurs { cause });
    }
    // Taking over what is there is one thing, destroying it another.
    if adopts && replaces {
        let fields = differences.iter().map(|difference| difference.pointer.clone()).collect();
        return Verdict::Blocked(Hindrance::CannotAdopt { fields });
    }
    let update = Update { differences, cause, adopts, moved_from, marks, present: present.clone() };
    if replaces { Verdict::Replace(update) } else { Verdict::Update(update) }
}

/// Why a resource does not exist.
fn cause_of_absence(known: &Known<'_>) -> Cause {
    match known.recorded() {
        // Its replacement was cut short, or refused, after the old one had gone; or a write of it did not come out, and who
        // made it go nobody can tell.
        Some(_) if known.begun.is_some_and(|begun| begun.write != BegunWrite::Delete) => Cause::Unfinished,
        None => Cause::Pending,
        // The inventory has references as texts.
        Some(applied) if applied.spec_value().is_some_and(|spec| Value::from(spec) == text_of(&known.desired.spec)) => {
            Cause::Drift
        }
        Some(_) => Cause::Both,
    }
}

/// Whether an unmarked resource without a record may be recorded as it is.
fn is_harmless_to_take(known: &Known<'_>, present: &Present) -> bool {
    let Known { desired, applied, .. } = known;
    desired.kind.mark == MarkPlace::Inventory
        && !desired.kind.loses_data_of(&desired.spec)
        && is_seen_whole(desired)
        && !applied.is_some_and(|applied| is_another(&desired.kind, applied, present))
        && compare::is_same(&desired.kind, &desired.spec, &present.spec)
}

/// A one-time secret that was not stored, because the run that created it was interrupted.
fn lost(known: &Known<'_>, present: &Present) -> Vec<Capture> {
    let Known { desired, applied, .. } = known;
    let captures = desired.kind.captures_of(&desired.spec);
    if captures.is_empty() {
        return Vec::new();
    }
    let told = captures.iter().filter(|capture| capture.is_told(&desired.spec));
    let outputs = applied.and_then(|applied| applied.outputs_value(Some(&desired.kind))).unwrap_or_default();
    // A secret on record is that of what was there then: not of a key with another id, nor of one that was renewed since, or
    // is to be and the target does not tell.
    // What else is told of a resource of many sorts may change while it lives.
    let is_another = desired
        .kind
        .outputs
        .iter()
        .any(|(name, _)| present.outputs.get(name).is_some_and(|value| outputs.get(name) != Some(value)));
    let before = applied.and_then(Applied::spec_value);
    let is_renewed = |capture: &Capture| {
        before.as_ref().zip(capture.field).is_some_and(|(before, field)| {
            let wanted = kind::at(&desired.spec, field);
            kind::at(&present.spec, field) == wanted && kind::at(before, field) != wanted
        })
    };
    told.filter(|capture| is_another || !outputs.contains(&capture.name) || is_renewed(capture)).cloned().collect()
}

/// Write-only fields that are not secret and differ from what was last written.
fn rewritten(known: &Known<'_>, present: &Present) -> Vec<Difference> {
    let Known { desired, applied, .. } = known;
    let pointers = desired.kind.by_spec.map(|by_spec| (by_spec.write_only)(&desired.spec)).unwrap_or_default();
    if pointers.is_empty() {
        return Vec::new();
    }
    let before = applied.and_then(Applied::spec_value);
    if before.is_none() && known.begun.is_none() {
        return Vec::new();
    }
    let is_overwritten = is_overwritten(known, present);
    let difference = |pointer: Cow<'static, str>| {
        let written = before.as_ref().and_then(|before| kind::at(before, &pointer));
        let wanted = kind::at(&desired.spec, &pointer);
        // Where there is a mark, a secret is compared by its hash.
        let is_hashed = desired.kind.mark != MarkPlace::Inventory;
        if wanted.is_some_and(|wanted| wanted.has_secret() && (is_hashed || known.begun.is_none())) {
            return None;
        }
        let is_immutable = desired.kind.is_immutable(&desired.spec, &pointer);
        let is_gone = wanted.is_none_or(Value::is_null);
        // What something began with is not undone by no longer saying it, and what it was begun with nobody saw.
        if is_immutable && (is_gone || before.is_none()) {
            return None;
        }
        if is_gone && written.is_some_and(compare::is_reference) {
            return None;
        }
        let text = |value: Option<&Value>| value.filter(|value| !value.is_null()).map(Value::to_json);
        // An interrupted write may have been of another value than is asked for now.
        let in_doubt = known.begun.is_some() && !is_gone && !is_immutable;
        let pending = in_doubt || text(written) != text(wanted);
        let drift = is_overwritten && wanted.is_some() && !pending;
        (pending || drift).then(|| Difference {
            pointer: (&*pointer).into(),
            before: written.cloned(),
            after: wanted.cloned(),
            drift,
            pending,
        })
    };
    pointers.into_iter().filter_map(difference).collect()
}

fn told_anew(capture: &Capture) -> Difference {
    let after = Some("(known after apply)".into());
    Difference { pointer: capture.pointer().into(), before: None, after, drift: false, pending: true }
}

/// That a resource with the desired identity exists. A spec with its references as the texts that the inventory has of them.
fn text_of(spec: &Map) -> Value {
    Value::from(Value::from(spec.clone()).to_json())
}

fn settled(known: &Known<'_>, present: &Present) -> Verdict {
    match known.applied {
        Some(applied) if known.begun.is_none() && is_on_record(known.desired, applied) => Verdict::Unchanged,
        _ => Verdict::Record { present: present.clone() },
    }
}

/// Whether the inventory has what is needed to delete the resource correctly when it is no longer desired.
fn is_on_record(desired: &Desired, applied: &Applied) -> bool {
    let same_needs = || {
        let sorted = |addresses: &[Address]| {
            let mut addresses = addresses.to_vec();
            addresses.sort();
            addresses
        };
        applied.depends_on == desired.depends_on || sorted(&applied.depends_on) == sorted(&desired.depends_on)
    };
    let same_name = applied.address == desired.address
        && applied.marked.is_none()
        && Some(&applied.identity) == desired.identity.as_ref();
    same_name && applied.protect == desired.protect && same_needs() && is_text_of(&desired.spec, &applied.spec)
}

/// Whether a text of the inventory is what it would have for a spec. A field that the record lacks would never be removed when
/// it is no longer desired.
fn is_text_of(spec: &Map, text: &str) -> bool {
    /// Consumes what is written as long as it matches the rest of a text.
    struct Rest<'a>(&'a [u8]);

    impl std::io::Write for Rest<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            match self.0.strip_prefix(bytes) {
                Some(rest) => {
                    self.0 = rest;
                    Ok(bytes.len())
                }
                None => Err(std::io::ErrorKind::InvalidData.into()),
            }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut rest = Rest(text.as_bytes());
    serde_json::to_writer(&mut rest, spec).is_ok() && rest.0.is_empty()
}

fn secret_is_same(known: &Known<'_>, present: &Present) -> bool {
    if !compare::has_secret(&known.desired.spec) {
        return true;
    }
    let is_same_version = || {
        let applied = known.applied.and_then(Applied::spec_value);
        applied.is_none_or(|applied| compare::same_references(&known.desired.spec, &applied))
    };
    let Secret::Hash(hash) = known.secret else { return !is_overwritten(known, present) && is_same_version() };
    // Where the target has no room for a mark there is no hash to compare: then only a rotation shows, and that the secret
    // is not to be had any more.
    if known.desired.kind.mark == MarkPlace::Inventory {
        if hash.is_none() && known.applied.is_some() {
            return false;
        }
        return !is_overwritten(known, present) && is_same_version();
    }
    let written = present.mark.as_ref().and_then(|mark| mark.secret_hash.as_deref());
    hash.is_some() && written == hash
}

/// Whether everything that was applied is still desired; only then may extra fields of the target be ignored without reading
/// the inventory's text.
fn removed_nothing(known: &Known<'_>, present: &Present) -> bool {
    let Known { desired, .. } = known;
    if !present.claimed.is_empty() {
        return false;
    }
    // Counting them is not enough: what a target never gives back is wanted and not seen.
    let has_no_others =
        || desired.kind.owned_by_key.is_empty() && present.spec.iter().all(|(name, _)| desired.spec.contains(name));
    if (known.applied.is_none() && known.begun.is_none()) || has_no_others() {
        return true;
    }
    let Some(written) = known.written() else { return true };
    written == *desired.spec || compare_owned(&desired.kind, &desired.spec, present, Some(&written)).is_empty()
}

/// The fields of an observed spec that the estate owns: those that are desired, and those named besides.
pub fn owned(kind: &Kind, observed: &Map, desired: &Map, applied: Option<&Applied>, besides: &[Arc<str>]) -> Map {
    compare::project(kind, observed, desired, applied.and_then(Applied::spec_value).as_ref(), besides)
}

/// The fields of what is there that the estate owned when it was last written; all of them where that is not on record.
pub fn owned_before(kind: &Kind, present: &Present, applied: &Applied) -> Map {
    match applied.spec_value() {
        Some(spec) => compare::project(kind, &present.spec, &spec, Some(&spec), &[]),
        None => Map::clone(&present.spec),
    }
}
