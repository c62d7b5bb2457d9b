//! `stripe.product`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ID, KEY_LIMIT, Metadata, check_metadata, check_name};
use tenantry_core::model::kind::{Batch, Kind, MarkPlace, Problem};
use tenantry_core::model::spec::{Fields, Problems};
use tenantry_core::model::value::Map;

/// What is sold, at one or more prices.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "stripe.product")]
#[expect(dead_code, reason = "the schema is made of it; most is read from the map")]
pub struct ProductSpec {
    /// What it is called here; or, to adopt one, Stripe's id of it.
    pub key: String,
    /// As customers see it on invoices.
    pub name: String,
    pub description: Option<String>,
    /// Such as `seat`.
    #[schemars(length(max = 12))]
    pub unit_label: Option<String>,
    #[schemars(length(max = 22))]
    pub statement_descriptor: Option<String>,
    /// Such as `txcd_10103001`.
    pub tax_code: Option<String>,
    pub url: Option<String>,
    /// Owned key by key.
    #[serde(default)]
    pub metadata: Metadata,
}

pub fn kind() -> Kind {
    Kind {
        name: "stripe.product",
        summary: "A product; deleting one that has prices archives it.",
        schema: schemars::schema_for!(ProductSpec),
        identity: &["key"],
        immutable: &[],
        write_only: &[],
        sensitive: &[],
        owned_by_key: &["/metadata"],
        outputs: ID,
        captures: &[],
        name_limits: const { &[KEY_LIMIT] },
        references: &[],
        loses_data: false,
        bills: false,
        mark: MarkPlace::Target,
        batch: Batch::Single,
        normalise,
        check: |spec| check(spec),
        check_together: None,
        by_spec: None,
    }
}

fn normalise(spec: &Map) -> Map {
    let mut fields = Fields::of(spec);
    fields.drop_empty();
    fields.default("metadata", Map::default());
    fields.build()
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "key");
    check_name(&mut problems, spec, "name");
    check_metadata(&mut problems, spec);
    problems.into_list()
}
