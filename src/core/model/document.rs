//! The documents of an estate, as they are written.
//!
//! Field descriptions here become the JSON Schemas in `schemas/` and so what an editor shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::Name;
pub use super::policy::{Enforcement, Expectation, Narrow, PolicyRule, PolicySpec, PolicyTest, Subject};
use super::quantity::Quota;
use super::value::Value;
use crate::diagnostics::{FileId, Origin, SourceFiles, Span};

/// The only version of documents so far.
pub const API_VERSION: &str = "tenantry.dev/v1";

/// A document with its positions.
#[derive(Clone, Debug)]
pub struct Document<S> {
    pub metadata: Metadata,
    pub spec: S,
    pub positions: Positions,
}

/// Where each value of a document stands.
#[derive(Clone, Debug)]
pub struct Positions {
    pub file: FileId,
    /// Spans by JSON pointer within the document, the root's under the empty pointer.
    spans: Box<[(u64, Span)]>,
}

impl Positions {
    pub fn new<P: AsRef<str>>(file: FileId, spans: impl IntoIterator<Item = (P, Span)>) -> Self {
        let mut spans: Vec<_> =
            spans.into_iter().map(|(pointer, span)| (pointer_hash(pointer.as_ref()), span)).collect();
        spans.sort_unstable_by_key(|(hash, _)| *hash);
        Self { file, spans: spans.into() }
    }

    /// Of a document that was not read from a file.
    pub fn none() -> Self {
        Self { file: FileId(0), spans: Box::default() }
    }

    /// The place of a JSON pointer, or of the nearest value around it.
    pub fn origin(&self, pointer: &str) -> Origin {
        let mut pointer = pointer;
        loop {
            if let Some(origin) = self.exact(pointer) {
                return origin;
            }
            match pointer.rfind('/') {
                Some(at) => pointer = &pointer[..at],
                None => return Origin { file: self.file, span: Span::default() },
            }
        }
    }

    /// The place of a JSON pointer, if the document has it.
    pub fn exact(&self, pointer: &str) -> Option<Origin> {
        let hash = pointer_hash(pointer);
        let index = self.spans.binary_search_by_key(&hash, |(hash, _)| *hash).ok()?;
        Some(Origin { file: self.file, span: self.spans[index].1 })
    }
}

/// FNV-1a. Positions are kept by the hash of their pointer, because ten thousand documents have a million of them; two
/// pointers that collide would only show a message at the wrong line.
fn pointer_hash(pointer: &str) -> u64 {
    pointer.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What every document has.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The document's name, unique among its kind.
    pub name: Name,
    /// Names that the document had before. Renames without recreating anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previously: Vec<Name>,
    /// Short texts for selecting and grouping, such as a region.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Notes for people and other tools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<Arc<str>, Arc<str>>,
}

/// A customer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantSpec {
    /// The customer's name as people write it.
    pub display_name: Arc<str>,
    /// The tier that the tenant is on.
    pub tier: Name,
    pub phase: Phase,
    /// Which target of a provider to use, by the provider's placement key: `{database: us-1, cluster: us-east}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub placement: BTreeMap<Arc<str>, Arc<str>>,
    /// Overrides of the tier's quotas.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quotas: BTreeMap<Arc<str>, Quota>,
    /// Features beyond the tier's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Arc<str>>,
    /// Personal data: masked in output that may be stored.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub contacts: BTreeMap<Arc<str>, Contact>,
    /// The user's own values, merged over the tier's. Checked by `schemas/tenant.schema.json` if that exists.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub values: BTreeMap<Arc<str>, Value>,
    /// When the trial ends: an RFC 3339 time, or a date (the end of that day, UTC). By default the `trialDays` of the tier's price
    /// after the tenant has entered the phase `trial`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_ends: Option<Arc<str>>,
    /// What a tenant in the phase `suspended` is suspended for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<Suspension>,
    /// The request that a tenant in the phase `deleting` or `deleted` leaves by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
    /// While it is in force, no data of the tenant is deleted, whatever its phase and whatever an Approval allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_hold: Option<LegalHold>,
    /// Whether this is another customer than the deleted one that had the name before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reuse_name: bool,
}

