//! `tenantry drift --accept`: what is there becomes what the repository asks for, where one document decides about it.
//!
//! A value is only written where that changes this resource and no other tenant's: into the tenant's own document, or into a blueprint
//! that only the estate is made of. Of everything else the line to edit is named. Nothing sensitive is ever written.

use std::collections::BTreeMap;

use serde_json::json;

use super::change::{self, Edits, Place};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use tenantry_core::desired::{Provenance, Written as Source};
use tenantry_core::diagnostics::{FileId, Origin, SourceFiles};
use tenantry_core::drift::{Drift, Drifted, State};
use tenantry_core::model::address::{Address, Owner};
use tenantry_core::model::value::{Value, readable_pointer};
use tenantry_core::plan::{Change, FieldChange, sensitive};
use tenantry_engine::plan::Recorded;
use tenantry_render::words::count;
use tenantry_source::commit::Branch;
use tenantry_source::edit;
use tenantry_store::contract::Store;

/// A value that is written.
struct Accepted<'p> {
    address: &'p Address,
    field: &'p FieldChange,
    file: FileId,
    start: u32,
    change: edit::Change,
}

/// What a person has to decide.
struct Left<'p> {
    address: &'p Address,
    /// Empty for the resource as a whole.
    field: String,
    why: String,
    /// The line to edit: file and line.
    place: Option<(String, usize)>,
}

pub async fn run(
    place: &Place,
    addresses: &[String],
    session: &Session,
    store: &dyn Store,
    drift: &Drift<'_>,
    output: &Output,
) -> Result<Exit, Failure> {
    let recorded = Recorded::of(store).await?;
    let chosen = chosen(addresses, drift)?;
    let (accepted, mut left) = look(session, &recorded, |all| decide(all, session, &chosen))?;
    let mut edits = Edits::default();
    let mut documents: BTreeMap<(FileId, u32), Vec<edit::Change>> = BTreeMap::new();
    for accepted in &accepted {
        let changes = documents.entry((accepted.file, accepted.start)).or_default();
        // Several fields may take their value from the same place.
        if !changes.contains(&accepted.change) {
            changes.push(accepted.change.clone());
        }
    }
    // From the last document of a file to its first: the places of the others stay.
    for ((file, start), changes) in documents.iter().rev() {
        edits.edit(&session.estate, *file, *start, changes)?;
    }
    let mut commit = None;
    if !edits.is_empty() {
        let after = place.check(&edits, output)?;
        prove(&after, &recorded, &accepted)?;
        commit = place.write(&edits, &message(&accepted), session)?;
    }
    left.sort_by(|a, b| (a.address, &a.field).cmp(&(b.address, &b.field)));
    let written = Written { edits: &edits, branch: place.branch().map(Branch::name), commit: commit.as_deref() };
    show(&accepted, &left, &written, &session.files, output)?;
    Ok(match (accepted.is_empty(), left.is_empty()) {
        (_, true) => Exit::Done,
        (false, false) => Exit::Partly,
        (true, false) => Exit::Error,
    })
}

/// What was written, and where.
struct Written<'w> {
    edits: &'w Edits,
    branch: Option<&'w str>,
    commit: Option<&'w str>,
}

