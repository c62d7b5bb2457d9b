//! A number of replicas beside an autoscaler.

use super::objects::Objects;
use crate::types::object::split_api_version;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::SCALED_TWICE,
    level: Level::Warning,
    cause: "The autoscaler changes the number of replicas, every plan finds that as drift, and every apply sets it back, which ends pods under load.",
    example: "
kind: Deployment
metadata: {name: web}
spec: {replicas: 3, …}
---
kind: HorizontalPodAutoscaler
spec: {scaleTargetRef: {kind: Deployment, name: web}, minReplicas: 3, maxReplicas: 10}",
    remedy: "Remove `replicas` from the workload; `minReplicas` of the autoscaler says how many there are at least.",
};

pub fn check(objects: &Objects<'_>, findings: &mut Findings<'_>) {
    let scalers = objects
        .of("autoscaling", "HorizontalPodAutoscaler")
        .chain(objects.of("keda.sh", "ScaledObject"))
        .map(|scaler| {
            let target = |field: &str| scaler.text(&["spec", "scaleTargetRef", field]);
            let group = target("apiVersion").map_or("apps", |api_version| split_api_version(api_version).0);
            (scaler, group, target("kind").unwrap_or("Deployment"), target("name"))
        })
        .collect::<Vec<_>>();
    if scalers.is_empty() {
        return;
    }
    for workload in &objects.all {
        if workload.at(&["spec", "replicas"]).is_none() {
            continue;
        }
        let scaler = scalers.iter().find(|(scaler, group, kind, name)| {
            let is_type = *group == workload.of.group && *kind == workload.of.kind;
            is_type && scaler.namespace == workload.namespace && *name == Some(workload.name)
        });
        if let Some((scaler, ..)) = scaler {
            let message = format!(
                "it has a fixed number of replicas, which {} `{}` changes",
                scaler.of.kind, scaler.desired.address.id
            );
            let help = "remove `replicas`; the autoscaler's minimum says how many there are at least";
            findings.add(&RULE, workload.desired, "/spec/replicas", message, help);
        }
    }
}