/// Why a tenant is suspended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Suspension {
    /// The reason, in a sentence.
    #[schemars(length(min = 1))]
    pub reason: Arc<str>,
}

/// The request to delete a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deletion {
    /// Who asked for it.
    #[schemars(length(min = 1))]
    pub requested_by: Arc<str>,
    /// The reason, in a sentence.
    #[schemars(length(min = 1))]
    pub reason: Arc<str>,
    /// The contract, law or case that it refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_reference: Option<Arc<str>>,
    /// Days that the data is kept after access has ended. By default, and within the bounds, that the table `[offboarding]` of
    /// `tenantry.toml` has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
}

/// A legal hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LegalHold {
    /// The reason, in a sentence.
    #[schemars(length(min = 1))]
    pub reason: Arc<str>,
    /// Until when it is in force: an RFC 3339 time, or a date (the end of that day, UTC). Without one, until it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Arc<str>>,
}

/// What becomes of a tenant whose trial has ended while its document still says `trial`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TrialEnd {
    /// It stays in its trial, and each plan says so.
    #[default]
    Nothing,
    /// It is suspended.
    Suspend,
    /// It becomes active, and pays.
    Convert,
}

/// A person or office of the tenant.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contact {
    /// The person's or office's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
    /// The address to write to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Arc<str>>,
    /// The number to call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Arc<str>>,
}

/// The phase of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Trial,
    Active,
    Suspended,
    Deleting,
    Deleted,
}

/// The plan that tenants are on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TierSpec {
    /// The order of upgrades: a higher rank is a larger plan.
    pub rank: u32,
    /// Blueprints of scope `tenant` for each tenant of the tier, and of scope `tier` once for the tier.
    pub blueprints: Vec<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Named limits: whole numbers, quantities such as `500Gi`, or `unlimited`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quotas: BTreeMap<Arc<str>, Quota>,
    /// Names of features that tenants of the tier may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Arc<str>>,
    /// The user's own values; a tenant's values are merged over them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub values: BTreeMap<Arc<str>, Value>,
    /// What becomes of a tenant whose trial has ended.
    #[serde(default, skip_serializing_if = "TrialEnd::is_nothing")]
    pub on_trial_end: TrialEnd,
}

impl TrialEnd {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
    fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

/// What a tier costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Price {
    /// The currency's code of ISO 4217, in lower case: `usd`.
    #[schemars(regex(pattern = "^[a-z]{3}$"))]
    pub currency: Arc<str>,
    /// The amount in units of the currency, with its decimals, as text so that nothing is rounded: `"4999.00"`.
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)?$"))]
    pub amount: Arc<str>,
    pub interval: Interval,
    /// Days before the first charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_days: Option<u32>,
}

/// How often a price is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    Month,
    Year,
}

impl Interval {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// What a tenant is on: its tier, and what that costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Terms {
    /// The tier's name.
    pub tier: Arc<str>,
    /// As the tier's document has it; absent if it names no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

impl Terms {
    /// The terms that each tenant of an estate asks for. A tenant whose tier does not exist has none.
    pub fn of(estate: &Estate) -> BTreeMap<Arc<str>, Self> {
        let prices: BTreeMap<&str, &Option<Price>> =
            estate.tiers.iter().map(|tier| (tier.metadata.name.as_str(), &tier.spec.price)).collect();
        let terms = estate.tenants.iter().filter_map(|tenant| {
            let price = (*prices.get(tenant.spec.tier.as_str())?).clone();
            Some((tenant.metadata.name.shared(), Self { tier: tenant.spec.tier.shared(), price }))
        });
        terms.collect()
    }
}

/// The resources of each tenant, each tier or the estate.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlueprintSpec {
    pub scope: Scope,
    /// In any order: what needs another resource refers to it.
    pub resources: Vec<ResourceTemplate>,
}

/// What a blueprint is expanded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Tenant,
    Tier,
    /// Once for the estate. Every blueprint of this scope is used, without being named anywhere.
    Estate,
}

