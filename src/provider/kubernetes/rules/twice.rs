//! Two makers of one Secret.

use super::makers::Made;
use super::objects::Objects;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::SECRET_MADE_TWICE,
    level: Level::Warning,
    cause: "Each of them writes the Secret as it wants it, so its values change back and forth, and every plan finds drift. An ExternalSecret with the default `creationPolicy: Owner` refuses a Secret that it does not own, and of two Certificates for one Secret each issues it again after the other. An Ingress with an annotation of cert-manager makes a Certificate too.",
    example: "
kind: Secret
metadata: {name: db}
stringData: {password: …}
---
kind: ExternalSecret
metadata: {name: db}
spec: {target: {name: db}, …}",
    remedy: "Remove one of them, or the annotation. An ExternalSecret that only adds keys has `creationPolicy: Merge`.",
};

pub fn check(objects: &Objects<'_>, findings: &mut Findings<'_>) {
    for Made { kind, name, makers } in objects.makers().iter() {
        // For an annotated Ingress cert-manager makes a Certificate that is called like the Secret, unless there is one.
        let has_certificate =
            makers.iter().any(|maker| maker.object.of.kind == "Certificate" && maker.object.name == *name);
        let mut writers =
            makers.iter().filter(|maker| !(maker.adds || has_certificate && maker.object.of.kind == "Ingress"));
        let Some(first) = writers.next() else { continue };
        for other in writers {
            // One object with one identity twice is an error of its own.
            if other.object.of == first.object.of && other.object.name == first.object.name {
                continue;
            }
            let message = format!(
                "{kind} `{name}` is made by this {} and by {} `{}` too",
                other.object.of.kind, first.object.of.kind, first.object.desired.address.id
            );
            findings.add(
                &RULE,
                other.object.desired,
                "/metadata/name",
                message,
                "remove one of them, or give the Secret of one another name",
            );
        }
    }
}
