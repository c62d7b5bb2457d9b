//! Policy documents, compared by what they mean
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>).
//!
//! One statement is a list of one; one action, resource or principal too; lists have no order; an account's number is its
//! root; a value of a condition is a text.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenantry_core::model::kind::Problem;
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value, push_token};

/// A policy as it can be written.
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used; documents are read from the map")]
pub enum Document {
    Map(serde_json::Map<String, serde_json::Value>),
    Text(String),
}

/// The language of a document that does not say which.
const OLDEST: &str = "2008-10-17";

/// Keys of conditions that leave less than everybody
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>, "The meaning of public").
const NARROWING: [&str; 17] = [
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "aws:vpcsourceip",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
];

/// The canonical form of a document. What is no document stays as it is.
pub fn normalise(policy: &Value) -> Value {
    let parsed;
    let document = match policy {
        Value::Map(document) => document,
        // Written as the text that the server wants.
        Value::Text(text) => match serde_json::from_str(text).map(|json: serde_json::Value| Value::from(json)) {
            Ok(Value::Map(document)) => {
                parsed = document;
                &parsed
            }
            _ => return policy.clone(),
        },
        _ => return policy.clone(),
    };
    let mut fields = Fields::within(document);
    fields.default("Version", OLDEST);
    fields.map("Statement", |statements| {
        let statements = as_list(statements);
        let mut statements: Vec<Value> = statements.iter().map(statement).collect();
        let key = |statement: &Value| statement.get("Sid").and_then(Value::as_str).unwrap_or_default().to_owned();
        statements.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.compare(b)));
        statements.dedup();
        Value::list(statements)
    });
    fields.drop_empty();
    fields.build().into()
}

fn as_list(value: &Value) -> Vec<Value> {
    match value {
        Value::List(items) => items.to_vec(),
        other => vec![other.clone()],
    }
}

fn set(value: &Value) -> Value {
    Value::list(as_list(value)).as_set()
}

fn statement(statement: &Value) -> Value {
    let Value::Map(statement) = statement else { return statement.clone() };
    let mut fields = Fields::within(statement);
    fields.drop_empty();
    for list in ["Action", "NotAction", "Resource", "NotResource"] {
        fields.map(list, set);
    }
    for who in ["Principal", "NotPrincipal"] {
        fields.map(who, principal);
    }
    fields.map("Condition", |conditions| {
        let below = |value: &Value, change: &dyn Fn(&Value) -> Value| match value {
            Value::Map(map) => {
                Value::from(map.iter().map(|(key, value)| (key.clone(), change(value))).collect::<Map>())
            }
            other => other.clone(),
        };
        below(conditions, &|keys| below(keys, &|values| Value::list(as_list(values).iter().map(as_text)).as_set()))
    });
    fields.build().into()
}

/// Booleans and numbers are texts in conditions.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Bool(_) | Value::Integer(_) | Value::Float(_) => value.to_json().to_string().into(),
        other => other.clone(),
    }
}

/// `*` is everybody known to AWS or not, and so is `{"AWS": "*"}` in the policy of a resource.
fn principal(who: &Value) -> Value {
    let everybody = || Value::map([("AWS", Value::list(["*".into()]))]);
    match who {
        Value::Text(text) if &**text == "*" => everybody(),
        Value::Map(kinds) => {
            let kinds: BTreeMap<Arc<str>, Value> = kinds
                .iter()
                .map(|(kind, names)| (kind.clone(), Value::list(as_list(names).iter().map(account)).as_set()))
                .collect();
            Value::map(kinds)
        }
        other => other.clone(),
    }
}

/// An account's number is short for its root.
fn account(name: &Value) -> Value {
    match name.as_str() {
        Some(number) if number.len() == 12 && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("arn:aws:iam::{number}:root").into()
        }
        _ => name.clone(),
    }
}

/// Elements of a document and of its statements. The server reads others in another case as the same, and so must nobody
/// here take them for nothing.
const OF_DOCUMENT: [&str; 3] = ["Id", "Statement", "Version"];
const OF_STATEMENT: [&str; 9] =
    ["Action", "Condition", "Effect", "NotAction", "NotPrincipal", "NotResource", "Principal", "Resource", "Sid"];
const OF_PRINCIPAL: [&str; 4] = ["AWS", "CanonicalUser", "Federated", "Service"];

