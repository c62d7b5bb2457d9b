//! The JSON form of a plan, for programs and for saving.
//!
//! Both are the JSON of `schemas/plan.v1.schema.json`. The form for programs masks sensitive fields; the saved form has them,
//! and the parts of deferred values, because it is applied exactly. The digest covers the saved form with `digest` and
//! `createdAt` empty: an edited or cut file is refused.
//!
//! A plan may have hundreds of thousands of changes. They are converted one by one while they are written or hashed, so that
//! there is no second copy of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::{
    Action, Blocked, Cause, Change, FORMAT_VERSION, FieldChange, Finding, Granted, JournalHead, Narrowing, Place, Plan,
    Reason, RecordMove, Retained, Summary, Transition, Wave, Work, sensitive,
};
use crate::fingerprint::Fingerprint;
use crate::model::address::Address;
use crate::model::names::hex;
use crate::model::resource::{Author, Identity, TargetName};
use crate::model::value::{Deferred, Map, Value};

/// Why a saved plan cannot be used.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum InvalidPlan {
    #[error("it is not a valid saved plan: {0}")]
    Malformed(String),
    #[error("it has format {found}; this version reads format {FORMAT_VERSION}")]
    Format { found: u64 },
    #[error("it was changed after it was saved: its digest does not match its content")]
    Digest,
    #[error("it does not contain the values of sensitive fields; save a plan with `tenantry plan --out FILE`")]
    Masked,
}

/// `C` are the changes: those that were read, or those of a plan that is written.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Plan")]
struct PlanJson<C = Vec<ChangeJson>> {
    /// Version of this form.
    format_version: u32,
    tool: Tool,
    estate: Arc<str>,
    environment: Option<Arc<str>>,
    revision: Option<Arc<str>>,
    created_at: Arc<str>,
    /// SHA-256 of the saved form, without blanks between its values and with empty `digest` and `createdAt`, in hexadecimal.
    digest: String,
    /// Whether every target is the sandbox.
    simulated: bool,
    summary: Summary,
    changes: C,
    blocked: Vec<Blocked>,
    findings: Vec<Finding>,
    transitions: Vec<Transition>,
    /// Tenants whose data is kept although they leave, and those under a legal hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    retained: Vec<Retained>,
    /// Tenants whose bill shrinks with their phase: it changes first, and whatever becomes of the rest.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    shrinking: BTreeSet<Arc<str>>,
    /// Records that move to the address that wants their resource, all at once and before anything is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    record_moves: Vec<RecordMove>,
    /// The Approvals that were needed: name and expiry.
    approvals: BTreeMap<Arc<str>, Arc<str>>,
    /// Why each of these Approvals was given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    approval_reasons: BTreeMap<Arc<str>, Arc<str>>,
    /// The waves that the tenants are changed in; absent if they are changed all at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waves: Vec<Wave>,
    /// What the plan is restricted to; absent if it is about everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    narrowed: Option<Narrowing>,
    /// Whether anything is blocked or refused, so that the plan is incomplete.
    errored: bool,
    /// The fingerprint of each target that told it when the plan was made. Only in the saved form: a target that is another
    /// system now is not the one that the plan was made for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    targets: BTreeMap<TargetName, Fingerprint>,
    /// Whether resources have secrets and the secret store was not read, so that it cannot be applied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    secrets_unread: bool,
    /// Where the store's journal ended when the plan was made. Only in the saved form: a journal that does not begin with
    /// this is not the one that the plan was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    journal: Option<JournalHead>,
    /// Whether sensitive values are masked, so that it cannot be applied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    masked: bool,
}

#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tool {
    /// The program that made the plan.
    name: String,
    /// Its version.
    version: String,
}

