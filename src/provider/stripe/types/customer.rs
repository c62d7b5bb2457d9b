//! `stripe.customer`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ID, KEY_LIMIT, Metadata, check_metadata, check_name};
use tenantry_core::model::kind::{Kind, MarkPlace, Problem};
use tenantry_core::model::spec::{Fields, Problems};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// Who is billed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "stripe.customer")]
#[expect(dead_code, reason = "the schema is made of it; most is read from the map")]
pub struct CustomerSpec {
    /// Its name in the estate; or, to adopt one, its Stripe id.
    pub key: String,
    /// The name on invoices.
    pub name: Option<String>,
    /// The address for invoices.
    pub email: Option<String>,
    /// A telephone number.
    pub phone: Option<String>,
    /// For people; customers do not see it.
    pub description: Option<String>,
    /// The address on invoices.
    pub address: Option<Address>,
    #[serde(default)]
    pub tax_exempt: TaxExempt,
    /// Languages of invoices, in order of preference (RFC 4646).
    pub preferred_locales: Option<Vec<String>>,
    /// Owned key by key.
    #[serde(default)]
    pub metadata: Metadata,
}

/// A postal address.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "the schema is made of it; most is read from the map")]
pub struct Address {
    /// Street and number.
    pub line1: Option<String>,
    /// Building, floor, and the like.
    pub line2: Option<String>,
    /// The city or town.
    pub city: Option<String>,
    /// The state, county or province.
    pub state: Option<String>,
    /// The postal code.
    pub postal_code: Option<String>,
    /// Two letters (ISO 3166-1).
    pub country: Option<String>,
}

/// Whether tax is charged.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum TaxExempt {
    #[default]
    None,
    Exempt,
    Reverse,
}

pub const NAME: &str = "stripe.customer";

pub fn kind() -> Kind {
    Kind {
        sensitive: &["/email", "/phone", "/address"],
        owned_by_key: &["/metadata"],
        outputs: ID,
        name_limits: const { &[KEY_LIMIT] },
        mark: MarkPlace::Target,
        normalise,
        check: |spec| check(spec),
        ..describe::<CustomerSpec>(
            NAME,
            "A customer; deleting it ends its subscriptions at once and cannot be undone.",
            &["key"],
            Stakes { loses_data: true, bills: false },
        )
    }
}

fn normalise(fields: &mut Fields<'_>) {
    fields.drop_empty();
    fields.map("address", |address| match address {
        Value::Map(parts) => {
            let given = parts.iter().filter(|(_, part)| !part.is_null() && part.as_str() != Some(""));
            Value::map(given.map(|(name, part)| (name.clone(), part.clone())))
        }
        other => other.clone(),
    });
    if fields.get("address").and_then(Value::as_map).is_some_and(Map::is_empty) {
        fields.remove("address");
    }
    if fields.get("preferredLocales").and_then(Value::as_list).is_some_and(<[Value]>::is_empty) {
        fields.remove("preferredLocales");
    }
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "key");
    check_metadata(&mut problems, spec);
    if let Some(Value::Text(email)) = spec.get("email")
        && (email.len() > 512 || email.split('@').filter(|part| !part.is_empty()).count() != 2)
    {
        problems.add("/email", "this is not a valid e-mail address");
    }
    problems.into_list()
}
