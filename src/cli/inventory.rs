//! `tenantry import --inventory`: rebuilds a lost store from the targets.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::Arc;

use serde::Serialize;
use tenantry_core::model::address::{Address, Owner};
use tenantry_core::model::document::Phase;
use tenantry_core::model::kind::readable_identity;
use tenantry_core::model::unknown::Unknown as Cause;
use tenantry_core::rebuild::{Rebuilt, State};
use tenantry_engine::rebuild::{Look, Recorded, Recorder, Request, look, record};
use tenantry_render::hindrance;
use tenantry_render::page::Page;
use tenantry_render::style::Label;
use tenantry_render::words::{count, is_are};
use tenantry_secret::contract::SecretStore;
use tenantry_store::OpenMode;
use tenantry_store::contract::Store;

use super::arguments::{Global, Import};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use super::system;

/// The most addresses that are named for one reason.
const NAMED: usize = 10;

pub async fn run(global: &Global, command: &Import, output: &Output) -> Result<Exit, Failure> {
    if !command.inventory {
        return Err(
            Failure::new(Exit::Usage, "the import has no source").help("`tenantry import --help` lists the sources")
        );
    }
    // Nothing is opened for writing before it is sure that something is to be written.
    let mut session = Session::open(global, OpenMode::ReadOnly, output)?;
    session.tell_simulated(output);
    let (store, secrets) = (session.store().await?, session.secrets()?);
    let found = looked(&session, &*store, &*secrets, output).await?;
    if output.is_json() {
        output.json_line(&shown(&found.rebuilt))?;
    } else {
        output.data(|out| write(out, &found.rebuilt))?;
    }
    check(&found.rebuilt, &*store)?;
    if found.rebuilt.is_empty() {
        output.note("Nothing to record.");
        return Ok(exit(&found.rebuilt, None));
    }
    if !command.auto_approve && !confirmed(output)? {
        return Err(Failure::new(Exit::Error, "not approved; nothing was recorded"));
    }
    drop(store);
    session.open_for_writing();
    let (store, secrets) = (session.store().await?, session.secrets()?);
    let targets = session.targets();
    let actor = system::actor();
    let holder = system::holder(&actor);
    let request = request(&session, &targets, &*store, &*secrets);
    let recorder = Recorder { actor, holder, revision: session.estate.revision.clone(), shown: &found };
    let recorded = record(&request, &recorder).await?;
    if output.is_json() {
        let Recorded { run, resources, changed } = &recorded;
        output.json_line(
            &serde_json::json!({"event": "recorded", "run": run, "resources": resources, "changed": changed}),
        )?;
    } else {
        output.data(|out| write_recorded(out, &recorded))?;
        output.note("Nothing was written to any target. `tenantry plan` shows what is left to do.");
    }
    Ok(exit(&found.rebuilt, Some(&recorded)))
}

fn request<'a>(
    session: &'a Session,
    targets: &'a tenantry_engine::targets::Targets<'a>,
    store: &'a dyn Store,
    secrets: &'a dyn SecretStore,
) -> Request<'a> {
    Request {
        estate: &session.estate,
        targets,
        store,
        secrets,
        now: session.now,
        threads: session.threads,
        clock: &system::now,
    }
}

async fn looked(
    session: &Session,
    store: &dyn Store,
    secrets: &dyn SecretStore,
    output: &Output,
) -> Result<Look, Failure> {
    let targets = session.targets();
    let outcome = look(&request(session, &targets, store, secrets)).await?;
    match outcome.found {
        Some(found) => {
            output.diagnostics(&outcome.diagnostics, &session.files);
            Ok(found)
        }
        None => Err(Failure::diagnostics(outcome.diagnostics, session.files.clone())),
    }
}

/// Refuses if the store has a different record: then it is not the store that was lost.
fn check(found: &Rebuilt, store: &dyn Store) -> Result<(), Failure> {
    if found.contradicted.is_empty() {
        return Ok(());
    }
    let number = found.contradicted.len();
    let message = format!(
        "the store at {} has different records for {}; nothing was recorded",
        store.location(),
        if number == 1 { "1 address".to_owned() } else { format!("{number} addresses") },
    );
    let details = found.contradicted.iter().take(NAMED).map(|(address, why)| format!("{address}: {why}"));
    Err(Failure::new(Exit::Error, message).details(details).help(
        "compare the records with `tenantry show ADDRESS`; if the store is right, correct the mark in the target",
    ))
}

fn exit(found: &Rebuilt, recorded: Option<&Recorded>) -> Exit {
    let is_whole = found.unknown.is_empty() && recorded.is_none_or(|recorded| recorded.changed.is_empty());
    if is_whole { Exit::Done } else { Exit::Partly }
}

/// Asks for approval. Fails without a terminal.
fn confirmed(output: &Output) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, "there is no terminal to ask for approval; nothing was recorded")
            .help("use `--auto-approve`"));
    }
    output.ask("Record this? From then on this estate manages these resources. Only `yes` records it: ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::io("reading the answer", &error))?;
    Ok(answer.trim() == "yes")
}

