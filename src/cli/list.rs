//! `tenantry list`: tenants with tier, state, what they wait for, and what was applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::arguments::{Global, Selection};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use tenantry_core::lifecycle::{self, State, Waits};
use tenantry_core::model::address::Owner;
use tenantry_core::model::document::{LegalHold, Phase};
use tenantry_render::style::Label;
use tenantry_render::visible::visible;
use tenantry_render::words;
use tenantry_store::OpenMode;

pub async fn run(global: &Global, selection: &Selection, output: &Output) -> Result<Exit, Failure> {
    let session = Session::open(global, OpenMode::ReadOnly, output)?;
    let store = session.store().await?;
    let records = store.tenants().await?;
    let mut applied: BTreeMap<Owner, usize> = BTreeMap::new();
    for resource in store.inventory().await? {
        *applied.entry(resource.address.owner).or_default() += 1;
    }
    let mut unfinished: BTreeMap<Owner, usize> = BTreeMap::new();
    for step in store.open_steps().await? {
        *unfinished.entry(step.address.owner).or_default() += 1;
    }
    let lives = lifecycle::lives(&session.estate, session.times(&records));
    let ranks: BTreeMap<&str, u32> =
        session.estate.tiers.iter().map(|tier| (tier.metadata.name.as_str(), tier.spec.rank)).collect();
    let selected = session.selected(selection)?;
    let mut tenants: Vec<Listed<'_>> = session
        .estate
        .tenants
        .iter()
        .filter_map(|tenant| {
            let name = tenant.metadata.name.shared();
            let owner = Owner::Tenant(name.clone());
            let life = lives.get(&name).filter(|_| selected(&owner))?;
            let record = lifecycle::record_of(tenant, &records);
            let state = lifecycle::state(life, record, tenant.spec.tier.as_str(), &|tier| ranks.get(tier).copied());
            let steps = unfinished.get(&owner).copied().unwrap_or(0);
            Some(Listed {
                name,
                tier: tenant.spec.tier.as_str(),
                phase: life.phase,
                applied_phase: record.map(|record| record.phase),
                state,
                waits_for: lifecycle::waits(life, state, steps, session.now),
                phase_since: record.and_then(|record| record.since),
                trial_ends: life.trial_ends,
                deletion_due: life.deletion_due,
                legal_hold: life.hold.as_ref(),
                resources: applied.get(&owner).copied().unwrap_or(0),
                display_name: &tenant.spec.display_name,
            })
        })
        .collect();
    tenants.sort_by(|a, b| a.name.cmp(&b.name));
    if output.is_json() {
        output.json(&tenants)?;
        return Ok(Exit::Done);
    }
    let rows: Vec<[String; 6]> = tenants
        .iter()
        .map(|tenant| {
            [
                tenant.name.to_string(),
                tenant.tier.to_owned(),
                tenant.state.to_string(),
                tenant.waits_for.as_ref().map_or_else(|| "-".to_owned(), words::waits),
                tenant.resources.to_string(),
                tenant.display_name.to_owned(),
            ]
        })
        .collect();
    table(output, ["TENANT", "TIER", "STATE", "WAITS FOR", "RESOURCES", "NAME"], &rows)?;
    Ok(Exit::Done)
}

/// A tenant as `list` shows it.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    name: Arc<str>,
    tier: &'a str,
    /// The phase that it is to be in.
    phase: Phase,
    /// The phase that it was last applied in.
    applied_phase: Option<Phase>,
    state: State,
    waits_for: Option<Waits>,
    phase_since: Option<Timestamp>,
    trial_ends: Option<Timestamp>,
    deletion_due: Option<Timestamp>,
    legal_hold: Option<&'a LegalHold>,
    resources: usize,
    display_name: &'a str,
}

/// Writes aligned columns under a heading.
pub fn table<const N: usize>(output: &Output, heading: [&str; N], rows: &[[String; N]]) -> Result<(), Failure> {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| visible(cell).into_owned())).collect();
    let widths: Vec<usize> = (0..N)
        .map(|column| {
            rows.iter().map(|row| row[column].chars().count()).chain([heading[column].len()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: &[&str]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    output.data(|out| {
        writeln!(out, "{}", Label::Heading.paint(line(&heading)))?;
        for row in &rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            writeln!(out, "{}", line(&cells))?;
        }
        Ok(())
    })
}
