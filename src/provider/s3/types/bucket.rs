//! `s3.bucket`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{cors, lifecycle, policy};
use crate::mark;
use crate::xml::Element;
use tenantry_core::model::kind::{Kind, MarkPlace, NameLimit, Problem};
use tenantry_core::model::normal::Normal;
use tenantry_core::model::spec::Fields;
use tenantry_core::model::value::{Map, Value};
use tenantry_kit::{Stakes, defaults_of, describe, filled};

/// A bucket. A setting that is left out is not read, and stays as the server has it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "s3.bucket")]
pub struct BucketSpec {
    /// 3 to 63 lower-case letters, digits, hyphens and dots; one name for all customers of a server.
    #[expect(dead_code, reason = "it is read from the map")]
    pub name: String,
    /// Whether older versions of objects are kept. Existing versions stay when it is turned off.
    pub versioning: Option<bool>,
    /// Prevents the deletion of objects for a time. Needs `versioning`, and cannot be undone.
    pub object_lock: Option<ObjectLock>,
    /// When objects and versions are deleted or moved: rules with an `id` each.
    pub lifecycle: Option<Vec<lifecycle::Rule>>,
    /// A policy document, or its JSON text; compared by its meaning.
    #[expect(dead_code, reason = "it is read from the map")]
    #[schemars(with = "Option<policy::Document>")]
    pub policy: Option<serde_json::Value>,
    /// Whether `policy` may make the bucket public.
    #[serde(default)]
    #[expect(dead_code, reason = "it is read from the map")]
    pub public: bool,
    /// The default encryption of new objects.
    pub encryption: Option<Encryption>,
    /// Owned key by key.
    #[serde(default)]
    #[expect(dead_code, reason = "it is read from the map")]
    pub tags: BTreeMap<String, String>,
    /// What pages of other origins may do; the first rule that matches applies.
    pub cors: Option<Vec<cors::Rule>>,
    /// Blocks that prevent policies and access lists from making the bucket public; each is on unless set otherwise.
    pub public_access_block: Option<PublicAccessBlock>,
}

/// The default time for which a new object cannot be deleted; none without `mode`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectLock {
    /// Who may shorten the time. Without it, new objects are not locked by themselves.
    pub mode: Option<LockMode>,
    /// Days that a new object is locked.
    #[schemars(range(min = 1, max = 36500))]
    pub days: Option<u32>,
    /// Instead of `days`.
    #[schemars(range(min = 1, max = 100))]
    pub years: Option<u32>,
}

/// Whether users with a special privilege can lift it, or nobody.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum LockMode {
    Governance,
    Compliance,
}

/// Encryption on the server.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Encryption {
    pub algorithm: Algorithm,
    /// Id, alias or ARN of a key, for the algorithms of the key management service.
    pub key: Option<String>,
    /// Whether the bucket has a key of its own, which needs fewer requests to the key management service.
    #[serde(default)]
    pub bucket_key: bool,
}

/// As the server calls them.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
pub enum Algorithm {
    #[serde(rename = "AES256")]
    Aes256,
    #[serde(rename = "aws:kms")]
    Kms,
    #[serde(rename = "aws:kms:dsse")]
    KmsTwice,
}

/// The four switches of AWS.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublicAccessBlock {
    /// Whether requests that would set a public access list are refused.
    #[serde(default = "yes")]
    pub block_public_acls: bool,
    /// Whether public access lists have no effect.
    #[serde(default = "yes")]
    pub ignore_public_acls: bool,
    /// Whether a policy that makes the bucket public is refused.
    #[serde(default = "yes")]
    pub block_public_policy: bool,
    /// Whether a public policy has no effect for other accounts.
    #[serde(default = "yes")]
    pub restrict_public_buckets: bool,
}

fn yes() -> bool {
    true
}

/// The switches, as the spec and as the server calls them.
const SWITCHES: [(&str, &str); 4] = [
    ("blockPublicAcls", "BlockPublicAcls"),
    ("ignorePublicAcls", "IgnorePublicAcls"),
    ("blockPublicPolicy", "BlockPublicPolicy"),
    ("restrictPublicBuckets", "RestrictPublicBuckets"),
];

