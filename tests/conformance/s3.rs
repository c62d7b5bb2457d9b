//! One case for each kind of S3, on each server.

use serde_json::json;
use tenantry_core::model::kind::Catalogue;
use tenantry_provider::conformance::{Case, Subject, check};
use tenantry_provider::contract::Provider as _;
use tenantry_s3::S3;

use crate::support::s3::{World, on_servers};

/// Names end with a suffix because all tests share a server. Not every server has a public access block.
pub fn cases(suffix: &str, has_block: bool) -> Vec<Case> {
    let name = format!("conforms-{suffix}");
    let policy = |action: &str| {
        json!({"Version": "2012-10-17", "Statement": [{"Sid": "a", "Effect": "Deny", "Principal": "*", "Action": action,
               "Resource": format!("arn:aws:s3:::{name}/*"), "Condition": {"Bool": {"aws:SecureTransport": false}}}]})
    };
    let mut updated = json!({
        "name": name, "versioning": false, "tags": {"team": "b", "more": "é + x:1"}, "policy": policy("s3:GetObject"),
        "encryption": {"algorithm": "AES256"},
        "lifecycle": [{"id": "old", "prefix": "a/", "expireNoncurrentAfterDays": 9, "keepNoncurrentVersions": 2},
                      {"id": "logs", "prefix": "logs/", "expireAfterDays": 30, "expiresLiveObjects": true}],
        "cors": [{"origins": ["https://a.example", "https://b.example"], "methods": ["GET", "PUT"], "headers": ["*"]}],
    });
    if has_block {
        updated["publicAccessBlock"] = json!({"blockPublicPolicy": false});
    }
    let bucket = || ("s3.bucket", json!({"name": name}));
    let object = |spec, updated| Case {
        kind: "s3.object",
        needs: vec![bucket()],
        spec,
        updated,
        apart: false,
        holds: Vec::new(),
        adds: false,
        lenient: &[],
    };
    vec![
        Case {
            kind: "s3.bucket",
            needs: Vec::new(),
            spec: json!({
                "name": name, "versioning": true, "tags": {"team": "a"}, "policy": policy("s3:PutObject"),
                "lifecycle": [{"id": "old", "expireNoncurrentAfterDays": 7, "abortUploadsAfterDays": 2}],
            }),
            updated,
            apart: false,
            holds: Vec::new(),
            adds: false,
            lenient: &[],
        },
        Case {
            kind: "s3.bucket",
            needs: Vec::new(),
            spec: json!({"name": name, "versioning": true, "objectLock": {}}),
            updated: json!({"name": name, "versioning": true, "objectLock": {"mode": "governance", "days": 1}}),
            apart: false,
            holds: Vec::new(),
            adds: false,
            lenient: &[],
        },
        object(
            json!({"bucket": name, "key": "a b/ö+&.svg", "content": "<svg/>"}),
            json!({"bucket": name, "key": "a b/ö+&.svg", "contentBase64": "aGVsbG8=", "contentType": "text/plain",
                   "cacheControl": "max-age=60"}),
        ),
        Case {
            kind: "s3.prefix",
            needs: vec![("s3.bucket", json!({"name": name, "versioning": true}))],
            spec: json!({"bucket": name, "prefix": "tenants/a b+é/"}),
            updated: json!({"bucket": name, "prefix": "tenants/a b+é/"}),
            apart: false,
            holds: vec![
                ("s3.object", json!({"bucket": name, "key": "tenants/a b+é/ö+&.svg", "content": "<svg/>"})),
                ("s3.object", json!({"bucket": name, "key": "tenants/a b+é/data/1.json", "content": "{}"})),
            ],
            adds: false,
            lenient: &[],
        },
        Case {
            kind: "s3.user",
            needs: Vec::new(),
            spec: json!({"name": format!("conforms-{suffix}"), "accessKey": {}, "policy": user_policy("s3:GetObject")}),
            updated: json!({"name": format!("conforms-{suffix}"), "accessKey": {"rotation": 2, "keepPrevious": false},
                            "tags": {"team": "a"}, "policy": user_policy("s3:PutObject")}),
            apart: false,
            holds: Vec::new(),
            adds: false,
            lenient: &[],
        },
    ]
}

fn user_policy(action: &str) -> serde_json::Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "arn:aws:s3:::a/*"}]})
}

#[test]
fn s3_conforms() {
    on_servers("s3_conforms", async |world: &World| {
        let catalogue = Catalogue::new(S3.kinds());
        // Nothing listens on the port of discarding (RFC 863) of the loopback here.
        let unreachable = world.reader_at("http://127.0.0.1:9");
        let (reader, writer) = (world.reader(), world.writer());
        let other = world.reader();
        let subject = Subject {
            catalogue: &catalogue,
            reader: &*reader,
            other: &*other,
            writer: &*writer,
            unreachable: &*unreachable,
        };
        let mut violations = Vec::new();
        for case in cases(&world.suffix, !world.is_seaweedfs) {
            violations.extend(check(&subject, &case).await);
        }
        assert!(violations.is_empty(), "{}:\n{}", world.url, violations.join("\n"));
    });
}
