//! What an account has, by the names that specs use.
//!
//! Everything that is current is listed, a hundred objects a request. Kinds whose ids Stripe invents are told apart by
//! estate: two estates that share an account may both have a customer `acme`.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::api::{Api, Failure};
use super::form::Form;
use super::mark;
use super::types::StripeKind;
use tenantry_core::model::mark::{Mark, names_of};
use tenantry_kit::ProviderKind as _;

/// The path of a kind's objects below `/v1`.
pub fn path(kind: StripeKind) -> &'static str {
    match kind {
        StripeKind::Feature => "entitlements/features",
        StripeKind::Product => "products",
        StripeKind::Price => "prices",
        StripeKind::Customer => "customers",
        StripeKind::Subscription => "subscriptions",
        StripeKind::Meter => "billing/meters",
        StripeKind::Coupon => "coupons",
        StripeKind::WebhookEndpoint => "webhook_endpoints",
    }
}

/// What is asked of the list: only what is current, with what is needed of other objects.
fn query(kind: StripeKind) -> Form {
    match kind {
        StripeKind::Product => Form::new().with("active", "true"),
        StripeKind::Price => {
            Form::new().with("active", "true").with("expand[]", "data.product").with("expand[]", "data.tiers")
        }
        StripeKind::Subscription => Form::new().with("expand[]", "data.customer").with("expand[]", "data.schedule"),
        StripeKind::Meter => Form::new().with("status", "active"),
        // Archived features are not in the list.
        StripeKind::Feature | StripeKind::Customer | StripeKind::Coupon | StripeKind::WebhookEndpoint => Form::new(),
    }
}

/// What stands where in the life of a kind's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Current,
    /// A subscription that was deleted and runs until its period's end.
    Ending,
    /// A price whose lookup key went to a later one of the same mark, and that is not archived yet.
    Superseded,
}

/// An object with the name that it has here.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    pub mark: Option<Mark>,
    pub state: State,
    pub object: Json,
}

impl Entry {
    /// `None` if the object has no name that a spec could use.
    pub fn of(kind: StripeKind, object: Json) -> Option<Self> {
        let mark = mark::read(&object);
        let text = |name: &str| object.get(name).and_then(Json::as_str);
        let noted = mark.as_ref().and_then(|_| mark::note(&object, mark::KEY));
        let (name, state) = match kind {
            StripeKind::Price => match (text("lookup_key"), noted) {
                (Some(lookup_key), _) => (lookup_key, State::Current),
                (None, Some(noted)) => (noted, State::Superseded),
                (None, None) => return None,
            },
            StripeKind::Meter => (text("event_name")?, State::Current),
            StripeKind::Feature => (text("lookup_key")?, State::Current),
            StripeKind::Subscription if mark::note(&object, mark::ENDING).is_some() => {
                (noted.or(text("id"))?, State::Ending)
            }
            StripeKind::Subscription
            | StripeKind::Product
            | StripeKind::Coupon
            | StripeKind::Customer
            | StripeKind::WebhookEndpoint => (noted.or(text("id"))?, State::Current),
        };
        Some(Self { name: name.to_owned(), mark, state, object })
    }

    pub fn id(&self) -> &str {
        self.object.get("id").and_then(Json::as_str).unwrap_or_default()
    }

    /// The estate that has the name to itself; empty if all estates share one space of names.
    fn space(&self, kind: StripeKind) -> &str {
        match (&self.mark, has_space(kind)) {
            (Some(mark), true) => &mark.estate,
            _ => "",
        }
    }
}

/// Whether each estate has names of its own.
fn has_space(kind: StripeKind) -> bool {
    !matches!(kind, StripeKind::Price | StripeKind::Meter | StripeKind::Feature)
}

/// All current objects of one kind.
#[derive(Debug)]
pub struct List {
    kind: StripeKind,
    /// By space and name.
    entries: HashMap<(String, String), Vec<Entry>>,
    /// Space and name by id.
    places: HashMap<String, (String, String)>,
    /// The latest first.
    ended: Vec<Entry>,
}

