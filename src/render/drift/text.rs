//! Drift on a terminal, or in a log.

use std::fmt::Write as _;
use std::io;

use super::view::{DriftView, Group, ResourceView, word};
use crate::page::Page;
use crate::plan::text::{difference, finding};
use crate::style::Label;
use crate::words;
use tenantry_core::drift::State;
use tenantry_core::plan::{Blocked, Change};

/// Writes drift.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut Page<'_>, view: &DriftView<'_>) -> io::Result<()> {
    writeln!(out, "{}", Label::Heading.paint(&view.title))?;
    if view.drift.plan.simulated {
        let text = "Simulated: every target is the sandbox; no real system is looked at.";
        writeln!(out, "{}", Label::Quiet.paint(text))?;
    }
    writeln!(out)?;
    for group in &view.groups {
        self::group(out, group)?;
    }
    ignored(out, view)?;
    reasons(out, "Unknown: these could not be read", &view.unknown)?;
    reasons(out, "Blocked: these cannot be judged", &view.blocked)?;
    own(out, "Left unfinished by a run; `tenantry apply` finishes them", &view.drift.unfinished)?;
    for finding in &view.drift.findings {
        self::finding(out, finding)?;
    }
    writeln!(out, "{}", Label::Heading.paint(&view.counts))
}

fn group(out: &mut Page<'_>, group: &Group<'_>) -> io::Result<()> {
    let heading = match group.owners.as_slice() {
        [owner] => owner.to_string(),
        owners => {
            let names = words::listed(owners.iter().map(ToString::to_string));
            format!("{} owners with the same drift: {names}", owners.len())
        }
    };
    writeln!(out, "{}", Label::Heading.paint(heading))?;
    for resource in &group.resources {
        self::resource(out, resource)?;
    }
    writeln!(out)
}

fn resource(out: &mut Page<'_>, resource: &ResourceView<'_>) -> io::Result<()> {
    let ResourceView { state, id, kind, name, place, fields } = resource;
    let (symbol, label) = match state {
        State::Changed => ("~", Label::Update),
        State::Deleted => ("-", Label::Destroy),
    };
    let mut line = format!("  {} {kind}", label.paint(format!("{symbol} {} {id}", word(*state))));
    if let Some(name) = name {
        let _ = write!(line, " {name}");
    }
    if let Some(place) = place {
        let _ = write!(line, "  {}", Label::Quiet.paint(format!("({}:{})", place.file, place.line)));
    }
    writeln!(out, "{line}")?;
    for field in fields {
        difference(out, &field.name, &field.difference, field.by.as_deref())?;
    }
    Ok(())
}

fn ignored(out: &mut Page<'_>, view: &DriftView<'_>) -> io::Result<()> {
    if view.ignored.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", Label::Heading.paint("Ignored by rules of tenantry.toml"))?;
    for (rule, resources) in &view.ignored {
        writeln!(out, "  {}  {}", words::listed(resources.iter().cloned()), Label::Quiet.paint(rule))?;
    }
    writeln!(out)
}

fn reasons(out: &mut Page<'_>, heading: &str, reasons: &[(String, Vec<&Blocked>)]) -> io::Result<()> {
    if reasons.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", Label::Heading.paint(heading))?;
    for (reason, members) in reasons {
        let names = words::listed(members.iter().map(|Blocked { address, .. }| address.to_string()));
        writeln!(out, "  {} {names}: {reason}", Label::Warning.paint("!"))?;
    }
    writeln!(out)
}

fn own(out: &mut Page<'_>, heading: &str, changes: &[&Change]) -> io::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let names = words::listed(changes.iter().map(|change| change.address.to_string()));
    writeln!(out, "{}", Label::Heading.paint(heading))?;
    writeln!(out, "  {names}")?;
    writeln!(out)
}
