//! `tenantry apply`: plan, ask, write, verify.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::arguments::{self, Global};
use super::error::{Exit, Failure};
use super::output::{Output, Stderr, is_watched};
use super::progress::{JsonLines, Live, Plain};
use super::session::Session;
use super::{lock, plan, report, system};
use tenantry_core::outcome::Outcome;
use tenantry_core::plan::Plan;
use tenantry_core::plan::json::Written;
use tenantry_engine::outcome::Report;
use tenantry_engine::request::{Progress, Request};
use tenantry_engine::systems;
use tenantry_render::words;
use tenantry_store::OpenMode;
use tenantry_store::contract::{RunOutcome, Store};

/// How long a store may take to release the locks of a run that is stopped at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// The plan, as the first of the events.
#[derive(serde::Serialize)]
struct Planned<'p> {
    event: &'static str,
    plan: Written<'p>,
}

pub async fn run(global: &Global, command: &arguments::Apply, output: &Output) -> Result<Exit, Failure> {
    if command.file.is_some() && (!command.selection.tenant.is_empty() || command.selection.tier.is_some()) {
        return Err(Failure::new(Exit::Usage, "a saved plan cannot be applied for some tenants only")
            .help("choose tenants when you make the plan: `tenantry plan --tenant … --out FILE`"));
    }
    if command.file.is_some() && (command.rollout.waves.is_some() || command.rollout.no_waves) {
        return Err(Failure::new(Exit::Usage, "a saved plan has its waves already")
            .help("choose them when you make the plan: `tenantry plan --waves --out FILE`"));
    }
    let asks = !command.auto_approve && command.file.is_none();
    // Nothing is opened for writing before it is sure that something is to be written.
    let mut session = Session::open(global, OpenMode::ReadOnly, output)?;
    session.tell_simulated(output);
    session.roll_out(&command.rollout)?;
    if let Some(parallelism) = command.parallelism {
        session.environment.limits.parallelism = parallelism.into();
    }
    let (made, seen_first) = match &command.file {
        Some(file) => (plan::read(file)?, BTreeMap::new()),
        None => {
            let (store, secrets) = (session.store().await?, session.secrets()?);
            let made = plan::make(&session, &*store, &*secrets, &command.selection, true, output).await?;
            let seen_first = systems::seen_first(&made, &*store).await?;
            (made, seen_first)
        }
    };
    if output.is_json() {
        output.json_line(&Planned { event: "planned", plan: Written::masked(&made) })?;
    } else {
        plan::show(&made, &session.catalogue, session.folder(), plan::Look::default(), output)?;
    }
    if made.is_refused() {
        return Err(Failure::new(Exit::Refused, "a guard refuses the plan; nothing was written")
            .help("each `refused` above says how to lift it"));
    }
    if made.is_empty() {
        // Everything is as it should be there, so these are the systems that are meant.
        if !seen_first.is_empty() && made.blocked.is_empty() {
            session.open_for_writing();
            systems::accept(&*session.store().await?, seen_first, &system::actor(), system::now(), None).await?;
        }
        output.note(&match made.blocked.len() {
            0 => "Nothing to apply.".to_owned(),
            blocked => format!("Nothing to apply: {} blocked.", words::is_are(blocked, "resource")),
        });
        return Ok(plan::exit(&made));
    }
    if asks && !confirmed(&made, output)? {
        return Err(Failure::new(Exit::Error, "not approved; nothing was written"));
    }
    session.open_for_writing();
    let (store, secrets): (Arc<dyn Store>, _) = (session.store().await?.into(), session.secrets()?);
    let actor = system::actor();
    let holder = system::holder(&actor);
    let cancel = CancellationToken::new();
    let interrupts = tokio::spawn(listen(cancel.clone(), store.clone(), holder.name.clone()));
    let progress: Box<dyn Progress + '_> = if output.is_json() {
        Box::new(JsonLines(output))
    } else if output.is_quiet() {
        Box::new(Plain::quiet())
    } else if is_watched() && !output.is_verbose() {
        // The log would be written across the bar.
        Box::new(Live::new(made.changes.len()))
    } else {
        Box::new(Plain::new())
    };
    let targets = session.targets();
    let request = Request {
        plan: &made,
        targets: &targets,
        store: &*store,
        secrets: &*secrets,
        holder,
        actor,
        // A rehearsed day revives no Approval that has expired.
        now: if made.simulated { session.now } else { session.now.max(system::now()) },
        clock: &system::now,
        cancel,
        progress: &*progress,
    };
    let applied = lock::apply_when_free(&request, command.lock_timeout, global, output).await;
    interrupts.abort();
    drop(progress);
    let applied = applied?;
    if !output.is_json() {
        output.data(|out| report::write(out, &applied, &made))?;
        output.took("Applied");
    }
    Ok(exit(&applied, &made))
}

fn exit(report: &Report, plan: &Plan) -> Exit {
    let stale = report.outcomes.values().any(|(_, outcome)| matches!(outcome, Outcome::Stale(_)));
    let failed = report
        .outcomes
        .values()
        .any(|(_, outcome)| matches!(outcome, Outcome::Failed(_) | Outcome::Wrong(_) | Outcome::HalfDone(_)));
    match report.outcome() {
        RunOutcome::Done => plan::exit(plan),
        RunOutcome::Failed | RunOutcome::Partly if stale && !failed => Exit::Stale,
        RunOutcome::Failed | RunOutcome::Partly | RunOutcome::Interrupted => Exit::Partly,
    }
}

/// Asks for approval. Fails without a terminal.
fn confirmed(plan: &Plan, output: &Output) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, "there is no terminal to ask for approval; nothing was written").help(
            "use `--auto-approve`, or apply a saved plan: `tenantry plan --out FILE`, then `tenantry apply FILE`",
        ));
    }
    let destroys = plan.changes.iter().filter(|change| change.action().destroys()).count();
    if destroys > 0 {
        output.say(
            &tenantry_render::style::Label::Error
                .paint(format!("{} will be destroyed.", words::count(destroys, "resource"))),
        );
    }
    output.ask("Apply this plan? Only `yes` applies it: ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Failure::io("reading the answer", &error))?;
    Ok(answer.trim() == "yes")
}

/// First Ctrl-C: finish the current writes. Second: stop now; the journal has what was begun.
async fn listen(cancel: CancellationToken, store: Arc<dyn Store>, holder: Arc<str>) {
    let mut interrupts = 0;
    loop {
        if !interrupted().await {
            return;
        }
        interrupts += 1;
        if interrupts == 1 {
            cancel.cancel();
            Stderr::line("Stopping when the current writes have ended; press Ctrl-C again to stop now.");
        } else {
            // The next run need not wait for the end of the lease. What is still in flight finds its lock gone and does not
            // become true, where its target lets us ask.
            let _ = tokio::time::timeout(PATIENCE, store.release(&holder)).await;
            Stderr::line("Stopped. Run apply again to continue.");
            std::process::exit(Exit::Partly as i32);
        }
    }
}

/// Waits for Ctrl-C or a termination signal, which CI systems send first.
pub async fn interrupted() -> bool {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return tokio::signal::ctrl_c().await.is_ok() };
        tokio::select! {
            result = tokio::signal::ctrl_c() => result.is_ok(),
            _ = terminate.recv() => true,
        }
    }
    #[cfg(not(unix))]
    {
        tokio::signal::ctrl_c().await.is_ok()
    }
}
