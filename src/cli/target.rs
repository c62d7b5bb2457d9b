//! `tenantry target`: the accepted systems of the targets.

use std::io::{BufRead as _, IsTerminal as _};

use serde_json::json;
use tenantry_core::fingerprint::{Fingerprint, Other, Standing, standing};
use tenantry_engine::observe;
use tenantry_store::OpenMode;
use tenantry_store::contract::TargetAccepted;

use super::arguments::{Global, Target};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use super::system;

pub async fn run(global: &Global, command: &Target, output: &Output) -> Result<Exit, Failure> {
    match command {
        Target::Accept { name, auto_approve } => accept(global, name, *auto_approve, output).await,
    }
}

/// What a target is accepted as, and what it was before.
struct Acceptance {
    fingerprint: Option<Fingerprint>,
    instead_of: Option<Fingerprint>,
    /// The text of the question.
    words: String,
}

async fn accept(global: &Global, name: &str, auto_approve: bool, output: &Output) -> Result<Exit, Failure> {
    let session = Session::open(global, OpenMode::ReadWrite, output)?;
    let targets = session.targets();
    let Some(name) = targets.names().find(|target| ***target == *name) else {
        let message = format!("there is no target `{name}` in this environment");
        let known = targets.names().map(|target| &**target);
        return Err(Failure::unknown(message, name, known, "`tenantry doctor` shows the targets"));
    };
    let store = session.store().await?;
    let accepted = observe::accepted(&*store).await?;
    let told = observe::ask(&targets, name).await;
    let Some(acceptance) = acceptance(name, standing(accepted.get(name), &told))? else {
        output.note(&format!("Target `{name}` is already accepted as this system."));
        return Ok(Exit::Done);
    };
    output.say(&acceptance.words);
    if !auto_approve {
        confirm(global, name)?;
    }
    let Acceptance { fingerprint, instead_of, .. } = acceptance;
    let accepted = TargetAccepted {
        at: system::now(),
        run: None,
        target: name.clone(),
        fingerprint,
        instead_of,
        actor: system::actor(),
    };
    store.accept_target(&accepted).await?;
    if output.is_json() {
        let TargetAccepted { target, fingerprint, instead_of, .. } = &accepted;
        output.json(&json!({"target": target, "fingerprint": fingerprint, "insteadOf": instead_of}))?;
    } else {
        let text = match &accepted.fingerprint {
            Some(fingerprint) => format!("target `{name}` is accepted as {fingerprint}"),
            None => format!("target `{name}` is accepted without a fingerprint"),
        };
        output.data(|out| writeln!(out, "{text}"))?;
    }
    Ok(Exit::Done)
}

/// What there is to accept; `None` if it is accepted already.
fn acceptance(target: &str, standing: Standing) -> Result<Option<Acceptance>, Failure> {
    let untold = |reason| {
        format!(
            "target `{target}` does not reveal which system it is: {reason}\n\
             If you accept it, Tenantry cannot notice when another system takes its place."
        )
    };
    Ok(Some(match standing {
        Standing::Same => return Ok(None),
        Standing::New(now) => {
            Acceptance { words: format!("target `{target}` is {now}"), fingerprint: Some(now), instead_of: None }
        }
        Standing::Other { was, now: Some(now) } => Acceptance {
            words: Other { target: target.into(), was: was.clone(), now: Some(now.clone()) }.to_string(),
            fingerprint: Some(now),
            instead_of: Some(was),
        },
        Standing::Untold(reason) => Acceptance { words: untold(reason), fingerprint: None, instead_of: None },
        Standing::Withheld { was, reason } => Acceptance {
            words: format!("target `{target}` was {was}\n{}", untold(reason)),
            fingerprint: None,
            instead_of: Some(was),
        },
        Standing::Nameless | Standing::Other { now: None, .. } => {
            return Err(Failure::new(
                Exit::Error,
                format!("target `{target}` has no fingerprint; nothing was accepted"),
            ));
        }
        Standing::Unasked(reason) => {
            let message = format!("target `{target}` could not be identified: {reason}");
            return Err(
                Failure::new(Exit::Error, message).help("nothing was accepted; try again when the target answers")
            );
        }
    }))
}

/// Asks for approval. Fails without a terminal.
fn confirm(global: &Global, target: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        let command = global.invocation(&format!("target accept {target} --auto-approve"));
        return Err(Failure::new(Exit::Usage, "there is no terminal to ask for approval; nothing was accepted")
            .help(format!("if the target is meant to be this system, use `{command}`")));
    }
    super::output::Stderr::line("From now on, plans compare the repository with this system. Type `yes` to accept it:");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|error| Failure::io("reading the answer", &error))?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Error, "nothing was accepted")),
    }
}
