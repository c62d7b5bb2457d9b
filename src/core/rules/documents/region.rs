//! The name of a region that is not one.

use std::collections::BTreeMap;

use crate::diagnostics::{codes, nearest};
use crate::model::clear::words;
use crate::model::config::Level;
use crate::rules::{Findings, Inputs, Rule};

pub const RULE: Rule = Rule {
    code: codes::UNKNOWN_REGION,
    level: Level::Warning,
    cause: "A label is a text of any form, and a blueprint that chooses by it takes a misspelled region for another one, or for none.",
    example: "
kind: Tenant
metadata: {name: acme, labels: {region: us-esat}}",
    remedy: "Correct the label. `rules.regions` names the regions that there are; without it, only a name is reported that is nearly that of a target or of other tenants' region.",
};

/// Words of names of regions.
const PLAIN: [&str; 28] = [
    "africa",
    "ap",
    "apac",
    "asia",
    "australia",
    "ca",
    "central",
    "china",
    "cn",
    "east",
    "eu",
    "europe",
    "global",
    "gov",
    "me",
    "middle",
    "north",
    "northamerica",
    "northeast",
    "northwest",
    "sa",
    "south",
    "southamerica",
    "southeast",
    "southwest",
    "uk",
    "us",
    "west",
];

pub fn check(inputs: &Inputs<'_>, findings: &mut Findings<'_>) {
    let regions = inputs.estate.config.rules.regions.as_deref();
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    for tenant in &inputs.estate.tenants {
        if let Some(region) = tenant.metadata.labels.get("region") {
            *used.entry(region).or_default() += 1;
        }
    }
    let of_targets = inputs.environment.targets.iter().flat_map(|(name, table)| {
        let setting = table.settings.get("region").and_then(serde_json::Value::as_str);
        [Some(&**name), table.residency.as_deref(), setting].into_iter().flatten()
    });
    let several = used.iter().filter(|(_, count)| **count > 1).map(|(region, _)| *region);
    let known: Vec<&str> = match regions {
        Some(regions) => regions.iter().map(|region| &**region).collect(),
        None => of_targets.chain(several).collect(),
    };
    for tenant in &inputs.estate.tenants {
        let Some(region) = tenant.metadata.labels.get("region").map(|region| &**region) else { continue };
        let nearest = nearest(region, known.iter().copied());
        if known.contains(&region) || (regions.is_none() && (nearest.is_none() || is_plain(region))) {
            continue;
        }
        let message = format!("the region `{region}` of tenant `{}` is not known", tenant.metadata.name);
        let help = match nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("regions are {}", known.join(", ")),
        };
        let origin = tenant.positions.origin("/metadata/labels/region");
        findings.add_at(&RULE, origin, "not a region that is known", message, help);
    }
}

/// Whether a name is made of the words that names of regions are made of: it is none that was misspelled.
fn is_plain(region: &str) -> bool {
    words(region).iter().all(|word| {
        let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
        word.is_empty() || word.len() == 1 || PLAIN.contains(&word)
    })
}
