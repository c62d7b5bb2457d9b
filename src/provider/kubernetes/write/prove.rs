//! Whether the server would take an object that comes in the place of another: see [`trial`](crate::trial). Where the user may
//! write only objects of certain names, the server is asked for the rights on the very name (`SelfSubjectAccessReview`, which
//! keeps nothing either).

use http::Method;
use serde_json::{Value as Json, json};

use super::{KubernetesWriter, Subject};
use crate::client::{Ask, JSON};
use crate::error::Failure;
use crate::trial::{in_place_of, is_missing_right};
use crate::types::object;
use tenantry_provider::contract::Step;

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

impl KubernetesWriter {
    /// See the module's page.
    ///
    /// # Errors
    /// If the server would refuse the object, or does not answer.
    pub(super) async fn try_out(&self, step: &Step) -> Result<(), Failure> {
        let Some(subject) = self.subject(step).await? else { return Ok(()) };
        let seed = format!("{}\n{}", step.identity, step.idempotency_key);
        match in_place_of(&self.cluster, &subject.resource, subject.spec, &step.mark, &seed).await {
            Err(failure) if is_missing_right(&failure) && self.may_write(&subject).await? => Ok(()),
            other => other,
        }
    }

    /// Whether the user may make and change the object itself.
    async fn may_write(&self, subject: &Subject<'_>) -> Result<bool, Failure> {
        let (group, version) = object::split_api_version(&subject.resource.api_version);
        for verb in ["create", "patch"] {
            let attributes = json!({
                "verb": verb, "group": group, "version": version, "resource": subject.resource.plural,
                "namespace": object::namespace(subject.spec).unwrap_or_default(),
                "name": object::name(subject.spec).unwrap_or_default(),
            });
            let review = json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            });
            let ask = Ask { method: Method::POST, path: REVIEWS, accept: JSON, content_type: Some(JSON) };
            let answer = self.cluster.request::<Json>(&ask, review.to_string().into_bytes()).await?;
            if answer.body.pointer("/status/allowed").and_then(Json::as_bool) != Some(true) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