pub const NAME: &str = "s3.bucket";

pub fn kind() -> Kind {
    Kind {
        owned_by_key: &["/tags"],
        outputs: &[("arn", "its ARN, for policies, such as arn:aws:s3:::acme-data")],
        name_limits: &[NameLimit { pointer: "/name", bytes: 63, source: "S3, rules for naming buckets" }],
        mark: MarkPlace::TargetAfterwards,
        normalise,
        check,
        reviewed: &["/public", "/policy"],
        ..describe::<BucketSpec>(
            NAME,
            "A bucket and its settings; deleting it deletes every object in it.",
            &["name"],
            Stakes { loses_data: true, bills: false },
        )
    }
}

static ENCRYPTION: LazyLock<Map> = LazyLock::new(defaults_of::<Encryption>);
static PUBLIC_ACCESS_BLOCK: LazyLock<Map> = LazyLock::new(defaults_of::<PublicAccessBlock>);
static OBJECT_LOCK: LazyLock<Map> = LazyLock::new(defaults_of::<ObjectLock>);

fn normalise(fields: &mut Fields<'_>) {
    fields.map("policy", policy::normalise);
    fields.map("lifecycle", lifecycle::normalise);
    fields.map("cors", cors::normalise);
    fields.map("encryption", |encryption| filled(encryption, &ENCRYPTION));
    fields.map("publicAccessBlock", |block| filled(block, &PUBLIC_ACCESS_BLOCK));
    fields.map("objectLock", |lock| filled(lock, &OBJECT_LOCK));
}

fn check(spec: &Normal) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(message) = spec.get("name").and_then(Value::as_str).and_then(name_problem) {
        problems.push(Problem::error("/name", message));
    }
    if let Some(lock) = spec.get("objectLock") {
        if spec.get("versioning").and_then(Value::as_bool) != Some(true) {
            let message = "a bucket with object lock needs `versioning: true`";
            problems.push(Problem::error("/objectLock", message).help("add `versioning: true`"));
        }
        let (has_mode, spans) = (lock.get("mode").is_some(), ["days", "years"].map(|span| lock.get(span).is_some()));
        if has_mode != (spans[0] || spans[1]) || (spans[0] && spans[1]) {
            let message = "a default retention needs a `mode` and either `days` or `years`";
            problems.push(Problem::error("/objectLock", message));
        }
    }
    if let Some(encryption) = spec.get("encryption")
        && encryption.get("algorithm").and_then(Value::as_str) == Some("AES256")
        && encryption.get("key").is_some()
    {
        problems.push(Problem::error("/encryption/key", "a key cannot be chosen with AES256; use aws:kms"));
    }
    problems.extend(check_tags(spec));
    if let Some(rules) = spec.get("lifecycle").and_then(Value::as_list) {
        let is_versioned = spec.get("versioning").and_then(Value::as_bool) == Some(true);
        problems.extend(lifecycle::check(rules, is_versioned));
    }
    if let Some(policy) = spec.get("policy") {
        problems.extend(policy::check(policy));
        let is_public = spec.get("public").and_then(Value::as_bool) == Some(true);
        if !is_public && let Some(place) = policy::opens_to_the_world(policy) {
            let message = "the policy makes the bucket public: it allows access to everybody, without a condition that restricts it";
            let help = "name the principals, add a condition such as aws:SourceVpce, or write `public: true` in the bucket's spec";
            problems.push(Problem::error(format!("/policy{place}"), message).help(help));
        }
    }
    problems
}

