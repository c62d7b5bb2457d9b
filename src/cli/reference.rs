//! The pages of `docs/reference/` that are about the command line: commands, exit codes and environment variables.

use std::fmt::Write as _;

use clap::CommandFactory as _;
use clap::builder::StyledStr;
use tenantry_core::reference::{GENERATED, cell};
use tenantry_engine::request::EVENTS;
use tenantry_store::contract::JournalEvent;

use super::arguments::Arguments;
use super::error::Exit;
use super::system;

/// Every command with its arguments and options.
pub fn commands() -> String {
    let mut page = format!(
        "# Commands\n\n{GENERATED}\n\nWhat a command ends with is on the page of [exit codes](exit-codes.md). \
         `tenantry COMMAND --help` says the same, and `tenantry man DIR` writes it as manual pages.\n"
    );
    let mut program = Arguments::command();
    program.build();
    let _ = write!(page, "\n## Options of every command\n\n");
    page.push_str(&arguments(program.get_arguments().filter(|argument| argument.is_global_set())));
    for command in program.get_subcommands() {
        section(&mut page, "tenantry", command);
    }
    page
}

fn section(page: &mut String, above: &str, command: &clap::Command) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    let name = format!("{above} {}", command.get_name());
    let _ = write!(page, "\n## {name}\n\n{}\n", text(command.get_long_about().or(command.get_about())));
    let own: Vec<_> = command.get_arguments().filter(|argument| !argument.is_global_set()).collect();
    let table = arguments(own.into_iter());
    // Nothing but the head.
    if table.lines().count() > 2 {
        page.push('\n');
        page.push_str(&table);
    }
    for below in command.get_subcommands() {
        section(page, &name, below);
    }
}

fn arguments<'a>(all: impl Iterator<Item = &'a clap::Arg>) -> String {
    let mut table = "| option | default | meaning |\n|---|---|---|\n".to_owned();
    let is_the_parsers = |argument: &clap::Arg| argument.get_id() == "help" || argument.get_id() == "version";
    for argument in all.filter(|argument| !argument.is_hide_set() && !is_the_parsers(argument)) {
        let takes = argument.get_action().takes_values();
        let value = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        let value = value.unwrap_or_else(|| argument.get_id().to_string().to_uppercase());
        let short = argument.get_short().map(|short| format!("-{short}"));
        let long = argument.get_long().map(|long| format!("--{long}"));
        let names: Vec<String> = short.into_iter().chain(long).collect();
        let written = match (names.is_empty(), takes) {
            (true, _) => value,
            (false, true) => format!("{} {value}", names.join(", ")),
            (false, false) => names.join(", "),
        };
        let mut meaning = text(argument.get_long_help().or(argument.get_help()));
        let values = argument.get_possible_values();
        let values: Vec<String> = values.iter().filter(|value| !value.is_hide_set()).map(possible).collect();
        if takes && !values.is_empty() {
            let _ = write!(meaning, " One of {}.", values.join(", "));
        }
        if let Some(variable) = argument.get_env() {
            let _ = write!(meaning, " Also the variable `{}`.", variable.to_string_lossy());
        }
        let defaults = argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
        let default: Vec<String> = defaults.filter(|value| takes && !value.is_empty()).collect();
        let default = match (argument.is_required_set(), default.is_empty()) {
            (true, _) => "required".to_owned(),
            (false, true) => String::new(),
            (false, false) => format!("`{}`", default.join(" ")),
        };
        let _ = writeln!(table, "| `{}` | {} | {} |", cell(&written), default, cell(&meaning));
    }
    table
}

fn possible(value: &clap::builder::PossibleValue) -> String {
    match value.get_help() {
        Some(help) => format!("`{}` ({})", value.get_name(), text(Some(help)).trim_end_matches('.')),
        None => format!("`{}`", value.get_name()),
    }
}

fn text(styled: Option<&StyledStr>) -> String {
    let text = styled.map(ToString::to_string).unwrap_or_default();
    let text = text.trim();
    // As a sentence, which the parser shows without its full stop.
    if text.is_empty() || text.ends_with(['.', '!', '?', ':']) { text.to_owned() } else { format!("{text}.") }
}

/// Every exit code.
pub fn exit_codes() -> String {
    let mut page = format!("# Exit codes\n\n{GENERATED}\n\n| code | meaning |\n|---|---|\n");
    for exit in Exit::ALL {
        let _ = writeln!(page, "| {} | {} |", exit as u8, cell(exit.meaning()));
    }
    page.push_str(
        "\nIf several codes apply, the most serious one is used: a refused plan ends with 3 even if something is blocked as \
         well, and a blocked plan with 5 even if there are changes.\n",
    );
    page
}

/// The events of the journal and of a run.
pub fn events() -> String {
    let mut page = format!(
        "# Events\n\n{GENERATED}\n\n\
         Events about subscriptions, which `tenantry event` takes, are another matter: see \
         [from an event to a pull request](../events.md).\n\n\
         ## The journal\n\n\
         Every entry has `sequence`, `run`, `at`, `event`, `owner`, `detail` and `hash`. `tenantry history --format json` prints \
         them.\n\n| event | what has happened |\n|---|---|\n"
    );
    for event in JournalEvent::ALL {
        let _ = writeln!(page, "| `{}` | {} |", event.as_str(), cell(event.meaning()));
    }
    page.push_str(
        "\n## A run\n\n`apply --format json` writes one event a line, with the field `event` and these.\n\n\
         | event | further fields | what happens |\n|---|---|---|\n",
    );
    for (name, fields, meaning) in EVENTS {
        let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
        let _ = writeln!(page, "| `{name}` | {} | {} |", fields.join(", "), cell(meaning));
    }
    page
}

/// Every environment variable that is read.
pub fn environment_variables() -> String {
    let mut page = format!(
        "# Environment variables\n\n{GENERATED}\n\n\
         Besides these, `env:NAME` in `tenantry.toml` names any variable that holds a secret or an address.\n\n\
         | variable | meaning |\n|---|---|\n"
    );
    let mut program = Arguments::command();
    program.build();
    let mut rows: Vec<(String, String)> =
        system::VARIABLES.iter().map(|(name, meaning)| ((*name).to_owned(), (*meaning).to_owned())).collect();
    for command in std::iter::once(&program).chain(program.get_subcommands()) {
        for argument in command.get_arguments() {
            let (Some(variable), Some(long)) = (argument.get_env(), argument.get_long()) else { continue };
            let name = variable.to_string_lossy().into_owned();
            if !rows.iter().any(|(known, _)| *known == name) {
                rows.push((name, format!("As `--{long}`: {}", text(argument.get_help()))));
            }
        }
    }
    rows.sort();
    for (name, meaning) in rows {
        let _ = writeln!(page, "| `{name}` | {} |", cell(&meaning));
    }
    page
}
