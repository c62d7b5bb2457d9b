//! Events that were already taken, as the messages of commits have them.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use jiff::Timestamp;

use super::Event;
use tenantry_core::model::names::Name;

const EVENT: &str = "Tenantry-Event: ";
const TIME: &str = "Tenantry-Event-Time: ";
const TENANT: &str = "Tenantry-Tenant: ";

/// The last lines of a commit's message (`git interpret-trailers`).
pub fn trailers(event: &Event, tenant: &Name) -> String {
    let mut text = String::new();
    // Writing to a text does not fail.
    let _ = writeln!(text, "{EVENT}{}\n{TIME}{}\n{TENANT}{tenant}", event.id, event.time);
    text
}

/// What was already taken.
#[derive(Debug, Default)]
pub struct Past {
    ids: HashSet<String>,
    /// By tenant: the time of its newest event, and that event.
    newest: HashMap<String, (Timestamp, String)>,
}

impl Past {
    /// Of the messages of commits. A squashed commit has the messages of several.
    pub fn of<'m>(messages: impl IntoIterator<Item = &'m str>) -> Self {
        let mut past = Self::default();
        for message in messages {
            let (mut id, mut time): (Option<&str>, Option<Timestamp>) = (None, None);
            for line in message.lines().map(str::trim) {
                if let Some(event) = line.strip_prefix(EVENT) {
                    past.ids.insert(event.to_owned());
                    (id, time) = (Some(event), None);
                } else if let Some(text) = line.strip_prefix(TIME) {
                    time = text.parse().ok();
                } else if let (Some(tenant), Some(id), Some(time)) = (line.strip_prefix(TENANT), id, time) {
                    let newest = past.newest.entry(tenant.to_owned()).or_insert_with(|| (time, id.to_owned()));
                    if time > newest.0 {
                        *newest = (time, id.to_owned());
                    }
                }
            }
        }
        past
    }

    /// Whether an event was taken.
    pub fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// An event about a tenant that was already taken and is newer than this time.
    pub fn newer(&self, tenant: &Name, time: Timestamp) -> Option<&str> {
        self.newest.get(tenant.as_str()).filter(|(newest, _)| *newest > time).map(|(_, id)| id.as_str())
    }
}
