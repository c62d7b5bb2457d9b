//! `tenantry console`: expressions on a tenant, as its blueprints could have them.

use std::io::{BufRead as _, IsTerminal as _};

use serde_json::json;

use super::arguments::{self, Global};
use super::error::{Exit, Failure};
use super::output::{self, Output};
use super::session::Session;
use tenantry_core::desired::Console;
use tenantry_core::model::value::Value;
use tenantry_engine::plan::Recorded;
use tenantry_store::OpenMode;

pub async fn run(global: &Global, command: &arguments::Console, output: &Output) -> Result<Exit, Failure> {
    let session = Session::open(global, OpenMode::ReadOnly, output)?;
    let owner = session.owner(&command.owner)?;
    let recorded = Recorded::of(&*session.store().await?).await?;
    let targets = session.targets();
    // A terminal keeps nothing; a file or a log does.
    let masks = !output.is_seen_only();
    let given = (!command.expressions.is_empty()).then_some(command.expressions.as_slice());
    let (time, subject) = ((session.now, session.threads), (&owner, masks));
    let answered = tenantry_engine::plan::console(&session.estate, &targets, &recorded, time, subject, |console| {
        let console = console.ok_or_else(|| session.owner(&command.owner).err());
        match (console, given) {
            (Ok(console), Some(expressions)) => each(console, expressions.iter().cloned().map(Ok), false, output),
            (Ok(console), None) => lines(console, &command.owner, output),
            (Err(failure), _) => {
                Err(failure.unwrap_or_else(|| Failure::new(Exit::Error, format!("{owner} has no variables"))))
            }
        }
    });
    answered.map_err(|diagnostics| Failure::diagnostics(diagnostics, session.files.clone()))?
}

/// The lines of stdin, asked for where somebody types them.
fn lines(console: &Console<'_>, owner: &str, output: &Output) -> Result<Exit, Failure> {
    let is_typed = std::io::stdin().is_terminal() && output::is_watched();
    if is_typed {
        output.note(&format!(
            "Expressions on {owner}, one a line, without the braces: tenant.tier, resources.schema.name, size(tier.features). \
             Ctrl-D ends."
        ));
    }
    each(console, std::io::stdin().lock().lines(), is_typed, output)
}

/// Answers each expression. One that fails ends nothing, but is not forgotten at the end.
fn each(
    console: &Console<'_>,
    mut expressions: impl Iterator<Item = std::io::Result<String>>,
    is_typed: bool,
    output: &Output,
) -> Result<Exit, Failure> {
    let mut has_failed = false;
    loop {
        if is_typed {
            output.ask("> ");
        }
        let Some(line) = expressions.next() else { break };
        let line = line.map_err(|error| Failure::io("reading stdin", &error))?;
        let source = source(&line);
        if source.is_empty() || source.starts_with('#') {
            continue;
        }
        match (console.evaluate(source), output.is_json()) {
            (Ok(value), true) => output.json_line(&json!({"expression": source, "value": value.to_json()}))?,
            (Ok(value), false) => output.data(|out| show(out, &value))?,
            (Err(error), is_json) => {
                has_failed = true;
                if is_json {
                    output.json_line(&json!({"expression": source, "error": error.message, "help": error.help}))?;
                } else {
                    output.say(&format!("error: {source}: {}", error.message));
                    if let Some(help) = error.help {
                        output.say(&format!("  help: {help}"));
                    }
                }
            }
        }
    }
    if is_typed {
        output.ask("\n");
        return Ok(Exit::Done);
    }
    Ok(if has_failed { Exit::Error } else { Exit::Done })
}

/// An expression may be written with the braces that it has in a document.
fn source(line: &str) -> &str {
    let line = line.trim();
    let inner = line.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.filter(|inner| !inner.contains("${")).map_or(line, str::trim)
}

/// A text as it is, and everything else as JSON.
fn show(out: &mut tenantry_render::page::Page<'_>, value: &Value) -> std::io::Result<()> {
    match value {
        Value::Text(text) => text.lines().try_for_each(|line| writeln!(out, "{line}")),
        Value::Deferred(deferred) => writeln!(out, "{deferred}"),
        value => writeln!(out, "{}", value.to_json()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_braces_of_a_document_may_be_left_out() {
        assert_eq!(source("  tenant.tier "), "tenant.tier");
        assert_eq!(source("${ tenant.tier }"), "tenant.tier");
        assert_eq!(
            source("${tenant.tier}-${tenant.name}"),
            "${tenant.tier}-${tenant.name}",
            "a text and no expression"
        );
    }
}