/// What is wrong with tags.
pub fn check_tags(spec: &Map) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Some(tags) = spec.get("tags").and_then(Value::as_map) else { return problems };
    if tags.len() > mark::USER_TAGS {
        problems.push(Problem::error(
            "/tags",
            format!("at most {} tags are allowed besides those of Tenantry", mark::USER_TAGS),
        ));
    }
    for (key, value) in tags.iter() {
        let mut pointer = "/tags".to_owned();
        tenantry_core::model::value::push_token(&mut pointer, key);
        let value = value.as_str().unwrap_or_default();
        if key.starts_with(mark::PREFIX) || key.to_ascii_lowercase().starts_with("aws:") {
            problems.push(Problem::error(
                pointer,
                format!("tags that begin with `{}` or `aws:` are reserved", mark::PREFIX),
            ));
        } else if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            let message = "a tag has a key of 1 to 128 characters and a value of up to 256";
            problems.push(Problem::error(pointer, message));
        } else if !key
            .chars()
            .chain(value.chars())
            .all(|character| character.is_alphanumeric() || " +-=._:/@".contains(character))
        {
            let message = "a tag has letters, digits, spaces and the characters + - = . _ : / @ only";
            problems.push(Problem::error(pointer, message));
        }
    }
    problems
}

/// What the rules for names of buckets say against one
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>).
fn name_problem(name: &str) -> Option<&'static str> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    if !(3..=63).contains(&bytes.len()) {
        return Some("the name of a bucket has 3 to 63 characters");
    }
    if !bytes.iter().all(|byte| is_plain(*byte) || b"-.".contains(byte)) {
        return Some("the name of a bucket has lower-case letters, digits, hyphens and dots only");
    }
    if !is_plain(bytes[0]) || !is_plain(bytes[bytes.len() - 1]) || name.contains("..") {
        return Some("the name of a bucket begins and ends with a letter or digit, and has no two dots side by side");
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return Some("the name of a bucket cannot look like an IP address");
    }
    let is_reserved = ["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|prefix| name.starts_with(prefix))
        || ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"].iter().any(|suffix| name.ends_with(suffix));
    is_reserved.then_some("names with this prefix or suffix are reserved by AWS")
}

/// `?versioning`.
pub fn versioning_xml(enabled: bool) -> Element {
    Element::new("VersioningConfiguration").text("Status", if enabled { "Enabled" } else { "Suspended" })
}

/// `?object-lock`.
pub fn lock_xml(lock: &ObjectLock) -> Element {
    let element = Element::new("ObjectLockConfiguration").text("ObjectLockEnabled", "Enabled");
    let Some(mode) = lock.mode else { return element };
    let mode = if mode == LockMode::Governance { "GOVERNANCE" } else { "COMPLIANCE" };
    let retention =
        Element::new("DefaultRetention").text("Mode", mode).maybe("Days", lock.days).maybe("Years", lock.years);
    element.with(Element::new("Rule").with(retention))
}

/// Of `?object-lock`.
pub fn lock_of(element: &Element) -> Option<Value> {
    if !element.is("ObjectLockEnabled", "Enabled") {
        return None;
    }
    let retention = element.child("Rule").and_then(|rule| rule.child("DefaultRetention"));
    let field = |name: &'static str, value: Option<Value>| value.map(|value| (name, value));
    let fields = retention.into_iter().flat_map(|retention| {
        let mode = retention.get("Mode").map(|mode| Value::from(mode.to_lowercase()));
        // Some servers say both spans, one of them as nothing.
        let span = |name: &str| retention.number(name).filter(|span| *span > 0).map(Value::from);
        [field("mode", mode), field("days", span("Days")), field("years", span("Years"))]
    });
    Some(Value::map(fields.flatten()))
}

/// `?encryption`.
pub fn encryption_xml(encryption: &Encryption) -> Element {
    let algorithm = match encryption.algorithm {
        Algorithm::Aes256 => "AES256",
        Algorithm::Kms => "aws:kms",
        Algorithm::KmsTwice => "aws:kms:dsse",
    };
    let default = Element::new("ApplyServerSideEncryptionByDefault")
        .text("SSEAlgorithm", algorithm)
        .maybe("KMSMasterKeyID", encryption.key.as_deref());
    let rule = Element::new("Rule").with(default).text("BucketKeyEnabled", encryption.bucket_key);
    Element::new("ServerSideEncryptionConfiguration").with(rule)
}

