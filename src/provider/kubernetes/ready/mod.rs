//! Whether an object does what it is there for, and if not yet, why.
//!
//! Workloads by the rules of `kubectl rollout status`, claims and definitions by their own, the types of some operators by what
//! these say, anything else by a condition `Ready`. The annotation [`WAIT`] with the value `false` says that nobody waits for
//! an object.

mod operators;

use serde_json::Value as Json;

use super::mark::WAIT;
use super::types::object::Type;

/// Why an object is not ready; `None` if it is, or if its type has no such state.
pub fn pending(object: &Json, of: Type<'_>) -> Option<String> {
    if object.pointer("/metadata/annotations").and_then(|notes| notes.get(WAIT)).and_then(Json::as_str) == Some("false")
    {
        return None;
    }
    let workload = || Workload { object, is_seen: number(object, "/status/observedGeneration") };
    match (of.group, of.kind) {
        ("apps", "Deployment") => workload().deployment(),
        ("apps", "StatefulSet") => workload().stateful_set(),
        ("apps", "DaemonSet") => workload().daemon_set(),
        ("apps", "ReplicaSet") => workload().replica_set(),
        ("batch", "Job") => job(object),
        ("", "Pod") => pod(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "Service") => service(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => condition(object, "Established", true),
        ("apiregistration.k8s.io", "APIService") => condition(object, "Available", true),
        // Without its controller it has no condition at all.
        ("cert-manager.io", "Certificate") | ("external-secrets.io", "ExternalSecret") => {
            condition(object, "Ready", true)
        }
        ("mysql.oracle.com", "InnoDBCluster") => operators::innodb_cluster(object),
        ("argoproj.io", "ApplicationSet") => operators::application_set(object),
        ("argoproj.io", "Application") => operators::application(object),
        _ => condition(object, "Ready", false),
    }
}

/// Why an object that was deleted is still there; `None` if it was not.
pub fn deletion(object: &Json, of: Type<'_>) -> Option<String> {
    object.pointer("/metadata/deletionTimestamp")?;
    let mut waits = Vec::new();
    let finalizers = |pointer: &str| -> Vec<String> {
        let found = object.pointer(pointer).and_then(Json::as_array).into_iter().flatten();
        found.filter_map(Json::as_str).map(|name| format!("`{name}`")).collect()
    };
    for name in finalizers("/metadata/finalizers") {
        waits.push(match &*name {
            "`foregroundDeletion`" => "the objects that it owns to be deleted first".to_owned(),
            "`kubernetes.io/pvc-protection`" => "the pods that use it to end".to_owned(),
            "`kubernetes.io/pv-protection`" => "the claim that is bound to it to be deleted".to_owned(),
            "`customresourcecleanup.apiextensions.k8s.io`" => "its objects to be deleted".to_owned(),
            name => format!("the finalizer {name}, which its controller must remove"),
        });
    }
    let mut told = Vec::new();
    if of.is("", "Namespace") {
        // Set by the namespace controller while it empties the namespace.
        let troubles = [
            "NamespaceContentRemaining",
            "NamespaceFinalizersRemaining",
            "NamespaceDeletionDiscoveryFailure",
            "NamespaceDeletionGroupVersionParsingFailure",
            "NamespaceDeletionContentFailure",
        ];
        let of_trouble = conditions(object).filter(|found| {
            troubles.iter().any(|trouble| text(found, "type") == Some(trouble)) && text(found, "status") == Some("True")
        });
        told.extend(of_trouble.filter_map(|found| text(found, "message")));
        if told.is_empty() {
            waits.push("its content to be deleted".to_owned());
        }
    }
    let mut words = "it is being deleted".to_owned();
    if !waits.is_empty() {
        words.push_str(&format!(" and waits for {}", waits.join(", and for ")));
    }
    if !told.is_empty() {
        words.push_str(&format!(": {}", told.join("; ")));
    }
    Some(words)
}

struct Workload<'a> {
    object: &'a Json,
    is_seen: Option<i64>,
}

