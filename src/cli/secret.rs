//! `tenantry secret`: which secrets there are, and what one of them is.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::arguments::{self, Global};
use super::clipboard::Clipboard;
use super::error::{Exit, Failure};
use super::list::table;
use super::output::{self, Output, Stderr};
use super::session::Session;
use super::system;
use tenantry_core::model::address::Owner;
use tenantry_core::model::secret::SecretReference;
use tenantry_secret::contract::SecretStore;
use tenantry_store::OpenMode;
use tenantry_store::contract::{Note, SecretShown, ShownTo};

pub async fn run(global: &Global, command: &arguments::Secret, output: &Output) -> Result<Exit, Failure> {
    match command {
        arguments::Secret::List { owner } => list(global, owner.as_deref(), output).await,
        arguments::Secret::Show { secret, secret_version, to_pipe } => {
            show(global, secret, *secret_version, *to_pipe, output).await
        }
        arguments::Secret::Copy { secret, secret_version } => copy(global, secret, *secret_version, output).await,
    }
}

async fn list(global: &Global, owner: Option<&str>, output: &Output) -> Result<Exit, Failure> {
    let session = Session::open(global, OpenMode::ReadOnly, output)?;
    let mut all = session.secrets()?.list().await?;
    if let Some(name) = owner {
        let owner = Owner::from(name);
        all.retain(|reference| reference.owner == owner);
        // The secrets of a tenant may outlive it.
        if all.is_empty() {
            session.owner(name)?;
        }
    }
    if output.is_json() {
        output.json(&all)?;
        return Ok(Exit::Done);
    }
    let row = |reference: &SecretReference| {
        let from = if reference.is_captured() { "the target" } else { "Tenantry" };
        [reference.owner.to_string(), reference.name.to_string(), reference.version.to_string(), from.to_owned()]
    };
    table(output, ["OWNER", "NAME", "VERSION", "MADE BY"], &all.iter().map(row).collect::<Vec<_>>())?;
    Ok(Exit::Done)
}

async fn show(
    global: &Global,
    subject: &str,
    version: Option<u32>,
    to_pipe: bool,
    output: &Output,
) -> Result<Exit, Failure> {
    let to = destination(&format!("tenantry secret show {subject}"), to_pipe)?;
    let session = Session::open(global, OpenMode::ReadWrite, output)?;
    let secrets = session.secrets()?;
    let reference = find(&secrets.list().await?, subject, version)?;
    let value = reveal(&session, &*secrets, std::slice::from_ref(&reference), to).await?.remove(&reference);
    let Some(value) = value else { return Err(unknown(subject, &[])) };
    let text = value.expose_secret();
    match (to, output.is_json()) {
        (_, true) => output.json(&json!({"secret": reference, "value": text}))?,
        (ShownTo::Terminal | ShownTo::Clipboard, false) => output.data(|out| writeln!(out, "{text}"))?,
        (ShownTo::Pipe, false) => output.bytes(text.as_bytes())?,
    }
    Ok(Exit::Done)
}

async fn copy(global: &Global, subject: &str, version: Option<u32>, output: &Output) -> Result<Exit, Failure> {
    let mut clipboard = Clipboard::open()?;
    let session = Session::open(global, OpenMode::ReadWrite, output)?;
    let secrets = session.secrets()?;
    let reference = find(&secrets.list().await?, subject, version)?;
    let only = std::slice::from_ref(&reference);
    let value = reveal(&session, &*secrets, only, ShownTo::Clipboard).await?.remove(&reference);
    let Some(value) = value else { return Err(unknown(subject, &[])) };
    clipboard.put(value.expose_secret())?;
    if output.is_json() {
        output.json(&json!({"secret": reference, "to": ShownTo::Clipboard}))?;
    }
    let SecretReference { owner, name, version } = &reference;
    output.note(&format!(
        "{owner}/{name}, version {version}, was sent to the clipboard of this terminal. Terminals do not confirm it; if nothing can be pasted, this one does not allow programs to set its clipboard."
    ));
    Ok(Exit::Done)
}

