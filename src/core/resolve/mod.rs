//! Tier defaults + a tenant's overrides → the resolved tenant, with the origin of each value.
//!
//! Synchronous and without IO. What a tenant does not override is shared with every other tenant of its tier.

mod environment;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use environment::{Environment, environment};

use serde_json::json;

use super::diagnostics::{Diagnostic, codes, nearest};
use super::lifecycle::{self, ByItself, Life, Times};
use super::model::config::{OffboardingTable, WaveTable};
use super::model::document::{Document, Estate, Phase, Positions, TenantSpec, TierSpec};
use super::model::value::{Map, Value};

/// A tenant with its tier's defaults filled in.
pub struct ResolvedTenant<'e> {
    pub document: &'e Document<TenantSpec>,
    pub tier: &'e Document<TierSpec>,
    pub life: Life,
    /// The variable `tenant` of expressions.
    pub value: Value,
}

/// A tier as expressions see it.
pub struct ResolvedTier<'e> {
    pub document: &'e Document<TierSpec>,
    /// The variable `tier` of expressions.
    pub value: Value,
}

/// Every tenant and tier, in order of name.
pub struct Resolved<'e> {
    pub tenants: Vec<ResolvedTenant<'e>>,
    pub tiers: Vec<ResolvedTier<'e>>,
    /// The variable `estate` of expressions.
    pub estate: Value,
}

impl<'e> ResolvedTenant<'e> {
    pub fn name(&self) -> Arc<str> {
        self.document.metadata.name.shared()
    }

    /// The phase that it is to be in.
    pub fn phase(&self) -> Phase {
        self.life.phase
    }

    /// The tenant as it would be on another tier.
    #[must_use]
    pub fn on(&self, tier: &ResolvedTier<'e>) -> Self {
        let value = tenant_value(self.document, &self.life, &tier.value);
        Self { document: self.document, tier: tier.document, life: self.life.clone(), value }
    }
}

/// Resolves every tenant of an estate. Problems go to `diagnostics`; a tenant that has one is left out.
pub fn resolve<'e>(estate: &'e Estate, times: Times<'_>, diagnostics: &mut Vec<Diagnostic>) -> Resolved<'e> {
    let mut lives = lifecycle::lives(estate, times);
    let mut tiers: Vec<ResolvedTier<'e>> =
        estate.tiers.iter().map(|document| ResolvedTier { document, value: tier_value(document) }).collect();
    tiers.sort_by(|a, b| a.document.metadata.name.cmp(&b.document.metadata.name));

    let known_quotas: BTreeSet<&str> =
        estate.tiers.iter().flat_map(|tier| tier.spec.quotas.keys()).map(|quota| &**quota).collect();
    let known_features: BTreeSet<&str> =
        estate.tiers.iter().flat_map(|tier| &tier.spec.features).map(|feature| &**feature).collect();
    let by_name: BTreeMap<&str, &ResolvedTier<'e>> =
        tiers.iter().map(|tier| (tier.document.metadata.name.as_str(), tier)).collect();

    check_rollout(estate, &by_name, diagnostics);
    let mut tenants = Vec::with_capacity(estate.tenants.len());
    for document in &estate.tenants {
        let name = &document.metadata.name;
        // Addresses could not tell its resources from those of the estate itself.
        if name.as_str() == "estate" {
            diagnostics.push(
                Diagnostic::error(codes::INVALID_NAME, "a tenant cannot be called `estate`")
                    .at(document.positions.origin("/metadata/name"), "reserved for the estate's own resources")
                    .help("give the tenant another name"),
            );
            continue;
        }
        let Some(tier) = by_name.get(document.spec.tier.as_str()) else {
            let wanted = document.spec.tier.as_str();
            diagnostics.push(
                Diagnostic::error(
                    codes::UNKNOWN_TIER,
                    format!("tenant `{name}` is on tier `{wanted}`, which does not exist"),
                )
                .at(document.positions.origin("/spec/tier"), "no tier has this name")
                .help(suggest(
                    wanted,
                    by_name.keys().copied(),
                    "tiers are",
                    "add a document of kind Tier",
                )),
            );
            continue;
        };
        for (unknown, sort, known, pointer) in document
            .spec
            .quotas
            .keys()
            .filter(|quota| !known_quotas.contains(&***quota))
            .map(|quota| (quota, "quota", &known_quotas, format!("/spec/quotas/{quota}")))
            .chain(
                document
                    .spec
                    .features
                    .iter()
                    .enumerate()
                    .filter(|(_, feature)| !known_features.contains(&***feature))
                    .map(|(index, feature)| (feature, "feature", &known_features, format!("/spec/features/{index}"))),
            )
        {
            diagnostics.push(
                Diagnostic::error(codes::NOT_ALLOWED_BY_TIER, format!("no tier has a {sort} `{unknown}`"))
                    .at(document.positions.origin(&pointer), format!("of the unknown {sort} `{unknown}`"))
                    .help(suggest(
                        unknown,
                        known.iter().copied(),
                        &format!("{sort}s are"),
                        &format!("add the {sort} to a tier first"),
                    )),
            );
        }
        let Some(life) = lives.remove(name.as_str()) else { continue };
        check_life(document, times.offboarding, diagnostics);
        let value = tenant_value(document, &life, &tier.value);
        tenants.push(ResolvedTenant { document, tier: tier.document, life, value });
    }
    tenants.sort_by(|a, b| a.document.metadata.name.cmp(&b.document.metadata.name));
    let estate_value = Value::map([("name", Value::text(estate.config.estate.name.as_str()))]);
    Resolved { tenants, tiers, estate: estate_value }
}