impl Workload<'_> {
    fn number(&self, pointer: &str) -> i64 {
        number(self.object, pointer).unwrap_or(0)
    }

    fn wanted(&self) -> i64 {
        number(self.object, "/spec/replicas").unwrap_or(1)
    }

    /// Whether the controller has seen the last change.
    fn unseen(&self) -> Option<String> {
        let generation = self.number("/metadata/generation");
        (self.is_seen.unwrap_or(0) < generation).then(|| "its controller has not processed it yet".to_owned())
    }

    /// What stands in the way, as far as the controller says.
    fn trouble(&self) -> Option<String> {
        let is = |found: &Json, kind: &str, status: &str| {
            text(found, "type") == Some(kind) && text(found, "status") == Some(status)
        };
        let told = conditions(self.object).find(|found| {
            is(found, "ReplicaFailure", "True")
                || (is(found, "Progressing", "False") && text(found, "reason") == Some("ProgressDeadlineExceeded"))
        })?;
        text(told, "message").or_else(|| text(told, "reason")).map(str::to_owned)
    }

    fn count(&self, have: i64, want: i64, what: &str) -> Option<String> {
        let trouble = self.trouble().map(|words| format!(": {words}")).unwrap_or_default();
        (have < want).then(|| format!("{have} of {want} {what}{trouble}"))
    }

    fn deployment(&self) -> Option<String> {
        let wanted = self.wanted();
        self.unseen()
            .or_else(|| self.count(self.number("/status/updatedReplicas"), wanted, "pods are up to date"))
            .or_else(|| {
                let old = self.number("/status/replicas") - self.number("/status/updatedReplicas");
                (old > 0).then(|| format!("{old} pods of the previous version still run"))
            })
            .or_else(|| self.count(self.number("/status/availableReplicas"), wanted, "pods are available"))
    }

    fn stateful_set(&self) -> Option<String> {
        let wanted = self.wanted();
        let partition = self.number("/spec/updateStrategy/rollingUpdate/partition").min(wanted);
        let by_hand = self.object.pointer("/spec/updateStrategy/type").and_then(Json::as_str) == Some("OnDelete");
        let revision = |field: &str| self.object.pointer(field).and_then(Json::as_str);
        self.unseen().or_else(|| self.count(self.number("/status/readyReplicas"), wanted, "pods are ready")).or_else(
            || {
                // The count of updated pods is dropped once all are (`kubectl rollout status`).
                if by_hand || revision("/status/updateRevision") == revision("/status/currentRevision") {
                    return None;
                }
                self.count(self.number("/status/updatedReplicas"), wanted - partition, "pods are up to date")
            },
        )
    }

    fn daemon_set(&self) -> Option<String> {
        let wanted = self.number("/status/desiredNumberScheduled");
        let by_hand = self.object.pointer("/spec/updateStrategy/type").and_then(Json::as_str) == Some("OnDelete");
        self.unseen()
            .or_else(|| {
                let updated = self.number("/status/updatedNumberScheduled");
                if by_hand { None } else { self.count(updated, wanted, "pods are up to date") }
            })
            .or_else(|| self.count(self.number("/status/numberAvailable"), wanted, "pods are available"))
    }

    fn replica_set(&self) -> Option<String> {
        self.unseen().or_else(|| self.count(self.number("/status/readyReplicas"), self.wanted(), "pods are ready"))
    }
}

fn job(object: &Json) -> Option<String> {
    if holding(object, "Complete").is_some() {
        return None;
    }
    if let Some(failed) = holding(object, "Failed") {
        return Some(format!("it failed: {}", said(failed).unwrap_or_else(|| "no reason is given".to_owned())));
    }
    if holding(object, "Suspended").is_some() || object.pointer("/spec/suspend") == Some(&Json::Bool(true)) {
        return None;
    }
    let wanted = number(object, "/spec/completions").unwrap_or(1);
    let failed = number(object, "/status/failed").filter(|failed| *failed > 0);
    let failed = failed.map(|failed| format!(", {failed} have failed")).unwrap_or_default();
    Some(format!("{} of {wanted} pods have completed{failed}", number(object, "/status/succeeded").unwrap_or(0)))
}

