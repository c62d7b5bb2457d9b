//! `tenantry import`: creates an estate from existing tenants.
//!
//! The estate is first written into a temporary folder, read from there as any estate is, and compared with what was found. It
//! is moved to its place only if it reproduces every object.

mod kubernetes;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::arguments::{Format, Global, ImportFrom, ImportInto, ImportManifests};
use super::error::{Exit, Failure};
use super::init::named_for;
use super::output::Output;
use super::session::{STATE_FOLDER, Session, target_forms};
use tenantry_core::diagnostics::{self, Diagnostic, SourceFiles, codes, has_errors};
use tenantry_core::import::documents::{Names, files};
use tenantry_core::import::{Draft, draft};
use tenantry_core::model::names::Name;
use tenantry_engine::plan::Recorded;
use tenantry_import::{Found, Original, differences, items, originals};
use tenantry_kubernetes::Kubernetes;
use tenantry_kubernetes::types::OBJECT;
use tenantry_provider::contract::Provider as _;
use tenantry_render::words::count;
use tenantry_source::manifests;
use tenantry_source::schemas::schemas;
use tenantry_store::OpenMode;

const CONFIG: &str = include_str!("tenantry.toml");

/// The name of the new blueprint.
const BLUEPRINT: &str = "tenant";

/// The maximum number of differences that are shown.
const SHOWN_DIFFERENCES: usize = 20;

