//! The image of a service without a fixed version.

use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
use tenantry_core::model::value::Value;
use tenantry_core::rules::image::{Tag, tag};
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::IMAGE_OF_SERVICE_NOT_FIXED,
    level: Level::Warning,
    cause: "Cloud Run resolves `latest` when a revision is made: a later apply, or another tenant, runs another version, and going back is not possible.",
    example: "
kind: http.resource
spec:
  use: cloudrun.service
  fields: {template: {containers: [{image: \"registry.example.com/web:latest\"}]}}",
    remedy: "Write a tag that names one version, or a digest.",
};

pub fn check(desired: &Desired, findings: &mut Findings<'_>) {
    let Some(fields) = desired.spec.get("fields") else { return };
    for place in ["/template/containers", "/template/template/containers", "/spec/template/spec/containers"] {
        let containers = fields.pointer(place).and_then(Value::as_list).unwrap_or_default();
        for (index, container) in containers.iter().enumerate() {
            let Some(image) = container.get("image").and_then(Value::as_str) else { continue };
            let wrong = match tag(image) {
                Tag::Fixed => continue,
                Tag::Latest => "has the tag `latest`",
                Tag::Missing => "has no tag, which means `latest`",
            };
            findings.add(
                &RULE,
                desired,
                format!("/fields{place}/{index}/image"),
                format!("the image of container {} {wrong}", index + 1),
                "write a tag that names one version, such as `:1.4.2`, or a digest",
            );
        }
    }
}
