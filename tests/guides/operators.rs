//! The operators' part: says of their own types, and of Jobs, what they would say once these are as asked for.
//!
//! Nothing runs anywhere. Only the status is written, as an operator writes it.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::guides::servers::Cluster;

const CLUSTERS: &str = "/apis/mysql.oracle.com/v2/innodbclusters";
const APPLICATION_SETS: &str = "/apis/argoproj.io/v1alpha1/applicationsets";
const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/applications";
const EXTERNAL_SECRETS: &str = "/apis/external-secrets.io/v1beta1/externalsecrets";
const JOBS: &str = "/apis/batch/v1/jobs";

/// At work until it is dropped.
pub struct Operators {
    task: tokio::task::JoinHandle<()>,
}

impl Operators {
    pub fn start(cluster: Cluster) -> Self {
        let task = tokio::spawn(async move {
            loop {
                for (collection, say) in [
                    (CLUSTERS, of_cluster as fn(&Json) -> Option<Json>),
                    (APPLICATION_SETS, of_application_set),
                    (APPLICATIONS, of_application),
                    (EXTERNAL_SECRETS, of_external_secret),
                    (JOBS, of_job),
                ] {
                    look_after(&cluster, collection, say).await;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Self { task }
    }
}

impl Drop for Operators {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Writes the status of every marked object of a type that something is to be said of.
async fn look_after(cluster: &Cluster, collection: &str, say: fn(&Json) -> Option<Json>) {
    let (_, list) = cluster.ask("GET", &format!("{collection}?labelSelector=tenantry.dev/estate"), Json::Null).await;
    // A type whose definition is not there yet, or no longer, has none.
    for object in list["items"].as_array().into_iter().flatten() {
        let Some(status) = say(object) else { continue };
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let (root, plural) = collection.rsplit_once('/').expect("a collection");
        let path = format!("{root}/namespaces/{}/{plural}/{}", text("namespace"), text("name"));
        // Of an Application the status is no resource of its own (Argo CD's definition).
        let part = if collection == APPLICATIONS { "" } else { "/status" };
        let body = json!({"metadata": {"uid": text("uid")}, "status": status});
        cluster.ask("PATCH", &format!("{path}{part}?fieldManager=operator"), body).await;
    }
}

fn of_cluster(object: &Json) -> Option<Json> {
    let online = &object["spec"]["instances"];
    let is_said = object["status"]["cluster"]["onlineInstances"] == *online;
    (!is_said).then(|| json!({"cluster": {"status": "ONLINE", "onlineInstances": online}}))
}

fn of_application_set(object: &Json) -> Option<Json> {
    let condition = |kind: &str, status: &str| {
        json!({
            "type": kind, "status": status, "reason": "ApplicationSetUpToDate",
            "message": "All applications have been generated successfully", "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    let is_said = object["status"]["conditions"].is_array();
    (!is_said)
        .then(|| json!({"conditions": [condition("ErrorOccurred", "False"), condition("ResourcesUpToDate", "True")]}))
}

fn of_application(object: &Json) -> Option<Json> {
    let is_said = object["status"]["health"].is_object();
    (!is_said).then(|| json!({"sync": {"status": "Synced"}, "health": {"status": "Healthy"}}))
}

fn of_external_secret(object: &Json) -> Option<Json> {
    let ready = json!({"type": "Ready", "status": "True", "reason": "SecretSynced", "message": "Secret was synced"});
    let is_said = object["status"]["conditions"].is_array();
    (!is_said).then(|| json!({"conditions": [ready]}))
}

/// A Job whose program is of a broken version fails, any other completes. Newer servers take the end of a Job only with its
/// start, and with the condition that comes before the end (`validateJobStatus`).
fn of_job(object: &Json) -> Option<Json> {
    let image = object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    let ended = object["status"]["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty());
    let start = object["metadata"]["creationTimestamp"].clone();
    let conditions = |kinds: [&str; 2], reason: &str, message: &str| {
        let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": start});
        Json::from(kinds.map(condition).to_vec())
    };
    let status = match image.ends_with("-broken") {
        true => json!({
            "failed": 4, "startTime": start,
            "conditions": conditions(["Failed", "FailureTarget"], "BackoffLimitExceeded", "Job has reached the specified backoff limit"),
        }),
        false => json!({
            "succeeded": 1, "startTime": start, "completionTime": start,
            "conditions": conditions(["Complete", "SuccessCriteriaMet"], "", ""),
        }),
    };
    (!ended).then_some(status)
}
