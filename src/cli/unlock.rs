//! `tenantry unlock`: removes the locks of a run that died.

use std::io::{BufRead as _, IsTerminal as _};

use tenantry_core::model::address::Owner;
use tenantry_core::model::document::Estate;
use tenantry_render::words::count;
use tenantry_store::OpenMode;
use tenantry_store::contract::{Lock, Unlock};

use super::arguments::{self, Global};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::{OWNERS, Session};
use super::system;

pub async fn run(global: &Global, command: &arguments::Unlock, output: &Output) -> Result<Exit, Failure> {
    let session = Session::open(global, OpenMode::ReadWrite, output)?;
    let store = session.store().await?;
    let named: Vec<Owner> = command.owners.iter().map(|owner| Owner::from(owner.as_str())).collect();
    let all = store.locks(system::now()).await?;
    if let Some(unknown) = named.iter().find(|owner| !is_known(owner, &session.estate, &all)) {
        return Err(not_known(unknown, &session.estate, &all));
    }
    let held: Vec<Lock> = all.into_iter().filter(|lock| named.is_empty() || named.contains(&lock.owner)).collect();
    if held.is_empty() {
        output.note(&match named.as_slice() {
            [] => "Nothing is locked.".to_owned(),
            [owner] => format!("{owner} is not locked."),
            owners => format!("None of the {} owners is locked.", owners.len()),
        });
        return Ok(Exit::Done);
    }
    for lock in &held {
        let process = match lock.process.as_ref().is_some_and(system::has_ended) {
            true => ", whose process has ended",
            false => "",
        };
        output.say(&format!("{} is locked by {}{process}, until {}", lock.owner, lock.holder, lock.expires));
    }
    if !command.force {
        if !std::io::stdin().is_terminal() {
            let owners = command.owners.iter().map(|owner| format!(" {owner}")).collect::<String>();
            let force = global.invocation(&format!("unlock{owners} --force"));
            return Err(Failure::new(Exit::Usage, "there is no terminal to ask for approval; nothing was unlocked")
                .help(format!("if you are sure that the run is dead, use `{force}`")));
        }
        output.say("If that run is still alive, it stops at its next step. Type `yes` to unlock:");
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).map_err(|error| Failure::io("reading the answer", &error))?;
        if answer.trim() != "yes" {
            return Err(Failure::new(Exit::Error, "nothing was unlocked"));
        }
    }
    let owners: Vec<Owner> = held.into_iter().map(|lock| lock.owner).collect();
    let (at, actor) = (system::now(), system::actor());
    let removed = store.unlock(&Unlock { owners: &owners, holder: None, at, actor: &actor }).await?;
    if output.is_json() {
        output.json(&removed)?;
    } else {
        let text = format!("{} removed", count(removed.len(), "lock"));
        output.data(|out| writeln!(out, "{text}"))?;
    }
    Ok(Exit::Done)
}

fn is_known(owner: &Owner, estate: &Estate, locks: &[Lock]) -> bool {
    let exists = match owner {
        Owner::Estate => true,
        Owner::Tier(name) => estate.tiers.iter().any(|tier| tier.metadata.name.as_str() == &**name),
        Owner::Tenant(name) => estate.tenants.iter().any(|tenant| tenant.metadata.name.as_str() == &**name),
    };
    exists || locks.iter().any(|lock| lock.owner == *owner)
}

fn not_known(owner: &Owner, estate: &Estate, locks: &[Lock]) -> Failure {
    let tenants = estate.tenants.iter().map(|tenant| tenant.metadata.name.as_str().to_owned());
    let tiers = estate.tiers.iter().map(|tier| format!("tier:{}", tier.metadata.name));
    let known: Vec<String> = tenants.chain(tiers).chain(locks.iter().map(|lock| lock.owner.to_string())).collect();
    let message = format!("`{owner}` is neither in the estate nor locked");
    Failure::unknown(message, &owner.to_string(), known.iter().map(String::as_str), OWNERS)
}
