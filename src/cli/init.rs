//! `tenantry init`: a new estate to begin with.

use std::path::Path;

use super::arguments::{self, Global};
use super::error::{Exit, Failure};
use super::output::Output;
use super::session::target_forms;
use tenantry_core::model::names::{Name, dns_label};
use tenantry_source::schemas::schemas;

const CONFIG: &str = include_str!("init/tenantry.toml");
const TIER: &str = include_str!("init/tier.yaml");
const BLUEPRINT: &str = include_str!("init/blueprint.yaml");
const TENANT: &str = include_str!("init/tenant.yaml");
const IGNORE: &str = include_str!("init/gitignore");

pub fn run(global: &Global, command: &arguments::Init, output: &Output) -> Result<Exit, Failure> {
    let folder = &global.estate;
    let name = match &command.name {
        Some(name) => Name::new(name)
            .map_err(|error| Failure::new(Exit::Usage, format!("`{name}` cannot be the estate's name: {error}")))?,
        None => named_for(folder)?,
    };
    if folder.join("tenantry.toml").exists() {
        return Err(Failure::new(Exit::Error, format!("{} already has an estate", folder.display()))
            .help("nothing was changed"));
    }
    let files: Vec<(String, String)> = [
        ("tenantry.toml".to_owned(), CONFIG.replace("ESTATE", name.as_str())),
        ("tenants/tiers/standard.yaml".to_owned(), TIER.to_owned()),
        ("tenants/blueprints/saas.yaml".to_owned(), BLUEPRINT.to_owned()),
        ("tenants/example.yaml".to_owned(), TENANT.to_owned()),
        (".gitignore".to_owned(), IGNORE.to_owned()),
    ]
    .into_iter()
    .chain(
        schemas(&target_forms(&tenantry_registry::providers()))
            .into_iter()
            .map(|(file, schema)| (format!("schemas/{file}"), format!("{schema:#}\n"))),
    )
    .collect();
    // What already exists is the user's and stays.
    let mut written = Vec::new();
    for (path, text) in files {
        let target = folder.join(&path);
        if target.exists() {
            output.note(&format!("{path} exists and was left as it is"));
            continue;
        }
        let failed = |error| Failure::io(format!("writing {}", target.display()), &error);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::write(&target, text).map_err(failed)?;
        written.push(path);
    }
    output.data(|out| written.iter().try_for_each(|path| writeln!(out, "{path}")))?;
    output.note("");
    output.note(
        "A new estate. Look at it with `tenantry plan`; every target is simulated until tenantry.toml says otherwise.",
    );
    #[cfg(feature = "age")]
    tell_identity(output);
    Ok(Exit::Done)
}

#[cfg(feature = "age")]
fn tell_identity(output: &Output) {
    use secrecy::ExposeSecret as _;
    let (identity, recipient) = tenantry_secret::new_identity();
    output
        .note(&format!("Secrets of real targets are encrypted to an age identity. Here is a new one for {recipient}:"));
    output.note(
        "keep it in your password manager, and set it as TENANTRY_AGE_IDENTITY where Tenantry runs. It is not shown again.",
    );
    output.note("");
    output.note(&format!("  {}", identity.expose_secret()));
}

pub fn named_for(folder: &Path) -> Result<Name, Failure> {
    let absolute = std::path::absolute(folder).map_err(|error| Failure::io("finding the folder's name", &error))?;
    let name = absolute.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    Name::new(&dns_label(name, 63)).map_err(|_| {
        Failure::new(Exit::Usage, "the folder's name cannot be the name of an estate").help("use `tenantry init NAME`")
    })
}
