//! `tenantry forget`: stops managing resources, and leaves them as they are.

use std::io::{self, BufRead as _, IsTerminal as _};

use serde_json::json;
use tenantry_core::desired::Provenance;
use tenantry_core::diagnostics::SourceFiles;
use tenantry_core::model::address::Address;
use tenantry_core::model::kind::readable_identity;
use tenantry_core::model::resource::{Applied, Desired};
use tenantry_core::policy;
use tenantry_engine::forget::{Forgotten, Request, forget, on_record};
use tenantry_engine::plan::Recorded;
use tenantry_render::page::Page;
use tenantry_render::style::Label;
use tenantry_render::words::{self, count};
use tenantry_store::OpenMode;

use super::arguments::{self, Global};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use super::system;

/// A resource that is to be forgotten.
struct Chosen<'r> {
    applied: &'r Applied,
    /// What is still managed and was made of it.
    needed_by: Vec<&'r Address>,
}

pub async fn run(global: &Global, command: &arguments::Forget, output: &Output) -> Result<Exit, Failure> {
    // Nothing is opened for writing before it is sure that something is to be written.
    let mut session = Session::open(global, OpenMode::ReadOnly, output)?;
    session.tell_simulated(output);
    let store = session.store().await?;
    let known = on_record(&*store).await?;
    let chosen = chosen(&command.addresses, &known)?;
    let recorded = Recorded::of(&*store).await?;
    let targets = session.targets();
    let (estate, files) = (&session.estate, &session.files);
    let wanted =
        tenantry_engine::plan::explain(estate, &targets, &recorded, session.now, session.threads, |provenance| {
            wanted(provenance, &chosen, files)
        });
    let wanted = wanted.map_err(|diagnostics| Failure::diagnostics(diagnostics, session.files.clone()))?;
    check(wanted)?;
    if output.is_json() {
        let records: Vec<_> = chosen
            .iter()
            .map(|Chosen { applied: Applied { address, kind, target, identity, .. }, needed_by }| {
                json!({"address": address, "kind": kind, "target": target, "identity": identity, "neededBy": needed_by})
            })
            .collect();
        output.json_line(&json!({"event": "found", "records": records}))?;
    } else {
        output.data(|out| write(out, &chosen))?;
    }
    if !command.auto_approve && !confirmed(global, &command.addresses, output)? {
        return Err(Failure::new(Exit::Error, "not approved; nothing was forgotten"));
    }
    drop((store, targets));
    session.open_for_writing();
    let (store, targets) = (session.store().await?, session.targets());
    let records: Vec<Applied> = chosen.iter().map(|chosen| chosen.applied.clone()).collect();
    let actor = system::actor();
    let request = Request {
        targets: &targets,
        store: &*store,
        records: &records,
        holder: system::holder(&actor),
        actor,
        revision: session.estate.revision.clone(),
        clock: &system::now,
    };
    let forgotten = forget(&request).await?;
    let Forgotten { run, resources, changed } = &forgotten;
    if output.is_json() {
        output.json_line(&json!({"event": "forgotten", "run": run, "resources": resources, "changed": changed}))?;
    } else {
        output.data(|out| write_forgotten(out, &forgotten))?;
    }
    Ok(if changed.is_empty() { Exit::Done } else { Exit::Partly })
}

/// The records that the patterns match. Each has to match one: a mistyped address beside others would be left out without a
/// word.
fn chosen<'r>(patterns: &[String], known: &'r [Applied]) -> Result<Vec<Chosen<'r>>, Failure> {
    let addresses: Vec<String> = known.iter().map(|applied| applied.address.to_string()).collect();
    if let Some(pattern) = patterns.iter().find(|pattern| !addresses.iter().any(|at| policy::matches(pattern, at))) {
        let message = format!("no resource on record has the address `{pattern}`; nothing was forgotten");
        let help = "only what was applied can be forgotten; `tenantry history` shows what was";
        return Err(Failure::unknown(message, pattern, addresses.iter().map(String::as_str), help));
    }
    let is_chosen = |at: &str| patterns.iter().any(|pattern| policy::matches(pattern, at));
    let (left, stay): (Vec<_>, Vec<_>) = known.iter().zip(&addresses).partition(|(_, at)| is_chosen(at));
    let needed_by = |address: &Address| -> Vec<&'r Address> {
        let needs = stay.iter().filter(|(applied, _)| applied.depends_on.contains(address));
        needs.map(|(applied, _)| &applied.address).collect()
    };
    Ok(left.into_iter().map(|(applied, _)| Chosen { applied, needed_by: needed_by(&applied.address) }).collect())
}

