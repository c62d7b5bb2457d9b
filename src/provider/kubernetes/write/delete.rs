//! Deleting one object.

use http::Method;
use serde_json::{Value as Json, json};

use super::{KubernetesWriter, Subject};
use crate::client::{Answer, Ask, JSON};
use crate::error::{Failed as _, Failure};
use crate::types::object::Type;

/// Whether an object stays until what it owns is gone: what makes pods, so that "gone" means that nothing runs any more.
/// Anything else goes at once, and what it owns after it.
fn propagation(of: Type<'_>) -> &'static str {
    let makes_pods = matches!(
        (of.group, of.kind),
        ("", "ReplicationController")
            | ("apps", "DaemonSet" | "Deployment" | "ReplicaSet" | "StatefulSet")
            | ("batch", "CronJob" | "Job")
    );
    if makes_pods { "Foreground" } else { "Background" }
}

/// `Status` of `meta/v1`.
fn is_success(answer: &Json) -> bool {
    let text = |field: &str| answer.get(field).and_then(Json::as_str);
    text("kind") == Some("Status") && text("status") == Some("Success")
}

impl KubernetesWriter {
    /// Asks for the deletion; what it waits for is seen when it is observed again.
    pub(super) async fn delete(&self, subject: &Subject<'_>) -> Result<(), Failure> {
        let Some(there) = self.look(subject).await? else { return Ok(()) };
        subject.step.check_owner(there.mark.as_ref()).map_err(Failure::conflict)?;
        if there.is_leaving() {
            return Ok(());
        }
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation(subject.type_of()),
            "preconditions": {"uid": there.uid},
        });
        let path = subject.path();
        let ask = Ask { method: Method::DELETE, path: &path, accept: JSON, content_type: Some(JSON) };
        match self.cluster.request::<Json>(&ask, options.to_string().into_bytes()).await {
            // What waits for something else is answered itself, and what is gone by a status.
            Ok(Answer { body, .. }) if is_success(&body) || subject.expected().is(&body) => Ok(()),
            Ok(_) => Err(subject.expected().missed("it is not known whether it is being deleted")),
            Err(failure) if failure.is_not_found() => Ok(()),
            Err(failure) if failure.code() == Some(409) && failure.to_string().contains("UID") => {
                Err(Failure::conflict("another object of the same name has taken its place; plan again"))
            }
            Err(failure) => Err(failure),
        }
    }
}