#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChangeJson {
    address: Address,
    /// The tenant that it belongs to, if it belongs to one.
    tenant: Option<Arc<str>>,
    /// The kind of resource.
    kind: Arc<str>,
    /// The target that it is in.
    target: TargetName,
    /// Its name in the target; null while it is only known after apply.
    identity: Option<Identity>,
    action: Action,
    cause: Cause,
    /// Why.
    reason: Reason,
    /// The owned fields as observed; null if it does not exist.
    before: Option<Value>,
    /// The spec as desired; null if it is deleted.
    after: Option<Value>,
    /// Pointers into `after` of values that are only known after apply.
    unknown_after: Vec<String>,
    /// Pointers of values that are masked wherever they are shown.
    sensitive: Vec<Arc<str>>,
    /// What differs.
    fields: Vec<FieldJson>,
    /// Addresses that must be written before, or deleted after this one.
    depends_on: Vec<Address>,
    /// Whether the blueprint protects it.
    protected: bool,
    /// Whether its owner may be without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    optional: bool,
    /// Whether deleting it destroys data.
    loses_data: bool,
    /// What else the target destroys with it though it is no part of it, in the target's own words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    takes_along: Vec<Arc<str>>,
    /// Where a user would edit it.
    origin: Option<Place>,
    /// The address it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renamed_from: Option<Address>,
    /// The name in the target of the old resource, which is deleted when the new one exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<Identity>,
    /// Number of the write at this address, counted from 1.
    generation: u64,
    /// The parts of values in `after` that are assembled while applying, by pointer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    deferred: BTreeMap<String, Deferred>,
}

#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct FieldJson {
    /// JSON pointer into the spec.
    path: Arc<str>,
    /// As observed; null if it does not exist.
    before: Option<Value>,
    /// As desired; null if it is removed.
    after: Option<Value>,
    /// Whether the target changed since it was applied, and not the repository alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    outside: bool,
    /// Who changed the target, if the target tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<Author>,
    /// What the target will have there though the field is removed: its default, or what somebody else keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    becomes: Option<Value>,
}

/// The JSON Schema of a plan.
pub fn schema() -> serde_json::Value {
    schemars::SchemaGenerator::default().into_root_schema_for::<PlanJson>().into()
}

/// A plan that is converted to its JSON form while it is serialised.
pub struct Written<'p> {
    plan: &'p Plan,
    masked: bool,
    digest: String,
}

impl<'p> Written<'p> {
    /// The form for logs and programs: sensitive values are masked, and it cannot be applied.
    pub fn masked(plan: &'p Plan) -> Self {
        Self { plan, masked: true, digest: digest_of(&form(plan, true)) }
    }

    /// The saved form, to be applied exactly.
    pub fn saved(plan: &'p Plan) -> Self {
        Self { plan, masked: false, digest: digest(plan) }
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = form(self.plan, self.masked);
        PlanJson { digest: self.digest.clone(), created_at: self.plan.created_at.clone(), ..form }.serialize(serializer)
    }
}

/// The digest of a plan, in hexadecimal.
pub fn digest(plan: &Plan) -> String {
    digest_of(&form(plan, false))
}

/// Of a form without digest and time.
fn digest_of<C: Serialize>(form: &PlanJson<C>) -> String {
    /// Serialises into the hash.
    struct Hashed(Sha256);

    impl io::Write for Hashed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    // Serialising writes a few bytes at a time, which is dear to hash.
    let mut hashed = io::BufWriter::with_capacity(1 << 16, Hashed(Sha256::new()));
    serde_json::to_writer(&mut hashed, form).expect("a plan has no maps with other keys than texts");
    let Ok(Hashed(hash)) = hashed.into_inner() else { unreachable!("a hash takes everything") };
    hex(&hash.finalize())
}

/// Changes that are put into their form one by one.
struct Changes<'p> {
    changes: &'p [Change],
    masked: bool,
}

impl Serialize for Changes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.changes.iter().map(|change| change_form(change, self.masked)))
    }
}

/// What every version's form begins with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    format_version: Option<u64>,
}

