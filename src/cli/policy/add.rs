//! `tenantry policy add`: policies of the library, as files of the estate.

use super::super::arguments::Global;
use super::super::error::{Exit, Failure};
use super::super::output::Output;
use super::library;

pub fn run(global: &Global, names: &[String], force: bool, output: &Output) -> Result<Exit, Failure> {
    if !global.estate.join("tenantry.toml").exists() {
        let message = format!("there is no estate in {}", global.estate.display());
        return Err(Failure::new(Exit::Error, message).help("`-C DIR` chooses the estate's folder"));
    }
    let mut files = Vec::new();
    for name in names {
        let Some((name, text)) = library::ALL.iter().find(|(known, _)| known == name) else {
            let known = library::ALL.iter().map(|(known, _)| *known);
            let message = format!("the library has no policy `{name}`");
            return Err(Failure::unknown(message, name, known, "`tenantry policy list --library` lists them"));
        };
        let path = format!("policies/{name}.yaml");
        // An edited policy is the user's.
        if !force && global.estate.join(&path).exists() {
            let message = format!("{path} exists; nothing was written");
            return Err(Failure::new(Exit::Error, message).help("`--force` replaces it with the policy of the library"));
        }
        files.push((path, *text));
    }
    for (path, text) in &files {
        let target = global.estate.join(path);
        let failed = |error| Failure::io(format!("writing {}", target.display()), &error);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::write(&target, text).map_err(failed)?;
    }
    if output.is_json() {
        output.json(&files.iter().map(|(path, _)| path).collect::<Vec<_>>())?;
    } else {
        output.data(|out| files.iter().try_for_each(|(path, _)| writeln!(out, "{path}")))?;
    }
    output.note("Look at the `values` of each, then run `tenantry policy test` and `tenantry plan`.");
    Ok(Exit::Done)
}
