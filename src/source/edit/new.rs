//! A document for a tenant that is new, and the file that it belongs into.

use std::collections::BTreeMap;

use super::{Change, set};
use tenantry_core::model::document::{API_VERSION, Estate, Phase};
use tenantry_core::model::names::Name;
use tenantry_core::model::tenant_id;
use tenantry_core::model::value::Value;
use tenantry_core::yaml::{self, Entry, Yaml};

/// Folder of tenants where an estate has none yet.
const FOLDER: &str = "tenants";

/// A tenant to be written down.
#[derive(Clone, Debug)]
pub struct Tenant<'a> {
    pub name: &'a Name,
    pub display_name: &'a str,
    pub tier: &'a str,
    pub phase: Phase,
    /// What else its document has.
    pub values: &'a [Change],
}

/// The file for a tenant, relative to the estate: in the folder that has the most tenants.
pub fn path(estate: &Estate, name: &Name) -> String {
    let mut folders: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for tenant in &estate.tenants {
        let file = &*estate.files.get(tenant.positions.file).path;
        let (folder, file) = file.rsplit_once('/').unwrap_or((FOLDER, file));
        let extension = file.rsplit_once('.').map_or("yaml", |(_, extension)| extension);
        *folders.entry((folder, extension)).or_default() += 1;
    }
    // Of several with as many, the first one.
    let most = folders.iter().rev().max_by_key(|(_, count)| **count);
    let (folder, extension) = most.map_or((FOLDER, "yaml"), |(place, _)| *place);
    format!("{folder}/{name}.{extension}")
}

/// An id of a company's name and of chance; `None` if nothing of the name can be written in Latin letters. It is never one that is
/// reserved: `pg-tools-x7np` would be a schema that PostgreSQL refuses.
pub fn id(company: &str, random: [u8; tenant_id::SUFFIX_CHARACTERS]) -> Option<String> {
    let readable = tenant_id::readable(company)?;
    let with_suffix = |readable: &str| format!("{readable}-{}", tenant_id::suffix(random));
    let id = with_suffix(&readable);
    if !tenant_id::is_reserved(&id) {
        return Some(id);
    }
    let rest: String = readable.chars().take(tenant_id::MOST_CHARACTERS - 2).collect();
    Some(with_suffix(&format!("t-{}", rest.trim_end_matches('-'))))
}

/// Whether a tenant has or had a name.
pub fn is_taken(estate: &Estate, name: &str) -> bool {
    let names = estate
        .tenants
        .iter()
        .flat_map(|tenant| std::iter::once(&tenant.metadata.name).chain(&tenant.metadata.previously));
    names.into_iter().any(|known| known.as_str() == name)
}

/// The text of a tenant's document. It names the schema for editors where a file beside it does.
pub fn text(estate: &Estate, path: &str, tenant: &Tenant<'_>) -> String {
    let folder = |path: &str| path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
    let schema = estate.tenants.iter().find_map(|other| {
        let file = estate.files.get(other.positions.file);
        let line = file.text.lines().next().filter(|line| line.starts_with("# yaml-language-server:"))?;
        (folder(&file.path) == folder(path)).then(|| format!("{line}\n"))
    });
    let Tenant { name, display_name, tier, phase, values } = tenant;
    let mut document = serde_json::json!({"metadata": {"name": name}, "spec": {}});
    values.iter().for_each(|change| set(&mut document, change));
    let entries = |part: &serde_json::Value, first: Vec<Entry>, order: &[&str]| {
        let Value::Map(fields) = Value::from(part.clone()) else { return Yaml::Map(first) };
        let mut rest: Vec<Entry> = fields
            .iter()
            .filter(|(key, _)| !first.iter().any(|entry| *entry.key == ***key))
            .map(|(key, value)| Entry::new(&**key, value))
            .collect();
        rest.sort_by_key(|entry| order.iter().position(|known| *known == entry.key));
        Yaml::Map(first.into_iter().chain(rest).collect())
    };
    let fixed =
        vec![Entry::new("displayName", *display_name), Entry::new("tier", *tier), Entry::new("phase", phase.as_str())];
    let yaml = Yaml::Map(vec![
        Entry::new("apiVersion", API_VERSION),
        Entry::new("kind", "Tenant"),
        Entry::new("metadata", entries(&document["metadata"], vec![Entry::new("name", name.as_str())], &[])),
        Entry::new("spec", entries(&document["spec"], fixed, &super::write::ORDER)),
    ]);
    format!("{}{}", schema.unwrap_or_default(), yaml::text(&yaml, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_company_gets_an_id_that_a_system_keeps_for_itself() {
        let id = |company: &str| id(company, [0, 1, 2, 3]).unwrap_or_default();
        let ids = ["Acme", "PG Tools", "Kube", "Kube-Container-Werke AG", "株式会社"].map(id);
        assert_eq!(ids, ["acme-bcdf", "t-pg-tools-bcdf", "t-kube-bcdf", "t-kube-container-wer-bcdf", ""]);
        assert!(ids.iter().all(|id| !tenant_id::is_reserved(id)));
    }
}
