//! An image without a fixed version.

use super::objects::Objects;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::value::Value;
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

#[derive(Debug, PartialEq)]
enum Tag {
    Fixed,
    Latest,
    Missing,
}

/// What fixes the version of an image (<https://pkg.go.dev/github.com/distribution/reference>).
fn tag(image: &str) -> Tag {
    if image.is_empty() || image.contains('@') {
        return Tag::Fixed;
    }
    // A colon before the last slash is a port.
    match image.rsplit('/').next().and_then(|name| name.split_once(':')) {
        None => Tag::Missing,
        Some((_, "latest")) => Tag::Latest,
        Some(_) => Tag::Fixed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_not_a_tag() {
        for (image, expected) in [
            ("web:1.2", Tag::Fixed),
            ("web", Tag::Missing),
            ("web:latest", Tag::Latest),
            ("registry:5000/web", Tag::Missing),
            ("registry:5000/web:latest", Tag::Latest),
            ("registry:5000/web:1", Tag::Fixed),
            ("web@sha256:0123", Tag::Fixed),
        ] {
            assert_eq!(tag(image), expected, "{image}");
        }
    }
}
