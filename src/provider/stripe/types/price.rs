//! `stripe.price`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ID, Metadata, check_amount, check_metadata, check_name, reference};
use crate::money;
use tenantry_core::model::kind::{Kind, MarkPlace, NameLimit, Problem};
use tenantry_core::model::spec::{Fields, Problems};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// The price of a product. Its amount cannot change: a change creates a new price, which takes over the lookup key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "stripe.price")]
#[expect(dead_code, reason = "the schema is made of it; most is read from the map")]
pub struct PriceSpec {
    /// The name that stays when the amount changes.
    pub lookup_key: String,
    /// The `key` of its `stripe.product`.
    pub product: String,
    /// Three letters (ISO 4217).
    #[schemars(regex(pattern = "^[A-Za-z]{3}$"))]
    pub currency: String,
    /// In the currency's main unit, such as `"4999.00"`. A metered price may have up to twelve decimals more than the currency.
    pub amount: Option<String>,
    /// Instead of `amount`: prices by quantity, in order.
    #[schemars(length(min = 1))]
    pub tiers: Option<Vec<Tier>>,
    /// Whether each unit has the price of its own tier (`graduated`), or all units that of the last one (`volume`).
    pub tiers_mode: Option<TiersMode>,
    /// How often it is paid; once, if absent.
    pub interval: Option<Interval>,
    /// The number of intervals between payments.
    #[schemars(range(min = 1, max = 156))]
    pub interval_count: Option<u32>,
    /// Whether a quantity is agreed on, or usage is measured.
    pub usage: Option<Usage>,
    /// The `eventName` of the `stripe.meter` that measures it.
    pub meter: Option<String>,
    /// Whether the amount includes taxes.
    #[serde(default)]
    pub tax_behavior: TaxBehavior,
    /// Not shown to customers.
    pub nickname: Option<String>,
    /// Owned key by key.
    #[serde(default)]
    pub metadata: Metadata,
    /// Set by Tenantry: earlier prices of this one that are still active. The desired value is an empty list.
    #[schemars(length(max = 0))]
    pub superseded: Option<Vec<String>>,
}