fn pod(object: &Json) -> Option<String> {
    match object.pointer("/status/phase").and_then(Json::as_str) {
        Some("Succeeded") => None,
        Some("Running") => condition(object, "Ready", true),
        phase => {
            let scheduled = condition(object, "PodScheduled", false).map(|words| format!(": {words}"));
            Some(format!("its phase is {}{}", phase.unwrap_or("not known yet"), scheduled.unwrap_or_default()))
        }
    }
}

fn claim(object: &Json) -> Option<String> {
    match object.pointer("/status/phase").and_then(Json::as_str) {
        Some("Bound") => None,
        phase => Some(format!("it is not bound to a volume; its phase is {}", phase.unwrap_or("not known yet"))),
    }
}

fn service(object: &Json) -> Option<String> {
    let is_balanced = object.pointer("/spec/type").and_then(Json::as_str) == Some("LoadBalancer");
    let has_address =
        object.pointer("/status/loadBalancer/ingress").and_then(Json::as_array).is_some_and(|found| !found.is_empty());
    (is_balanced && !has_address).then(|| "its load balancer has no address yet".to_owned())
}

/// Why a condition does not hold. One that is not there holds, unless it is `required`.
fn condition(object: &Json, kind: &str, required: bool) -> Option<String> {
    let Some(found) = conditions(object).find(|found| text(found, "type") == Some(kind)) else {
        return required.then(|| format!("its controller has not reported yet whether it is {kind}"));
    };
    // Either says which version of the object the condition is of (API conventions, "Typical status properties").
    let seen = number(found, "/observedGeneration").or_else(|| number(object, "/status/observedGeneration"));
    let is_old = match (seen, number(object, "/metadata/generation")) {
        (Some(seen), Some(generation)) => seen < generation,
        _ => false,
    };
    if is_old {
        return Some("its controller has not processed the last change yet".to_owned());
    }
    if text(found, "status") == Some("True") {
        return None;
    }
    let why = said(found).map(|words| format!(": {words}")).unwrap_or_default();
    Some(format!("it is not {kind}{why}"))
}

/// Reason and message of a condition, as far as it has them.
fn said(condition: &Json) -> Option<String> {
    let words = ["reason", "message"].iter().filter_map(|field| text(condition, field));
    let words: Vec<&str> = words.filter(|words| !words.is_empty()).collect();
    (!words.is_empty()).then(|| words.join(": "))
}

/// The condition of a type, where it holds.
fn holding<'a>(object: &'a Json, kind: &str) -> Option<&'a Json> {
    conditions(object).find(|found| text(found, "type") == Some(kind) && text(found, "status") == Some("True"))
}

fn conditions(object: &Json) -> impl Iterator<Item = &Json> {
    object.pointer("/status/conditions").and_then(Json::as_array).into_iter().flatten()
}

fn text<'a>(of: &'a Json, field: &str) -> Option<&'a str> {
    of.get(field).and_then(Json::as_str)
}