/// The message of a commit: the fields, and not their values.
fn message(accepted: &[Accepted<'_>]) -> String {
    let fields = accepted
        .iter()
        .map(|Accepted { address, field, .. }| format!("- {address}.{}\n", readable_pointer(&field.path)));
    format!("Accept what was changed outside\n\n{}", fields.collect::<String>())
}

/// The drifted resources that are to be accepted.
fn chosen<'p, 'd>(addresses: &[String], drift: &'d Drift<'p>) -> Result<Vec<&'d Drifted<'p>>, Failure> {
    let find = |asked: &String| {
        let known: Vec<String> = drift.drifted.iter().map(|drifted| drifted.change.address.to_string()).collect();
        drift.drifted.iter().find(|drifted| drifted.change.address.to_string() == *asked).ok_or_else(|| {
            let message = format!("`{asked}` has not drifted; nothing was written");
            Failure::unknown(
                message,
                asked,
                known.iter().map(String::as_str),
                "`tenantry drift` shows what has drifted",
            )
        })
    };
    addresses.iter().map(find).collect()
}

fn look<T>(session: &Session, recorded: &Recorded, look: impl FnOnce(&Provenance<'_, '_>) -> T) -> Result<T, Failure> {
    let (estate, targets) = (&session.estate, session.targets());
    tenantry_engine::plan::explain(estate, &targets, recorded, session.now, session.threads, look)
        .map_err(|diagnostics| Failure::diagnostics(diagnostics, session.files.clone()))
}

fn decide<'p>(
    all: &Provenance<'_, '_>,
    session: &Session,
    chosen: &[&Drifted<'p>],
) -> (Vec<Accepted<'p>>, Vec<Left<'p>>) {
    let (mut accepted, mut left) = (Vec::new(), Vec::new());
    for drifted in chosen {
        let change = drifted.change;
        let address = &change.address;
        if drifted.state == State::Deleted {
            let why = "somebody deleted it; to leave it so, no longer ask for it".to_owned();
            let place = all.origin(address, "").map(|origin| line(&session.files, origin));
            left.push(Left { address, field: String::new(), why, place });
        }
        for field in &drifted.fields {
            match decide_field(all, session, change, field) {
                Ok((file, start, change)) => accepted.push(Accepted { address, field, file, start, change }),
                Err((why, place)) => {
                    let place = place.map(|origin| line(&session.files, origin));
                    left.push(Left { address, field: readable_pointer(&field.path), why, place });
                }
            }
        }
    }
    (accepted, left)
}

/// The document and the change of it, or why there is none, and the line to edit instead.
fn decide_field(
    all: &Provenance<'_, '_>,
    session: &Session,
    change: &Change,
    field: &FieldChange,
) -> Result<(FileId, u32, edit::Change), (String, Option<Origin>)> {
    let estate = &session.estate;
    let (address, to) = (&change.address, field.before.clone());
    if sensitive::covers(&change.sensitive, &field.path) {
        return Err((
            "it is sensitive, and never written into the repository".to_owned(),
            all.origin(address, &field.path),
        ));
    }
    let declared = || all.origin(address, "");
    match all.written(address, &field.path) {
        Some(Source::Tenant { pointer, origin }) => {
            let Owner::Tenant(name) = &address.owner else {
                return Err(("it is not a tenant's".to_owned(), Some(origin)));
            };
            let tenant = change::tenant(estate, name).map_err(|failure| (failure.message, Some(origin)))?;
            let (file, start) = change::start(tenant);
            Ok((file, start, edit::Change { pointer, to }))
        }
        Some(Source::Blueprint { place: Some((document, pointer)), origin }) => {
            if has_expression(to.as_ref()) {
                return Err(("it has a text that would be read as an expression".to_owned(), Some(origin)));
            }
            Ok((document.file, document.span.start, edit::Change { pointer, to }))
        }
        Some(Source::Blueprint { place: None, origin }) => {
            Err(("the blueprint has it for everybody who is made of it".to_owned(), Some(origin)))
        }
        Some(Source::Tier { tier, tenants, pointer, origin }) => {
            let shared = format!("the tier {tier} has it for {}", count(tenants, "tenant"));
            let why = match (pointer, &address.owner) {
                (Some(pointer), Owner::Tenant(name)) => {
                    let field = readable_pointer(pointer.strip_prefix("/spec").unwrap_or(&pointer));
                    format!("{shared}; for this tenant alone: `tenantry edit {name} {field}=VALUE`")
                }
                _ => shared,
            };
            Err((why, Some(origin)))
        }
        Some(Source::Computed { origin, from }) => {
            Err(("an expression computes it".to_owned(), Some(from.unwrap_or(origin))))
        }
        Some(Source::Nowhere) => Err(("no document has it; it is a default, or part of a list".to_owned(), declared())),
        None => Err(("no document asks for it".to_owned(), declared())),
    }
}

fn has_expression(value: Option<&Value>) -> bool {
    let mut found = false;
    if let Some(value) = value {
        value.for_each_leaf(&mut |_, leaf| found |= leaf.as_str().is_some_and(|text| text.contains("${")));
    }
    found
}

/// Whether the estate asks, after the edit, for exactly what is there.
fn prove(after: &Session, recorded: &Recorded, accepted: &[Accepted<'_>]) -> Result<(), Failure> {
    let wrong = look(after, recorded, |all| {
        let wanted = |accepted: &&Accepted<'_>| {
            let desired = all.owners().iter().flat_map(|owner| &owner.resources);
            let desired = desired.into_iter().find(|desired| desired.address == *accepted.address);
            desired.and_then(|desired| desired.spec.value().pointer(&accepted.field.path).cloned())
        };
        let wrong = accepted.iter().find(|accepted| wanted(accepted) != accepted.field.before);
        wrong.map(|accepted| format!("{}.{}", accepted.address, readable_pointer(&accepted.field.path)))
    })?;
    match wrong {
        None => Ok(()),
        Some(field) => {
            Err(Failure::new(Exit::Error, format!("what is there cannot be written so that {field} becomes it"))
                .help("edit the document by hand; nothing was written"))
        }
    }
}

fn line(files: &SourceFiles, origin: Origin) -> (String, usize) {
    (files.get(origin.file).path.to_string(), files.line_column(origin).0)
}

fn show(
    accepted: &[Accepted<'_>],
    left: &[Left<'_>],
    written: &Written<'_>,
    files: &SourceFiles,
    output: &Output,
) -> Result<(), Failure> {
    let Written { edits, branch, commit } = *written;
    let branch = branch.filter(|_| commit.is_some());
    if output.is_json() {
        let accepted: Vec<_> = accepted
            .iter()
            .map(|accepted| json!({"address": accepted.address, "path": accepted.field.path, "file": files.get(accepted.file).path}))
            .collect();
        let left: Vec<_> = left
            .iter()
            .map(|left| {
                let place = left.place.as_ref().map(|(file, line)| json!({"file": file, "line": line}));
                json!({"address": left.address, "field": left.field, "reason": left.why, "place": place})
            })
            .collect();
        return output.json(&json!({"accepted": accepted, "left": left, "branch": branch, "commit": commit}));
    }
    output.data(|out| {
        edits.show(out, output.is_seen_only())?;
        for accepted in accepted {
            writeln!(out, "accepted: {}.{}", accepted.address, readable_pointer(&accepted.field.path))?;
        }
        for Left { address, field, why, place } in left {
            let dot = if field.is_empty() { "" } else { "." };
            let at = place.as_ref().map(|(file, line)| format!(" ({file}:{line})")).unwrap_or_default();
            writeln!(out, "left: {address}{dot}{field}: {why}{at}")?;
        }
        if let (Some(branch), Some(commit)) = (branch, commit) {
            writeln!(out, "committed as {} on the branch {branch}", commit.get(..10).unwrap_or(commit))?;
        }
        Ok(())
    })?;
    if !edits.is_empty() {
        output.note("`tenantry plan` shows what else the edit changes.");
    }
    Ok(())
}
