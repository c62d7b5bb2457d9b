//! Whether a field of a resource is a value of the tenant's own document, so that an edit of that one value changes the field to
//! any other.

use std::sync::Arc;

use super::fields::{is_plain_path, part_at};
use super::{Provenance, Source, line_of_key, source_in_tenant};
use crate::diagnostics::Origin;
use crate::expression::Compiled;
use crate::model::address::Address;
use crate::model::document::Scope;
use crate::model::value::Value;
use crate::resolve::ResolvedTenant;

/// Where the value of a field is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// In the tenant's document, at this pointer, and the blueprint passes it on as it is.
    Tenant { pointer: String, origin: Origin },
    /// In the tier's document, for all tenants of the tier; with the pointer at which a tenant's document may override
    /// it, if it may.
    Tier { tier: Arc<str>, tenants: usize, pointer: Option<String>, origin: Origin },
    /// In the blueprint, for everybody who is made of it; with its document and the pointer in it if that is the estate alone,
    /// and one resource of it.
    Blueprint { place: Option<(Origin, String)>, origin: Origin },
    /// Computed by the blueprint from a value, or from several.
    Computed { origin: Origin, from: Option<Origin> },
    /// Nowhere: it is a default of the kind, or an item of a list that the kind sorts and completes.
    Nowhere,
}

impl Provenance<'_, '_> {
    /// Where the value of a field is written; `None` if nothing asks for a resource at the address.
    pub fn written(&self, address: &Address, pointer: &str) -> Option<Written> {
        let subject = self.subject(address)?;
        let resource = self.resource(subject)?;
        let files = &self.inputs.estate.files;
        let (part, below) = part_at(&resource.spec, pointer);
        let declared = line_of_key(files, resource.origin(&format!("/spec{pointer}")));
        // A mapping without any expression is one part, which has no parts itself.
        if matches!(part, Compiled::Literal(Value::Null)) && resource.template.spec.pointer(pointer).is_none() {
            return Some(Written::Nowhere);
        }
        if !matches!(part, Compiled::Template(_)) {
            let is_single = subject.scope == Scope::Estate && resource.for_each.is_none();
            let place = is_single.then(|| (resource.document(), resource.pointer(&format!("/spec{pointer}"))));
            return Some(Written::Blueprint { place, origin: declared });
        }
        let from = self.source(subject, part, &below).map(|source| line_of_key(files, source.origin()));
        let computed = Written::Computed { origin: declared, from };
        let path = is_plain_path(part).then(|| leading_path(part)).flatten();
        let (Some(path), Some(tenant)) = (path, subject.tenant) else { return Some(computed) };
        let whole = [&path[..], &below].concat();
        Some(match (&whole[..], &computed) {
            ([root, path @ ..], _) if &**root == "tenant" && !path.is_empty() => {
                let pointer = super::pointer_of(path);
                match source_in_tenant(tenant, path) {
                    Some(Source::Own(origin)) if tenant.document.positions.exact(&pointer).is_some() => {
                        Written::Tenant { pointer, origin: line_of_key(files, origin) }
                    }
                    Some(Source::Tier(origin, found)) if found == pointer => {
                        self.tier(tenant, Some(pointer), line_of_key(files, origin))
                    }
                    _ => computed,
                }
            }
            ([root, ..], Written::Computed { from: Some(origin), .. }) if &**root == "tier" => {
                self.tier(tenant, None, *origin)
            }
            _ => computed,
        })
    }

    fn tier(&self, tenant: &ResolvedTenant<'_>, pointer: Option<String>, origin: Origin) -> Written {
        let tier = &tenant.tier.metadata.name;
        let tenants = self.resolved.tenants.iter().filter(|tenant| tenant.tier.metadata.name == *tier).count();
        Written::Tier { tier: tier.shared(), tenants, pointer, origin }
    }
}

fn leading_path(part: &Compiled) -> Option<Vec<Arc<str>>> {
    let mut found = None;
    part.for_each_expression(&mut |expression| found = found.take().or_else(|| expression.leading_path()));
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::{Files, blueprint, look, tenant, thing, tier};
    use super::*;

    fn shop() -> Files {
        let spec = json!({
            "own": "${tenant.values.size}", "quota": "${tenant.quotas.users}", "sum": "${tenant.values.size + 1}",
            "text": "a-${tenant.values.size}", "fixed": 1, "price": "${tier.values.cost}", "part": "${tenant.values.map}",
            "plain": {"list": [1, {"deep": 2}]},
        });
        vec![
            ("acme", tenant("acme", "basic", json!({"values": {"size": 7, "map": {"a": {"b": 1}}}}))),
            ("beta", tenant("beta", "basic", json!({"quotas": {"users": 3}}))),
            (
                "basic",
                tier("basic", &["saas"], json!({"quotas": {"users": 10}, "values": {"size": 1, "cost": 2, "map": {}}})),
            ),
            ("saas", blueprint("saas", json!([thing("role", spec)]))),
        ]
    }

    fn written(tenant: &str, pointer: &str) -> String {
        let address: Address = format!("{tenant}/role").parse().expect("an address");
        look(&shop(), |provenance| match provenance.written(&address, pointer).expect("it is asked for") {
            Written::Tenant { pointer, .. } => format!("tenant {pointer}"),
            Written::Tier { tier, tenants, pointer, .. } => {
                format!("tier {tier} of {tenants} {}", pointer.as_deref().unwrap_or("only"))
            }
            Written::Blueprint { place: Some((_, pointer)), .. } => format!("blueprint {pointer}"),
            Written::Blueprint { place: None, .. } => "blueprint of several".to_owned(),
            Written::Computed { from, .. } => format!("computed {}", from.is_some()),
            Written::Nowhere => "nowhere".to_owned(),
        })
    }

    #[test]
    fn only_what_is_passed_on_as_it_is_can_be_edited_in_the_tenant() {
        let rows = [
            ("acme", "/own"),
            ("beta", "/own"),
            ("acme", "/quota"),
            ("beta", "/quota"),
            ("acme", "/sum"),
            ("acme", "/text"),
            ("acme", "/fixed"),
            ("acme", "/price"),
            ("acme", "/part/a/b"),
            ("acme", "/plain/list/1/deep"),
            ("acme", "/plain/list/2"),
            ("acme", "/name"),
            ("acme", "/other"),
        ];
        let told: Vec<String> =
            rows.iter().map(|(tenant, pointer)| format!("{tenant}{pointer}: {}", written(tenant, pointer))).collect();
        insta::assert_snapshot!(told.join("\n"), @"
        acme/own: tenant /spec/values/size
        beta/own: tier basic of 2 /spec/values/size
        acme/quota: tier basic of 2 /spec/quotas/users
        beta/quota: tenant /spec/quotas/users
        acme/sum: computed true
        acme/text: computed true
        acme/fixed: blueprint of several
        acme/price: tier basic of 2 only
        acme/part/a/b: tenant /spec/values/map/a/b
        acme/plain/list/1/deep: blueprint of several
        acme/plain/list/2: nowhere
        acme/name: computed false
        acme/other: nowhere
        ");
    }
}