/// What a document cannot be.
pub fn check(policy: &Value) -> Vec<Problem> {
    let Some(document) = policy.as_map() else {
        let is_known = !policy.has_deferred();
        return is_known
            .then(|| Problem::error("/policy", "a policy is a map, or JSON text of one"))
            .into_iter()
            .collect();
    };
    let mut problems = unknown("/policy", document, &OF_DOCUMENT);
    let Some(statements) = document.get("Statement").and_then(Value::as_list) else {
        problems.push(Problem::error("/policy", "`Statement` is missing"));
        return problems;
    };
    for (index, statement) in statements.iter().enumerate() {
        let pointer = format!("/policy/Statement/{index}");
        let Some(fields) = statement.as_map() else {
            problems.extend((!statement.has_deferred()).then(|| Problem::error(pointer, "a statement is a map")));
            continue;
        };
        problems.extend(unknown(&pointer, fields, &OF_STATEMENT));
        let effect = fields.get("Effect");
        if !effect.is_some_and(|effect| effect.has_deferred() || matches!(effect.as_str(), Some("Allow" | "Deny"))) {
            problems.push(Problem::error(&*pointer, "the `Effect` of a statement must be Allow or Deny"));
        }
        for who in ["Principal", "NotPrincipal"] {
            match fields.get(who) {
                Some(Value::Map(kinds)) => {
                    problems.extend(unknown(&format!("{pointer}/{who}"), kinds, &OF_PRINCIPAL));
                }
                None | Some(Value::Deferred(_)) => {}
                Some(_) => problems.push(
                    Problem::error(format!("{pointer}/{who}"), format!("a `{who}` must be `*`, or a map by type"))
                        .help("write {AWS: [\"arn:aws:iam::ACCOUNT:user/NAME\"]}"),
                ),
            }
        }
    }
    problems
}

/// Elements that a policy does not have under this name.
fn unknown(pointer: &str, fields: &Map, known: &[&str]) -> Vec<Problem> {
    let unknown = fields.iter().filter(|(name, _)| !known.contains(&&***name)).map(|(name, _)| {
        let mut pointer = pointer.to_owned();
        push_token(&mut pointer, name);
        let problem = Problem::error(pointer, format!("`{name}` is not a known element of a policy"));
        match known.iter().find(|known| known.eq_ignore_ascii_case(name)) {
            Some(known) => problem.help(format!("write `{known}`")),
            None => problem.help(format!("elements are {}", known.join(", "))),
        }
    });
    unknown.collect()
}

/// The place of a statement of a normalised document that lets everybody in.
pub fn opens_to_the_world(policy: &Value) -> Option<String> {
    let statements = policy.get("Statement")?.as_list()?;
    let index = statements.iter().position(|statement| {
        let is_allowed = statement.get("Effect").and_then(Value::as_str) == Some("Allow");
        let sorts = statement.get("Principal").and_then(Value::as_map).into_iter().flat_map(Map::iter);
        let mut names = sorts.flat_map(|(_, names)| names.as_list().unwrap_or_default());
        let is_everybody = statement.get("NotPrincipal").is_some()
            || names.any(|name| name.as_str().is_some_and(|name| has_wildcard(name) && !is_of_account(name)));
        is_allowed && is_everybody && !statement.get("Condition").is_some_and(narrows)
    })?;
    Some(format!("/Statement/{index}"))
}

/// Whether a condition leaves less than everybody: one key that does is enough, since all have to hold.
fn narrows(condition: &Value) -> bool {
    let Some(operators) = condition.as_map() else { return false };
    operators.iter().any(|(operator, keys)| {
        let operator = operator.to_ascii_lowercase();
        // What is true as well where the key is missing, or true of everybody but some.
        let excludes = operator.contains("not")
            || operator.ends_with("ifexists")
            || operator == "null"
            || operator.starts_with("forallvalues:");
        let narrow = |(key, values): (&Arc<str>, &Value)| {
            let values = values.as_list().unwrap_or_default();
            let is_narrow = |value: &Value| match value {
                // It may turn out as anything, and is looked at again by the server only.
                Value::Deferred(_) => true,
                value => value.as_str().is_some_and(is_narrow),
            };
            NARROWING.contains(&key.to_ascii_lowercase().as_str()) && !values.is_empty() && values.iter().all(is_narrow)
        };
        !excludes && keys.as_map().is_some_and(|keys| keys.iter().any(narrow))
    })
}

/// Whether a value of a condition stands for less than everybody: a range of addresses that is no wider than AWS takes for a
/// network of somebody, or a text in which what says whose it is comes before any wildcard.
fn is_narrow(value: &str) -> bool {
    // A variable of the policy is whatever the request says.
    if value.is_empty() || value.contains("${") {
        return false;
    }
    if let Some(narrow) = is_narrow_range(value) {
        return narrow;
    }
    match value.find(['*', '?']) {
        None => true,
        Some(_) if value.starts_with("arn:") => is_of_account(value),
        // Such as `AROAEXAMPLE:*` and `o-example/r-root/*`.
        Some(at) => value[..at].find([':', '/']).is_some_and(|end| end > 0),
    }
}

/// Of a range of addresses, whether it is narrow: from /8 of IPv4 and /32 of IPv6 on.
fn is_narrow_range(value: &str) -> Option<bool> {
    let (address, length) = value.split_once('/').unwrap_or((value, ""));
    let length: Option<u32> = length.parse().ok();
    match address.parse::<std::net::IpAddr>().ok()? {
        std::net::IpAddr::V4(_) => Some(length.unwrap_or(32) >= 8),
        std::net::IpAddr::V6(_) => Some(length.unwrap_or(128) >= 32),
    }
}

