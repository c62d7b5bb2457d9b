//! `tenantry drift`: what was changed outside.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::accept;
use super::arguments::{self, Format, Global};
use super::change::Place;
use super::error::{Exit, Failure};
#[cfg(feature = "notify")]
use super::notice;
use super::output::Output;
use super::plan;
use super::session::Session;
use super::system;
use tenantry_core::diagnostics::nearest;
use tenantry_core::drift::{self, Drift, Drifted, json};
use tenantry_core::lifecycle::{self, TenantRecords};
use tenantry_core::model::address::Owner;
use tenantry_core::model::document::Phase;
use tenantry_core::plan::{Plan, Work};
use tenantry_render::drift::view::DriftView;
use tenantry_render::drift::{junit, markdown, metrics, text};
use tenantry_render::plan::html;
use tenantry_render::plan::view::PlanView;
use tenantry_store::OpenMode;
use tenantry_store::contract::JournalEvent;

pub async fn run(global: &Global, command: &arguments::Drift, output: &Output) -> Result<Exit, Failure> {
    let begin = system::now();
    if !command.accept.is_empty() {
        // From the branch that it is written to, if there is one: what that asks for is what is to become what is there.
        let place = Place::of(global, &command.into)?;
        let session = place.open(output)?;
        return accepted(command, &place, &session, output).await;
    }
    if command.into.branch.is_some() || command.into.commit {
        return Err(Failure::new(Exit::Usage, "`--branch` and `--commit` are for what `--accept` writes")
            .help("name what to accept with `--accept ADDRESS`"));
    }
    let mode = if command.notifies() { OpenMode::ReadWrite } else { OpenMode::ReadOnly };
    let session = Session::open(global, mode, output)?;
    session.tell_simulated(output);
    let store = session.store().await?;
    let secrets = session.secrets()?;
    let plan = plan::make(&session, &*store, &*secrets, &command.selection, false, output).await?;
    check_rules(&session)?;
    let drift = drift::of(&plan, &session.environment.drift.ignore, session.now);
    tell_expired(&drift, output);
    show(&plan, &drift, &session, output)?;
    let end = system::now();
    let seconds = end.duration_since(begin).as_secs_f64();
    if let Some(path) = &command.junit {
        let selected = session.selected(&command.selection)?;
        let owners: Vec<Owner> = owners(&session).filter(|owner| selected(owner)).collect();
        save(path, &junit::report(&DriftView::new(&drift, false), &owners, seconds))?;
    }
    if let Some(path) = &command.metrics {
        let run = metrics::Run {
            at: seconds_of(end),
            seconds,
            tenants: &tenants(&session, &store.tenants().await?),
            applied: store.last(JournalEvent::RunEnded).await?.map(|entry| seconds_of(entry.at)),
        };
        save(path, &metrics::file(&drift, &run))?;
    }
    #[cfg(feature = "notify")]
    if command.notify {
        notice::send(&session, &*store, &drift, output).await?;
    }
    Ok(exit(&drift))
}

/// Writes drift to stdout. Sensitive values are shown only on a terminal.
fn show(plan: &Plan, drift: &Drift<'_>, session: &Session, output: &Output) -> Result<(), Failure> {
    let view = |reveal| DriftView::new(drift, reveal);
    match output.format() {
        Format::Json => output.json(&json::document(drift)),
        Format::Human => output.data(|out| text::write(out, &view(output.is_seen_only()))),
        Format::Markdown => output.document(&markdown::report(&view(false))),
        Format::Html => {
            let drifted = restoring(plan, drift);
            let DriftView { title, counts, .. } = view(false);
            output.document(&html::page(&PlanView {
                title,
                counts,
                ..plan::view(&drifted, &session.catalogue, plan::Seen { contents: true, ..plan::Seen::default() })
            }))
        }
        Format::Github | Format::Sarif | Format::Junit => unreachable!("drift does not have these formats"),
    }
}