/// One resource of a blueprint. Texts may hold `${…}` expressions.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceTemplate {
    /// An identifier: letters, digits and underscores.
    #[schemars(regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"), length(max = 63))]
    pub id: Arc<str>,
    /// The kind of resource, such as `postgres.schema`.
    pub kind: Arc<str>,
    /// The target to use instead of the tenant's placement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Arc<str>>,
    /// Whether the resource exists at all: a boolean, or an expression that yields one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BooleanOrExpression>")]
    pub when: Option<Value>,
    /// A list of texts, or an expression that yields one: one resource for each, available as `each`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ListOrExpression>")]
    pub for_each: Option<Value>,
    /// Ids of resources that have to exist first, beyond those that expressions refer to: of this blueprint, or of the
    /// estate as `estate/ID`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Arc<str>>,
    /// Deleting it needs an Approval, whatever its kind.
    #[serde(default)]
    pub protect: bool,
    /// Its tenant may be without it: while it fails, is blocked or is not ready, the tenant still enters its phase and is billed.
    #[serde(default)]
    pub optional: bool,
    /// Take over an existing resource of this identity that carries no mark.
    #[serde(default)]
    pub adopt: bool,
    /// JSON pointers of fields of the spec that are masked wherever they are shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sensitive: Vec<Arc<str>>,
    /// Ids that the resource had before. Renames without recreating anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previously: Vec<Arc<str>>,
    /// As the kind defines it.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub spec: Value,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum BooleanOrExpression {
    Boolean(bool),
    Expression(String),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum ListOrExpression {
    List(Vec<String>),
    Expression(String),
}

/// Permission for something that a guard refuses. It counts only in the revision that is applied.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalSpec {
    /// What is allowed.
    pub allow: Vec<Allowance>,
    /// The addresses for which it is allowed, such as `acme-corp/*`, where `*` matches any characters. With `massDelete`, these
    /// addresses do not count against the limit.
    #[schemars(length(min = 1))]
    pub addresses: Vec<Arc<str>>,
    /// With `policy`: the names of the policies whose rules it lifts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Arc<str>>,
    /// Why it is allowed.
    #[schemars(length(min = 1))]
    pub reason: Arc<str>,
    /// When it expires: an RFC 3339 time, or a date (the end of that day, UTC).
    pub expires: Arc<str>,
    /// Where it was read.
    #[serde(skip)]
    #[schemars(skip)]
    pub file: ApprovalFile,
}

/// The file of an Approval: its path tells who could give it, and its state in Git whether somebody reviewed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalFile {
    /// Relative to the estate, with forward slashes.
    pub path: Arc<str>,
    /// Why it does not count, if it is not committed as it is.
    pub uncommitted: Option<Arc<str>>,
    /// Whether the path leads over a symbolic link: then it does not tell who owns the content.
    pub is_linked: bool,
}

/// What an Approval can allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Allowance {
    /// Deleting or replacing a protected or data-bearing resource.
    Delete,
    /// More deletions than the limit.
    MassDelete,
    /// Generating a new secret because the secret store no longer has the old one.
    RotateSecret,
    /// Changing what a customer is billed for a resource that the store has no record of.
    Bill,
    /// Destroying what a target deletes together with a resource though it is no part of it.
    Cascade,
    /// What rules of the policies named in `policies` refuse without an Approval.
    Policy,
}

/// Everything that was read from an estate.
#[derive(Clone, Debug)]
pub struct Estate {
    pub config: super::config::EstateConfig,
    /// `tenantry.toml`'s own positions; pointers as if it were JSON.
    pub config_positions: Positions,
    pub tenants: Vec<Document<TenantSpec>>,
    pub tiers: Vec<Document<TierSpec>>,
    pub blueprints: Vec<Document<BlueprintSpec>>,
    pub approvals: Vec<Document<ApprovalSpec>>,
    pub policies: Vec<Document<PolicySpec>>,
    pub files: SourceFiles,
    /// The commit, if the estate was read from one or its work tree has no uncommitted change.
    pub revision: Option<Arc<str>>,
}
