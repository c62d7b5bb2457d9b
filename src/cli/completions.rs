//! `tenantry completions` and `tenantry man`: scripts for shells, and manual pages.

use clap::CommandFactory as _;
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use super::arguments::{self, Arguments, Shell};
use super::complete;
use super::error::{Exit, Failure};
use super::output::Output;

/// The script only asks the command again, which knows the names of the estate.
pub fn run(command: &arguments::Completions, output: &Output) -> Result<Exit, Failure> {
    let shell: &dyn EnvCompleter = match command.shell {
        Shell::Bash => &Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
        Shell::Zsh => &Zsh,
        Shell::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Arguments::command())
                .render(&mut page)
                .map_err(|error| Failure::io("writing the manual page", &error))?;
            output.data(|out| out.laid_out(&String::from_utf8_lossy(&page)))?;
            return Ok(Exit::Done);
        }
    };
    let mut script = Vec::new();
    shell
        .write_registration(complete::VARIABLE, "tenantry", "tenantry", "tenantry", &mut script)
        .map_err(|error| Failure::io("writing the script", &error))?;
    output.data(|out| out.laid_out(&String::from_utf8_lossy(&script)))?;
    Ok(Exit::Done)
}

/// A manual page for each command.
pub fn man(command: &arguments::Man, output: &Output) -> Result<Exit, Failure> {
    let folder = &command.folder;
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), folder))
        .map_err(|error| Failure::io(format!("writing manual pages to {}", folder.display()), &error))?;
    output.note(&format!("The manual pages are in {}; `man tenantry-plan` shows one of them.", folder.display()));
    Ok(Exit::Done)
}
