//! `stripe.meter`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ID, check_name};
use tenantry_core::model::kind::{Kind, NameLimit, Problem};
use tenantry_core::model::spec::Problems;
use tenantry_core::model::value::Map;
use tenantry_kit::{Stakes, describe};

/// How the usage for metered prices is counted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "stripe.meter")]
pub struct MeterSpec {
    /// The name that the product sends events under.
    pub event_name: String,
    /// As customers see it.
    pub display_name: String,
    #[serde(default)]
    pub aggregation: Aggregation,
    /// Where an event has the customer's id.
    #[serde(default = "default_customer_key")]
    pub customer_key: String,
    /// Where an event has the quantity.
    #[serde(default = "default_value_key")]
    pub value_key: String,
}

/// How the events of a period are aggregated.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Aggregation {
    #[default]
    Sum,
    Count,
    Last,
}

fn default_customer_key() -> String {
    "stripe_customer_id".to_owned()
}

fn default_value_key() -> String {
    "value".to_owned()
}

pub const NAME: &str = "stripe.meter";

pub fn kind() -> Kind {
    Kind {
        immutable: &["/aggregation", "/customerKey", "/valueKey"],
        outputs: ID,
        name_limits: const { &[NameLimit { pointer: "/eventName", bytes: 100, source: "Stripe's names of meter events" }] },
        check: |spec| check(spec),
        ..describe::<MeterSpec>(
            NAME,
            "A meter of usage; deleting it deactivates it.",
            &["eventName"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "eventName");
    check_name(&mut problems, spec, "displayName");
    problems.into_list()
}