/// The objects to take over, from manifests or a cluster.
struct Existing {
    originals: Vec<Original>,
    files: SourceFiles,
    diagnostics: Vec<Diagnostic>,
    /// The names of the objects that were left out, by reason.
    left_out: BTreeMap<&'static str, BTreeSet<String>>,
    /// Settings of the target, for an estate that has none yet.
    settings: Vec<(&'static str, String)>,
    /// The target, where the estate has several.
    target: Option<String>,
}

pub async fn run(global: &Global, from: &ImportFrom, output: &Output) -> Result<Exit, Failure> {
    let (found, into) = match from {
        ImportFrom::Manifests(command) => (read(command)?, &command.into),
        ImportFrom::Kubernetes(command) => (kubernetes::read(global, command, output).await?, &command.into),
    };
    let draft = draft(&items(&found.originals));
    let written = write(global, into, &draft, &found, output)?;
    report(global, &found, &draft, &written, output)?;
    let is_complete = !found.diagnostics.iter().any(|diagnostic| diagnostic.code == codes::IMPORT_LEFT_OUT);
    Ok(if is_complete && !has_errors(&found.diagnostics) { Exit::Done } else { Exit::Partly })
}

/// Reads the folder, and determines which objects can be taken over.
fn read(command: &ImportManifests) -> Result<Existing, Failure> {
    if !command.folder.is_dir() {
        let message = format!("{} is not a folder", command.folder.display());
        return Err(Failure::new(Exit::Usage, message).help("name the folder that holds the manifests"));
    }
    let mut found = manifests(&command.folder);
    let documents = std::mem::take(&mut found.documents).into_iter();
    let documents =
        documents.map(|manifest| Found { folder: manifest.folder, value: manifest.value, origin: manifest.origin });
    let (originals, problems) = originals(documents.collect());
    found.diagnostics.extend(problems);
    diagnostics::sort(&mut found.diagnostics);
    if originals.is_empty() {
        let failure =
            Failure::new(Exit::Error, format!("there is no object to take over in {}", command.folder.display()));
        return Err(match found.diagnostics.is_empty() {
            true => failure.help("put the YAML files of each tenant into a folder of its own"),
            false => Failure::diagnostics(found.diagnostics, found.files),
        });
    }
    Ok(Existing {
        originals,
        files: found.files,
        diagnostics: found.diagnostics,
        left_out: BTreeMap::new(),
        settings: Vec::new(),
        target: None,
    })
}

/// The name of the estate that is imported into.
fn estate_name(global: &Global, into: &ImportInto) -> Result<Name, Failure> {
    match &into.name {
        Some(name) => Name::new(name)
            .map_err(|error| Failure::new(Exit::Usage, format!("`{name}` cannot be the estate's name: {error}"))),
        None => named_for(into.out.as_ref().unwrap_or(&global.estate)),
    }
}

/// The configuration of a new estate.
fn config(name: &Name, settings: &[(&'static str, String)]) -> String {
    let text = CONFIG.replace("ESTATE", name.as_str());
    if settings.is_empty() {
        return text;
    }
    let line = |(name, value): &(&str, String)| format!("{name} = {}", toml::Value::String(value.clone()));
    let lines: Vec<String> = settings.iter().map(line).collect();
    text.replace("# context = \"production\"", &lines.join("\n"))
}

/// Writes the estate, tries it and moves it to its place. Returns the paths of its files.
fn write(
    global: &Global,
    into: &ImportInto,
    draft: &Draft,
    found: &Existing,
    output: &Output,
) -> Result<Vec<String>, Failure> {
    let out = into.out.as_ref().unwrap_or(&global.estate);
    let placement = found.target.as_ref().map(|target| (Kubernetes.placement_key(), target.as_str()));
    let mut all = files(draft, &Names { blueprint: BLUEPRINT, kind: OBJECT, placement });
    if let Some((path, _)) = all.iter().find(|(path, _)| out.join(path).exists()) {
        let message = format!("{} already exists", out.join(path).display());
        return Err(
            Failure::new(Exit::Error, message).help("nothing was written; choose another folder with `--out DIR`")
        );
    }
    let path = out.join("tenantry.toml");
    let config = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = config(&estate_name(global, into)?, &found.settings);
            all.push(("tenantry.toml".into(), text.clone()));
            text
        }
        Err(error) => return Err(Failure::io(format!("reading {}", path.display()), &error)),
    };
    let trial = Trial::new(out)?;
    for (path, text) in &all {
        put(&trial.folder.join(path), text)?;
    }
    if !trial.folder.join("tenantry.toml").exists() {
        put(&trial.folder.join("tenantry.toml"), &config)?;
    }
    prove(global, &trial, &found.originals, output)?;
    drop(trial);
    for (path, text) in &all {
        put(&out.join(path), text)?;
    }
    for (file, schema) in schemas(&target_forms(&tenantry_registry::providers())) {
        let path = out.join("schemas").join(file);
        if !path.exists() {
            put(&path, &format!("{schema:#}\n"))?;
        }
    }
    all.sort();
    Ok(all.into_iter().map(|(path, _)| path).collect())
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error| Failure::io(format!("writing {}", path.display()), &error);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

/// A temporary folder for the estate, deleted when this value is dropped.
struct Trial {
    folder: PathBuf,
}

impl Trial {
    fn new(out: &Path) -> Result<Self, Failure> {
        let folder = out.join(STATE_FOLDER).join(format!("import-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| Failure::io(format!("making {}", folder.display()), &error))?;
        Ok(Self { folder })
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
        // Only if nothing else is in it.
        let _ = self.folder.parent().map(fs::remove_dir);
    }
}

/// Reads the estate as any other, and compares all that it yields with what was found.
fn prove(global: &Global, trial: &Trial, originals: &[Original], output: &Output) -> Result<(), Failure> {
    let of_trial = Global {
        estate: trial.folder.clone(),
        environment: global.environment.clone(),
        rev: None,
        sandbox: global.sandbox,
        now: global.now,
        color: global.color,
        no_pager: global.no_pager,
        quiet: true,
        verbose: global.verbose,
        format: global.format,
    };
    let session = Session::open(&of_trial, OpenMode::ReadOnly, output)?;
    let (owners, found) = tenantry_engine::plan::desired_beside(
        &session.estate,
        &session.targets(),
        &Recorded::default(),
        session.now,
        session.threads,
    );
    if has_errors(&found) {
        return Err(Failure::diagnostics(found, session.files));
    }
    let differences = differences(originals, &owners);
    if differences.is_empty() {
        return Ok(());
    }
    let message = format!("{} of the new estate would differ from the original:", count(differences.len(), "object"));
    Err(Failure::new(Exit::Error, message)
        .details(differences.into_iter().take(SHOWN_DIFFERENCES))
        .help("nothing was written; please report this with the manifests of these objects"))
}

fn report(
    global: &Global,
    found: &Existing,
    draft: &Draft,
    written: &[String],
    output: &Output,
) -> Result<(), Failure> {
    let objects = count(found.originals.len(), "object");
    if global.format == Format::Json {
        let notes: Vec<_> =
            found.diagnostics.iter().map(|one| tenantry_render::diagnostics::to_json(one, &found.files)).collect();
        let tiers: BTreeMap<&str, usize> = draft.tiers.iter().map(|tier| (tier.name.as_str(), tier.tenants)).collect();
        let tenants: Vec<&Arc<str>> = draft.tenants.keys().collect();
        return output.json(&json!({
            "objects": found.originals.len(), "tenants": tenants, "tiers": tiers,
            "resources": draft.resources.iter().map(|resource| &resource.id).collect::<Vec<_>>(),
            "files": written, "diagnostics": notes, "leftOut": found.left_out,
        }));
    }
    output.diagnostics(&found.diagnostics, &found.files);
    let text = format!(
        "{objects} of {} became {}, {} and {}; the estate reproduces each of them",
        count(draft.tenants.len(), "tenant"),
        count(1, "blueprint"),
        count(draft.resources.len(), "resource"),
        count(draft.tiers.len(), "tier"),
    );
    output.data(|out| writeln!(out, "{text}"))?;
    output.note("Look at it with `tenantry validate` and `tenantry plan`; the target is simulated except in the environment `production`.");
    Ok(())
}
