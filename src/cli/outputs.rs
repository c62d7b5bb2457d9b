//! `tenantry output`: what an application needs to use the resources of its tenant.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::arguments::{self, Global};
use super::error::{Exit, Failure};
use super::output::Output;
use super::secret;
use super::session::Session;
use tenantry_core::model::address::{Address, Owner};
use tenantry_core::model::kind::readable_identity;
use tenantry_core::model::resource::Applied;
use tenantry_core::model::secret::SecretReference;
use tenantry_core::model::value::{Deferred, Map, Value, readable_pointer};
use tenantry_render::style::Label;
use tenantry_store::OpenMode;

/// One resource that was applied, as an application uses it.
#[derive(Serialize)]
struct Usable {
    kind: String,
    target: String,
    /// The name in the target.
    name: String,
    /// What the target returned.
    outputs: BTreeMap<String, serde_json::Value>,
    /// By the field or output that has it.
    secrets: BTreeMap<String, Secret>,
}

/// A secret in a field or output, alone or within a text.
#[derive(Serialize)]
struct Secret {
    #[serde(flatten)]
    reference: SecretReference,
    /// Only if it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

pub async fn run(global: &Global, command: &arguments::Outputs, output: &Output) -> Result<Exit, Failure> {
    let arguments::Outputs { owner, secrets, to_pipe } = command;
    let to = match secrets {
        true => Some(secret::destination(&format!("tenantry output {owner} --secrets"), *to_pipe)?),
        false => None,
    };
    let mode = if to.is_some() { OpenMode::ReadWrite } else { OpenMode::ReadOnly };
    let session = Session::open(global, mode, output)?;
    let wanted = session.owner(owner)?;
    let mut resources = applied(&session, &wanted).await?;
    if let Some(to) = to {
        let mut references: Vec<SecretReference> = resources
            .values()
            .flat_map(|resource| resource.secrets.values())
            .map(|one| one.reference.clone())
            .collect();
        references.sort_by_cached_key(ToString::to_string);
        references.dedup();
        if !references.is_empty() {
            let store = session.secrets()?;
            fill(&mut resources, &secret::reveal(&session, &*store, &references, to).await?)?;
        }
    }
    if output.is_json() {
        let by_id: BTreeMap<String, &Usable> =
            resources.iter().map(|(address, resource)| (within_owner(address), resource)).collect();
        output.json(&serde_json::json!({"owner": wanted, "resources": by_id}))?;
        return Ok(Exit::Done);
    }
    if resources.is_empty() {
        output.note(&format!("Nothing was applied for {wanted}."));
    }
    output.data(|out| {
        for (address, Usable { kind, target, name, outputs, secrets }) in &resources {
            let place = Label::Quiet.paint(format!("{kind} {name} in target {target}"));
            writeln!(out, "{}  {place}", Label::Heading.paint(address))?;
            for (name, value) in outputs {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                writeln!(out, "  {name} = {text}")?;
            }
            for (field, Secret { reference, value }) in secrets {
                match value {
                    Some(value) => writeln!(out, "  {field} = {value}")?,
                    None => writeln!(out, "  {field} = {reference}")?,
                }
            }
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

/// What was last applied for an owner.
async fn applied(session: &Session, owner: &Owner) -> Result<BTreeMap<Address, Usable>, Failure> {
    let mut inventory = session.store().await?.inventory().await?;
    inventory.retain(|applied| applied.address.owner == *owner);
    Ok(inventory.into_iter().map(|applied| (applied.address.clone(), usable(session, &applied))).collect())
}

fn usable(session: &Session, applied: &Applied) -> Usable {
    let mut resource = Usable {
        kind: applied.kind.to_string(),
        target: applied.target.to_string(),
        name: readable_identity(&applied.identity),
        outputs: BTreeMap::new(),
        secrets: BTreeMap::new(),
    };
    let kind = session.catalogue.get(&applied.kind).map(|kind| &**kind);
    for (name, value) in applied.outputs_value(kind).iter().flat_map(Map::iter) {
        match &value {
            // One that the target returned once.
            Value::Deferred(deferred) => {
                let secrets = deferred.secrets().cloned();
                resource.secrets.extend(secrets.map(|reference| (name.to_string(), unfilled(reference))));
            }
            value => {
                resource.outputs.insert(name.to_string(), value.to_json());
            }
        }
    }
    if let Some(spec) = applied.spec_value() {
        Value::from(spec).for_each_leaf(&mut |pointer, value| {
            let Some(found) = value.as_str().and_then(Deferred::from_text) else { return };
            let is_only_one = found.secrets().count() == 1;
            resource.secrets.extend(found.secrets().map(|reference| {
                let field = readable_pointer(pointer);
                let field = if is_only_one { field } else { format!("{field} ({})", reference.name) };
                (field, unfilled(reference.clone()))
            }));
        });
    }
    resource
}

fn unfilled(reference: SecretReference) -> Secret {
    Secret { reference, value: None }
}

fn fill(
    resources: &mut BTreeMap<Address, Usable>,
    values: &BTreeMap<SecretReference, SecretString>,
) -> Result<(), Failure> {
    for secret in resources.values_mut().flat_map(|resource| resource.secrets.values_mut()) {
        let value = values.get(&secret.reference).ok_or_else(|| {
            Failure::new(Exit::Error, format!("the secret store does not have {}", secret.reference))
                .help("use the secret store that this environment was applied with (see the table [secrets])")
        })?;
        secret.value = Some(value.expose_secret().to_owned());
    }
    Ok(())
}

/// The address without its owner.
fn within_owner(address: &Address) -> String {
    match &address.each {
        Some(each) => format!("{}[{each:?}]", address.id),
        None => address.id.to_string(),
    }
}
