//! `stripe.webhook_endpoint`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ID, KEY_LIMIT, Metadata, check_metadata, check_name};
use tenantry_core::model::kind::{Capture, Kind, MarkPlace, Problem};
use tenantry_core::model::spec::{Fields, Problems};
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, describe};

/// An address to which Stripe sends events.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "stripe.webhook_endpoint")]
#[expect(dead_code, reason = "the schema is made of it; most is read from the map")]
pub struct WebhookEndpointSpec {
    /// Its name in the estate; or, to adopt one, its Stripe id.
    pub key: String,
    /// The address that events are sent to.
    pub url: String,
    /// Such as `invoice.paid`, or `*` alone.
    #[schemars(length(min = 1))]
    pub enabled_events: Vec<String>,
    /// The API version of the events; that of the account, if absent.
    pub api_version: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Whether no events are sent to it.
    #[serde(default)]
    pub disabled: bool,
    /// Owned key by key.
    #[serde(default)]
    pub metadata: Metadata,
}

pub const NAME: &str = "stripe.webhook_endpoint";

pub fn kind() -> Kind {
    Kind {
        immutable: &["/apiVersion"],
        owned_by_key: &["/metadata"],
        outputs: ID,
        captures: const {
            &[Capture {
                name: Cow::Borrowed("signingSecret"),
                meaning: Cow::Borrowed("The secret with which the product verifies that an event comes from Stripe"),
                field: None,
                // Stripe tells it with the creation, and never again.
                replaces: true,
            }]
        },
        name_limits: const { &[KEY_LIMIT] },
        mark: MarkPlace::Target,
        normalise,
        check: |spec| check(spec),
        ..describe::<WebhookEndpointSpec>(
            NAME,
            "An address that Stripe sends events to.",
            &["key"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

fn normalise(fields: &mut Fields<'_>) {
    fields.drop_empty();
    fields.map("enabledEvents", Value::as_set);
}

fn check(spec: &Map) -> Vec<Problem> {
    let mut problems = Problems::default();
    check_name(&mut problems, spec, "key");
    check_metadata(&mut problems, spec);
    if spec
        .get("url")
        .and_then(Value::as_str)
        .is_some_and(|url| !url.starts_with("https://") && !url.starts_with("http://"))
    {
        problems.add("/url", "it must begin with https:// (or http:// in test mode)");
    }
    let events = spec.get("enabledEvents").and_then(Value::as_list).unwrap_or_default();
    if events.len() > 1 && events.iter().any(|event| event.as_str() == Some("*")) {
        problems.add("/enabledEvents", "`*` must be the only event");
    }
    problems.into_list()
}
