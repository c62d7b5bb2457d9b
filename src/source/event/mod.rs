//! Events of other systems about a tenant's subscription → the edit that each means.
//!
//! Flow: bytes → [`Body`] → its [`signature`] is checked with the secret of its form → [`Event`], which is the same for both forms →
//! [`Meaning`]: the edit of a tenant, or a new one. What was done before is read from the commits ([`Past`]).
//!
//! Guaranteed: the same event always means the same edit, the name of a new tenant included; an event that is older than one that was
//! already taken changes nothing; nothing of an event but its id, its time and the tenant's name gets into a commit's message.
//!
//! Pure: no clock, no file.

mod generic;
mod past;
pub mod signature;
mod stripe;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

pub use self::generic::schema;
pub use self::past::{Past, trailers};

use super::edit::new::{id, is_taken};
use super::edit::{Change, field};
use tenantry_core::diagnostics::nearest;
use tenantry_core::model::config::EventsTable;
use tenantry_core::model::document::{Document, Estate, Phase, TenantSpec};
use tenantry_core::model::names::Name;
use tenantry_core::model::tenant_id;
use tenantry_core::model::value::Value;

/// Why an event is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub message: String,
    pub help: String,
    /// Whether it is not known that the event comes from its sender.
    pub is_signature: bool,
}

impl Refused {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into(), is_signature: false }
    }

    fn signature(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { is_signature: true, ..Self::new(message, help) }
    }
}

/// Whose form an event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Stripe,
    Generic,
}

/// An event as it was received.
pub struct Body {
    pub form: Form,
    json: Json,
}

/// What happened to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Created,
    Updated,
    Cancelled,
    PaymentFailed,
}

impl What {
    /// The words for it in the subject of a commit, before the tenant's name.
    fn words(self) -> &'static str {
        match self {
            Self::Created => "Subscription created for",
            Self::Updated => "Subscription updated for",
            Self::Cancelled => "Subscription cancelled for",
            Self::PaymentFailed => "Payment failed for",
        }
    }
}

/// An event about a tenant, whichever form it had.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// As its sender calls it.
    pub id: String,
    /// When it happened.
    pub time: Timestamp,
    pub what: What,
    /// The tenant's name.
    tenant: Option<String>,
    /// Where documents have the sender's own id of the tenant, and that id.
    external: Option<(String, String)>,
    display_name: Option<String>,
    tier: Option<String>,
    phase: Option<Phase>,
    set: Vec<Change>,
}

/// What an event is.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    Event(Box<Event>),
    /// It tells nothing that tenants depend on: its id and its type.
    Other {
        id: String,
        sort: String,
    },
}

impl Body {
    /// # Errors
    /// If the bytes are no JSON object.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let help = "give the body of the webhook's request as it was received";
        let json: Json = serde_json::from_slice(bytes)
            .map_err(|error| Refused::new(format!("the event is not JSON: {error}"), help))?;
        if !json.is_object() {
            return Err(Refused::new("the event is not a JSON object", help));
        }
        let form = if json["object"] == "event" { Form::Stripe } else { Form::Generic };
        Ok(Self { form, json })
    }

    /// What it tells.
    ///
    /// # Errors
    /// If it does not have its form, or tenantry.toml does not say how it is to be read.
    pub fn read(&self, table: &EventsTable) -> Result<Read, Refused> {
        let read = match self.form {
            Form::Stripe => stripe::read(&self.json, table)?,
            Form::Generic => generic::read(&self.json, table)?,
        };
        let id = match &read {
            Read::Event(event) => &event.id,
            Read::Other { id, .. } => id,
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
        if id.is_empty() || id.len() > 255 || !id.chars().all(is_plain) {
            let help = "use up to 255 letters, digits, dots, colons, hyphens and underscores";
            return Err(Refused::new("the event's id is not valid", help));
        }
        Ok(read)
    }
}

/// The edit that an event means.
#[derive(Clone, Debug)]
pub enum Meaning<'e> {
    Edit {
        tenant: &'e Document<TenantSpec>,
        changes: Vec<Change>,
        /// What the event asks for in vain.
        notes: Vec<String>,
    },
    New {
        name: Name,
        display_name: String,
        tier: Name,
        phase: Phase,
        values: Vec<Change>,
    },
}

