//! `tenantry.toml`, as it is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::Phase;
use super::names::Name;
use crate::diagnostics::codes;

/// The estate's configuration: the settings of the whole estate.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "tenantry.toml")]
pub struct EstateConfig {
    pub estate: EstateTable,
    #[serde(default)]
    pub store: StoreTable,
    #[serde(default)]
    pub secrets: SecretsTable,
    #[serde(default)]
    pub limits: LimitsTable,
    #[serde(default)]
    pub offboarding: OffboardingTable,
    #[serde(default)]
    pub drift: DriftTable,
    #[serde(default)]
    pub events: EventsTable,
    /// The waves that tenants are changed in. A tenant is in the first wave that it fits; who fits none is in the last. A wave
    /// begins once the one before is done and verified. Without any, tenants are changed side by side.
    #[serde(default)]
    pub rollout: Vec<WaveTable>,
    /// The systems that resources live in, by name.
    #[serde(default)]
    pub targets: BTreeMap<Name, TargetTable>,
    /// How the rules of `validate` and `plan` are applied.
    #[serde(default)]
    pub rules: RulesTable,
    /// Overrides by environment, chosen with `--env`.
    #[serde(default)]
    pub environments: BTreeMap<Name, EnvironmentTable>,
}

/// What the estate is called.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EstateTable {
    /// Part of every mark. Never change it: resources that carry the old name would no longer be owned.
    pub name: Name,
}

/// Where the journal, the inventory and the locks are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreTable {
    /// SQLite file, relative to the estate. `.tenantry/ENVIRONMENT/store.db` if neither this nor `url` is given.
    pub path: Option<String>,
    /// PostgreSQL URL, as `env:NAME` or `file:PATH`, for a store that several runners share.
    pub url: Option<String>,
}

/// Where secrets are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretsTable {
    /// Encrypted file, relative to the estate. `.tenantry/ENVIRONMENT/secrets.age` if absent. If every target is simulated and this is
    /// absent, secrets are kept in the sandbox.
    pub path: Option<String>,
    /// The age identity that opens it, as `env:NAME` or `file:PATH`.
    pub identity: Option<String>,
    /// A Kubernetes target whose cluster keeps the secrets, instead of a file.
    pub target: Option<Name>,
    /// The namespace of the cluster that they are kept in. `tenantry` if absent.
    pub namespace: Option<Name>,
}

/// Limits of a run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsTable {
    /// The most deletions in one plan without an Approval: a number, or a share of the resources that exist, such as `"5%"`.
    pub max_deletes: MaxDeletes,
    /// How many owners are written concurrently.
    #[schemars(range(min = 1, max = 256))]
    pub parallelism: usize,
    /// The maximum size of a file of the estate, in bytes.
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub max_file_bytes: u64,
    /// Seconds after which a lock expires that its holder does not extend.
    #[schemars(range(min = 5, max = 86_400))]
    pub lease_seconds: u32,
    /// Seconds that `apply` waits at its end until everything that it wrote is ready or gone. After that it is pending.
    #[schemars(range(min = 0, max = 86_400))]
    pub ready_seconds: u32,
}

/// How tenants leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OffboardingTable {
    /// Days that data is kept after access has ended, unless the tenant's `deletion` says otherwise.
    #[schemars(range(max = 36_500))]
    pub retention_days: u32,
    /// The fewest days that a tenant's `deletion` may ask for.
    #[schemars(range(max = 36_500))]
    pub min_retention_days: u32,
    /// The most days that a tenant's `deletion` may ask for.
    #[schemars(range(max = 36_500))]
    pub max_retention_days: u32,
    /// Whether `apply` deletes a tenant in the phase `deleting` by itself once its data has been kept long enough. Then neither its
    /// document nor an Approval has to say so.
    pub automatic: bool,
    /// The most tenants that one plan deletes by itself. Those that have waited longest come first.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_tenants: usize,
}

impl Default for OffboardingTable {
    fn default() -> Self {
        Self {
            retention_days: 30,
            // Long enough to take a deletion back, short enough for the right to erasure.
            min_retention_days: 30,
            max_retention_days: 90,
            automatic: false,
            max_tenants: 10,
        }
    }
}