/// Reads a saved plan back.
///
/// # Errors
/// If it is not a plan, has another format, was changed, or is masked.
pub fn from_json(text: &str) -> Result<Plan, InvalidPlan> {
    let malformed = |error: serde_json::Error| InvalidPlan::Malformed(error.to_string());
    let Head { format_version } = serde_json::from_str(text).map_err(malformed)?;
    match format_version {
        Some(found) if found == u64::from(FORMAT_VERSION) => {}
        Some(found) => return Err(InvalidPlan::Format { found }),
        None => return Err(InvalidPlan::Malformed("it has no `formatVersion`".into())),
    }
    let mut form: PlanJson = serde_json::from_str(text).map_err(malformed)?;
    let (saved, created_at) = (std::mem::take(&mut form.digest), std::mem::replace(&mut form.created_at, "".into()));
    if saved != digest_of(&form) {
        return Err(InvalidPlan::Digest);
    }
    if form.masked {
        return Err(InvalidPlan::Masked);
    }
    let unchanged = form.summary.unchanged;
    Ok(Plan {
        estate: form.estate,
        environment: form.environment,
        revision: form.revision,
        created_at,
        simulated: form.simulated,
        changes: form.changes.into_iter().map(change).collect::<Result<_, _>>()?,
        blocked: form.blocked,
        findings: form.findings,
        transitions: form.transitions,
        retained: form.retained,
        shrinking: form.shrinking,
        record_moves: form.record_moves,
        approvals: granted(form.approvals, &form.approval_reasons),
        waves: form.waves,
        narrowed: form.narrowed,
        unchanged,
        targets: form.targets,
        secrets_unread: form.secrets_unread,
        journal: form.journal,
    })
}

fn granted(
    approvals: BTreeMap<Arc<str>, Arc<str>>,
    reasons: &BTreeMap<Arc<str>, Arc<str>>,
) -> BTreeMap<Arc<str>, Granted> {
    let granted = |(name, expires): (Arc<str>, Arc<str>)| {
        let reason = reasons.get(&name).cloned().unwrap_or_default();
        (name, Granted { expires, reason })
    };
    approvals.into_iter().map(granted).collect()
}

/// The form without digest and time.
fn form(plan: &Plan, masked: bool) -> PlanJson<Changes<'_>> {
    let Plan {
        estate,
        environment,
        revision,
        created_at: _,
        simulated,
        changes,
        blocked,
        findings,
        transitions,
        retained,
        shrinking,
        record_moves,
        approvals,
        waves,
        narrowed,
        unchanged: _,
        targets,
        secrets_unread,
        journal,
    } = plan;
    PlanJson {
        format_version: FORMAT_VERSION,
        tool: Tool { name: "tenantry".into(), version: env!("CARGO_PKG_VERSION").into() },
        estate: estate.clone(),
        environment: environment.clone(),
        revision: revision.clone(),
        created_at: "".into(),
        digest: String::new(),
        simulated: *simulated,
        summary: plan.summary(),
        changes: Changes { changes, masked },
        blocked: blocked.clone(),
        findings: findings.clone(),
        transitions: transitions
            .iter()
            .map(|transition| Transition {
                values: transition.values.clone().filter(|_| !masked),
                ..transition.clone()
            })
            .collect(),
        retained: retained.clone(),
        shrinking: shrinking.clone(),
        record_moves: record_moves.clone(),
        approvals: approvals.iter().map(|(name, granted)| (name.clone(), granted.expires.clone())).collect(),
        approval_reasons: approvals.iter().map(|(name, granted)| (name.clone(), granted.reason.clone())).collect(),
        waves: waves.clone(),
        narrowed: narrowed.clone(),
        errored: plan.is_refused() || !blocked.is_empty(),
        targets: if masked { BTreeMap::new() } else { targets.clone() },
        secrets_unread: *secrets_unread,
        journal: journal.clone().filter(|_| !masked),
        masked,
    }
}