/// What of it the estate still asks for, each with the place where.
fn wanted(provenance: &Provenance<'_, '_>, chosen: &[Chosen<'_>], files: &SourceFiles) -> Vec<String> {
    let desired: Vec<&Desired> = provenance.owners().iter().flat_map(|owner| &owner.resources).collect();
    let asks = |Chosen { applied, .. }: &Chosen<'_>| {
        let wants = |desired: &&&Desired| {
            let is_it = desired.target == applied.target
                && *desired.kind.name == *applied.kind
                && desired.identity.as_ref() == Some(&applied.identity);
            is_it || desired.address == applied.address || desired.previously.contains(&applied.address)
        };
        let desired = desired.iter().find(wants)?;
        let place = provenance
            .origin(&desired.address, "")
            .map(|origin| format!("{}:{}", files.get(origin.file).path, files.line_column(origin).0));
        let place = place.unwrap_or_else(|| "the estate".to_owned());
        Some(match desired.address == applied.address {
            true => format!("{}: {place}", applied.address),
            false => format!("{}: {place}, as {}", applied.address, desired.address),
        })
    };
    chosen.iter().filter_map(asks).collect()
}

fn check(wanted: Vec<String>) -> Result<(), Failure> {
    if wanted.is_empty() {
        return Ok(());
    }
    let message = format!("the repository still asks for {} of these resources; nothing was forgotten", wanted.len());
    Err(Failure::new(Exit::Refused, message).details(wanted).help(
        "take it out of the blueprint, or give it a `when` that is false: otherwise the next plan would want it back. Then forget it before the next apply, which would delete it",
    ))
}

/// Asks for approval. Fails without a terminal.
fn confirmed(global: &Global, patterns: &[String], output: &Output) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        let patterns: String = patterns.iter().map(|pattern| format!(" '{pattern}'")).collect();
        let command = global.invocation(&format!("forget{patterns} --auto-approve"));
        return Err(Failure::new(Exit::Usage, "there is no terminal to ask for approval; nothing was forgotten")
            .help(format!("use `{command}`")));
    }
    output.ask("Forget this? From then on nobody updates or deletes it. Only `yes` forgets it: ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::io("reading the answer", &error))?;
    Ok(answer.trim() == "yes")
}

fn write(out: &mut Page<'_>, chosen: &[Chosen<'_>]) -> io::Result<()> {
    for Chosen { applied, needed_by } in chosen {
        let Applied { address, kind, target, identity, .. } = applied;
        let identity = readable_identity(identity);
        writeln!(out, "{} {address}: {kind} {identity} stays in `{target}`", Label::Quiet.paint("x"))?;
        if !needed_by.is_empty() {
            let names: Vec<String> = needed_by.iter().map(ToString::to_string).collect();
            let text = format!("still managed, and made of it: {}", names.join(", "));
            writeln!(out, "    {}", Label::Warning.paint(text))?;
        }
    }
    let text = format!("{} to forget. No target is written.", count(chosen.len(), "resource"));
    writeln!(out, "{}", Label::Heading.paint(text))
}

fn write_forgotten(out: &mut Page<'_>, forgotten: &Forgotten) -> io::Result<()> {
    let Forgotten { run, resources, changed } = forgotten;
    for address in changed {
        writeln!(out, "{}: its record changed meanwhile", Label::Warning.paint(format!("Left alone: {address}")))?;
    }
    let text = format!("Forgotten: {}. Run {run}.", words::count(*resources, "resource"));
    writeln!(out, "{}", Label::Heading.paint(text))
}
