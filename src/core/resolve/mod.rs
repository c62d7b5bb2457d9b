//! Tier defaults + a tenant's overrides → the resolved tenant, with the origin of each value.
//!
//! Synchronous and without IO. What a tenant does not override is shared with every other tenant of its tier.

mod environment;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use environment::{Environment, environment};

use super::diagnostics::{Diagnostic, codes, nearest};
use super::model::config::WaveTable;
use super::model::document::{Document, Estate, Phase, TenantSpec, TierSpec};
use super::model::value::{Map, Value};

/// A tenant with its tier's defaults filled in.
pub struct ResolvedTenant<'e> {
    pub document: &'e Document<TenantSpec>,
    pub tier: &'e Document<TierSpec>,
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

    pub fn phase(&self) -> Phase {
        self.document.spec.phase
    }

    /// The tenant as it would be on another tier.
    #[must_use]
    pub fn on(&self, tier: &ResolvedTier<'e>) -> Self {
        Self { document: self.document, tier: tier.document, value: tenant_value(self.document, &tier.value) }
    }
}

/// Resolves every tenant of an estate. Problems go to `diagnostics`; a tenant that has one is left out.
pub fn resolve<'e>(estate: &'e Estate, diagnostics: &mut Vec<Diagnostic>) -> Resolved<'e> {
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
        tenants.push(ResolvedTenant { document, tier: tier.document, value: tenant_value(document, &tier.value) });
    }
    tenants.sort_by(|a, b| a.document.metadata.name.cmp(&b.document.metadata.name));
    let estate_value = Value::map([("name", Value::text(estate.config.estate.name.as_str()))]);
    Resolved { tenants, tiers, estate: estate_value }
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

fn texts(map: &BTreeMap<Arc<str>, Arc<str>>) -> Value {
    Value::map(map.iter().map(|(key, value)| (key.clone(), Value::Text(value.clone()))))
}

fn json<T: serde::Serialize>(value: &T) -> Value {
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
    let TierSpec { rank, blueprints: _, price, quotas, features, values } = spec;
    Value::map([
        ("name", metadata.name.shared().into()),
        ("labels", texts(&metadata.labels)),
        ("annotations", texts(&metadata.annotations)),
        ("rank", Value::Integer(i64::from(*rank))),
        ("price", json(price)),
        ("quotas", json(quotas)),
        ("features", list_of(features)),
        ("values", values_of(values).into()),
    ])
}

fn tenant_value(document: &Document<TenantSpec>, tier: &Value) -> Value {
    let Document { metadata, spec, positions: _ } = document;
    let TenantSpec { display_name, tier: tier_name, phase, placement, quotas, features, contacts, values } = spec;
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
        ("phase", json(phase)),
        ("placement", texts(placement)),
        ("quotas", overlaid("quotas", json(quotas))),
        ("features", all_features),
        ("contacts", json(contacts)),
        ("values", overlaid("values", values_of(values).into())),
    ])
}