/// Reports what a tenant's document says of another phase than its own, and a retention out of the estate's bounds.
fn check_life(document: &Document<TenantSpec>, offboarding: &OffboardingTable, diagnostics: &mut Vec<Diagnostic>) {
    let TenantSpec { phase, trial_ends, suspension, deletion, .. } = &document.spec;
    let leaves = matches!(phase, Phase::Deleting | Phase::Deleted);
    let of_another = [
        ("trialEnds", trial_ends.is_some() && *phase != Phase::Trial, "`phase: trial`"),
        ("suspension", suspension.is_some() && *phase != Phase::Suspended, "`phase: suspended`"),
        ("deletion", deletion.is_some() && !leaves, "`phase: deleting` or `phase: deleted`"),
    ];
    for (field, _, wanted) in of_another.into_iter().filter(|(_, is_wrong, _)| *is_wrong) {
        let message = format!("tenant `{}` has `{field}`, but its phase is `{phase}`", document.metadata.name);
        diagnostics.push(
            Diagnostic::error(codes::SCHEMA, message)
                .at(document.positions.origin(&format!("/spec/{field}")), format!("only with {wanted}"))
                .help(format!("remove `{field}`, or write {wanted}")),
        );
    }
    let days = deletion.as_ref().and_then(|deletion| deletion.retention_days);
    let OffboardingTable { min_retention_days: least, max_retention_days: most, .. } = *offboarding;
    if let Some(days) = days.filter(|days| !(least..=most).contains(days)) {
        let message = format!("the data of tenant `{}` is to be kept for {days} days", document.metadata.name);
        diagnostics.push(
            Diagnostic::error(codes::RETENTION_OUT_OF_BOUNDS, message)
                .at(document.positions.origin("/spec/deletion/retentionDays"), format!("{least} to {most} are allowed"))
                .help("write a number in these bounds, or change `min_retention_days` and `max_retention_days` in the table [offboarding] of tenantry.toml"),
        );
    }
}

/// Checks that each wave of the rollout can have a tenant.
fn check_rollout(estate: &Estate, tiers: &BTreeMap<&str, &ResolvedTier<'_>>, diagnostics: &mut Vec<Diagnostic>) {
    let waves = &estate.config.rollout;
    for (at, wave) in waves.iter().enumerate() {
        if let WaveTable::Tier(tier) = wave
            && !tiers.contains_key(tier.as_str())
        {
            let pointer = format!("/rollout/{at}/tier");
            diagnostics.push(
                Diagnostic::error(codes::UNKNOWN_TIER, format!("a wave is for tier `{tier}`, which does not exist"))
                    .at(estate.config_positions.origin(&pointer), "no tier has this name")
                    .help(suggest(tier.as_str(), tiers.keys().copied(), "tiers are", "add a document of kind Tier")),
            );
        }
        if matches!(wave, WaveTable::Rest(_)) && at + 1 < waves.len() {
            let pointer = format!("/rollout/{}", at + 1);
            diagnostics.push(
                Diagnostic::error(codes::CONFIG_INVALID, "no tenant is left for this wave")
                    .at(estate.config_positions.origin(&pointer), "the wave before has all other tenants")
                    .help("write `rest = true` as the last wave"),
            );
            return;
        }
    }
}

