//! `tenantry validate`: every document, no target.

use serde_json::json;

use super::arguments::Global;
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::Session;
use tenantry_core::diagnostics::{Diagnostic, SourceFiles, has_errors};
use tenantry_render::words::count;
use tenantry_store::OpenMode;

pub fn run(global: &Global, output: &Output) -> Result<Exit, Failure> {
    let session = match Session::open(global, OpenMode::ReadOnly, output) {
        Ok(session) => session,
        Err(failure) => {
            if let (true, Some((diagnostics, files))) = (output.is_json(), &failure.diagnostics) {
                json(output, diagnostics, files)?;
                return Ok(Exit::Error);
            }
            return Err(failure);
        }
    };
    let (owners, diagnostics) =
        tenantry_engine::plan::validate(&session.estate, &session.targets(), session.now, session.threads);
    if output.is_json() {
        json(output, &diagnostics, &session.files)?;
        return Ok(if has_errors(&diagnostics) { Exit::Error } else { Exit::Done });
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

fn json(output: &Output, diagnostics: &[Diagnostic], files: &SourceFiles) -> Result<(), Failure> {
    let list: Vec<_> =
        diagnostics.iter().map(|diagnostic| tenantry_render::diagnostics::to_json(diagnostic, files)).collect();
    output.json(&json!({"valid": !has_errors(diagnostics), "diagnostics": list}))
}