/// What `drift` reports, and whom it tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DriftTable {
    /// Fields that others may change for a while.
    pub ignore: Vec<IgnoreRule>,
    /// Where `drift --notify` sends a message: a URL that takes what Slack's incoming webhooks take, as `env:NAME` or
    /// `file:PATH`.
    pub webhook: Option<String>,
    /// Where `drift --notify` sends a mail.
    pub mail: Option<MailTable>,
}

/// A mail about drift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailTable {
    /// The SMTP server that takes the mail, such as `smtp.example.com`, or `smtp.example.com:2525` with another port than the usual.
    #[schemars(length(min = 1))]
    pub server: Arc<str>,
    /// How the connection is encrypted.
    #[serde(default)]
    pub encryption: MailEncryption,
    /// The login at the server, written `USER:PASSWORD`, as `env:NAME` or `file:PATH`. Without it, nobody logs in.
    pub login: Option<String>,
    /// The address that the mail is from.
    #[schemars(length(min = 1))]
    pub from: Arc<str>,
    /// The addresses that it goes to.
    #[schemars(length(min = 1))]
    pub to: Vec<Arc<str>>,
}

/// How the connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailEncryption {
    /// By STARTTLS, which the server has to offer; port 587.
    #[default]
    Starttls,
    /// From the first byte; port 465.
    Tls,
    /// Not at all, which only a server of this machine may be asked; port 25.
    None,
}

/// A field that others may change for a while. `drift` does not report it; `apply` still restores it, because the repository
/// asks for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IgnoreRule {
    /// Only resources whose address matches, such as `*/web`; `*` matches any characters.
    pub address: Option<Arc<str>>,
    /// Only resources of this kind.
    pub kind: Option<Arc<str>>,
    /// The field, as a plan shows it, such as `spec.replicas`. Everything below it is included.
    #[schemars(length(min = 1))]
    pub field: Arc<str>,
    /// Who answers for it.
    #[schemars(length(min = 1))]
    pub owner: Arc<str>,
    /// Why.
    #[schemars(length(min = 1))]
    pub reason: Arc<str>,
    /// The last day on which it counts, in UTC, such as `2027-01-31`.
    #[schemars(extend("format" = "date"))]
    pub expires: Arc<str>,
}

/// What `event` makes of events, which tell of customers of another system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventsTable {
    /// Where a tenant's document has the id by which the sender of events knows it, such as `values.crm_id`.
    pub external: Option<Arc<str>>,
    /// The key of the signature of events in the generic form, as `env:NAME` or `file:PATH`. Without it they are only taken with
    /// `--unsigned`.
    pub secret: Option<String>,
    /// Seconds that the time of a signature may differ from the clock. 300 by default, as Stripe's own libraries have it.
    #[schemars(range(min = 1, max = 86_400))]
    pub tolerance_seconds: Option<u32>,
    pub phases: EventPhases,
    /// Events of Stripe. Without this table they are refused.
    pub stripe: Option<StripeEvents>,
}

/// The phase that a tenant enters with an event. Without one, the event leaves the tenant's phase as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventPhases {
    /// Of a tenant that an event creates; `active` by default.
    pub created: Option<Phase>,
    /// When the subscription ended.
    pub cancelled: Option<Phase>,
    /// When a payment failed.
    pub payment_failed: Option<Phase>,
}

/// How an event of Stripe is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StripeEvents {
    /// The signing secret of the webhook's endpoint, as `env:NAME` or `file:PATH`.
    pub secret: Option<String>,
    /// The entry of a subscription's metadata that has the tenant's name.
    pub metadata: Option<Arc<str>>,
    /// Where a tenant's document has the id of its customer at Stripe, such as `values.stripe_customer`.
    pub customer: Option<Arc<str>>,
    /// The entry of a subscription's metadata that has the company's name. With it, a subscription that is created for nobody
    /// known makes a new tenant.
    pub display_name: Option<Arc<str>>,
    /// The phase by the subscription's status. A status without a phase leaves the tenant's phase as it is.
    #[serde(default)]
    pub phases: StripePhases,
    /// Which tier a price is.
    #[serde(default)]
    pub prices: Vec<TierPrice>,
}

