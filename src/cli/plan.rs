//! `tenantry plan`: what apply would do.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use super::arguments::{self, Format, Global, Selection};
use super::error::{Exit, Failure};
use super::output::Output;
use super::rehearse;
use super::session::Session;
use tenantry_core::changed::Changed;
use tenantry_core::desired::sql_fields;
use tenantry_core::model::address::Owner;
use tenantry_core::model::kind::Catalogue;
use tenantry_core::model::value::push_token;
use tenantry_core::plan::{Narrowing, Plan, json, waves};
use tenantry_render::issues::{self, github, sarif};
use tenantry_render::plan::view::{PlanView, View};
use tenantry_render::plan::{html, markdown, text};
use tenantry_render::words;
use tenantry_secret::contract::SecretStore;
use tenantry_store::OpenMode;
use tenantry_store::contract::Store;

pub async fn run(global: &Global, command: &arguments::Plan, output: &Output) -> Result<Exit, Failure> {
    let mut session = Session::open(global, OpenMode::ReadOnly, output)?;
    session.roll_out(&command.rollout)?;
    if command.rehearse {
        return rehearse::run(global, command, session, output).await;
    }
    session.tell_simulated(output);
    let store = session.store().await?;
    let secrets = session.secrets_at_hand()?;
    let (narrowing, is_asked_for) = asked_for(global, command, &session, output)?;
    let plan = make_for(&session, &*store, secrets.as_deref(), (narrowing, &is_asked_for), true, output).await?;
    show(&plan, &session.catalogue, session.folder(), Look { expand: command.expand, paged: true }, output)?;
    output.took("Planned");
    if let Some(file) = &command.out {
        save(&plan, file)?;
        output.note(&format!("saved to {}; apply it with `tenantry apply {}`", file.display(), file.display()));
    }
    Ok(exit_of(&plan, command))
}

/// The exit code for a plan that was asked for.
pub fn exit_of(plan: &Plan, command: &arguments::Plan) -> Exit {
    match exit(plan) {
        Exit::Done if command.detailed_exitcode && !plan.is_empty() => Exit::Changes,
        exit => exit,
    }
}

/// The owners that a plan is asked for, and how that is said.
///
/// # Errors
/// Those of [`Session::selected`], and if the revision to compare with does not exist.
pub fn asked_for(
    global: &Global,
    command: &arguments::Plan,
    session: &Session,
    output: &Output,
) -> Result<(Narrowing, impl Fn(&Owner) -> bool + Sync + use<>), Failure> {
    let touched = touched(global, command, session, output)?;
    let selected = session.selected(&command.selection)?;
    let narrowing = Narrowing {
        changed_since: command.changed_since.as_deref().filter(|_| touched.is_some()).map(Arc::from),
        ..narrowing(&command.selection)
    };
    let is_asked_for =
        move |owner: &Owner| selected(owner) && touched.as_ref().is_none_or(|touched| touched.contains(owner));
    Ok((narrowing, is_asked_for))
}

/// The owners that the changes since a revision can touch; nothing if that is not asked for, or if it can be everything.
fn touched(
    global: &Global,
    command: &arguments::Plan,
    session: &Session,
    output: &Output,
) -> Result<Option<BTreeSet<Owner>>, Failure> {
    let Some(rev) = &command.changed_since else { return Ok(None) };
    let (commit, before) = session.estate_before(global, rev)?;
    let at = commit.get(..12).unwrap_or(&commit);
    let Some(before) = before else {
        output.note(&format!("The estate does not exist at {at} or has errors there, so everything is planned."));
        return Ok(None);
    };
    let (after, now, threads) = (&session.estate, session.now, session.threads);
    match tenantry_engine::plan::changed(&before, after, &session.targets(), now, threads) {
        Ok(Changed::Owners(owners)) => {
            output.note(&format!("The changes since {at} can touch {}.", words::count(owners.len(), "owner")));
            Ok(Some(owners))
        }
        Ok(Changed::Everything) => {
            output.note(&format!("tenantry.toml is not as it was at {at}, so everything is planned."));
            Ok(None)
        }
        // Errors of the estate as it is now are shown when the plan is made.
        Err(_) => {
            output.note(&format!("The estate at {at} cannot be compared with this one, so everything is planned."));
            Ok(None)
        }
    }
}

/// Makes a plan, which is `to_apply` or only to be looked at, or says what is wrong with the estate.
pub async fn make(
    session: &Session,
    store: &dyn Store,
    secrets: &dyn SecretStore,
    selection: &Selection,
    to_apply: bool,
    output: &Output,
) -> Result<Plan, Failure> {
    let asked_for = session.selected(selection)?;
    make_for(session, store, Some(secrets), (narrowing(selection), &asked_for), to_apply, output).await
}

/// What a selection restricts a plan to.
fn narrowing(selection: &Selection) -> Narrowing {
    let Selection { tenant, tier } = selection;
    Narrowing {
        tenants: tenant.iter().map(|glob| Arc::from(&**glob)).collect(),
        tier: tier.as_deref().map(Arc::from),
        changed_since: None,
    }
}