/// A rule for a kind that does not exist would leave nothing out, and nobody would know.
fn check_rules(session: &Session) -> Result<(), Failure> {
    for rule in &session.environment.drift.ignore {
        let Some(kind) = rule.kind.as_deref().filter(|kind| session.catalogue.get(kind).is_none()) else { continue };
        let message = format!("a rule in [[drift.ignore]] names the kind `{kind}`, which does not exist");
        let known = session.catalogue.iter().map(|kind| kind.name);
        return Err(Failure::new(Exit::Error, message).help(match nearest(kind, known) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "`tenantry schema` lists the kinds".to_owned(),
        }));
    }
    Ok(())
}

/// The part of a plan that would restore what drifted, and nothing else of it.
fn restoring(plan: &Plan, drift: &Drift<'_>) -> Plan {
    let change = |drifted: &Drifted<'_>| {
        let mut change = drifted.change.clone();
        if let Work::Update { fields, .. } | Work::Replace { fields, .. } | Work::Adopt { fields, .. } =
            &mut change.work
        {
            *fields = drifted.fields.iter().map(|field| (*field).clone()).collect();
        }
        change
    };
    Plan {
        changes: drift.drifted.iter().map(change).collect(),
        findings: drift.findings.iter().map(|finding| (*finding).clone()).collect(),
        transitions: Vec::new(),
        ..plan.clone()
    }
}

/// Writes what is there into the documents of a place.
async fn accepted(
    command: &arguments::Drift,
    place: &Place,
    session: &Session,
    output: &Output,
) -> Result<Exit, Failure> {
    session.tell_simulated(output);
    let store = session.store().await?;
    let secrets = session.secrets()?;
    let plan = plan::make(session, &*store, &*secrets, &command.selection, false, output).await?;
    check_rules(session)?;
    let drift = drift::of(&plan, &session.environment.drift.ignore, session.now);
    tell_expired(&drift, output);
    accept::run(place, &command.accept, session, &*store, &drift, output).await
}

fn tell_expired(drift: &Drift<'_>, output: &Output) {
    for rule in &drift.expired {
        let text = format!(
            "The rule of {} for `{}` expired after {} and no longer counts: {}",
            rule.owner, rule.field, rule.expires, rule.reason
        );
        output.say(&text);
    }
}

/// Drift, pending changes and unfinished runs are told apart: only drift and what could not be judged is worth an alarm.
fn exit(drift: &Drift<'_>) -> Exit {
    if drift.findings.iter().any(|finding| finding.refuses) {
        Exit::Refused
    } else if !drift.unknown.is_empty() || !drift.blocked.is_empty() {
        Exit::Partly
    } else if !drift.drifted.is_empty() {
        Exit::Changes
    } else {
        Exit::Done
    }
}

fn owners(session: &Session) -> impl Iterator<Item = Owner> {
    let estate = &session.estate;
    let tiers = estate.tiers.iter().map(|tier| Owner::Tier(tier.metadata.name.shared()));
    let tenants = estate.tenants.iter().map(|tenant| Owner::Tenant(tenant.metadata.name.shared()));
    std::iter::once(Owner::Estate).chain(tiers).chain(tenants)
}

/// The number of tenants by tier and phase.
fn tenants(session: &Session, records: &TenantRecords) -> BTreeMap<(String, Phase), usize> {
    let lives = lifecycle::lives(&session.estate, session.times(records));
    let mut tenants = BTreeMap::new();
    for tenant in &session.estate.tenants {
        let life = lives.get(tenant.metadata.name.as_str());
        let phase = life.map_or(tenant.spec.phase, |life| life.phase);
        *tenants.entry((tenant.spec.tier.to_string(), phase)).or_default() += 1;
    }
    tenants
}

fn seconds_of(time: Timestamp) -> f64 {
    time.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64()
}

/// Replaces a file as a whole: whoever collects it never reads half of one.
fn save(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::io(format!("writing {}", path.display()), &error);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    std::fs::write(&new, text).map_err(failed)?;
    std::fs::rename(&new, path).map_err(failed)
}
