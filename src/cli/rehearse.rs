//! `tenantry plan --rehearse`: a plan against what was last recorded, played through in the sandbox.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::apply::interrupted;
use super::arguments::{self, Global};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use super::{plan, report, system};
use tenantry_core::model::address::Owner;
use tenantry_core::plan::Plan;
use tenantry_engine::request::{Event, Progress, Request};
use tenantry_engine::{apply, rehearsal};
use tenantry_render::words;
use tenantry_secret::contract::SecretStore;
use tenantry_store::contract::{RunOutcome, Store};

/// A folder that is gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("tenantry-rehearsal-{:016x}", rand::random::<u64>()));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt as _;
            builder.mode(0o700);
        }
        builder.create(&path).map_err(|error| Failure::io(format!("creating {}", path.display()), &error))?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nobody but the user may read it: a rest that cannot be removed is for the system to clear away.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub async fn run(
    global: &Global,
    command: &arguments::Plan,
    session: Session,
    output: &Output,
) -> Result<Exit, Failure> {
    tokio::select! {
        done = rehearse(global, command, session, output) => done,
        // The records in its folder are personal, and must not be left behind.
        true = interrupted() => Err(Failure::new(Exit::Error, "interrupted; nothing was changed")),
    }
}

async fn rehearse(
    global: &Global,
    command: &arguments::Plan,
    mut session: Session,
    output: &Output,
) -> Result<Exit, Failure> {
    let (narrowing, is_asked_for) = plan::asked_for(global, command, &session, output)?;
    let records = session.store().await?.export().await?;
    let folder = Folder::new()?;
    session.simulate_in(folder.path());
    let (store, secrets) = (session.store().await?, session.secrets()?);
    store.import(&records).await?;
    let actor = system::actor();
    rehearsal::begin(&session.targets(), &*store, &*secrets, &actor, system::now()).await?;
    output.note(&format!(
        "Rehearsed in a sandbox that begins with {} on record; no target was asked, so drift does not show.",
        words::count(records.resources(), "resource")
    ));

    let asked_for = || (narrowing.clone(), &is_asked_for as &(dyn Fn(&Owner) -> bool + Sync));
    let made = plan::make_for(&session, &*store, Some(&*secrets), asked_for(), true, output).await?;
    let look = plan::Look { expand: command.expand, paged: true };
    plan::show(&made, &session.catalogue, session.folder(), look, output)?;
    if made.is_refused() || made.is_empty() {
        return Ok(plan::exit_of(&made, command));
    }
    let rehearsed = play(&session, &*store, &*secrets, &made).await?;
    if rehearsed.outcome() != RunOutcome::Done {
        output.stderr(|page| report::write(page, &rehearsed, &made));
        output.note("The rehearsal did not come to its end; an apply would not either.");
        return Ok(Exit::Partly);
    }
    let again = plan::make_for(&session, &*store, Some(&*secrets), asked_for(), true, output).await?;
    if !again.is_empty() {
        output.note(&format!(
            "The rehearsal was carried out, but a second plan still finds {}; an apply would have to be repeated.",
            words::count(again.changes.len(), "change")
        ));
        return Ok(Exit::Partly);
    }
    output.note(&format!(
        "The rehearsal carried out {}, and a second plan finds nothing to do.",
        words::count(made.changes.len(), "change")
    ));
    Ok(plan::exit_of(&made, command))
}

/// The report says it all.
struct Silent;

impl Progress for Silent {
    fn event(&self, _: &Event<'_>) {}
}

/// Applies a plan in the sandbox.
async fn play(
    session: &Session,
    store: &dyn Store,
    secrets: &dyn SecretStore,
    made: &Plan,
) -> Result<tenantry_engine::outcome::Report, Failure> {
    let targets = session.targets();
    let actor = system::actor();
    let request = Request {
        plan: made,
        targets: &targets,
        store,
        secrets,
        holder: system::holder(&actor),
        actor,
        now: session.now,
        clock: &system::now,
        cancel: CancellationToken::new(),
        progress: &Silent,
    };
    Ok(apply::apply(&request).await?)
}
