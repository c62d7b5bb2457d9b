//! Waiting for the locks of another run, and taking over those of a run that has ended.

use std::time::{Duration, Instant};

use tenantry_engine::EngineError;
use tenantry_engine::apply::apply;
use tenantry_engine::outcome::Report;
use tenantry_engine::request::Request;
use tenantry_store::contract::{Lock, Store, StoreError, Unlock};

use super::arguments::Global;
use super::error::{Exit, Failure};
use super::output::Output;
use super::system;

/// The pause between two attempts to take a lock.
const PAUSE: Duration = Duration::from_millis(500);

/// After this time the message about the wait is repeated.
const REMINDER: Duration = Duration::from_secs(30);

/// Applies once the locks are free, within `patience`.
pub async fn apply_when_free(
    request: &Request<'_>,
    patience: Duration,
    global: &Global,
    output: &Output,
) -> Result<Report, Failure> {
    let begun = Instant::now();
    let mut told: Option<(Lock, Instant)> = None;
    loop {
        let lock = match apply(request).await {
            Err(EngineError::Store(StoreError::Locked(lock))) => *lock,
            other => return Ok(other?),
        };
        if lock.process.as_ref().is_some_and(system::has_ended) {
            take_away(request.store, &lock, &request.actor, output).await?;
            continue;
        }
        if begun.elapsed() >= patience || request.cancel.is_cancelled() {
            return Err(refused(lock, global));
        }
        let is_known = |(known, since): &(Lock, Instant)| known.holder == lock.holder && since.elapsed() < REMINDER;
        if !told.as_ref().is_some_and(is_known) {
            output.say(&format!(
                "Waiting for the lock of {}, held by {} until {}.",
                lock.owner, lock.holder, lock.expires
            ));
            told = Some((lock, Instant::now()));
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE.min(patience.saturating_sub(begun.elapsed()))) => {}
            () = request.cancel.cancelled() => {}
        }
    }
}

/// Removes all locks of a process that has ended, and only its own: other runs may take locks at the same moment.
async fn take_away(store: &dyn Store, lock: &Lock, actor: &str, output: &Output) -> Result<(), Failure> {
    let at = system::now();
    let held = store.locks(at).await?.into_iter().filter(|other| other.holder == lock.holder);
    let owners: Vec<_> = held.map(|other| other.owner).collect();
    let removed = store.unlock(&Unlock { owners: &owners, holder: Some(&lock.holder), at, actor }).await?;
    if !removed.is_empty() {
        output
            .note(&format!("The run of {} ended without releasing its locks; this run takes them over.", lock.holder));
    }
    Ok(())
}

fn refused(lock: Lock, global: &Global) -> Failure {
    let unlock = global.invocation(&format!("unlock {} --force", lock.owner));
    let error = StoreError::Locked(Box::new(lock));
    Failure::new(Exit::Stale, error.to_string()).help(format!(
        "wait for the other run with `--lock-timeout 10m`; if it died, its locks expire by themselves; `{unlock}` removes them at once"
    ))
}