fn has_wildcard(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// Whether an ARN names an account, or, where its service knows none, the resource, before any wildcard.
fn is_of_account(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, _, _, "", resource] => resource.split('/').next().is_some_and(|first| !has_wildcard(first)),
        ["arn", _, _, _, account, _] => !account.is_empty() && !has_wildcard(account),
        _ => false,
    }
}

/// The document as the server takes it.
pub fn document(policy: &Value) -> String {
    policy.to_json().to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn normal(json: serde_json::Value) -> Value {
        normalise(&Value::from(json))
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        let one = normal(json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "b", "Effect": "Allow", "Principal": {"AWS": ["123456789012", "arn:aws:iam::1:user/a"]},
             "Action": ["s3:PutObject", "s3:GetObject"], "Resource": "arn:aws:s3:::b/*"},
            {"Sid": "a", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::b/*", "arn:aws:s3:::b"],
             "Condition": {"Bool": {"aws:SecureTransport": false}}},
        ]}));
        let other = json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "a", "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": ["s3:*"],
             "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"], "Condition": {"Bool": {"aws:SecureTransport": ["false"]}}},
            {"Sid": "b", "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::1:user/a", "arn:aws:iam::123456789012:root"]},
             "Action": ["s3:GetObject", "s3:PutObject"], "Resource": ["arn:aws:s3:::b/*"]},
        ]});
        assert_eq!(one, normal(other.clone()));
        assert_eq!(one, normal(other.to_string().into()), "as text");
        assert_eq!(normalise(&one), one);
        let wider = normal(json!({"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}));
        assert_ne!(one, wider);
    }

    #[test]
    fn who_is_let_in_is_told() {
        let opens = |principal: serde_json::Value, condition: serde_json::Value| {
            let mut statement =
                json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Principal": principal});
            if !condition.is_null() {
                statement["Condition"] = condition;
            }
            opens_to_the_world(&normal(json!({"Statement": statement}))).is_some()
        };
        let nothing = || json!(null);
        for everybody in [
            json!("*"),
            json!({"AWS": "*"}),
            json!({"AWS": ["*", "1"]}),
            json!({"AWS": "arn:aws:iam::*:root"}),
            json!({"AWS": "arn:aws:iam::*"}),
            json!({"Federated": "*"}),
            json!({"AWS": "123456789012", "CanonicalUser": ["*"]}),
        ] {
            assert!(opens(everybody.clone(), nothing()), "{everybody}");
        }
        for somebody in [
            json!({"AWS": "123456789012"}),
            json!({"AWS": "arn:aws:iam::123456789012:user/*"}),
            json!({"Service": "cloudfront.amazonaws.com"}),
        ] {
            assert!(!opens(somebody.clone(), nothing()), "{somebody}");
        }
        for wide in [
            json!({"Bool": {"aws:SecureTransport": true}}),
            json!({"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}),
            json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}),
            json!({"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
            json!({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "0.0.0.0/0"]}}),
            json!({"IpAddress": {"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"]}}),
            json!({"IpAddress": {"aws:SourceIp": "::/0"}}),
            json!({"StringLike": {"aws:PrincipalOrgID": "*"}}),
            json!({"StringLike": {"aws:PrincipalOrgID": "?*"}}),
            json!({"StringLike": {"aws:SourceVpce": "vpce-*"}}),
            json!({"StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalAccount}"}}),
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/x"}}),
            json!({"StringEquals": {"aws:PrincipalOrgID": []}}),
        ] {
            assert!(opens(json!("*"), wide.clone()), "{wide}");
        }
        for narrow in [
            json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
            json!({"IpAddress": {"aws:SourceIp": "203.0.113.7"}}),
            json!({"StringEquals": {"AWS:PrincipalOrgID": "o-1"}}),
            json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/*"}}),
            json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::acme-*"}}),
            json!({"StringLike": {"aws:userid": "AROAEXAMPLE:*"}}),
            json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-1/r-1/*"}}),
        ] {
            let is_bucket = narrow.to_string().contains("acme-*");
            assert_eq!(opens(json!("*"), narrow.clone()), is_bucket, "{narrow}");
        }
        let but_one = json!({"Statement": {"Effect": "Allow", "NotAction": "s3:PutObject", "Resource": "*",
            "NotPrincipal": {"AWS": "123456789012"}}});
        assert_eq!(opens_to_the_world(&normal(but_one)).as_deref(), Some("/Statement/0"));
        let denied = json!({"Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Principal": "*"}});
        assert_eq!(opens_to_the_world(&normal(denied)), None);
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        let allow = |who: serde_json::Value| json!({"Statement": [{"Effect": "Allow", "Principal": who}]});
        for bad in [
            json!("x"),
            json!({}),
            json!({"Statement": [{"Effect": "Maybe"}]}),
            json!({"Statement": [{"Effect": "Allow", "principal": "*"}]}),
            json!({"statement": [], "Statement": []}),
            json!({"Statement": ["x"]}),
            allow(json!("arn:aws:iam::1:root")),
            allow(json!({"aws": "*"})),
        ] {
            assert_eq!(check(&normal(bad.clone())).len(), 1, "{bad}");
        }
    }
}
