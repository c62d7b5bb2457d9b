//! `tenantry show`: a tenant, a resource, or a saved plan.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::arguments::{self, Format, Global};
use super::error::{Exit, Failure};
use super::output::Output;
use super::plan;
use super::session::Session;
use super::tombstone::Tombstone;
use tenantry_core::diagnostics::has_errors;
use tenantry_core::lifecycle;
use tenantry_core::model::address::Owner;
use tenantry_core::model::document::Phase;
use tenantry_core::model::kind::readable_identity;
use tenantry_core::model::resource::{Applied, Desired};
use tenantry_core::model::value::{Map, Value};
use tenantry_core::plan::sensitive;
use tenantry_core::resolve;
use tenantry_engine::plan::Recorded;
use tenantry_render::page::Page;
use tenantry_render::style::Label;
use tenantry_render::words;
use tenantry_store::OpenMode;
use tenantry_store::contract::RecordForgotten;

pub async fn run(global: &Global, command: &arguments::Show, output: &Output) -> Result<Exit, Failure> {
    let subject = command.subject.as_str();
    if Path::new(subject).is_file() {
        let saved = plan::read(Path::new(subject))?;
        let catalogue = tenantry_registry::catalogue(&tenantry_registry::providers());
        plan::show(&saved, &catalogue, &global.estate, plan::Look { expand: command.expand, paged: true }, output)?;
        // What would come of it is the business of `apply`.
        return Ok(Exit::Done);
    }
    if !matches!(output.format(), Format::Human | Format::Json) {
        return Err(Failure::new(Exit::Usage, "only plans have the formats `markdown`, `html`, `github` and `sarif`")
            .help("use `--format json`, or name a file that `plan --out FILE` has saved"));
    }
    let session = Session::open(global, OpenMode::ReadOnly, output)?;
    let targets = session.targets();
    let store = session.store().await?;
    let recorded = Recorded::of(&*store).await?;
    let inventory = &recorded.inventory;
    let (owners, diagnostics) =
        tenantry_engine::plan::desired_beside(&session.estate, &targets, &recorded, session.now, session.threads);
    if has_errors(&diagnostics) {
        return Err(Failure::diagnostics(diagnostics, session.files));
    }
    if let Some(desired) =
        owners.iter().flat_map(|owner| &owner.resources).find(|desired| desired.address.to_string() == subject)
    {
        let applied = inventory.get(&desired.address);
        let json = json!({
            "address": desired.address,
            "kind": desired.kind.name,
            "target": desired.target,
            "identity": desired.identity,
            "desired": sensitive::mask(desired.spec.value(), &sensitive::of(desired)),
            "applied": applied.and_then(Applied::spec_value).map(|spec| applied_of(desired, spec)),
            "outputs": applied.and_then(|applied| serde_json::from_str::<serde_json::Value>(&applied.outputs).ok()),
            "dependsOn": desired.depends_on,
            "protected": desired.protect,
        });
        output.json(&json)?;
        return Ok(Exit::Done);
    }
    let forgotten = if subject.contains('/') { store.forgotten().await? } else { Vec::new() };
    if let Some(forgotten) = forgotten.iter().find(|forgotten| forgotten.address.to_string() == subject) {
        let RecordForgotten { actor, address, at, identity, kind, target } = forgotten;
        output.json(&json!({
            "address": address,
            "kind": kind,
            "target": target,
            "identity": identity,
            "forgotten": {"at": at, "actor": actor},
        }))?;
        return Ok(Exit::Done);
    }
    let mut ignored = Vec::new();
    let times = session.times(&recorded.tenants);
    let resolved = resolve::resolve(&session.estate, times, &mut ignored);
    let found = resolved.tenants.iter().find(|tenant| tenant.document.metadata.name.as_str() == subject);
    let is_gone = recorded.tenants.get(subject).is_some_and(|record| record.phase == Phase::Deleted);
    if is_gone && found.is_none_or(|tenant| tenant.phase() == Phase::Deleted) {
        let tombstone = Tombstone::of(&subject.into(), &*store).await?;
        match output.is_json() {
            true => output.json(&tombstone)?,
            false => output.data(|out| tombstone.write(out))?,
        }
        return Ok(Exit::Done);
    }
    let Some(tenant) = found else {
        let tenants = session.estate.tenants.iter().map(|tenant| tenant.metadata.name.to_string());
        let addresses = owners.iter().flat_map(|owner| &owner.resources).map(|desired| desired.address.to_string());
        // An address is near to many names, and a name to none that is as long.
        let known: Vec<String> = if subject.contains('/') { addresses.collect() } else { tenants.collect() };
        return Err(Failure::unknown(
            format!("there is no tenant, resource or saved plan `{subject}`"),
            subject,
            known.iter().map(String::as_str),
            "`tenantry list` shows every tenant, and `tenantry show TENANT` its resources",
        ));
    };
    let owner = Owner::Tenant(tenant.name());
    let resources: Vec<&Desired> = owners.iter().filter(|of| of.owner == owner).flat_map(|of| &of.resources).collect();
    let mut value = tenant.value.clone();
    // Contacts are personal: a terminal keeps nothing, a file does.
    if !output.is_seen_only() {
        value = sensitive::mask_contacts(value);
    }
    let record = lifecycle::record_of(tenant.document, &recorded.tenants);
    let ranks = |name: &str| {
        let tier = session.estate.tiers.iter().find(|tier| tier.metadata.name.as_str() == name)?;
        Some(tier.spec.rank)
    };
    let state = lifecycle::state(&tenant.life, record, tenant.tier.metadata.name.as_str(), &ranks);
    let steps = store.open_steps().await?.iter().filter(|step| step.address.owner == owner).count();
    let waits = lifecycle::waits(&tenant.life, state, steps, session.now);
    if output.is_json() {
        let resources: Vec<_> = resources
            .iter()
            .map(|desired| json!({"address": desired.address, "kind": desired.kind.name, "target": desired.target, "identity": desired.identity, "applied": inventory.contains_key(&desired.address)}))
            .collect();
        output.json(&json!({"tenant": value, "state": state, "waitsFor": waits, "resources": resources}))?;
        return Ok(Exit::Done);
    }
    output.data(|out| {
        writeln!(out, "{}", Label::Heading.paint(subject))?;
        writeln!(out, "  state: {state}")?;
        if let Some(waits) = &waits {
            writeln!(out, "  waits for: {}", words::waits(waits))?;
        }
        value_lines(out, &value, 1)?;
        writeln!(out)?;
        writeln!(out, "{}", Label::Heading.paint(words::count(resources.len(), "resource")))?;
        for desired in resources {
            let identity = desired.identity.as_deref().map_or_else(|| "(known after apply)".into(), readable_identity);
            let state = if inventory.contains_key(&desired.address) { "applied" } else { "not applied" };
            writeln!(out, "  {}  {} {identity}  {}", desired.address, desired.kind.name, Label::Quiet.paint(state))?;
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

fn value_lines(out: &mut Page<'_>, value: &Value, depth: usize) -> std::io::Result<()> {
    let Some(map) = value.as_map() else { return Ok(()) };
    for (key, value) in map.iter() {
        let indent = "  ".repeat(depth);
        match value {
            Value::Map(map) if map.is_empty() => {}
            Value::List(items) if items.is_empty() => {}
            Value::Null => {}
            Value::Map(_) => {
                writeln!(out, "{indent}{key}:")?;
                value_lines(out, value, depth + 1)?;
            }
            Value::Text(text) => writeln!(out, "{indent}{key}: {text}")?,
            other => writeln!(out, "{indent}{key}: {}", other.to_json())?,
        }
    }
    Ok(())
}

/// The spec that was written. It may have sensitive fields that the desired spec does not have.
fn applied_of(desired: &Desired, spec: Map) -> Value {
    let mut sensitive = sensitive::of(desired);
    sensitive
        .extend(desired.kind.sensitive_in(&desired.kind.normal(&spec)).iter().map(|pointer| Arc::from(&**pointer)));
    let (spec, wanted) = (Value::from(spec), desired.spec.value());
    spec.for_each_leaf(&mut |pointer, _| {
        if wanted.pointer(pointer).is_none() {
            sensitive.push(pointer.into());
        }
    });
    sensitive::mask(spec, &sensitive)
}
