//! `tenantry new`: the document of a new tenant.

use serde_json::json;

use super::arguments::{self, Global};
use super::change::{self, Done, Edits, Place};
use super::error::{Exit, Failure};
use super::output::Output;
use tenantry_core::model::document::Estate;
use tenantry_core::model::names::Name;
use tenantry_core::model::tenant_id;
use tenantry_source::edit::new::{self, Tenant};

pub fn run(global: &Global, command: &arguments::New, output: &Output) -> Result<Exit, Failure> {
    let changes = change::changes(&command.fields)?;
    let place = Place::of(global, &command.into)?;
    let session = place.open(output)?;
    let estate = &session.estate;
    let company = command.company.trim();
    if company.is_empty() {
        return Err(Failure::new(Exit::Usage, "the company's name is empty"));
    }
    let name = match &command.id {
        Some(id) => given(estate, id)?,
        None => made(estate, company)?,
    };
    let tier = tier(estate, command.tier.as_deref())?;
    let path = new::path(estate, &name);
    let tenant = Tenant { name: &name, display_name: company, tier, phase: command.phase, values: &changes };
    let mut edits = Edits::default();
    edits.add(path.clone(), new::text(estate, &path, &tenant));
    place.check(&edits, output)?;
    let commit = place.write(&edits, &format!("Add the tenant {name}\n"), &session)?;
    Done { place: &place, edits: &edits, tenant: Some(name.as_str()), commit, more: json!({}) }.show(output)
}

/// An id that somebody chose.
fn given(estate: &Estate, id: &str) -> Result<Name, Failure> {
    let refused = |why: String| Failure::new(Exit::Usage, format!("`{id}` cannot be the id of a tenant: {why}"));
    let name = Name::new(id).map_err(|error| refused(error.to_string()))?;
    if tenant_id::is_reserved(id) {
        return Err(refused("it is reserved".to_owned())
            .help("systems or people take it for something else; choose another one"));
    }
    if new::is_taken(estate, id) {
        return Err(refused("a tenant has or had it".to_owned()).help("choose another one, or leave out `--id`"));
    }
    Ok(name)
}

/// An id of a company's name.
fn made(estate: &Estate, company: &str) -> Result<Name, Failure> {
    // Half a million suffixes: one that is free is found soon.
    for _ in 0..1000 {
        let Some(id) = new::id(company, rand::random()) else {
            return Err(Failure::new(Exit::Usage, format!("no id can be made of the name `{company}`"))
                .help("choose one of Latin letters, digits and hyphens with `--id`"));
        };
        if !new::is_taken(estate, &id) {
            return Name::new(&id).map_err(|error| Failure::new(Exit::Error, format!("`{id}` is not an id: {error}")));
        }
    }
    Err(Failure::new(Exit::Error, format!("no id of `{company}` is free")).help("choose one with `--id`"))
}

fn tier<'a>(estate: &'a Estate, asked: Option<&'a str>) -> Result<&'a str, Failure> {
    let known = || estate.tiers.iter().map(|tier| tier.metadata.name.as_str());
    let listed = || format!("the tiers are {}", known().collect::<Vec<_>>().join(", "));
    match (asked, &estate.tiers[..]) {
        (Some(asked), _) if known().any(|tier| tier == asked) => Ok(asked),
        (Some(asked), _) => Err(Failure::unknown(format!("there is no tier `{asked}`"), asked, known(), listed())),
        (None, [only]) => Ok(only.metadata.name.as_str()),
        (None, []) => {
            Err(Failure::new(Exit::Error, "the estate has no tier").help("write a document of kind Tier first"))
        }
        (None, _) => {
            Err(Failure::new(Exit::Usage, "the tier is not said")
                .help(format!("choose one with `--tier`; {}", listed())))
        }
    }
}
