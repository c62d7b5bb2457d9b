//! What operators say of their own types.

use serde_json::Value as Json;

use super::{condition, holding, number, said};

/// MySQL Operator: `status.cluster`, as the columns of `kubectl get innodbcluster` have it (its manual, "Deploy using kubectl").
///
/// `ONLINE` is said of the instances that there are, so that a cluster that still grows is known by their number alone.
pub fn innodb_cluster(object: &Json) -> Option<String> {
    let Some(status) = object.pointer("/status/cluster/status").and_then(Json::as_str) else {
        return Some("its operator has not reported its state yet".to_owned());
    };
    // The default of the operator's own schema.
    let wanted = number(object, "/spec/instances").unwrap_or(1);
    let online = number(object, "/status/cluster/onlineInstances").unwrap_or(0);
    if status == "ONLINE" && online >= wanted {
        return None;
    }
    // Why is only said in an event.
    let advice = if status == "INVALID" { "; `kubectl describe` shows why" } else { "" };
    Some(format!("it is {status}, and {online} of {wanted} instances are online{advice}"))
}

/// Argo CD: the conditions of an `ApplicationSet`, in the order in which its own assessment of health takes them
/// (`resource_customizations/argoproj.io/ApplicationSet`).
pub fn application_set(object: &Json) -> Option<String> {
    let why = |found: &Json| said(found).map(|words| format!(": {words}")).unwrap_or_default();
    if let Some(found) = holding(object, "ErrorOccurred") {
        return Some(format!("an error occurred{}", why(found)));
    }
    if let Some(found) = holding(object, "RolloutProgressing") {
        return Some(format!("its rollout is in progress{}", why(found)));
    }
    condition(object, "ResourcesUpToDate", true)
}

/// Argo CD: an Application is healthy, and in step with its source if it is to be so by itself; else that is for a person to
/// do (`argocd app wait`).
pub fn application(object: &Json) -> Option<String> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Json::as_str);
    let told = |pointer: &str| text(pointer).map(|words| format!(": {words}")).unwrap_or_default();
    // Its status stays as it was before the sync that could not be done.
    if matches!(text("/status/operationState/phase"), Some("Failed" | "Error")) {
        return Some(format!("its last sync failed{}", told("/status/operationState/message")));
    }
    let is_automatic = object
        .pointer("/spec/syncPolicy/automated")
        .is_some_and(|automated| automated.is_object() && automated.get("enabled") != Some(&Json::Bool(false)));
    match (text("/status/sync/status"), text("/status/health/status")) {
        (None, _) | (_, None) => Some("its controller has not reported its health yet".to_owned()),
        (Some(sync), _) if is_automatic && sync != "Synced" => Some(format!("it is {sync}")),
        (_, Some("Healthy")) => None,
        (_, Some(health)) => Some(format!("it is {health}{}", told("/status/health/message"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cluster_of_databases_is_ready_when_all_its_instances_are_online() {
        let say = |status: Json| innodb_cluster(&json!({"spec": {"instances": 3}, "status": {"cluster": status}}));
        assert_eq!(say(Json::Null).as_deref(), Some("its operator has not reported its state yet"));
        for (status, online, told) in [
            ("PENDING", 0, Some("it is PENDING, and 0 of 3 instances are online")),
            ("INITIALIZING", 0, Some("it is INITIALIZING, and 0 of 3 instances are online")),
            ("ONLINE", 1, Some("it is ONLINE, and 1 of 3 instances are online")),
            ("ONLINE", 3, None),
            ("ONLINE", 4, None),
            ("ONLINE_PARTIAL", 2, Some("it is ONLINE_PARTIAL, and 2 of 3 instances are online")),
            ("ONLINE_UNCERTAIN", 3, Some("it is ONLINE_UNCERTAIN, and 3 of 3 instances are online")),
            ("NO_QUORUM", 1, Some("it is NO_QUORUM, and 1 of 3 instances are online")),
            ("INVALID", 0, Some("it is INVALID, and 0 of 3 instances are online; `kubectl describe` shows why")),
        ] {
            assert_eq!(say(json!({"status": status, "onlineInstances": online})).as_deref(), told);
        }
        let one = json!({"spec": {}, "status": {"cluster": {"status": "ONLINE", "onlineInstances": 1}}});
        assert_eq!(innodb_cluster(&one), None);
    }

    #[test]
    fn an_application_set_is_ready_when_its_applications_are_up_to_date() {
        let condition = |kind: &str, status: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason, "message": "told"});
        let say = |conditions: &[Json]| application_set(&json!({"status": {"conditions": conditions}}));
        assert!(say(&[]).is_some_and(|words| words.contains("has not reported")));
        let up_to_date = condition("ResourcesUpToDate", "True", "ApplicationSetUpToDate");
        let no_error = condition("ErrorOccurred", "False", "ApplicationSetUpToDate");
        assert_eq!(say(&[no_error.clone(), up_to_date.clone()]), None);
        let error = condition("ErrorOccurred", "True", "RenderTemplateParamsError");
        let behind = condition("ResourcesUpToDate", "False", "ErrorOccurred");
        assert_eq!(
            say(&[behind.clone(), error]).as_deref(),
            Some("an error occurred: RenderTemplateParamsError: told")
        );
        assert_eq!(say(&[behind]).as_deref(), Some("it is not ResourcesUpToDate: ErrorOccurred: told"));
        let rollout = condition("RolloutProgressing", "True", "ApplicationSetModified");
        assert_eq!(
            say(&[no_error, up_to_date, rollout]).as_deref(),
            Some("its rollout is in progress: ApplicationSetModified: told")
        );
    }

    #[test]
    fn an_application_is_ready_when_it_is_healthy_and_in_step_where_that_is_automatic() {
        let say = |automated: Json, sync: &str, health: &str| {
            application(&json!({
                "spec": {"syncPolicy": {"automated": automated}},
                "status": {"sync": {"status": sync}, "health": {"status": health, "message": "web"}},
            }))
        };
        assert!(application(&json!({"spec": {}})).is_some_and(|words| words.contains("has not reported")));
        assert_eq!(say(json!({}), "Synced", "Healthy"), None);
        assert_eq!(say(json!({}), "OutOfSync", "Healthy").as_deref(), Some("it is OutOfSync"));
        assert_eq!(say(json!({"enabled": false}), "OutOfSync", "Healthy"), None);
        assert_eq!(say(Json::Null, "OutOfSync", "Healthy"), None);
        assert_eq!(say(json!({}), "Synced", "Degraded").as_deref(), Some("it is Degraded: web"));
        let failed = json!({"status": {
            "operationState": {"phase": "Failed", "message": "the path does not exist"},
            "sync": {"status": "Synced"}, "health": {"status": "Healthy"},
        }});
        assert_eq!(application(&failed).as_deref(), Some("its last sync failed: the path does not exist"));
    }
}
