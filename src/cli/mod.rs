//! The command line: one file per command; streams, colour, progress, prompts.
//!
//! stdout is data, stderr is everything else. Only [`error`] turns failures into messages and exit codes; only [`system`] reads
//! time, variables and names from the operating system.

mod accept;
mod apply;
mod arguments;
mod change;
mod clipboard;
#[cfg(feature = "kubernetes")]
mod cluster;
mod complete;
mod completions;
mod console;
mod doctor;
mod drift;
mod edit;
mod error;
mod event;
mod explain;
mod forget;
mod history;
#[cfg(feature = "kubernetes")]
mod import;
mod init;
mod inventory;
mod list;
mod lock;
#[cfg(feature = "notify")]
mod mail;
mod new;
#[cfg(feature = "notify")]
mod notice;
mod output;
mod outputs;
mod plan;
mod policy;
mod progress;
pub mod reference;
mod rehearse;
mod report;
mod schema;
mod secret;
mod session;
mod show;
mod store;
mod system;
mod target;
mod tombstone;
mod unlock;
mod validate;
mod version;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use arguments::{Arguments, Command};
use error::{Exit, Failure};
use output::{Output, Stderr};

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    match complete::answer() {
        Ok(false) => {}
        Ok(true) => return Exit::Done.into(),
        Err(error) => {
            Stderr::line(&error.to_string());
            return Exit::Usage.into();
        }
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            if asked_for {
                // Of our own words only. A closed pipe is the reader's business.
                let _ = error.print();
                return Exit::Done.into();
            }
            error.render().to_string().lines().for_each(Stderr::line);
            return Exit::Usage.into();
        }
    };
    let output = Output::new(&arguments.global);
    system::log(&arguments.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output.failure(&Failure::io("starting", &error)),
    };
    let exit = match runtime.block_on(run(&arguments, &output)) {
        Ok(exit) => exit.into(),
        Err(failure) => output.failure(&failure),
    };
    // Connections that are still closing must not keep the command from ending.
    runtime.shutdown_background();
    exit
}

async fn run(arguments: &Arguments, output: &Output) -> Result<Exit, Failure> {
    let global = &arguments.global;
    arguments.check_format()?;
    match &arguments.command {
        Command::Init(command) => init::run(global, command, output),
        Command::New(command) => new::run(global, command, output),
        Command::Edit(command) => edit::run(global, command, output),
        Command::Event(command) => event::run(global, command, output),
        Command::Validate => validate::run(global, output),
        Command::Plan(command) => plan::run(global, command, output).await,
        Command::Apply(command) => apply::run(global, command, output).await,
        Command::Drift(command) => drift::run(global, command, output).await,
        Command::Show(command) => show::run(global, command, output).await,
        Command::Explain(command) => explain::run(global, command, output).await,
        Command::List(command) => list::run(global, command, output).await,
        Command::History(command) => history::run(global, command, output).await,
        Command::Import(command) => import_from(global, command, output).await,
        Command::Forget(command) => forget::run(global, command, output).await,
        Command::Unlock(command) => unlock::run(global, command, output).await,
        Command::Store(command) => store::run(global, command, output).await,
        Command::Secret(command) => secret::run(global, command, output).await,
        Command::Target(command) => target::run(global, command, output).await,
        Command::Policy(command) => policy::run(global, command, output),
        Command::Doctor => doctor::run(global, output).await,
        Command::Schema(command) => schema::run(command, output),
        Command::Output(command) => outputs::run(global, command, output).await,
        Command::Console(command) => console::run(global, command, output).await,
        Command::Completions(command) => completions::run(command, output),
        Command::Man(command) => completions::man(command, output),
        Command::Version => version::run(output),
    }
}

async fn import_from(
    global: &arguments::Global,
    command: &arguments::Import,
    output: &Output,
) -> Result<Exit, Failure> {
    #[cfg(feature = "kubernetes")]
    if let Some(from) = &command.from {
        if command.inventory {
            return Err(Failure::new(Exit::Usage, "`--inventory` cannot be used with another source")
                .help("use `tenantry import --inventory` alone"));
        }
        return import::run(global, from, output).await;
    }
    inventory::run(global, command, output).await
}