impl Meaning<'_> {
    pub fn tenant(&self) -> &Name {
        match self {
            Self::Edit { tenant, .. } => &tenant.metadata.name,
            Self::New { name, .. } => name,
        }
    }

    /// The names that the tenant has and had.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        let previously = match self {
            Self::Edit { tenant, .. } => &tenant.metadata.previously[..],
            Self::New { .. } => &[],
        };
        std::iter::once(self.tenant()).chain(previously)
    }
}

/// The edit that an event means in an estate.
///
/// # Errors
/// If the tenant is not known, or cannot be created.
pub fn meaning<'e>(estate: &'e Estate, table: &EventsTable, event: &Event) -> Result<Meaning<'e>, Refused> {
    if let Some(tier) = &event.tier
        && !estate.tiers.iter().any(|known| known.metadata.name.as_str() == tier)
    {
        let known = estate.tiers.iter().map(|tier| tier.metadata.name.as_str());
        let help = match nearest(tier, known.clone()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("the tiers are {}", known.collect::<Vec<_>>().join(", ")),
        };
        return Err(Refused::new(format!("the event asks for the tier `{tier}`, which does not exist"), help));
    }
    match find(estate, event)? {
        Some(tenant) => Ok(edit(table, event, tenant)),
        None => new(estate, table, event),
    }
}

/// The tenant that an event is about.
fn find<'e>(estate: &'e Estate, event: &Event) -> Result<Option<&'e Document<TenantSpec>>, Refused> {
    let named = event.tenant.as_deref().and_then(|name| {
        let has_name = |tenant: &&Document<TenantSpec>| {
            let names = std::iter::once(&tenant.metadata.name).chain(&tenant.metadata.previously);
            names.into_iter().any(|known| known.as_str() == name)
        };
        estate.tenants.iter().find(has_name)
    });
    let known: Vec<_> = match &event.external {
        Some((field, id)) => {
            let pointer = configured(field)?;
            estate.tenants.iter().filter(|tenant| is_at(tenant, &pointer, id)).collect()
        }
        None => Vec::new(),
    };
    let name = |tenant: &Document<TenantSpec>| tenant.metadata.name.to_string();
    match (named, &known[..]) {
        (Some(named), [other, ..]) if !std::ptr::eq(named, *other) => Err(Refused::new(
            format!("the event names the tenant {}, but the sender's id of it is that of {}", name(named), name(other)),
            "correct the name in the sender's system, or the id in the tenant's document",
        )),
        (Some(named), _) => Ok(Some(named)),
        (None, [_, _, ..]) => Err(Refused::new(
            format!(
                "{} tenants have the sender's id: {}",
                known.len(),
                known.iter().map(|t| name(t)).collect::<Vec<_>>().join(", ")
            ),
            "keep it in the document that it belongs to",
        )),
        (None, known) => Ok(known.first().copied()),
    }
}

/// The pointer of a field that tenantry.toml names.
fn configured(field: &str) -> Result<String, Refused> {
    field::pointer(field).map_err(|invalid| {
        Refused::new(format!("in the table [events] of tenantry.toml: {}", invalid.message), invalid.help)
    })
}

/// Whether a tenant's document has a text at a pointer.
fn is_at(tenant: &Document<TenantSpec>, pointer: &str, id: &str) -> bool {
    let Some(path) = pointer.strip_prefix("/spec/values") else {
        let of = |names: &std::collections::BTreeMap<std::sync::Arc<str>, std::sync::Arc<str>>, prefix: &str| {
            let key = pointer.strip_prefix(prefix).map(tenantry_core::model::value::unescape_token);
            key.and_then(|key| names.get(&*key)).is_some_and(|known| **known == *id)
        };
        return of(&tenant.metadata.labels, "/metadata/labels/")
            || of(&tenant.metadata.annotations, "/metadata/annotations/");
    };
    let values = Value::map(tenant.spec.values.iter().map(|(key, value)| (&**key, value.clone())));
    match values.pointer(path) {
        Some(Value::Text(text)) => **text == *id,
        Some(Value::Integer(number)) => number.to_string() == id,
        _ => false,
    }
}

