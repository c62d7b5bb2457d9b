use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::types::kind;
use tenantry_core::model::value::{Deferred, Part as DeferredPart};

fn normal(value: Value) -> Normal {
    let Value::Map(spec) = value else { panic!("a map") };
    kind().normal(&spec)
}

fn found(objects: &[serde_json::Value]) -> String {
    let specs: Vec<Normal> = objects.iter().map(|json| normal(json.into())).collect();
    let line = |(index, problem): (usize, Problem)| format!("{index} {} {}", problem.pointer, problem.message);
    check_together(&specs.iter().collect::<Vec<_>>()).into_iter().map(line).collect::<Vec<_>>().join("\n")
}

fn quota(hard: serde_json::Value) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "quota", "namespace": "a"}, "spec": {"hard": hard}})
}

fn limit_range(item: serde_json::Value) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "range", "namespace": "a"}, "spec": {"limits": [item]}})
}

fn deployment(replicas: u32, resources: serde_json::Value) -> serde_json::Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "a"},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "web", "resources": resources}]}}},
    })
}

#[test]
fn what_fits_is_no_problem() {
    let resources = json!({"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": 1, "memory": "1Gi"}});
    let hard = json!({"pods": 4, "requests.cpu": "2", "limits.memory": "4Gi"});
    assert_eq!(found(&[quota(hard), deployment(4, resources)]), "");
}

#[test]
fn sums_beyond_the_quota_are_named() {
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "disk", "namespace": "a"},
        "spec": {"resources": {"requests": {"storage": "3Gi"}}},
    });
    let hard = json!({
        "pods": 3, "requests.cpu": "1900m", "limits.memory": "3Gi", "requests.storage": "2Gi",
        "count/deployments.apps": 0, "services": 0,
    });
    let resources = json!({"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}});
    insta::assert_snapshot!(found(&[quota(hard), deployment(4, resources), claim]), @r"
    0 /spec/hard/count~1deployments.apps the resources of the estate need 1 of `count/deployments.apps`, but the quota is 0
    0 /spec/hard/limits.memory the resources of the estate need 4Gi of `limits.memory` (web 4 × 1Gi), but the quota is 3Gi
    0 /spec/hard/pods the resources of the estate need 4 of `pods` (web 4 × 1), but the quota is 3
    0 /spec/hard/requests.cpu the resources of the estate need 2 of `requests.cpu` (web 4 × 500m), but the quota is 1900m
    0 /spec/hard/requests.storage the resources of the estate need 3Gi of `requests.storage` (disk 3Gi), but the quota is 2Gi
    ");
}

#[test]
fn an_autoscaler_and_containers_that_run_first_count() {
    let scaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web", "namespace": "a"},
        "spec": {"minReplicas": 3, "maxReplicas": 9, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
    });
    let mut web = deployment(1, json!({"requests": {"cpu": "100m"}}));
    web["spec"]["template"]["spec"]["initContainers"] =
        json!([{"name": "first", "resources": {"requests": {"cpu": "1"}}}]);
    insta::assert_snapshot!(found(&[quota(json!({"requests.cpu": 2})), web, scaler]), @"0 /spec/hard/requests.cpu the resources of the estate need 3 of `requests.cpu` (web 3 × 1), but the quota is 2");
}

#[test]
fn what_a_quota_demands_may_come_from_a_limit_range() {
    let hard = json!({"limits.cpu": 8, "requests.memory": "8Gi"});
    insta::assert_snapshot!(found(&[quota(hard.clone()), deployment(1, json!({}))]), @r"
    1 /spec/template/spec/containers/0 container `web` has no limit of cpu, which ResourceQuota `quota` requires of every container: its pods would be refused
    1 /spec/template/spec/containers/0 container `web` has no request of memory, which ResourceQuota `quota` requires of every container: its pods would be refused
    ");
    let range = limit_range(json!({"type": "Container", "default": {"cpu": 1, "memory": "1Gi"}}));
    assert_eq!(found(&[quota(hard.clone()), range.clone(), deployment(8, json!({}))]), "");
    insta::assert_snapshot!(found(&[quota(hard), range, deployment(9, json!({}))]), @r"
    0 /spec/hard/limits.cpu the resources of the estate need 9 of `limits.cpu` (web 9 × 1), but the quota is 8
    0 /spec/hard/requests.memory the resources of the estate need 9Gi of `requests.memory` (web 9 × 1Gi), but the quota is 8Gi
    ");
}

#[test]
fn a_limit_range_holds_containers_and_pods() {
    let resources = json!({"requests": {"cpu": "50m", "memory": "4Gi"}, "limits": {"cpu": 3, "memory": "4Gi"}});
    let container = limit_range(json!({
        "type": "Container", "max": {"cpu": 2}, "min": {"cpu": "100m"}, "maxLimitRequestRatio": {"cpu": 10},
    }));
    let pod = limit_range(json!({"type": "Pod", "max": {"memory": "2Gi"}}));
    insta::assert_snapshot!(found(&[container, pod, deployment(1, resources)]), @r"
    2 /spec/template/spec/containers/0 container `web` has the limit 3 of cpu, more than the maximum 2 of LimitRange `range`: its pods would be refused
    2 /spec/template/spec/containers/0 container `web` requests 50m of cpu, less than the minimum 100m of LimitRange `range`: its pods would be refused
    2 /spec/template/spec/containers/0 container `web` has the limit 3 of cpu and requests 50m, more than the ratio 10 of LimitRange `range`: its pods would be refused
    2 /spec/template/spec/containers a pod has the limit 4Gi of memory, more than the maximum 2Gi of LimitRange `range`: its pods would be refused
    ");
}

#[test]
fn a_limit_range_must_make_sense_by_itself() {
    let range = limit_range(json!({"type": "Container", "min": {"cpu": 2}, "max": {"cpu": 1}, "default": {"cpu": 3}}));
    let Value::Map(spec) = Value::from(range) else { panic!("a map") };
    let found: Vec<String> = limit_range_problems(Type { group: "", kind: "LimitRange" }, &spec)
        .into_iter()
        .map(|problem| format!("{} {}", problem.pointer, problem.message))
        .collect();
    insta::assert_snapshot!(found.join("\n"), @r"
    /spec/limits/0/min/cpu `min` of cpu is 2, more than `max`, which is 1
    /spec/limits/0/default/cpu `default` of cpu is 3, more than `max`, which is 1
    ");
}

#[test]
fn what_is_not_known_yet_is_not_held_against_anybody() {
    let deferred = Value::Deferred(Arc::new(Deferred { parts: vec![DeferredPart::Text("9".into())] }));
    let web = Value::from(deployment(4, json!({"requests": {"cpu": "500m"}})));
    let web = web.with_pointer("/spec/template/spec/containers/0/resources/requests/cpu", deferred);
    let all = [normal(quota(json!({"requests.cpu": 1})).into()), normal(web)];
    assert_eq!(check_together(&all.iter().collect::<Vec<_>>()), []);
}

#[test]
fn another_namespace_has_a_quota_of_its_own() {
    let mut other = deployment(9, json!({"requests": {"cpu": 1}}));
    other["metadata"]["namespace"] = "b".into();
    assert_eq!(found(&[quota(json!({"requests.cpu": 1})), other]), "");
}
