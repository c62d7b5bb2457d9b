//! `stripe.coupon`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ID, KEY_LIMIT, Metadata, check_amount, check_metadata, check_name};
use tenantry_core::model::kind::{Kind, MarkPlace, Problem};
use tenantry_core::model::spec::{Fields, Problems};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// A discount.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "stripe.coupon")]
#[expect(dead_code, reason = "the schema is made of it; most is read from the map")]
pub struct CouponSpec {
    /// Its name in the estate; or, to adopt one, its Stripe id.
    pub key: String,
    /// As customers see it.
    #[schemars(length(max = 40))]
    pub name: Option<String>,
    /// More than 0 and at most 100, such as `"12.5"`.
    pub percent_off: Option<String>,
    /// Instead of `percentOff`, such as `"100.00"`; needs `currency`.
    pub amount_off: Option<String>,
    /// The currency of `amountOff`, by its code of ISO 4217.
    #[schemars(regex(pattern = "^[A-Za-z]{3}$"))]
    pub currency: Option<String>,
    #[serde(default)]
    pub duration: Duration,
    /// For how many months, if `duration` is `repeating`.
    #[schemars(range(min = 1))]
    pub months: Option<u32>,
    /// How often it can be used in all.
    #[schemars(range(min = 1))]
    pub max_redemptions: Option<u32>,
    /// Owned key by key.
    #[serde(default)]
    pub metadata: Metadata,
}

/// How long a discount applies to a subscription.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Duration {
    #[default]
    Once,
    Repeating,
    Forever,
}

pub const NAME: &str = "stripe.coupon";

pub fn kind() -> Kind {
    Kind {
        immutable: &["/percentOff", "/amountOff", "/currency", "/duration", "/months", "/maxRedemptions"],
        owned_by_key: &["/metadata"],
        outputs: ID,
        name_limits: const { &[KEY_LIMIT] },
        mark: MarkPlace::Target,
        normalise,
        check: |spec| check(spec),
        ..describe::<CouponSpec>(
            NAME,
            "A coupon; deleting it leaves the discounts that were given.",
            &["key"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

/// A percentage without zeros that mean nothing.
pub fn percentage(text: &str) -> String {
    match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text.to_owned(),
    }
}

fn normalise(fields: &mut Fields<'_>) {
    fields.drop_empty();
    fields.map_text("currency", str::to_ascii_lowercase);
    let currency = fields.text("currency").unwrap_or_default().to_owned();
    fields.map("amountOff", |value| {
        let canonical = value.as_str().and_then(|text| super::super::money::canonical(text, &currency));
        canonical.map_or_else(|| value.clone(), Value::from)
    });
    fields.map("percentOff", |value| value.as_str().map_or_else(|| value.clone(), |text| percentage(text).into()));
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "key");
    check_metadata(&mut problems, spec);
    let text = |field: &str| spec.get(field).and_then(Value::as_str);
    check_amount(&mut problems, "/amountOff", spec.get("amountOff"), text("currency"), false);
    match (spec.contains("percentOff"), spec.contains("amountOff")) {
        (true, true) => problems.add("/amountOff", "a coupon cannot have both `percentOff` and `amountOff`"),
        (false, false) => problems.add("", "a coupon needs `percentOff` or `amountOff`"),
        (false, true) if !spec.contains("currency") => problems.add("/amountOff", "`amountOff` needs a `currency`"),
        (true, false) if spec.contains("currency") => {
            problems.add("/currency", "`percentOff` cannot have a `currency`");
        }
        _ => {}
    }
    if let Some(percent) = text("percentOff")
        && !percent.parse::<f64>().is_ok_and(|percent| percent > 0.0 && percent <= 100.0)
    {
        problems.add("/percentOff", "`percentOff` must be more than 0 and at most 100");
    }
    match (text("duration"), spec.contains("months")) {
        (Some("repeating"), false) => problems.add("/duration", "a `repeating` coupon needs `months`"),
        (Some("once" | "forever"), true) => problems.add("/months", "only a `repeating` coupon can have `months`"),
        _ => {}
    }
    problems.into_list()
}
