//! Any REST API.

use serde_json::json;
use tenantry_core::model::kind::Catalogue;
use tenantry_http::Http;
use tenantry_provider::conformance::{Case, Subject, check};
use tenantry_provider::contract::Provider as _;

use crate::support::vendors::{Api, Vendor};

/// One case for each kind of the provider of REST APIs; its own tests have one for each ready definition.
pub fn cases_by_vendor() -> Vec<(Vendor, Case)> {
    let service = |image: &str| {
        json!({"use": "cloudrun.service", "name": "acme", "parameters": {"project": "p", "location": "eu"},
            "fields": {"template": {"containers": [{"image": image}]}}})
    };
    let folder = |title: &str| json!({"use": "grafana.folder", "name": "acme", "fields": {"title": title}});
    let case = |kind, spec, updated| Case {
        kind,
        needs: vec![],
        spec,
        updated,
        apart: false,
        holds: Vec::new(),
        adds: false,
        lenient: &[],
    };
    vec![
        (Vendor::CloudRun, case("http.resource", service("app:1"), service("app:2"))),
        (Vendor::Grafana, case("http.unmarked", folder("Acme"), folder("Acme Corp"))),
    ]
}

pub fn cases() -> Vec<Case> {
    cases_by_vendor().into_iter().map(|(_, case)| case).collect()
}

#[tokio::test]
async fn http_conforms() {
    let catalogue = Catalogue::new(Http.kinds());
    for (vendor, case) in cases_by_vendor() {
        let api = Api::start(vendor).await;
        let mut nobody = api.settings();
        // Nothing listens on the port of discarding (RFC 863) of the loopback here.
        nobody.values.insert("url".to_owned(), "http://127.0.0.1:9".into());
        let unreachable = Http.reader(&nobody).expect("valid settings");
        let (reader, writer) = (api.reader(), api.writer());
        let other = api.reader();
        let subject = Subject {
            catalogue: &catalogue,
            reader: &*reader,
            other: &*other,
            writer: &*writer,
            unreachable: &*unreachable,
        };
        let violations = check(&subject, &case).await;
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    }
}
