//! An image without a fixed version.

use super::objects::Objects;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::value::Value;
use tenantry_core::rules::image::{Tag, tag};
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::IMAGE_NOT_FIXED,
    level: Level::Warning,
    cause: "`latest`, and an image without a tag, is whatever was pushed last: two pods of one tenant may run different versions, a restart may upgrade, and going back is not possible.",
    example: "
containers:
  - {name: web, image: \"registry.example.com/web:latest\"}",
    remedy: "Write a tag that names one version, or a digest.",
};

pub fn check(objects: &Objects<'_>, findings: &mut Findings<'_>) {
    for pod in objects.pods() {
        for container in pod.containers() {
            let Some(image) = container.value.get("image").and_then(Value::as_str) else { continue };
            let wrong = match tag(image) {
                Tag::Fixed => continue,
                Tag::Latest => "has the tag `latest`",
                Tag::Missing => "has no tag, which means `latest`",
            };
            findings.add(
                &RULE,
                pod.object.desired,
                format!("{}/image", container.pointer),
                format!("the image of container `{}` {wrong}", container.name),
                "write a tag that names one version, such as `:1.4.2`, or a digest",
            );
        }
    }
}
