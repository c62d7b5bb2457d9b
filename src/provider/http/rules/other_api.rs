//! A body in the form of another API.

use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::Value;
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::OTHER_API,
    level: Level::Error,
    cause: "Cloud Run has two APIs. `cloudrun.service` is its Admin API v2, which refuses the fields of a Knative document (`apiVersion`, `kind`, `metadata`, `spec`) as unknown.",
    example: "
kind: http.resource
spec:
  use: cloudrun.service
  fields: {apiVersion: serving.knative.dev/v1, kind: Service, spec: {template: {spec: {containers: […]}}}}",
    remedy: "Write the fields of API v2: `template.containers`, `template.scaling`, `template.serviceAccount`, `template.maxInstanceRequestConcurrency`, without `apiVersion`, `kind`, `metadata` and `spec`.",
};

pub fn check(desired: &Desired, findings: &mut Findings<'_>) {
    let spec = &desired.spec;
    if spec.get("use").and_then(Value::as_str) != Some("cloudrun.service") {
        return;
    }
    let fields = spec.get("fields");
    let version = fields.and_then(|fields| fields.get("apiVersion")).and_then(Value::as_str).unwrap_or_default();
    let nested = fields.and_then(|fields| fields.pointer("/spec/template/spec")).is_some();
    if version.starts_with("serving.knative.dev") || nested {
        findings.add(
            &RULE,
            desired,
            if version.is_empty() { "/fields/spec" } else { "/fields/apiVersion" },
            "this is a Knative document, which the API v2 of Cloud Run refuses",
            "write `template: {containers: […], scaling: {…}}` in `fields`, without apiVersion, kind, metadata and spec",
        );
    }
}
