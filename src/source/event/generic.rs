//! The form for events of any other system: `schemas/event.v1.schema.json`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::super::edit::{Change, field};
use super::{Event, Read, Refused, What};
use tenantry_core::model::config::EventsTable;
use tenantry_core::model::document::Phase;
use tenantry_core::model::value::Value;

/// An event about a tenant's subscription, for `tenantry event`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Event")]
struct GenericEvent {
    /// Names the event. An event with the same id is taken once.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[A-Za-z0-9._:-]+$"))]
    id: String,
    /// When it happened, in RFC 3339. An event that is older than another one of the same tenant that was already taken changes
    /// nothing.
    #[schemars(extend("format" = "date-time"))]
    time: String,
    /// What happened.
    #[serde(rename = "type")]
    sort: Sort,
    /// The tenant's name in the estate.
    tenant: Option<String>,
    /// The sender's own id of the tenant, if its name is not known: the one that the tenant's document has at the place that
    /// `external` in the table [events] of tenantry.toml names.
    external: Option<String>,
    /// The company's name, for a tenant that does not exist yet.
    display_name: Option<String>,
    /// The tier that the tenant is on from now on.
    tier: Option<String>,
    /// The phase of the tenant from now on; if absent, the one that the table [events.phases] has for the type.
    phase: Option<Phase>,
    /// Further fields of the tenant by their names, such as `quotas.users`; null removes one.
    #[serde(default)]
    set: BTreeMap<String, Json>,
}

/// What can happen to a subscription.
#[derive(Deserialize, JsonSchema)]
enum Sort {
    #[serde(rename = "subscription.created")]
    Created,
    #[serde(rename = "subscription.updated")]
    Updated,
    #[serde(rename = "subscription.cancelled")]
    Cancelled,
    #[serde(rename = "payment.failed")]
    PaymentFailed,
}

/// The JSON Schema of the form.
pub fn schema() -> Json {
    schemars::SchemaGenerator::default().into_root_schema_for::<GenericEvent>().into()
}

pub fn read(json: &Json, table: &EventsTable) -> Result<Read, Refused> {
    let help = "`tenantry schema event` shows the form";
    let read: GenericEvent = serde_json::from_value(json.clone())
        .map_err(|error| Refused::new(format!("the event does not have the form of one: {error}"), help))?;
    let GenericEvent { id, time, sort, tenant, external, display_name, tier, phase, set } = read;
    let Ok(time) = time.parse::<Timestamp>() else {
        return Err(Refused::new(
            format!("`{time}` is not a time"),
            "write it in RFC 3339, such as 2026-01-31T12:00:00Z",
        ));
    };
    let external = match (external, &table.external) {
        (Some(id), Some(field)) => Some((field.to_string(), id)),
        (Some(_), None) => {
            let help = "write where documents have the sender's id, such as `external = \"values.crm_id\"`, into the table [events]";
            return Err(Refused::new(
                "the event has an external id, but tenantry.toml does not say where tenants have it",
                help,
            ));
        }
        (None, _) => None,
    };
    let change = |(name, value): (String, Json)| match field::pointer(&name) {
        Ok(pointer) => Ok(Change { pointer, to: (!value.is_null()).then(|| Value::from(value).with_whole_numbers()) }),
        Err(invalid) => Err(Refused::new(format!("in `set` of the event: {}", invalid.message), invalid.help)),
    };
    let set = set.into_iter().map(change).collect::<Result<_, _>>()?;
    let what = match sort {
        Sort::Created => What::Created,
        Sort::Updated => What::Updated,
        Sort::Cancelled => What::Cancelled,
        Sort::PaymentFailed => What::PaymentFailed,
    };
    Ok(Read::Event(Box::new(Event { id, time, what, tenant, external, display_name, tier, phase, set })))
}
