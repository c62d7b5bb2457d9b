//! `stripe.feature`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ID, Metadata, check_metadata, check_name};
use tenantry_core::model::kind::{Kind, MarkPlace, NameLimit, Problem};
use tenantry_core::model::spec::Problems;
use tenantry_core::model::value::Map;
use tenantry_kit::{Stakes, describe};

/// What customers of some products are entitled to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "stripe.feature")]
#[expect(dead_code, reason = "the schema is made of it; most is read from the map")]
pub struct FeatureSpec {
    /// By which the product asks for it, and a `stripe.product` names it in its `features`. Stripe never changes it.
    pub lookup_key: String,
    /// For people; not shown to customers.
    pub name: String,
    /// Owned key by key.
    #[serde(default)]
    pub metadata: Metadata,
}

pub const NAME: &str = "stripe.feature";

/// The longest name and lookup key (<https://docs.stripe.com/api/entitlements/feature/create>).
const MOST: usize = 80;

pub fn kind() -> Kind {
    Kind {
        owned_by_key: &["/metadata"],
        outputs: ID,
        name_limits: const {
            &[
                NameLimit { pointer: "/lookupKey", bytes: MOST, source: "the lookup keys of Stripe's features" },
                NameLimit { pointer: "/name", bytes: MOST, source: "the names of Stripe's features" },
            ]
        },
        mark: MarkPlace::Target,
        check: |spec| check(spec),
        ..describe::<FeatureSpec>(
            NAME,
            "A feature that customers of some products are entitled to; deleting it archives it.",
            &["lookupKey"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "lookupKey");
    check_name(&mut problems, spec, "name");
    check_metadata(&mut problems, spec);
    problems.into_list()
}
