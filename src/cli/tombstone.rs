//! What stays of a tenant that was deleted: its name, when and by whom, and how much. No personal data.

use std::sync::Arc;

use jiff::Timestamp;
use tenantry_core::model::address::Owner;
use tenantry_core::model::document::Phase;
use tenantry_render::page::Page;
use tenantry_render::style::Label;
use tenantry_render::words::{self, minute};
use tenantry_store::contract::{HistoryQuery, JournalEntry, JournalEvent, RunId, Store, StoreError};

/// What the journal says of a deleted tenant.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tombstone {
    tenant: Arc<str>,
    state: &'static str,
    /// When it was first applied.
    provisioned: Option<Timestamp>,
    /// When its access ended because it was to leave.
    left: Option<Passage>,
    deleted: Option<Passage>,
    /// Resources that were deleted since it left.
    resources: usize,
}

/// The entry into a phase.
#[derive(serde::Serialize)]
struct Passage {
    at: Timestamp,
    /// Who ran the apply, as far as the system told.
    by: Option<String>,
}

impl Tombstone {
    /// # Errors
    /// If the store cannot be read.
    pub async fn of(tenant: &Arc<str>, store: &dyn Store) -> Result<Self, StoreError> {
        let query = HistoryQuery { owner: Some(Owner::Tenant(tenant.clone())), ..HistoryQuery::default() };
        let entries = store.history(&query).await?;
        // Newest first. Somebody else may have had the name before.
        let phase = |entry: &JournalEntry| {
            let phase = entry.detail.get("to").filter(|_| entry.event == JournalEvent::PhaseEntered);
            phase.and_then(serde_json::Value::as_str).and_then(Phase::named)
        };
        let begins = |entry: &JournalEntry| {
            phase(entry).is_some() && entry.detail.get("from").is_none_or(serde_json::Value::is_null)
        };
        let end = entries.iter().position(begins).unwrap_or(entries.len().saturating_sub(1));
        let own = entries.get(..=end).unwrap_or_default();
        let into = |wanted: Phase| {
            own.iter()
                .position(|entry| phase(entry) == Some(wanted) && entry.detail.get("from") != entry.detail.get("to"))
        };
        let left = into(Phase::Deleting);
        let removed = |entry: &&JournalEntry| {
            entry.event == JournalEvent::StepEnded
                && entry.detail.get("action").and_then(serde_json::Value::as_str) == Some("delete")
                && entry.detail.get("result").and_then(serde_json::Value::as_str) == Some("removed")
        };
        Ok(Self {
            tenant: tenant.clone(),
            state: Phase::Deleted.as_str(),
            provisioned: own.last().filter(|entry| begins(entry)).map(|entry| entry.at),
            left: passage(left.and_then(|at| own.get(at)), store).await?,
            deleted: passage(into(Phase::Deleted).and_then(|at| own.get(at)), store).await?,
            resources: own.iter().take(left.unwrap_or(own.len())).filter(removed).count(),
        })
    }

    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, out: &mut Page<'_>) -> std::io::Result<()> {
        writeln!(out, "{}", Label::Heading.paint(&self.tenant))?;
        writeln!(out, "  state: {}", self.state)?;
        if let Some(at) = self.provisioned {
            writeln!(out, "  provisioned: {}", minute(at))?;
        }
        for (what, passage) in [("left", &self.left), ("deleted", &self.deleted)] {
            if let Some(Passage { at, by }) = passage {
                let by = by.as_ref().map(|by| format!(", applied by {by}")).unwrap_or_default();
                writeln!(out, "  {what}: {}{by}", minute(*at))?;
            }
        }
        writeln!(out, "  {} deleted since it left", words::count(self.resources, "resource"))
    }
}

async fn passage(entry: Option<&JournalEntry>, store: &dyn Store) -> Result<Option<Passage>, StoreError> {
    let Some(entry) = entry else { return Ok(None) };
    let entered = entry.detail.get("entered").and_then(serde_json::Value::as_str).and_then(|time| time.parse().ok());
    let by = match entry.run {
        Some(run) => actor(run, store).await?,
        None => None,
    };
    Ok(Some(Passage { at: entered.unwrap_or(entry.at), by }))
}

/// Who ran a run.
async fn actor(run: RunId, store: &dyn Store) -> Result<Option<String>, StoreError> {
    let entries = store.history(&HistoryQuery { run: Some(run), ..HistoryQuery::default() }).await?;
    let begun = entries.iter().find(|entry| entry.event == JournalEvent::RunBegun);
    Ok(begun.and_then(|entry| entry.detail.get("actor")?.as_str()).map(str::to_owned))
}
