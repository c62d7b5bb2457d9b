//! `tenantry unlock`: removes the locks of a run that died.

use std::io::{BufRead as _, IsTerminal as _};

use super::arguments::{self, Global};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use super::system;
use tenantry_core::model::address::Owner;
use tenantry_render::words::count;
use tenantry_store::OpenMode;
use tenantry_store::contract::Lock;

pub async fn run(global: &Global, command: &arguments::Unlock, output: &Output) -> Result<Exit, Failure> {
    let session = Session::open(global, OpenMode::ReadWrite, output)?;
    let store = session.store().await?;
    let named: Vec<Owner> = command.owners.iter().map(|owner| Owner::from(owner.as_str())).collect();
    let held: Vec<Lock> = (store.locks(system::now()).await?.into_iter())
        .filter(|lock| named.is_empty() || named.contains(&lock.owner))
        .collect();
    if held.is_empty() {
        output.note("Nothing is locked.");
        return Ok(Exit::Done);
    }
    for lock in &held {
        output.say(&format!("{} is locked by {} until {}", lock.owner, lock.holder, lock.expires));
    }
    if !command.force {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::new(Exit::Usage, "there is no terminal to ask; nothing was unlocked")
                .help("write `--force` if the run is surely dead"));
        }
        output.say("A run that is still alive would stop at its next step. Unlock? Only `yes` is taken for it:");
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).map_err(|error| Failure::io("reading the answer", &error))?;
        if answer.trim() != "yes" {
            return Err(Failure::new(Exit::Error, "nothing was unlocked"));
        }
    }
    let owners: Vec<Owner> = held.into_iter().map(|lock| lock.owner).collect();
    let removed = store.unlock(&owners, system::now(), &system::actor()).await?;
    if output.is_json() {
        output.json(&removed)?;
    } else {
        let text = format!("{} removed", count(removed.len(), "lock"));
        output.data(|out| writeln!(out, "{text}"))?;
    }
    Ok(Exit::Done)
}
