//! `s3.user`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{bucket, policy};
use tenantry_core::model::kind::{Capture, Kind, MarkPlace, NameLimit, Problem};
use tenantry_core::model::normal::Normal;
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, defaults_of, describe, filled};

/// The inline policy that a user's spec stands for. Others are left alone.
pub const POLICY: &str = "tenantry";

/// A user of the server's identity management, for a program that works with buckets.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "s3.user")]
pub struct UserSpec {
    /// Letters, digits and `+ = , . @ _ -`; one name for all of an account.
    pub name: String,
    /// Begins and ends with a slash.
    #[serde(default = "root")]
    pub path: String,
    /// The permissions of the user, as a policy document without a `Principal`.
    #[schemars(with = "Option<serde_json::Value>")]
    pub policy: Option<Value>,
    /// An access key; none, if it is left out.
    pub access_key: Option<AccessKey>,
    /// Owned key by key.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A user's access key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessKey {
    /// A higher number creates a new key. The previous key stays valid until the next one is created.
    #[serde(default = "first")]
    #[schemars(range(min = 1))]
    pub rotation: u32,
    /// Whether the previous key stays valid.
    #[serde(default = "yes")]
    pub keep_previous: bool,
}

fn root() -> String {
    "/".to_owned()
}

fn first() -> u32 {
    1
}

fn yes() -> bool {
    true
}

pub const NAME: &str = "s3.user";

pub fn kind() -> Kind {
    Kind {
        owned_by_key: &["/tags"],
        outputs: &[
            ("arn", "its ARN, for policies"),
            ("accessKeyId", "the id of the access key that Tenantry created, if there is one"),
        ],
        captures: const {
            &[Capture {
                name: Cow::Borrowed("secretAccessKey"),
                meaning: Cow::Borrowed("The secret of the access key; returned once, when the key is created"),
                field: Some("/accessKey/rotation"),
                replaces: false,
            }]
        },
        name_limits: &[NameLimit { pointer: "/name", bytes: 64, source: "IAM, quotas for names" }],
        mark: MarkPlace::TargetAfterwards,
        normalise,
        check,
        reviewed: &["/policy"],
        ..describe::<UserSpec>(
            NAME,
            "A user with an inline policy and an access key, by the IAM API of AWS or a compatible server.",
            &["name"],
            Stakes { loses_data: false, bills: false },
        )
    }
}

static ACCESS_KEY: LazyLock<Map> = LazyLock::new(defaults_of::<AccessKey>);

fn normalise(fields: &mut Fields<'_>) {
    fields.map("policy", policy::normalise);
    fields.map("accessKey", |key| filled(key, &ACCESS_KEY));
}

fn check(spec: &Normal) -> Vec<Problem> {
    let mut problems = bucket::check_tags(spec);
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || "+=,.@_-".contains(character);
    if let Some(name) = spec.get("name").and_then(Value::as_str)
        && (name.is_empty() || !name.chars().all(is_allowed))
    {
        problems
            .push(Problem::error("/name", "the name of a user has letters, digits and the characters + = , . @ _ -"));
    }
    if let Some(path) = spec.get("path").and_then(Value::as_str)
        && (!path.starts_with('/') || !path.ends_with('/') || path.len() > 512)
    {
        problems.push(Problem::error("/path", "a path begins and ends with a slash and has at most 512 characters"));
    }
    if let Some(document) = spec.get("policy") {
        problems.extend(policy::check(document));
        for (at, statement) in document.get("Statement").and_then(Value::as_list).unwrap_or_default().iter().enumerate()
        {
            for who in ["Principal", "NotPrincipal"].into_iter().filter(|who| statement.get(who).is_some()) {
                let message = format!("a user's policy cannot have `{who}`: it applies to the user itself");
                problems.push(Problem::error(format!("/policy/Statement/{at}/{who}"), message).help("leave it out"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(json: serde_json::Value) -> Vec<String> {
        let Value::Map(spec) = Value::from(json) else { panic!("a map") };
        check(&kind().normal(&spec)).into_iter().map(|problem| problem.pointer).collect()
    }

    #[test]
    fn names_paths_and_policies_are_checked() {
        let policy = |extra: serde_json::Value| {
            let mut statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/*"});
            statement.as_object_mut().expect("a map").extend(extra.as_object().cloned().unwrap_or_default());
            json!({"Version": "2012-10-17", "Statement": [statement]})
        };
        assert_eq!(problems(json!({"name": "acme-app", "path": "/a/b/", "policy": policy(json!({}))})), [""; 0]);
        assert_eq!(problems(json!({"name": "acme/app"})), ["/name"]);
        assert_eq!(problems(json!({"name": "a", "path": "a/"})), ["/path"]);
        let world = json!({"Principal": "*"});
        assert_eq!(problems(json!({"name": "a", "policy": policy(world)})), ["/policy/Statement/0/Principal"]);
        let others = json!({"NotPrincipal": {"AWS": "123456789012"}});
        assert_eq!(problems(json!({"name": "a", "policy": policy(others)})), ["/policy/Statement/0/NotPrincipal"]);
    }
}
