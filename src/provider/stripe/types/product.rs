//! `stripe.product`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ID, KEY_LIMIT, Metadata, check_metadata, check_name, reference};
use tenantry_core::model::kind::{Kind, MarkPlace, Problem};
use tenantry_core::model::spec::{Fields, Problems};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// A product, which is sold at one or more prices.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "stripe.product")]
#[expect(dead_code, reason = "the schema is made of it; most is read from the map")]
pub struct ProductSpec {
    /// Its name in the estate; or, to adopt one, its Stripe id.
    pub key: String,
    /// As customers see it on invoices.
    pub name: String,
    /// As customers see it.
    pub description: Option<String>,
    /// Such as `seat`.
    #[schemars(length(max = 12))]
    pub unit_label: Option<String>,
    /// What statements of bank accounts and cards show.
    #[schemars(length(max = 22))]
    pub statement_descriptor: Option<String>,
    /// Such as `txcd_10103001`.
    pub tax_code: Option<String>,
    /// The product's page.
    pub url: Option<String>,
    /// The `lookupKey` of every `stripe.feature` that its customers are entitled to. If absent, its features are not managed.
    pub features: Option<Vec<String>>,
    /// Owned key by key.
    #[serde(default)]
    pub metadata: Metadata,
}

pub const NAME: &str = "stripe.product";

pub fn kind() -> Kind {
    Kind {
        owned_by_key: &["/metadata"],
        outputs: ID,
        name_limits: const { &[KEY_LIMIT] },
        references: const { &[reference("/features", "stripe.feature")] },
        mark: MarkPlace::Target,
        normalise,
        check: |spec| check(spec),
        ..describe::<ProductSpec>(
            NAME,
            "A product; deleting one that has prices archives it.",
            &["key"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

fn normalise(fields: &mut Fields<'_>) {
    fields.drop_empty();
    fields.map("features", Value::as_set);
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "key");
    check_name(&mut problems, spec, "name");
    check_metadata(&mut problems, spec);
    problems.into_list()
}