fn change_form(change: &Change, masked: bool) -> ChangeJson {
    let spec = |spec: Option<&Arc<Map>>| {
        spec.map(|spec| {
            if masked { sensitive::mask(Value::Map(spec.clone()), &change.sensitive) } else { Value::Map(spec.clone()) }
        })
    };
    let mut deferred = BTreeMap::new();
    let mut unknown_after = Vec::new();
    if let Some(after) = change.work.after() {
        Value::Map(after.clone()).for_each_leaf(&mut |pointer, value| {
            if let Value::Deferred(parts) = value {
                if parts.has_output() {
                    unknown_after.push(pointer.to_owned());
                }
                deferred.insert(pointer.to_owned(), Deferred::clone(parts));
            }
        });
    }
    let value = |path: &str, value: &Option<Value>| match value {
        Some(Value::Deferred(deferred)) => Some(Value::text(deferred.to_string())),
        Some(_) if masked && sensitive::covers(&change.sensitive, path) => Some(sensitive::MASK.into()),
        other => other.clone(),
    };
    ChangeJson {
        address: change.address.clone(),
        tenant: change.address.owner.tenant().cloned(),
        kind: change.kind.clone(),
        target: change.target.clone(),
        identity: change.work.identity().cloned(),
        action: change.action(),
        cause: change.cause,
        reason: change.reason.clone(),
        before: spec(change.work.before()),
        after: spec(change.work.after()),
        unknown_after,
        sensitive: change.sensitive.clone(),
        fields: change
            .work
            .fields()
            .iter()
            .map(|field| FieldJson {
                path: field.path.clone(),
                before: value(&field.path, &field.before),
                after: value(&field.path, &field.after),
                outside: field.outside,
                by: field.by.clone(),
                becomes: value(&field.path, &field.becomes),
            })
            .collect(),
        depends_on: change.depends_on.clone(),
        protected: change.protected,
        optional: change.optional,
        loses_data: change.loses_data,
        takes_along: change.takes_along.to_vec(),
        origin: change.origin.clone(),
        renamed_from: change.renamed_from.clone(),
        replaces: change.work.replaces().cloned(),
        generation: change.generation,
        deferred,
    }
}

fn change(form: ChangeJson) -> Result<Change, InvalidPlan> {
    let after = form.after.map(|after| {
        form.deferred.iter().fold(after, |after, (pointer, deferred)| {
            after.with_pointer(pointer, Value::Deferred(Arc::new(deferred.clone())))
        })
    });
    let fields: Vec<FieldChange> = form
        .fields
        .into_iter()
        .map(|field| {
            // JSON tells neither what is deferred in it nor a field that is wanted null from one that goes away.
            let desired = after.as_ref().and_then(|after| after.pointer(&field.path)).cloned();
            let FieldJson { path, before, after, outside, by, becomes } = field;
            FieldChange { path, before, after: desired.or(after), outside, by, becomes }
        })
        .collect();
    let (action, address, identity, old) = (form.action, form.address, form.identity, form.replaces);
    let missing = |what: &str| InvalidPlan::Malformed(format!("`{}` of {address} has no `{what}`", action.as_str()));
    let map = |value: Option<Value>, what: &str| match value {
        Some(Value::Map(map)) => Ok(map),
        _ => Err(missing(what)),
    };
    let before = || map(form.before, "before");
    let after = || map(after, "after");
    let named = || identity.clone().ok_or_else(|| missing("identity"));
    let work = match action {
        Action::Create => Work::Create { identity, after: after()? },
        Action::Update => Work::Update { identity: named()?, before: before()?, after: after()?, fields },
        Action::Replace => Work::Replace { identity, old, before: before()?, after: after()?, fields },
        Action::Delete => Work::Delete { identity: named()?, before: before()? },
        Action::Adopt => Work::Adopt { identity: named()?, before: before()?, after: after()?, fields },
        Action::Move => Work::Move { identity: named()?, before: before()?, after: after()? },
        Action::Forget => Work::Forget { identity: named()? },
    };
    Ok(Change {
        address,
        kind: form.kind,
        target: form.target,
        work,
        cause: form.cause,
        reason: form.reason,
        sensitive: form.sensitive,
        depends_on: form.depends_on,
        protected: form.protected,
        optional: form.optional,
        loses_data: form.loses_data,
        takes_along: form.takes_along.into(),
        origin: form.origin,
        renamed_from: form.renamed_from,
        generation: form.generation,
    })
}