/// The values of secrets, for somebody who is asked first if they are shown on a terminal. Those that the store does not have
/// are not among them.
pub async fn reveal(
    session: &Session,
    secrets: &dyn SecretStore,
    references: &[SecretReference],
    to: ShownTo,
) -> Result<BTreeMap<SecretReference, SecretString>, Failure> {
    match to {
        ShownTo::Terminal => confirm(references, "shown here", "show")?,
        ShownTo::Clipboard => confirm(references, "copied to the clipboard of this terminal", "copy")?,
        ShownTo::Pipe => {}
    }
    let values = secrets.get(references).await?;
    let store = session.store().await?;
    // First the record: a value that somebody has seen is never without one.
    for SecretReference { owner, name, version } in references.iter().filter(|one| values.contains_key(*one)).cloned() {
        let shown = SecretShown { actor: system::actor(), at: system::now(), name, owner, to, version };
        store.note(&Note::SecretShown(shown)).await?;
    }
    Ok(values)
}

/// A value gets into a file or a log only if somebody says so, and onto a terminal only if nobody meant a pipe.
pub fn destination(command: &str, to_pipe: bool) -> Result<ShownTo, Failure> {
    match (output::is_terminal(), to_pipe) {
        (true, false) => Ok(ShownTo::Terminal),
        (false, true) => Ok(ShownTo::Pipe),
        (false, false) => Err(Failure::new(
            Exit::Usage,
            "stdout is not a terminal, and a secret is not written to a file or pipe by accident",
        )
        .help(format!("if another program is meant to read it, use `{command} --to-pipe`"))),
        (true, true) => Err(Failure::new(Exit::Usage, "`--to-pipe` is given, but stdout is a terminal")
            .help("send the output to the program that is meant to read it, or leave the option out")),
    }
}

fn find(all: &[SecretReference], subject: &str, version: Option<u32>) -> Result<SecretReference, Failure> {
    let (owner, name) = subject.split_once('/').unwrap_or((subject, ""));
    let owner = Owner::from(owner);
    let of_name = all.iter().filter(|reference| reference.owner == owner && *reference.name == *name);
    let wanted = of_name.filter(|reference| version.is_none_or(|version| reference.version.get() == version));
    wanted.max_by_key(|reference| reference.version).cloned().ok_or_else(|| unknown(subject, all))
}

/// What was probably meant is looked for among the secrets of the same owner only.
fn unknown(subject: &str, all: &[SecretReference]) -> Failure {
    let owner = Owner::from(subject.split('/').next().unwrap_or_default());
    let of_owner = || all.iter().filter(|reference| reference.owner == owner);
    let named = |reference: &SecretReference| format!("{}/{}", reference.owner, reference.name);
    let versions: Vec<String> = of_owner()
        .filter(|reference| named(reference) == subject)
        .map(|reference| reference.version.to_string())
        .collect();
    let failure = |what: String| Failure::new(Exit::Usage, what);
    if !versions.is_empty() {
        return failure(format!("there is no such version of the secret `{subject}`"))
            .help(format!("it has version {}", versions.join(", ")));
    }
    let names: Vec<String> = of_owner().map(named).collect();
    let otherwise = "`tenantry secret list` shows the secrets and their versions";
    Failure::unknown(format!("there is no secret `{subject}`"), subject, names.iter().map(String::as_str), otherwise)
}

/// Asks whether to do with the values what `done` and `verb` say.
fn confirm(references: &[SecretReference], done: &str, verb: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, "there is no terminal to ask; nothing was shown"));
    }
    let named =
        |SecretReference { owner, name, version }: &SecretReference| format!("{owner}/{name}, version {version}");
    let (names, it) = (
        references.iter().map(named).collect::<Vec<_>>().join("; "),
        if references.len() == 1 { "it" } else { "them" },
    );
    Stderr::line(&format!("{names}, will be {done}. Type `yes` to {verb} {it}:"));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|error| Failure::io("reading the answer", &error))?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Error, "nothing was shown")),
    }
}
