//! An action on something that it is not about.

use super::statement::Statement;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::ACTION_WITHOUT_EFFECT,
    level: Level::Warning,
    cause: "Actions on objects, such as `s3:GetObject`, apply to `BUCKET/*`; those on the bucket, such as `s3:ListBucket`, to `BUCKET`. On the other of the two an action has no effect: what is allowed is refused, and what is denied is not.",
    example: "
Statement:
  - {Effect: Allow, Action: [\"s3:GetObject\", \"s3:ListBucket\"], Resource: [\"arn:aws:s3:::acme-products/*\"], …}",
    remedy: "Add the other resource, or make a statement of each sort of action.",
};

#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Bucket,
    Object,
}

pub fn check(desired: &Desired, statement: &Statement<'_>, findings: &mut Findings<'_>) {
    if !statement.is_known("Resource") || !statement.is_known("Action") {
        return;
    }
    let resources = statement.texts("Resource");
    let has = |sort: Sort| resources.iter().any(|resource| applies(resource, sort));
    for (sort, other, noun, wanted) in [
        (Sort::Bucket, Sort::Object, "the bucket", "arn:aws:s3:::BUCKET"),
        (Sort::Object, Sort::Bucket, "objects", "arn:aws:s3:::BUCKET/*"),
    ] {
        let actions: Vec<&str> =
            statement.texts("Action").into_iter().filter(|action| sort_of(action) == Some(sort)).collect();
        if actions.is_empty() || has(sort) || !has(other) {
            continue;
        }
        let index = statement.texts("Action").iter().position(|action| *action == actions[0]).unwrap_or_default();
        let message = format!(
            "`{}` applies to {noun}, which the statement does not name, so it has no effect",
            actions.join("`, `")
        );
        let help = format!("add a resource of the form {wanted}");
        findings.add(&RULE, desired, format!("{}/Action/{index}", statement.pointer), message, help);
    }
}

/// Whether an ARN names a bucket, or objects. A star may stand for both.
fn applies(resource: &str, sort: Sort) -> bool {
    let Some((_, named)) = resource.split_once(":s3:::") else { return true };
    let is_open = named.split('/').next().is_some_and(|bucket| bucket.ends_with('*'));
    match sort {
        Sort::Bucket => is_open || !named.contains('/'),
        Sort::Object => is_open || named.contains('/'),
    }
}

/// What an action is about (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>); `None` if
/// it may be about both, or is not known.
fn sort_of(action: &str) -> Option<Sort> {
    let name = action.strip_prefix("s3:")?;
    let stem = name.trim_end_matches('*');
    if stem.contains(['*', '?']) || matches!(stem, "" | "Get" | "Put" | "List" | "Delete") {
        return None;
    }
    let of_object = ["AbortMultipartUpload", "BypassGovernanceRetention", "ListMultipartUploadParts", "RestoreObject"];
    if stem.contains("Bucket") {
        Some(Sort::Bucket)
    } else if of_object.contains(&stem) || stem.contains("Object") {
        Some(Sort::Object)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_about_buckets_or_objects() {
        for action in ["s3:ListBucket", "s3:GetBucketLocation", "s3:PutBucketObjectLockConfiguration", "s3:ListBucket*"]
        {
            assert!(sort_of(action) == Some(Sort::Bucket), "{action}");
        }
        for action in ["s3:GetObject", "s3:PutObjectAcl", "s3:AbortMultipartUpload", "s3:DeleteObject*"] {
            assert!(sort_of(action) == Some(Sort::Object), "{action}");
        }
        for action in ["s3:*", "s3:Get*", "s3:PutLifecycleConfiguration", "*", "sts:AssumeRole"] {
            assert!(sort_of(action).is_none(), "{action}");
        }
        assert!(applies("arn:aws:s3:::a/*", Sort::Object) && !applies("arn:aws:s3:::a/*", Sort::Bucket));
        assert!(applies("arn:aws:s3:::a*", Sort::Object) && applies("*", Sort::Bucket));
    }
}
