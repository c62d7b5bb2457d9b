//! The document of a policy, as it is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::Phase;
use super::names::Name;
use super::value::Value;
use crate::plan::Action;

/// Rules of the estate's own that a plan has to follow.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySpec {
    /// What the policy is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Arc<str>>,
    /// Figures, lists and texts that the rules use as `values.NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub values: BTreeMap<Arc<str>, Value>,
    /// Each is evaluated on its own.
    #[schemars(length(min = 1))]
    pub rules: Vec<PolicyRule>,
    /// What the rules say of examples; `tenantry policy test` runs them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<PolicyTest>,
}

/// One rule of a policy.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyRule {
    /// The rule's name, unique within the policy.
    pub id: Name,
    /// What it is evaluated for.
    pub each: Subject,
    /// What it is restricted to. Everything that is named has to fit.
    #[serde(default, skip_serializing_if = "Narrow::is_empty")]
    pub only: Narrow,
    /// An expression; where it is false, the rule does not apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Arc<str>>,
    /// An expression that is true where all is well.
    #[schemars(length(min = 1))]
    pub expression: Arc<str>,
    /// What is wrong where the expression is false, in one sentence without a full stop. It may hold `${…}`.
    #[schemars(length(min = 1))]
    pub message: Arc<str>,
    /// What happens where the expression is false.
    pub enforcement: Enforcement,
    /// With `approval`: patterns of files, relative to the estate, whose Approvals count, such as
    /// `policies/approvals/finance/*`. `*` matches any characters. Any file if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<Arc<str>>,
}

/// What a rule is evaluated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// The plan, once.
    Plan,
    /// Each tenant of the plan that changes: in its documents since it was last applied, or in its resources.
    Tenant,
    /// Each change of the plan.
    Change,
    /// Each desired resource that the plan is for, whether it changes or not.
    Resource,
}

impl Subject {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Tenant => "tenant",
            Self::Change => "change",
            Self::Resource => "resource",
        }
    }
}

/// What happens where a rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Enforcement {
    /// The plan is refused.
    Deny,
    /// The plan is refused unless an Approval allows it.
    Approval,
    /// The plan says so.
    Warn,
}

impl Enforcement {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Approval => "approval",
            Self::Warn => "warn",
        }
    }
}

/// What a rule is restricted to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Narrow {
    /// Kinds of resources, such as `s3.bucket`, where `*` matches any characters. For changes and resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Arc<str>>,
    /// What is done. For changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// Names of tiers. For tenants, and changes and resources of tenants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Arc<str>>,
    /// Phases of tenants, as their documents have them. For tenants, and changes and resources of tenants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
}

impl Narrow {
    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An example, and what the rules say of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyTest {
    /// What the example shows.
    #[schemars(length(min = 1))]
    pub name: Arc<str>,
    /// Only this rule is evaluated. By default all rules whose subject is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Name>,
    /// In place of some of the policy's own values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub values: BTreeMap<Arc<str>, Value>,
    /// Variables: `tenant`, `oldTenant`, `tier`, `oldTier`, `change`, `resource`, `plan`, `tenants`, `now`. What is left out of
    /// `tenant`, `tier`, `change`, `resource` and `plan` is empty.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub given: BTreeMap<Arc<str>, Value>,
    /// What comes of it.
    pub expect: Expectation,
    /// The whole message of the rule that is broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Arc<str>>,
}

/// What comes of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expectation {
    /// Every rule holds or does not apply.
    Pass,
    /// A rule with this enforcement is broken, and none with a stronger one.
    Warn,
    Approval,
    Deny,
    /// An expression cannot be computed, which refuses a plan.
    Error,
}

impl Expectation {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Approval => "approval",
            Self::Deny => "deny",
            Self::Error => "error",
        }
    }
}