/// A remedy for a name that does not exist.
pub fn suggest<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone, are: &str, otherwise: &str) -> String {
    match nearest(name, known.clone()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if known.clone().next().is_none() => otherwise.to_owned(),
        None => format!("{are} {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// A tenant and its tier with nothing in them, as expressions see them: every field that a tenant and a tier have.
pub fn empty() -> (Value, Value) {
    let metadata = json!({"name": "test"});
    let tier = json!({"rank": 0, "blueprints": []});
    let tenant = json!({"displayName": "", "tier": "test", "phase": "active"});
    let read = "an empty document has what its kind requires";
    let tier = tier_value(&Document {
        metadata: serde_json::from_value(metadata.clone()).expect(read),
        spec: serde_json::from_value(tier).expect(read),
        positions: Positions::none(),
    });
    let tenant = tenant_value(
        &Document {
            metadata: serde_json::from_value(metadata).expect(read),
            spec: serde_json::from_value(tenant).expect(read),
            positions: Positions::none(),
        },
        &Life::of_phase(Phase::Active, jiff::Timestamp::UNIX_EPOCH),
        &tier,
    );
    (tenant, tier)
}

fn texts(map: &BTreeMap<Arc<str>, Arc<str>>) -> Value {
    Value::map(map.iter().map(|(key, value)| (key.clone(), Value::Text(value.clone()))))
}

fn to_value<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("documents serialize, for they were deserialized").into()
}

fn values_of(values: &BTreeMap<Arc<str>, Value>) -> Map {
    values.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn list_of(items: &[Arc<str>]) -> Value {
    Value::list(items.iter().cloned().map(Value::Text))
}

fn tier_value(document: &Document<TierSpec>) -> Value {
    let Document { metadata, spec, positions: _ } = document;
    let TierSpec { rank, blueprints: _, price, quotas, features, values, on_trial_end: _ } = spec;
    Value::map([
        ("name", metadata.name.shared().into()),
        ("labels", texts(&metadata.labels)),
        ("annotations", texts(&metadata.annotations)),
        ("rank", Value::Integer(i64::from(*rank))),
        ("price", to_value(price)),
        ("quotas", to_value(quotas)),
        ("features", list_of(features)),
        ("values", values_of(values).into()),
    ])
}

fn tenant_value(document: &Document<TenantSpec>, life: &Life, tier: &Value) -> Value {
    let Document { metadata, spec, positions: _ } = document;
    let TenantSpec { display_name, tier: tier_name, placement, quotas, features, contacts, values, .. } = spec;
    let TenantSpec { suspension, deletion, legal_hold: _, .. } = spec;
    let time = |time: Option<jiff::Timestamp>| time.map_or(Value::Null, |time| Value::from(time.to_string()));
    let suspension = match life.by_itself {
        Some(ByItself::TrialEnded) => Value::map([("reason", Value::from("the trial ended"))]),
        _ => to_value(suspension),
    };
    let deletion = deletion.as_ref().map_or(Value::Null, |deletion| {
        let fields = to_value(deletion).as_map().cloned().unwrap_or_default();
        fields.with("retentionDays", Value::Integer(life.retention_days.into())).into()
    });
    let inherited = |field: &str| tier.get(field).cloned().unwrap_or_default();
    let overlaid = |field: &str, over: Value| match (inherited(field), over) {
        (below, Value::Map(over)) if over.is_empty() => below,
        (Value::Map(below), Value::Map(over)) => below.overlaid(&over).into(),
        (_, over) => over,
    };
    let all_features = if features.is_empty() {
        inherited("features")
    } else {
        let mut all = inherited("features").as_list().unwrap_or_default().to_vec();
        all.extend(features.iter().cloned().map(Value::Text));
        Value::from(all).as_set()
    };
    Value::map([
        ("name", metadata.name.shared().into()),
        ("labels", texts(&metadata.labels)),
        ("annotations", texts(&metadata.annotations)),
        ("displayName", Value::Text(display_name.clone())),
        ("tier", tier_name.shared().into()),
        ("phase", Value::from(life.phase.as_str())),
        ("phaseSince", time(Some(life.since))),
        ("trialEnds", time(life.trial_ends)),
        ("suspension", suspension),
        ("deletion", deletion),
        ("deletesAfter", time(life.deletes_after())),
        ("legalHold", to_value(&life.hold)),
        ("placement", texts(placement)),
        ("quotas", overlaid("quotas", to_value(quotas))),
        ("features", all_features),
        ("contacts", to_value(contacts)),
        ("values", overlaid("values", values_of(values).into())),
    ])
}
