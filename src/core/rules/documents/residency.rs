//! A tenant whose data must stay in one region, and is placed in another.

use std::collections::BTreeMap;

use crate::diagnostics::{Origin, codes};
use crate::model::address::Owner;
use crate::model::clear::words;
use crate::model::config::{Level, TargetTable};
use crate::model::document::{Document, TenantSpec};
use crate::model::value::Value;
use crate::rules::{Findings, Inputs, Rule};

pub const RULE: Rule = Rule {
    code: codes::OTHER_RESIDENCY,
    level: Level::Warning,
    cause: "The tenant names the region that its data must stay in, and its resources are in a target of another one. Moving data later is work, and until then a contract or law may be broken.",
    example: "
kind: Tenant
metadata: {name: acme}
spec:
  placement: {database: us-1}
  values: {data_residency: EU}",
    remedy: "Change the placement or the value. A tenant names its region as `values.residency`, `values.data_residency` or the label `data-residency`, or as `rules.residency` says; the label `region` and `values.region` count where a target of that region exists; that of a target is its `residency` in `tenantry.toml`, its `region`, or the beginning of its name.",
};

/// Where a tenant may name its region, unless the estate says where.
const NAMED: [&str; 6] = [
    "values.residency",
    "values.data_residency",
    "values.dataResidency",
    "labels.data-residency",
    "values.region",
    "labels.region",
];

/// Those that may as well say where the customer is: they count only where another target would be right.
const OF_CUSTOMER: [&str; 2] = ["values.region", "labels.region"];

/// Regions by the words that names of regions begin with.
const REGIONS: [(&str, &[&str]); 9] = [
    ("africa", &["af", "africa"]),
    ("apac", &["ap", "apac", "asia", "australia", "au", "in", "india", "japan", "jp", "singapore"]),
    ("canada", &["ca", "canada"]),
    ("china", &["china", "cn"]),
    ("eu", &["eu", "europe", "germany"]),
    ("middle east", &["me"]),
    ("south america", &["latam", "sa", "southamerica"]),
    ("uk", &["uk"]),
    ("us", &["us", "usa"]),
];

/// Words that name a region at the beginning of a target's name; others there may mean something else.
const IN_NAMES: [&str; 9] = ["ap", "apac", "asia", "eu", "europe", "southamerica", "uk", "us", "usa"];

pub fn check(inputs: &Inputs<'_>, findings: &mut Findings<'_>) {
    let regions: BTreeMap<&str, Region> = inputs
        .environment
        .targets
        .iter()
        .filter_map(|(name, table)| Some((&**name, Region::of(name, table)?)))
        .collect();
    if regions.is_empty() {
        return;
    }
    let named = inputs.estate.config.rules.residency.as_deref();
    for owner in inputs.owners {
        let Owner::Tenant(name) = &owner.owner else { continue };
        let tenants = &inputs.resolved.tenants;
        let Ok(at) = tenants.binary_search_by(|tenant| (*tenant.name()).cmp(name)) else { continue };
        let tenant = tenants[at].document;
        let Some((wanted, origin, path)) = residency(tenant, named) else { continue };
        let mut elsewhere: Vec<(&str, &str)> = Vec::new();
        for desired in &owner.resources {
            let Some(region) = regions.get(&*desired.target).filter(|region| region.differs_from(wanted)) else {
                continue;
            };
            let is_better = |(target, region): (&&str, &Region)| {
                let provider = inputs.environment.targets.get(*target).map(|table| &*table.provider);
                provider == Some(desired.kind.provider()) && !region.differs_from(wanted)
            };
            if named.is_none() && OF_CUSTOMER.contains(&path) && !regions.iter().any(is_better) {
                continue;
            }
            if !elsewhere.iter().any(|(target, _)| *target == &*desired.target) {
                elsewhere.push((&desired.target, &region.text));
            }
        }
        for (target, region) in elsewhere {
            let message = format!(
                "tenant `{name}` names the region `{wanted}`, but has resources in target `{target}`, whose region is `{region}`"
            );
            let placed = tenant.spec.placement.iter().find(|(_, placed)| ***placed == *target);
            let help = match placed {
                Some((key, _)) => format!("change `placement.{key}` or the region; `residency` of the target says where it really is"),
                None => "choose another target with `placement`, or change the region; `residency` of the target says where it really is".to_owned(),
            };
            let place = placed.map(|(key, _)| tenant.positions.origin(&format!("/spec/placement/{key}")));
            findings.add_at(&RULE, place.unwrap_or(origin), format!("in {region}"), message, help);
            if place.is_some() {
                findings.related(origin, "names another region");
            }
        }
    }
}