/// Of `?encryption`.
pub fn encryption_of(element: &Element) -> Option<Value> {
    let rule = element.child("Rule")?;
    let default = rule.child("ApplyServerSideEncryptionByDefault")?;
    let key = default.get("KMSMasterKeyID").filter(|key| !key.is_empty());
    let fields = [
        Some(("algorithm", Value::from(default.get("SSEAlgorithm")?))),
        key.map(|key| ("key", Value::from(key))),
        Some(("bucketKey", Value::from(rule.is("BucketKeyEnabled", "true")))),
    ];
    Some(Value::map(fields.into_iter().flatten()))
}

/// `?publicAccessBlock`.
pub fn block_xml(block: &PublicAccessBlock) -> Element {
    Element::new("PublicAccessBlockConfiguration")
        .text("BlockPublicAcls", block.block_public_acls)
        .text("IgnorePublicAcls", block.ignore_public_acls)
        .text("BlockPublicPolicy", block.block_public_policy)
        .text("RestrictPublicBuckets", block.restrict_public_buckets)
}

/// Of `?publicAccessBlock`.
pub fn block_of(element: &Element) -> Value {
    Value::map(SWITCHES.iter().map(|(field, name)| (*field, Value::from(element.is(name, "true")))))
}

/// Everything blocked, which is what AWS gives a new bucket.
pub fn all_blocked() -> PublicAccessBlock {
    PublicAccessBlock {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use tenantry_core::diagnostics::Severity;

    fn problems(json: serde_json::Value) -> Vec<String> {
        let Value::Map(spec) = Value::from(json) else { panic!("a map") };
        let kind = kind();
        let problems = (kind.check)(&kind.normal(&spec));
        problems.iter().map(|problem| format!("{:?} {}", problem.severity, problem.pointer)).collect()
    }

    #[test]
    fn names_follow_the_rules() {
        for good in ["abc", "a.b-c.9", &"a".repeat(63), "1.2.3"] {
            assert_eq!(name_problem(good), None, "{good}");
        }
        for bad in ["ab", &"a".repeat(64), "Acme", "a_b", "-ab", "ab-", "a..b", "192.168.0.1", "xn--abc", "abc-s3alias"]
        {
            assert!(name_problem(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let error = |pointer: &str| vec![format!("{:?} {pointer}", Severity::Error)];
        assert_eq!(problems(json!({"name": "abc", "objectLock": {}})), error("/objectLock"));
        assert_eq!(problems(json!({"name": "abc", "objectLock": {}, "versioning": true})), [""; 0]);
        let lock = json!({"mode": "governance", "days": 1, "years": 1});
        assert_eq!(problems(json!({"name": "abc", "objectLock": lock, "versioning": true})), error("/objectLock"));
        assert_eq!(
            problems(json!({"name": "abc", "encryption": {"algorithm": "AES256", "key": "x"}})),
            error("/encryption/key")
        );
        assert_eq!(
            problems(json!({"name": "abc", "tags": {"tenantry.dev/estate": "x"}})),
            error("/tags/tenantry.dev~1estate")
        );
        let policy =
            json!({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}]});
        assert_eq!(problems(json!({"name": "abc", "policy": policy})), error("/policy/Statement/0"));
        assert_eq!(problems(json!({"name": "abc", "policy": policy, "public": true})), [""; 0]);
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        let encryption = json!({"algorithm": "aws:kms", "key": "k", "bucketKey": true});
        let typed: Encryption = serde_json::from_value(encryption.clone()).expect("valid");
        assert_eq!(encryption_of(&encryption_xml(&typed)), Some(Value::from(encryption)));
        for lock in [json!({}), json!({"mode": "compliance", "years": 2}), json!({"mode": "governance", "days": 3})] {
            let typed: ObjectLock = serde_json::from_value(lock.clone()).expect("valid");
            assert_eq!(lock_of(&lock_xml(&typed)), Some(Value::from(lock)));
        }
        let mut blocked = all_blocked();
        blocked.block_public_policy = false;
        let json = serde_json::to_value(&blocked).expect("JSON");
        assert_eq!(block_of(&block_xml(&blocked)), Value::from(json));
    }
}