/// What was found, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    event: &'static str,
    records: Vec<Record<'a>>,
    phases: &'a BTreeMap<Arc<str>, Phase>,
    kept: usize,
    unmarked: &'a BTreeSet<Address>,
    left: BTreeMap<String, &'a str>,
    unfinished: &'a BTreeSet<Address>,
    contradicted: BTreeMap<String, &'a str>,
    unknown: Vec<Unknown<'a>>,
}

#[derive(Serialize)]
struct Record<'a> {
    address: &'a Address,
    kind: &'a str,
    target: &'a str,
    identity: &'a str,
    state: State,
}

#[derive(Serialize)]
struct Unknown<'a> {
    target: &'a str,
    reason: &'a Cause,
    addresses: &'a BTreeSet<Address>,
}

fn shown<'a>(found: &'a Rebuilt) -> Shown<'a> {
    let Rebuilt { records, kept, contradicted, unmarked, left, unfinished, unknown, phases } = found;
    let reasons = |why: &'a BTreeMap<Address, String>| {
        why.iter().map(|(address, why)| (address.to_string(), why.as_str())).collect()
    };
    Shown {
        event: "found",
        records: records
            .iter()
            .map(|found| Record {
                address: &found.applied.address,
                kind: &found.applied.kind,
                target: &found.applied.target,
                identity: &found.applied.identity,
                state: found.state,
            })
            .collect(),
        phases,
        kept: *kept,
        unmarked,
        left: reasons(left),
        unfinished,
        contradicted: reasons(contradicted),
        unknown: unknown.iter().map(|((target, reason), addresses)| Unknown { target, reason, addresses }).collect(),
    }
}

fn write(out: &mut Page<'_>, found: &Rebuilt) -> io::Result<()> {
    let mut owners: BTreeMap<&Owner, Vec<_>> = BTreeMap::new();
    for record in &found.records {
        owners.entry(&record.applied.address.owner).or_default().push(record);
    }
    for (owner, records) in owners {
        let phase = owner.tenant().and_then(|tenant| found.phases.get(tenant));
        let phase = phase.map(|phase| format!(", in phase `{}`", phase.as_str())).unwrap_or_default();
        writeln!(out, "{}: {} to record{phase}", Label::Heading.paint(owner), count(records.len(), "resource"))?;
        // What is as it should be is told by its number.
        for record in records {
            let (label, what) = match record.state {
                State::AsWanted => continue,
                State::Differs => (Label::Update, "differs from the repository; the next plan changes it"),
                State::NotWanted => (Label::Destroy, "not in the repository; the next plan deletes it"),
            };
            let applied = &record.applied;
            let identity = readable_identity(&applied.identity);
            writeln!(out, "  {} {} {} {identity}: {what}", label.paint("^"), applied.address, applied.kind)?;
        }
    }
    let named = |addresses: &BTreeSet<Address>| {
        let names: Vec<String> = addresses.iter().take(NAMED).map(ToString::to_string).collect();
        let more = addresses.len().saturating_sub(NAMED);
        if more == 0 { names.join(", ") } else { format!("{} and {more} more", names.join(", ")) }
    };
    if !found.unmarked.is_empty() {
        let exist = if found.unmarked.len() == 1 { "exists" } else { "exist" };
        let text = format!("{} {exist} without a mark", count(found.unmarked.len(), "resource"));
        writeln!(out, "{}: {}", Label::Warning.paint(format!("Left alone: {text}")), named(&found.unmarked))?;
    }
    for (address, why) in &found.left {
        writeln!(out, "{}: {why}", Label::Warning.paint(format!("Left alone: {address}")))?;
    }
    if !found.unfinished.is_empty() {
        let text =
            format!("{} begun and not finished; the next apply finishes it", is_are(found.unfinished.len(), "write"));
        writeln!(out, "{}: {}", Label::Warning.paint(format!("Left alone: {text}")), named(&found.unfinished))?;
    }
    for ((target, reason), addresses) in &found.unknown {
        let what = match addresses.is_empty() {
            true => "resources that are not in the repository".to_owned(),
            false => named(addresses),
        };
        let reason = hindrance::unknown(reason);
        writeln!(out, "{} in target `{target}`: {what}: {reason}", Label::Error.paint("Unknown"))?;
    }
    if found.kept > 0 {
        writeln!(out, "Already recorded: {}", count(found.kept, "resource"))?;
    }
    Ok(())
}

fn write_recorded(out: &mut Page<'_>, recorded: &Recorded) -> io::Result<()> {
    let Recorded { run, resources, changed } = recorded;
    for address in changed {
        writeln!(out, "{}: it changed meanwhile", Label::Warning.paint(format!("Left alone: {address}")))?;
    }
    writeln!(out, "{}", Label::Heading.paint(format!("Recorded: {}. Run {run}.", count(*resources, "resource"))))
}
