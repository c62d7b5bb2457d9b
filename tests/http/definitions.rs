//! Each ready definition through the conformance suite, and what is particular of each.

use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};
use tenantry_core::model::kind::Catalogue;
use tenantry_core::model::resource::{Desired, Observed};
use tenantry_core::model::value::Value;
use tenantry_http::Http;
use tenantry_provider::conformance::WriteUnguarded as _;
use tenantry_provider::conformance::{Case, Subject, check};
use tenantry_provider::contract::{ErrorClass, Provider as _, StepAction, Written};

use crate::support::vendors::{Api, Vendor};
use crate::support::{create, delete, observe, present, update};

async fn conforms(vendor: Vendor, kind: &'static str, spec: Json, updated: Json) {
    let api = Api::start(vendor).await;
    conforms_at(&api, kind, spec, updated).await;
    assert_eq!(api.state().objects, [Json::Null; 0], "nothing is left");
}

async fn conforms_at(api: &Api, kind: &'static str, spec: Json, updated: Json) {
    let catalogue = Catalogue::new(Http.kinds());
    let mut nobody = api.settings();
    // Nothing listens on the port of discarding (RFC 863) of the loopback here.
    nobody.values.insert("url".to_owned(), "http://127.0.0.1:9".into());
    let unreachable = Http.reader(&nobody).expect("valid settings");
    // A writer that has not seen what was there before, and a reader that has: as two runs.
    let (reader, writer) = (api.reader(), api.writer());
    let other = api.reader();
    let subject = Subject {
        catalogue: &catalogue,
        reader: &*reader,
        other: &*other,
        writer: &*writer,
        unreachable: &*unreachable,
    };
    let violations = check(
        &subject,
        &Case { kind, needs: vec![], spec, updated, apart: false, holds: Vec::new(), adds: false, lenient: &[] },
    )
    .await;
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

async fn observed(api: &Api, desired: &Desired) -> Observed {
    let observations = observe(&*api.reader(), &[desired], &[]).await;
    observations[desired.kind.name].get(desired.identity.as_deref().expect("an identity"))
}

#[tokio::test]
async fn a_neon_branch() {
    let spec = |fields: Json| json!({"use": "neon.branch", "name": "tenant-acme", "parameters": {"project": "p1"}, "fields": fields});
    conforms(
        Vendor::Neon,
        "http.unmarked",
        spec(json!({"parent_id": "br-main", "init_source": "schema-only"})),
        spec(json!({"parent_id": "br-main", "init_source": "schema-only", "protected": true})),
    )
    .await;
}

/// A branch, made with its definition: its id.
async fn branch(api: &Api, name: &str) -> String {
    let spec = json!({"use": "neon.branch", "name": name, "parameters": {"project": "p1"}, "fields": {}});
    let desired = api.bench.desired("http.unmarked", &format!("{name}/branch"), spec);
    let written = api.writer().write(&[create(&desired)]).await.expect("it is made");
    written[0].outputs.get("id").and_then(Value::as_str).expect("an id").to_owned()
}

#[tokio::test]
async fn what_computes_on_a_branch_of_neon_and_what_is_in_it() {
    let api = Api::start(Vendor::Neon).await;
    let branch = branch(&api, "acme").await;
    let endpoint = |fields: Json| json!({"use": "neon.endpoint", "name": branch, "parameters": {"project": "p1"}, "fields": fields});
    let least =
        json!({"autoscaling_limit_min_cu": 0.25, "autoscaling_limit_max_cu": 1, "suspend_timeout_seconds": 300});
    let most = json!({"autoscaling_limit_min_cu": 0.25, "autoscaling_limit_max_cu": 4, "suspend_timeout_seconds": 300, "disabled": true});
    conforms_at(&api, "http.unmarked", endpoint(least.clone()), endpoint(most)).await;
    let within = |definition: &str, name: &str, fields: Json| json!({"use": definition, "name": name, "parameters": {"project": "p1", "branch": branch}, "fields": fields});
    let role = within("neon.role", "app", json!({}));
    conforms_at(&api, "http.unmarked", role.clone(), role.clone()).await;
    let owned_by = |owner: &str| within("neon.database", "shop", json!({"owner_name": owner}));
    let role = api.bench.desired("http.unmarked", "acme/role", role);
    api.writer().write(&[create(&role)]).await.expect("it is made");
    conforms_at(&api, "http.unmarked", owned_by("neondb_owner"), owned_by("app")).await;

    let endpoint = api.bench.desired("http.unmarked", "acme/endpoint", endpoint(least));
    // One that only reads is no hindrance.
    api.state().neon.endpoints.push(json!({"id": "ep-reading", "branch_id": branch, "type": "read_only"}));
    let written = api.writer().write(&[create(&endpoint)]).await.expect("it is made");
    let found = present(observed(&api, &endpoint).await);
    assert_eq!(written[0].outputs, *found.outputs);
    assert!(found.outputs.get("host").and_then(Value::as_str).expect("a host").ends_with("aws.neon.tech"));

    // With its branch everything in it is gone.
    let gone = api.bench.desired(
        "http.unmarked",
        "acme/branch",
        json!({"use": "neon.branch", "name": "acme", "parameters": {"project": "p1"}}),
    );
    let found = present(observed(&api, &gone).await);
    api.writer().write(&[delete(&gone, &found)]).await.expect("it is gone");
    for desired in [&role, &endpoint] {
        assert_eq!(observed(&api, desired).await, Observed::Absent);
    }
}

#[tokio::test]
async fn a_password_that_neon_makes_is_told_again_only_on_demand() {
    let api = Api::start(Vendor::Neon).await;
    api.state().neon.forgets_passwords = true;
    let branch = branch(&api, "acme").await;
    let role = |rotation: u32| {
        let spec = json!({"use": "neon.role", "name": "app", "parameters": {"project": "p1", "branch": branch},
            "rotation": rotation});
        api.bench.desired("http.unmarked", "acme/role", spec)
    };
    let told = |written: Vec<Written>| {
        let password = written[0].captured.get("password")?;
        Some(password.expose_secret().to_owned())
    };
    let first = told(api.writer().write(&[create(&role(1))]).await.expect("it is made"));
    let first = first.expect("a password");
    let found = present(observed(&api, &role(1)).await);
    assert!(!format!("{found:?}").contains(&first));
    let step = |changed: &str| {
        let mut step = update(&role(2), &found, &[]);
        let StepAction::Update { changed: pointers, .. } = &mut step.action else { panic!("an update") };
        *pointers = vec![changed.to_owned()];
        step
    };
    // By a rotation, and where it was lost.
    let mut last = first;
    for pointer in ["/rotation", "/password"] {
        let next = told(api.writer().write(&[step(pointer)]).await.expect("it is told")).expect("a password");
        assert_ne!(next, last);
        last = next;
        let kept = api.state().neon.roles.iter().find(|role| role["name"] == "app").expect("a role").clone();
        assert_eq!(kept["password"], last);
    }
}

#[tokio::test]
async fn a_value_of_secret_manager_is_a_version_of_its_secret() {
    let api = Api::start(Vendor::SecretManager).await;
    let parameters = json!({"project": "p1"});
    let secret = json!({"use": "secretmanager.secret", "name": "acme-db", "parameters": parameters, "fields": {"replication": {"automatic": {}}}});
    let secret = api.bench.desired("http.resource", "acme/secret", secret);
    api.writer().write(&[create(&secret)]).await.expect("it is made");
    let value = |text: &str| json!({"use": "secretmanager.version", "name": "acme-db", "parameters": parameters, "fields": {"payload": {"data": text}}});
    conforms_at(&api, "http.unmarked", value("first"), value("first")).await;
    let made = |api: &Api| api.state().secrets.versions.iter().filter(|version| version.data.is_some()).count();
    assert_eq!(api.state().secrets.versions.last().expect("a version").data, None, "the latest is destroyed");
    let earlier = made(&api);

    let first = api.bench.desired("http.unmarked", "acme/value", value("postgres://ünï@x"));
    let written = api.writer().write(&[create(&first)]).await.expect("it is made");
    let data = api.state().secrets.versions.last().expect("a version").data.clone().expect("a value");
    assert_eq!(data, "cG9zdGdyZXM6Ly/DvG7Dr0B4");
    let found = present(observed(&api, &first).await);
    assert_eq!(written[0].outputs, *found.outputs);
    // A changed value is one more, and the one before it stays for whoever still reads it.
    let second = api.bench.desired("http.unmarked", "acme/value", value("second"));
    let written = api.writer().write(&[update(&second, &found, &[])]).await.expect("it is changed");
    assert_ne!(written[0].outputs.get("id"), found.outputs.get("id"));
    assert_eq!(made(&api), earlier + 2);
    // Nobody reads what is disabled: it is as good as absent.
    api.state().secrets.versions.last_mut().expect("a version").told["state"] = "DISABLED".into();
    assert_eq!(observed(&api, &second).await, Observed::Absent);
}

#[tokio::test]
async fn who_may_read_a_secret_is_one_policy() {
    let api = Api::start(Vendor::SecretManager).await;
    let parameters = json!({"project": "p1"});
    let secret = json!({"use": "secretmanager.secret", "name": "acme-db", "parameters": parameters, "fields": {"replication": {"automatic": {}}}});
    let secret = api.bench.desired("http.resource", "acme/secret", secret);
    api.writer().write(&[create(&secret)]).await.expect("it is made");
    let policy = |bindings: Json| json!({"use": "secretmanager.policy", "name": "acme-db", "parameters": parameters, "fields": {"bindings": bindings}});
    let reader = |members: &[&str]| json!({"role": "roles/secretmanager.secretAccessor", "members": members});
    let admin = json!({"role": "roles/secretmanager.admin", "members": ["user:ann@example.com"]});
    conforms_at(
        &api,
        "http.unmarked",
        policy(json!([reader(&["user:b", "user:a"])])),
        policy(json!([reader(&["user:a"]), admin])),
    )
    .await;
    let made = api.bench.desired("http.unmarked", "acme/policy", policy(json!([reader(&["user:a"])])));
    api.writer().write(&[create(&made)]).await.expect("it is made");
    let found = present(observed(&api, &made).await);
    // What somebody else writes between our look and our write is not written over: the tag of what was seen goes along.
    let tag = api.state().secrets.policies.values().next().expect("a policy")["etag"].clone();
    let wanted = api.bench.desired("http.unmarked", "acme/policy", policy(json!([reader(&["user:c"])])));
    api.writer().write(&[update(&wanted, &found, &[])]).await.expect("it is changed");
    let body = api.state().asked.last().expect("a request").json();
    assert_eq!(body["policy"], json!({"version": 3, "etag": tag, "bindings": [reader(&["user:c"])]}));
    let found = present(observed(&api, &wanted).await);
    api.writer().write(&[delete(&wanted, &found)]).await.expect("it is emptied");
    let body = api.state().asked.last().expect("a request").json();
    assert_eq!(body["policy"]["bindings"], json!([]));
    assert_ne!(body["policy"]["etag"], tag);
}

#[tokio::test]
async fn one_that_was_made_again_is_left_to_whoever_made_it() {
    let api = Api::start(Vendor::Neon).await;
    let ours = branch(&api, "acme").await;
    let spec =
        json!({"use": "neon.branch", "name": "acme", "parameters": {"project": "p1"}, "fields": {"protected": true}});
    let desired = api.bench.desired("http.unmarked", "acme/branch", spec);
    let found = present(observed(&api, &desired).await);
    assert_eq!(found.outputs.get("id"), Some(&ours.into()));
    api.state().objects[0]["id"] = "br-theirs".into();
    for step in [delete(&desired, &found), update(&desired, &found, &[])] {
        let error = api.writer().write(&[step]).await.expect_err("it is another").error;
        assert_eq!(error.class, ErrorClass::Conflict, "{error}");
        assert!(error.to_string().contains("br-theirs"), "{error}");
    }
    assert_eq!(api.state().objects.len(), 1);
}

#[tokio::test]
async fn a_cloud_run_service() {
    let spec = |fields: Json| json!({"use": "cloudrun.service", "name": "acme", "parameters": {"project": "p1", "location": "eu"}, "fields": fields});
    let containers = |image: &str| json!({"containers": [{"image": image}]});
    conforms(
        Vendor::CloudRun,
        "http.resource",
        spec(json!({"template": containers("app:1")})),
        spec(json!({"template": containers("app:2"), "labels": {"tenant": "acme"}, "annotations": {"team": "a"}})),
    )
    .await;
}

#[tokio::test]
async fn a_secret_manager_secret() {
    let spec = |fields: Json| json!({"use": "secretmanager.secret", "name": "acme-db", "parameters": {"project": "p1"}, "fields": fields});
    conforms(
        Vendor::SecretManager,
        "http.resource",
        spec(json!({"replication": {"automatic": {}}, "ttl": "86400s"})),
        spec(json!({"replication": {"automatic": {}}, "ttl": "86400s", "labels": {"tenant": "acme"}})),
    )
    .await;
}

#[tokio::test]
async fn a_cloudflare_custom_hostname() {
    let spec = |fields: Json| json!({"use": "cloudflare.custom_hostname", "name": "shop.acme.example", "parameters": {"zone": "z1"}, "fields": fields});
    conforms(
        Vendor::Cloudflare,
        "http.unmarked",
        spec(json!({"ssl": {"method": "http", "type": "dv"}})),
        spec(json!({"ssl": {"method": "txt", "type": "dv"}, "custom_origin_server": "eu.shop.example"})),
    )
    .await;
}

#[tokio::test]
async fn a_grafana_folder_dashboard_and_user() {
    let folder = |title: &str| json!({"use": "grafana.folder", "name": "acme", "fields": {"title": title}});
    conforms(Vendor::Grafana, "http.unmarked", folder("Acme"), folder("Acme Corp")).await;
    let within = |title: &str| {
        json!({"use": "grafana.subfolder", "name": "acme-reports", "parameters": {"parent": "acme"},
            "fields": {"title": title, "description": "Of Acme."}})
    };
    conforms(Vendor::Grafana, "http.unmarked", within("Reports"), within("Reports of Acme")).await;
    let dashboard = |title: &str, description: &str| {
        json!({"use": "grafana.dashboard", "name": "acme-usage", "fields": {"folderUid": "acme",
            "dashboard": {"title": title, "description": description, "panels": [{"type": "stat", "title": "Users"}]}}})
    };
    conforms(
        Vendor::Grafana,
        "http.resource",
        dashboard("Usage", "Of Acme."),
        dashboard("Usage of Acme", "Two\nlines"),
    )
    .await;
    let user = |name: &str| json!({"use": "grafana.user", "name": "acme-admin", "fields": {"name": name, "email": "a@acme.example", "password": "first"}});
    conforms(Vendor::Grafana, "http.unmarked", user("Ann"), user("Ann Smith")).await;
}

#[tokio::test]
async fn a_webhook() {
    let spec = |fields: Json| json!({"use": "webhook.subscription", "name": "acme", "parameters": {"collection": "hooks"}, "fields": fields});
    conforms(
        Vendor::Webhooks,
        "http.resource",
        spec(json!({"url": "https://acme.example/1", "events": ["b", "a"], "secret": "x"})),
        spec(json!({"url": "https://acme.example/2", "events": ["a"], "secret": "x", "metadata": {"team": "a"}})),
    )
    .await;
}

#[tokio::test]
async fn reading_takes_pages_and_not_resources() {
    let api = Api::start(Vendor::Webhooks).await;
    let hook = |number: usize| {
        let spec = json!({"use": "webhook.subscription", "name": format!("h{number}"), "parameters": {"collection": "hooks"},
            "fields": {"url": format!("https://acme.example/{number}")}});
        api.bench.desired("http.resource", &format!("t{number}/hook"), spec)
    };
    let desired: Vec<Desired> = (0..150).map(hook).collect();
    let references: Vec<&Desired> = desired.iter().collect();
    let writer = api.writer();
    for desired in &desired[..90] {
        writer.write(&[create(desired)]).await.expect("it is made");
    }
    assert_eq!(api.take_asked().len(), 91, "one list, then one request each");
    for count in [10, 90] {
        observe(&*api.reader(), &references[..count], &[]).await;
        assert_eq!(api.take_asked().len(), 1, "{count} resources");
    }
    for desired in &desired[90..] {
        writer.write(&[create(desired)]).await.expect("it is made");
    }
    api.take_asked();
    let observed = observe(&*api.reader(), &references, &[]).await;
    assert_eq!(api.take_asked(), ["GET /hooks?per_page=100", "GET /hooks?per_page=100&from=100"]);
    assert!(observed["http.resource"].resources.values().all(|observed| matches!(observed, Observed::Present(_))));
    // What carries the mark is found though nobody asks for it.
    let observed = observe(&*api.reader(), &references[..1], &[]).await;
    assert_eq!(observed["http.resource"].resources.len(), 150);
}

#[tokio::test]
async fn what_nobody_asks_for_is_left_alone() {
    let api = Api::start(Vendor::CloudRun).await;
    let spec = |fields: Json| {
        let spec = json!({"use": "cloudrun.service", "name": "acme", "parameters": {"project": "p", "location": "eu"}, "fields": fields});
        api.bench.desired("http.resource", "acme/service", spec)
    };
    let first = spec(json!({"labels": {"a": "1", "b": "2"}}));
    api.writer().write(&[create(&first)]).await.expect("it is made");
    api.state().objects[0]["labels"]["theirs"] = "x".into();
    api.state().objects[0]["annotations"]["run.example/ingress"] = "all".into();
    let found = present(observed(&api, &first).await);
    let second = spec(json!({"labels": {"a": "3"}}));
    api.writer().write(&[update(&second, &found, &["/fields/labels/b"])]).await.expect("it is changed");
    let object = api.state().objects[0].clone();
    assert_eq!(object["labels"], json!({"a": "3", "theirs": "x"}));
    assert_eq!(object["annotations"]["run.example/ingress"], "all");
    assert_eq!(present(observed(&api, &second).await).outputs.get("uri"), Some(&"https://acme.run.example".into()));
}

#[tokio::test]
async fn an_operation_is_watched_and_its_failure_told() {
    for vendor in [Vendor::CloudRun, Vendor::Neon] {
        let api = Api::start(vendor).await;
        let (kind, spec) = match vendor {
            Vendor::Neon => {
                ("http.unmarked", json!({"use": "neon.branch", "name": "acme", "parameters": {"project": "p"}}))
            }
            _ => (
                "http.resource",
                json!({"use": "cloudrun.service", "name": "acme", "parameters": {"project": "p", "location": "eu"}}),
            ),
        };
        let desired = api.bench.desired(kind, "acme/it", spec);
        api.state().patience = 2;
        api.writer().write(&[create(&desired)]).await.expect("it is made");
        let looks = api.take_asked().iter().filter(|asked| asked.contains("/operations/")).count();
        assert_eq!(looks, 3, "{vendor:?}");
        let found = present(observed(&api, &desired).await);
        api.writer().write(&[delete(&desired, &found)]).await.expect("it is gone");
        api.state().failure = Some("quota exceeded".to_owned());
        let error = api.writer().write(&[create(&desired)]).await.expect_err("it fails");
        assert!(error.to_string().contains("the operation failed: quota exceeded"), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_that_takes_a_day_is_pending() {
    let api = Api::start(Vendor::Cloudflare).await;
    let spec = json!({"use": "cloudflare.custom_hostname", "name": "shop.acme.example", "parameters": {"zone": "z"},
        "fields": {"ssl": {"method": "txt", "type": "dv"}}});
    let desired = api.bench.desired("http.unmarked", "acme/domain", spec);
    api.state().certificate = Some("pending_validation".to_owned());
    api.writer().write(&[create(&desired)]).await.expect("it is asked for");
    assert_eq!(present(observed(&api, &desired).await).pending.as_deref(), Some("ssl.status is pending_validation"));
    api.state().objects[0]["ssl"]["status"] = "active".into();
    assert_eq!(present(observed(&api, &desired).await).pending, None);
}

#[tokio::test]
async fn what_does_not_differ_is_not_sent_again_where_sending_is_doing() {
    let api = Api::start(Vendor::Cloudflare).await;
    let spec = |origin: &str, method: &str| {
        let spec = json!({"use": "cloudflare.custom_hostname", "name": "shop.acme.example", "parameters": {"zone": "z"},
            "fields": {"ssl": {"method": method, "type": "dv"}, "custom_origin_server": origin}});
        api.bench.desired("http.unmarked", "acme/domain", spec)
    };
    let (first, second, third) = (spec("eu.example", "txt"), spec("us.example", "txt"), spec("us.example", "http"));
    api.writer().write(&[create(&first)]).await.expect("it is made");
    let found = present(observed(&api, &first).await);
    api.writer().write(&[update(&second, &found, &[])]).await.expect("it is changed");
    assert_eq!(api.state().objects[0]["custom_origin_server"], "us.example");
    assert_eq!(api.state().objects[0]["ssl"]["status"], "active", "its certificate is not validated again");
    let found = present(observed(&api, &second).await);
    // As the engine names what differs.
    let mut step = update(&third, &found, &[]);
    let tenantry_provider::contract::StepAction::Update { changed, .. } = &mut step.action else { panic!("an update") };
    *changed = vec!["/fields/ssl/method".to_owned()];
    api.writer().write(&[step]).await.expect("it is changed");
    assert_eq!(api.state().objects[0]["ssl"]["method"], "http");
    let last = api.state().asked.last().expect("a request").json();
    assert_eq!(last.as_object().expect("an object").keys().collect::<Vec<_>>(), ["ssl"]);
    api.take_asked();
    let found = present(observed(&api, &third).await);
    api.writer().write(&[update(&third, &found, &[])]).await.expect("nothing differs");
    assert!(api.take_asked().iter().all(|asked| asked.starts_with("GET")), "nothing is sent");
}

#[tokio::test]
async fn a_lost_answer_is_found_again() {
    use crate::support::server::{Cut, Reply};
    let api = Api::start(Vendor::Webhooks).await;
    let spec = json!({"use": "webhook.subscription", "name": "acme", "parameters": {"collection": "hooks"}});
    let desired = api.bench.desired("http.resource", "acme/hook", spec);
    api.writer().write(&[create(&desired)]).await.expect("it is made");
    // As if the process had died before it heard of it.
    api.writer().write(&[create(&desired)]).await.expect("it is found");
    assert_eq!(api.state().objects.len(), 1);
    api.state().fault = Some(Box::new(|_| Some(Reply { cut: Cut::BeforeIt, ..Reply::empty(200) })));
    assert!(matches!(observed(&api, &desired).await, Observed::Unknown(_)));
}
