//! `stripe.subscription`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ID, KEY_LIMIT, Metadata, check_metadata, check_name, reference};
use tenantry_core::model::kind::{FieldReference, Kind, MarkPlace, Problem};
use tenantry_core::model::spec::{Fields, Problems};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// A subscription of a customer to prices.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "stripe.subscription")]
#[expect(dead_code, reason = "the schema is made of it; most is read from the map")]
pub struct SubscriptionSpec {
    /// Its name in the estate; or, to adopt one, its Stripe id.
    pub key: String,
    /// The `key` of its `stripe.customer`.
    pub customer: String,
    /// The `lookupKey` of a `stripe.price`: then existing subscriptions keep an earlier amount. Or its output `id`: then a new
    /// amount applies to all.
    pub price: String,
    /// How many units. A metered price has none.
    #[schemars(range(min = 0))]
    pub quantity: Option<u64>,
    /// Further prices, each once, by lookup key or id: metered usage, options.
    #[serde(default)]
    pub add_ons: Vec<String>,
    /// Days before the first payment. Used only when it is created.
    #[schemars(range(min = 0, max = 730))]
    pub trial_days: Option<u32>,
    /// The `key` of a `stripe.coupon` to begin with. Used only when it is created.
    pub coupon: Option<String>,
    #[serde(default)]
    pub collection_method: CollectionMethod,
    /// Days until an invoice that is sent must be paid.
    #[schemars(range(min = 0))]
    pub days_until_due: Option<u32>,
    /// How the rest of a period is billed when price or quantity change.
    #[serde(default)]
    pub proration_behavior: ProrationBehavior,
    /// When a change that costs less takes effect. A change that costs more takes effect at once.
    #[serde(default)]
    pub on_downgrade: OnDowngrade,
    /// Whether it ends at the end of the paid period.
    #[serde(default)]
    pub cancel_at_period_end: bool,
    /// How invoices are handled while collection is paused.
    #[serde(default)]
    pub pause_collection: PauseCollection,
    /// What deleting does.
    #[serde(default)]
    pub on_delete: OnDelete,
    /// Owned key by key.
    #[serde(default)]
    pub metadata: Metadata,
}

/// How it is paid.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum CollectionMethod {
    #[default]
    ChargeAutomatically,
    SendInvoice,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum ProrationBehavior {
    /// The difference is on the next invoice.
    #[default]
    CreateProrations,
    /// The difference is invoiced at once.
    AlwaysInvoice,
    /// The difference is not billed.
    None,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum PauseCollection {
    #[default]
    None,
    KeepAsDraft,
    MarkUncollectible,
    Void,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum OnDelete {
    #[default]
    CancelNow,
    CancelAtPeriodEnd,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum OnDowngrade {
    /// At the end of the paid period.
    #[default]
    PeriodEnd,
    Now,
}

pub const NAME: &str = "stripe.subscription";

pub fn kind() -> Kind {
    Kind {
        immutable: &["/customer"],
        // What says how something is done, and is nowhere to be read afterwards.
        write_only: &["/trialDays", "/coupon", "/prorationBehavior", "/onDowngrade"],
        owned_by_key: &["/metadata"],
        outputs: ID,
        name_limits: const { &[KEY_LIMIT] },
        references: const {
            &[
                reference("/customer", "stripe.customer"),
                // A price that is replaced stays with those who have it.
                FieldReference { pointer: "/price", kind: "stripe.price", required: false },
                FieldReference { pointer: "/addOns", kind: "stripe.price", required: false },
                FieldReference { pointer: "/coupon", kind: "stripe.coupon", required: false },
            ]
        },
        mark: MarkPlace::Target,
        normalise,
        check: |spec| check(spec),
        reviewed: &["/price", "/quantity", "/addOns", "/coupon", "/trialDays"],
        ..describe::<SubscriptionSpec>(
            NAME,
            "A subscription of a customer to prices.",
            &["key"],
            Stakes { loses_data: false, bills: true },
        )
    }
}

fn normalise(fields: &mut Fields<'_>) {
    fields.drop_empty();
    fields.map("addOns", Value::as_set);
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "key");
    check_name(&mut problems, spec, "customer");
    check_name(&mut problems, spec, "price");
    check_metadata(&mut problems, spec);
    let is_sent = spec.get("collectionMethod").and_then(Value::as_str) == Some("sendInvoice");
    match (is_sent, spec.contains("daysUntilDue")) {
        (true, false) => problems.add("/collectionMethod", "`collectionMethod: sendInvoice` needs `daysUntilDue`"),
        (false, true) => problems.add("/daysUntilDue", "only `collectionMethod: sendInvoice` can have it"),
        _ => {}
    }
    let add_ons = spec.get("addOns").and_then(Value::as_list).unwrap_or_default();
    if spec.get("price").is_some_and(|price| add_ons.contains(price)) {
        problems.add("/addOns", "an add-on cannot be the main price");
    }
    // Stripe takes twenty prices in one subscription.
    if add_ons.len() > 19 {
        problems.add("/addOns", "a subscription has at most twenty prices");
    }
    problems.into_list()
}
