//! `tenantry list`: tenants with tier, phase, and what was applied.

use std::collections::BTreeMap;

use serde_json::json;

use super::arguments::{Global, Selection};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use tenantry_core::model::address::Owner;
use tenantry_render::style::Label;
use tenantry_render::visible::visible;
use tenantry_store::OpenMode;

pub async fn run(global: &Global, selection: &Selection, output: &Output) -> Result<Exit, Failure> {
    let session = Session::open(global, OpenMode::ReadOnly, output)?;
    let store = session.store().await?;
    let phases = store.phases().await?;
    let mut applied: BTreeMap<Owner, usize> = BTreeMap::new();
    for resource in store.inventory().await? {
        *applied.entry(resource.address.owner).or_default() += 1;
    }
    let selected = session.selected(selection)?;
    let mut tenants: Vec<_> = session
        .estate
        .tenants
        .iter()
        .map(|tenant| (tenant.metadata.name.shared(), tenant))
        .filter(|(name, _)| selected(&Owner::Tenant(name.clone())))
        .collect();
    tenants.sort_by(|a, b| a.0.cmp(&b.0));
    let rows: Vec<[String; 6]> = tenants
        .iter()
        .map(|(name, tenant)| {
            let resources = applied.get(&Owner::Tenant(name.clone())).copied().unwrap_or(0);
            [
                name.to_string(),
                tenant.spec.tier.to_string(),
                tenant.spec.phase.as_str().to_owned(),
                phases.get(name).map_or("-", |phase| phase.as_str()).to_owned(),
                resources.to_string(),
                tenant.spec.display_name.to_string(),
            ]
        })
        .collect();
    if output.is_json() {
        let list: Vec<_> = rows
            .iter()
            .map(|[name, tier, phase, applied, resources, display]| {
                let applied = (applied != "-").then_some(applied);
                json!({"name": name, "tier": tier, "phase": phase, "appliedPhase": applied, "resources": resources.parse::<u64>().unwrap_or(0), "displayName": display})
            })
            .collect();
        output.json(&list)?;
        return Ok(Exit::Done);
    }
    table(output, ["TENANT", "TIER", "PHASE", "APPLIED", "RESOURCES", "NAME"], &rows)?;
    Ok(Exit::Done)
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