fn number(of: &Json, pointer: &str) -> Option<i64> {
    of.pointer(pointer).and_then(Json::as_i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(group: &'static str, kind: &'static str, object: Json) -> Option<String> {
        pending(&object, Type { group, kind })
    }

    #[test]
    fn a_deployment_is_ready_when_its_rollout_is_complete() {
        let deployment =
            |status: Json| json!({"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status});
        let say = |status| of("apps", "Deployment", deployment(status));
        assert_eq!(say(json!({"observedGeneration": 1})).as_deref(), Some("its controller has not processed it yet"));
        let quota = json!([{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}]);
        assert_eq!(
            say(json!({"observedGeneration": 2, "updatedReplicas": 0, "conditions": quota})).as_deref(),
            Some("0 of 2 pods are up to date: exceeded quota: small")
        );
        let rolling = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3});
        assert_eq!(say(rolling).as_deref(), Some("1 pods of the previous version still run"));
        let ready = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        assert_eq!(say(ready), None);
        let mut unwatched = deployment(json!({}));
        unwatched["metadata"]["annotations"] = json!({"tenantry.dev/wait": "false"});
        assert_eq!(of("apps", "Deployment", unwatched), None);
    }

    #[test]
    fn a_job_is_ready_when_it_has_completed() {
        let job = |conditions: Json| json!({"spec": {"completions": 3}, "status": {"succeeded": 1, "conditions": conditions}});
        assert_eq!(of("batch", "Job", job(json!([]))).as_deref(), Some("1 of 3 pods have completed"));
        let mut tried = job(json!([]));
        tried["status"]["failed"] = 2.into();
        assert_eq!(of("batch", "Job", tried).as_deref(), Some("1 of 3 pods have completed, 2 have failed"));
        let failed = json!([{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}]);
        assert_eq!(
            of("batch", "Job", job(failed)).as_deref(),
            Some("it failed: BackoffLimitExceeded: Job has reached the specified backoff limit")
        );
        assert_eq!(of("batch", "Job", job(json!([{"type": "Complete", "status": "True"}]))), None);
    }

    #[test]
    fn anything_else_goes_by_its_condition_ready_if_it_has_one() {
        let with = |conditions: Json| json!({"metadata": {"generation": 3}, "status": {"conditions": conditions}});
        let issuing =
            json!([{"type": "Ready", "status": "False", "reason": "DoesNotExist", "message": "Issuing certificate"}]);
        assert_eq!(
            of("cert-manager.io", "Certificate", with(issuing)).as_deref(),
            Some("it is not Ready: DoesNotExist: Issuing certificate")
        );
        assert!(of("cert-manager.io", "Certificate", json!({})).is_some());
        assert!(of("external-secrets.io", "ExternalSecret", json!({})).is_some());
        assert_eq!(of("", "ConfigMap", json!({})), None);
        assert_eq!(of("example.io", "Thing", with(json!([{"type": "Ready", "status": "True"}]))), None);
        assert!(
            of("example.io", "Thing", with(json!([{"type": "Ready", "status": "True", "observedGeneration": 2}])))
                .is_some()
        );
    }

    #[test]
    fn a_condition_of_before_the_last_change_does_not_count() {
        let thing = json!({
            "metadata": {"generation": 3},
            "status": {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]},
        });
        assert_eq!(
            of("example.io", "Thing", thing).as_deref(),
            Some("its controller has not processed the last change yet")
        );
    }

    #[test]
    fn a_deletion_that_waits_says_for_what() {
        let namespace = json!({
            "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"conditions": [
                {"type": "NamespaceContentRemaining", "status": "True", "message": "Some resources are remaining: configmaps. has 1 resource instances"},
                {"type": "NamespaceDeletionContentFailure", "status": "False", "message": "All content successfully deleted"},
            ]},
        });
        assert_eq!(
            deletion(&namespace, Type { group: "", kind: "Namespace" }).as_deref(),
            Some("it is being deleted: Some resources are remaining: configmaps. has 1 resource instances")
        );
        let held = json!({"metadata": {"deletionTimestamp": "x", "finalizers": ["example.io/keep"]}});
        assert_eq!(
            deletion(&held, Type { group: "", kind: "ConfigMap" }).as_deref(),
            Some("it is being deleted and waits for the finalizer `example.io/keep`, which its controller must remove")
        );
        assert_eq!(deletion(&json!({"metadata": {}}), Type { group: "", kind: "ConfigMap" }), None);
    }
}