/// The price of units up to a quantity.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tier {
    /// The last unit of the tier; unlimited, if absent.
    #[schemars(range(min = 1))]
    pub up_to: Option<u64>,
    /// For each unit.
    pub amount: Option<String>,
    /// For the tier as a whole.
    pub flat_amount: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum TiersMode {
    Graduated,
    Volume,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Interval {
    Day,
    Week,
    Month,
    Year,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Usage {
    Licensed,
    Metered,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum TaxBehavior {
    #[default]
    Unspecified,
    Inclusive,
    Exclusive,
}

pub const NAME: &str = "stripe.price";

pub fn kind() -> Kind {
    Kind {
        immutable: &[
            "/product",
            "/currency",
            "/amount",
            "/tiers",
            "/tiersMode",
            "/interval",
            "/intervalCount",
            "/usage",
            "/meter",
            "/taxBehavior",
        ],
        owned_by_key: &["/metadata"],
        outputs: ID,
        name_limits: const { &[NameLimit { pointer: "/lookupKey", bytes: 200, source: "Stripe's lookup keys" }] },
        references: const { &[reference("/product", "stripe.product"), reference("/meter", "stripe.meter")] },
        mark: MarkPlace::Target,
        normalise,
        check: |spec| check(spec),
        reviewed: &["/amount", "/currency", "/interval", "/tiers"],
        ..describe::<PriceSpec>(
            NAME,
            "A price of a product; deleting or replacing one archives it, and existing subscriptions keep it.",
            &["lookupKey"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

fn normalise(fields: &mut Fields<'_>) {
    fields.drop_empty();
    fields.map_text("currency", str::to_ascii_lowercase);
    let currency = fields.text("currency").unwrap_or_default().to_owned();
    let amount = |value: &Value| match value.as_str().and_then(|text| money::canonical(text, &currency)) {
        Some(text) => text.into(),
        None => value.clone(),
    };
    fields.map("amount", amount);
    fields.map("tiers", |tiers| match tiers {
        Value::List(tiers) => {
            Value::list(tiers.iter().map(|tier| match tier {
                Value::Map(tier) => {
                    let given = tier.iter().filter(|(_, value)| !value.is_null());
                    let is_money = |name: &str| matches!(name, "amount" | "flatAmount");
                    let is_zero = |value: &Value| {
                        value.as_str().is_some_and(|text| {
                            money::decimals_used(text).is_some() && !text.contains(|c: char| ('1'..='9').contains(&c))
                        })
                    };
                    let has_flat = tier.get("flatAmount").is_some_and(|flat| !flat.is_null() && !is_zero(flat));
                    // Nothing for the tier as a whole is how most tiers are; beside something, nothing for each unit is.
                    let counts = |name: &str, value: &Value| match name {
                        "flatAmount" => !is_zero(value),
                        "amount" => !(has_flat && is_zero(value)),
                        _ => true,
                    };
                    Value::map(given.filter(|(name, value)| counts(name, value)).map(|(name, value)| {
                        (name.clone(), if is_money(name) { amount(value) } else { value.clone() })
                    }))
                }
                other => other.clone(),
            }))
        }
        other => other.clone(),
    });
    if fields.get("tiers").is_some() {
        fields.default("tiersMode", "graduated");
    }
    if fields.get("interval").is_some() {
        fields.default("intervalCount", 1);
        let usage = if fields.get("meter").is_some() { "metered" } else { "licensed" };
        fields.default("usage", usage);
    }
    fields.default("superseded", Vec::new());
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "lookupKey");
    check_metadata(&mut problems, spec);
    let has = |field: &str| spec.contains(field);
    let text = |field: &str| spec.get(field).and_then(Value::as_str);
    let currency = text("currency");
    let is_metered = text("usage") == Some("metered") || has("meter");
    check_amount(&mut problems, "/amount", spec.get("amount"), currency, is_metered);
    match (has("amount"), has("tiers")) {
        (true, true) => problems.add("/tiers", "a price cannot have both `amount` and `tiers`"),
        (false, false) => problems.add("", "a price needs `amount` or `tiers`"),
        _ => {}
    }
    let tiers = spec.get("tiers").and_then(Value::as_list).unwrap_or_default();
    for (index, tier) in tiers.iter().enumerate() {
        let pointer = format!("/tiers/{index}");
        check_amount(&mut problems, &format!("{pointer}/amount"), tier.get("amount"), currency, is_metered);
        check_amount(&mut problems, &format!("{pointer}/flatAmount"), tier.get("flatAmount"), currency, is_metered);
        let up_to = tier.get("upTo").and_then(Value::as_integer);
        let before = index.checked_sub(1).and_then(|index| tiers[index].get("upTo")?.as_integer());
        match (up_to, index + 1 == tiers.len()) {
            (Some(_), true) => problems.add(format!("{pointer}/upTo"), "the last tier cannot have `upTo`"),
            (None, false) => problems.add(&pointer, "every tier but the last needs `upTo`"),
            (Some(up_to), false) if before.is_some_and(|before| before >= up_to) => {
                problems.add(format!("{pointer}/upTo"), "`upTo` must rise from tier to tier");
            }
            _ => {}
        }
        if tier.get("amount").is_none() && tier.get("flatAmount").is_none() {
            problems.add(&pointer, "a tier needs `amount`, `flatAmount`, or both");
        }
    }
    if has("tiersMode") && !has("tiers") {
        problems.add("/tiersMode", "it needs `tiers`");
    }
    for field in ["intervalCount", "usage", "meter", "tiers"] {
        if has(field) && !has("interval") {
            problems.add(format!("/{field}"), "only a price with an `interval` can have it");
        }
    }
    match (text("usage"), has("meter")) {
        (Some("licensed"), true) => problems.add("/usage", "a price with a `meter` needs `usage: metered`"),
        (Some("metered"), false) => problems.add("/usage", "a metered price needs a `meter`"),
        _ => {}
    }
    if let (Some(interval), Some(count)) = (text("interval"), spec.get("intervalCount").and_then(Value::as_integer)) {
        // Three years (https://docs.stripe.com/api/prices/create).
        let most = match interval {
            "year" => 3,
            "month" => 36,
            "week" => 156,
            _ => 1095,
        };
        if count > most {
            problems.add("/intervalCount", format!("with `interval: {interval}` it can be at most {most}"));
        }
    }
    problems.into_list()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(mut spec: serde_json::Value) -> Vec<String> {
        spec["lookupKey"] = "k".into();
        spec["product"] = "p".into();
        let Value::Map(spec) = Value::from(spec) else { panic!("a map") };
        check(&kind().canonical(&spec))
            .into_iter()
            .map(|problem| format!("{}: {}", problem.pointer, problem.message))
            .collect()
    }

    #[test]
    fn an_amount_has_the_decimals_of_its_currency() {
        assert_eq!(problems(json!({"currency": "jpy", "amount": "500"})), [""; 0]);
        assert_eq!(
            problems(json!({"currency": "jpy", "amount": "500.50"})),
            ["/amount: `500.5` has 1 decimal, but JPY has 0"]
        );
        assert_eq!(
            problems(json!({"currency": "usd", "amount": "0.001", "interval": "month"})),
            ["/amount: `0.001` has 3 decimals, but USD has 2"]
        );
        let metered = json!({"currency": "usd", "amount": "0.001", "interval": "month", "meter": "calls"});
        assert_eq!(problems(metered), [""; 0]);
        assert_eq!(problems(json!({"currency": "usd", "amount": "1,50"})).len(), 1);
    }

    #[test]
    fn nothing_for_each_unit_beside_something_for_the_tier_is_said_or_not() {
        let normal = |tier: serde_json::Value| {
            let Value::Map(spec) = Value::from(json!({"currency": "usd", "interval": "month", "tiers": [tier]})) else {
                panic!("a map")
            };
            kind().canonical(&spec)
        };
        assert_eq!(normal(json!({"amount": "0", "flatAmount": "7"})), normal(json!({"flatAmount": "7.00"})));
        assert_ne!(normal(json!({"amount": "0.01", "flatAmount": "7"})), normal(json!({"flatAmount": "7.00"})));
        assert_eq!(normal(json!({"amount": "0", "flatAmount": "0"})), normal(json!({"amount": "0.00"})));
    }

    #[test]
    fn tiers_go_upwards_and_the_last_has_no_end() {
        let with = |tiers: serde_json::Value| problems(json!({"currency": "usd", "interval": "month", "tiers": tiers}));
        assert_eq!(
            with(json!([{"upTo": 10, "amount": "1"}, {"upTo": 20, "amount": "0.5"}, {"amount": "0.10"}])),
            [""; 0]
        );
        assert_eq!(with(json!([{"upTo": 10, "amount": "1"}])), ["/tiers/0/upTo: the last tier cannot have `upTo`"]);
        assert_eq!(
            with(json!([{"upTo": 10, "amount": "1"}, {"upTo": 5, "amount": "1"}, {"flatAmount": "7"}])),
            ["/tiers/1/upTo: `upTo` must rise from tier to tier"]
        );
        assert_eq!(with(json!([{"amount": "1"}, {"amount": "1"}])).len(), 1);
    }
}
