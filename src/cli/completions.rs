//! `tenantry completions`: scripts for shells, and the manual page.

use clap::CommandFactory as _;

use super::arguments::{self, Arguments, Shell};
use super::error::{Exit, Failure};
use super::output::Output;

pub fn run(command: &arguments::Completions, output: &Output) -> Result<Exit, Failure> {
    let shell = match command.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Elvish => clap_complete::Shell::Elvish,
        Shell::Fish => clap_complete::Shell::Fish,
        Shell::Powershell => clap_complete::Shell::PowerShell,
        Shell::Zsh => clap_complete::Shell::Zsh,
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
    clap_complete::generate(shell, &mut Arguments::command(), "tenantry", &mut script);
    output.data(|out| out.laid_out(&String::from_utf8_lossy(&script)))?;
    Ok(Exit::Done)
}