/// The phase that an event leads to, for a tenant that is in another one.
fn phase(table: &EventsTable, event: &Event) -> Option<Phase> {
    event.phase.or(match event.what {
        What::Created | What::Updated => None,
        What::Cancelled => table.phases.cancelled,
        What::PaymentFailed => table.phases.payment_failed,
    })
}

fn edit<'e>(table: &EventsTable, event: &Event, tenant: &'e Document<TenantSpec>) -> Meaning<'e> {
    let (mut changes, mut notes) = (Vec::new(), Vec::new());
    let mut change =
        |pointer: &str, to: &str| changes.push(Change { pointer: pointer.to_owned(), to: Some(to.into()) });
    if let Some(tier) = &event.tier {
        change("/spec/tier", tier);
    }
    let now = tenant.spec.phase;
    match phase(table, event) {
        // Somebody asked for the deletion, and decides whether it is called off.
        Some(asked) if asked != now && (now == Phase::Deleting || !asked.may_follow(Some(now))) => {
            let name = &tenant.metadata.name;
            notes.push(format!("{name} is in the phase {now}; an event does not lead from it to {asked}"));
        }
        Some(asked) => change("/spec/phase", asked.as_str()),
        None if matches!(event.what, What::Cancelled | What::PaymentFailed) => notes.push(format!(
            "tenantry.toml has no phase for it (`{}` in the table [events.phases])",
            if event.what == What::Cancelled { "cancelled" } else { "payment_failed" }
        )),
        None => {}
    }
    changes.extend(event.set.iter().cloned());
    Meaning::Edit { tenant, changes, notes }
}

fn new<'e>(estate: &'e Estate, table: &EventsTable, event: &Event) -> Result<Meaning<'e>, Refused> {
    let unknown = match (&event.tenant, &event.external) {
        (Some(name), _) => format!("the event is about the tenant `{name}`, which does not exist"),
        (None, Some((field, id))) => {
            format!("the event is about a tenant with `{id}` in `{field}`, but no tenant has it")
        }
        (None, None) => "the event does not name a tenant".to_owned(),
    };
    if event.what != What::Created {
        return Err(Refused::new(
            unknown,
            "write its name or id into the tenant's document; `tenantry list` shows the tenants",
        ));
    }
    let Some(display_name) = event.display_name.clone().filter(|name| !name.trim().is_empty()) else {
        let help = "an event that creates a tenant needs the company's name, or create it with `tenantry new`";
        return Err(Refused::new(unknown, help));
    };
    let Some(tier) = event.tier.as_deref().and_then(|tier| Name::new(tier).ok()) else {
        return Err(Refused::new(unknown, "an event that creates a tenant needs its tier"));
    };
    let name = match &event.tenant {
        Some(name) => name.clone(),
        None => {
            // Of the event's id, so that the same event makes the same tenant.
            let hash = Sha256::digest(event.id.as_bytes());
            let ids = hash.windows(tenant_id::SUFFIX_CHARACTERS).filter_map(|bytes| {
                let mut random = [0; tenant_id::SUFFIX_CHARACTERS];
                random.copy_from_slice(bytes);
                // A name without Latin letters is one that a person may choose later.
                id(&display_name, random).or_else(|| id("tenant", random))
            });
            ids.into_iter().find(|id| !is_taken(estate, id)).unwrap_or_default()
        }
    };
    let invalid =
        |why: String| Refused::new(format!("no tenant can have the name `{name}`: {why}"), "choose another name");
    if tenant_id::is_reserved(&name) {
        return Err(invalid("it is reserved".to_owned()));
    }
    let name = Name::new(&name).map_err(|error| invalid(error.to_string()))?;
    let phase = phase(table, event).or(table.phases.created).unwrap_or(Phase::Active);
    let mut values = event.set.clone();
    if let Some((field, id)) = &event.external {
        values.push(Change { pointer: configured(field)?, to: Some(id.as_str().into()) });
    }
    Ok(Meaning::New { name, display_name, tier, phase, values })
}

/// The message of the commit that an event becomes.
pub fn message(event: &Event, tenant: &Name, changes: bool) -> String {
    let nothing = if changes { "" } else { "\n\nIt changes nothing in the tenant's document." };
    format!("{} {tenant}{nothing}\n\n{}", event.what.words(), trailers(event, tenant))
}
