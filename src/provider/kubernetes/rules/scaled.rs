//! A number of replicas beside an autoscaler.

use super::objects::Objects;
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
            (scaler, target("kind").unwrap_or("Deployment"), target("name"))
        })
        .collect::<Vec<_>>();
    if scalers.is_empty() {
        return;
    }
    for workload in objects.all.iter().filter(|object| object.of.group == "apps") {
        if workload.at(&["spec", "replicas"]).is_none() {
            continue;
        }
        let scaler = scalers.iter().find(|(scaler, kind, name)| {
            scaler.namespace == workload.namespace && *kind == workload.of.kind && *name == Some(workload.name)
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
