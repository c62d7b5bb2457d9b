//! The policy of one bucket about another.

use super::statement::Statement;
use tenantry_core::diagnostics::codes;
use tenantry_core::model::config::Level;
use tenantry_core::model::resource::Desired;
use tenantry_core::policy::matches;
use tenantry_core::rules::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: codes::POLICY_OF_OTHER_BUCKET,
    level: Level::Warning,
    cause: "A bucket's policy is about that bucket and its objects only. Servers refuse one that names another, or take it and the other bucket is as open or closed as before.",
    example: "
kind: s3.bucket
spec:
  name: acme-products
  policy: {Statement: [{…, Resource: [\"arn:aws:s3:::acme-products/*\", \"arn:aws:s3:::acme-exports/*\"]}]}",
    remedy: "Give each bucket a policy of its own, or put the permissions into the policy of an `s3.user`, which may name several buckets.",
};

pub fn check(desired: &Desired, bucket: &str, statement: &Statement<'_>, findings: &mut Findings<'_>) {
    for field in ["Resource", "NotResource"] {
        for (index, resource) in statement.texts(field).into_iter().enumerate() {
            let Some(other) =
                bucket_of(resource).filter(|named| !matches(named, bucket) && !named.contains(['?', '$']))
            else {
                continue;
            };
            let message = format!("the policy of bucket `{bucket}` names bucket `{other}`");
            let help =
                format!("give `{other}` a policy of its own, or put the permissions into the policy of an s3.user");
            findings.add(&RULE, desired, format!("{}/{field}/{index}", statement.pointer), message, help);
        }
    }
}

/// The bucket that an ARN names.
fn bucket_of(arn: &str) -> Option<&str> {
    let named = arn.split_once(":s3:::")?.1;
    let bucket = named.split('/').next().unwrap_or(named);
    (!bucket.is_empty()).then_some(bucket)
}