/// The region of a target.
struct Region {
    text: String,
    /// Whether it was said, and not concluded from a name.
    said: bool,
}

impl Region {
    fn of(name: &str, table: &TargetTable) -> Option<Self> {
        let setting = table.settings.get("region").and_then(serde_json::Value::as_str);
        if let Some(said) = table.residency.as_deref() {
            return Some(Self { text: said.to_owned(), said: true });
        }
        if let Some(region) = setting.filter(|region| common(region).is_some()) {
            return Some(Self { text: region.to_owned(), said: false });
        }
        let first = words(name).into_iter().next()?;
        let first = first.trim_end_matches(|c: char| c.is_ascii_digit());
        IN_NAMES.contains(&first).then(|| Self { text: common(first).unwrap_or(first).to_owned(), said: false })
    }

    /// Whether this is certainly not the region that a tenant names.
    fn differs_from(&self, wanted: &str) -> bool {
        if self.text.eq_ignore_ascii_case(wanted) {
            return false;
        }
        match (common(&self.text), common(wanted)) {
            (Some(one), Some(other)) => one != other,
            _ => self.said,
        }
    }
}

/// The region that a name of a region, such as `us-east-1`, belongs to.
fn common(text: &str) -> Option<&'static str> {
    let words = words(text);
    let first = words.first()?.trim_end_matches(|c: char| c.is_ascii_digit());
    REGIONS.iter().find(|(_, names)| names.contains(&first)).map(|(region, _)| *region)
}

/// The region that a tenant names, and where.
fn residency<'a>(tenant: &'a Document<TenantSpec>, named: Option<&'a str>) -> Option<(&'a str, Origin, &'a str)> {
    let own = named.map_or_else(|| NAMED.to_vec(), |path| vec![path]);
    own.into_iter().find_map(|whole| {
        let (kind, path) = whole.split_once('.')?;
        let (text, pointer) = match kind {
            "labels" => (&**tenant.metadata.labels.get(path)?, format!("/metadata/labels/{path}")),
            "values" => {
                let (first, rest) = path.split_once('.').unwrap_or((path, ""));
                let below = if rest.is_empty() { String::new() } else { format!("/{}", rest.replace('.', "/")) };
                let value: &Value = tenant.spec.values.get(first)?.pointer(&below)?;
                (value.as_str()?, format!("/spec/values/{first}{below}"))
            }
            _ => return None,
        };
        (!text.is_empty()).then(|| (text, tenant.positions.origin(&pointer), whole))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(target: &str, settings: serde_json::Value, wanted: &str) -> bool {
        let table: TargetTable = serde_json::from_value(settings).expect("a table");
        Region::of(target, &table).is_some_and(|region| region.differs_from(wanted))
    }

    #[test]
    fn regions_are_compared_by_what_they_have_in_common() {
        let plain = || serde_json::json!({"provider": "postgres"});
        assert!(differs("us-1", plain(), "EU") && differs("eu_main", plain(), "us-east"));
        assert!(!differs("us-1", plain(), "US") && !differs("us-1", plain(), "us-east-2"));
        assert!(!differs("main", plain(), "EU") && !differs("us-1", plain(), "mars"));
        assert!(differs("main", serde_json::json!({"provider": "s3", "region": "us-east-1"}), "eu"));
        assert!(differs("main", serde_json::json!({"provider": "s3", "residency": "ch"}), "eu"));
        assert!(!differs("us-1", serde_json::json!({"provider": "s3", "residency": "eu"}), "EU"));
    }
}