/// The phase by the status of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StripePhases {
    /// The first payment has not succeeded yet.
    pub incomplete: Option<Phase>,
    /// The first payment did not succeed in time.
    pub incomplete_expired: Option<Phase>,
    /// Within the trial.
    pub trialing: Option<Phase>,
    /// Paid.
    pub active: Option<Phase>,
    /// A payment failed and is tried again.
    pub past_due: Option<Phase>,
    /// Payments failed and are not tried again.
    pub unpaid: Option<Phase>,
    /// The trial ended without a way to pay.
    pub paused: Option<Phase>,
}

/// A price of Stripe and the tier that is sold at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierPrice {
    /// The price's id, its lookup key, or the id of its product.
    #[schemars(length(min = 1))]
    pub price: Arc<str>,
    /// The tier's name.
    pub tier: Name,
}

/// Whom a wave of a rollout is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WaveTable {
    /// The tenants of a tier.
    Tier(Name),
    /// A share of all tenants, such as `"5%"`, at least one. Which ones it are is decided by their names alone, and a larger share
    /// has the tenants of each smaller one.
    Tenants(#[schemars(regex(pattern = r"^(100|[1-9][0-9]?)%$"))] Arc<str>),
    /// All others.
    Rest(#[schemars(extend("const" = true))] bool),
}

impl WaveTable {
    /// The percentage of a share, from 1 to 100; `None` if it is not written like one.
    pub fn percent(share: &str) -> Option<usize> {
        let digits = share.strip_suffix('%').filter(|digits| digits.starts_with(|c: char| matches!(c, '1'..='9')))?;
        digits.parse().ok().filter(|percent| (1..=100).contains(percent))
    }
}

/// A number of resources, or a share of those that exist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum MaxDeletes {
    Number(u64),
    /// A percentage from 0 to 100, such as `"5%"`.
    Share(#[schemars(regex(pattern = r"^(100|[0-9]{1,2})%$"))] String),
}

impl MaxDeletes {
    /// The number of deletions that is allowed where `existing` resources exist. A share is rounded down, but not to
    /// nothing unless it is nothing.
    pub fn of(&self, existing: usize) -> usize {
        match self {
            Self::Number(number) => usize::try_from(*number).unwrap_or(usize::MAX),
            Self::Share(share) => match share.trim_end_matches('%').parse::<usize>() {
                Ok(0) | Err(_) => 0,
                Ok(percent) => (existing * percent / 100).max(1),
            },
        }
    }
}

impl Default for LimitsTable {
    fn default() -> Self {
        Self {
            // Ten is more than one tenant's ordinary edit removes and less than a mistake in a tier does.
            max_deletes: MaxDeletes::Number(10),
            parallelism: 8,
            max_file_bytes: 4 << 20,
            lease_seconds: 60,
            // A rolling update with an image to fetch takes about a minute.
            ready_seconds: 120,
        }
    }
}

/// How rules are applied, which `docs/findings.md` lists: what they need to know of the estate, and the level of each by its
/// code.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RulesTable {
    /// Values that no two tenants may share; if absent, those of well-known names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique: Option<Vec<Arc<str>>>,
    /// Features that a tenant of any tier may have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add_ons: Vec<Arc<str>>,
    /// Patterns of what exists without a resource of the estate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Arc<str>>,
    /// Where a tenant names the region of its data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub residency: Option<Arc<str>>,
    /// The regions that there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<Arc<str>>>,
    /// Where a tenant's estimates are, by the quotas' names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub estimates: BTreeMap<Arc<str>, Arc<str>>,
    /// By the rules' codes.
    #[serde(flatten)]
    pub levels: BTreeMap<Arc<str>, Level>,
}