/// [`make`] for some owners, and where need be without the secret store.
pub async fn make_for(
    session: &Session,
    store: &dyn Store,
    secrets: Option<&dyn SecretStore>,
    (narrowing, selected): (Narrowing, &(dyn Fn(&Owner) -> bool + Sync)),
    to_apply: bool,
    output: &Output,
) -> Result<Plan, Failure> {
    let targets = session.targets();
    let request = tenantry_engine::plan::Request {
        estate: &session.estate,
        targets: &targets,
        store,
        secrets,
        now: session.now,
        selected,
        threads: session.threads,
    };
    let outcome = match to_apply {
        true => tenantry_engine::plan::plan(&request).await?,
        false => tenantry_engine::plan::look(&request).await?,
    };
    match outcome.plan {
        Some(plan) => {
            output.diagnostics(&outcome.diagnostics, &session.files);
            let waves = match to_apply {
                true => waves::divide(&session.environment.rollout, &tiers(session), &plan),
                false => Vec::new(),
            };
            let narrowed = Some(narrowing).filter(|narrowing| *narrowing != Narrowing::default());
            Ok(Plan { narrowed, waves, ..plan })
        }
        None => Err(Failure::diagnostics(outcome.diagnostics, session.files.clone())),
    }
}

/// All tenants with their tiers.
fn tiers(session: &Session) -> BTreeMap<Arc<str>, Arc<str>> {
    let tenants = session.estate.tenants.iter();
    tenants.map(|tenant| (tenant.metadata.name.shared(), tenant.spec.tier.shared())).collect()
}

/// How a plan is shown.
#[derive(Clone, Copy, Default)]
pub struct Look {
    /// Each owner, even if others have the same changes.
    pub expand: bool,
    /// Through the pager, where nothing is asked afterwards.
    pub paged: bool,
}

/// Writes a plan of the estate in a folder to stdout. Sensitive values are shown only on a terminal.
pub fn show(plan: &Plan, catalogue: &Catalogue, estate: &Path, look: Look, output: &Output) -> Result<(), Failure> {
    let Look { expand, paged } = look;
    let view = |contents| self::view(plan, catalogue, Seen { reveal: output.is_seen_only(), contents, expand });
    match output.format() {
        Format::Json => output.json(&json::Written::masked(plan)),
        Format::Human if paged => output.paged(|out| text::write(out, &view(output.is_verbose()))),
        Format::Human => output.data(|out| text::write(out, &view(output.is_verbose()))),
        Format::Markdown => output.document(&markdown::comment(&view(true))),
        Format::Html => output.document(&html::page(&view(true))),
        Format::Github => output.document(&github::annotations(&issues::of_plan(plan, estate))),
        Format::Sarif => output.json(&sarif::log(&issues::of_plan(plan, estate), env!("CARGO_PKG_VERSION"))),
        Format::Junit => unreachable!("a plan does not have this format"),
    }
}

/// What is shown of a plan: see [`View`].
#[derive(Clone, Copy, Default)]
pub struct Seen {
    pub reveal: bool,
    pub contents: bool,
    pub expand: bool,
}

/// The content of a plan, for a renderer.
pub fn view<'p>(plan: &'p Plan, catalogue: &Catalogue, seen: Seen) -> PlanView<'p> {
    let Seen { reveal, contents, expand } = seen;
    let reviewed = |kind: &str| catalogue.get(kind).map(|kind| kind.reviewed).unwrap_or_default();
    let sql = |kind: &str| sql(catalogue, kind);
    PlanView::new(plan, View { reveal, expand, contents, reviewed: &reviewed, sql: &sql })
}

/// Pointers of the fields of a kind that are SQL.
fn sql(catalogue: &Catalogue, kind: &str) -> Vec<String> {
    let fields = catalogue.get(kind).map(|kind| sql_fields(kind)).unwrap_or_default();
    // What is below a list has no pointer that counts for all.
    let pointers = fields.into_iter().filter_map(|(path, _)| {
        path.into_iter().try_fold(String::new(), |mut pointer, token| {
            push_token(&mut pointer, token?.as_ref());
            Some(pointer)
        })
    });
    pointers.collect()
}

/// The exit code for a plan.
pub fn exit(plan: &Plan) -> Exit {
    if plan.is_refused() {
        Exit::Refused
    } else if !plan.blocked.is_empty() {
        Exit::Partly
    } else {
        Exit::Done
    }
}

/// Saves a plan. It contains sensitive values, so only the user may read the file.
fn save(plan: &Plan, path: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::io(format!("saving the plan to {}", path.display()), &error);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(failed)?;
    let mut writer = BufWriter::new(&mut file);
    tenantry_render::json::write_pretty(&mut writer, &json::Written::saved(plan)).map_err(failed)?;
    writer.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)
}

/// Reads a saved plan.
pub fn read(path: &Path) -> Result<Plan, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::io(format!("reading the plan {}", path.display()), &error))?;
    Ok(json::from_json(&text)?)
}
