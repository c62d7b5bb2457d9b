//! `tenantry validate`: every document, no target.

use serde_json::json;

use super::arguments::{Format, Global};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use tenantry_core::diagnostics::{Diagnostic, SourceFiles, has_errors};
use tenantry_render::issues::{self, github, junit, sarif};
use tenantry_render::words::count;
use tenantry_store::OpenMode;

pub fn run(global: &Global, output: &Output) -> Result<Exit, Failure> {
    let session = match Session::open(global, OpenMode::ReadOnly, output) {
        Ok(session) => session,
        Err(failure) => {
            return match &failure.diagnostics {
                Some((diagnostics, files)) if output.format() != Format::Human => {
                    document(global, output, diagnostics, files)
                }
                _ => Err(failure),
            };
        }
    };
    let (owners, diagnostics) =
        tenantry_engine::plan::validate(&session.estate, &session.targets(), session.now, session.threads);
    if output.format() != Format::Human {
        return document(global, output, &diagnostics, &session.files);
    }
    if has_errors(&diagnostics) {
        return Err(Failure::diagnostics(diagnostics, session.files));
    }
    output.diagnostics(&diagnostics, &session.files);
    let resources = owners.iter().map(|owner| owner.resources.len()).sum();
    let text = format!(
        "valid: {}, {}, {}, {}",
        count(session.estate.tenants.len(), "tenant"),
        count(session.estate.tiers.len(), "tier"),
        count(session.estate.blueprints.len(), "blueprint"),
        count(resources, "resource"),
    );
    output.data(|out| writeln!(out, "{text}"))?;
    Ok(Exit::Done)
}

/// Writes what was found for a program.
fn document(
    global: &Global,
    output: &Output,
    diagnostics: &[Diagnostic],
    files: &SourceFiles,
) -> Result<Exit, Failure> {
    let issues = || issues::of_diagnostics(diagnostics, files, &global.estate);
    match output.format() {
        Format::Github => output.document(&github::annotations(&issues()))?,
        Format::Sarif => output.json(&sarif::log(&issues(), env!("CARGO_PKG_VERSION")))?,
        Format::Junit => {
            let paths: Vec<String> = files.iter().map(|(_, file)| issues::within(&global.estate, &file.path)).collect();
            output.document(&junit::report("Documents of the estate", "tenantry", &paths, &issues()))?;
        }
        Format::Human | Format::Json | Format::Markdown | Format::Html => {
            let list: Vec<_> =
                diagnostics.iter().map(|diagnostic| tenantry_render::diagnostics::to_json(diagnostic, files)).collect();
            output.json(&json!({"valid": !has_errors(diagnostics), "diagnostics": list}))?;
        }
    }
    Ok(if has_errors(diagnostics) { Exit::Error } else { Exit::Done })
}