/// The fields of a [`RulesTable`] that are not codes, for its schema.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct RulesFields {
    /// Values that no two tenants may share, such as `values.domain`. By default those of well-known names: `domain`,
    /// `subdomain`, `hostname`, `slug`.
    unique: Option<Vec<String>>,
    /// Features that a tenant of any tier may have, for example because they are sold separately.
    add_ons: Option<Vec<String>>,
    /// What exists without a resource of the estate, where `*` matches any characters: `Secret/NAMESPACE/NAME`,
    /// `ConfigMap/NAMESPACE/NAME`, `stripe.price/LOOKUP_KEY`.
    elsewhere: Option<Vec<String>>,
    /// Where a tenant names the region that its data must stay in, such as `values.data_residency`.
    residency: Option<String>,
    /// The regions that a tenant's label `region` may name.
    regions: Option<Vec<String>>,
    /// Where a tenant's estimate of a quota is, by the quota's name: `users = "values.expected_users"`.
    estimates: Option<BTreeMap<String, String>>,
}

impl JsonSchema for RulesTable {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RulesTable".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = RulesFields::json_schema(generator);
        let level = generator.subschema_for::<Level>();
        schema.insert("description".to_owned(), "How rules are applied, and the level of each by its code.".into());
        if let Some(properties) = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut) {
            for (code, meaning) in codes::of_rules() {
                let mut field = level.clone();
                field.insert("description".to_owned(), meaning.into());
                properties.insert(code.0.to_owned(), field.into());
            }
        }
        schema
    }
}

/// What becomes of the findings of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The rule is not checked.
    Off,
    /// Findings are shown.
    Warning,
    /// Findings are shown, and nothing is planned or applied.
    Error,
}

/// One configured system. Settings beyond these are the provider's own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TargetTable {
    /// The provider, such as `postgres`.
    pub provider: Arc<str>,
    /// Whether the sandbox is used in its place.
    #[serde(default)]
    pub sandbox: bool,
    /// Whether it is used if a tenant's placement names no target and there are several.
    #[serde(default)]
    pub default: bool,
    /// Where its data is kept, such as `eu`, for tenants whose data must stay in one region. If absent, the target's `region` or
    /// its name is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residency: Option<Arc<str>>,
    /// The maximum number of concurrent connections or requests.
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: Option<usize>,
    /// The maximum number of writes per second.
    #[schemars(range(min = 1))]
    pub rate: Option<u32>,
    #[serde(default)]
    pub timeouts: TimeoutsTable,
    /// The provider's own settings. Secrets only as `env:NAME` or `file:PATH`.
    #[serde(flatten)]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// Time limits of a target. Without an answer by then, a resource is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutsTable {
    /// Seconds until there is a connection.
    #[schemars(range(min = 1, max = 3600))]
    pub connect_seconds: u32,
    /// Seconds until the next byte of an answer.
    #[schemars(range(min = 1, max = 3600))]
    pub idle_seconds: u32,
    /// Seconds that one request, or one statement that reads, may take until its answer is whole.
    #[schemars(range(min = 1, max = 86_400))]
    pub request_seconds: u32,
    /// Seconds that one batch of statements that write may take. A script may build an index.
    #[schemars(range(min = 1, max = 86_400))]
    pub write_seconds: u32,
    /// Seconds that reading everything of the target at one time may take.
    #[schemars(range(min = 1, max = 86_400))]
    pub read_seconds: u32,
}

impl Default for TimeoutsTable {
    fn default() -> Self {
        Self {
            connect_seconds: 10,
            // A large list takes some seconds to begin.
            idle_seconds: 30,
            // What an API server of Kubernetes gives a request itself (`--request-timeout`).
            request_seconds: 60,
            write_seconds: 900,
            // Some thousand pages of a fast server.
            read_seconds: 300,
        }
    }
}

/// What is different in one environment. Its tables are merged over the estate's own, field by field.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnvironmentTable {
    pub store: Option<StoreTable>,
    pub secrets: Option<SecretsTable>,
    /// In place of the estate's own table.
    pub offboarding: Option<OffboardingTable>,
    /// Fields of targets; a target that the estate does not have is added.
    #[schemars(with = "BTreeMap<Name, serde_json::Map<String, serde_json::Value>>")]
    pub targets: BTreeMap<Name, serde_json::Map<String, serde_json::Value>>,
}
