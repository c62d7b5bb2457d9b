//! `tenantry version`: which build it is.

use serde_json::json;

use super::error::{Exit, Failure};
use super::output::Output;
use tenantry_core::plan::FORMAT_VERSION;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub fn run(output: &Output) -> Result<Exit, Failure> {
    let providers: Vec<&str> = tenantry_registry::providers().iter().map(|provider| provider.name()).collect();
    if output.is_json() {
        let os = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        output.json(&json!({
            "name": "tenantry", "version": VERSION, "planFormat": FORMAT_VERSION, "platform": os, "providers": providers,
        }))?;
        return Ok(Exit::Done);
    }
    output.data(|out| {
        writeln!(out, "tenantry {VERSION}")?;
        writeln!(out, "providers: {}", providers.join(", "))
    })?;
    Ok(Exit::Done)
}
