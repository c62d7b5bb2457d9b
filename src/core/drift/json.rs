//! Drift for programs: the form of `schemas/drift.v1.schema.json`. Sensitive values are masked.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Drift, State};
use crate::model::address::Address;
use crate::model::config::IgnoreRule;
use crate::model::resource::{Author, Identity, TargetName};
use crate::model::value::Value;
use crate::plan::sensitive::{self, masked};
use crate::plan::{Blocked, Change, FieldChange, Finding, Place};

/// Version of this form.
pub const FORMAT_VERSION: u32 = 1;

/// What a drift run found.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Drift")]
pub struct DriftJson<'p> {
    /// Version of this form.
    format_version: u32,
    /// The name of the estate.
    estate: &'p str,
    /// The environment, if one was chosen.
    environment: Option<&'p str>,
    /// The commit of the repository that the targets were compared with.
    revision: Option<&'p str>,
    /// When the targets were read.
    created_at: &'p str,
    /// Whether every target is the sandbox.
    simulated: bool,
    /// Names the set of drifted resources and what was done to them; null without drift.
    digest: Option<String>,
    /// Counts of resources.
    summary: SummaryJson,
    /// Resources that somebody else changed or deleted.
    drifted: Vec<DriftedJson<'p>>,
    /// Fields that somebody else changed and a rule leaves out.
    ignored: Vec<IgnoredJson<'p>>,
    /// Resources that the repository changed.
    pending: Vec<&'p Address>,
    /// Resources that an earlier run did not finish.
    unfinished: Vec<&'p Address>,
    /// Resources that could not be read.
    unknown: &'p [&'p Blocked],
    /// Resources that are blocked for another reason.
    blocked: &'p [&'p Blocked],
    /// What else a person should know of the targets.
    findings: &'p [&'p Finding],
}

/// How many resources there are of each sort.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SummaryJson {
    /// Somebody changed a field of them.
    changed: usize,
    /// Somebody deleted them.
    deleted: usize,
    /// Rules leave out all or some of what somebody changed.
    ignored: usize,
    /// The repository changed them.
    pending: usize,
    /// An earlier run did not finish them.
    unfinished: usize,
    /// They could not be read.
    unknown: usize,
    /// They are blocked for another reason.
    blocked: usize,
    /// As desired.
    unchanged: usize,
}

/// A resource that drifted.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DriftedJson<'p> {
    /// Its name in the estate.
    address: &'p Address,
    /// The kind of resource.
    kind: &'p str,
    /// The target that it is in.
    target: &'p TargetName,
    /// Its name in the target.
    identity: Option<&'p Identity>,
    /// What was done to it.
    state: State,
    /// What somebody changed; empty for a resource that is gone.
    fields: Vec<FieldJson<'p>>,
    /// Whether recreating it does not bring its data back.
    loses_data: bool,
    /// Where the repository asks for it.
    origin: Option<&'p Place>,
}

/// A field that somebody changed.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FieldJson<'p> {
    /// JSON pointer into the spec.
    path: &'p str,
    /// As the repository asks for it; null if it is not asked for.
    wanted: Option<Value>,
    /// As it is; null if it does not exist.
    found: Option<Value>,
    /// Who changed it, if the target tells.
    by: Option<&'p Author>,
}

/// Drift that a rule leaves out.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct IgnoredJson<'p> {
    /// The resource.
    address: &'p Address,
    /// What somebody changed.
    fields: Vec<FieldJson<'p>>,
    /// Who answers for the rule.
    owner: &'p Arc<str>,
    /// Why there is the rule.
    reason: &'p Arc<str>,
    /// Its last day.
    expires: &'p Arc<str>,
}

/// The JSON form.
pub fn document<'p>(drift: &'p Drift<'p>) -> DriftJson<'p> {
    let plan = drift.plan;
    let of = |state: State| drift.drifted.iter().filter(|drifted| drifted.state == state).count();
    DriftJson {
        format_version: FORMAT_VERSION,
        estate: &plan.estate,
        environment: plan.environment.as_deref(),
        revision: plan.revision.as_deref(),
        created_at: &plan.created_at,
        simulated: plan.simulated,
        digest: drift.digest(),
        summary: SummaryJson {
            changed: of(State::Changed),
            deleted: of(State::Deleted),
            ignored: drift.ignored.len(),
            pending: drift.pending.len(),
            unfinished: drift.unfinished.len(),
            unknown: drift.unknown.len(),
            blocked: drift.blocked.len(),
            unchanged: plan.unchanged,
        },
        drifted: drift
            .drifted
            .iter()
            .map(|drifted| DriftedJson {
                address: &drifted.change.address,
                kind: &drifted.change.kind,
                target: &drifted.change.target,
                identity: drifted.change.work.identity(),
                state: drifted.state,
                fields: drifted.fields.iter().map(|field| self::field(drifted.change, field)).collect(),
                loses_data: drifted.change.loses_data,
                origin: drifted.change.origin.as_ref(),
            })
            .collect(),
        ignored: drift
            .ignored
            .iter()
            .map(|ignored| {
                let IgnoreRule { owner, reason, expires, .. } = ignored.rule;
                let fields = ignored.fields.iter().map(|field| self::field(ignored.change, field)).collect();
                IgnoredJson { address: &ignored.change.address, fields, owner, reason, expires }
            })
            .collect(),
        pending: drift.pending.iter().map(|change| &change.address).collect(),
        unfinished: drift.unfinished.iter().map(|change| &change.address).collect(),
        unknown: &drift.unknown,
        blocked: &drift.blocked,
        findings: &drift.findings,
    }
}

/// The JSON Schema of the form.
pub fn schema() -> serde_json::Value {
    schemars::SchemaGenerator::default().into_root_schema_for::<DriftJson<'_>>().into()
}

fn field<'p>(change: &'p Change, field: &'p FieldChange) -> FieldJson<'p> {
    let shown = |value: &Option<Value>| match sensitive::covers(&change.sensitive, &field.path) {
        true => masked(value.as_ref()),
        false => value.clone(),
    };
    FieldJson { path: &field.path, wanted: shown(&field.after), found: shown(&field.before), by: field.by.as_ref() }
}
