//! `tenantry plan`: what apply would do.

use std::io::BufWriter;
use std::path::Path;

use super::arguments::{self, Global, Selection};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use tenantry_core::desired::sql_fields;
use tenantry_core::model::kind::Catalogue;
use tenantry_core::model::value::push_token;
use tenantry_core::plan::{Plan, json};
use tenantry_render::plan::View;
use tenantry_secret::contract::SecretStore;
use tenantry_store::OpenMode;
use tenantry_store::contract::Store;

pub async fn run(global: &Global, command: &arguments::Plan, output: &Output) -> Result<Exit, Failure> {
    let session = Session::open(global, OpenMode::ReadOnly, output)?;
    session.tell_simulated(output);
    let store = session.store().await?;
    let secrets = session.secrets()?;
    let plan = make(&session, &*store, &*secrets, &command.selection, output).await?;
    show(&plan, &session.catalogue, output)?;
    if let Some(file) = &command.out {
        save(&plan, file)?;
        output.note(&format!("saved to {}; apply it with `tenantry apply {}`", file.display(), file.display()));
    }
    Ok(match exit(&plan) {
        Exit::Done if command.detailed_exitcode && !plan.is_empty() => Exit::Changes,
        exit => exit,
    })
}

/// Makes a plan, or says what is wrong with the estate.
pub async fn make(
    session: &Session,
    store: &dyn Store,
    secrets: &dyn SecretStore,
    selection: &Selection,
    output: &Output,
) -> Result<Plan, Failure> {
    let targets = session.targets();
    let selected = session.selected(selection)?;
    let outcome = tenantry_engine::plan::plan(&tenantry_engine::plan::Request {
        estate: &session.estate,
        targets: &targets,
        store,
        secrets,
        now: session.now,
        selected: &selected,
        threads: session.threads,
    })
    .await?;
    match outcome.plan {
        Some(plan) => {
            output.diagnostics(&outcome.diagnostics, &session.files);
            Ok(plan)
        }
        None => Err(Failure::diagnostics(outcome.diagnostics, session.files.clone())),
    }
}

/// Writes a plan to stdout. Sensitive values are shown only on a terminal.
pub fn show(plan: &Plan, catalogue: &Catalogue, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&json::Written::masked(plan));
    }
    let reveal = output.is_seen_only();
    let sql = |kind: &str| {
        let fields = catalogue.get(kind).map(|kind| sql_fields(kind)).unwrap_or_default();
        // What is below a list has no pointer that counts for all.
        let pointers = fields.into_iter().filter_map(|(path, _)| {
            path.into_iter().try_fold(String::new(), |mut pointer, token| {
                push_token(&mut pointer, token?.as_ref());
                Some(pointer)
            })
        });
        pointers.collect()
    };
    output.data(|out| tenantry_render::plan::write(out, plan, View { reveal, sql: &sql }))
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