impl List {
    /// # Errors
    /// If it could not be read to its end.
    pub async fn read(api: &Api, kind: StripeKind) -> Result<Self, Failure> {
        let objects = api.list(path(kind), &query(kind)).await?;
        let mut list = Self { kind, entries: HashMap::new(), places: HashMap::new(), ended: Vec::new() };
        for object in objects.into_iter().filter(is_current) {
            list.put(object);
        }
        Ok(list)
    }

    /// Adds subscriptions that have ended as they were to: no longer current, but not to be made anew either.
    ///
    /// # Errors
    /// If they could not be listed to the end.
    pub async fn add_ended(&mut self, api: &Api) -> Result<(), Failure> {
        let query = query(self.kind).with("status", "canceled");
        let ended = api.list(path(self.kind), &query).await?;
        self.ended.extend(ended.into_iter().filter_map(|object| Entry::of(self.kind, object)));
        Ok(())
    }

    /// The subscription of an estate and name that has ended by itself. If there are several, the latest counts: what was
    /// deleted is to be made anew when it is wanted again.
    pub fn ended(&self, estate: &str, name: &str) -> Option<&Entry> {
        let is_it = |entry: &&Entry| entry.name == name && entry.mark.as_ref().is_some_and(|mark| mark.is_of(estate));
        let is_deleted =
            |entry: &Entry| [mark::ENDING, mark::DELETED].iter().any(|note| mark::note(&entry.object, note).is_some());
        self.ended.iter().find(is_it).filter(|entry| !is_deleted(entry))
    }

    /// Adds an object, or puts it in the place of its former self.
    pub fn put(&mut self, object: Json) {
        let Some(entry) = Entry::of(self.kind, object) else { return };
        self.take(entry.id());
        let place = (entry.space(self.kind).to_owned(), entry.name.clone());
        self.places.insert(entry.id().to_owned(), place.clone());
        self.entries.entry(place).or_default().push(entry);
    }

    pub fn of_id(&self, id: &str) -> Option<&Entry> {
        self.entries.get(self.places.get(id)?)?.iter().find(|entry| entry.id() == id)
    }

    /// Removes an object.
    pub fn take(&mut self, id: &str) {
        if let Some(place) = self.places.remove(id)
            && let Some(entries) = self.entries.get_mut(&place)
        {
            entries.retain(|entry| entry.id() != id);
        }
    }

    /// Every object that an estate knows by a name: its own, or else one that carries no mark.
    pub fn named(&self, estate: &str, name: &str) -> &[Entry] {
        let of = |space: &str| self.entries.get(&(space.to_owned(), name.to_owned())).filter(|list| !list.is_empty());
        // What was marked before marks named environments has the estate's own space.
        let found = has_space(self.kind).then(|| names_of(estate).find_map(of)).flatten();
        found.or_else(|| of("")).map_or(&[], Vec::as_slice)
    }

    /// The object of a name that is current.
    ///
    /// # Errors
    /// In words, if there are several.
    pub fn current(&self, estate: &str, name: &str) -> Result<Option<&Entry>, String> {
        let mut current = self.named(estate, name).iter().filter(|entry| entry.state == State::Current);
        match (current.next(), current.next()) {
            (Some(one), Some(other)) => Err(format!(
                "several objects have this name, such as {} and {}; keep one and delete the others",
                one.id(),
                other.id()
            )),
            (found, _) => Ok(found),
        }
    }

    /// The object that an estate means by a name: its own, one without a mark, or the only one of another estate.
    ///
    /// # Errors
    /// In words, if there are several.
    pub fn meant(&self, estate: &str, name: &str) -> Result<Option<&Entry>, String> {
        if let Some(own) = self.current(estate, name)? {
            return Ok(Some(own));
        }
        let mut others = self.iter().filter(|entry| entry.state == State::Current && entry.name == name);
        match (others.next(), others.next()) {
            (Some(_), Some(_)) => {
                Err(format!("several estates have a {} with the name `{name}`; write its id", self.kind.name()))
            }
            (found, _) => Ok(found),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().flatten()
    }
}

/// Whether an object counts as being there.
pub fn is_current(object: &Json) -> bool {
    let flag = |name: &str| object.get(name).and_then(Json::as_bool);
    let status = object.get("status").and_then(Json::as_str).unwrap_or_default();
    flag("deleted") != Some(true)
        && flag("active") != Some(false)
        && !matches!(status, "canceled" | "incomplete_expired" | "inactive")
}
