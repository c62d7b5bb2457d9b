//! A claim that a LimitRange does not allow.

use super::objects::{Object, Objects};
use crate::types::quantity::Quantity;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::CLAIM_OUTSIDE_LIMITS,
    level: Level::Error,
    cause: "The server refuses a PersistentVolumeClaim that is larger than the maximum of a LimitRange of its namespace, or smaller than the minimum. Claims of a StatefulSet are refused one by one, and its pods wait.",
    example: "
kind: LimitRange
spec: {limits: [{type: PersistentVolumeClaim, max: {storage: 100Gi}}]}
---
kind: PersistentVolumeClaim
spec: {resources: {requests: {storage: 500Gi}}}",
    remedy: "Change the claim or the LimitRange.",
};

pub fn check(objects: &Objects<'_>, findings: &mut Findings<'_>) {
    let ranges: Vec<&Object<'_>> = objects.of("", "LimitRange").collect();
    if ranges.is_empty() {
        return;
    }
    for object in &objects.all {
        for (pointer, size) in sizes(object) {
            for range in ranges.iter().filter(|range| range.namespace == object.namespace) {
                for item in range.list(&["spec", "limits"]) {
                    if item.get("type").and_then(Value::as_str) != Some("PersistentVolumeClaim") {
                        continue;
                    }
                    let bound = |field: &str| Quantity::of(item.get(field)?.get("storage")?);
                    let (least, most) = (bound("min"), bound("max"));
                    let wrong = match (least.filter(|least| size < *least), most.filter(|most| size > *most)) {
                        (_, Some(most)) => format!("more than the maximum of {most}"),
                        (Some(least), _) => format!("less than the minimum of {least}"),
                        (None, None) => continue,
                    };
                    findings.add(
                        &RULE,
                        object.desired,
                        &*pointer,
                        format!("it claims {size}, {wrong} of LimitRange `{}`", range.desired.address.id),
                        "change the claim or the LimitRange",
                    );
                }
            }
        }
    }
}

/// What an object claims, with the pointers of the sizes.
fn sizes(object: &Object<'_>) -> Vec<(String, Quantity)> {
    const SIZE: &str = "/spec/resources/requests/storage";
    if object.of.is("", "PersistentVolumeClaim") {
        let size = object.at(&["spec", "resources", "requests", "storage"]).and_then(Quantity::of);
        return size.map(|size| (SIZE.to_owned(), size)).into_iter().collect();
    }
    if !object.of.is("apps", "StatefulSet") {
        return Vec::new();
    }
    let templates = object.list(&["spec", "volumeClaimTemplates"]).iter().enumerate();
    let sized = templates.filter_map(|(index, template)| {
        Some((format!("/spec/volumeClaimTemplates/{index}{SIZE}"), Quantity::of(template.pointer(SIZE)?)?))
    });
    sized.collect()
}
